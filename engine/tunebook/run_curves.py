"""The curves of a run, read from its event files while they grow."""

from __future__ import annotations

import math
import stat
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from tunebook.decimation import decimate
from tunebook.errors import StorageError
from tunebook.event_reader import EventReader
from tunebook.event_series import Entries, FileKey, Points, Purges
from tunebook.monitors import BEST_EPOCH, GAP, GAPS, curve, larger_is_better
from tunebook.opening import is_file, names_in, status

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from tunebook.event_pieces import Piece

__all__ = ["RunCurves", "best_epoch", "decimate"]

_FILES = "events.out.tfevents."


class RunCurves:
    """
    What the event files of a folder say, whoever wrote them.

    Files are taken in the order in which they were begun. What a resumed run logged again replaces what came after its
    checkpoint. Nothing is read before :meth:`poll`.

    Parameters
    ----------
    folder
        A run directory, or any folder of event files, there yet or not; or one event file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._start_over()

    def _start_over(self) -> None:
        self._readers: dict[Path, EventReader] = {}
        self._purges = Purges()
        self._scalars: dict[str, Points] = {}
        self._texts: dict[str, Entries[str]] = {}
        self._histograms: dict[str, Entries[tuple[np.ndarray, np.ndarray]]] = {}
        self._tensors: dict[str, Entries[_Packed]] = {}

    @property
    def is_short(self) -> bool:
        """Whether there is more than the last look had time for."""
        return any(reader.is_short for reader in self._readers.values())

    def poll(self, until: float = math.inf) -> bool:
        """
        Read what is new.

        Where nothing changed this costs a look at the folder and at the state of each file. A file that was replaced,
        cut or removed makes it start over.

        Parameters
        ----------
        until
            Time of :func:`time.monotonic` at which no more is read; :attr:`is_short` says that there is more, and the
            next look goes on there.

        Returns
        -------
        bool
            Whether anything changed.

        Raises
        ------
        StorageError
            A file cannot be read.
        """
        found = self._files()
        gone = [reader for path, reader in self._readers.items() if path not in found]
        if gone or any(self._is_replaced(path, state) for path, state in found.items()):
            self._start_over()
            self._read(found, until)
            return True
        return self._read(found, until)

    def _is_replaced(self, path: Path, state: os.stat_result) -> bool:
        return path in self._readers and self._readers[path].is_replaced(state)

    def _files(self) -> dict[Path, os.stat_result]:
        found: dict[Path, os.stat_result] = {}
        try:
            if is_file(self.folder):
                return {self.folder: status(self.folder)}
            for name in sorted(name for name in names_in(self.folder) if name.startswith(_FILES)):
                path = self.folder / name
                with suppress(OSError):  # it has gone since, or is a link to nowhere
                    state = status(path)
                    if stat.S_ISREG(state.st_mode):
                        found[path] = state
        except (FileNotFoundError, NotADirectoryError):
            return found
        except OSError as error:
            raise StorageError(f"cannot read {self.folder}: {error.strerror}; check that you may read it") from None
        return found

    def _read(self, found: dict[Path, os.stat_result], until: float) -> bool:
        is_changed = False
        for path, state in found.items():
            reader = self._readers.setdefault(path, EventReader(path))
            if reader.is_unchanged(state):
                continue
            damaged = reader.damaged
            for piece in reader.poll(until):
                began = reader.began or 0.0
                is_changed |= self._add((began if math.isfinite(began) else 0.0, path.name), piece)
            is_changed |= reader.damaged != damaged
        return is_changed

    def _add(self, key: FileKey, piece: Piece) -> bool:
        is_changed = piece.purge is not None and self._purge(key, piece.purge)
        limit = self._purges.limit(key)
        for tag, rows in piece.scalars:
            kept = rows if limit == math.inf else rows[rows[:, 0] < limit]
            self._scalars.setdefault(tag, Points()).add(key, kept)
            is_changed |= len(kept) > 0
        for tag, step, text in piece.texts:
            if step < limit:
                self._texts.setdefault(tag, Entries()).add(key, step, text)
                is_changed = True
        for tag, step, histogram in piece.histograms:
            if step < limit:
                self._histograms.setdefault(tag, Entries()).add(key, step, histogram)
                is_changed = True
        for tag, step, array in piece.tensors:
            if step < limit:
                self._tensors.setdefault(tag, Entries()).add(key, step, _Packed(array))
                is_changed = True
        return is_changed

    def _purge(self, key: FileKey, step: int) -> bool:
        self._purges.add(key, step)
        is_changed = False
        for series in (self._scalars, self._texts, self._histograms, self._tensors):
            for one in series.values():
                is_changed |= one.purge(key, step)
        return is_changed

    @property
    def damaged(self) -> int:
        """How many records were skipped; a stretch in which none can be told apart counts as one."""
        return sum(reader.damaged for reader in self._readers.values())

    @property
    def tags(self) -> list[str]:
        """Tags of scalars in the order in which they first appeared."""
        return list(self._scalars)

    @property
    def text_tags(self) -> list[str]:
        """Tags of texts in the order in which they first appeared."""
        return list(self._texts)

    @property
    def histogram_tags(self) -> list[str]:
        """Tags of histograms in the order in which they first appeared."""
        return list(self._histograms)

    @property
    def tensor_tags(self) -> list[str]:
        """Tags of tensors in the order in which they first appeared."""
        return list(self._tensors)

    def points(self, tag: str) -> np.ndarray:
        """
        Return the points of a scalar.

        Returns
        -------
        numpy.ndarray
            Shape (n, 3), float64, read-only: step, value, and seconds since 1970, in the order of logging. A value may
            be NaN or infinite. It is a view that a later poll does not change. Empty if there is no such tag.
        """
        series = self._scalars.get(tag)
        return np.empty((0, 3)) if series is None else series.rows()

    def texts(self, tag: str) -> list[tuple[int, str]]:
        """Return step and text of all texts of a tag, without the ``/text_summary`` that writers put behind it."""
        return list(self._texts.get(tag, ()))

    def histograms(self, tag: str) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Return step, edges (k + 1,) and counts (k,), both float64, of all histograms of a tag."""
        return [(step, edges, counts) for step, (edges, counts) in self._histograms.get(tag, ())]

    def tensors(self, tag: str) -> list[tuple[int, np.ndarray]]:
        """Return step and array of all tensors of a tag; whole numbers are int64."""
        return [(step, packed.array()) for step, packed in self._tensors.get(tag, ())]


