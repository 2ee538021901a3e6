"""Background runs: their order, their limit, and what becomes of them when something dies."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tunebook.control import Control
from tunebook.run_curves import RunCurves
from tunebook.runs import Run
from tunebook_lab import jobs
from tunebook_lab.bodies import NewJob
from tunebook_lab.errors import RequestError
from tunebook_lab.job_queue import Queue
from tunebook_lab.jobs import Job, Process
from tunebook_lab.paths import Root
from tunebook_lab.run_index import RunIndex

from .conftest import write_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

#: Stands for the command: it owns its run until a file called "go" is there, and stops when it is told to.
STAND_IN = """
import json, signal, sys, time
from pathlib import Path
from tunebook.control import Control
from tunebook.run_curves import RunCurves
from tunebook.runs import Run

if sys.argv[2] == "--resume":
    run = Run(Path(sys.argv[3]))
else:
    values = json.loads(Path(sys.argv[4]).read_text())
    if values.get("label") == "broken":
        sys.exit("error: label is broken; choose another")
    run = Run.create(sys.argv[6], values["run"], "image-classification")
with open("starts.txt", "a") as stream:
    stream.write(run.name + "\\n")
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
with run.owned():
    run.update(state="running", started=time.time())
    while not told and not Path("go").exists():
        time.sleep(0.02)
    run.update(state="stopped" if told else "finished", finished=time.time())
"""


@pytest.fixture
def make_queue(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Queue]]:
    """Make queues of one root, as several servers or a restarted one would; none of their processes is left behind."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN, encoding="utf-8")
    monkeypatch.setattr(jobs, "COMMAND", [sys.executable, str(script)])
    folder = tmp_path / "queue"

    def make(max_running: int = 1) -> Queue:
        return Queue(folder, Root(root), max_running)

    yield make
    for entry in folder.iterdir() if folder.is_dir() else ():
        process = Process(entry)
        if process.is_alive and process.pid:
            os.kill(process.pid, signal.SIGKILL)
    while jobs._children:
        jobs.reap()
        time.sleep(0.01)


def submit(queue: Queue, name: str, **values: Any) -> str:
    """Queue a run of the template, and return its id."""
    made: str = queue.submit(NewJob(template="image-classification", name=name, values=values))["id"]
    return made


