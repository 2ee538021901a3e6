"""Many runs: each in a process of its own that may die, of a parent that may die, here and on a cluster."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tunebook import cli, cluster
from tunebook.runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., tuple[object, str, str]]

TASK = {"task": "image-classification"}
CELL = "epochs = 6\nseed = 0\ndata = 'demo'\nrun = ''\nruns_dir = 'runs'\nresume = ''"
#: What stands for a training: 1 fails, 2 loses its process, 3 waits to be stopped, 4 loses the worker of its cluster.
WORK = """
import os, pathlib, time, psutil
from tunebook.runs import Run
kernel = psutil.Process()
pathlib.Path("pids").mkdir(exist_ok=True)
for process in (kernel, kernel.parent()):
    pathlib.Path("pids", str(process.pid)).touch()
here = Run.open(run, runs_dir)
with here.owned():
    here.update(state="running", epoch=1, epochs=epochs)
    if seed == 1:
        raise ValueError("one is not allowed")
    if not resume and seed == 2:
        kernel.parent().kill()
    if not resume and seed == 4:
        kernel.parent().parent().kill()
    if not resume and seed in (2, 3, 4):
        pathlib.Path(f"waits {run}").touch()
        time.sleep(100)
    print("resumed" if resume else "whole", pathlib.Path(data).exists())
    here.update(state="finished", baseline=0.5, metric=0.75, epoch=epochs)
