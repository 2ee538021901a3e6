"""Trials of a search on a cluster of dask.distributed: many machines, of which any may go away."""

from __future__ import annotations

import json
import queue
import secrets
import threading
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tunebook.cluster import connect, untyped
from tunebook.errors import TrainingError, shown
from tunebook.search_trials import TrialResult
from tunebook.search_workers import MOST_LOSSES, TURN, lost_trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.examples import Examples
    from tunebook.search_ledger import Job
    from tunebook.search_plan import Plan
    from tunebook.search_trials import Evaluator
    from tunebook.search_workers import Desk


class Cluster:
    """
    Runs trials on the workers of a cluster, one at a time on each.

    dask runs the task of a worker that died on another one. A task that fails with the
    worker as often as dask allows is submitted anew, up to :data:`~tunebook.search_workers.MOST_LOSSES` times.

    Parameters
    ----------
    plan
        What is searched; workers read the data that it names by themselves, once.
    examples
        What this process read: a worker that reads something else refuses its trials.
    address
        Of the scheduler, such as ``tcp://host:8786``.

    Raises
    ------
    TrainingError
        dask.distributed is not installed, or the scheduler does not answer.
    """

    def __init__(self, plan: Plan, examples: Examples, address: str) -> None:
        self._address, self._name = address, f"tunebook-{secrets.token_hex(6)}"
        self._client = connect(address)
        self._payload = {
            "plan": {**asdict(plan), "objectives": list(plan.objectives)}, "digest": digest(examples),
            "topic": self._name,
        }  # fmt: skip
        self._futures: dict[int, tuple[Job, Any]] = {}
        self._losses: dict[int, int] = {}
        self._reports: queue.SimpleQueue[tuple[int, int, float]] = queue.SimpleQueue()
        self._news = threading.Event()
        self._client.subscribe_topic(self._name, self._heard)

    def room(self) -> int:
        """Return the number of workers without a trial; those that join later get some too."""
        return max(0, len(self._client.nthreads()) - len(self._futures))

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take trials to run."""
        for job in jobs:
            self._submit(job)

    def turn(self, desk: Desk, stop: threading.Event) -> None:  # noqa: ARG002 - it never lasts longer than TURN
        """
        Handle what the workers say.

        Raises
        ------
        TrainingError
            The scheduler is gone, or a worker reads other data than this process.
        """
        self._news.wait(TURN)
        self._news.clear()
        if self._client.status != "running":
            raise TrainingError(f"scheduler {shown(self._address)} is gone")
        with suppress(queue.Empty):
            while True:
                number, epoch, value = self._reports.get_nowait()
                if number in self._futures and desk.reported(number, epoch, value):
                    self._give_up(number)
        for number, (job, future) in list(self._futures.items()):
            if future.done():
                del self._futures[number]
                self._end(job, future, desk)

    def describe(self) -> str:
        """Say in words where the trials run."""
        return f"on the {len(self._client.nthreads())} workers of {self._address}"

    def close(self) -> None:
        """Cancel what is not done, and leave the cluster."""
        with suppress(Exception):  # it may be gone already
            for number in self._futures:  # a task that runs cannot be cancelled; it ends with its next epoch
                self._give_up(number)
            self._client.cancel([future for _, future in self._futures.values()], force=True)
        with suppress(Exception):
            self._client.close(timeout=5)

    def _heard(self, event: tuple[float, Any]) -> None:
        message = event[1]
        self._reports.put((int(message["number"]), int(message["epoch"]), float(message["value"])))
        self._news.set()

    def _submit(self, job: Job) -> None:
        attempt = self._losses.get(job.number, 0)
        future = self._client.submit(
            run_trial, json.dumps({**self._payload, "job": asdict(job)}), pure=False,
            key=f"{self._name}-{job.number}-{attempt}",
        )  # fmt: skip
        future.add_done_callback(lambda _: self._news.set())
        self._futures[job.number] = job, future

    def _give_up(self, number: int) -> None:
        from distributed import Event  # noqa: PLC0415

        untyped(Event)(f"{self._name}-{number}", client=self._client).set()

    def _end(self, job: Job, future: Any, desk: Desk) -> None:  # noqa: ANN401
        if future.status == "finished":
            found = json.loads(future.result())
            if "broken" in found:
                raise TrainingError(f"a worker cannot begin: {found['broken']}")
            desk.ended(job.number, TrialResult.from_json(found))
            return
        error = future.exception() if future.status == "error" else None
        lost = self._losses[job.number] = self._losses.get(job.number, 0) + 1
        if error is None or type(error).__name__ == "KilledWorker":
            if lost < MOST_LOSSES:
                self._submit(job)
            else:
                desk.ended(job.number, lost_trial(lost))
            return
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
        desk.ended(job.number, TrialResult(0, "failed", message=text))


class _Bench:
    """What the trials of one search share in a worker, and the lock that keeps them one at a time."""

    lock = threading.Lock()
    key = ""
    evaluator: Evaluator | None = None


def run_trial(payload: str) -> str:
    """
    Run one trial; called by dask in a worker.

    Parameters
    ----------
    payload
        JSON: the plan, a digest of the examples, the topic for reports, and the trial.

    Returns
    -------
    str
        JSON: the result, or ``broken`` and why no trial can run here.
    """
    from distributed import Event, get_worker  # noqa: PLC0415

    from tunebook.search_plan import Plan  # noqa: PLC0415

    given = json.loads(payload)
    topic, number = given["topic"], given["job"]["number"]
    plan = Plan(**{**given["plan"], "objectives": tuple(given["plan"]["objectives"])})
    worker = get_worker()

    def report(_place: int, epoch: int, value: float) -> bool:
        worker.log_event(topic, {"number": number, "epoch": epoch, "value": value})
        # The parent decides meanwhile; a trial that it gives up ends with its next epoch.
        return bool(untyped(Event)(f"{topic}-{number}").is_set())

    # A worker with several threads is given several tasks, and they share a model.
    with _Bench.lock:
        try:
            evaluator = _evaluator(plan, given["digest"])
        except Exception as error:  # noqa: BLE001 - told to the parent, who ends the search with it
            return json.dumps({"broken": f"{type(error).__name__}: {error}"})
        result = next(iter(evaluator.evaluate([plan.recipe(**given["job"]["parameters"])], report)))
    return json.dumps(result.to_json())


def _evaluator(plan: Plan, wanted: str) -> Evaluator:
    from tunebook.search_materials import Materials  # noqa: PLC0415
    from tunebook.search_trials import evaluator  # noqa: PLC0415

    key = json.dumps(asdict(plan), sort_keys=True)
    if _Bench.key != key or _Bench.evaluator is None:
        materials = Materials(plan.recipe())
        examples = materials.examples(plan.recipe())
        if digest(examples) != wanted:
            msg = f"it reads {len(examples)} examples that differ from this machine's; give every worker the same data"
            raise TrainingError(msg)
        _Bench.evaluator, _Bench.key = evaluator(materials, plan.read_objectives()), key
    return _Bench.evaluator


def digest(examples: Examples) -> str:
    """Return a SHA-256 of all that tells examples apart but their paths, which differ between machines."""
    import hashlib  # noqa: PLC0415

    columns = ["id", "label", "split", *examples.sensitive]
    table = examples.frame[columns].astype(str).to_csv(index=False)
    return hashlib.sha256(f"{examples.classes}\n{table}".encode("utf-8", "surrogatepass")).hexdigest()
