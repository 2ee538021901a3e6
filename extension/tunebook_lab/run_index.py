"""All runs below a folder, kept up to date by looking at what changed."""

from __future__ import annotations

import os
import secrets
import stat
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook.opening import folder_open, status
from tunebook.run_notes import FILE
from tunebook_lab.paths import can_be_asked_for
from tunebook_lab.run_rows import Figures, broken_row, empty_row, read_figures, read_row, with_figures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunebook_lab.jobs import Job
    from tunebook_lab.paths import Root
    from tunebook_lab.run_rows import Curves

#: How deep a search goes, and into how many folders.
DEEPEST, MOST_FOLDERS = 8, 20_000
#: Folders with more entries than this hold data and no runs.
MOST_ENTRIES = 20_000
#: Seconds that one answer spends on sparklines.
BUDGET = 0.25
#: A folder that was changed less than this many seconds ago may change again without its time showing it.
_SETTLED = 2.0
_PASSED_OVER = {"node_modules", "__pycache__", "site-packages"}
_MOST_REMOVED = 10_000
_LIVE = ("queued", "running")


@dataclass
class _Entry:
    """What is known of one run."""

    signature: tuple[int, ...] = ()
    base: dict[str, Any] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)
    figures_of: tuple[int, ...] = ()
    row: dict[str, Any] = field(default_factory=dict)
    version: int = 0


class RunIndex:
    """
    The rows of all runs that were asked for, each with the number of the answer in which it changed last.

    A run's files are put in place by renaming, so that its directory's time tells whether anything is new; a folder's
    time tells whether it holds other folders than before. An answer about a thousand runs at rest is thus two thousand
    ``stat`` calls.

    Parameters
    ----------
    root
        The server's root.
    curves
        Opens the log of a run for the list, in which it may be read in part.
    whole
        Opens the log of one run, read whole.
    """

    def __init__(self, root: Root, curves: Curves, whole: Curves) -> None:
        self._root = root
        self._curves, self._whole = curves, whole
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._removed: dict[str, int] = {}
        self._listings: dict[str, tuple[int, list[str], bool]] = {}
        self._version = 0
        self._oldest = 0
        # A token of an earlier life of the server says nothing.
        self._life = secrets.token_hex(4)

    def changes(self, folder: Path, since: str, jobs: Sequence[Job]) -> dict[str, Any]:
        """
        Return what is new below a folder.

        Parameters
        ----------
        folder
            Below the root.
        since
            Token of an earlier answer about the same folder; any other text gives all.
        jobs
            The background runs, those that wait in their order.

        Returns
        -------
        dict
            As the OpenAPI file's ``RunList``.
        """
        with self._lock:
            self._version += 1
            found, truncated = self._search(folder)
            below = f"{folder}/"
            self._look_at(found, below, jobs)
            pending = self._read_figures(found)
            self._mark(below, jobs)
            after = self._known(since, folder)
            rows = [entry for path, entry in self._entries.items() if f"{path}/".startswith(below)]
            gone = [path for path, version in self._removed.items() if after is not None and version > after]
            return {
                "token": f"{self._life}.{self._version}.{self._root.name(folder)}",
                "full": after is None,
                "runs": [entry.row for entry in rows if after is None or entry.version > after],
                "removed": [self._root.name(Path(path)) for path in gone if f"{path}/".startswith(below)],
                "total": len(rows),
                "pending": pending,
                "truncated": truncated,
            }

    def row(self, path: Path, jobs: Sequence[Job]) -> dict[str, Any]:
        """Return the row of one run as it is now."""
        base = self._read_row(path)
        return _overlay(with_figures(base, read_figures(path, base, self._whole)), _job_of(path, jobs), jobs)

    def _known(self, since: str, folder: Path) -> int | None:
        life, _, rest = since.partition(".")
        number, _, name = rest.partition(".")
        if life != self._life or name != self._root.name(folder) or not number.isdecimal():
            return None
        return int(number) if self._oldest <= int(number) <= self._version else None

    def _search(self, top: Path) -> tuple[dict[str, tuple[int, ...]], bool]:
        """Return the run directories below a folder, breadth first, with their signatures."""
        found: dict[str, tuple[int, ...]] = {}
        truncated = False
        seen = 0
        waiting = deque([(str(top), 0)])
        while waiting:
            folder, depth = waiting.popleft()
            if seen >= MOST_FOLDERS:
                truncated = True
                break
            seen += 1
            signature = self._signature(folder)
            if signature is not None:
                found[folder] = signature
                continue
            names, whole = self._folders(folder)
            truncated |= not whole
            if depth < DEEPEST:
                waiting.extend((f"{folder}/{name}", depth + 1) for name in names)
            else:
                truncated |= bool(names)
        return found, truncated

    def _signature(self, folder: str) -> tuple[int, ...] | None:
        """Return what changes with anything in a run directory; ``None`` for another folder."""
        signature = _signature(folder)
        known = self._entries.get(folder)
        if signature is None or (known is not None and known.signature == signature):
            return signature
        # For speed that was asked by path: a link that has come into its way must not tell what lies outside.
        try:
            status(Path(folder, "state.json"))
        except OSError:
            return None
        return signature

    def _folders(self, folder: str) -> tuple[list[str], bool]:
        """Return the names of a folder's folders, and whether all of it was looked at."""
        try:
            changed = os.lstat(folder).st_mtime_ns  # some ten thousand times an answer
        except OSError:
            return [], True
        known = self._listings.get(folder)
        if known is not None and known[0] == changed:
            return known[1], known[2]
        names: list[str] = []
        whole = True
        try:
            with folder_open(Path(folder)) as descriptor, os.scandir(descriptor) as entries:
                for count, entry in enumerate(entries):
                    if count >= MOST_ENTRIES:
                        whole = False
                        break
                    if _is_searched(entry):
                        names.append(entry.name)
        except OSError:
            return [], True
        if time.time() - changed / 1e9 > _SETTLED:
            if len(self._listings) > 2 * MOST_FOLDERS:
                self._listings.clear()
            self._listings[folder] = changed, names, whole
        return names, whole

    def _look_at(self, found: Mapping[str, tuple[int, ...]], below: str, jobs: Sequence[Job]) -> None:
        for path, signature in found.items():
            entry = self._entries.setdefault(path, _Entry())
            is_live = entry.base.get("state") in _LIVE
            settled = time.time() - max(signature[:2]) / 1e9 > _SETTLED
            # Whether a run under way still has an owner is written nowhere.
            if signature != entry.signature or is_live or not settled:
                entry.base = self._read_row(Path(path))
                entry.signature = signature
        expected = {job.run for job in jobs if job.run and job.is_active}
        for path in expected - set(found):
            if path.startswith(below):
                self._entries.setdefault(path, _Entry()).base = empty_row(Path(path), self._root)
        known = [path for path in self._entries if path not in found and path not in expected]
        for path in [path for path in known if f"{path}/".startswith(below)]:
            del self._entries[path]
            self._removed[path] = self._version
        while len(self._removed) > _MOST_REMOVED:
            path = next(iter(self._removed))
            self._oldest = max(self._oldest, self._removed.pop(path))

    def _read_row(self, path: Path) -> dict[str, Any]:
        """Read a run on its own: whatever somebody wrote into it, the others are listed."""
        try:
            return read_row(path, self._root)
        except (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, TypeError, ValueError) as error:
            return broken_row(path, self._root, error)

    def _read_figures(self, found: Mapping[str, tuple[int, ...]]) -> int:
        """Read what runs reached, those under way first, as far as the time allows; return how many are left."""
        waiting = [
            (path, self._entries[path])
            for path, signature in found.items()
            if self._entries[path].figures_of != signature or self._entries[path].base["state"] == "running"
        ]
        waiting.sort(key=lambda pair: (pair[1].base["state"] != "running", -pair[1].base["heartbeat"]))
        end = time.monotonic() + BUDGET
        parts = 0
        for count, (path, entry) in enumerate(waiting):
            if time.monotonic() > end:
                return parts + len(waiting) - count
            entry.figures = read_figures(Path(path), entry.base, self._curves)
            # A long log is gone on with at the next look.
            parts += not entry.figures.is_whole
            entry.figures_of = entry.signature if entry.figures.is_whole else ()
        return parts

    def _mark(self, below: str, jobs: Sequence[Job]) -> None:
        """Make the rows, and note which of them changed."""
        by_run = {job.run: job for job in sorted(jobs, key=lambda job: job.created) if job.run}
        for path, entry in self._entries.items():
            if f"{path}/".startswith(below):
                row = _overlay(with_figures(entry.base, entry.figures), by_run.get(path), jobs)
                if row != entry.row:
                    entry.row, entry.version = row, self._version
                    self._removed.pop(path, None)


