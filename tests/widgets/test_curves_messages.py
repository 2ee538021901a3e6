"""Messages to the curves' front end: all of it once, then what is new, and closer looks when asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tunebook.events import EventLog
from tunebook_widgets.curve_messages import CurveMessages, histogram_json
from tunebook_widgets.curve_source import CurveSource

sys.path.insert(0, str(Path(__file__).parent))
import curves_run

if TYPE_CHECKING:
    from tunebook_widgets.curve_messages import Message


def _source(folder: Path, key: str = "0") -> CurveSource:
    source = CurveSource(folder, key, folder.name)
    source.poll()
    return source


def _rows(message: Message) -> dict[str, np.ndarray]:
    """Return steps and values by tag, as the front end reads them."""
    header, buffers = message
    data, place, found = b"".join(buffers), 0, {}
    for run in header["runs"]:
        for tag, _, count, is_thinned in run["curves"]:
            steps = np.frombuffer(data, "<f8", count, place)
            values = np.frombuffer(data, "<f4", count, place + 8 * count)
            place += (20 if is_thinned else 12) * count
            found[tag] = np.stack([steps, values], axis=1)
    assert place == len(data)
    return found


def test_the_first_message_says_everything_and_the_next_nothing(tmp_path: Path) -> None:
    messages = CurveMessages([_source(curves_run.write_run(tmp_path).path)])
    first = messages.whole()
    (run,) = first[0]["runs"]
    assert first[0]["whole"] is True
    assert (run["name"], run["state"], run["damaged"], run["best"]) == ("one", "finished", 0, 20.0)
    assert run["marks"] == [(0.0, "stage: head trains"), (10.0, "dropout head 0.2 → 0.4")]
    assert run["histogram_tags"] == ["weights/head"]
    assert run["has_confusion"] is True
    assert _rows(first)["train/loss"][:, 0].tolist() == list(range(1, 31))
    json.dumps(first[0], allow_nan=False)
    assert messages.news() is None
    assert messages.whole()[0]["runs"] == first[0]["runs"]


def test_news_hold_what_is_new_alone(tmp_path: Path) -> None:
    source = _source(tmp_path / "log")
    messages = CurveMessages([source])
    assert messages.whole()[0]["runs"][0]["curves"] == []
    log = EventLog(_made(tmp_path / "log"))
    log.scalars({"a": 1.0, "b": 2.0}, 1)
    log.flush()
    source.poll()
    first = messages.news()
    assert first is not None
    assert set(_rows(first)) == {"a", "b"}
    log.scalars({"a": 3.0}, 2)
    log.close()
    source.poll()
    second = messages.news()
    assert second is not None
    assert second[0]["runs"][0]["curves"] == [["a", 1, 1, False]]
    assert _rows(second)["a"].tolist() == [[2.0, 3.0]]
    assert "name" not in second[0]["runs"][0]


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def test_a_closer_look_has_every_point(tmp_path: Path) -> None:
    log = EventLog(_made(tmp_path / "log"))
    for step in range(1, 10_001):
        log.scalars({"long": float(step % 7)}, step)
        if step % 100 == 0:
            log.scalars({"short": 1.0}, step)
    log.close()
    messages = CurveMessages([_source(tmp_path / "log")])
    assert len(_rows(messages.whole())["long"]) < 3_000
    message = messages.detail({"0": [100.0, 299.5]}, 800)
    assert message[0]["ranges"] == {"0": (100.0, 299.5)}
    assert list(_rows(message)) == ["long"]
    assert _rows(message)["long"][:, 0].tolist() == list(range(100, 300))


@pytest.mark.parametrize(
    ("ranges", "width"),
    [
        ({}, 800),
        ({"0": "all"}, 800),
        ({"0": [1.0]}, None),
        ({"0": [float("nan"), 2.0]}, float("inf")),
        ({"0": [5.0, 1.0]}, -3),
        ({"9": [1.0, 2.0]}, 10**12),
    ],
)
def test_a_strange_closer_look_is_answered_with_nothing(tmp_path: Path, ranges: dict[str, Any], width: object) -> None:
    messages = CurveMessages([_source(curves_run.write_run(tmp_path).path)])
    messages.whole()
    header, buffers = messages.detail(ranges, width)
    assert sum(len(buffer) for buffer in buffers) == 0
    json.dumps(header, allow_nan=False)


def test_matrices_and_histograms_come_when_they_are_asked_for(tmp_path: Path) -> None:
    messages = CurveMessages([_source(curves_run.write_run(tmp_path).path)])
    confusion = messages.confusion("0")
    assert confusion is not None
    found = confusion[0]["runs"][0]["confusion"]
    assert found["classes"] == list(curves_run.CLASSES)
    assert found["steps"] == [10.0, 20.0, 30.0]
    assert {len(counts) for counts in found["counts"]} == {9}
    histograms = messages.histograms("0")
    assert histograms is not None
    step, edges, counts = histograms[0]["runs"][0]["histograms"]["weights/head"][-1]
    assert (step, len(edges), sum(counts)) == (30.0, len(counts) + 1, 500.0)
    json.dumps([confusion[0], histograms[0]], allow_nan=False)
    assert messages.confusion("7") is None
    assert messages.histograms("7") is None


def test_histograms_of_other_programs_are_shown_as_far_as_they_can_be() -> None:
    wide = histogram_json(3, [-1.7e308, 0.0, 1.0, np.inf], [1.0, 2.0, 3.0])
    assert wide == [3.0, [-1.7e308, 0.0, 1.0, 1.0], [1.0, 2.0, 3.0]]
    assert histogram_json(3, [], []) == [3.0, [0.0, 1.0], [0.0]]
    assert histogram_json(3, [np.nan, np.nan], [1.0]) == [3.0, [0.0, 1.0], [0.0]]


def test_the_words_tell_of_over_fitting_while_the_run_goes_on(tmp_path: Path) -> None:
    run = curves_run.write_run(tmp_path)
    run.update(state="queued")
    log = EventLog(run.path)
    for epoch in (4, 5):
        scores = {f"{k}/{s}": 0.99 if s == "train" else 0.4 for k in ("accuracy", "macro_f1") for s in _SPLITS}
        log.scalars({**scores, "loss/train": 0.01, "loss/validation": 4.0 + epoch, "epoch": float(epoch)}, 10 * epoch)
    log.close()
    source = _source(run.path)
    assert source.words.startswith("Over-fitting: Validation loss rose")
    assert "best epoch so far is 2" in source.words


_SPLITS = ("train", "validation")


def test_the_clock_never_goes_back_and_a_folder_of_other_files_has_no_best(tmp_path: Path) -> None:
    log = EventLog(_made(tmp_path / "log"))
    for step in range(1, 500):
        log.scalars({"a": 1.0}, step)
    log.close()
    source = _source(tmp_path / "log")
    steps, seconds = source.clock()
    assert (steps[0], steps[-1]) == (1.0, 499.0)
    assert len(steps) <= 64
    assert (np.diff(seconds) >= 0).all()
    assert source.best() is None
    assert source.history() == []
    assert source.state == ""


def test_a_damaged_state_or_recipe_leaves_the_curves(tmp_path: Path) -> None:
    run = curves_run.write_run(tmp_path)
    (run.path / "recipe.json").write_text('{"parameters": 3}')
    (run.path / "state.json").write_text("[1, 2")
    source = _source(run.path)
    assert source.state == ""
    assert source.class_names(3) == ["0", "1", "2"]
    assert len(source.curves.points("train/loss")) == 30
