"""A background run: one process, what it runs, and how it stands, kept on the disk so that it outlives the server."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tunebook.errors import StorageError, shown
from tunebook.opening import SMALL, is_file, names_in, status
from tunebook.progress import read_state
from tunebook.runs import Run, State, is_heard_of
from tunebook.storage import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunebook_lab.paths import Root

# Of this server, whatever becomes of the queue that started them.
_children: set[subprocess.Popen[bytes]] = set()

Kind = Literal["run", "sweep", "resume"]
JobState = Literal["queued", "running", "finished", "stopped", "failed", "died", "cancelled"]

FILE, LOG, PID, LOCK = "job.json", "log.txt", "pid", "lock"
#: What runs a job. -P: a folder's own torch.py must not stand in its way; the kernel looks there as always.
COMMAND = [sys.executable, "-P", "-m", "tunebook.cli"]
#: Times that a job is started whose process never came to life, as when the server is killed in between.
ATTEMPTS = 3
#: Bytes of a log that are shown.
SHOWN = 64 << 10
#: Seconds without a heartbeat after which a job of another machine counts as died.
_SILENCE = 300.0
# The process itself writes down its number, since the server may die before it could; `exec` keeps number and lock.
_START = 'echo $$ >"$1" && shift && exec "$@"'
# Variables of the server that are no business of a run.
_PRIVATE = ("JUPYTER_TOKEN", "JPY_API_TOKEN", "JUPYTERHUB_API_TOKEN")


@dataclass(frozen=True)
class Job:
    """
    A background run, as kept in ``job.json`` of its folder.

    Attributes
    ----------
    id
        Name of its folder.
    kind
        ``"run"``, ``"sweep"``, or ``"resume"`` of either.
    title
        What it is called in lists.
    state
        As the OpenAPI file's ``Job`` has it.
    command
        Arguments of ``tunebook``.
    folder
        Where it works: absolute.
    run
        Its run directory: absolute; empty while it is not known.
    runs_dir
        Folder in which the run directory appears: absolute.
    notebook, template
        What it runs: a path below the server's root, or a name.
    order
        Those that wait are started by this number.
    created, started, finished
        Seconds since 1970; 0 when it has not happened.
    attempts
        How often it was started.
    host
        Where it was started.
    heard
        Last heartbeat of its run directory before it was started, in seconds since 1970; 0 where there was none. What
        the directory says with that heartbeat is of an earlier process.
    is_cancelled
        Whether somebody wanted it to end.
    message
        Why it failed or died, one line.
    """

    id: str
    kind: Kind
    title: str
    command: list[str]
    folder: str
    state: JobState = "queued"
    run: str = ""
    runs_dir: str = ""
    notebook: str = ""
    template: str = ""
    order: float = 0.0
    created: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    attempts: int = 0
    host: str = ""
    heard: float = 0.0
    is_cancelled: bool = False
    message: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in {"queued", "running"}

    def shown(self, root: Root, position: int | None) -> dict[str, Any]:
        """Return it as the OpenAPI file's ``Job``."""
        return {
            "id": self.id, "kind": self.kind, "title": self.title, "state": self.state, "position": position,
            "created": self.created, "started": self.started, "finished": self.finished,
            "run": root.name(Path(self.run)) if self.run else "", "notebook": self.notebook,
            "template": self.template, "folder": root.name(Path(self.folder)), "message": self.message,
        }  # fmt: skip

    @classmethod
    def read(cls, folder: Path) -> Job:
        """
        Read a job from its folder.

        Raises
        ------
        StorageError
            It is not there, or damaged.
        """
        raw = read_json(folder / FILE)
        kinds = {each.name: _KINDS[str(each.type)] for each in fields(cls)}
        if not isinstance(raw, dict) or set(raw) != set(kinds):
            raise StorageError(f"{folder / FILE} is no job; remove its folder")
        for name, value in raw.items():
            if not isinstance(value, kinds[name]):
                raise StorageError(f"{folder / FILE} is damaged: {name} is {shown(value)}; remove its folder")
        return cls(**raw)

    def write(self, folder: Path) -> None:
        """Write it to its folder, whole and for good."""
        write_json(folder / FILE, asdict(self))


_KINDS: Mapping[str, tuple[type, ...]] = {
    "str": (str,), "Kind": (str,), "JobState": (str,), "list[str]": (list,), "float": (int, float), "int": (int,),
    "bool": (bool,),
}  # fmt: skip


