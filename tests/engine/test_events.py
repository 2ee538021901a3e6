"""Event files are what TensorBoard reads, and a full disk is said at once."""

from __future__ import annotations

import math
import os
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tunebook.errors import StorageError
from tunebook.events import EventLog, read_scalars
from tunebook.run_curves import RunCurves

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def read() -> Callable[[Path], Any]:
    """Read a folder with TensorBoard's own reader."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator

    def read(folder: Path) -> Any:
        found = reader(str(folder))
        found.Reload()
        return found

    return read


def test_tensorboard_reads_what_was_logged(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    log = EventLog(tmp_path)
    for step in range(3):
        log.scalars({"loss": 1.0 / (step + 1), "nothing": math.nan}, step)
    log.text("card", "# Title", 2)
    log.close()
    found = read(tmp_path)
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [(n, pytest.approx(1 / (n + 1))) for n in range(3)]
    assert all(math.isnan(e.value) for e in found.Scalars("nothing"))
    assert abs(found.Scalars("loss")[0].wall_time - time.time()) < 60
    assert found.Tags()["tensors"] == ["card/text_summary"]


def test_hyperparameters_are_in_the_same_file(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    log = EventLog(tmp_path)
    log.hyperparameters({"lr": 0.1, "freeze": [1, 2], "onnx": True, "none": None}, {"accuracy": 0.5}, 7)
    log.close()
    assert len(list(tmp_path.iterdir())) == 1
    found = read(tmp_path)
    assert found.Scalars("accuracy")[0].value == 0.5
    plugin = found.SummaryMetadata("_hparams_/session_start_info").plugin_data
    assert plugin.plugin_name == "hparams"
    assert b"lr" in plugin.content


def test_two_writers_in_one_second_both_survive(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    logs = [EventLog(tmp_path), EventLog(tmp_path)]
    for number, log in enumerate(logs):
        log.scalars({f"from {number}": number}, 0)
    for log in logs:
        log.close()
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 2
    values = {}
    for file in tmp_path.iterdir():
        found = read(file)
        values |= {tag: found.Scalars(tag)[0].value for tag in found.Tags()["scalars"]}
    assert len(values) == 2


def test_a_run_that_goes_on_purges_what_came_after(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    log = EventLog(tmp_path)
    for step in range(6):
        log.scalars({"loss": 0.0}, step)
    log.close()
    # The reader takes the files of a folder in the order of their names, which begin with the second.
    first = next(tmp_path.iterdir())
    first.rename(tmp_path / "events.out.tfevents.1000000000.a")
    log = EventLog(tmp_path, purge_step=3)
    for step in range(3, 5):
        log.scalars({"loss": 1.0}, step)
    log.close()
    assert [(e.step, e.value) for e in read(tmp_path).Scalars("loss")] == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)]


def test_what_is_flushed_is_readable_before_the_end(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    log = EventLog(tmp_path)
    log.scalars({"loss": 1.0}, 0)
    log.flush()
    assert read(tmp_path).Scalars("loss")[0].value == 1.0
    log.close()


@pytest.mark.parametrize("last", ["flush", "close"])
def test_a_full_disk_is_said_and_does_not_hang(tmp_path: Path, last: str) -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("no /dev/full")
    log = EventLog(tmp_path)
    descriptor = log._stream.fileno()
    whole = os.dup(descriptor)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, descriptor)
    log.scalars({"loss": 1.0}, 0)
    with pytest.raises(StorageError, match="No space left on device"):
        getattr(log, last)()
    os.dup2(whole, descriptor)
    os.close(whole)
    os.close(full)
    log.close()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        EventLog(tmp_path / "file")


def test_a_step_of_several_scalars_is_one_event(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    log = EventLog(tmp_path)
    log.flush()
    before = _size(tmp_path)
    log.scalars({"a": 1.0, "b": 2.0, "lr/head": 3.0}, 5)
    log.scalars({}, 6)
    log.close()
    assert _size(tmp_path) - before < 90
    found = read(tmp_path)
    assert [(e.step, e.value) for tag in ("a", "b", "lr/head") for e in found.Scalars(tag)] == [(5, 1), (5, 2), (5, 3)]


def test_names_of_classes_are_kept_as_they_are(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    names = ["recall/<img src=x onerror=alert(1)>", "recall/c++", "recall/c--", "recall/\udcff", "/猫 1"]
    log = EventLog(tmp_path)
    log.scalars(dict.fromkeys(names, 0.5), 0)
    log.text("marks", "\udcff", 0)
    log.close()
    wanted = [name.replace("\udcff", "\\udcff") for name in names]
    assert read(tmp_path).Tags()["scalars"] == wanted
    assert list(read_scalars(tmp_path)) == wanted


def test_who_watches_reads_a_step_half_a_second_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    log = EventLog(tmp_path)
    log.scalars({"loss": 1.0}, 0)
    assert read_scalars(tmp_path) == {}
    now[0] = 0.6
    log.scalars({"loss": 2.0}, 1)
    assert len(read_scalars(tmp_path)["loss"]) == 2
    log.close()


HISTOGRAMS = (
    np.random.default_rng(0).normal(size=1000).astype(np.float32), np.array([3.0]), np.zeros((4, 5)),
    np.array([1.0, np.nan, 2.0, np.inf, -np.inf]), np.arange(100, dtype=np.uint8),
    np.array([-65504, 65504], np.float16), np.array([1.0, np.nextafter(1.0, 2.0)]), np.array([-1.7e308, 1.7e308]),
)  # fmt: skip


@pytest.mark.parametrize("values", HISTOGRAMS)
def test_histograms_are_read_back_and_by_tensorboard(
    tmp_path: Path, read: Callable[[Path], Any], values: np.ndarray
) -> None:
    log = EventLog(tmp_path)
    log.histogram("weights/head", values, 3)
    log.close()
    finite = values.ravel()[np.isfinite(values.ravel())].astype(float)
    curves = RunCurves(tmp_path)
    assert curves.poll()
    ((step, edges, counts),) = curves.histograms("weights/head")
    assert (step, counts.sum(), len(edges)) == (3, len(finite), len(counts) + 1)
    assert (edges[0], edges[-1]) == (finite.min(), finite.max())
    assert (edges[1:] >= edges[:-1]).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own arithmetic
        ((event),) = read(tmp_path).Histograms("weights/head")
    shown = event.histogram_value
    assert (shown.min, shown.max, shown.num) == (finite.min(), finite.max(), len(finite))
    assert sum(shown.bucket) == len(finite)


def test_a_histogram_counts_as_numpy_does(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=500)
    log = EventLog(tmp_path)
    log.histogram("weights/head", values, 0)
    log.close()
    curves = RunCurves(tmp_path)
    curves.poll()
    ((_, edges, counts),) = curves.histograms("weights/head")
    wanted, wanted_edges = np.histogram(values, 64)
    assert counts.tolist() == wanted.tolist()
    assert np.allclose(edges, wanted_edges)


@pytest.mark.parametrize("values", [[], [np.nan, np.inf]])
def test_a_histogram_of_nothing_is_not_logged(tmp_path: Path, values: list[float]) -> None:
    log = EventLog(tmp_path)
    log.histogram("weights/head", np.array(values), 0)
    log.close()
    curves = RunCurves(tmp_path)
    assert not curves.poll()
    assert curves.histogram_tags == []


ARRAYS = (
    np.array([[5, 0], [300, 70000]]), np.zeros((3, 0), np.int64), np.array(7), np.array([-1, 200]),
    np.array([True, False]),
    np.array([2**63], np.uint64) >> np.uint64(1), np.array([0.1, np.nan], np.float32), np.array([[0.1]]),
    np.array([1.5], np.float16), np.arange(12).reshape(3, 4).T, np.array([1, 2], ">i4"),
)  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS)
def test_tensors_are_read_back_and_passed_over_by_tensorboard(
    tmp_path: Path, read: Callable[[Path], Any], array: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    log = EventLog(tmp_path)
    log.tensor("confusion/validation", array, 2)
    log.scalars({"loss": 1.0}, 3)
    log.close()
    curves = RunCurves(tmp_path)
    curves.poll()
    ((step, found),) = curves.tensors("confusion/validation")
    assert step == 2
    assert np.array_equal(found, array, equal_nan=array.dtype.kind == "f")
    assert found.shape == array.shape
    assert found.dtype == (np.int64 if array.dtype.kind in "iu" else array.dtype)
    assert read(tmp_path).Scalars("loss")[0].value == 1.0
    assert not caplog.records


def test_counts_take_few_bytes(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    before = _size(tmp_path)
    log.tensor("confusion/validation", np.eye(100, dtype=np.int64) * 200, 0)
    log.close()
    assert _size(tmp_path) - before < 10_200


def _size(folder: Path) -> int:
    (file,) = folder.iterdir()
    return file.stat().st_size


def test_scalars_are_read_back_with_what_a_resumed_run_replaced(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for step in range(6):
        log.scalars({"loss": 0.0, "lr": 0.5}, step)
    log.close()
    log = EventLog(tmp_path, purge_step=4)
    log.scalars({"loss": 1.0}, 4)
    log.close()
    found = read_scalars(tmp_path)
    assert found["loss"].tolist() == [[0, 0], [1, 0], [2, 0], [3, 0], [4, 1]]
    assert len(found["lr"]) == 4


def test_a_file_that_is_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for step in range(3):
        log.scalars({"loss": step}, step)
    log.close()
    file = next(tmp_path.iterdir())
    raw = file.read_bytes()
    for end in range(len(raw)):
        file.write_bytes(raw[:end])
        assert len(read_scalars(tmp_path).get("loss", [])) <= 2
    assert read_scalars(tmp_path / "nowhere") == {}
