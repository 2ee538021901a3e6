"""The command that changes a run that goes on: what it reads, what it waits for and what it refuses."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tunebook import cli
from tunebook.cli_control import parse
from tunebook.control import Outcome
from tunebook.errors import RecipeError
from tunebook.runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Call = Callable[..., tuple[object, str, str]]


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command on the runs of this test."""

    def run(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main(["control", "--runs-dir", str(tmp_path), *arguments])
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return run


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Run]:
    """Own a run that goes on."""
    run = Run.create(tmp_path, "mine", "t")
    with run.owned():
        run.update(state="running")
        yield run


def _answering(run: Run, answer: Callable[[Any], Outcome]) -> threading.Thread:
    """Answer the next request of a run, as its training does."""
    control = Run(run.path).control

    def work() -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for request in control.poll():
                control.record(answer(request))
                return
            time.sleep(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("arguments", "command", "value"),
    [
        (["pause"], "pause", None),
        (["next-stage"], "next_stage", None),
        (["next_stage"], "next_stage", None),
        (["histograms"], "histograms", None),
        (["lr", "1e-4"], "lr", 1e-4),
        (["dropout", "head=0.4"], "dropout", {"head": 0.4}),
        (["dropout", "head=0.4", "depth=0"], "dropout", {"head": 0.4, "depth": 0.0}),
        (["freeze", "-2"], "freeze", -2),
        (["freeze", "none"], "freeze", "none"),
        (["freeze", "blocks.[0-3]*"], "freeze", ["blocks.[0-3]*"]),
        (["freeze", "conv_stem", "blocks.0"], "freeze", ["conv_stem", "blocks.0"]),
        (["freeze", '["conv_stem"]'], "freeze", ["conv_stem"]),
    ],
)
def test_a_command_is_sent_as_it_is_meant(
    call: Call, running: Run, arguments: list[str], command: str, value: object
) -> None:
    code, out, err = call("--wait", "0", "mine", *arguments)
    assert (code, err) == (0, "")
    assert out == f"{arguments[0]}: asked; run mine does it before its next step\n"
    (request,) = running.control.poll()
    assert (request.command, request.value, request.by) == (command, value, "cli")


def test_it_tells_what_became_of_it(call: Call, running: Run) -> None:
    thread = _answering(running, lambda r: Outcome(r.id, 41, 2, "lr", r.value, 2e-3, "lr 0.002 → 0.0001"))
    assert call("mine", "lr", "1e-4") == (0, "lr 0.002 → 0.0001 (step 41, epoch 3)\n", "")
    thread.join()
    thread = _answering(running, lambda r: Outcome(r.id, 41, 2, refused="freeze=99: this model has 3 stages"))
    code, _, err = call("mine", "freeze", "99")
    assert (code, err) == (1, "error: run mine refused: freeze=99: this model has 3 stages\n")
    thread.join()


def test_a_name_from_elsewhere_does_not_move_the_cursor(call: Call, running: Run) -> None:
    thread = _answering(running, lambda r: Outcome(r.id, 1, 0, "lr", r.value, None, "\x1b[2Jgone\n"))
    assert call("mine", "lr", "1e-4")[1] == "\\x1b[2Jgone (step 1, epoch 1)\n"
    thread.join()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explode"], "unknown command 'explode'; allowed: pause, resume, stop, finish, lr, dropout, freeze,"),
        (["next-stag"], "did you mean 'next-stage'?"),
        (["pause", "now"], "pause: got 'now'; it takes no value"),
        (["lr"], "lr: it takes a value, such as lr 1e-4"),
        (["lr", "fast"], "parameter lr: got 'fast'"),
        (["lr", "-1"], "a number above 0"),
        (["lr", "1", "2"], "parameter lr: got '1 2'"),
        (["dropout"], "such as dropout head=0.4"),
        (["dropout", "0.4"], "dropout: got '0.4'; allowed: kind=rate"),
        (["dropout", "=0.4"], "allowed: kind=rate"),
        (["dropout", "head=lots"], "got 'head=lots'"),
        (["dropout", "head=nan"], "'head'=nan"),
        (["dropout", "head=1"], "'head'=1.0; allowed"),
        (["freeze"], "such as freeze -2"),
    ],
)  # fmt: skip
def test_what_is_not_meant_is_refused_before_it_is_sent(
    call: Call, running: Run, arguments: list[str], words: str
) -> None:
    code, out, err = call("mine", *arguments)
    assert (code, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1
    assert not (running.path / "control.jsonl").exists()


def test_a_run_that_nobody_trains_is_refused_with_the_way_out(call: Call, tmp_path: Path) -> None:
    run = Run.create(tmp_path, "mine", "t")
    assert call("mine", "pause")[1] == "pause: asked; run mine does it before its next step\n"  # it is queued
    for state, words in (("running", "has died"), ("stopped", "has been stopped"), ("failed", "has failed")):
        run.update(state=state, host=socket.gethostname())
        code, _, err = call("mine", "pause")
        assert code == 1
        assert f"run mine {words}, so nobody listens; go on with it: tunebook run --resume {run.path}" in err
    run.update(state="finished")
    assert "run mine has finished, so nobody listens; start a new run" in call("mine", "pause")[2]
    run.update(state="queued")
    (run.path / "sweep.json").touch()
    assert "mine is a search, which takes no live commands" in call("mine", "pause")[2]
    assert "no run 'mien'; did you mean 'mine'" in call("mien", "pause")[2]
    assert len(run.control.requests()) == 1


def test_every_example_of_the_help_is_a_command() -> None:
    from tunebook.cli_control import _EXAMPLES

    for text in _EXAMPLES.values():
        for part in text.replace("'", "").replace(" or ", ", ").split(", "):
            command, *values = part.split()
            assert parse(command, values)[0] == command
    with pytest.raises(RecipeError, match="did you mean"):
        parse("finsih", [])
