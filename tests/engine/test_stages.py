"""Stages cover a model from input to head, and what is frozen stays as it is."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tunebook.errors import RecipeError
from tunebook.stages import Stages

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import timm

    from tunebook.tasks.image_classification.models import stage_groups

if TYPE_CHECKING:
    from tunebook.recipe import Freeze

SIZES = {"test_efficientnet": 64, "test_vit": 160, "test_resnet": 64}


def build(name: str) -> Stages:
    torch.manual_seed(0)
    module = timm.create_model(name, num_classes=3)
    return Stages(module, stage_groups(module))


def plain() -> Stages:
    module = nn.Sequential(
        nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5)),
        nn.Sequential(nn.Linear(2, 2), nn.ReLU()),
        nn.Dropout(0.5),
        nn.Linear(2, 2),
    )
    names = [name for name, _ in module.named_parameters()]
    return Stages(module, [[n for n in names if n.startswith(f"{k}.")] for k in "013"])


def step(stages: Stages, name: str) -> None:
    side = SIZES[name]
    pixels = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(1))
    stages.module(pixels).square().mean().backward()


@pytest.mark.parametrize("name", SIZES)
def test_every_parameter_is_in_one_stage_and_the_head_is_last(name: str) -> None:
    stages = build(name)
    listed = [p for stage in stages.items for p in stage.parameters]
    assert sorted(listed) == sorted(n for n, _ in stages.module.named_parameters())
    assert stages.names[-1] == "head"
    assert len(set(stages.names)) == len(stages) > 2
    classifier = stages.module.pretrained_cfg["classifier"]
    assert set(stages.items[-1].parameters) == {f"{classifier}.weight", f"{classifier}.bias"}
    assert sum(stage.size for stage in stages.items) == sum(p.numel() for p in stages.module.parameters())


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("freeze", ["backbone", "none", 2, -2])
def test_frozen_parts_get_no_gradient_and_their_statistics_stay(name: str, freeze: Freeze) -> None:
    stages = build(name)
    stages.apply(freeze)
    frozen = stages.frozen_by(freeze)
    before = {k: v.clone() for k, v in stages.module.state_dict().items()}
    step(stages, name)
    for key, parameter in stages.module.named_parameters():
        assert (parameter.grad is None) == (key in frozen), key
    for key, part in stages.module.named_modules():
        if isinstance(part, nn.BatchNorm2d):
            is_still = f"{key}.weight" in frozen
            assert part.training != is_still
            assert torch.equal(before[f"{key}.running_mean"], part.running_mean) == is_still
    assert stages.trainable() == sum(p.numel() for k, p in stages.module.named_parameters() if k not in frozen)


@pytest.mark.parametrize("name", SIZES)
def test_a_frozen_trunk_is_a_pure_function(name: str) -> None:
    stages = build(name)
    stages.apply("backbone")
    pixels = torch.randn(2, 3, SIZES[name], SIZES[name])
    with torch.no_grad():
        assert torch.equal(stages.module.forward_features(pixels), stages.module.forward_features(pixels))


def test_freezing_later_takes_stale_gradients_away() -> None:
    stages = build("test_resnet")
    stages.apply("none")
    step(stages, "test_resnet")
    stages.apply("backbone")
    frozen = stages.frozen_by("backbone")
    assert all(p.grad is None for k, p in stages.module.named_parameters() if k in frozen)


def test_modules_without_parameters_follow_their_stage() -> None:
    stages = plain()
    stages.apply(1)
    parts = dict(stages.module.named_modules())
    assert [parts[k].training for k in ("0.1", "0.2", "1.1", "2")] == [False, False, True, True]
    stages.apply("backbone")
    assert [parts[k].training for k in ("0.2", "1.1", "2", "3")] == [False, False, True, True]


@given(st.integers(-3, 2))
def test_a_number_freezes_that_many_stages(number: int) -> None:
    stages = plain()
    frozen = stages.frozen_by(number)
    # Counted as Python counts: -2 leaves the last two.
    still = [k for k in range(3) if set(stages.items[k].parameters) <= frozen]
    assert still == list(range(number if number >= 0 else 3 + number))
    stages.apply(number)
    assert stages.frozen_prefix() == len(still)


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        (["0"], {"0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias"}),
        (["0.1"], {"0.1.weight", "0.1.bias"}),
        (["*.bias"], {"0.0.bias", "0.1.bias", "1.0.bias", "3.bias"}),
        (["head", "1"], {"3.weight", "3.bias", "1.0.weight", "1.0.bias"}),
        (["0.?.weight"], {"0.0.weight", "0.1.weight"}),
    ],
)
def test_patterns_match_stages_modules_and_parameters(patterns: list[str], frozen: set[str]) -> None:
    assert plain().frozen_by(patterns) == frozen


@pytest.mark.parametrize(
    ("freeze", "words"),
    [
        (3, "this model has 3 stages .*; allowed: -3 to 2"),
        (-4, "allowed: -3 to 2"),
        (["heed"], "pattern 'heed' matches no stage, module or parameter; did you mean 'head'"),
        (["*"], "freezes everything; leave at least the head"),
        ([], None),
    ],
)
def test_a_freeze_that_cannot_be_is_refused(freeze: Freeze, words: str | None) -> None:
    if words is None:
        assert plain().frozen_by(freeze) == frozenset()
        return
    with pytest.raises(RecipeError, match=words):
        plain().frozen_by(freeze)


def test_the_table_says_from_when_a_stage_trains() -> None:
    table = plain().table("backbone", [(2, -2), (4, "none")])
    assert table["trains"].tolist() == ["from epoch 5", "from epoch 3", "from the start"]
    assert table["share"].sum() == pytest.approx(1.0)
    assert plain().table(1)["trains"].tolist() == ["frozen", "from the start", "from the start"]


def test_a_freeze_is_described_in_words() -> None:
    assert plain().describe("none") == "whole model"
    assert plain().describe("backbone") == "head"
    assert plain().describe(-2) == "1 + head"


def test_groups_that_miss_or_repeat_a_parameter_are_refused() -> None:
    module = nn.Linear(2, 2)
    for groups in ([["weight"]], [["weight"], ["weight", "bias"]], [["weight", "bias", "other"]]):
        with pytest.raises(ValueError, match="each parameter once"):
            Stages(module, groups)
