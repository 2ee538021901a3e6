"""The command `tunebook sweep`: what it refuses, what it prints, and what it leaves."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tunebook import cli
from tunebook.cli_sweep import Lines
from tunebook.runs import Run
from tunebook.search_ledger import Row
from tunebook.search_plan import Plan

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import small_run

if TYPE_CHECKING:
    from collections.abc import Callable

CELL = """model = "test_efficientnet"
weights = "none"
image_size = 32
batch_size = 8
epochs = 1
augment = "none"
unfreeze = []
device = "cpu"
"""


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], write_notebook: Callable[..., Path]
) -> Callable[..., tuple[object, str, str]]:
    """Call the command with a notebook of small runs in a folder of its own."""
    write_notebook("1", parameters=CELL, tunebook={"task": "image-classification"})

    def run(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main(["sweep", *arguments])
        return caught.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--resume SWEEP"),
        (("work.ipynb", "--resume", "a"), "leave the other out"),
        (("--resume", "a", "-s", "lr=1..2", "--seed", "3"), "leave -s, --seed out"),
        (("work.ipynb", "--trials", "many"), "--trials"),
        (("work.ipynb", "-p", "lr"), "requires 2 arguments"),
    ],
)
def test_mistakes_on_the_command_line(call: Callable[..., Any], arguments: tuple[str, ...], words: str) -> None:
    code, _, err = call(*arguments)
    assert code == 2
    assert words in err.splitlines()[0]
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("work.ipynb",), "no space to search"),
        (("work.ipynb", "-s", "lr"), "write it as name=space"),
        (("work.ipynb", "-s", "lrr=1..2"), "did you mean 'lr'?"),
        (("work.ipynb", "-s", "lr=1..100"), "at most 10"),
        (("work.ipynb", "-s", "lr=__import__('os'),2"), "parameter lr"),
        (("work.ipynb", "-s", "lr=1..2", "-p", "lr", "1"), "both set and searched"),
        (("work.ipynb", "-s", "lr=1..2", "--objective", "acc"), "objective 'acc'"),
        (("work.ipynb", "-s", "lr=1..2", "--workers", "2", "--scheduler", "tcp://a:1"), "leave one of them out"),
        (("nowhere.ipynb", "-s", "lr=1..2"), "no notebook 'nowhere.ipynb'"),
        (("--resume", "nothing"), "no run 'nothing'"),
    ],
)
def test_bad_plans_start_nothing(call: Callable[..., Any], arguments: tuple[str, ...], words: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert words in err
    assert not Path("runs").exists()


def test_a_sweep_prints_each_trial_the_best_ones_and_their_parameters(call: Callable[..., Any], tmp_path: Path) -> None:
    small_run.make_pictures(tmp_path / "colours", count=20)
    given = ("-p", "data", "colours", "-s", "lr=log(1e-3,1e-1)", "--name", "one", "--method", "random")
    code, out, err = call("work.ipynb", *given, "--trials", "3")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split("  ")[0] for line in lines if line.startswith("trial ")] == ["trial 0", "trial 1", "trial 2"]
    assert all("macro_f1 " in line and " lr=" in line and "best macro_f1 " in line for line in lines[1:4])
    assert "3 of 3 trials (3 complete); best macro_f1 " in out
    assert (tmp_path / "runs" / "one" / "parameters.py").read_text().strip() in out
    assert lines[-3:] == [
        "sweep       runs/one", "parameters  runs/one/parameters.py", "figures     runs/one/figures",
    ]  # fmt: skip
    code, out, err = call("--resume", "one", "--trials", "4")
    assert (code, err) == (0, "")
    assert out.count("\ntrial ") == 1
    with pytest.raises(SystemExit):
        cli.main(["runs"])


def test_runs_and_show_list_a_sweep(call: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.create("runs", "one", "image-classification")
    Plan("image-classification", {}, {"lr": "1..2"}).save(run)
    run.update(state="finished", phase="finished", message="3 of 3 trials (3 complete)", step=3, steps=3)
    for command in (["runs"], ["show", "one"]):
        with pytest.raises(SystemExit):
            cli.main(command)
    assert "finished: 3 of 3 trials" in capsys.readouterr().out
    code, _, err = call("--resume", "one")
    assert (code, "is finished" in err) == (1, True)


class _Searching:
    """What lines need to know of a search."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.plan = Plan("image-classification", {}, {"lr": "1..2"}, trials=2)
        self.done = 1

    @property
    def sweep(self) -> _Searching:
        return self


def test_lines_show_what_came_from_data_harmlessly(tmp_path: Path) -> None:
    stream = io.StringIO()
    searching: Any = _Searching(Run.create(tmp_path, "one", "image-classification"))
    best = Row(0, "complete", {"lr": 1.5}, {"lr": 1.5}, (0.5,))
    with Lines(stream) as lines:
        lines.watch(searching)
        lines.trial(Row(1, "failed", {}, {"lr": "\x1b[31m"}, message="a\nb\x1b[2J"), best)
    last = stream.getvalue().splitlines()[-1]
    assert last == "trial 1 failed  a b\\x1b[2J  lr=\\x1b[31m  best macro_f1 0.5000 (trial 0)"


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_live_line(tmp_path: Path) -> None:
    stream = _Terminal()
    searching: Any = _Searching(Run.create(tmp_path, "one", "image-classification"))
    row = Row(0, "complete", {"lr": 1.5}, {"lr": 1.5}, (0.5,))
    with Lines(stream) as lines:
        lines.watch(searching)
        lines.trial(row, row)
    assert "best macro_f1 0.5000 (trial 0)" in stream.getvalue()
    assert "\ntrial 0" not in stream.getvalue()
