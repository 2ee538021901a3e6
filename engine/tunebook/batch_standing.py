"""What has become of a run that is wanted: whether it is there, finished, to be resumed or to be begun again."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tunebook.adoption import JOB, SOURCE
from tunebook.batch import read_job
from tunebook.batch_sets import PLACES
from tunebook.errors import StorageError, shown
from tunebook.progress import read_state
from tunebook.runs import Run
from tunebook.templates import SUFFIX, load_notebook, source_of, task_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Locked while a process runs a notebook in the directory.
LOCK = ".batch.lock"
#: Seconds between two looks at a directory that another process has.
_PAUSE = 0.2
#: ``new`` is not there; ``again`` is, and is to be begun anew.
Next = Literal["new", "finished", "resume", "again"]


@dataclass(frozen=True)
class Standing:
    """
    How a run stands.

    Attributes
    ----------
    next
        What is to be done.
    is_changed
        Whether the notebook's code is another one than it ran.
    """

    next: Next
    is_changed: bool = False


def standing(path: Path, source: Mapping[str, Any], parameters: Mapping[str, Any]) -> Standing:
    """
    Say what is to be done for a run to be finished.

    A run that was stopped or killed goes on from its last checkpoint. So does one that failed once, unless its
    notebook was mended meanwhile; the next time it begins anew.

    Parameters
    ----------
    path
        The run directory.
    source
        The notebook.
    parameters
        What it is to run with.

    Raises
    ------
    StorageError
        There is something else of that name: another run's parameters, or data of another folder under the same
        relative path, or nothing that ``tunebook run`` made.
    """
    if not path.exists():
        return Standing("new")
    if not (path / JOB).is_file():
        # A process that is killed between its first two files leaves no more than these.
        if path.is_dir() and {child.name for child in path.iterdir()} <= {"state.json", SOURCE, ".lock", LOCK}:
            return Standing("again")
        msg = f"{shown(path)} is there, and `tunebook run` did not make it; name the run otherwise, or move it away"
        raise StorageError(msg)
    job = read_job(path / JOB)
    _check_same(path, job["parameters"], parameters)
    _check_paths(path, Path(job["folder"]), parameters)
    state = read_state(Run(path))
    old = load_notebook(path / SOURCE)
    if state.task != task_of(source):
        msg = f"run {shown(path)} is one of {state.task or 'another notebook'}; choose another name or --runs-dir"
        raise StorageError(msg)
    is_changed = _code(old) != _code(source)
    if state.state == "finished" and Path(job["output"] or path / f"notebook{SUFFIX}").is_file():
        return Standing("finished", is_changed)
    failures = job.get("failures", 0)
    is_lost = not state.task or state.state == "finished"
    mended = failures > 0 and (is_changed or failures > 1 or not any(path.glob("checkpoints/step-*")))
    return Standing("again" if is_lost or mended else "resume", is_changed)


@contextmanager
def claimed(path: Path, patience: float) -> Iterator[None]:
    """
    Own a run directory that is there, or a name that is free, while the block lasts.

    Parameters
    ----------
    path
        The run directory.
    patience
        Seconds to wait for another process that has it: one whose parent was killed takes some to write its checkpoint.

    Raises
    ------
    StorageError
        It was not given free in time.
    """
    lock: int | None = None
    until = time.monotonic() + patience
    try:
        while path.is_dir():
            lock = claim(path)
            if lock is not None and not _is_running(path):
                break
            if time.monotonic() > until:
                state = Run(path).state()
                msg = (
                    f"run {path.name} is running already, process {state.pid} on {state.host}; wait for it, or stop it"
                )
                raise StorageError(msg)
            if lock is not None:
                os.close(lock)
                lock = None
            time.sleep(_PAUSE)
        yield
    finally:
        if lock is not None:
            os.close(lock)


def claim(path: Path) -> int | None:
    """Lock a run directory until the descriptor that this returns is closed; ``None`` if another process has it."""
    try:
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except FileNotFoundError:  # it was moved away in this moment
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (path / LOCK).stat().st_ino == os.fstat(lock).st_ino:
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)
    return None


def is_claimed(path: Path) -> bool:
    """Say whether a process runs a notebook in this directory."""
    lock = claim(path) if path.is_dir() else None
    if lock is not None:
        os.close(lock)
    return lock is None and path.is_dir()


def _is_running(path: Path) -> bool:
    """Say whether a kernel trains there, whose parent may be gone."""
    return (path / "state.json").is_file() and read_state(Run(path)).state == "running"


def _check_same(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for name in dict.fromkeys((*old, *new)):
        if name in PLACES or (name in old and name in new and old[name] == new[name]):
            continue
        had, wanted = (shown(values[name], 40) if name in values else "its default" for values in (old, new))
        msg = f"run {shown(path)} is there with {name} {had}, not {wanted}; choose another name, or move it away"
        raise StorageError(msg)


def _check_paths(path: Path, folder: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse a run that was started elsewhere, where a relative path names something else than here."""
    for name, value in parameters.items():
        if not isinstance(value, str) or not value:
            continue
        old = folder / value
        # Path.exists raises for a text that is far from being a path.
        if os.path.exists(old) and old.resolve() != (Path.cwd() / value).resolve():  # noqa: PTH110
            msg = (
                f"run {shown(path)} is there with {name} {shown(value, 40)} of {folder}, which is another one; "
                "call the command there, or choose another --runs-dir"
            )
            raise StorageError(msg)


def _code(notebook: Mapping[str, Any]) -> list[str]:
    return [source_of(cell) for cell in notebook["cells"] if cell.get("cell_type") == "code"]
