"""Batches of texts: every row once, of about one length, the same after a resumption, and nothing lost by padding."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunebook.cells import text_of
from tunebook.predicting import evaluating
from tunebook.tasks.text_classification.models import load_model
from tunebook.tasks.text_classification.task import TASK
from tunebook.tasks.text_classification.texts import TextReader, tokenize

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tunebook.examples import Examples


def _reader(lengths: list[int], size: int, seed: int = 0, *, pads: bool = True) -> TextReader:
    reader = TextReader.__new__(TextReader)
    reader._recipe = SimpleNamespace(seed=seed, batch_size=size)  # type: ignore[assignment]
    reader._lengths = np.array(lengths)
    reader._pads = pads
    return reader


@given(st.lists(st.integers(1, 128), min_size=1, max_size=300), st.integers(1, 32), st.integers(0, 5))
def test_an_epoch_has_every_row_once(lengths: list[int], size: int, epoch: int) -> None:
    reader = _reader(lengths, size)
    rows = np.arange(len(lengths))[::2]
    batches = reader.epoch_batches(rows, None, epoch)
    assert sorted(np.concatenate(batches).tolist()) == rows.tolist()
    assert all(len(batch) == size for batch in batches[:-1])
    again = reader.epoch_batches(rows, None, epoch)
    assert all((a == b).all() for a, b in zip(batches, again, strict=True))
    groups = reader.evaluation_batches(rows)
    assert sorted(np.concatenate(groups).tolist()) == rows.tolist()


def test_batches_are_of_one_length_and_in_another_order_each_epoch() -> None:
    lengths = np.random.default_rng(0).integers(1, 128, 3200)
    reader = _reader(lengths.tolist(), 32)
    batches = reader.epoch_batches(np.arange(3200), None, 0)
    padded = sum(len(b) * lengths[b].max() for b in batches)
    assert padded < 1.05 * lengths.sum()
    firsts = [int(reader.epoch_batches(np.arange(3200), None, epoch)[0][0]) for epoch in range(4)]
    assert len(set(firsts)) > 1
    # Short and long batches follow each other at random: the mean length of neighbours is not sorted.
    means = [float(lengths[b].mean()) for b in batches]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.4


def test_what_is_padded_changes_nothing(tiny: Callable[..., Any], sentences: Callable[..., Examples]) -> None:
    recipe, examples = tiny("roberta"), sentences()
    model = load_model(recipe, examples.classes)
    for parameter in model.module.classifier.parameters():
        torch.nn.init.normal_(parameter)
    reader = TextReader(examples, recipe, model)
    rows = np.arange(8)
    with evaluating(model.module), torch.no_grad():
        together = TASK.logits(model.module, reader.inputs(rows))
        alone = torch.cat([TASK.logits(model.module, reader.inputs(rows[k : k + 1])) for k in rows])
        features = TASK.features(model.module, reader.inputs(rows))
        own = torch.cat([TASK.features(model.module, reader.inputs(rows[k : k + 1])) for k in rows])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features, own, rtol=1e-4, atol=1e-5)
    (batch,) = reader.training_batches(rows[np.argsort(reader._lengths[rows])], (0, 0), slice(2, 5), None)
    rows = rows[np.argsort(reader._lengths[rows])]
    assert batch.targets.tolist() == examples.target_shares()[rows[2:5]].tolist()


def test_a_step_in_parts_has_the_gradient_of_the_whole(
    tiny: Callable[..., Any], sentences: Callable[..., Examples], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunebook.devices import Devices
    from tunebook.tasks.text_classification import texts
    from tunebook.training import Trainer

    recipe, examples = (
        tiny(dropout=0.0, hidden_dropout=0.0, attention_dropout=0.0, freeze="none", clip_norm=0.0, precision="fp32"),
        sentences(),
    )
    weights = {}
    for most in (10_000, 40):
        monkeypatch.setattr(texts, "_TRAINED_TOKENS", most)
        model = load_model(recipe, examples.classes)
        trainer = Trainer(
            TASK, recipe, examples, model, TextReader(examples, recipe, model), Devices(recipe, model.module)
        )
        rows = examples.rows("train")[:16]
        batches = trainer.reader.training_batches(rows, (0, 0), slice(0, 16), None)
        assert len(batches) == (1 if most > 1000 else 8) or most == 40
        for parameter in model.module.classifier.parameters():
            torch.nn.init.constant_(parameter, 0.1)
        seen = {}
        monkeypatch.setattr(
            trainer.optimizer,
            "step",
            lambda model=model, seen=seen: seen.update(
                {n: p.grad.clone() for n, p in model.module.named_parameters() if p.grad is not None}
            ),
        )
        trainer._step(rows, 0, 0)
        weights[most] = seen
    assert weights[40].keys() == weights[10_000].keys()
    for name, gradient in weights[40].items():
        torch.testing.assert_close(gradient, weights[10_000][name], rtol=1e-4, atol=1e-7)


def test_texts_of_any_kind_become_tokens(tiny: Callable[..., Any]) -> None:
    tokenizer = load_model(tiny(), ("a", "b")).processor
    odd = ["", "a" * 1_000_000, "film " * 300_000, "\u202e\u200b", "\ud800 film", "\0", "\U0001f600"]
    rows = tokenize(tokenizer, [text_of(text) or "" for text in odd], 16)
    assert all(1 <= row.shape[1] <= 16 for row in rows)
    assert rows[2].shape == (2, 16)
    # Where a model counts the ends of a text, what it says is not what ends it.
    tokenizer = load_model(tiny("bart"), ("a", "b")).processor
    assert (tokenize(tokenizer, ["film [SEP] film"], 16)[0][0] == 3).sum() == 1


@given(st.lists(st.integers(1, 12), min_size=1, max_size=100))
def test_a_model_that_mixes_padding_in_is_given_texts_of_one_length(lengths: list[int]) -> None:
    reader = _reader(lengths, 8, pads=False)
    groups = reader.evaluation_batches(np.arange(len(lengths)))
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    assert all(len(set(reader._lengths[group])) == 1 for group in groups)