@dataclass
class Process:
    """
    The process of a job: started, found again by another server, and stopped.

    It holds a lock on a file of the job's folder for as long as it lives, inherited from the server that started it. So
    any server can tell whether it lives, and two can never start it twice; however it ends, the lock is let go.

    Attributes
    ----------
    folder
        The job's folder.
    """

    folder: Path

    def start(self, job: Job) -> None:
        """
        Start it, in a session of its own so that it outlives the server.

        Raises
        ------
        OSError
            It cannot be started.
        """
        (self.folder / PID).unlink(missing_ok=True)
        lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            command = [*COMMAND, *job.command]
            environment = {name: value for name, value in os.environ.items() if name not in _PRIVATE}
            with (self.folder / LOG).open("ab") as log:
                child = subprocess.Popen(  # noqa: S603 - our own command; the arguments were checked
                    ["/bin/sh", "-c", _START, "sh", str(self.folder / PID), *command],
                    cwd=job.folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[lock],
                    start_new_session=True,
                )
            _children.add(child)
        finally:
            os.close(lock)

    @property
    def is_alive(self) -> bool:
        """Whether it lives, whoever started it."""
        try:
            lock = os.open(self.folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    @property
    def pid(self) -> int | None:
        """Its number; ``None`` if it never came to life."""
        try:
            return int((self.folder / PID).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def stop(self) -> bool:
        """Ask it to end with a checkpoint; return whether there was one to ask."""
        pid = self.pid
        # While the lock is held, the number is that of its holder and of nobody else.
        if pid is None or pid <= 1 or not self.is_alive:
            return False
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
            return True
        return False

    def log(self) -> str:
        """Return the end of what it printed."""
        try:
            with (self.folder / LOG).open("rb") as stream:
                stream.seek(0, os.SEEK_END)
                stream.seek(max(0, stream.tell() - SHOWN))
                return stream.read().decode("utf-8", "replace")
        except OSError:
            return ""


def reap() -> None:
    """Let go of processes of this server that ended, which would stay as zombies."""
    for child in [child for child in tuple(_children) if child.poll() is not None]:
        _children.discard(child)


def settled(job: Job, process: Process) -> Job:
    """
    Return a job that was running as it stands now.

    Parameters
    ----------
    job
        Its ``state`` is ``"running"``.
    process
        Its process.
    """
    if process.is_alive:
        return replace(job, run=job.run or _new_run(job))
    if job.host != socket.gethostname() and _is_heard_of(job, process):
        return job
    run = job.run or _new_run(job)
    if process.pid is None:  # the server died between writing that it starts it and doing so
        if job.attempts < ATTEMPTS and not job.is_cancelled:
            return replace(job, state="queued", started=0.0)
        return replace(job, state="failed", finished=time.time(), message="its process could not be started")
    found = _state(run)
    if (
        found is not None and found.state == "running"
    ):  # its kernel trains on, and needs a moment to see that it is alone
        return replace(job, run=run)
    state, message, finished = _outcome(job, found, process)
    return replace(job, run=run, state=state, message=message, finished=finished)


def heartbeat_of(job: Job) -> float:
    """Return the last heartbeat of a job's run directory, in seconds since 1970; 0 where there is none."""
    found = _state(job.run)
    return found.heartbeat if found is not None else 0.0


def _state(run: str) -> State | None:
    try:
        return read_state(Run(Path(run))) if run else None
    except StorageError:
        return None


def _outcome(job: Job, found: State | None, process: Process) -> tuple[JobState, str, float]:
    now = time.time()
    ends: dict[str, JobState] = {"finished": "finished", "stopped": "stopped", "failed": "failed"}
    if found is not None and found.heartbeat != job.heard and found.state in ends:
        return ends[found.state], " ".join(found.message.split()), found.finished or now
    line = next((line for line in reversed(process.log().splitlines()) if line.startswith("error: ")), "")
    if line:
        return ("stopped" if job.is_cancelled else "failed"), line.removeprefix("error: "), now
    if job.is_cancelled:
        return "cancelled", "", now
    return "died", "its process was killed" + ("; it can be resumed" if found is not None else ""), now


def _is_heard_of(job: Job, process: Process) -> bool:
    """Say whether a job of another machine, whose lock may not reach us, shows signs of life."""
    return is_heard_of(process.folder, max(heartbeat_of(job), job.started), _SILENCE)


def _new_run(job: Job) -> str:
    """Return the run directory of a notebook without a task, whose name the command makes up."""
    if not job.started or not job.runs_dir:
        return ""
    snapshot = job.command[1]
    try:
        names = names_in(Path(job.runs_dir))
    except OSError:
        return ""
    for name in names:
        file = Path(job.runs_dir, name, FILE)
        with suppress(OSError, StorageError):
            if is_file(file) and status(file).st_mtime >= job.started - 1:
                raw = read_json(file, SMALL)
                if isinstance(raw, dict) and raw.get("notebook") == snapshot:
                    return str(file.parent)
    return ""
