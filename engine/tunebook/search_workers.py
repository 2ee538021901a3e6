"""Where the trials of a search run on one machine: in this process, or in workers that may die."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Protocol

from tunebook import machine
from tunebook.errors import TrainingError
from tunebook.search_trials import TrialResult
from tunebook.storage import write_json

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path

    from tunebook.examples import Examples
    from tunebook.search_ledger import Job
    from tunebook.search_plan import Plan
    from tunebook.search_trials import Evaluator

#: Workers that a trial may lose before it is taken for the reason, and workers that may die before they are ready.
MOST_LOSSES = 3
#: Seconds that a turn waits for news.
TURN = 0.2
#: Trials of the Bayesian method that are asked for at once when they run in this process.
GROUP = 10
_PLAN, _EXAMPLES, _TABLE = "plan.json", "examples.json", "examples.parquet"


class Desk(Protocol):
    """The parent's side: it alone asks and tells the study, and decides what is pruned."""

    def reported(self, number: int, epoch: int, value: float) -> bool:
        """Note a value of a trial; return whether to give it up."""
        ...

    def ended(self, number: int, result: TrialResult) -> None:
        """Note what became of a trial."""
        ...


class Executor(Protocol):
    """Runs trials somewhere, each until it has ended, however many workers that takes."""

    def room(self) -> int:
        """Return how many more trials should be submitted now."""
        ...

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take trials to run."""
        ...

    def turn(self, desk: Desk, stop: threading.Event) -> None:
        """Tell the desk what is new; return soon."""
        ...

    def describe(self) -> str:
        """Say in words where the trials run."""
        ...

    def close(self) -> None:
        """End all that runs."""
        ...


class InProcess:
    """
    Runs trials in this process, a group at a time.

    Parameters
    ----------
    plan
        What is searched.
    evaluator
        Trains them.
    """

    def __init__(self, plan: Plan, evaluator: Evaluator) -> None:
        self._plan, self._evaluator = plan, evaluator
        self._jobs: list[Job] = []

    def room(self) -> int:
        """Return a group's size while there is none: all there are, unless what comes next depends on the results."""
        if self._jobs:
            return 0
        return GROUP if self._plan.method == "bayesian" else self._plan.trials

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take the next group."""
        self._jobs += jobs

    def turn(self, desk: Desk, stop: threading.Event) -> None:
        """Run the whole group."""
        jobs, self._jobs = self._jobs, []

        def report(place: int, epoch: int, value: float) -> bool:
            return desk.reported(jobs[place].number, epoch, value)

        if jobs:
            recipes = [self._plan.recipe(**job.parameters) for job in jobs]
            for result in self._evaluator.evaluate(recipes, report, stop):
                desk.ended(jobs[result.place].number, result)

    def describe(self) -> str:
        """Say in words where the trials run."""
        return "in this process"

    def close(self) -> None:
        """Nothing runs between two turns."""


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    job: Job | None = None
    is_ready: bool = False


@dataclass
class _Losses:
    """How often a worker died, by trial, and in a row before it was ready."""

    by_trial: dict[int, int] = field(default_factory=dict)
    at_start: int = 0


class Processes:
    """
    Runs trials in processes of their own, a trial each; one that dies is replaced and its trial run again.

    Messages are lines of JSON. A worker ends when its standard input does, which is when this process is gone.

    Parameters
    ----------
    plan
        What is searched.
    examples
        What the trials of the plan's recipe train on; given to the workers as a file.
    count
        Number of workers.
    folder
        Empty folder for that file and the workers' logs.
    """

    def __init__(self, plan: Plan, examples: Examples, count: int, folder: Path) -> None:
        self._folder, self._count = folder, count
        self._queue: deque[Job] = deque()
        self._losses = _Losses()
        write_handoff(folder, plan, examples)
        self._workers = [self._start() for _ in range(count)]

    @property
    def processes(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.process.pid for worker in self._workers]

    def room(self) -> int:
        """Return the number of workers without a trial."""
        return sum(worker.job is None for worker in self._workers) - len(self._queue)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take trials to run."""
        self._queue.extend(jobs)

    def turn(self, desk: Desk, stop: threading.Event) -> None:  # noqa: ARG002 - it never lasts longer than TURN
        """
        Give out trials, and handle what the workers say.

        Raises
        ------
        TrainingError
            Workers cannot be started, or cannot read the data.
        """
        for worker in self._workers:
            if worker.is_ready and worker.job is None and self._queue:
                worker.job = self._queue.popleft()
                self._send(worker, asdict(worker.job))
        ready = wait([worker.connection for worker in self._workers], TURN)
        for worker in [worker for worker in self._workers if worker.connection in ready]:
            self._hear(worker, desk)

    def describe(self) -> str:
        """Say in words where the trials run."""
        return f"in {self._count} processes of {machine.threads_of(self._count)} threads"

    def close(self) -> None:
        """Kill the workers."""
        for worker in self._workers:
            _end(worker)
        self._workers = []

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs, (self._folder / "workers.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "tunebook.search_worker", str(theirs.fileno()), str(self._folder)],
                stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=[theirs.fileno()],
                # Ctrl-C is for this process: it ends its workers itself.
                start_new_session=True,
                env={**os.environ, **machine.thread_variables(machine.threads_of(self._count))},
            )  # fmt: skip
        return _Worker(process, Connection(ours.detach()))

    def _hear(self, worker: _Worker, desk: Desk) -> None:
        try:
            message: dict[str, Any] = json.loads(worker.connection.recv_bytes())
        except (OSError, EOFError):
            self._replace(worker, desk)
            return
        job = worker.job
        if "ready" in message:
            worker.is_ready, self._losses.at_start = True, 0
        elif "broken" in message:
            raise TrainingError(f"a worker cannot begin: {message['broken']}")
        elif job is not None and "report" in message:
            epoch, value = message["report"]
            self._send(worker, {"prune": desk.reported(job.number, epoch, value)})
        elif job is not None and "result" in message:
            worker.job = None
            desk.ended(job.number, TrialResult.from_json(message["result"]))

    def _send(self, worker: _Worker, message: dict[str, Any]) -> None:
        # One that has died is found out when it is listened to.
        with suppress(OSError):
            worker.connection.send_bytes(json.dumps(message).encode())

    def _replace(self, worker: _Worker, desk: Desk) -> None:
        code = _end(worker)
        job = worker.job
        if not worker.is_ready:
            self._losses.at_start += 1
            if self._losses.at_start >= MOST_LOSSES:
                raise TrainingError(f"workers die at their start (exit code {code}): {self._last_words()}")
        if job is not None:
            lost = self._losses.by_trial[job.number] = self._losses.by_trial.get(job.number, 0) + 1
            if lost < MOST_LOSSES:
                self._queue.appendleft(job)
            else:
                desk.ended(job.number, lost_trial(lost))
        self._workers[self._workers.index(worker)] = self._start()

    def _last_words(self) -> str:
        lines = (self._folder / "workers.log").read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "they said nothing")


