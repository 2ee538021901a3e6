"""Event files are what TensorBoard reads, and a full disk is said at once."""

from __future__ import annotations

import math
import os
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from tunebook.errors import StorageError
from tunebook.events import EventLog, read_scalars

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
    descriptor = log._events._py_recordio_writer._writer.fileno()
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