"""


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], write_notebook: Callable[..., Path]) -> Call:
    """Call the command in a folder of its own, in which there is a notebook and a file of data."""
    write_notebook("# Work", WORK, parameters=CELL, tunebook=TASK)
    Path("photos").mkdir()

    def run(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main(["run", "work.ipynb", *arguments])
        return caught.value.code, *capsys.readouterr()

    return run


def sets(*values: str) -> str:
    Path("sets.csv").write_text("\n".join(["run,seed", *values]), encoding="utf-8")
    return "sets.csv"


def said(name: str) -> str:
    """Return what a run's last cell printed."""
    cells = json.loads(Path("runs", name, "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    return "".join(cells[-1]["outputs"][0]["text"])


def left() -> list[psutil.Process]:
    """Return the processes of runs that are still there."""
    return [
        psutil.Process(pid) for pid in (int(path.name) for path in Path("pids").iterdir()) if psutil.pid_exists(pid)
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--jobs", "2"), "--jobs is for many runs: give --sets FILE too"),
        (("--table", "t.csv"), "--table is for many runs"),
        (("--sets", "s.csv", "--out", "o.ipynb"), "--out is for one run"),
        (("--sets", "s.csv", "--jobs", "0"), "--jobs"),
        (("--sets", "s.csv", "--jobs", "2", "--scheduler", "tcp://a:1"), "--jobs is for this machine"),
    ],
)
def test_mistakes_on_the_command_line(call: Call, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 2)
    assert words in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sets", "none.csv"), "cannot read none.csv"),
        (("--sets", "bad.csv"), "bad.csv, line 3: parameter seed: got -1"),
        (("--sets", "good.csv", "-p", "lrr", "1"), "did you mean 'lr'?"),
        (("--sets", "good.csv", "-p", "seed", "1"), "good.csv, line 2: parameter seed is set here and with -p"),
        (("--sets", "good.csv", "--table", "t.xlsx"), "must end in .csv"),
        (("--sets", "good.csv", "--scheduler", "tcp://127.0.0.1:1"), "does not answer"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # dask's own, of the scheduler that is not there
def test_a_mistake_starts_nothing(
    call: Call, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 2)
    Path("bad.csv").write_text("seed\n1\n-1\n", encoding="utf-8")
    Path("good.csv").write_text("seed\n1\n", encoding="utf-8")
    code, out, err = call(*arguments)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert words in err
    assert not Path("runs").exists()


@pytest.mark.timeout(600)
def test_runs_fail_alone_and_the_next_call_runs_what_is_missing(call: Call) -> None:
    given = ("--sets", sets("good,0", "bad,1", "killed,2", "last,5"), "--jobs", "2", "-p", "data", "photos")
    code, out, err = call(*given, "--table", "table.csv")
    assert (code, err) == (2, "")
    ends = {line.split()[1]: line for line in out.splitlines() if line.startswith(("finished ", "failed "))}
    assert "baseline 0.500 -> tuned 0.750" in ends["good"]
    assert "(Work): ValueError: one is not allowed" in ends["bad"]
    assert "its process was killed, probably because memory ran out" in ends["killed"]
    assert "finished" in ends["last"]
    assert [line.split()[:2] for line in out.splitlines()[-8:-3]] == [
        ["run", "state"], ["good", "finished"], ["bad", "failed"], ["killed", "failed"], ["last", "finished"],
    ]  # fmt: skip
    assert out.splitlines()[-2] == "2 finished, 2 failed"
    assert len(Path("table.csv").read_text(encoding="utf-8").splitlines()) == 5
    assert psutil.wait_procs(left(), 10)[1] == []

    before = {name: Path("runs", name, "notebook.ipynb").stat().st_mtime_ns for name in ("good", "last")}
    Path("sets.csv").write_text(Path("sets.csv").read_text().replace("bad,1\n", ""), encoding="utf-8")
    code, out, err = call(*given)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "3 runs in runs, 2 of them finished before; 1 to run, 2 at a time"
    assert out.splitlines()[1] == "resumed   killed"
    # Its data are found where the command was called.
    assert (said("good"), said("killed")) == ("whole True\n", "resumed True\n")
    assert before == {name: Path("runs", name, "notebook.ipynb").stat().st_mtime_ns for name in before}

    code, out, err = call(*given)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "3 finished"
    code, out, err = call("--sets", "sets.csv", "-p", "data", "demo")
    assert (code, out) == (1, "")
    assert "is there with data 'photos', not 'demo'" in err


def begin_and_send(number: signal.Signals, file: str, *options: str) -> tuple[int, str, str]:
    """Start the command in a process of its own, and send it a signal when runs `one` and `two` wait."""
    command = (sys.executable, "-m", "tunebook.cli", "run", "work.ipynb", "--sets", file, *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 300
        while not all(Path(f"waits {name}").exists() for name in ("one", "two")):
            assert time.monotonic() < until
            time.sleep(0.1)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_parent_that_ends_leaves_no_process_and_all_can_be_resumed(call: Call, number: signal.Signals) -> None:
    code, out, err = begin_and_send(number, sets("one,3", "two,3", "three,3"), "--jobs", "2")
    assert psutil.wait_procs(left(), 30)[1] == []
    if number == signal.SIGINT:
        assert code == 130
        assert err == "error: stopped; 3 of 3 runs are left, the same command goes on with them\n"
        assert out.splitlines()[-1] == "2 stopped, 1 waiting"
        assert [Run(Path("runs", name)).state().state for name in ("one", "two")] == ["stopped", "stopped"]
        return
    assert {Run(Path("runs", name)).state().state for name in ("one", "two")} == {"stopped"}
    code, out, err = call("--sets", sets("one,3", "two,3"), "--jobs", "2")
    assert (code, err) == (0, "")
    assert {said(name) for name in ("one", "two")} == {"resumed False\n"}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")  # dask's own, of sockets that a killed worker leaves
def test_a_cluster_that_loses_a_worker_finishes_all(call: Call) -> None:
    from distributed import LocalCluster

    file = sets("good,0", "bad,1", "lost,4")
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as made:
        code, out, err = call("--sets", file, "--scheduler", made.scheduler_address, "-p", "data", "photos")
    assert (code, err) == (1, "")
    assert "ValueError: one is not allowed" in out
    assert said("good") == "whole True\n"
    assert said("lost") == "resumed True\n"
    assert psutil.wait_procs(left(), 30)[1] == []


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")  # dask's own
@pytest.mark.usefixtures("call")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_parent_that_ends_stops_its_runs_on_a_cluster(number: signal.Signals) -> None:
    from distributed import LocalCluster

    file = sets("one,3", "two,3", "three,3")
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as made:
        code, out, err = begin_and_send(number, file, "--scheduler", made.scheduler_address)
        assert psutil.wait_procs(left(), 60)[1] == []
    assert [Run(Path("runs", name)).state().state for name in ("one", "two")] == ["stopped", "stopped"]
    assert not Path("runs/three").exists()
    if number == signal.SIGTERM:
        assert code == 143
        assert out.splitlines()[-1] == "2 stopped, 1 waiting"
        assert err.startswith("error: stopped; 3 of 3 runs are left")