def until(queue: Queue, name: str, *states: str, seconds: float = 30.0) -> Job:
    """Look at the queue as a server does until a job is in one of some states."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        queue.tick()
        job = queue.find(name)
        if job.state in states:
            return job
        time.sleep(0.05)
    raise AssertionError(f"{queue.find(name)} is not {states}")


def training(root: Path, name: str, seconds: float = 30.0) -> Run:
    """Wait until a run is under way."""
    run = Run(root / "runs" / name)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (run.path / "state.json").is_file() and run.state().state == "running":
            return run
        time.sleep(0.05)
    raise AssertionError(f"{name} did not start")


def test_jobs_run_one_by_one_in_their_order(make_queue: Callable[..., Queue], root: Path) -> None:
    queue = make_queue()
    first, second = submit(queue, "first"), submit(queue, "second")
    training(root, "first")
    assert [queue.find(name).state for name in (first, second)] == ["running", "queued"]
    (root / "go").touch()
    assert until(queue, first, "finished").message == ""
    until(queue, second, "finished")
    assert (root / "starts.txt").read_text().split() == ["first", "second"]


def test_limit_counts_for_all_servers_together(make_queue: Callable[..., Queue], root: Path) -> None:
    queue, other = make_queue(2), make_queue(2)
    names = [submit(queue if k % 2 else other, f"run-{k}") for k in range(4)]
    training(root, "run-0")
    training(root, "run-1")
    other.tick()
    assert [queue.find(name).state for name in names] == ["running", "running", "queued", "queued"]
    (root / "go").touch()
    for name in names:
        until(other, name, "finished")


def test_job_outlives_its_server(make_queue: Callable[..., Queue], root: Path) -> None:
    name = submit(make_queue(), "long")
    training(root, "long")
    after = make_queue()
    assert until(after, name, "running").state == "running"
    (root / "go").touch()
    assert until(after, name, "finished").run == str(root / "runs" / "long")


def test_servers_that_look_at_once_start_a_job_once(make_queue: Callable[..., Queue], root: Path) -> None:
    queue = make_queue()
    queue.set(None, held=True)
    names = [submit(queue, f"run-{k}") for k in range(3)]
    queues = [make_queue() for _ in range(8)]
    (root / "go").touch()
    queue.set(3, held=False)
    together = threading.Barrier(len(queues))

    def look(each: Queue) -> None:
        together.wait()
        for _ in range(5):
            each.tick()

    threads = [threading.Thread(target=look, args=[each]) for each in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        until(queue, name, "finished")
    assert sorted((root / "starts.txt").read_text().split()) == ["run-0", "run-1", "run-2"]


def test_killed_job_is_seen_and_the_next_one_starts(make_queue: Callable[..., Queue], root: Path) -> None:
    queue = make_queue()
    first, second = submit(queue, "killed"), submit(queue, "next")
    training(root, "killed")
    pid = Process(queue.folder / first).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    job = until(queue, first, "died")
    assert "resumed" in job.message
    training(root, "next")
    assert queue.find(second).state == "running"
    rows = _rows(queue, root)
    assert rows["runs/killed"]["state"] == "died"
    assert rows["runs/next"]["state"] == "running"


def test_kernel_that_trains_on_alone_is_still_running_and_can_be_stopped(
    make_queue: Callable[..., Queue], root: Path
) -> None:
    queue = make_queue()
    name = submit(queue, "orphan")
    run = training(root, "orphan")
    pid = Process(queue.folder / name).pid
    assert pid is not None
    (root / "go").touch()
    until(queue, name, "finished")
    # As it looks when the command was killed, and the kernel that owns the run was not.
    replace(queue.find(name), state="running", finished=0.0).write(queue.folder / name)
    with run.owned():
        run.update(state="running")
        queue.tick()
        assert queue.find(name).state == "running"
        assert _rows(queue, root)["runs/orphan"]["state"] == "running"
        queue.cancel(name)
        assert [request.command for request in Control(run.path / "control.jsonl").poll()] == ["stop"]
    assert until(queue, name, "cancelled").message == ""
    assert _rows(queue, root)["runs/orphan"]["state"] == "died"


def test_run_whose_process_dies_before_it_trains_is_not_queued_for_ever(
    make_queue: Callable[..., Queue], root: Path
) -> None:
    queue = make_queue()
    queue.set(None, held=True)
    name = submit(queue, "early")
    write_run(root / "runs" / "early", state="queued", log=False)
    folder = queue.folder / name
    (folder / "pid").write_text("999999", encoding="ascii")
    replace(Job.read(folder), state="running", started=time.time() - 5, attempts=1, host=os.uname().nodename).write(
        folder
    )
    until(queue, name, "died")
    assert _rows(queue, root)["runs/early"]["state"] == "died"


def test_running_job_is_stopped_with_a_checkpoint_and_resumed(make_queue: Callable[..., Queue], root: Path) -> None:
    queue = make_queue()
    name = submit(queue, "halted")
    run = training(root, "halted")
    queue.cancel(name)
    until(queue, name, "stopped")
    for file in ("source.ipynb", "job.json"):
        (run.path / file).write_text("{}", encoding="utf-8")
    assert _rows(queue, root)["runs/halted"]["resumable"]
    again = queue.submit(NewJob(resume="runs/halted"))
    with pytest.raises(RequestError, match="queue already"):
        queue.submit(NewJob(resume="runs/halted"))
    (root / "runs" / "go").touch()
    until(queue, again["id"], "finished")
    assert run.state().state == "finished"
    with pytest.raises(RequestError, match="cannot be resumed"):
        queue.submit(NewJob(resume="runs/halted"))


def test_job_that_fails_at_once_says_why(make_queue: Callable[..., Queue], root: Path) -> None:
    queue = make_queue()
    name = submit(queue, "bad", label="broken")
    job = until(queue, name, "failed")
    assert job.message == "label is broken; choose another"
    assert "label is broken" in queue.log(name)
    assert not (root / "runs" / "bad").exists()


def test_job_whose_server_died_while_starting_it_is_started_again(make_queue: Callable[..., Queue], root: Path) -> None:
    queue = make_queue()
    queue.set(None, held=True)
    name = submit(queue, "torn")
    folder = queue.folder / name
    written = replace(Job.read(folder), state="running", started=time.time(), attempts=1, host=os.uname().nodename)
    written.write(folder)
    (root / "go").touch()
    queue.set(None, held=False)
    assert until(queue, name, "finished").attempts == 2
    replace(written, attempts=jobs.ATTEMPTS, id=name).write(folder)
    (folder / "pid").unlink()
    assert until(queue, name, "failed").message == "its process could not be started"


def test_number_of_another_process_is_never_killed(make_queue: Callable[..., Queue], root: Path) -> None:
    queue = make_queue()
    queue.set(None, held=True)
    name = submit(queue, "old")
    folder = queue.folder / name
    (folder / "pid").write_text(str(os.getpid()), encoding="ascii")
    replace(Job.read(folder), state="running", started=time.time(), host=os.uname().nodename).write(folder)
    queue.cancel(name)  # we would be gone
    assert until(queue, name, "cancelled", "died").state == "cancelled"
    del root


def test_damaged_jobs_are_passed_over(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue()
    queue.set(None, held=True)
    name = submit(queue, "good")
    raw = json.loads((queue.folder / name / "job.json").read_text())
    for k, text in enumerate(
        ["", "{", "[]", "{}", json.dumps({**raw, "command": "rm"}), json.dumps({**raw, "order": "x"})]
    ):
        (queue.folder / f"bad-{k}").mkdir()
        (queue.folder / f"bad-{k}" / "job.json").write_text(text, encoding="utf-8")
    queue.tick()
    assert [job.id for job in queue.jobs()] == [name]


def test_notebook_is_taken_as_it_was_queued(make_queue: Callable[..., Queue], root: Path) -> None:
    queue = make_queue()
    queue.set(None, held=True)
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "epochs = 3\nrun = 'mine'"}
    notebook = {"cells": [cell], "metadata": {"tunebook": {"task": "image-classification"}}}
    (root / "work").mkdir()
    path = root / "work" / "own.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    jobs_made = [queue.submit(NewJob(notebook="work/own.ipynb")) for _ in range(2)]
    assert [job["run"] for job in jobs_made] == ["work/runs/mine", "work/runs/mine-1"]
    path.write_text("{}", encoding="utf-8")
    job = queue.find(jobs_made[0]["id"])
    assert json.loads(Path(job.command[1]).read_text()) == notebook
    assert job.folder == str(root / "work")
    cell["source"] = "epochs = 0"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    with pytest.raises(Exception, match="epochs"):
        queue.submit(NewJob(notebook="work/own.ipynb"))


def test_sweep_becomes_one_row(make_queue: Callable[..., Queue], root: Path) -> None:
    from tunebook_lab.bodies import NewSweep

    queue = make_queue()
    queue.set(None, held=True)
    wanted = NewSweep(space={"lr": "log(1e-4,1e-1)"}, trials=7, objectives=["macro_f1"])
    made = queue.submit(NewJob(template="image-classification", name="search", sweep=wanted, values={"epochs": 2}))
    command = queue.find(made["id"]).command
    assert command[0] == "sweep"
    assert {"-slr=log(1e-4,1e-1)", "--trials=7", "--name"} <= set(command)
    assert _rows(queue, root)["runs/search"]["kind"] == "sweep"


def test_what_ended_is_forgotten_when_there_is_too_much_of_it(
    make_queue: Callable[..., Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunebook_lab import job_queue

    monkeypatch.setattr(job_queue, "KEPT", 2)
    queue = make_queue()
    queue.set(None, held=True)
    names = [submit(queue, f"run-{k}") for k in range(4)]
    for name in names:
        queue.cancel(name)
        time.sleep(0.01)
    queue.tick()
    assert [job.id for job in queue.jobs()] == [names[3], names[2]]
    queue.cancel(names[3])
    assert [job.id for job in queue.jobs()] == [names[2]]


def _rows(queue: Queue, root: Path) -> dict[str, Any]:

    def curves(path: Path) -> AbstractContextManager[RunCurves]:
        return nullcontext(RunCurves(path))

    index = RunIndex(Root(root), curves, curves)
    return {row["path"]: row for row in index.changes(Root(root).folder, "", queue.jobs())["runs"]}
