"""Heads trained as one batch: each comes to what the loop, or it alone, would have come to."""

from __future__ import annotations

import copy
import sys
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from tunebook import heads
from tunebook.errors import ModelError, RecipeError, TrainingError
from tunebook.heads import HeadData, HeadResult, can_train, train_heads
from tunebook.losses import AnyOfMany, OneOfMany
from tunebook.metrics import measure
from tunebook.predicting import evaluating
from tunebook.recipe import Recipe
from tunebook.schedules import lr_factor

if TYPE_CHECKING:
    from tunebook.training import Trainer

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import small_run

CLASSES = ("a", "b", "c")


def _positions(recipe: Recipe, epoch: int, count: int = 44) -> list[np.ndarray]:
    order = np.random.default_rng([recipe.seed, epoch]).permutation(count)
    return [order[k : k + recipe.batch_size] for k in range(0, count, recipe.batch_size)]


def _data(*, multi_label: bool = False, width: int = 12) -> HeadData:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 67)
    features = rng.normal(size=(67, width)).astype(np.float32)
    features[np.arange(67), truth] += 1.0
    shares = np.eye(3, dtype=np.float32)[truth]
    if multi_label:
        shares[rng.random(67) < 0.3, 1] = 1.0
        truth = shares.astype(np.int64)
    x, targets = torch.from_numpy(features), torch.from_numpy(shares)
    counts = shares[:44].sum(axis=0).astype(np.int64)
    return HeadData(
        x[:44], targets[:44], truth[:44], x[44:], truth[44:], CLASSES, counts, _positions, multi_label=multi_label
    )


def _head(*, deep: bool = False, dropout: float = 0.0, width: int = 12) -> nn.Sequential:
    torch.manual_seed(5)
    if not deep:
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, 3))
    inner = nn.Sequential(nn.Linear(width, 8), nn.LayerNorm(8), nn.ReLU(inplace=True))
    named = OrderedDict(drop=nn.Dropout(dropout), inner=inner, again=nn.Dropout(dropout), out=nn.Linear(8, 3))
    return nn.Sequential(named)


def _recipe(**changes: Any) -> Recipe:
    return Recipe(**{"epochs": 3, "batch_size": 8, "lr": 0.02, **changes})


#: What a search may vary; classes of weight 0 leave nothing of some batches of two.
VARIED: list[dict[str, Any]] = [
    {},
    {"lr": 0.3, "weight_decay": 0.5},
    {"class_weights": {"a": 3.0, "b": 0.0}},
    {"label_smoothing": 0.2},
    {"schedule": "linear", "warmup": 0.5},
    {"schedule": "constant", "warmup": 0.0, "clip_norm": 0.0},
    {"clip_norm": 0.01, "epochs": 4},
    {"class_weights": {"a": 0.0, "b": 0.0}, "batch_size": 2},
    {"class_weights": {"a": 0.0, "b": 3.0}, "batch_size": 2, "label_smoothing": 0.3},
    {"lr": 0.1, "monitor": "loss", "patience": 1, "epochs": 8},
    {"monitor": "accuracy"},
]


def _assert_alike(found: HeadResult, wanted: HeadResult, most: float = 1e-6) -> None:
    assert found.best.get("epoch") == wanted.best.get("epoch")
    assert (found.message, found.is_pruned) == (wanted.message, wanted.is_pruned)
    assert len(found.history) == len(wanted.history)
    for mine, theirs in zip(found.history, wanted.history, strict=True):
        assert mine["step"] == theirs["step"]
        for split in ("train", "validation"):
            assert mine[split] == pytest.approx(theirs[split], abs=most)
    for name, value in found.weights.items():
        torch.testing.assert_close(value, wanted.weights[name], rtol=0.0, atol=10 * most)


# The loop on real pictures.


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run.make_pictures(tmp_path_factory.mktemp("data") / "colours", count=20)


@pytest.fixture(scope="module")
def table(pictures: Path) -> Path:
    """Name each picture's colour, and for every third one that it is odd too."""
    files = sorted(pictures.glob("*/*.png"))
    labels = [f"{file.parent.name}|odd" if k % 3 == 0 else file.parent.name for k, file in enumerate(files)]
    path = pictures.parent / "table.csv"
    pd.DataFrame({"path": [str(file) for file in files], "label": labels}).to_csv(path, index=False)
    return path


