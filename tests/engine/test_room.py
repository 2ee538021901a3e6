"""What a session's limit of memory would not let end is refused before it begins, and what would fit is named."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tunebook
from tunebook import cgroup, workflow
from tunebook.errors import ModelError, RecipeError
from tunebook.room import require_room_for_weights

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
sys.path.insert(0, str(Path(__file__).parents[1]))
import small_run

if TYPE_CHECKING:
    from collections.abc import Callable

    Limit = Callable[[int], None]

TASKS = ("image-classification", "text-classification")


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Let this process have so many bytes more, in a session of 2 GB."""

    def have(room: int) -> None:
        monkeypatch.setattr(cgroup, "memory_room", lambda: room)
        monkeypatch.setattr(cgroup, "memory_limit", lambda: 2_000_000_000)

    return have


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recipe(task: str, tmp_path: Path) -> Any:
    """Return a recipe on small data, all of whose model trains, in large batches."""
    data = small_run.TASKS[task](tmp_path / "data", count=16)
    return small_run.recipe(data, tmp_path / "runs", task).changed(freeze="none", unfreeze=[], batch_size=48)


def test_a_model_whose_weights_do_not_fit_is_refused_with_one_that_would(recipe: Any, limit: Limit) -> None:
    examples = tunebook.load_examples(recipe)
    limit(100)
    with pytest.raises(ModelError) as refused:
        tunebook.load_model(recipe, examples)
    line = str(refused.value)
    assert line.startswith("model '")
    assert "': its weights take " in line or "…: its weights take " in line
    assert "100 B of this session's 2.0 GB of memory are left" in line
    assert f"such as {type(recipe)().model}, " in line
    assert "on_memory='try'" in line


def test_a_recipe_that_does_not_fit_is_refused_with_the_change_that_would(recipe: Any, limit: Limit) -> None:
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    cost = tunebook.measure_cost(recipe, examples, model)
    whole, least = (
        cost.estimate(recipe.changed(**change)).memory - cost.tables.memory.resident
        for change in ({}, {"freeze": "backbone", "batch_size": 4})
    )
    room = round(least + 0.7 * (whole - least))
    limit(room)
    with pytest.raises(
        RecipeError, match=r"more of memory expected and .* of 2.0 GB left: .* would fit, or set on_memory='try'"
    ):
        tunebook.load_model(recipe, examples)
    fitting = cost.with_room(room).estimate(recipe).change
    assert fitting
    # Measured again it may be a little more; the smallest has room for that.
    tunebook.load_model(recipe.changed(**{**fitting, "batch_size": 4}), examples)
    assert tunebook.load_model(recipe.changed(on_memory="try"), examples).name


def test_what_was_changed_in_the_panel_is_looked_at_before_tuning(recipe: Any, limit: Limit) -> None:
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    limit(sum(p.numel() for p in model.module.parameters()) * 8 + 1)
    with pytest.raises(RecipeError, match="on_memory='try'"):
        tunebook.tune(recipe.changed(batch_size=64), examples, model)
    assert not Path(recipe.runs_dir).exists(), "nothing is left of a run that was refused"


def test_where_not_even_gradients_fit_weights_are_counted(recipe: Any, limit: Limit, monkeypatch: Any) -> None:
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    size = sum(p.numel() for p in model.module.parameters()) * 4
    monkeypatch.setattr(workflow, "measure_cost", lambda *_: pytest.fail("a pass backwards would be killed"))
    limit(round(1.5 * size))
    with pytest.raises(RecipeError, match=r"training .* weights takes .* of memory are left: freeze='backbone'"):
        tunebook.load_model(recipe, examples)
    tunebook.load_model(recipe.changed(freeze="backbone"), examples)


def test_looking_for_room_changes_no_number_that_is_drawn(recipe: Any, limit: Limit) -> None:
    examples = tunebook.load_examples(recipe)
    free = tunebook.load_model(recipe, examples)
    after = torch.get_rng_state()
    limit(10**12)
    looked = tunebook.load_model(recipe, examples)
    assert torch.equal(torch.get_rng_state(), after)
    pairs = zip(free.module.state_dict().values(), looked.module.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_what_cannot_be_made_without_memory_is_left_to_be_loaded(recipe: Any, limit: Limit) -> None:
    limit(1)
    require_room_for_weights(recipe, lambda: torch.nn.Linear(2, float(torch.ones(()))))  # type: ignore[arg-type]


def test_the_panel_shows_what_loading_has_measured(recipe: Any, limit: Limit, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = tunebook.load_examples(recipe)
    limit(10**12)
    model = tunebook.load_model(recipe, examples)
    monkeypatch.setattr(workflow, "measure_cost", lambda *_: pytest.fail("measured twice"))
    assert workflow.known_cost(recipe.changed(batch_size=8), examples, model) is not None
