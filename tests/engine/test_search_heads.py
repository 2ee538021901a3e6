"""Trials of heads trained together come to what each comes to alone."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tunebook.search_heads import HeadsTogether
from tunebook.search_materials import Materials
from tunebook.search_objectives import read_objectives
from tunebook.search_trials import OneByOne, evaluator
from tunebook.training import TrainingStopped

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import small_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook.recipe import Recipe

OBJECTIVES = read_objectives(["accuracy", "loss"])
HEADS: dict[str, Any] = {"freeze": "backbone", "unfreeze": [], "dropout": 0.0, "epochs": 3}


@pytest.fixture(scope="module", params=small_run.TASKS)
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Recipe]:
    """Make recipes that train a head of a task."""
    data = small_run.TASKS[request.param](tmp_path_factory.mktemp("data") / "made")
    still = {"augment": "none", "mixup": 0.0} if request.param == "image-classification" else {}
    return lambda **changes: small_run.recipe(data, data.parent, request.param, **{**HEADS, **still, **changes})


def _never(_place: int, _epoch: int, _value: float) -> bool:
    return False


class _NoOthers:
    def evaluate(self, recipes: Any, *_: Any) -> Any:
        raise AssertionError(f"{len(recipes)} trials were left over")


def test_together_is_as_alone(make: Callable[..., Recipe]) -> None:
    recipes = [make(lr=1e-3), make(lr=2e-2), make(lr=5e-3, weight_decay=0.5, batch_size=4)]
    together = HeadsTogether(Materials(recipes[0]), OBJECTIVES, _NoOthers())
    found = {result.place: result for result in together.evaluate(recipes, _never)}
    alone = {result.place: result for result in OneByOne(Materials(recipes[0]), OBJECTIVES).evaluate(recipes, _never)}
    assert sorted(found) == [0, 1, 2]
    for place, result in found.items():
        assert result.outcome == alone[place].outcome == "complete"
        assert result.metrics["loss"] == pytest.approx(alone[place].metrics["loss"], abs=2e-3)
        assert result.values == pytest.approx(alone[place].values, abs=2e-3)


def test_what_is_more_than_a_head_is_left_to_others_with_its_own_place(make: Callable[..., Recipe]) -> None:
    recipes = [make(lr=1e-3), make(freeze="none", epochs=1), make(lr=2e-3), make(cache="off", epochs=1)]
    told: list[tuple[int, int]] = []

    def report(place: int, epoch: int, _value: float) -> bool:
        told.append((place, epoch))
        return False

    found = list(evaluator(Materials(recipes[0]), OBJECTIVES).evaluate(recipes, report))
    assert sorted(result.place for result in found) == [0, 1, 2, 3]
    assert sorted(told) == [(0, 1), (0, 2), (0, 3), (1, 1), (2, 1), (2, 2), (2, 3), (3, 1)]


def test_a_trial_that_the_search_gives_up_is_pruned_and_a_stop_ends_all(make: Callable[..., Recipe]) -> None:
    recipes = [make(lr=1e-3), make(lr=2e-3)]
    together = HeadsTogether(Materials(recipes[0]), OBJECTIVES, _NoOthers())
    found = {r.place: r for r in together.evaluate(recipes, lambda place, epoch, _value: place == 1 and epoch == 1)}
    assert [found[0].outcome, found[1].outcome] == ["complete", "pruned"]
    assert found[1].epoch == 1
    stop = threading.Event()
    stop.set()
    with pytest.raises(TrainingStopped):
        list(together.evaluate(recipes, _never, stop))


def test_together_choose_thresholds_and_epochs_as_alone(tmp_path: Path) -> None:
    data = small_run.make_texts(tmp_path / "made")
    lines = data.read_text().splitlines()
    data.write_text("\n".join(line for line in lines if not line.endswith(",neither")))
    chosen = {"threshold": "recall:0.9", "positive": "good", "monitor": "average_precision", "precision": "fp32"}
    still = {"sampler": "none", "label_smoothing": 0.0, "validation_fraction": 0.4}
    recipes = [
        small_run.recipe(data, tmp_path, "text-classification", **{**HEADS, **still, **chosen, "lr": lr})
        for lr in (1e-3, 2e-2)
    ]
    objectives = read_objectives(["roc_auc", "specificity"])
    together = HeadsTogether(Materials(recipes[0]), objectives, _NoOthers())
    found = {result.place: result for result in together.evaluate(recipes, _never)}
    alone = {result.place: result for result in OneByOne(Materials(recipes[0]), objectives).evaluate(recipes, _never)}
    for place, result in found.items():
        assert result.epoch == alone[place].epoch
        assert result.metrics == pytest.approx(alone[place].metrics, abs=2e-3)
        assert result.values == pytest.approx(alone[place].values, abs=2e-3)
        assert result.metrics["roc_auc"] == result.values[0]
