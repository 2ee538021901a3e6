"""Runs of a batch on a cluster of dask.distributed: machines that share a file system, any of which may go away."""

from __future__ import annotations

import json
import queue
import secrets
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import wait
from typing import Any

from tunebook.batch_child import AGAIN, Child, Job, Outcome
from tunebook.batch_local import TURN
from tunebook.cluster import connect, untyped
from tunebook.errors import TrainingError, shown

#: Seconds between two questions of a worker whether its run is to stop.
_POLL = 1.0


class Cluster:
    """
    Carries out runs on the workers of a cluster, as many at a time as they have threads.

    dask runs the task of a worker that died on another one, where the run goes on from its last checkpoint.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://host:8786``.

    Raises
    ------
    TrainingError
        dask.distributed is not installed, or the scheduler does not answer.
    """

    def __init__(self, address: str) -> None:
        self._address, self._topic = address, f"tunebook-{secrets.token_hex(6)}"
        self._client = connect(address)
        self._futures: dict[str, Any] = {}
        self._begun: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._news = threading.Event()
        self._is_stopping = False
        self._client.subscribe_topic(self._topic, self._heard)

    def room(self) -> int:
        """Return the number of threads without a run; workers that join later get some too."""
        threads: int = sum(self._client.nthreads().values())
        return max(0, threads - len(self._futures))

    def submit(self, job: Job) -> None:
        """Give a run to the scheduler."""
        payload = json.dumps({"job": asdict(job), "topic": self._topic})
        future = self._client.submit(run_job, payload, pure=False, key=f"{self._topic}-{job.name}")
        future.add_done_callback(lambda _: self._news.set())
        self._futures[job.name] = future

    def turn(self) -> tuple[dict[str, str], dict[str, Outcome]]:
        """
        Return soon what is new.

        Raises
        ------
        TrainingError
            The scheduler is gone.
        """
        self._news.wait(TURN)
        self._news.clear()
        if self._client.status != "running":
            raise TrainingError(f"scheduler {shown(self._address)} is gone; its runs stop, and {AGAIN}")
        begun: dict[str, str] = {}
        with suppress(queue.Empty):
            while True:
                name, where = self._begun.get_nowait()
                begun[name] = where
        done = [name for name, future in self._futures.items() if future.done()]
        return begun, {name: _outcome(self._futures.pop(name)) for name in done}

    def stop(self) -> None:
        """Have all runs write their checkpoints and end; the second time they are not waited for."""
        from distributed import Event  # noqa: PLC0415

        if self._is_stopping:
            self._client.cancel(list(self._futures.values()), force=True)
        self._is_stopping = True
        untyped(Event)(self._topic, client=self._client).set()

    def describe(self) -> str:
        """Say in words where the runs are carried out."""
        workers = self._client.nthreads()
        return f"{sum(workers.values())} at a time on the {len(workers)} workers of {self._address}"

    def close(self) -> None:
        """Cancel what is not done, and leave the cluster."""
        with suppress(Exception):  # it may be gone already
            self._client.cancel(list(self._futures.values()), force=True)
        with suppress(Exception):
            self._client.close(timeout=5)

    def _heard(self, event: tuple[float, Any]) -> None:
        self._begun.put((str(event[1]["name"]), str(event[1]["where"])))
        self._news.set()


def run_job(payload: str) -> str:
    """
    Carry out a run; called by dask in a worker.

    Parameters
    ----------
    payload
        JSON: the job, and the topic on which to tell that it began, which is also the name of the event that stops it.

    Returns
    -------
    str
        JSON: an :class:`~tunebook.batch_child.Outcome`.
    """
    from distributed import Event, get_worker  # noqa: PLC0415

    given = json.loads(payload)
    worker = get_worker()
    key = worker.get_current_task()
    told_to_stop = untyped(Event)(given["topic"])
    if told_to_stop.is_set():
        return json.dumps(asdict(Outcome("stopped", f"stopped before it began; {AGAIN}")))
    worker.log_event(given["topic"], {"name": given["job"]["name"], "where": socket.gethostname()})
    child = Child(Job(**given["job"]), worker.state.nthreads)
    is_stopped, asked = False, time.monotonic()
    while not wait([child.answer.fileno()], TURN):
        if is_stopped:
            continue
        # dask cannot end a task that runs: it forgets it when whoever wanted it is gone.
        task = worker.state.tasks.get(key)
        is_stopped = task is None or task.state not in {"executing", "long-running"}
        if not is_stopped and time.monotonic() - asked > _POLL:
            asked = time.monotonic()
            is_stopped = _is_set(told_to_stop)
        if is_stopped:
            child.stop()
    return json.dumps(asdict(child.outcome()))


def _is_set(event: Any) -> bool:  # noqa: ANN401
    try:
        return bool(event.is_set())
    except Exception:  # noqa: BLE001 - without its scheduler a run has nobody who waits for it
        return True


def _outcome(future: Any) -> Outcome:  # noqa: ANN401
    if future.status == "finished":
        return Outcome(**json.loads(future.result()))
    error = future.exception() if future.status == "error" else None
    if error is None:
        return Outcome("stopped", f"the cluster let it go; {AGAIN}")
    if type(error).__name__ == "KilledWorker":
        return Outcome("failed", f"its workers were killed, probably because memory ran out; {AGAIN}")
    return Outcome("failed", f"{type(error).__name__}: {' '.join(str(error).split())}"[:400])
