"""What the routes work with: one set for a server."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tunebook.opening import status
from tunebook_lab.apart import Reader
from tunebook_lab.curves import Logs
from tunebook_lab.job_queue import Queue
from tunebook_lab.paths import Root
from tunebook_lab.run_index import BUDGET, RunIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunebook.run_curves import RunCurves

#: Threads beside the event loop; more would only wait for each other.
_THREADS = 4
#: Seconds since the last change of its state up to which a run counts as under way.
_LIVELY = 60.0


class Services:
    """
    What the routes work with.

    Parameters
    ----------
    root
        The server's root.
    runs_dir
        Folder below the root in which runs are kept, as a path of a request; empty is the whole root.
    queue_dir
        Where the queue is kept.
    max_running
        How many background runs there are at once.

    Raises
    ------
    RequestError
        ``runs_dir`` is not below the root.
    """

    def __init__(self, root: Path, runs_dir: str, queue_dir: Path, max_running: int) -> None:
        self.root = Root(root)
        self.runs_dir = "" if runs_dir in {".", "./"} else runs_dir.rstrip("/") or runs_dir
        place = self.root.resolve(self.runs_dir) if self.runs_dir else None
        self.logs = Logs()
        self.index = RunIndex(self.root, self.look, self.log)
        self.queue = Queue(queue_dir, self.root, max_running, place)
        # A long look at data keeps no form waiting.
        self.looks, self.forms = Reader(self.root.folder), Reader(self.root.folder)
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tunebook-lab")

    @contextmanager
    def log(self, path: Path) -> Iterator[RunCurves]:
        """Give the log of a run for a look; that of one under way is held open, since the next look comes soon."""
        from tunebook.run_curves import RunCurves  # noqa: PLC0415

        if time.time() - _changed(path / "state.json") < _LIVELY:
            with self.logs.reading(path) as curves:
                yield curves
            return
        curves = RunCurves(path)
        curves.poll()
        yield curves

    @contextmanager
    def look(self, path: Path) -> Iterator[RunCurves]:
        """Give the log of a run for a list, read as far as time allows: no run keeps the others waiting."""
        from tunebook.run_curves import RunCurves  # noqa: PLC0415

        until = time.monotonic() + BUDGET
        if self.logs.holds(path) or time.time() - _changed(path / "state.json") < _LIVELY:
            with self.logs.reading(path, until) as curves:
                yield curves
            return
        curves = RunCurves(path)
        curves.poll(until)
        if curves.is_short:
            self.logs.keep(path, curves)
        yield curves

    def tick(self) -> None:
        """Look at the queue."""
        with self.root.confined():
            self.queue.tick()

    def row(self, path: Path) -> dict[str, Any]:
        """Return a run's row as it is now."""
        return self.index.row(path, self.queue.jobs())

    def close(self) -> None:
        """Let the threads go; background runs go on."""
        self.looks.close()
        self.forms.close()
        self.threads.shutdown(wait=False, cancel_futures=True)


def _changed(path: Path) -> float:
    try:
        return status(path).st_mtime
    except OSError:
        return 0.0
