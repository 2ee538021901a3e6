"""A cached feed gives what was kept where the model's rest expects it, and the whole examples where nothing is kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunebook.examples import Examples
from tunebook.feature_store import FeatureStore
from tunebook.feeds import KEPT, CachedFeed, DirectFeed, starts
from tunebook.predicting import evaluating
from tunebook.tasks import get_task, recipe_class
from tunebook.trunk import Cut, Trace, Trunk, edge, find_cut, spread_head

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_models import make_tiny

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import MakePicture

TEXTS = ["the film is good and not bad", "a plot", "dull actor scene", "it was very very very fine", "end"]


class Kept:
    """Features of one cut in a store, and what was asked of them."""

    def __init__(self, task: Any, model: Any, reader: Any, freeze: Any, folder: Path) -> None:
        self.task, self.model, self.reader = task, model, reader
        self.frozen = model.stages.frozen_by(freeze)
        inputs = reader.inputs(np.arange(2))
        self.cut: Cut = find_cut(Trace(model.module, task.logits, inputs), model.stages, model.dropout, self.frozen)
        self.uses: list[int] = []
        self.is_lost = False
        self.direct = DirectFeed(task, model, reader)
        self.feed = CachedFeed(self.direct, self.cut, reader, self._give)
        self._table = FeatureStore(folder).table({"freeze": str(freeze)})

    def fill(self, count: int, dtype: str = "float32") -> None:
        trunk = Trunk(self.model.module, self.task.logits, [self.cut])
        arrays = []
        for row in range(count):
            inputs = self.reader.inputs(np.array([row]))
            with evaluating(self.model.module), torch.no_grad():
                found = trunk(**inputs)[0][0].numpy().astype(dtype)
            at = {"first": [0], "last": [-1]}.get(self.cut.position)
            arrays.append(found if at is None else found[at[0]])
        keys = self.reader.keys(np.arange(count))
        self._table.store.fill([self._table], keys, lambda at: [(at, [[arrays[k] for k in at]])])
        # In another order than the table's, so that places matter.
        order = np.random.default_rng(0).permutation(count)
        self._places = np.full(count + 3, -1, np.int64)
        self._places[order] = np.arange(count)
        self._rows = self._table.rows([keys[k] for k in order])

    def _give(self, view: int | None, rows: np.ndarray, uses: int) -> Any:
        del view, rows
        self.uses.append(uses)
        return None if self.is_lost else (self._rows, self._places)

    def compare(self, rows: np.ndarray, tolerance: float = 1e-5) -> None:
        module = self.model.module
        with evaluating(module), torch.no_grad(), spread_head(module, self.frozen):
            expected = self.direct.logits(self.direct.inputs(rows))
            found = self.feed.logits(self.feed.inputs(rows))
        assert bool(expected.any())
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.fixture
def texts(tmp_path: Path) -> Callable[..., Kept]:
    def make(kind: str, freeze: Any, side: str = "") -> Kept:
        task = get_task("text-classification")
        recipe = recipe_class("text-classification")(model=str(make_tiny(tmp_path / kind, kind)), max_length=24)
        model = task.load_model(recipe, ("a", "b"))
        model.settings["padding_side"] = side or model.settings["padding_side"]
        frame = pd.DataFrame({"id": range(5), "content": TEXTS, "label": "a", "split": "train"})
        reader = task.reader(Examples(frame, ("a", "b"), "made for a test"), recipe, model)
        return Kept(task, model, reader, freeze, tmp_path / "store")

    return make


@pytest.fixture
def pictures(tmp_path: Path, make_picture: MakePicture) -> Callable[..., Kept]:
    def make(freeze: Any, **values: Any) -> Kept:
        task = get_task("image-classification")
        recipe = recipe_class("image-classification")(
            model="test_efficientnet", weights="none", image_size=32, augment="none", **values
        )
        model = task.load_model(recipe, ("a", "b"))
        paths = [str(make_picture(tmp_path / f"{k}.png", k, 40)) for k in range(5)]
        frame = pd.DataFrame({"id": range(5), "content": paths, "label": list("ababa"), "split": "train"})
        reader = task.reader(Examples(frame, ("a", "b"), "made for a test"), recipe, model)
        return Kept(task, model, reader, freeze, tmp_path / "store")

    return make


@pytest.mark.parametrize("freeze", ["backbone", -2])
@pytest.mark.parametrize(("kind", "side"), [("bert", "right"), ("gpt2", "right"), ("llama", "left"), ("xlnet", "left")])
def test_texts_of_different_lengths_find_their_places(
    kind: str, side: str, freeze: Any, texts: Callable[..., Kept]
) -> None:
    kept = texts(kind, freeze, side)
    kept.fill(len(TEXTS))
    for rows in ([0, 1, 2, 3, 4], [4], [1, 4, 1], [3, 2]):
        kept.compare(np.array(rows))


def test_only_the_place_that_is_read_is_run(texts: Callable[..., Kept]) -> None:
    kept = texts("bert", "backbone")
    kept.fill(len(TEXTS))
    found = kept.feed.inputs(np.array([0, 1]))
    assert kept.cut.position == "first"
    assert found[KEPT].shape == (2, 1, 32)
    assert {name: tuple(tensor.shape) for name, tensor in found.items() if name != KEPT} == dict.fromkeys(
        kept.model.settings["inputs"], (2, 1)
    )


@pytest.mark.parametrize("freeze", ["backbone", -2, 2])
def test_pictures_give_the_same_logits(freeze: Any, pictures: Callable[..., Kept]) -> None:
    kept = pictures(freeze)
    kept.fill(5)
    kept.compare(np.array([3, 0, 3]))


def test_half_precision_is_given_as_float32_close_by(pictures: Callable[..., Kept]) -> None:
    kept = pictures(2)
    kept.fill(5, "float16")
    assert kept.feed.inputs(np.array([1]))[KEPT].dtype == torch.float32
    kept.compare(np.array([1, 4]), 1e-2)


def test_what_is_given_may_be_written_into(pictures: Callable[..., Kept]) -> None:
    kept = pictures("backbone")
    kept.fill(5)
    rows = np.array([1, 2])
    first = kept.feed.inputs(rows)[KEPT]
    before = first.clone()
    first.fill_(7.0)
    assert torch.equal(kept.feed.inputs(rows)[KEPT], before)
    assert first.data_ptr() % 64 == 0  # torch's own memory: bits depend on alignment


def test_uses_are_counted_an_example(pictures: Callable[..., Kept]) -> None:
    kept = pictures("backbone")
    kept.fill(5)
    kept.feed.inputs(np.array([1, 2, 2]))
    kept.feed.training_batches(np.arange(4), (0, 0), slice(0, 2), None)
    kept.feed.evaluation_batches(np.arange(5))
    assert kept.uses == [3, 2, 0]


def test_a_step_s_part_comes_with_its_targets(pictures: Callable[..., Kept]) -> None:
    kept = pictures("backbone")
    kept.fill(5)
    (batch,) = kept.feed.training_batches(np.array([4, 3, 2, 1]), (0, 0), slice(1, 3), None)
    assert torch.equal(batch.targets, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    assert torch.equal(batch.inputs[KEPT], kept.feed.inputs(np.array([3, 2]))[KEPT])
    assert batch.inputs["x"].shape == (2, 3, 32, 32)
    assert batch.inputs["x"].untyped_storage().nbytes() == 4  # an outline, and no pictures


def test_mixed_batches_are_whole_examples(pictures: Callable[..., Kept]) -> None:
    kept = pictures("backbone", mixup=0.4)
    kept.fill(5)
    (batch,) = kept.feed.training_batches(np.arange(4), (0, 0), slice(0, 4), None)
    assert KEPT not in batch.inputs
    assert kept.uses == []
    (expected,) = kept.reader.training_batches(np.arange(4), (0, 0), slice(0, 4), None)
    assert torch.equal(batch.inputs["x"], expected.inputs["x"])
    assert kept.feed.logits(batch.inputs).shape == (4, 2)


def test_many_are_evaluated_together_on_small_features_only(pictures: Callable[..., Kept]) -> None:
    rows = np.arange(2_500)
    head, tail = pictures("backbone"), pictures(-2)
    head.fill(5)
    tail.fill(5)
    assert [len(group) for group in head.feed.evaluation_batches(rows)] == [1_024, 1_024, 452]
    assert max(len(group) for group in tail.feed.evaluation_batches(rows)) == 32
    assert np.array_equal(np.concatenate(head.feed.evaluation_batches(rows)), rows)


def test_what_can_be_kept_no_more_is_run_as_a_whole(pictures: Callable[..., Kept]) -> None:
    kept = pictures("backbone")
    kept.fill(5)
    kept.is_lost = True
    assert KEPT not in kept.feed.inputs(np.array([1]))
    kept.compare(np.array([2, 1]), 0.0)
    # Not so many pictures at once through the whole model.
    assert max(len(group) for group in kept.feed.evaluation_batches(np.arange(100))) == 32
    (batch,) = kept.feed.training_batches(np.arange(4), (0, 0), slice(0, 4), None)
    assert torch.equal(batch.inputs["x"], kept.reader.inputs(np.arange(4))["x"])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6)), min_size=1, max_size=5), st.booleans())
def test_a_text_begins_where_its_mask_does(sizes: list[tuple[int, int]], has_mask: bool) -> None:  # noqa: FBT001
    length = max(before + count for before, count in sizes)
    mask = np.zeros((len(sizes), length), np.int64)
    for row, (before, count) in zip(mask, sizes, strict=True):
        row[before : before + count] = 1
    lengths = np.array([count for _, count in sizes])
    found = starts({"attention_mask": torch.from_numpy(mask)} if has_mask else {}, lengths)
    assert found.tolist() == ([before for before, _ in sizes] if has_mask else [0] * len(sizes))
    assert edge(mask.astype(bool), "last").tolist() == [before + count - 1 for before, count in sizes]