def _trainer(data: Path, folder: Path, **changes: Any) -> Trainer:
    import tunebook
    from tunebook import workflow
    from tunebook.devices import Devices
    from tunebook.tasks import get_task
    from tunebook.training import Trainer

    plain = {"augment": "none", "mixup": 0.0, "label_smoothing": 0.0, "unfreeze": [], "sampler": "none", "lr": 0.02}
    # A search computes heads in fp32, which its processor may not do in a training.
    exact = {"dropout": 0.0, "epochs": 3, "precision": "fp32"}
    recipe = small_run.recipe(data, folder, **{**plain, **exact, **changes})
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    reader = workflow._features(recipe, examples, model).reader
    return Trainer(get_task(recipe.task), recipe, examples, model, reader, Devices(recipe, model.module))


def _as_heads(trainers: list[Trainer]) -> tuple[nn.Sequential, HeadData]:
    """Take the classifier out of the model, and what it sees of the pictures."""
    first = trainers[0]
    rows, held_out = first.examples.rows("train"), first.examples.rows("validation")
    with evaluating(first.model.module), torch.no_grad():
        seen = [
            first.task.features(first.model.module, first.reader.inputs(part)).flatten(1) for part in (rows, held_out)
        ]

    def batches(recipe: Recipe, epoch: int) -> list[np.ndarray]:
        trainer = next(t for t in trainers if t.recipe is recipe)
        return [np.searchsorted(rows, batch) for batch in trainer._batches(epoch)]

    truth = first.examples.targets()
    shares = torch.from_numpy(first.examples.target_shares()[rows])
    head = nn.Sequential(nn.Dropout(0.3), copy.deepcopy(first.model.module.get_submodule("classifier")))
    counts = first.examples.class_counts("train")
    multi_label = first.examples.multi_label
    return head, HeadData(
        seen[0], shares, truth[rows], seen[1], truth[held_out], first.examples.classes, counts, batches, multi_label
    )


@pytest.mark.parametrize("multi_label", [False, True])
def test_each_head_comes_to_what_the_loop_comes_to(
    pictures: Path, table: Path, tmp_path: Path, *, multi_label: bool
) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"lr": 0.5, "weight_decay": 0.5, "schedule": "linear", "warmup": 0.4},
        {"class_weights": {"red": 4.0, "blue": 0.0}, "label_smoothing": 0.2},
        {"sampler": {"red": 5.0}, "schedule": "constant", "warmup": 0.0},
        {"clip_norm": 0.01, "monitor": "loss"},
        {"clip_norm": 0.0, "lr": 0.2},
        {"batch_size": 5, "epochs": 2},
        {"lr": 1e-9, "patience": 2, "monitor": "accuracy", "epochs": 9},
    ]
    data = table if multi_label else pictures
    trainers = [_trainer(data, tmp_path, multi_label=multi_label, **change) for change in changes]
    head, together = _as_heads(trainers)
    found = train_heads(head, [trainer.recipe for trainer in trainers], together)
    for trainer, result in zip(trainers, found, strict=True):
        progress = trainer.fit()
        assert len(result.history) == len(progress.history)
        for mine, theirs in zip(result.history, progress.history, strict=True):
            assert (mine["epoch"], mine["step"]) == (theirs["epoch"], theirs["step"])
            assert mine["running_loss"] == pytest.approx(theirs["running_loss"], abs=1e-4)
            for split in ("train", "validation"):
                assert mine[split] == pytest.approx({k: theirs[split][k] for k in mine[split]}, abs=1e-4)
                assert mine[split]["accuracy"] == theirs[split]["accuracy"]
        assert result.best == pytest.approx(progress.best, abs=1e-4)
        if result.best["epoch"] == len(result.history):
            own = trainer.model.module.get_submodule("classifier").state_dict()
            for name, value in own.items():
                torch.testing.assert_close(result.weights[f"1.{name}"], value, rtol=1e-3, atol=1e-4)
    assert len({round(result.history[-1]["train"]["loss"], 5) for result in found}) == len(found)


