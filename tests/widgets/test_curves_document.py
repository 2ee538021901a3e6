"""The curves in a saved notebook: small JSON that keeps what matters, a picture and a text."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunebook.events import EventLog
from tunebook_widgets.curve_document import LARGEST, document
from tunebook_widgets.curve_picture import picture, text
from tunebook_widgets.curve_source import CurveSource

sys.path.insert(0, str(Path(__file__).parent))
import curves_run


def _source(folder: Path, key: str = "0") -> CurveSource:
    source = CurveSource(folder, key, folder.name)
    source.poll()
    return source


def _size(found: dict[str, Any]) -> int:
    return len(json.dumps(found, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())


def test_a_short_run_is_kept_whole(tmp_path: Path) -> None:
    (run,) = document([_source(curves_run.write_run(tmp_path).path)])["runs"]
    assert run["left_out"] == 0
    steps, values = run["curves"]["train/loss"]
    assert steps == list(range(1, 31))
    assert values[0] == 3
    assert run["curves"][f"recall/{curves_run.CLASSES[0]}"][1][0] is None
    assert run["confusion"]["classes"][2] == curves_run.HOSTILE
    assert len(run["histograms"]["weights/head"]) == 2
    assert (run["best"], run["state"], run["name"]) == (20.0, "finished", "one")


def test_a_long_run_with_a_thousand_classes_fits_and_keeps_its_spike(tmp_path: Path) -> None:
    classes = [f"class {number:04}" for number in range(1000)]
    run = curves_run.write_run(tmp_path, epochs=30, per_epoch=3, classes=classes)
    log = EventLog(run.path)
    for step in range(91, 20_000):
        log.scalars({"train/loss": 77.0 if step == 12_345 else 1.0, "train/grad_norm": step / 7}, step)
    log.close()
    found = document([_source(run.path)])
    assert _size(found) <= LARGEST
    (kept,) = found["runs"]
    assert kept["left_out"] > 0
    assert {"loss/train", "loss/validation", "train/loss", "lr/head", "epoch"} <= set(kept["curves"])
    steps, values, means, counts = kept["curves"]["train/loss"]
    assert max(values) == 77
    assert steps[values.index(77)] == 12_345
    assert sum(counts) == 19_999
    assert len(means) == len(steps)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_several_runs_fit_together(tmp_path: Path, count: int) -> None:
    sources = []
    for number in range(count):
        run = curves_run.write_run(tmp_path, f"run {number}", epochs=4, per_epoch=800)
        sources.append(_source(run.path, str(number)))
    found = document(sources)
    assert _size(found) <= LARGEST
    assert [run["key"] for run in found["runs"]] == [str(number) for number in range(count)]
    assert all(run["curves"]["loss/validation"][0] for run in found["runs"])


def test_large_matrices_are_left_out(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.tensor("confusion/validation", np.eye(600, dtype=np.int64), 1)
    log.scalars({"a": 1.0}, 1)
    log.close()
    (run,) = document([_source(tmp_path)])["runs"]
    assert run["confusion"] is None
    assert run["curves"]["a"] == [[1], [1]]


def test_the_text_tells_every_epoch_the_best_one_and_what_a_hand_did(tmp_path: Path) -> None:
    told = text([_source(curves_run.write_run(tmp_path).path)]).splitlines()
    assert told[0] == "one: finished"
    assert [line.split()[0] for line in told[2:5]] == ["1", "2", "3"]
    assert [line.endswith("*") for line in told[2:5]] == [False, True, False]
    assert "step 10: dropout head 0.2 → 0.4" in told


def test_event_files_of_another_program_are_told_by_their_last_values(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for step in (1, 2):
        log.scalars({"Perf/\u202efps": 30.0 * step}, step)
    log.close()
    told = text([_source(tmp_path)])
    assert "event files" in told
    assert "60 at step 2, 2 points" in told
    assert "\u202e" not in told


def test_pictures_are_png_for_none_one_and_many_runs(tmp_path: Path) -> None:
    one = _source(curves_run.write_run(tmp_path, "$odd_{name").path)
    two = _source(curves_run.write_run(tmp_path, "two", epochs=1).path, "1")
    empty = CurveSource(tmp_path / "nothing", "2", "nothing")
    for sources in ([one], [one, two], [empty], []):
        drawn = picture(sources)
        assert drawn.png.startswith(b"\x89PNG")
        assert drawn.text
