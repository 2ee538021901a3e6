"""The log of a run: event files that TensorBoard reads, in the messages of tensorboardX."""

from __future__ import annotations

import os
import secrets
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.crc32c import framed
from tunebook.event_messages import DTYPES, PLUGIN
from tunebook.run_curves import RunCurves
from tunebook.storage import storage_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: Seconds that what was logged may stay in this process before who watches the run can read it.
_DELAY = 0.5
_BINS = 64
#: Scalars of one event: half the time of events of their own, and still short enough to be read as rows of a matrix.
_TOGETHER = 16
_TYPE_NUMBERS = {np.dtype(name): number for number, name in DTYPES.items()}


class EventLog:
    """
    Writer of one event file.

    It uses tensorboardX's messages and not its SummaryWriter, which writes from a thread of its own:
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
        # The library is slow to import, and looking it up again for each step takes time, too.
        from tensorboardX.proto.event_pb2 import Event, SessionLog  # noqa: PLC0415
        from tensorboardX.proto.summary_pb2 import Summary  # noqa: PLC0415

        self.folder = folder
        self._event, self._summary = Event, Summary
        # Readers take files in the order of their first events. A clock that was set back since an earlier run must not
        # put what comes now before what it replaces.
        began = time.time()
        self._ahead = 0.0 if purge_step is None else max(0.0, _last_began(folder) + 1.0 - began)
        name = (
            f"events.out.tfevents.{int(began + self._ahead):010d}.{socket.gethostname()}.{os.getpid()}."
            f"{secrets.token_hex(4)}"
        )
        with self._disk():
            self._stream = (folder / name).open("xb")
        self._handed = time.monotonic()
        self._add(0, file_version="brain.Event:2")
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
        record = framed(self._event(wall_time=time.time() + self._ahead, step=int(step), **what).SerializeToString())
        with self._disk():
            self._stream.write(record)
            if time.monotonic() - self._handed > _DELAY:
                self._stream.flush()
                self._handed = time.monotonic()

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Log some numbers at a step, few of them as one event; NaN marks a value that is undefined."""
        value = self._summary.Value
        found = [value(tag=_unicode(tag), simple_value=float(number)) for tag, number in values.items()]
        for start in range(0, len(found), _TOGETHER):
            self._add(step, summary=self._summary(value=found[start : start + _TOGETHER]))

    def text(self, tag: str, text: str, step: int) -> None:
        """Log a Markdown text at a step."""
        from tensorboardX.summary import text as text_summary  # noqa: PLC0415

        self._add(step, summary=text_summary(_unicode(tag), _unicode(text)))

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """
        Log how numbers are spread at a step: their counts in 64 equal parts of their range.

        Parameters
        ----------
        tag
            Such as ``"weights/head"``.
        values
            Numbers of any shape. Those that are not finite are left out; if none is left, nothing is logged.
        step
            At which they were so.
        """
        flat = np.asarray(values).ravel()
        # Half-precision sums overflow, and differences of whole numbers wrap around.
        flat = flat if flat.dtype in (np.float32, np.float64) else flat.astype(np.float64)
        if not (finite := np.isfinite(flat)).all():
            flat = flat[finite]
        if not len(flat):
            return
        edges, counts = _bins(flat)
        summary = self._summary(value=[self._summary.Value(tag=_unicode(tag))])
        # The limits are those on the right; the first bucket begins at the smallest value.
        histogram = summary.value[0].histo
        histogram.min, histogram.max, histogram.num = float(edges[0]), float(edges[-1]), len(flat)
        with np.errstate(over="ignore"):
            histogram.sum = float(flat.sum(dtype=np.float64))
            histogram.sum_squares = float(np.square(flat, dtype=np.float64).sum())
        histogram.bucket_limit.extend(edges[1:].tolist())
        histogram.bucket.extend(counts.tolist())
        self._add(step, summary=summary)

    def tensor(self, tag: str, array: np.ndarray, step: int) -> None:
        """
        Log an array at a step, such as a confusion matrix, for Tunebook's own views; TensorBoard passes it over.

        Parameters
        ----------
        tag
            Such as ``"confusion/validation"``.
        array
            Numbers of any shape: bool, whole, or floating; no complex ones. Whole numbers are stored in the
            smallest type that holds them, and read back as int64.
        step
            At which it was so.
        """
        array = np.asarray(array)
        if array.dtype.kind in "iu" and array.size:
            array = array.astype(np.result_type(np.min_scalar_type(array.min()), np.min_scalar_type(array.max())))
        array = np.ascontiguousarray(array).reshape(array.shape)
        summary = self._summary(value=[self._summary.Value(tag=_unicode(tag))])
        value = summary.value[0]
        value.metadata.plugin_data.plugin_name = PLUGIN
        value.tensor.dtype = _TYPE_NUMBERS[array.dtype.newbyteorder("<")]
        for axis in range(array.ndim):
            value.tensor.tensor_shape.dim.add(size=array.shape[axis])
        value.tensor.tensor_content = array.astype(array.dtype.newbyteorder("<")).tobytes()
        self._add(step, summary=summary)

    def hyperparameters(self, values: Mapping[str, Any], metrics: Mapping[str, float], step: int) -> None:
        """Log the recipe and its results at the last step, for TensorBoard's HPARAMS page, in this same file."""
        from tensorboardX.summary import hparams  # noqa: PLC0415

        plain = {k: v if isinstance(v, (bool, int, float, str)) else str(v) for k, v in values.items()}
        for summary in hparams(plain, dict(metrics)):
            self._add(step, summary=summary)
        self.scalars(metrics, step)

    def flush(self) -> None:
        """Bring everything to the disk."""
        with self._disk():
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Flush and close the file."""
        with self._disk():
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()


def _last_began(folder: Path) -> float:
    """Return when a folder's last event file was begun, in seconds since 1970, as its name says; 0 if there is none."""
    seconds = (path.name.split(".")[3:4] for path in folder.glob("events.out.tfevents.*"))
    return max((float(text) for part in seconds for text in part if text.isdecimal()), default=0.0)


def _bins(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return edges, (k + 1,), and counts, (k,), of finite numbers."""
    low, high = float(values.min()), float(values.max())
    # One value alone has no range to cut up, nor have neighbours among numbers.
    if low < high and high - low < np.inf and low + (high - low) / _BINS > low:
        counts, edges = np.histogram(values, _BINS, (low, high))
        return edges, counts
    return np.array([low, high]), np.array([len(values)])


def _unicode(text: str) -> str:
    """Return a text that UTF-8 can hold: names of files may be no Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()


def read_scalars(folder: Path) -> dict[str, np.ndarray]:
    """
    Read the scalars of all event files in a folder, whoever wrote them.

    What a resumed run logged again replaces what came after its checkpoint. A record that is
    cut off, as the last one of a killed run may be, is left out, and damaged ones are.

    Returns
    -------
    dict
        Tag to an array of shape (n, 2), float64: step and value, in the order of logging.

    Raises
    ------
    StorageError
        A file cannot be read.
    """
    curves = RunCurves(folder)
    curves.poll()
    return {tag: curves.points(tag)[:, :2] for tag in curves.tags}