def lost_trial(times: int) -> TrialResult:
    """Return the result of a trial that took so many workers with it."""
    message = f"its worker was killed {times} times, probably because memory ran out; use fewer workers or smaller data"
    return TrialResult(0, "failed", message=message)


def write_handoff(folder: Path, plan: Plan, examples: Examples) -> None:
    """Write what a worker of this machine needs, so that it need not read and check the data again."""
    write_json(folder / _PLAN, {**asdict(plan), "objectives": list(plan.objectives)}, durable=False)
    about = {key: value for key, value in vars(examples).items() if key != "frame"}
    write_json(folder / _EXAMPLES, about, durable=False)
    examples.frame.to_parquet(folder / _TABLE)


def read_handoff(folder: Path) -> tuple[Plan, Examples]:
    """Read what :func:`write_handoff` wrote."""
    import pandas as pd  # noqa: PLC0415

    from tunebook.examples import Examples  # noqa: PLC0415
    from tunebook.search_plan import Plan  # noqa: PLC0415
    from tunebook.storage import read_json  # noqa: PLC0415

    raw, about = read_json(folder / _PLAN), read_json(folder / _EXAMPLES)
    plan = Plan(**{**raw, "objectives": tuple(raw["objectives"])})
    for name in ("classes", "sensitive", "notes"):
        about[name] = tuple(about[name])
    about["remarks"] = tuple((kind, text) for kind, text in about["remarks"])
    return plan, Examples(frame=pd.read_parquet(folder / _TABLE), **about)


def _end(worker: _Worker) -> int | None:
    worker.connection.close()
    if worker.process.stdin is not None:
        worker.process.stdin.close()
    worker.process.kill()
    return worker.process.wait()