@pytest.mark.parametrize(
    "change",
    [{"class_weights": {"red": 1e300}}, {"lr": 10.0, "weight_decay": 10.0, "schedule": "constant", "epochs": 40}],
    ids=["at once", "after some epochs"],
)
def test_what_diverges_says_so_in_the_loop_s_words(pictures: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    trainers = [_trainer(pictures, tmp_path, **change), _trainer(pictures, tmp_path)]
    failed, fine = train_heads(*_split(trainers))
    with pytest.raises(TrainingError) as caught:
        trainers[0].fit()
    assert failed.message == str(caught.value)
    assert len(failed.history) == len(trainers[0].progress.history)
    assert (fine.message, len(fine.history)) == ("", 3)


def _split(trainers: list[Trainer]) -> tuple[nn.Sequential, list[Recipe], HeadData]:
    head, data = _as_heads(trainers)
    return head, [trainer.recipe for trainer in trainers], data


# Plain torch.


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_deep_head_takes_torch_s_own_steps(*, multi_label: bool) -> None:
    data = _data(multi_label=multi_label)
    recipes = [_recipe(**{**change, "epochs": 3, "patience": 0}) for change in VARIED]
    for recipe, result in zip(recipes, train_heads(_head(deep=True), recipes, data), strict=True):
        head = _head(deep=True)
        history = _by_hand(head, recipe, data)
        losses = [row["validation"]["loss"] for row in result.history]
        assert losses == pytest.approx(history, abs=1e-4), recipe
        if result.best["epoch"] == recipe.epochs:
            for name, value in head.state_dict().items():
                torch.testing.assert_close(result.weights[name], value, rtol=1e-3, atol=1e-4)


def _by_hand(head: nn.Sequential, recipe: Recipe, data: HeadData) -> list[float]:
    """Train as a page of torch's manual would."""
    objective = AnyOfMany() if data.multi_label else OneOfMany()
    given = recipe.class_weights if isinstance(recipe.class_weights, dict) else {}
    weights = torch.tensor([given.get(name, 1.0) for name in data.classes])
    matrices = [p for p in head.parameters() if p.ndim > 1]
    rest = [p for p in head.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}], lr=recipe.lr
    )
    step, found = 0, []
    for epoch in range(recipe.epochs):
        batches = data.batches(recipe, epoch)
        for rows in batches:
            targets, smoothing = data.targets[rows], recipe.label_smoothing
            logits = head(data.features[rows])
            optimizer.zero_grad()
            if data.multi_label:
                wanted = targets * (1 - smoothing) + smoothing / 2
                binary_cross_entropy_with_logits(logits, wanted, pos_weight=weights).backward()
            elif weights[targets.argmax(1)].any():
                cross_entropy(logits, targets.argmax(1), weight=weights, label_smoothing=smoothing).backward()
            else:  # torch would divide by 0
                (logits * 0.0).sum().backward()
            if recipe.clip_norm:
                nn.utils.clip_grad_norm_(head.parameters(), recipe.clip_norm)
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * lr_factor(recipe.schedule, step, recipe.epochs * len(batches), recipe.warmup)
            optimizer.step()
            step += 1
        with torch.no_grad():
            scores = objective.scores(head(data.validation_features)).numpy()
        found.append(measure(scores, data.validation_truth, data.classes)["loss"])
    return found


# Company.


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("multi_label", [False, True])
def test_company_changes_nothing(*, deep: bool, multi_label: bool) -> None:
    data, head = _data(multi_label=multi_label), _head(deep=deep, dropout=0.2)
    # Those at the start drop alike, and most of them have a batch of their own.
    changes = [{**change, "dropout": 0.4} for change in VARIED]
    changes += [{**change, "dropout": 0.09 * k} for k, change in enumerate(VARIED)]
    changes += [{"seed": 1}, {"batch_size": 16, "dropout": 0.3}, {"sampler": "balanced"}]
    recipes = [_recipe(**change) for change in changes]
    for recipe, result in zip(recipes, train_heads(head, recipes, data), strict=True):
        (alone,) = train_heads(head, [recipe], data)
        _assert_alike(result, alone)


