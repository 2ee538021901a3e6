"""The curves of a folder are those that reading it as a whole gives, at any time and in any order of arrival."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
import event_files as files

from tunebook.errors import StorageError
from tunebook.events import EventLog
from tunebook.run_curves import RunCurves, best_epoch

FIRST, SECOND = "events.out.tfevents.1.b", "events.out.tfevents.2.a"


def whole(folder: Path) -> dict[str, Any]:
    """Read a folder at once."""
    curves = RunCurves(folder)
    curves.poll()
    return state(curves)


def state(curves: RunCurves) -> dict[str, Any]:
    return {
        "scalars": {tag: curves.points(tag).tolist() for tag in sorted(curves.tags) if len(curves.points(tag))},
        "texts": {tag: curves.texts(tag) for tag in sorted(curves.text_tags) if curves.texts(tag)},
        "damaged": curves.damaged,
    }


def text(step: int, words: str) -> bytes:
    return files.summary(step, files.tensor("marks/text_summary", "text", dtype=7, string_val=[words.encode()]))


def append(path: Path, *parts: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(b"".join(parts))


def test_tags_and_points_are_in_order(tmp_path: Path) -> None:
    files.write(tmp_path, files.version(), files.scalars([("b", 1, 0.5, 9.0), ("a", 2, 1.5, 9.5), ("b", 3, 2.5, 10.0)]))
    curves = RunCurves(tmp_path)
    assert curves.tags == []
    assert curves.poll()
    assert curves.tags == ["b", "a"]
    assert curves.points("b").tolist() == [[1, 0.5, 9.0], [3, 2.5, 10.0]]
    assert curves.points("nothing").shape == (0, 3)
    assert curves.texts("nothing") == curves.histograms("nothing") == curves.tensors("nothing") == []


def test_a_folder_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    curves = RunCurves(tmp_path / "later")
    assert not curves.poll()
    files.write(tmp_path / "later", files.scalars([("a", 1, 1.0, 1.0)]))
    assert curves.poll()
    assert len(curves.points("a")) == 1


def test_a_single_file_can_be_read(tmp_path: Path) -> None:
    path = files.write(tmp_path, files.scalars([("a", 1, 1.0, 1.0)]), name="any name")
    curves = RunCurves(path)
    assert curves.poll()
    assert curves.tags == ["a"]


def test_an_unchanged_folder_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(tmp_path, files.scalars([("a", 1, 1.0, 1.0)]))
    curves = RunCurves(tmp_path)
    curves.poll()

    def opened(*_: Any, **__: Any) -> Any:
        pytest.fail("the file was opened")

    monkeypatch.setattr(Path, "open", opened)
    assert not curves.poll()


def test_points_that_were_handed_out_stay_as_they_are(tmp_path: Path) -> None:
    path = files.write(tmp_path, files.version(), files.scalars([("a", n, n, 1.0) for n in range(10)]))
    curves = RunCurves(tmp_path)
    curves.poll()
    points = curves.points("a")
    before = points.copy()
    with pytest.raises(ValueError, match="read-only"):
        points[0, 0] = 5
    append(path, files.start(3), files.scalars([("a", n, -n, 2.0) for n in range(3, 90)]))
    curves.poll()
    assert (points == before).all()
    assert curves.points("a")[:, 1].tolist() == [0, 1, 2, *(-n for n in range(3, 90))]


def test_a_start_voids_texts_and_tensors_too(tmp_path: Path) -> None:
    for purge in (None, 2):
        log = EventLog(tmp_path, purge)
        for step in range(purge or 0, 4):
            log.text("marks", f"{purge} {step}", step)
            log.tensor("confusion/validation", np.full((2, 2), step), step)
            log.histogram("weights/head", np.arange(step + 2), step)
        log.close()
    curves = RunCurves(tmp_path)
    curves.poll()
    assert [step for step, _ in curves.tensors("confusion/validation")] == [0, 1, 2, 3]
    assert [step for step, _, _ in curves.histograms("weights/head")] == [0, 1, 2, 3]
    assert [words for _, words in curves.texts("marks")] == ["None 0", "None 1", "2 2", "2 3"]
    assert (curves.text_tags, curves.tensor_tags) == (["marks"], ["confusion/validation"])


def test_a_start_within_a_long_piece_splits_it(tmp_path: Path) -> None:
    before = [("a", n, 0.0, 1.0) for n in range(100)]
    after = [("a", n, 1.0, 1.0) for n in range(50, 120)]
    files.write(tmp_path, files.version(), files.scalars(before), files.start(50), files.scalars(after))
    assert [row[:2] for row in whole(tmp_path)["scalars"]["a"]] == [[n, float(n >= 50)] for n in range(120)]


def test_a_file_that_was_begun_earlier_comes_first_whenever_it_arrives(tmp_path: Path) -> None:
    late = files.version(2.0) + files.start(5, 2.0) + files.scalars([("a", n, 2.0, 3.0) for n in range(5, 9)])
    early = files.version(1.0) + files.scalars([("a", n, 1.0, 1.0) for n in range(7)])
    files.write(tmp_path, late, name=SECOND)
    curves = RunCurves(tmp_path)
    curves.poll()
    path = files.write(tmp_path, early, name=FIRST)
    assert curves.poll()
    append(path, files.scalars([("a", 4, 1.5, 2.5), ("a", 5, 1.5, 2.5)]))
    assert curves.poll()
    rows = [row[:2] for row in curves.points("a").tolist()]
    assert rows == [[0, 1], [1, 1], [2, 1], [3, 1], [4, 1], [4, 1.5], [5, 2], [6, 2], [7, 2], [8, 2]]
    assert state(curves) == whole(tmp_path)


EVENTS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(["point", "text", "start", "damage"]), st.integers(0, 9)), max_size=30
)


@given(EVENTS, st.sets(st.integers(0, 30)), st.sampled_from([(1.0, 2.0), (2.0, 1.0), (1.0, 1.0)]))
def test_reading_while_files_grow_ends_as_reading_them_at_once(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[int, str, int]],
    looks: set[int],
    begun: tuple[float, float],
) -> None:
    folder = tmp_path_factory.mktemp("log")
    paths = [
        files.write(folder, files.version(wall), name=name) for wall, name in zip(begun, (FIRST, SECOND), strict=True)
    ]
    curves = RunCurves(folder)
    for number, (file, kind, step) in enumerate(events):
        match kind:
            case "point":
                raw = files.scalars([(f"tag {step % 2}", step, number, 5.0)])
            case "text":
                raw = text(step, f"{number}")
            case "start":
                raw = files.start(step)
            case _:
                raw = files.scalars([("a", step, number, 5.0)])[:-1] + b"\0" + files.version()
        append(paths[file], raw)
        if number in looks:
            curves.poll()
    curves.poll()
    assert state(curves) == whole(folder)


@pytest.mark.parametrize("how", ["cut", "replaced", "removed"])
def test_a_file_that_changed_behind_makes_it_start_over(tmp_path: Path, how: str) -> None:
    path = files.write(tmp_path, files.version(), files.scalars([("a", n, 0.0, 1.0) for n in range(20)]))
    files.write(tmp_path, files.version(0.5), files.scalars([("b", n, 0.0, 1.0) for n in range(5)]), name=FIRST)
    curves = RunCurves(tmp_path)
    curves.poll()
    if how == "removed":
        path.unlink()
    else:
        part = files.scalars([("a" if how == "cut" else "c", n, 0.0, 1.0) for n in range(20)])
        path.write_bytes(files.version() + part[: len(part) // 2 if how == "cut" else None])
        os.utime(path, (5, 5))
    assert curves.poll()
    assert state(curves) == whole(tmp_path)
    assert "b" in curves.tags
    assert not curves.poll()


def test_files_that_are_none_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.folder").mkdir()
    (tmp_path / "notes.txt").write_text("no events", encoding="utf-8")
    files.write(tmp_path, b"not an event file at all, but named as one")
    curves = RunCurves(tmp_path)
    assert curves.poll()
    assert (curves.tags, curves.damaged) == ([], 1)


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(tmp_path, files.version())

    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tunebook.event_reader.open_stream", refused)
    with pytest.raises(StorageError, match=r"cannot read .*Permission denied"):
        RunCurves(tmp_path).poll()


def test_a_million_points_take_their_24_bytes_and_little_more(tmp_path: Path) -> None:
    import tracemalloc

    event = bytearray(files.scalars([("a", 1, 1.0, 1.0)]))
    files.write(tmp_path, bytes(event) * 200_000)
    curves = RunCurves(tmp_path)
    tracemalloc.start()
    curves.poll()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(curves.points("a")) == 200_000
    assert kept < 200_000 * 24 * 1.3 + 2_000_000


def test_large_tensors_of_zeros_are_kept_small(tmp_path: Path) -> None:
    import tracemalloc

    log = EventLog(tmp_path)
    for step in range(5):
        log.tensor("confusion/validation", np.eye(600, dtype=np.int64) * 300, step)
    log.close()
    curves = RunCurves(tmp_path)
    tracemalloc.start()
    curves.poll()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [array.trace() for _, array in curves.tensors("confusion/validation")] == [600 * 300] * 5
    assert kept < 5_000_000


def test_curves_are_read_without_loading_torch() -> None:
    import subprocess

    code = (
        "import sys, tunebook.run_curves; print([n for n in ('torch', 'tensorboardX', 'google') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("monitor", "best"),
    [("accuracy", 3), ("loss", 2), ("roc_auc", 1), ("ece", 4), ("gap", 4), ("gap:tone", 1), ("specificity", None)],
)
def test_the_best_epoch_is_found_in_logs_that_do_not_name_it(tmp_path: Path, monitor: str, best: int | None) -> None:
    rows = {
        "loss/validation": [0.9, 0.2, 0.5, 0.4], "accuracy/validation": [0.5, 0.6, 0.8, 0.7],
        "roc_auc/validation": [0.9, math.nan, 0.8, 0.7], "calibration_error/validation": [0.4, 0.3, 0.2, 0.1],
        "gap/tone": [0.0, 0.3, 0.2, 0.1], "gap/age": [0.5, 0.4, 0.3, 0.1],
    }  # fmt: skip
    log = EventLog(tmp_path)
    for epoch in range(4):
        log.scalars({tag: values[epoch] for tag, values in rows.items()}, 10 * (epoch + 1))
    log.close()
    curves = RunCurves(tmp_path)
    curves.poll()
    assert best_epoch(curves, monitor) == best


def test_the_best_epoch_that_training_wrote_down_holds(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for epoch, best in ((1, 1), (2, 1), (3, 1)):
        log.scalars({"loss/validation": 1.0 / epoch, "accuracy/validation": 0.5, "best/epoch": best}, epoch)
    log.close()
    curves = RunCurves(tmp_path)
    assert best_epoch(curves, "accuracy") is None
    curves.poll()
    assert best_epoch(curves, "accuracy") == 1
