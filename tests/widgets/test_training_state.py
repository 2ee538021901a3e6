"""The training bar: what it tells of a run, what it sends, and what it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tunebook.control import Outcome
from tunebook.runs import Run
from tunebook.storage import write_json
from tunebook_widgets.training_bar import TrainingBar
from tunebook_widgets.training_state import TrainingState

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run.create(tmp_path, "one", "image-classification")
    parameters = {"lr": 2e-3, "dropout": 0.2}
    write_json(made.path / "recipe.json", {"parameters": parameters})
    made.update(
        phase="tuning", epoch=1, epochs=6, step=412, steps=480, seconds_left=7.0, examples_per_second=61.2,
        memory=1_100_000_000, lr=1e-3,
    )  # fmt: skip
    return made


def _state(run: Run) -> TrainingState:
    state = TrainingState(run, "pictures")
    state.poll()
    return state


def test_the_bar_says_how_far_how_fast_and_how_long(run: Run) -> None:
    assert repr(TrainingBar(run, "pictures")) == (
        "one: tuning · epoch 2 of 6 · 412 of 480 steps · 61 pictures/s · 0:07 left · 1,100 MB"
    )
    run.update(paused=True)
    assert _state(run).text().startswith("one: paused · ")


def test_rates_are_those_of_the_recipe_until_a_hand_changes_them(run: Run) -> None:
    state = _state(run)
    assert state.as_json()["dropout"] == {"head": 0.2, "inner": None, "depth": None}
    assert (state.as_json()["lr"], state.as_json()["usual_lr"]) == (1e-3, 2e-3)
    state.send("dropout", {"inner": 0.3})
    (request,) = run.control.requests()
    assert (request.command, request.value, request.by) == ("dropout", {"inner": 0.3}, "panel")
    run.control.record(Outcome(request.id, 413, 1, "dropout", {"inner": 0.3}, {"inner": 0.0}, "dropout inner 0 → 0.3"))
    assert state.poll() is True
    assert state.as_json()["dropout"] == {"head": 0.2, "inner": 0.3, "depth": None}
    assert state.as_json()["outcomes"][-1]["words"] == "dropout inner 0 → 0.3"
    assert state.poll() is False


def test_rates_of_the_model_itself_are_known_where_it_is_at_hand(run: Run) -> None:
    state = TrainingState(run, own={"head": 0.25, "depth": 0.1})
    state.poll()
    assert state.as_json()["dropout"] == {"head": 0.2, "depth": 0.1}


def test_what_the_run_refuses_is_told(run: Run) -> None:
    state = _state(run)
    state.send("lr", 5.0)
    request = run.control.requests()[0]
    run.control.record(Outcome(request.id, 413, 1, refused="lr: too late"))
    state.poll()
    told = state.as_json()["outcomes"][-1]
    assert (told["words"], told["is_refused"]) == ("lr: too late", True)


@pytest.mark.parametrize(
    ("command", "value", "word"),
    [
        ("lr", -1.0, "lr"),
        ("lr", "fast", "lr"),
        ("dropout", {"head": 1.5}, "dropout"),
        ("dropout", [], "dropout"),
        ("freeze", "none", "freeze"),
        ("rm -rf", None, "rm -rf"),
        (["stop"], None, "stop"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_at_once(run: Run, command: object, value: object, word: str) -> None:
    state = _state(run)
    state.send(command, value)
    state.poll()
    assert word in state.as_json()["refused"]
    assert "\n" not in state.as_json()["refused"]
    assert run.control.requests() == []
    state.send("pause")
    state.poll()
    assert state.as_json()["refused"] == ""


def test_what_the_front_end_gets_is_json_also_of_strange_states(run: Run) -> None:
    raw = json.loads((run.path / "state.json").read_text())
    (run.path / "state.json").write_text(json.dumps({**raw, "loss": float("nan"), "seconds_left": float("inf")}))
    json.dumps(_state(run).as_json(), allow_nan=False)
    (run.path / "state.json").write_text("{")
    state = TrainingState(run)
    state.poll()
    assert state.is_live
    json.dumps(state.as_json(), allow_nan=False)


def test_a_run_that_ended_is_followed_no_longer(run: Run) -> None:
    run.update(state="finished", phase="finished")
    assert not _state(run).is_live
