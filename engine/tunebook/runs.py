"""The run directory: the only truth about a run. Every view of a run reads it."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from tunebook.errors import StorageError, did_you_mean, shown
from tunebook.opening import SMALL, from_home, open_plain
from tunebook.storage import read_json, storage_error, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunebook.control import Control
    from tunebook.reports import Report

#: ``died`` is never written: it is what a reader sees of a run that is "running" without an owner.
StateName = Literal["queued", "running", "finished", "stopped", "failed", "died"]
#: Seconds without a heartbeat after which a run of another machine counts as died.
_SILENCE = 120.0
#: The last heartbeats that this process saw of others, and since when it sees them, by the steady clock.
_heard: dict[Path, tuple[float, float]] = {}


@dataclass(frozen=True)
class State:
    """
    Where a run stands, as kept in ``state.json``.

    Attributes
    ----------
    state
        One of :data:`StateName`.
    task
        Name of the task.
    phase
        What it does now, in a word or two.
    epoch, epochs
        Epochs completed and wanted.
    step, steps
        Steps completed and expected in all.
    loss
        Training loss of the last step; ``None`` before the first.
    seconds_left
        Estimate for the rest of training; ``None`` while unknown.
    examples_per_second
        Training examples a second in the last steps; ``None`` while it does not train.
    memory
        Bytes of memory that the training process holds; 0 while unknown.
    lr
        Peak learning rate in force, which a live command may have changed; ``None`` before the first step.
    freeze
        What trains, in words: ``"blocks.5 + head train"``.
    paused
        Whether a hand makes it pause.
    baseline, metric
        Test accuracy of the baseline and of the tuned model, from 0 to 1; ``None`` until measured.
    message
        Why it failed or stopped, one line.
    started, heartbeat, finished
        Seconds since 1970; 0 when it has not happened.
    pid, host
        The process that owns the run.
    """

    state: StateName = "queued"
    task: str = ""
    phase: str = "waiting"
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None
    seconds_left: float | None = None
    examples_per_second: float | None = None
    memory: int = 0
    lr: float | None = None
    freeze: str = ""
    paused: bool = False
    baseline: float | None = None
    metric: float | None = None
    message: str = ""
    started: float = 0.0
    heartbeat: float = 0.0
    finished: float = 0.0
    pid: int = 0
    host: str = ""


_KINDS: dict[type, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float), bool: (bool,)}
#: What each field of a state may be; one that need not be known is a number or nothing.
_STATE_KINDS: dict[str, tuple[type, ...]] = {
    f.name: (int, float, type(None)) if f.default is None else _KINDS[type(f.default)] for f in fields(State)
}
#: No number of a state is that large: bytes of memory, seconds since 1970.
_MOST = 2.0**63


class Run:
    """
    A run directory.

    Parameters
    ----------
    path
        The directory. Use :meth:`create` for a new one and :meth:`open` for one that exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state: State | None = None
        self._lock: int | None = None

    def __repr__(self) -> str:
        state = self.state()
        score = f", test accuracy {state.metric:.3f}" if state.metric is not None else ""
        return f"Run({str(self.path)!r}: {state.state}, epoch {state.epoch} of {state.epochs}{score})"

    @classmethod
    def create(cls, runs_dir: Path | str, name: str, task: str) -> Run:
        """
        Make a new, queued run directory; never one that exists already.

        Parameters
        ----------
        runs_dir
            Folder that holds the run directories.
        name
            Name of the directory; empty makes one from the task and the time.
        task
            Name of the task.

        Raises
        ------
        StorageError
            A run of that name is there already, or the folder cannot be written.
        """
        root = from_home(runs_dir)
        stamp = datetime.now(tz=UTC).astimezone().strftime("%Y%m%d-%H%M%S")
        # Twenty batch jobs may start in the same second.
        path = root / (name or f"{task}-{stamp}-{secrets.token_hex(3)}")
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(root, error) from None
        try:
            path.mkdir()
        except FileExistsError:
            msg = f"run {shown(path)} is there already; choose another name{_other_way(path)}"
            raise StorageError(msg) from None
        except OSError as error:
            raise storage_error(path, error) from None
        run = cls(path)
        run.update(task=task)
        return run

    @classmethod
    def open(cls, path: Path | str, runs_dir: Path | str = "runs") -> Run:
        """
        Open a run by its path, or by its name below ``runs_dir``.

        Raises
        ------
        StorageError
            There is no run directory there.
        """
        for candidate in (from_home(path), from_home(runs_dir) / path):
            if _is_run(candidate):
                return cls(candidate)
        names = [run.path.name for run in list_runs(runs_dir)]
        msg = f"no run {shown(path)}{did_you_mean(str(path), names)}; `tunebook runs` lists those that are there"
        raise StorageError(msg)

    @property
    def name(self) -> str:
        """Name of the directory."""
        return self.path.name

    def state(self) -> State:
        """
        Read the state from the disk: another program may have written the file, or half of it.

        A run that is "running" while nobody owns it is reported as ``died``: its process was
        killed before it could say anything.

        Raises
        ------
        StorageError
            The file cannot be read, or holds something else than a run's state.
        """
        state = self._read_state()
        if state.state == "running" and self._lock is None and not self._owned(state):
            message = state.message or "its process is gone; it can be resumed"
            return replace(state, state="died", message=message, paused=False)
        return state

    @property
    def control(self) -> Control:
        """The live commands of this run: what was asked for, what became of it, and more of it."""
        from tunebook.control import FILE, Control  # noqa: PLC0415 - `tunebook runs` needs none of it

        return Control(self.path / FILE)

    def _read_state(self) -> State:
        path = self.path / "state.json"
        raw = read_json(path, SMALL)
        if not isinstance(raw, dict):
            raise StorageError(f"{path} holds no state; it is damaged")
        for name, value in raw.items():
            kinds = _STATE_KINDS.get(name)
            is_wrong = kinds is not None and not isinstance(value, kinds)
            # NaN is none of these either.
            if is_wrong or (kinds and isinstance(value, (int, float)) and not abs(value) < _MOST):
                what = f"is not a run's state: {name} is {shown(value)}"
                raise StorageError(f"{path} {what}; it can be removed with its folder")
        return State(**{name: value for name, value in raw.items() if name in _STATE_KINDS})

    def update(self, *, durable: bool = True, **changes: Any) -> State:  # noqa: ANN401
        """Change some fields of the state and write it; the heartbeat is set to now."""
        if self._state is None:
            path = self.path / "state.json"
            self._state = replace(self.state()) if path.exists() else State()
        self._state = replace(self._state, **changes, heartbeat=time.time())
        write_json(self.path / "state.json", asdict(self._state), durable=durable)
        return self._state

    @contextmanager
    def owned(self) -> Iterator[Run]:
        """
        Own the run while the block lasts; two processes never train in one directory.

        Raises
        ------
        StorageError
            Another process owns it.
        """
        if self._lock is not None:  # the baseline and the training of one notebook share a run
            yield self
            return
        try:
            descriptor = open_plain(self.path / ".lock", os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise storage_error(self.path / ".lock", error) from None
        try:
            # A reader that looks whether the run is alive holds the lock for an instant.
            if not any(_try_lock(descriptor) for _ in range(20)):
                state = self._read_state()
                msg = f"run {self.name} is owned by process {state.pid} on {state.host}; wait for it, or stop it first"
                raise StorageError(msg) from None
            self._lock = descriptor
            self._state = None
            self.update(pid=os.getpid(), host=socket.gethostname())
            yield self
        finally:
            self._lock = None
            os.close(descriptor)

    def _owned(self, state: State) -> bool:
        if state.host != socket.gethostname():  # a lock may not reach over a network file system
            return is_heard_of(self.path, state.heartbeat, _SILENCE)
        try:
            descriptor = open_plain(self.path / ".lock")
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def report(self) -> Report:
        """
        Return the views of a finished run.

        Raises
        ------
        StorageError
            The run is not finished.
        """
        from tunebook.reports import Report  # noqa: PLC0415 - needs pandas, which `tunebook runs` does not

        return Report(self)

    def recipe(self) -> dict[str, Any]:
        """Return ``recipe.json``: parameters, versions, seed and fingerprints."""
        found = read_json(self.path / "recipe.json")
        if not isinstance(found, dict):
            raise StorageError(f"{self.path / 'recipe.json'} holds no recipe; it is damaged")
        return found


def _is_run(path: Path) -> bool:
    """Say whether a folder is, or was, a run's: whoever reads a state that is a pipe or a lost link says so."""
    return os.path.lexists(path / "state.json")


def _other_way(path: Path) -> str:
    """Say what can be done, beside choosing another name, where a run directory is there already."""
    if (path / "recipe.json").exists():
        return f", or go on with it: resume={str(path)!r}"
    try:
        # It had trained nothing yet; mostly a mistake in a parameter, which is mended by now.
        return ", or remove that folder first: it failed before it began" if Run(path).state().state == "failed" else ""
    except StorageError:  # no run's
        return ""


def is_heard_of(folder: Path, heartbeat: float, silence: float) -> bool:
    """
    Say whether what works in a folder on another machine, whose locks may not reach us, shows signs of life.

    Clocks of machines differ, and jump. So they decide only when a process looks for the first time; from then on it
    counts whether the heartbeat changes.

    Parameters
    ----------
    folder
        Where it works.
    heartbeat
        Its last one, in seconds since 1970.
    silence
        Seconds without a new one after which it counts as gone.
    """
    now = time.monotonic()
    known = _heard.get(folder)
    if known is None:
        # One in the future says that a clock is wrong, and nothing of how old it is.
        known = heartbeat, now - max(0.0, time.time() - heartbeat)
    elif known[0] != heartbeat:
        known = heartbeat, now
    _heard[folder] = known
    return now - known[1] < silence


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.02)
        return False
    return True


def list_runs(runs_dir: Path | str = "runs") -> list[Run]:
    """Return the runs below a folder, newest first; folders that are no runs are passed over."""
    root = from_home(runs_dir)
    try:
        places = [path for path in root.iterdir() if _is_run(path)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {root}: {getattr(error, 'strerror', None) or error}") from None
    found: list[tuple[float, Path]] = []
    for path in places:
        with suppress(OSError):  # it was removed since
            found.append((path.stat().st_mtime, path))
    return [Run(path) for _, path in sorted(found, key=lambda pair: (-pair[0], pair[1].name))]
