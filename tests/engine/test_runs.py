"""A run directory is made once, owned once, and says when its owner is gone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tunebook.errors import StorageError
from tunebook.runs import Run, State, list_runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWNER = """
import sys, time
from tunebook.runs import Run
with Run.open(sys.argv[1]).owned() as run:
    run.update(state="running", epoch=2)
    print("owned", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[tuple[Run, subprocess.Popen[str]]]:
    """Let another process own a run."""
    run = Run.create(tmp_path, "r", "t")
    command = [sys.executable, "-c", OWNER, str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "owned\n"
        yield Run.open(run.path), process
        process.kill()


def test_a_new_run_is_queued(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "deep" / "runs", "my run", "image-classification")
    assert run.name == "my run"
    assert run.state().state == "queued"
    assert run.state().task == "image-classification"
    assert "queued, epoch 0 of 0" in repr(run)


def test_the_same_name_is_refused(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r", "t")
    with pytest.raises(StorageError, match=r"is there already; choose another name$"):
        Run.create(tmp_path, "r", "t")
    run.update(state="failed")
    with pytest.raises(
        StorageError, match="choose another name, or remove that folder first: it failed before it began"
    ):
        Run.create(tmp_path, "r", "t")
    (run.path / "recipe.json").write_text("{}")
    with pytest.raises(StorageError, match="is there already; choose another name, or go on with it: resume="):
        Run.create(tmp_path, "r", "t")


def test_twenty_runs_at_once_get_twenty_directories(tmp_path: Path) -> None:
    with ThreadPoolExecutor(20) as pool:
        runs = list(pool.map(lambda _: Run.create(tmp_path, "", "t"), range(20)))
    assert len({run.path for run in runs}) == 20
    assert len(list_runs(tmp_path)) == 20


def test_of_twenty_that_want_one_name_one_gets_it(tmp_path: Path) -> None:
    def create(_: int) -> bool:
        try:
            Run.create(tmp_path, "one", "t")
        except StorageError:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(create, range(20))) == 1


def test_updates_are_read_by_others(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r", "t")
    with run.owned():
        run.update(state="running", epoch=1, epochs=6, loss=0.5)
        state = Run.open(tmp_path / "r").state()
        assert (state.state, state.epoch, state.loss, state.pid) == ("running", 1, 0.5, os.getpid())
        assert abs(state.heartbeat - time.time()) < 60
        run.update(state="finished", metric=0.875)
    assert "finished, epoch 1 of 6, test accuracy 0.875" in repr(Run.open("r", tmp_path))


def test_a_run_without_an_owner_has_died(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r", "t")
    with run.owned():
        run.update(state="running")
    state = Run.open(run.path).state()
    assert state.state == "died"
    assert state.message == "its process is gone; it can be resumed"
    assert json.loads((run.path / "state.json").read_text())["state"] == "running"


def test_a_killed_owner_has_died_and_the_run_can_be_owned_again(owner: tuple[Run, subprocess.Popen[str]]) -> None:
    run, process = owner
    assert run.state().state == "running"
    process.kill()
    process.wait()
    assert run.state().state == "died"
    with run.owned():
        assert run.update(state="running").epoch == 2
        assert run.state().pid == os.getpid()


def test_a_run_is_not_owned_twice(owner: tuple[Run, subprocess.Popen[str]]) -> None:
    run, process = owner
    refused = pytest.raises(StorageError, match=f"is owned by process {process.pid} on {socket.gethostname()}")
    with refused, run.owned():
        pass
    assert run.state().state == "running"


def test_readers_do_not_keep_an_owner_out(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r", "t")
    run.update(state="running", host=socket.gethostname())
    reading = True

    def read() -> None:
        reader = Run.open(run.path)
        while reading:
            reader.state()

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(read)
        try:
            for _ in range(20):
                with Run.open(run.path).owned():
                    pass
        finally:
            reading = False


def test_owning_again_within_is_allowed(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r", "t")
    with run.owned(), run.owned():
        run.update(state="running")
        assert Run.open(run.path).state().state == "running"


def test_a_run_of_another_machine_is_judged_by_its_heartbeat(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r", "t")
    run.update(state="running", host="elsewhere")
    assert Run.open(run.path).state().state == "running"
    silent = Run.create(tmp_path, "silent", "t")
    silent.update(state="running", host="elsewhere")
    raw = json.loads((silent.path / "state.json").read_text())
    (silent.path / "state.json").write_text(json.dumps(raw | {"heartbeat": time.time() - 500}))
    assert Run.open(silent.path).state().state == "died"


def test_fields_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r", "t")
    (run.path / "state.json").write_text('{"state": "finished", "mood": "good"}')
    assert Run.open(run.path).state() == State(state="finished")


@pytest.mark.parametrize("raw", ["", "{", "[]", "null", "3"])
def test_a_damaged_state_is_one_line(tmp_path: Path, raw: str) -> None:
    run = Run.create(tmp_path, "r", "t")
    (run.path / "state.json").write_text(raw)
    with pytest.raises(StorageError):
        Run.open(run.path).state()


def test_a_run_that_is_not_there_gets_a_suggestion(tmp_path: Path) -> None:
    Run.create(tmp_path, "experiment-1", "t")
    with pytest.raises(StorageError, match="no run 'experiment-2'; did you mean 'experiment-1'"):
        Run.open("experiment-2", tmp_path)


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    for number, name in enumerate(["a", "b", "c"]):
        os.utime(Run.create(tmp_path, name, "t").path, (number, number))
    (tmp_path / "no run").mkdir()
    (tmp_path / "file").touch()
    assert [run.name for run in list_runs(tmp_path)] == ["c", "b", "a"]
    assert list_runs(tmp_path / "nowhere") == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        Run.create(tmp_path / "file", "r", "t")
    with pytest.raises(StorageError, match="cannot write"):
        Run.create(tmp_path, "r" * 300, "t")


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r", "t")
    with run.owned():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with Run.open(run.path).owned():
            pass
    finally:
        child.communicate(b"\n")


def test_a_run_that_died_in_a_pause_does_not_pause(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r", "t")
    with run.owned():
        run.update(state="running", paused=True)
        assert Run.open(run.path).state().paused
    assert (run.state().state, run.state().paused) == ("died", False)


def test_commands_are_sent_to_a_run_by_whoever_opens_it(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r", "t")
    name = Run.open("r", tmp_path).control.send("pause", by="cli")
    assert [(request.id, request.by) for request in run.control.poll()] == [(name, "cli")]
    assert (run.path / "control.jsonl").is_file()
