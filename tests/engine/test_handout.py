"""A run as one page to hand on: whole, harmless, bounded."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tunebook import handout
from tunebook.cli import app
from tunebook.events import EventLog
from tunebook.runs import Run
from tunebook.storage import write_json

sys.path.insert(0, str(Path(__file__).parents[1]))
from sweep_files import write_sweep

NAME = '<img src=x onerror="alert(1)">'
PNG = b"\x89PNG" + bytes(20)


class Tags(HTMLParser):
    """Collects what is markup, and what is in frames."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = Run.create(tmp_path / "runs", "tried", "image-classification").path
    scores = {"n": 30, "accuracy": 0.75, "macro_f1": 0.5, "confusion": [[8, 2], [0, 10]]}
    write_json(path / "metrics.json", {
        "classes": [NAME, "dog"], "multi_label": False, "baselines": {"linear probe": {"test": scores}},
        "tuned": {"test": scores}, "verdicts": [{"name": "Over-fitting", "reason": NAME, "advice": "stop"}],
    })  # fmt: skip
    parameters = {"freeze": -3, "label": NAME, "sensitive": None}
    write_json(path / "recipe.json", {"parameters": parameters, "data": {"source": NAME}, "versions": {"torch": "2"}})
    models = {"tuned": {"difference": {"value": 0.25}}}
    (path / "report").mkdir()
    write_json(path / "report" / "bias.json", {
        "gaps": [{"gap": "accuracy", "split": "test", "attribute": NAME, "models": models}]
    })  # fmt: skip
    (path / "report" / "bias.html").write_text(f'<h1>Bias</h1><p title="{"x" * 10}">a gap</p>', encoding="utf-8")
    (path / "report" / "confusion.png").write_bytes(PNG)
    (path / "README.md").write_text(f"# Card\n{NAME}\n", encoding="utf-8")
    log = EventLog(path)
    for epoch in (1, 2, 3):
        log.scalars({"loss/train": 1 / epoch, "loss/validation": 1.2 / epoch, f"gap/{NAME}": 0.1}, 10 * epoch)
    log.close()
    return path


def test_page_holds_curves_results_bias_recipe_and_card(run: Path) -> None:
    page = handout.write_handout(run)
    for text in ("0.750", "Over-fitting", "all but the last 3 stages", "0.250", "# Card", "2 of 10", "torch"):
        assert text in page
    found = Tags(page).tags
    drawn = [attributes for tag, attributes in found if tag == "polyline"]
    assert len(drawn) == 3
    assert len({one["stroke-dasharray"] for one in drawn[:2]}) == 2  # told apart without colours
    frame = next(attributes for tag, attributes in found if tag == "iframe")
    assert frame["sandbox"] == ""
    assert frame["srcdoc"].startswith("<h1>Bias</h1>")


def test_nothing_on_the_page_runs_or_is_asked_for(run: Path) -> None:
    page = handout.write_handout(run)
    found = Tags(page).tags
    assert not {"script", "link", "object", "form"} & {tag for tag, _ in found}
    assert [attributes["src"][:22] for tag, attributes in found if tag == "img"] == ["data:image/png;base64,"]
    assert not any(name.startswith("on") for _, attributes in found for name in attributes)
    assert "default-src 'none'" in page


def test_what_is_too_large_or_damaged_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handout, "MOST_PICTURES", 10)
    monkeypatch.setattr(handout, "LARGEST_REPORT", 10)
    (run / "metrics.json").write_text("{", encoding="utf-8")
    page = handout.write_handout(run)
    left_out = page[page.index("Left out") :]
    for name in ("confusion.png", "bias.html", "metrics.json"):
        assert name in left_out
    assert "<img" not in re.sub(r"&lt;.*?&gt;", "", page)


def test_run_that_has_only_begun_is_a_page(tmp_path: Path) -> None:
    path = Run.create(tmp_path, "new", "text-classification").path
    assert "text-classification" in handout.write_handout(path)


def test_trials_of_a_search_are_on_its_page(tmp_path: Path) -> None:
    page = handout.write_handout(write_sweep(tmp_path / "sweep"))
    assert "Trials" in page
    assert "pruned" in page or "complete" in page


def test_command_writes_one_file_and_never_over_another(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["handout", str(run), "--out", str(out)])
    assert done.exit_code == 0
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    again = CliRunner().invoke(app, ["handout", str(run), "--out", str(out)])
    assert again.exit_code != 0
    assert "is there already" in str(again.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "runs"]