def test_company_that_does_not_fit_in_memory_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = [_recipe(lr=0.01 * k, dropout=0.05 * k) for k in range(1, 8)]
    whole = train_heads(_head(deep=True), recipes, _data())
    sizes: list[int] = []
    real = heads._Heads.train

    def train(self: Any, report: Any) -> None:
        sizes.append(len(self.trials))
        real(self, report)

    monkeypatch.setattr(heads, "_MOST_NUMBERS", 3000)
    monkeypatch.setattr(heads._Heads, "train", train)
    for result, wanted in zip(train_heads(_head(deep=True), recipes, _data()), whole, strict=True):
        _assert_alike(result, wanted)
    assert sum(sizes) == 7
    assert 1 < len(sizes) < 7


def test_one_that_fails_leaves_the_others_as_they_were() -> None:
    recipes = [_recipe(lr=0.01), _recipe(class_weights={"a": 1e300}), _recipe(lr=0.05)]
    first, failed, last = train_heads(_head(), recipes, _data())
    assert "the loss became nan at step 1 (epoch 1), so training ended; no epoch was done" in failed.message
    assert (failed.best, failed.weights, failed.scores.shape) == ({}, {}, (0, 3))
    for result, recipe in ((first, recipes[0]), (last, recipes[2])):
        _assert_alike(result, train_heads(_head(), [recipe], _data())[0])


def test_all_may_fail() -> None:
    found = train_heads(_head(), [_recipe(class_weights={"a": 1e300}, seed=seed) for seed in (0, 0, 1)], _data())
    assert all(result.message for result in found)


def test_no_recipes_give_no_heads() -> None:
    assert train_heads(_head(), [], _data()) == []


# What comes back.


@pytest.mark.parametrize("multi_label", [False, True])
def test_weights_and_scores_are_those_of_the_best_epoch(*, multi_label: bool) -> None:
    data, head = _data(multi_label=multi_label), _head(deep=True, dropout=0.3)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    features = data.features.clone()
    found = train_heads(head, [_recipe(lr=lr, epochs=5) for lr in (0.01, 0.1, 1.0)], data)
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())
    assert torch.equal(data.features, features)
    for result in found:
        own = copy.deepcopy(head).eval()
        own.load_state_dict(result.weights)
        with torch.no_grad():
            logits = own(data.validation_features)
        scores = logits.sigmoid() if multi_label else logits.softmax(dim=1)
        np.testing.assert_allclose(result.scores, scores.numpy(), atol=1e-5)
        row = result.history[int(result.best["epoch"]) - 1]
        measured = measure(result.scores, data.validation_truth, CLASSES)
        assert row["validation"] == pytest.approx({name: measured[name] for name in row["validation"]}, abs=1e-9)
        assert result.best["score"] == max(row["validation"]["macro_f1"] for row in result.history)


def test_what_works_in_place_leaves_the_features_alone() -> None:
    data = _data()
    features = data.features.clone(), data.validation_features.clone()
    train_heads(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(12, 3)), [_recipe()], data)
    assert torch.equal(data.features, features[0])
    assert torch.equal(data.validation_features, features[1])


def test_a_report_ends_a_trial_and_no_other() -> None:
    seen: list[tuple[int, int]] = []

    def report(index: int, epoch: int, row: dict[str, Any]) -> bool:
        assert row["epoch"] == epoch
        seen.append((index, epoch))
        return index == 1 and epoch == 2

    found = train_heads(_head(), [_recipe(), _recipe(lr=0.1), _recipe(epochs=2, seed=4)], _data(), report)
    assert [result.is_pruned for result in found] == [False, True, False]
    assert [len(result.history) for result in found] == [3, 2, 2]
    assert sorted(seen) == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 1), (2, 2)]
    assert found[1].weights
    assert not found[1].message


def test_a_trial_that_is_done_cannot_be_pruned() -> None:
    (result,) = train_heads(_head(), [_recipe(epochs=2)], _data(), lambda _index, epoch, _row: epoch == 2)
    assert not result.is_pruned


# Dropout.


