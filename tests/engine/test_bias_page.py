"""The page: one file, no script, no network, and every name shown and not run."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from tunebook.bias import BiasReport, Settings
from tunebook.bias_page import write_page
from tunebook.bias_tracks import scale
from tunebook.figures import Page, Picture, new_figure

EVIL = "<img src=x onerror=alert(1)>"
_VOID = {"meta", "img", "br"}


class _Reader(HTMLParser):
    """Collects tags and attributes, and checks that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def _predictions(name: str = "dark", models: tuple[str, ...] = ("baseline", "tuned")) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    truth, tone = rng.integers(0, 2, 120), np.where(rng.random(120) < 0.5, name, "light")
    tables = []
    for model in models:
        said = np.where(rng.random(120) < np.where(tone == name, 0.6, 0.95), truth, 1 - truth)
        labels = np.array(["no", name])
        tables.append(pd.DataFrame({
            "model": model, "id": [f"{name}{k}" for k in range(120)],
            "split": np.where(np.arange(120) < 90, "test", name),
            "truth": labels[truth], "prediction": labels[said], f"group_{name}": tone,
            "group_few": np.where(np.arange(120) < 110, "many", "few"),
        }))  # fmt: skip
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize("models", [("tuned",), ("baseline", "tuned")])
def test_every_name_is_shown_and_not_run(models: tuple[str, ...]) -> None:
    settings = Settings(draws=200, notes=(f"note {EVIL}",), source=f"run {EVIL}", derived={EVIL: f"from {EVIL}"})
    report = BiasReport(_predictions(EVIL, models), settings=settings)
    reader = _read(write_page(report))
    assert EVIL in reader.text
    assert not [tag for tag, _ in reader.seen if tag in ("script", "img", "link", "iframe", "object")]
    assert not [name for _, attributes in reader.seen for name in attributes if name.startswith("on")]


def test_it_asks_for_nothing_from_elsewhere() -> None:
    page = write_page(BiasReport(_predictions(), settings=Settings(draws=200)))
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?:", page)
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page


def test_what_is_undefined_reads_so_and_small_groups_are_grey() -> None:
    page = write_page(BiasReport(_predictions(), settings=Settings(draws=200)))
    reader = _read(page)
    assert "undefined" in reader.text
    assert "Fewer than 20 examples, so left out of the gaps: “few”" in reader.text.replace("\xa0", " ")
    assert ("tr", {"class": "small"}) in reader.seen


def test_mistakes_are_pictures_texts_or_a_table() -> None:
    report = BiasReport(_predictions(), settings=Settings(draws=200))
    picture = Picture.of(new_figure(1, 1), f"a picture of {EVIL}")
    reader = _read(write_page(report, picture))
    images = [attributes for tag, attributes in reader.seen if tag == "img"]
    assert len(images) == 1
    assert str(images[0]["src"]).startswith("data:image/png;base64,")
    assert images[0]["alt"] == picture.text
    assert "<b>of texts</b>" in write_page(report, Page("<b>of texts</b>", "of texts"))
    assert "dark" in _read(write_page(report)).text


def test_a_page_of_nothing_to_compare_is_a_page() -> None:
    table = _predictions().drop(columns=["group_dark", "group_few"])
    assert "No sensitive attribute was named" in _read(write_page(BiasReport(table))).text


def test_many_groups_stay_readable() -> None:
    table = _predictions(models=("tuned",))
    table["group_few"] = [f"g{k % 45}" for k in range(120)]
    report = BiasReport(table, settings=Settings(draws=200, minimum=2))
    assert "more groups are in the table" in _read(write_page(report)).text


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], [0.0, 0.5, 1.0]),
        ([0.71, 0.78], [0.7, 0.72, 0.74, 0.76, 0.78]),
        ([0.5], [0.5, 0.52]),
        ([], [0.0, 1.0]),
    ],
)
def test_ticks_are_round_numbers_around_the_values(values: list[float], ticks: list[float]) -> None:
    assert scale(np.array(values)) == pytest.approx(ticks)
