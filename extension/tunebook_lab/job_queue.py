"""The queue of background runs: on the disk, shared by all servers of a root, with a limit on how many run at once."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook import tasks
from tunebook.control import FILE as CONTROL
from tunebook.control import Control
from tunebook.errors import StorageError, shown
from tunebook.opening import from_home, is_folder, names_in
from tunebook.storage import read_json, storage_error, write_json, write_text
from tunebook.templates import load_notebook, parameters_of, task_of
from tunebook_lab.errors import RequestError
from tunebook_lab.forms import full_values
from tunebook_lab.jobs import Job, Process, heartbeat_of, reap, settled
from tunebook_lab.notebooks import template_path
from tunebook_lab.run_rows import obstacle, read_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunebook_lab.bodies import NewJob, NewSweep
    from tunebook_lab.paths import Root

SETTINGS = "queue.json"
#: Jobs that ended and are still listed.
KEPT = 200
_NAME = re.compile(r"[^\x00-\x1f/\\]{1,120}")


@dataclass(frozen=True)
class Settings:
    """
    How the queue is set.

    Attributes
    ----------
    max_running
        How many jobs run at once.
    held
        Whether nothing is started.
    """

    max_running: int
    held: bool = False


class Queue:
    """
    The background runs of one root.

    Any number of servers may show the same root: a lock is held while jobs are looked at and started, so that one is
    started once, and the limit counts for all of them together.

    Parameters
    ----------
    folder
        Where the queue is kept; made when it is needed.
    root
        The server's root.
    max_running
        How many jobs run at once, until somebody sets another number.
    runs_dir
        Folder below the root for run directories; ``None`` makes them in ``runs`` where the job works.
    """

    def __init__(self, folder: Path, root: Root, max_running: int = 1, runs_dir: Path | None = None) -> None:
        self.folder = folder
        self.root = root
        self._default = max_running
        self._runs_dir = runs_dir
        self._known: dict[str, tuple[int, Job]] = {}
        self._processes: dict[str, Process] = {}

    # What there is.

    def jobs(self) -> list[Job]:
        """Return the jobs: running ones, then those that wait in their order, then those that ended, newest first."""
        jobs = self._read()
        active = [job for job in jobs if job.state == "running"]
        waiting = [job for job in jobs if job.state == "queued"]
        ended = [job for job in jobs if not job.is_active]
        active.sort(key=lambda job: (job.started, job.id))
        waiting.sort(key=lambda job: (job.order, job.created, job.id))
        ended.sort(key=lambda job: (-job.finished, job.id))
        return [*active, *waiting, *ended]

    def shown(self) -> list[dict[str, Any]]:
        """Return the jobs as the OpenAPI file's ``Job``."""
        jobs = self.jobs()
        waiting = [job.id for job in jobs if job.state == "queued"]
        place = {name: k for k, name in enumerate(waiting)}
        return [job.shown(self.root, place.get(job.id)) for job in jobs]

    def find(self, name: str) -> Job:
        """Return a job: 404 where there is none."""
        for job in self._read():
            if job.id == name:
                return job
        raise RequestError(404, f"no background run {shown(name)}")

    def show(self, name: str) -> dict[str, Any]:
        """Return one job as the OpenAPI file's ``Job``."""
        for shown_job in self.shown():
            if shown_job["id"] == name:
                return shown_job
        raise RequestError(404, f"no background run {shown(name)}")

    def log(self, name: str) -> str:
        """Return the end of what a job printed."""
        return self._process(self.find(name)).log()

    def settings(self) -> Settings:
        """Return how the queue is set."""
        with suppress(StorageError):
            raw = read_json(self.folder / SETTINGS)
            number, held = (raw.get("max_running"), raw.get("held")) if isinstance(raw, dict) else (None, False)
            if type(number) is int and number >= 1:
                return Settings(number, held is True)
        return Settings(self._default)

    def describe(self) -> dict[str, Any]:
        """Return it as the OpenAPI file's ``Queue``."""
        settings, jobs = self.settings(), self._read()
        counts = {state: sum(job.state == state for job in jobs) for state in ("running", "queued")}
        return {"max_running": settings.max_running, "held": settings.held, **counts}

    # What changes it.

    def set(self, max_running: int | None, *, held: bool | None) -> dict[str, Any]:
        """Set how many jobs run at once, and whether the queue is held; ``None`` leaves it."""
        with self._locked():
            before = self.settings()
            limit = before.max_running if max_running is None else max_running
            write_json(self.folder / SETTINGS, {"max_running": limit, "held": before.held if held is None else held})
        return self.describe()

    def submit(self, wanted: NewJob) -> dict[str, Any]:
        """
        Queue a job.

        Raises
        ------
        RequestError
            What it runs is not there, is ambiguous, or runs already.
        RecipeError, NotebookError
            A parameter is not allowed, or the notebook cannot be used; nothing was queued.
        """
        given = [name for name in ("template", "notebook", "resume") if getattr(wanted, name)]
        if len(given) != 1:
            raise RequestError(400, "exactly one of template, notebook and resume is wanted")
        with self._locked():
            job = self._resumption(wanted) if wanted.resume else self._new(wanted)
            waiting = [each.order for each in self._read() if each.state == "queued"]
            job = replace(job, order=max(waiting, default=0.0) + 1.0, created=time.time())
            job.write(self.folder / job.id)
        self.tick()
        return self.show(job.id)

    def move(self, name: str, position: int) -> dict[str, Any]:
        """Move a waiting job to another place, counted from 0; 409 when it waits no longer."""
        with self._locked():
            job = self.find(name)
            waiting = [each for each in self.jobs() if each.state == "queued" and each.id != name]
            if job.state != "queued":
                raise RequestError(409, f"{job.title} waits no longer: it is {job.state}")
            waiting.insert(min(position, len(waiting)), job)
            for place, each in enumerate(waiting, start=1):
                if each.order != place:
                    replace(each, order=float(place)).write(self.folder / each.id)
        return self.show(name)

    def cancel(self, name: str) -> dict[str, Any]:
        """Take a waiting job out, stop a running one, or forget one that ended; return what it is now."""
        with self._locked():
            job = self.find(name)
            folder = self.folder / job.id
            if job.state == "queued":
                job = replace(job, state="cancelled", finished=time.time())
                job.write(folder)
            elif job.state == "running":
                job = replace(job, is_cancelled=True)
                job.write(folder)
                if not self._process(job).stop() and job.run and is_folder(Path(job.run)):
                    # Its process was killed and its kernel was left behind.
                    Control(Path(job.run) / CONTROL).send("stop", by="lab")
            else:
                self._forget(job)
            return job.shown(self.root, None)

    def tick(self) -> None:
        """See which jobs ended, and start those whose turn it is."""
        if not self.folder.is_dir():
            return
        with self._locked():
            reap()
            jobs = [self._settle(job) for job in self.jobs()]
            settings = self.settings()
            free = 0 if settings.held else settings.max_running - sum(job.state == "running" for job in jobs)
            waiting = sorted((job for job in jobs if job.state == "queued"), key=lambda job: (job.order, job.created))
            for job in waiting[: max(0, free)]:
                self._start(job)
            for job in sorted((job for job in jobs if not job.is_active), key=lambda job: -job.finished)[KEPT:]:
                self._forget(job)

    def is_busy(self, run: Path) -> bool:
        """Say whether a job waits or runs for a run directory."""
        return any(job.run == str(run) and job.is_active for job in self._read())

    # How it does it.

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise storage_error(self.folder, error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _read(self) -> list[Job]:
        """Return all jobs in no order; one that cannot be read is passed over."""
        found: dict[str, tuple[int, Job]] = {}
        try:
            entries = list(os.scandir(self.folder))
        except OSError:
            return []
        for entry in entries:
            if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                continue
            with suppress(OSError, StorageError):
                changed = (Path(entry.path) / "job.json").stat().st_mtime_ns
                known = self._known.get(entry.name)
                job = known[1] if known is not None and known[0] == changed else Job.read(Path(entry.path))
                found[entry.name] = changed, job
        self._known = found
        return [job for _, job in found.values()]

    def _process(self, job: Job) -> Process:
        return self._processes.setdefault(job.id, Process(self.folder / job.id))

    def _settle(self, job: Job) -> Job:
        if job.state != "running":
            return job
        now = settled(job, self._process(job))
        if now != job:
            now.write(self.folder / job.id)
        return now

    def _start(self, job: Job) -> None:
        folder = self.folder / job.id
        started = replace(
            job, state="running", started=time.time(), attempts=job.attempts + 1, host=socket.gethostname(),
            heard=heartbeat_of(job),
        )  # fmt: skip
        # Written first: if this server dies now, the next one finds no process, and starts it again.
        started.write(folder)
        try:
            self._process(job).start(started)
        except OSError as error:
            message = f"cannot be started in {job.folder}: {error.strerror or error}"
            replace(started, state="failed", finished=time.time(), message=message).write(folder)

    def _forget(self, job: Job) -> None:
        self._processes.pop(job.id, None)
        shutil.rmtree(self.folder / job.id, ignore_errors=True)

    def _resumption(self, wanted: NewJob) -> Job:
        if wanted.values or wanted.sweep or wanted.name:
            raise RequestError(400, "resume keeps the run's own parameters: leave values, sweep and name out")
        run = self.root.is_run(wanted.resume)
        row = read_row(run, self.root)
        if self.is_busy(run):
            raise RequestError(409, f"run {run.name} is in the queue already")
        # What waits for a kernel that never came has died, though nobody wrote so.
        state = "died" if row["state"] == "queued" and row["notebook"] else row["state"]
        reason = obstacle(state, row["kind"], set(names_in(run)))
        if reason:
            raise RequestError(409, f"run {run.name} cannot be resumed: {reason}")
        verb = "sweep" if row["kind"] == "sweep" else "run"
        job = self._folder(
            kind="resume", title=run.name, command=[verb, "--resume", str(run)], run=str(run), folder=str(run.parent)
        )
        return replace(job, notebook=row["notebook"], runs_dir=str(run.parent))

    def _new(self, wanted: NewJob) -> Job:
        source = self.root.is_file(wanted.notebook) if wanted.notebook else template_path(wanted.template)
        notebook = load_notebook(source)
        if wanted.folder is not None:
            folder = self.root.is_folder(wanted.folder)
        else:
            folder = source.parent if wanted.notebook else self.root.folder
        task = task_of(notebook)
        own = {k: v for k, v in parameters_of(notebook).items() if v is not ...}
        values = full_values(notebook, wanted.values)
        if task and (values.get("resume") or own.get("resume")):
            raise RequestError(
                400, "resume is set, and a background run is a new one; leave it out, or resume that run"
            )
        # Without a task these are parameters as any others.
        asked = str(values.pop("runs_dir", "") or own.get("runs_dir") or "") if task in tasks.TASKS else ""
        runs_dir = self._place(folder, asked)
        name = self._name(wanted, values, own, runs_dir, task)
        if task in tasks.TASKS:
            values.pop("run", None)
        options = ["--runs-dir", str(runs_dir)]
        if wanted.sweep:
            options += ["--name", name, *_sweep_options(notebook, values, wanted.sweep)]
        elif name:
            values |= {"run": name}
        job = self._folder(
            kind="sweep" if wanted.sweep else "run", title=name or source.stem, folder=str(folder), command=[],
            run=str(runs_dir / name) if name else "", runs_dir=str(runs_dir), notebook=wanted.notebook,
            template=wanted.template,
        )  # fmt: skip
        place = self.folder / job.id
        snapshot, parameters = place / source.name, place / "parameters.yaml"
        write_text(snapshot, json.dumps(notebook, ensure_ascii=False))
        write_text(parameters, json.dumps(values))  # JSON is YAML
        verb = "sweep" if wanted.sweep else "run"
        return replace(job, command=[verb, str(snapshot), "-f", str(parameters), *options])

    def _folder(self, **values: Any) -> Job:  # noqa: ANN401
        """Make a job's folder, whose name says when."""
        name = f"{datetime.now(tz=UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        try:
            (self.folder / name).mkdir(mode=0o700)
        except OSError as error:
            raise storage_error(self.folder, error) from None
        return Job(id=name, **values)

    def _place(self, folder: Path, wanted: str) -> Path:
        """Return the folder for run directories, which must lie below the root, or nobody would see them."""
        default = "runs"  # as the recipe has it
        if self._runs_dir is not None and wanted in {"", default}:
            return self._runs_dir
        place = (folder / from_home(wanted or default)).resolve()
        if not self.root.holds(place):
            raise RequestError(400, f"runs_dir: {shown(wanted)} is not below the server's root; choose a folder there")
        return place

    def _name(
        self, wanted: NewJob, values: Mapping[str, Any], own: Mapping[str, Any], runs_dir: Path, task: str
    ) -> str:
        """Return the name of the run directory; empty for a notebook without a task: the command makes one up."""
        if task not in tasks.TASKS:
            return ""
        asked = wanted.name or str(values.get("run") or "")
        taken = {Path(job.run) for job in self._read() if job.is_active and job.run}
        if asked:
            if not _NAME.fullmatch(asked) or asked.startswith("."):
                raise RequestError(
                    400, f"name: {shown(asked)} is no name for a run; allowed: no /, \\ and dot at its beginning"
                )
            if (runs_dir / asked).exists() or runs_dir / asked in taken:
                raise RequestError(409, f"run {shown(asked)} is there already; choose another name")
            return asked
        stamp = datetime.now(tz=UTC).astimezone().strftime("%Y%m%d-%H%M%S")
        prefix = "sweep-" if wanted.sweep else ""
        # The notebook's own name was for its first run; the next one gets a number.
        base = str(own.get("run") or "") or f"{prefix}{task}-{stamp}-{secrets.token_hex(3)}"
        names = [base, *(f"{base}-{number}" for number in range(1, 1000))]
        return next(name for name in names if not (runs_dir / name).exists() and runs_dir / name not in taken)


def _sweep_options(notebook: Mapping[str, Any], values: Mapping[str, Any], wanted: NewSweep) -> list[str]:
    from tunebook.search_plan import make_plan  # noqa: PLC0415

    make_plan(
        notebook, wanted.space, parameters=values, objectives=wanted.objectives, trials=wanted.trials,
        method=wanted.method, points=wanted.points, prune=wanted.prune, seed=wanted.seed,
    )  # fmt: skip
    options = [f"-s{name}={space}" for name, space in wanted.space.items()]
    options += [f"--objective={objective}" for objective in wanted.objectives]
    options += [f"--method={wanted.method}", f"--points={wanted.points}", f"--seed={wanted.seed}"]
    options += [f"--workers={wanted.workers}"]
    if wanted.trials is not None:
        options.append(f"--trials={wanted.trials}")
    if wanted.prune is not None:
        options.append("--prune" if wanted.prune else "--no-prune")
    return options
