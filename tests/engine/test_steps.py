"""A step that is given something stale or wrong says in one line which cells to run again."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tunebook import steps, tuning, workflow
from tunebook.baseline import Baseline
from tunebook.errors import InterruptError, StepError, TrainingError, TunebookError
from tunebook.examples import Examples
from tunebook.steps import loading, reading, require, step
from tunebook.tasks import recipe_class
from tunebook.tasks.base import Model

if TYPE_CHECKING:
    from tunebook.recipe import Recipe


def recipe(**values: Any) -> Recipe:
    return recipe_class("image-classification")(**values)


def examples(made: Recipe, label: str = "a") -> Examples:
    rows = [(f"{split}{k}", "", label, split) for split in ("train", "validation", "test") for k in range(2)]
    frame = pd.DataFrame(rows, columns=["id", "content", "label", "split"])
    return Examples(frame, (label,), "made", read_with=reading(made))


def model(made: Recipe, classes: tuple[str, ...] = ("a",)) -> Model:
    parts: dict[str, Any] = dict.fromkeys(("module", "stages", "dropout", "objective"))
    return Model(name="m", origin="", fingerprint="", loaded_with=loading(made, classes), **parts)


def refusal(**given: Any) -> str:
    with pytest.raises(StepError) as caught:
        require("tune", given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "cells"),
    [("recipe", "Recipe"), ("examples", "Data"), ("model", "Model"), ("baseline", "Baseline"), ("findings", "Checks")],
)
def test_a_text_in_the_place_of_a_result_names_the_cells(name: str, cells: str) -> None:
    line = refusal(**{name: "tf_efficientnet_lite0"})
    assert f"{name} is 'tf_efficientnet_lite0' (str)" in line
    assert f"run the cells from '{cells}' on again" in line


@pytest.mark.parametrize(
    ("values", "cells"), [({"test_fraction": 0.3}, "Data"), ({"data": "x"}, "Data"), ({"model": "x"}, "Model")]
)
def test_a_recipe_that_changed_since_names_the_parameter(values: dict[str, Any], cells: str) -> None:
    first = recipe()
    line = refusal(recipe=first.changed(**values), examples=examples(first), model=model(first))
    assert next(iter(values)) in line
    assert f"'{cells}'" in line


def test_what_only_training_reads_may_change() -> None:
    first = recipe()
    later = first.changed(seed=7, lr=0.5, epochs=9, freeze="none", unfreeze=[], dropout=0.2, class_weights="balanced")
    require("tune", {"recipe": later, "examples": examples(first), "model": model(first), "baseline": None})


@pytest.mark.parametrize("error", [InterruptError("stop"), KeyboardInterrupt(), asyncio.CancelledError()])
def test_an_interrupt_while_the_cost_is_measured_is_not_swallowed(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise error

    monkeypatch.setattr(workflow, "measure_cost", interrupted)
    monkeypatch.setattr(workflow, "_last_cost", ())
    first = recipe()
    with pytest.raises(type(error)):
        workflow.known_cost(first, examples(first), model(first))


def test_a_second_tuning_is_refused_while_the_first_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = threading.Event()
    run: Any = SimpleNamespace(name="first", path="runs/first")
    first = recipe()
    trained = model(first)
    going: tuning.Tuning[Any] = tuning.Tuning(lambda _: ends.wait(30), lambda: "", run)
    monkeypatch.setattr(workflow, "_last_tuning", (going, trained))
    try:
        with pytest.raises(StepError, match=r"run first still trains; wait for it, or stop it first.*runs/first stop"):
            workflow.tune(first, examples(first), trained)
    finally:
        ends.set()
    going.result(30)

    # At rest it goes on: another seed draws another head, so that the model is loaded again.
    def loaded(*_: Any) -> None:
        raise TrainingError("loads again")

    monkeypatch.setattr(workflow, "load_model", loaded)
    with pytest.raises(TrainingError, match="loads again"):
        workflow.tune(first.changed(seed=5), examples(first), trained)


def test_classes_and_a_baseline_of_other_examples_are_refused() -> None:
    first = recipe()
    assert "others" in refusal(recipe=first, examples=examples(first, "b"), model=model(first))
    measured = Baseline({}, "", np.arange(4), np.zeros((4, 1)), measured_on=examples(first, "b").held_out())
    assert "'Baseline'" in refusal(recipe=first, examples=examples(first), baseline=measured)


def test_a_parameters_cell_that_was_run_after_the_recipe_s_is_noticed() -> None:
    kind = type(recipe())
    namespace: dict[str, Any] = {"epochs": 5, "lr": 0.1, "In": ["epochs = 5\nlr = 0.1", "recipe = ..."]}
    made = kind.from_parameters(namespace)
    namespace |= {"epochs": 8, "In": [*namespace["In"], "# Data\nepochs: int = 8  # passes\nlr: float = 0.1"]}
    assert refusal(recipe=made).startswith(
        "tune: epochs changed after the recipe was made; run the cells from 'Recipe'"
    )
    # What the panel has changed since, and names that a cell of another kind uses, are no parameters' news.
    require("tune", {"recipe": made.changed(epochs=8)})
    namespace |= {"epochs": 5, "lr": 9.0, "In": [*namespace["In"], "for lr in range(10):\n    print(lr)"]}
    namespace["In"][2] = "epochs: int = 5"
    require("tune", {"recipe": made})
    kind.from_parameters({})


def test_an_interrupt_is_one_line_in_a_kernel_and_itself_in_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    @step("works")
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert type(caught.value) is KeyboardInterrupt
    monkeypatch.setattr(steps, "in_kernel", lambda: True)
    monkeypatch.setenv("TUNEBOOK_BATCH", "1")
    with pytest.raises(InterruptError, match=r"work was interrupted.*run its cell again") as shown:
        work()
    assert isinstance(shown.value, TunebookError)
    assert isinstance(shown.value, KeyboardInterrupt)
    assert len(shown.value._render_traceback_()) == 1


def test_a_step_says_that_it_works_when_it_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    heard = threading.Event()

    def display(data: dict[str, str], **_: Any) -> Any:
        told.append(data["text/plain"])
        heard.set()
        return SimpleNamespace(update=lambda data, **_: told.append(data["text/plain"]))

    monkeypatch.setattr(steps, "in_kernel", lambda: True)
    monkeypatch.setattr(steps, "_SILENT", 0.0)
    monkeypatch.delenv("TUNEBOOK_BATCH", raising=False)
    monkeypatch.setattr("IPython.display.display", display)

    @step("checks the examples")
    def look() -> bool:
        return heard.wait(30)

    assert look()
    assert told[0].startswith("checks the examples \N{HORIZONTAL ELLIPSIS}")
    assert told[-1].startswith("checks the examples:")


@pytest.mark.parametrize("presses", [1, 3])
def test_an_interrupted_cell_ends_in_the_checkpoint_s_line(presses: int, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "stopped at step 7: resume='runs/x', or `tunebook run --resume runs/x`"

    def work(stop: threading.Event) -> None:
        stop.wait(30)
        raise TrainingError(line)

    async def press() -> None:
        waiting = asyncio.ensure_future(tuning.Tuning(work, lambda: "", SimpleNamespace()).wait())  # type: ignore[arg-type]
        for _ in range(presses):
            await asyncio.sleep(0)
            waiting.cancel()
        await waiting

    monkeypatch.setattr(tuning, "in_kernel", lambda: True)
    with pytest.raises(TrainingError, match="resume='runs/x'"):
        asyncio.run(press())
    monkeypatch.setattr(tuning, "in_kernel", lambda: False)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(press())
