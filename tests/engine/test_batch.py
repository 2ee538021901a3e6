"""A notebook in batch: parameters are checked first, and whatever happens the notebook is kept."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tunebook import batch
from tunebook.batch import ExecutionError, execute, resume
from tunebook.errors import NotebookError, RecipeError, StorageError, TunebookError
from tunebook.parameters import settle_parameters
from tunebook.runs import Run
from tunebook.templates import load_notebook

if TYPE_CHECKING:
    from collections.abc import Callable

    WriteNotebook = Callable[..., Path]

TASK = {"task": "image-classification"}
HOSTILE = "x=1;import os"


def outputs(path: Path) -> str:
    """Return all that a notebook's cells printed."""
    cells = nbformat.read(path, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", ()))


# Parameters


def test_the_kernel_knows_that_nobody_looks_on(write_notebook: WriteNotebook, tmp_path: Path) -> None:
    notebook = write_notebook("import os; print(os.environ['TUNEBOOK_BATCH'])")
    assert outputs(execute(notebook, runs_dir=str(tmp_path / "runs")).notebook) == "1\n"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lrr": 1}, "did you mean 'lr'?"),
        ({HOSTILE: 1}, "unknown parameter"),
        ({"lr": "fast"}, "a number above 0"),
        ({"lr": "NaN"}, "must be finite"),
        ({"lr": float("inf")}, "must be finite"),
        ({"epochs": "1.5"}, "whole number"),
        ({"epochs": 0}, "at least 1"),
        ({"data": 5}, "text"),
        ({True: 1}, "name is text"),
    ],
)
def test_a_task_s_recipe_refuses_parameters(write_notebook: WriteNotebook, values: dict[Any, Any], words: str) -> None:
    notebook = load_notebook(write_notebook("1", tunebook=TASK))
    with pytest.raises(RecipeError) as caught:
        settle_parameters(notebook, values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_s_parameters_settle_into_json(write_notebook: WriteNotebook) -> None:
    notebook = load_notebook(write_notebook("1", tunebook=TASK))
    given = {"unfreeze": "[[2, -2]]", "lr": "1e-3", "epochs": 3, "onnx": "false", "data": "1"}
    settled = settle_parameters(notebook, given)
    assert settled == {"unfreeze": [[2, -2]], "lr": 1e-3, "epochs": 3, "onnx": False, "data": "1"}
    assert json.loads(json.dumps(settled)) == settled


CELL = "n: int = 1  # count\nrate = 0.5\nname = 'a'\nwords = ['x']\nflag = True\nfree = None\nmade = len('abc')"


@pytest.mark.parametrize(
    ("values", "settled"),
    [
        ({"n": "3"}, {"n": 3}),
        ({"rate": "1"}, {"rate": 1.0}),
        ({"name": "5"}, {"name": "5"}),
        ({"words": "['p', 'q']"}, {"words": ["p", "q"]}),
        ({"words": ("p",)}, {"words": ["p"]}),
        ({"flag": "false"}, {"flag": False}),
        ({"free": "text"}, {"free": "text"}),
        ({"made": "4"}, {"made": 4}),
    ],
)
def test_a_foreign_notebook_s_defaults_give_the_types(
    write_notebook: WriteNotebook, values: dict[str, Any], settled: dict[str, Any]
) -> None:
    assert settle_parameters(load_notebook(write_notebook(parameters=CELL)), values) == settled


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"nn": 1}, "did you mean 'n'?"),
        ({HOSTILE: 1}, "allowed: n, rate"),
        ({"n": "many"}, "allowed: int"),
        ({"n": True}, "allowed: int"),
        ({"name": 5}, "allowed: str"),
        ({"rate": "NaN"}, "finite numbers"),
        ({"free": {1, 2}}, "lists and mappings"),
    ],
)
def test_a_foreign_notebook_refuses_parameters(
    write_notebook: WriteNotebook, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        settle_parameters(load_notebook(write_notebook(parameters=CELL)), values)
    assert words in str(caught.value)


def test_a_notebook_without_the_cell_takes_no_parameters(write_notebook: WriteNotebook) -> None:
    with pytest.raises(NotebookError, match="takes no parameters"):
        settle_parameters(load_notebook(write_notebook("1")), {"x": 1})


# Before anything runs


@pytest.mark.parametrize("output", ["work.ipynb", "folder.ipynb", "done.txt", "work.ipynb/x.ipynb"])
def test_a_bad_place_for_the_notebook_is_refused_at_once(write_notebook: WriteNotebook, output: str) -> None:
    path = write_notebook("1")
    Path("folder.ipynb").mkdir()
    before = path.read_bytes()
    with pytest.raises(NotebookError):
        execute(path, output=Path(output))
    assert path.read_bytes() == before
    assert not Path("runs").exists()


def test_an_unknown_kernel_names_those_that_are_there(write_notebook: WriteNotebook) -> None:
    path = write_notebook("1", kernelspec={"name": "conda-env-nowhere", "display_name": "Nowhere"})
    with pytest.raises(NotebookError, match=r"not installed; installed: .*python3"):
        execute(path)


def test_a_notebook_that_is_not_valid_is_refused(write_notebook: WriteNotebook) -> None:
    path = write_notebook("1")
    path.write_text('{"cells": [{"cell_type": "code"}], "nbformat": 4, "nbformat_minor": 5}', encoding="utf-8")
    with pytest.raises(NotebookError, match="not a valid notebook"):
        execute(path)
    assert not Path("runs").exists()


def test_resume_is_no_parameter_of_a_new_run(write_notebook: WriteNotebook) -> None:
    with pytest.raises(RecipeError, match="tunebook run --resume"):
        execute(write_notebook("1", tunebook=TASK), {"resume": "runs/a"})


# Running


def test_a_whole_run(write_notebook: WriteNotebook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # The user's own python3 kernelspec may point to another environment.
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text('{"argv": ["/nowhere/python"], "display_name": "P", "language": "python"}', encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    code = "import os, sys; print(x, os.getcwd(), sys.executable, open('data.txt').read())"
    path = write_notebook("# One", code, "## Two", "1", parameters="x = 1")
    Path("data.txt").write_text("relative", encoding="utf-8")
    seen: list[tuple[int, int, str]] = []
    started: list[str] = []
    result = execute(
        path,
        {"x": "7"},
        output=Path("made/{x}.ipynb"),
        runs_dir="my {runs}",
        on_start=lambda run: started.append(f"{run.state().state}: {run.state().phase}"),
        on_cell=lambda *cell: seen.append(cell),
    )
    assert outputs(result.notebook) == f"7 {tmp_path} {sys.executable} relative\n"
    assert result.notebook == tmp_path / "made" / "{x}.ipynb"
    assert result.run.path.parent == Path("my {runs}")
    assert result.state.state == "finished"
    assert started == ["queued: starting the kernel"]
    assert seen[0] == (0, 6, "")
    assert seen[-1] == (5, 6, "Two")
    assert {p.name for p in result.run.path.iterdir()} == {"job.json", "source.ipynb", "state.json"}
    assert nbformat.read(result.notebook, as_version=4).metadata.papermill.parameters == {"x": 7}


def test_a_failed_cell_keeps_the_notebook_and_what_was_there(write_notebook: WriteNotebook) -> None:
    path = write_notebook(
        "# Sums", "print('before')", "raise ValueError('\\x1b[31mred\\nsecond line')", "print('after')"
    )
    Path("out.ipynb").write_text("mine", encoding="utf-8")
    with pytest.raises(ExecutionError) as caught:
        execute(path, output=Path("out.ipynb"))
    error = caught.value
    assert str(error) == "cell 3 (Sums): ValueError: red"
    assert error.exit_code == 1
    assert Path("out.ipynb").read_text(encoding="utf-8") == "mine"
    assert error.kept == Path.cwd() / "out.failed.ipynb"
    assert outputs(error.kept) == "before\n"
    state = error.run.state()
    assert (state.state, state.message) == ("failed", str(error))


def test_a_tunebook_error_is_told_as_it_is_and_a_resumed_run_finishes(write_notebook: WriteNotebook) -> None:
    refuse = "from tunebook.errors import DataError\nif not resume: raise DataError('no pictures; add some')"
    cell = "epochs = 6\nresume = ''\nrun = ''\nruns_dir = ''"
    path = write_notebook(refuse, "print(epochs, resume)", parameters=cell, tunebook=TASK)
    with pytest.raises(ExecutionError, match=r"^no pictures; add some$") as caught:
        execute(path, {"epochs": 2, "run": "a run"})
    assert caught.value.kept == Path("runs/a run/notebook.failed.ipynb")

    path.unlink()  # the run has its own copy
    moved = Path("runs/a run").rename("elsewhere")
    result = resume(Run.open(moved))
    assert outputs(result.notebook) == f"2 {Path.cwd() / 'elsewhere'}\n"
    assert result.state.state == "finished"
    assert not (moved / "notebook.failed.ipynb").exists()
    with pytest.raises(NotebookError, match="is finished"):
        resume(result.run)


def test_a_killed_kernel_says_so_and_how_to_go_on(write_notebook: WriteNotebook) -> None:
    path = write_notebook("print('before')", "import os; os.kill(os.getpid(), 9)", tunebook=TASK)
    with pytest.raises(ExecutionError, match=r"died in cell .* memory .* tunebook run --resume runs/k") as caught:
        execute(path, {"run": "k"})
    assert caught.value.kept is not None
    cells = nbformat.read(caught.value.kept, as_version=4).cells
    assert cells[-1].metadata.papermill.status == "failed"
    assert caught.value.run.state().state == "failed"


def test_a_notebook_that_cannot_be_written_at_its_place_is_kept_in_the_run(write_notebook: WriteNotebook) -> None:
    path = write_notebook("import os, pathlib\nos.rename('there', 'gone')\npathlib.Path('there').touch()")
    Path("there").mkdir()
    with pytest.raises(StorageError, match="the finished notebook is runs/") as caught:
        execute(path, output=Path("there/out.ipynb"))
    assert Path(str(caught.value).rpartition(" is ")[2]).is_file()


def test_a_training_that_was_told_to_stop_is_stopped_not_failed(write_notebook: WriteNotebook) -> None:
    stop = (
        "from tunebook.runs import Run\nfrom tunebook.training import TrainingStopped\n"
        "Run.open(run, runs_dir).update(state='stopped', message='as told')\nraise TrainingStopped('as told')"
    )
    path = write_notebook(stop, parameters="run = ''\nruns_dir = ''", tunebook=TASK)
    with pytest.raises(ExecutionError, match=r"^as told$") as caught:
        execute(path)
    assert caught.value.kept is not None
    assert caught.value.kept.name == "notebook.stopped.ipynb"
    assert caught.value.run.state().state == "stopped"


PATIENT = """
import time
print('on', flush=True)
open('on', 'w').close()
try:
    time.sleep(60)
except KeyboardInterrupt:
    print('saved')
"""
DEAF = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
open('on', 'w').close()
time.sleep(60)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_kernel_and_keeps_the_notebook(
    write_notebook: WriteNotebook, number: signal.Signals, code: int
) -> None:
    # A training that is interrupted ends its cell as if nothing were wrong: the next must not begin.
    path = write_notebook(PATIENT, "print('next')", tunebook=TASK)
    before = signal.getsignal(number)
    sender = threading.Thread(target=_send_when, args=(Path("on").absolute(), number))
    sender.start()
    with pytest.raises(ExecutionError, match=f"stopped by {number.name} in cell .*--resume") as caught:
        execute(path)
    sender.join()
    assert caught.value.exit_code == code
    assert caught.value.kept is not None
    assert caught.value.kept.name == "notebook.stopped.ipynb"
    assert outputs(caught.value.kept) == "on\nsaved\n"
    assert caught.value.run.state().state == "stopped"
    assert signal.getsignal(number) is before


def test_a_kernel_that_does_not_listen_is_killed(
    write_notebook: WriteNotebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "GRACE", 0.5)
    path = write_notebook(
        "import signal, time\nsignal.signal(2, signal.SIG_IGN)\nopen('on', 'w').close()\ntime.sleep(60)"
    )
    sender = threading.Thread(target=_send_when, args=(Path("on").absolute(), signal.SIGINT))
    sender.start()
    begin = time.monotonic()
    with pytest.raises(ExecutionError, match="stopped by SIGINT"):
        execute(path)
    sender.join()
    assert time.monotonic() - begin < 30


def _send_when(path: Path, number: int) -> None:
    for _ in range(300):
        if path.exists():
            time.sleep(0.2)
            break
        time.sleep(0.1)
    os.kill(os.getpid(), number)


# Refusals to resume


def test_what_cannot_be_resumed(tmp_path: Path, write_notebook: WriteNotebook) -> None:
    by_hand = Run.create(tmp_path, "by hand", "image-classification")
    with pytest.raises(NotebookError, match="ended before it had a recipe"):
        resume(by_hand)

    running = Run.create(tmp_path, "running", "image-classification")
    with running.owned():
        running.update(state="running")
        with pytest.raises(NotebookError, match="is running, process"):
            resume(Run.open(running.path))

    foreign = Run.create(tmp_path, "foreign", "")
    write_notebook("1", name="foreign/source.ipynb")
    (foreign.path / "job.json").write_text("{}", encoding="utf-8")
    with pytest.raises(NotebookError, match="no checkpoints"):
        resume(foreign)

    write_notebook("1", name="foreign/source.ipynb", tunebook=TASK)
    with pytest.raises(TunebookError, match="does not say how the run was started"):
        resume(foreign)