def test_dropout_acts_in_training_at_each_head_s_rate() -> None:
    data = _data(width=400)
    rates = [0.0, 0.2, 0.5, 0.9]
    recipes = [_recipe(dropout=rate) for rate in rates]
    chain = heads._Chain(_head(width=400))
    trials = [heads._Trial.make(k, recipe, chain, data) for k, recipe in enumerate(recipes)]
    ones = torch.ones(44, 400)
    dropped = heads._Heads(chain, data, trials)._drop(0, ones.clone())
    assert torch.equal(dropped[0], ones)
    for rate, values in zip(rates, dropped, strict=True):
        assert float((values == 0.0).float().mean()) == pytest.approx(rate, abs=0.02)
        kept = values[values > 0.0]
        torch.testing.assert_close(kept, torch.full_like(kept, 1.0 / (1.0 - rate)))
    losses = [result.history[-1]["running_loss"] for result in train_heads(_head(width=400), recipes, data)]
    assert np.isfinite(losses).all()
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]


def test_steps_draw_anew_and_the_same_again() -> None:
    data, chain = _data(), heads._Chain(_head(dropout=0.5))
    together = heads._Heads(chain, data, [heads._Trial.make(0, _recipe(), chain, data)])
    ones = torch.ones(44, 12)
    first, again = together._drop(0, ones), together._drop(0, ones)
    together.step = 1
    later = together._drop(0, ones)
    other = heads._Heads(chain, data, [heads._Trial.make(0, _recipe(seed=1), chain, data)])._drop(0, ones)
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first, other)


def test_a_head_keeps_its_own_rates_where_the_recipe_names_none() -> None:
    data = _data()
    chain = heads._Chain(_head(deep=True, dropout=0.25))
    assert heads._Trial.make(0, _recipe(), chain, data).rates == (0.25, 0.25)
    assert heads._Trial.make(0, _recipe(dropout=0.5), chain, data).rates == (0.5, 0.5)
    assert heads._Trial.make(0, _recipe(dropout=0.0), chain, data).rates == (0.0, 0.0)


# Mistakes.


@pytest.mark.parametrize(
    "head",
    [
        nn.Sequential(nn.Linear(12, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)),
        nn.Sequential(nn.LayerNorm((2, 12)), nn.Linear(12, 3)),
        nn.Sequential(nn.Dropout(0.1), nn.Identity()),
        nn.Sequential(*[nn.Linear(12, 12)] * 2),
    ],
    ids=["BatchNorm", "LayerNorm of two sides", "no Linear", "a Linear twice"],
)
def test_a_head_of_other_parts_is_refused(head: nn.Sequential) -> None:
    assert not can_train(head)
    with pytest.raises(ModelError, match="in the loop"):
        train_heads(head, [_recipe()], _data())


def test_heads_that_can_be_trained_are_known() -> None:
    assert can_train(_head())
    assert can_train(_head(deep=True))
    assert not can_train(nn.Linear(12, 3))


def test_a_recipe_that_does_not_fit_is_refused_before_training() -> None:
    with pytest.raises(RecipeError, match="no place for dropout of kind 'head'"):
        train_heads(nn.Sequential(nn.Linear(12, 3)), [_recipe(dropout=0.1)], _data())
    with pytest.raises(RecipeError, match="no class 'z'"):
        train_heads(_head(), [_recipe(), _recipe(class_weights={"z": 1.0})], _data())


# Measures.


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(2, 5), st.booleans())
def test_measures_are_those_of_metrics(seed: int, count: int, classes: int, multi_label: bool) -> None:  # noqa: FBT001
    rng = np.random.default_rng(seed)
    # Few different scores, and sure ones: ties, classes that nobody names, and logarithms of 0.
    scores = rng.integers(0, 4, (3, count, classes)).astype(np.float32) / 3
    truth = rng.integers(0, 2, (count, classes)) if multi_label else rng.integers(0, classes, count)
    if multi_label:
        truth[0, 0] = 1  # without any class there is no F1 at all
    found = heads._measure(torch.from_numpy(scores), torch.from_numpy(truth))
    for place in range(3):
        wanted = measure(scores[place], truth, [str(k) for k in range(classes)])
        for name, values in found.items():
            assert values[place] == pytest.approx(wanted[name], abs=1e-9)
