"""The log of a run: event files that TensorBoard reads, written through tensorboardX."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.errors import StorageError
from tunebook.storage import storage_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class EventLog:
    """
    Writer of one event file.

    It uses tensorboardX's records and not its SummaryWriter, which writes from a thread of its own:
    when the disk is full the thread dies, its queue fills up, and training hangs for ever. It also
    names files by the second, so that a second writer in the same second erases the first's file.

    Parameters
    ----------
    folder
        The run directory; the file's name is unique, so any number of writers can share it.
    purge_step
        When a run goes on from a checkpoint: readers drop what was logged at this step and later.

    Raises
    ------
    StorageError
        From every method: the disk refuses, the line names the folder.
    """

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        from tensorboardX.event_file_writer import EventsWriter  # noqa: PLC0415 - slow to import
        from tensorboardX.proto.event_pb2 import SessionLog  # noqa: PLC0415

        self.folder = folder
        with self._disk():
            self._events = EventsWriter(str(folder / "events"), f".{os.getpid()}.{secrets.token_hex(4)}")
        if purge_step is not None:
            self._add(purge_step, session_log=SessionLog(status=SessionLog.START))
        self.flush()

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_error(self.folder, error) from error

    def _add(self, step: int, **what: Any) -> None:  # noqa: ANN401
        from tensorboardX.proto.event_pb2 import Event  # noqa: PLC0415

        with self._disk():
            self._events.write_event(Event(wall_time=time.time(), step=int(step), **what))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Log some numbers at a step; NaN marks a value that is undefined."""
        from tensorboardX.summary import scalar  # noqa: PLC0415

        for tag, value in values.items():
            self._add(step, summary=scalar(tag, float(value)))

    def text(self, tag: str, text: str, step: int) -> None:
        """Log a Markdown text at a step."""
        from tensorboardX.summary import text as text_summary  # noqa: PLC0415

        self._add(step, summary=text_summary(tag, text))

    def hyperparameters(self, values: Mapping[str, Any], metrics: Mapping[str, float], step: int) -> None:
        """Log the recipe and its results at the last step, for TensorBoard's HPARAMS page, in this same file."""
        from tensorboardX.summary import hparams  # noqa: PLC0415

        plain = {k: v if isinstance(v, (bool, int, float, str)) else str(v) for k, v in values.items()}
        for summary in hparams(plain, dict(metrics)):
            self._add(step, summary=summary)
        self.scalars(metrics, step)

    def flush(self) -> None:
        """Hand everything to the system."""
        with self._disk():
            self._events.flush()

    def close(self) -> None:
        """Flush and close the file."""
        with self._disk():
            self._events.close()


def read_scalars(folder: Path) -> dict[str, np.ndarray]:
    """
    Read the scalars of all event files in a folder, whoever wrote them.

    What a resumed run logged again replaces what came after its checkpoint. A record that is
    cut off, as the last one of a killed run may be, ends its file without an error.

    Returns
    -------
    dict
        Tag to an array of shape (n, 2), float64: step and value, in the order of logging.

    Raises
    ------
    StorageError
        A file cannot be read.
    """
    from tensorboardX.proto.event_pb2 import SessionLog  # noqa: PLC0415

    files = []
    for path in folder.glob("events.out.tfevents.*"):
        events = list(_events(path))
        if events:
            files.append((events[0].wall_time, path.name, events))
    found: dict[str, list[tuple[float, float]]] = {}
    for _, _, events in sorted(files, key=lambda entry: entry[:2]):
        for event in events:
            if event.HasField("session_log") and event.session_log.status == SessionLog.START:
                found = {tag: [p for p in points if p[0] < event.step] for tag, points in found.items()}
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return {tag: np.array(points, dtype=np.float64).reshape(-1, 2) for tag, points in found.items()}


def _events(path: Path) -> Iterator[Any]:
    from google.protobuf.message import DecodeError  # noqa: PLC0415
    from tensorboardX.proto.event_pb2 import Event  # noqa: PLC0415

    try:
        raw = path.read_bytes()
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise StorageError(msg) from None
    # A record is its length (8 bytes), a checksum (4), the message, and a checksum (4).
    start = 0
    while start + 12 <= len(raw):
        length = int.from_bytes(raw[start : start + 8], "little")
        end = start + 12 + length
        if end + 4 > len(raw):
            return
        try:
            yield Event.FromString(raw[start + 12 : end])
        except DecodeError:
            return
        start = end + 4
