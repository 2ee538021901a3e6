"""Many background runs with a limit, some of them killed: each ends in its right state, and no process is left."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_run

from tunebook.runs import Run
from tunebook_lab import jobs
from tunebook_lab.bodies import NewJob
from tunebook_lab.job_queue import Queue
from tunebook_lab.jobs import Process
from tunebook_lab.paths import Root

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Stands for the command, and starts in a fraction of its time: it owns its run, notes how many run beside it, and ends
#: by itself, or waits to be ended if its seed is 1.
STAND_IN = """
import json, os, signal, sys, time
from pathlib import Path
from tunebook.runs import Run

values = json.loads(Path(sys.argv[4]).read_text())
run = Run.create(sys.argv[6], values["run"], "image-classification")
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
with run.owned():
    run.update(state="running", started=time.time())
    (run.path / "running").touch()
    while values["seed"] and not told:
        time.sleep(0.02)
    run.update(state="stopped" if told else "finished", finished=time.time())
"""
LIMIT = 4


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    """Give a queue; none of its processes is left behind, whatever happens."""
    root = tmp_path / "root"
    root.mkdir()
    made = Queue(tmp_path / "queue", Root(root), LIMIT)
    yield made
    for entry in made.folder.iterdir():
        process = Process(entry)
        if process.is_alive and process.pid:
            os.kill(process.pid, signal.SIGKILL)


def _watch(queue: Queue, ends: dict[str, str], seconds: float) -> int:
    """Look at the queue as a server does until all is done, and end jobs on the way; return the most at once."""
    left = dict(ends)
    most = 0
    until = time.monotonic() + seconds
    while any(job.is_active for job in queue.jobs()):
        assert time.monotonic() < until, [job for job in queue.jobs() if job.is_active]
        queue.tick()
        running = [job for job in queue.jobs() if job.state == "running"]
        most = max(most, sum(Process(queue.folder / job.id).is_alive for job in running))
        for job in running:
            if job.title in left and _is_at_work(Path(job.run)):
                how = left.pop(job.title)
                pid = Process(queue.folder / job.id).pid
                assert pid is not None
                if how == "SIGKILL":
                    os.kill(pid, signal.SIGKILL)
                else:
                    queue.cancel(job.id)
        time.sleep(0.02)
    assert not left
    return most


def _is_at_work(run: Path) -> bool:
    return (run / "running").exists() or any((run / "checkpoints").glob("step-*"))


def _processes_in(folder: Path) -> list[psutil.Process]:
    """Return the processes that work in a folder or below: commands, kernels, and what these started."""
    found = psutil.process_iter(["cwd"])
    return [process for process in found if Path(process.info["cwd"] or "/").is_relative_to(folder)]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("count", "ended"), [(12, 4), pytest.param(50, 10, marks=pytest.mark.long)])
def test_every_background_run_ends_in_its_right_state(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, ended: int
) -> None:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN, encoding="utf-8")
    monkeypatch.setattr(jobs, "COMMAND", [sys.executable, str(script)])
    rng = random.Random(50)  # noqa: S311
    names = [f"run-{number}" for number in range(count)]
    # Most are killed, some are stopped by hand as they run.
    ends = {name: "SIGKILL" if k % 4 else "stop" for k, name in enumerate(rng.sample(names, ended))}
    queue.set(None, held=True)
    for name in names:
        queue.submit(NewJob(template="image-classification", name=name, values={"seed": int(name in ends)}))
    queue.set(None, held=False)
    most = _watch(queue, ends, 900)
    states = {job.title: job.state for job in queue.jobs()}
    expected = {name: {"SIGKILL": "died", "stop": "stopped", "": "finished"}[ends.get(name, "")] for name in names}
    right = sum(states[name] == expected[name] for name in names)
    # What the directories say is the same.
    right_too = sum(Run(queue.root.folder / "runs" / name).state().state == expected[name] for name in names)
    while jobs._children:
        jobs.reap()
        time.sleep(0.01)
    left = _processes_in(tmp_path)
    print(f"{right} of {count} right final states, at most {most} at once, {len(left)} processes left")
    assert states == expected
    assert right_too == count
    assert most == LIMIT
    assert not left


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_real_background_runs_end_in_their_right_states(queue: Queue, tmp_path: Path) -> None:
    data = small_run.make_pictures(queue.root.folder / "pictures")
    values: dict[str, Any] = {
        "data": str(data), "model": "test_efficientnet", "weights": "none", "image_size": 32, "batch_size": 8,
        "onnx": False, "device": "cpu", "checkpoint_seconds": 0.05, "unfreeze": [],
    }  # fmt: skip
    ends = {"killed": "SIGKILL", "stopped": "stop"}
    for name in ("first", "killed", "stopped", "last"):
        epochs = 200 if name in ends else 2
        queue.submit(NewJob(template="image-classification", name=name, values={**values, "epochs": epochs}))
    _watch(queue, ends, 1500)
    states = {job.title: job.state for job in queue.jobs()}
    # A kernel sees within seconds that the command that started it is gone.
    small_run.wait_until(lambda: not _processes_in(tmp_path), "a process is left")
    print(f"real runs: {states}, no process left")
    assert states == {"first": "finished", "killed": "died", "stopped": "stopped", "last": "finished"}
    for name, state in states.items():
        assert Run(queue.root.folder / "runs" / name).state().state == state
