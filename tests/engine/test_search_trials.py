"""Trials: what they share, and that none depends on those before it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tunebook.monitors import WORDS
from tunebook.search_materials import Materials, dropout_names, model_key, reader_key
from tunebook.search_objectives import read_objectives
from tunebook.search_trials import OneByOne, TrialResult
from tunebook.tasks import get_task, recipe_class
from tunebook.training import Trainer, TrainingStopped

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import small_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook.recipe import Recipe

OBJECTIVES = read_objectives(["accuracy"])


@pytest.fixture(scope="module", params=small_run.TASKS)
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Recipe]:
    """Make recipes of small runs of a task in which everything random is turned on."""
    data = small_run.TASKS[request.param](tmp_path_factory.mktemp("data") / "made")
    return lambda **changes: small_run.recipe(data, data.parent, request.param, **{"epochs": 2, **changes})


def _never(_place: int, _epoch: int, _value: float) -> bool:
    return False


def _fresh(recipe: Any) -> tuple[list[Any], dict[str, torch.Tensor]]:
    """Train a recipe as a run of its own; return its history and its weights."""
    import tunebook
    from tunebook.devices import Devices

    task = get_task(recipe.task)
    examples = tunebook.check(tunebook.load_examples(recipe), recipe).resolve("drop")
    model = tunebook.load_model(recipe, examples)
    reader = task.reader(examples, recipe, model)
    trainer = Trainer(task, recipe, examples, model, reader, Devices(recipe, model.module))
    history = trainer.fit().history
    return history, {name: value.clone() for name, value in model.module.state_dict().items()}


def test_a_trial_equals_a_run_of_its_own_to_the_bit(make: Callable[..., Recipe]) -> None:
    recipes = [
        make(freeze="none", unfreeze=[], lr=5e-2, dropout=0.5),
        make(freeze=-2, unfreeze=[], lr=3e-3, dropout=0.1),
        make(lr=1e-3, batch_size=4, dropout=0.3),
    ]
    materials = Materials(recipes[0])
    trained = OneByOne(materials, OBJECTIVES)
    assert {result.outcome for result in trained.evaluate(recipes, _never)} == {"complete"}
    # The trials before have changed every weight; what the last one leaves is the model's own state.
    for recipe in recipes:
        found = next(iter(trained.evaluate([recipe], _never)))
        model = materials._model
        assert model is not None
        left = {name: value.clone() for name, value in model[1].module.state_dict().items()}
        history, weights = _fresh(recipe)
        best = history[found.epoch - 1]["validation"]
        assert found.metrics == {name: best[name] for name in WORDS}
        assert all(torch.equal(left[name], value) for name, value in weights.items())
    assert materials.made["examples"] == materials.made["model"] == 1


def test_a_rate_that_is_not_given_is_the_models_own_again(make: Callable[..., Recipe]) -> None:
    materials = Materials(make())
    with_rate = materials.take(make(dropout=0.7)).model.dropout.rates()
    without = materials.take(make(dropout=None)).model.dropout.rates()
    fresh = Materials(make()).take(make(dropout=None)).model.dropout.rates()
    assert without == fresh != with_rate


def test_what_the_loop_alone_looks_at_shares_the_reader(make: Callable[..., Recipe]) -> None:
    recipe = make()
    for changes in ({"lr": 0.5}, {"freeze": 2}, {"dropout": 0.6}, {"unfreeze": []}, {"epochs": 9}, {"sampler": "none"}):
        assert reader_key(recipe.changed(**changes)) == reader_key(recipe)
    for changes in ({"batch_size": 5}, {"seed": 3}, {"model": "other"}, {"dropout": None}):
        assert reader_key(recipe.changed(**changes)) != reader_key(recipe)
    assert model_key(recipe.changed(batch_size=5)) == model_key(recipe)


def test_rates_of_dropout_are_known_by_what_they_do() -> None:
    assert dropout_names(recipe_class("image-classification")) == {"dropout", "inner_dropout", "stochastic_depth"}
    assert {"dropout", "hidden_dropout", "attention_dropout"} <= dropout_names(recipe_class("text-classification"))


@pytest.mark.parametrize("make", ["image-classification"], indirect=True)
class TestEndings:
    def test_a_trial_that_diverges_fails_with_its_message_and_the_next_one_is_trained(
        self, make: Callable[..., Recipe]
    ) -> None:
        recipes = [make(lr=9.0, clip_norm=0.0, freeze="none", unfreeze=[], weight_decay=10.0, epochs=9), make()]
        found = list(OneByOne(Materials(make()), OBJECTIVES).evaluate(recipes, _never))
        by_place = {result.place: result for result in found}
        assert by_place[1].outcome == "complete"
        if by_place[0].outcome == "failed":  # whether it diverges is the arithmetic's affair
            assert by_place[0].message.isprintable()

    def test_a_trial_that_does_not_fit_the_model_fails(self, make: Callable[..., Recipe]) -> None:
        found = next(iter(OneByOne(Materials(make()), OBJECTIVES).evaluate([make(freeze=99)], _never)))
        assert (found.outcome, found.values) == ("failed", ())
        assert "freeze=99" in found.message

    def test_a_loss_that_is_not_finite_fails(
        self, make: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tunebook.errors import TrainingError

        def diverge(*_: Any) -> None:
            msg = "the loss became nan at step 3"
            raise TrainingError(msg)

        trained = OneByOne(Materials(make()), OBJECTIVES)
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_step", diverge)
            found = next(iter(trained.evaluate([make()], _never)))
        assert (found.outcome, found.message) == ("failed", "the loss became nan at step 3")
        assert next(iter(trained.evaluate([make()], _never))).outcome == "complete"

    def test_a_trial_that_is_given_up_ends_there(self, make: Callable[..., Recipe]) -> None:
        seen: list[tuple[int, int]] = []

        def report(place: int, epoch: int, _value: float) -> bool:
            seen.append((place, epoch))
            return place == 0 and epoch == 2

        recipes = [make(epochs=4), make(epochs=3)]
        found = list(OneByOne(Materials(make()), OBJECTIVES).evaluate(recipes, report))
        assert [result.outcome for result in found] == ["pruned", "complete"]
        assert seen == [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3)]
        assert found[0].epoch in (1, 2)

    def test_stopping_ends_it_at_the_next_step(self, make: Callable[..., Recipe]) -> None:
        stop = threading.Event()
        stop.set()
        with pytest.raises(TrainingStopped):
            list(OneByOne(Materials(make()), OBJECTIVES).evaluate([make()], _never, stop))

    def test_a_result_travels_as_json(self, make: Callable[..., Recipe]) -> None:
        found = next(iter(OneByOne(Materials(make()), OBJECTIVES).evaluate([make()], _never)))
        assert TrialResult.from_json(found.to_json()) == found
