"""The plan of a search: checked before anything starts, and read again from the sweep's directory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tunebook.errors import NotebookError, RecipeError, StorageError
from tunebook.runs import Run
from tunebook.search_plan import Plan, make_plan
from tunebook.templates import load_notebook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPACES = {"lr": "log(1e-4,1e-1)"}


@pytest.fixture
def notebook(write_notebook: Callable[..., Path]) -> dict[str, Any]:
    cell = "lr: float = 0.25  # peak\nepochs = 3\nother = 1\nmodel = name()"
    return load_notebook(write_notebook("1", parameters=cell, tunebook={"task": "image-classification"}))


def _plan(notebook: dict[str, Any], **changes: Any) -> Plan:
    parameters = {"model": "resnet18", **changes.pop("parameters", {})}
    return make_plan(notebook, changes.pop("spaces", SPACES), parameters=parameters, **changes)


def test_the_cell_of_the_notebook_and_what_is_given_make_the_recipe(notebook: dict[str, Any]) -> None:
    plan = _plan(notebook, parameters={"epochs": "7", "dropout": "0.25"})
    recipe = plan.recipe(lr=0.5)
    assert (recipe.lr, recipe.epochs, recipe.dropout, recipe.model) == (0.5, 7, 0.25, "resnet18")
    assert plan.recipe().lr == 0.25
    assert (plan.trials, plan.objectives, plan.prune) == (30, ("macro_f1",), True)


def test_a_grid_says_how_large_it_is(notebook: dict[str, Any]) -> None:
    spaces = {**SPACES, "freeze": "backbone,4", "batch_size": "8..64/8"}
    assert _plan(notebook, spaces=spaces, method="grid").trials == 5 * 2 * 8
    assert _plan(notebook, spaces=spaces, method="grid", points=3).trials == 3 * 2 * 8
    assert _plan(notebook, spaces=spaces, method="grid", trials=7).trials == 7
    assert _plan(notebook, spaces=spaces, method="grid", trials=1_000).trials == 80


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parameters": {"lr": 0.1}}, "both set and searched"),
        ({"parameters": {"lrr": 0.1}}, "did you mean 'lr'"),
        ({"parameters": {"epochs": 0}}, "parameter epochs"),
        ({"parameters": {"resume": "runs/a"}}, "tunebook sweep --resume"),
        ({"spaces": {"x": "1..2"}}, "unknown parameter"),
        ({"method": "baysian"}, "did you mean 'bayesian'"),
        ({"trials": 0}, "trials: got 0"),
        ({"trials": True}, "trials: got True"),
        ({"points": 1}, "points: got 1"),
        ({"seed": -1}, "seed: got -1"),
        ({"objectives": ["acc"]}, "objective 'acc'"),
        ({"objectives": ["loss", "gap"], "prune": True}, "pruned by one objective"),
    ],
)
def test_mistakes_are_told_in_one_line(notebook: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        _plan(notebook, **changes)


def test_what_is_no_plain_value_must_be_given(notebook: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"parameter model: .*-p model"):
        make_plan(notebook, SPACES)


def test_a_notebook_without_a_task_is_refused(write_notebook: Callable[..., Path]) -> None:
    with pytest.raises(NotebookError, match="names no task"):
        make_plan(load_notebook(write_notebook("1")), SPACES)


def test_it_is_read_again_as_it_was_kept_and_damage_is_told(notebook: dict[str, Any], tmp_path: Path) -> None:
    run = Run.create(tmp_path, "a", "image-classification")
    with pytest.raises(StorageError, match="is no sweep"):
        Plan.load(run)
    plan = _plan(notebook, spaces={**SPACES, "unfreeze": "[],[[1,-3]]"}, objectives=["loss", "gap:tone"])
    plan.save(run)
    assert Plan.load(run) == plan
    raw = json.loads((run.path / "sweep.json").read_text())
    for damage in ({"spaces": {"lr": "1..100"}}, {"objectives": 3}, {"task": "nothing"}, {"more": 1}, {"spaces": [1]}):
        (run.path / "sweep.json").write_text(json.dumps({**raw, **damage}))
        with pytest.raises(StorageError, match="not the plan of a sweep"):
            Plan.load(run)
