"""The loss is torch's own, for every kind of target."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, one_hot

from tunebook.losses import AnyOfMany, Objective, OneOfMany, divisor, weighted_cross_entropy


def some(soft: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:  # noqa: FBT001
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(17, 5, generator=generator, requires_grad=True)
    labels = torch.randint(0, 5, (17,), generator=generator)
    targets = torch.rand(17, 5, generator=generator).softmax(1) if soft else one_hot(labels, 5).float()
    return logits, labels, targets, torch.rand(5, generator=generator) + 0.1


def mean_of(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor,
    smoothing: float,
    objective: Objective | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    found = objective or OneOfMany()
    return found.loss(logits, targets, weights, smoothing), found.normaliser(targets, weights, smoothing)


@pytest.mark.parametrize("weighted", [False, True])
def test_hard_targets_give_torch_s_weighted_mean(weighted: bool) -> None:  # noqa: FBT001
    logits, labels, targets, weights = some(soft=False)
    weights = weights if weighted else torch.ones(5)
    total, norm = mean_of(logits, targets, weights, 0.0)
    torch.testing.assert_close(total / norm, cross_entropy(logits, labels, weight=weights))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_the_sum_is_torch_s_for_soft_and_smoothed_targets(soft: bool, smoothing: float) -> None:  # noqa: FBT001
    logits, _, targets, weights = some(soft)
    total = weighted_cross_entropy(logits, targets, weights, smoothing)
    wanted = cross_entropy(logits, targets, weight=weights, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(total, wanted)


def test_smoothing_without_weights_is_torch_s_mean() -> None:
    logits, labels, targets, _ = some(soft=False)
    total, norm = mean_of(logits, targets, torch.ones(5), 0.3)
    torch.testing.assert_close(total / norm, cross_entropy(logits, labels, label_smoothing=0.3))


@given(
    st.integers(1, 8),
    st.integers(2, 5),
    st.integers(0, 1000),
    st.floats(0.0, 0.99),
    st.lists(st.sampled_from([0.0, 1e-3, 0.5, 1.0, 7.0]), min_size=5, max_size=5),
)
def test_weights_and_smoothing_together_are_torch_s_loss_and_gradient(
    n: int, classes: int, seed: int, smoothing: float, several: list[float]
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, classes, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, classes, (n,), generator=generator)
    weights = torch.tensor(several[:classes], dtype=torch.float64)
    total, norm = mean_of(logits, one_hot(labels, classes).double(), weights, smoothing)
    ours = total / divisor(norm)
    theirs = cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)
    if not weights[labels].any():
        # torch divides by 0 here.
        assert not torch.isfinite(theirs)
        theirs = (logits * 0.0).sum()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_equal_weights_change_no_bit_of_the_normaliser(soft: bool, smoothing: float) -> None:  # noqa: FBT001
    _, _, targets, _ = some(soft)
    plain = (targets * (1.0 - smoothing) + smoothing / 5 if smoothing else targets).sum()
    assert torch.equal(OneOfMany().normaliser(targets, torch.ones(5), smoothing), plain)
    by_example = torch.full((17, 1), 2.0)
    assert torch.equal(OneOfMany().normaliser(targets, torch.ones(5) * by_example, smoothing), 2.0 * plain)


def test_blended_classes_give_the_blend_of_their_losses() -> None:
    logits, labels, targets, weights = some(soft=False)
    other = labels.roll(1)
    blended = 0.25 * targets + 0.75 * one_hot(other, 5).float()
    total, norm = mean_of(logits, blended, weights, 0.2)
    parts = [
        cross_entropy(logits, which, weight=weights, label_smoothing=0.2, reduction="sum") for which in (labels, other)
    ]
    wanted = (0.25 * parts[0] + 0.75 * parts[1]) / (0.25 * weights[labels] + 0.75 * weights[other]).sum()
    torch.testing.assert_close(total / norm, wanted)


def test_gradients_are_torch_s() -> None:
    logits, labels, targets, weights = some(soft=False)
    total, norm = mean_of(logits, targets, weights, 0.0)
    (ours,) = torch.autograd.grad(total / norm, logits)
    (theirs,) = torch.autograd.grad(cross_entropy(logits, labels, weight=weights), logits)
    torch.testing.assert_close(ours, theirs)


def test_parts_add_up_to_the_whole() -> None:
    logits, _, targets, weights = some(soft=True)
    whole = mean_of(logits, targets, weights, 0.1)
    parts = [mean_of(logits[s], targets[s], weights, 0.1) for s in (slice(6), slice(6, None))]
    torch.testing.assert_close(parts[0][0] + parts[1][0], whole[0])
    torch.testing.assert_close(parts[0][1] + parts[1][1], whole[1])


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[1e4, -1e4]])
    assert torch.isfinite(weighted_cross_entropy(logits, torch.tensor([[0.0, 1.0]]), torch.ones(2), 0.1))


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 1000), st.sampled_from([0.0, 0.2]))
def test_the_binary_loss_is_torch_s(n: int, classes: int, seed: int, smoothing: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, classes, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 2, (n, classes), generator=generator).double()
    weights = torch.rand(classes, generator=generator, dtype=torch.float64) * 3
    total, count = mean_of(logits, targets, weights, smoothing, AnyOfMany())
    smooth = targets * (1 - smoothing) + smoothing / 2
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, smooth, pos_weight=weights)
    torch.testing.assert_close(total / count, expected)


def test_an_objective_s_scores_fit_its_loss() -> None:
    logits = torch.tensor([[2.0, 0.0]])
    torch.testing.assert_close(OneOfMany().scores(logits).sum(), torch.tensor(1.0))
    torch.testing.assert_close(AnyOfMany().scores(logits)[0, 1], torch.tensor(0.5))
