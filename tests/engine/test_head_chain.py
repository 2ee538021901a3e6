"""The part behind a frozen trunk as a chain of modules on a vector."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import tunebook
from tunebook.head_chain import head_chain
from tunebook.tasks import get_task
from tunebook.tasks.text_classification.texts import pad_tokens, tokenize
from tunebook.trunk import Trace, find_cut

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny_models

if TYPE_CHECKING:
    from tunebook.trunk import Cut


def _cut(task: str, recipe: Any, freeze: Any) -> tuple[Any, Cut, frozenset[str]]:
    model = get_task(task).load_model(recipe, ["a", "b", "c"])
    if task == "text-classification":
        texts = ["the film is good and not bad", "a plot", "dull actor scene"]
        inputs = pad_tokens(tokenize(model.processor, texts, 24), model)
    else:
        inputs = {"x": torch.randn(2, 3, recipe.image_size, recipe.image_size)}
    frozen = model.stages.frozen_by(freeze)
    trace = Trace(model.module, get_task(task).logits, inputs)
    return model, find_cut(trace, model.stages, model.dropout, frozen), frozen


def _check(model: Any, cut: Cut, frozen: frozenset[str]) -> torch.nn.Sequential:
    found = head_chain(cut, model.dropout, frozen)
    assert found is not None
    chain, kind = found
    assert kind in model.dropout.kinds
    trains = sum(p.numel() for name, p in model.module.named_parameters() if name not in frozen)
    assert sum(p.numel() for p in chain.parameters()) == trains
    with torch.no_grad():
        # Weights of its own: training it leaves the model alone.
        before = {name: value.clone() for name, value in model.module.state_dict().items()}
        for parameter in chain.parameters():
            parameter.add_(1.0)
        assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())
    return chain


@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit", "test_resnet", "test_convnext", "test_mambaout"])
def test_a_head_of_timm_is_a_chain(name: str) -> None:
    recipe = tunebook.ImageClassification(model=name, weights="none", image_size=160 if name == "test_vit" else 32)
    chain = _check(*_cut("image-classification", recipe, "backbone"))
    assert sum(isinstance(part, torch.nn.Dropout) for part in chain) >= 1


@pytest.mark.parametrize("kind", ["bert", "distilbert", "deberta-v2", "electra", "gpt2", "llama"])
def test_a_head_of_transformers_is_a_chain(kind: str, tmp_path: Path) -> None:
    folder = tiny_models.make_tiny(tmp_path / "m", kind)
    recipe = tunebook.TextClassification(model=str(folder), max_length=24)
    _check(*_cut("text-classification", recipe, "backbone"))


def test_more_than_a_head_is_no_chain(tmp_path: Path) -> None:
    recipe = tunebook.ImageClassification(model="test_efficientnet", weights="none", image_size=32)
    model, cut, frozen = _cut("image-classification", recipe, -2)
    assert head_chain(cut, model.dropout, frozen) is None
    text = tunebook.TextClassification(model=str(tiny_models.make_tiny(tmp_path / "m")), max_length=24)
    model, cut, frozen = _cut("text-classification", text, -2)
    assert head_chain(cut, model.dropout, frozen) is None
