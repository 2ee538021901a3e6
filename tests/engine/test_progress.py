"""What a run is doing, in words: plain lines for a log, one live line for a terminal, never a terminal's codes."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.progress import Progress, describe, duration, gain, is_below, safe, score
from tunebook.runs import Run, State

if TYPE_CHECKING:
    from pathlib import Path

TRAINING = State(state="running", phase="tuning", epoch=1, epochs=6, step=40, steps=120, loss=0.5123, seconds_left=72.0)


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "fit"),
    [
        ("plain [red]text[/]", "plain [red]text[/]"),
        ("\x1b[2J\x07bad", "\\x1b[2J\\x07bad"),
        ("two\nlines\r\n", "two lines"),
        ("right\u202eleft", "right\\u202eleft"),
        ("größe", "größe"),
    ],
)
def test_text_cannot_move_the_cursor(text: str, fit: str) -> None:
    assert safe(text) == fit


def test_long_text_is_cut() -> None:
    assert safe("a" * 50, 10) == "aaaaaaa..."


@pytest.mark.parametrize(("seconds", "text"), [(-3, "0:00"), (72, "1:12"), (3600, "1:00:00"), (59.7, "1:00")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State(), "waiting"),
        (State(phase="starting\x1b"), "starting\\x1b"),
        (TRAINING, "tuning: epoch 2/6  step 40/120  loss 0.512  1:12 left"),
        (
            replace(TRAINING, examples_per_second=251.4, memory=1_234_000_000),
            "tuning: epoch 2/6  step 40/120  loss 0.512  251/s  1:12 left  1.2 GB",
        ),
        (replace(TRAINING, paused=True), "tuning: pauses  epoch 2/6  step 40/120  loss 0.512  1:12 left"),
        (State(state="running", phase=""), "running"),
        (State(state="failed", message="no\nspace"), "failed: no space"),
        (State(state="finished"), "finished"),
        (
            State(state="finished", epoch=6, epochs=6, baseline=0.612, metric=0.7134),
            "finished: epoch 6/6; baseline 0.612 -> tuned 0.713 test accuracy",
        ),
        (
            State(state="finished", epoch=6, epochs=6, baseline=0.7, metric=0.65),
            "finished: epoch 6/6; baseline 0.700 -> tuned 0.650 test accuracy, below its baseline",
        ),
    ],
)
def test_a_state_in_words(state: State, words: str) -> None:
    assert describe(state) == words


def test_a_score_needs_a_measurement() -> None:
    assert score(State()) == ""
    assert score(State(baseline=0.5)) == "baseline 0.500 test accuracy"
    assert score(State(metric=0.5)) == "tuned 0.500 test accuracy"


@given(st.floats(0, 1) | st.none(), st.floats(0, 1) | st.none(), st.sampled_from(["finished", "stopped", "running"]))
def test_only_a_finished_model_that_is_worse_is_below_its_baseline(
    baseline: float | None, metric: float | None, state: Any
) -> None:
    known = baseline is not None and metric is not None
    expected = state == "finished" and known and metric < baseline  # type: ignore[operator]
    assert is_below(State(state=state, baseline=baseline, metric=metric)) is expected


@given(st.floats(0, 1), st.floats(0, 1))
def test_scores_that_differ_are_written_so_that_they_do(baseline: float, metric: float) -> None:
    _, before, _, _, after = gain(baseline, metric).split()
    assert (before != after) or abs(baseline - metric) <= 1e-5


def test_a_log_gets_a_line_for_each_epoch(tmp_path: Path) -> None:
    stream = io.StringIO()
    run = Run.create(tmp_path, "r", "image-classification")
    with Progress(stream) as progress, run.owned():
        progress.watch(Run(run.path))
        progress.cell(0, 3, "")
        progress.cell(1, 3, "Train \x1b[31m")
        for epoch in (1, 2):
            run.update(state="running", phase="tuning", epoch=epoch, epochs=2, step=5, steps=10, loss=0.25)
            progress._look()
            progress._look()
    lines = stream.getvalue().splitlines()
    assert lines == [
        "starting the kernel",
        "[2/3] Train \\x1b[31m",
        "  epoch 1/2 done  step 5/10  loss 0.250",
        "  tuning",
        "  epoch 2/2 done  step 5/10  loss 0.250",
    ]


def test_a_log_says_when_a_run_pauses_and_goes_on(tmp_path: Path) -> None:
    stream = io.StringIO()
    run = Run.create(tmp_path, "r", "image-classification")
    with Progress(stream) as progress, run.owned():
        progress.watch(Run(run.path))
        for paused in (False, True, True, False):
            run.update(state="running", phase="tuning", paused=paused)
            progress._look()
    assert stream.getvalue().splitlines() == ["starting the kernel", "  tuning", "  tuning pauses", "  tuning"]


def test_epochs_before_a_resumption_are_not_told_again(tmp_path: Path) -> None:
    stream = io.StringIO()
    run = Run.create(tmp_path, "r", "image-classification")
    run.update(epoch=2, epochs=6)
    with Progress(stream) as progress:
        progress.watch(run)
        progress._look()
    assert stream.getvalue() == "starting the kernel\n"


def test_a_terminal_gets_one_live_line(tmp_path: Path) -> None:
    stream = Terminal()
    run = Run.create(tmp_path, "r", "image-classification")
    with Progress(stream) as progress, run.owned():
        progress.watch(Run(run.path))
        progress.cell(0, 3, "[bold]Load[/bold]")
        run.update(state="running", phase="tuning", epoch=1, epochs=6, step=40, steps=120, loss=0.5, seconds_left=72.0)
        progress._look()
        assert progress._bar is not None
        progress._bar.refresh()
    shown = stream.getvalue()
    assert "epoch 2/6  step 40/120  loss 0.500  1:12 left" in shown


@pytest.mark.parametrize("text", ["{", "[]", '{"state": "running", "epoch": "x", "epochs": 3}', '{"paused": 1}'])
def test_a_strange_state_does_not_end_the_display(tmp_path: Path, text: str) -> None:
    run = Run.create(tmp_path, "r", "")
    (run.path / "state.json").write_text(text, encoding="utf-8")
    with Progress(io.StringIO()) as progress:
        progress.watch(Run(run.path))
        progress._look()
        progress.cell(0, 1, "Next")