def best_epoch(curves: RunCurves, monitor: str) -> int | None:
    """
    Return the best epoch of a run so far, as training chose it.

    Parameters
    ----------
    curves
        Of the run.
    monitor
        What chooses it, see :mod:`tunebook.monitors`.

    Returns
    -------
    int or None
        From 1; ``None`` before there is one.
    """
    losses, told = curves.points("loss/validation")[:, 1], curves.points(BEST_EPOCH)
    if len(told) and 1 <= told[-1, 1] <= len(losses):
        return int(told[-1, 1])
    # Logs from before training wrote it down.
    tags = [curve(monitor)]
    if monitor == GAP and tags[0] not in curves.tags:
        tags = [tag for tag in curves.tags if tag.startswith(GAPS)]
    several = [curves.points(tag)[:, 1] for tag in tags]
    # A log of another program may have the score alone.
    losses = losses if len(losses) else np.zeros(len(several[0]) if several else 0)
    if not len(losses) or any(len(values) != len(losses) for values in several):
        return None
    scores = np.max(several, axis=0) * (1.0 if larger_is_better(monitor) else -1.0)
    return int(np.lexsort((-losses, np.nan_to_num(scores, nan=-np.inf, neginf=-np.inf, posinf=np.inf)))[-1]) + 1


class _Packed:
    """An array compressed: a confusion matrix of 1,000 classes is 8 MB an epoch, and nearly all of it is zeros."""

    def __init__(self, array: np.ndarray) -> None:
        self._shape, self._kind = array.shape, array.dtype
        self._bytes = zlib.compress(array.tobytes(), 1)

    def array(self) -> np.ndarray:
        """Return the array."""
        return np.frombuffer(zlib.decompress(self._bytes), self._kind).reshape(self._shape)