def _signature(folder: str) -> tuple[int, ...] | None:
    """Return what changes with anything in a run directory; ``None`` for another folder."""
    try:
        state = os.lstat(f"{folder}/state.json")
        place = os.lstat(folder)
    except OSError:
        return None
    # Whatever the state is, a link or a pipe too: its row says so.
    if not stat.S_ISDIR(place.st_mode):
        return None
    return place.st_mtime_ns, state.st_mtime_ns, state.st_size, state.st_ino, *_notes_signature(folder)


def _notes_signature(folder: str) -> tuple[int, ...]:
    """Return what changes with the star, tags and note of a run, which leave its directory's time as it is."""
    try:
        notes = os.lstat(f"{folder}/{FILE}")
    except OSError:
        return ()
    return notes.st_mtime_ns, notes.st_ino


def _is_searched(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    if name.startswith(".") or name in _PASSED_OVER or not can_be_asked_for(name):
        return False
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _job_of(path: Path, jobs: Sequence[Job]) -> Job | None:
    found = [job for job in jobs if job.run == str(path)]
    return max(found, key=lambda job: job.created, default=None)


def _overlay(row: dict[str, Any], job: Job | None, jobs: Sequence[Job]) -> dict[str, Any]:
    """Add to a row what the queue knows of it."""
    if job is None:
        return row
    row = {**row, "job": job.id}
    if job.state == "queued":
        waiting = [each.id for each in jobs if each.state == "queued"]
        row |= {
            "state": "queued",
            "phase": "waiting in the queue",
            "position": waiting.index(job.id),
            "resumable": False,
            "obstacle": "it waits in the queue",
        }
        row["created"] = row["created"] or job.created
        row["kind"] = "sweep" if job.kind == "sweep" else row["kind"]
    elif job.state == "running":
        # The kernel of a notebook writes its state only when it trains.
        if row["state"] not in {"running", "finished"}:
            # What the last process said at its end is over.
            row |= {
                "state": "running",
                "message": "",
                "phase": row["phase"] if row["state"] == "queued" else "starting",
            }
        row |= {"resumable": False, "obstacle": "it is running", "started": row["started"] or job.started}
    elif row["state"] in _LIVE:
        row |= {"state": job.state if job.state in {"failed", "stopped"} else "died", "controllable": False}
        row["message"] = row["message"] or job.message
        row["resumable"] = row["kind"] == "run" and bool(row["notebook"])
        row["obstacle"] = "" if row["resumable"] else "it ended before it began; run its notebook again"
        row["finished"] = row["finished"] or job.finished
    return row
