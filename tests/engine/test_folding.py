"""A folded trunk computes the same, and only what is frozen and directly follows a convolution is folded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.layers import BatchNormAct2d, StdConv2d
from torch import nn

from tunebook.folding import count_folded, fold_batch_norms

if TYPE_CHECKING:
    from collections.abc import Callable


class Trunk(nn.Module):
    """What is in front of the head, as the engine wraps it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.model.forward_head(self.model.forward_features(x), pre_logits=True),)


class Steps(nn.Module):
    """A convolution, a BatchNorm, and whatever a test does with them."""

    def __init__(self, compute: Callable[[Steps, torch.Tensor], Any], layer: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.compute, self.layer, self.norm = compute, layer, norm

    def forward(self, x: torch.Tensor) -> Any:
        return self.compute(self, x)


def frozen(module: nn.Module) -> nn.Module:
    """Freeze a module and give its BatchNorms statistics and weights that are not those of a new one."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            for tensor, low, high in ((part.running_mean, -0.5, 0.5), (part.running_var, 0.5, 2.0)):
                if tensor is not None:
                    tensor.uniform_(low, high, generator=generator)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5, generator=generator)
                nn.init.uniform_(part.bias, -0.5, 0.5, generator=generator)
    return module.eval().requires_grad_(requires_grad=False)


def difference(one: nn.Module, two: nn.Module, x: torch.Tensor) -> float:
    """Return the largest difference of all outputs, relative to the largest value."""
    with torch.inference_mode():
        first, second = one(x=x), two(x=x)
    pairs = list(zip(first, second, strict=True)) if isinstance(first, tuple) else [(first, second)]
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs)


@pytest.mark.parametrize(
    ("name", "norms", "folded", "side"),
    [
        ("resnet18", 20, 20, 64),
        ("tf_efficientnet_lite0", 49, 49, 64),  # "same" padding
        ("test_efficientnet", 13, 13, 64),
        ("mobilenetv3_small_050", 34, 34, 64),
        ("mobilenetv4_conv_small", 46, 46, 64),
        ("regnety_002", 44, 44, 64),
        ("densenet121", 121, 59, 64),  # most of its BatchNorms come before the convolution
        ("repvgg_a0", 61, 44, 64),  # some follow no convolution
        ("convnext_atto", 0, 0, 64),
        ("test_vit", 0, 0, 160),
    ],
)
def test_a_folded_trunk_gives_the_same_features(name: str, norms: int, folded: int, side: int) -> None:
    torch.manual_seed(0)
    trunk = frozen(Trunk(timm.create_model(name, pretrained=False, num_classes=3)))
    x = torch.randn(3, 3, side, side)
    before = {key: value.clone() for key, value in trunk.state_dict().items()}
    copy = fold_batch_norms(trunk, {"x": x})
    assert sum(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in trunk.modules()) == norms
    assert count_folded(trunk, copy) == folded
    assert difference(trunk, copy, x) < 1e-4
    assert all(torch.equal(value, before[key]) for key, value in trunk.state_dict().items())
    assert not {id(p) for p in trunk.parameters()} & {id(p) for p in copy.parameters()}


@given(
    groups=st.sampled_from([1, 2, 4]),
    bias=st.booleans(),
    affine=st.booleans(),
    eps=st.sampled_from([1e-5, 1e-3, 0.1]),
    act=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_convolution_takes_up_its_batch_norm(
    *, groups: int, bias: bool, affine: bool, eps: float, act: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = nn.Conv2d(4, 8, 3, groups=groups, bias=bias)
    norm = (BatchNormAct2d if act else nn.BatchNorm2d)(8, eps=eps, affine=affine)
    trunk = frozen(Steps(lambda self, x: self.norm(self.layer(x)), layer, norm))
    x = torch.randn(2, 4, 5, 5)
    copy = fold_batch_norms(trunk, {"x": x})
    assert count_folded(trunk, copy) == 1
    assert difference(trunk, copy, x) < 1e-4


def test_what_is_left_of_a_batch_norm_is_its_activation() -> None:
    for norm, kind in ((nn.BatchNorm2d(4), nn.Identity), (BatchNormAct2d(4, act_layer=nn.SiLU), nn.SiLU)):
        trunk = frozen(Steps(lambda self, x: self.norm(self.layer(x)), nn.Conv2d(3, 4, 1), norm))
        assert type(fold_batch_norms(trunk, {"x": torch.randn(1, 3, 2, 2)}).norm) is kind


def test_a_linear_layer_takes_up_its_batch_norm_where_they_have_the_same_axis() -> None:
    trunk = frozen(Steps(lambda self, x: self.norm(self.layer(x)), nn.Linear(3, 4), nn.BatchNorm1d(4)))
    rows = torch.randn(5, 3)
    copy = fold_batch_norms(trunk, {"x": rows})
    assert count_folded(trunk, copy) == 1
    assert difference(trunk, copy, rows) < 1e-4
    # Over (rows, 4 places, 4 features) the BatchNorm's channels are the places.
    assert count_folded(trunk, fold_batch_norms(trunk, {"x": torch.randn(5, 4, 3)})) == 0


LEFT_ALONE: dict[str, Callable[[Steps, torch.Tensor], Any]] = {
    "somebody else adds what the convolution gave": lambda self, x: self.norm(y := self.layer(x)) + y,
    "what the convolution gave is changed first": lambda self, x: self.norm(self.layer(x).relu_()),
    "what the convolution gave is returned": lambda self, x: (self.norm(y := self.layer(x)), y),
    "a view of it is returned": lambda self, x: (self.norm(y := self.layer(x)), y[:1]),
    "the convolution runs twice": lambda self, x: self.norm(self.layer(x)) + self.layer(-x),
    "the batch norm runs twice": lambda self, x: self.norm(self.norm(self.layer(x))),
    "the weight is used elsewhere": lambda self, x: self.norm(self.layer(x)) * self.layer.weight.mean(),
    "the batch norm comes first": lambda self, x: self.layer(self.norm(x)),
}


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_left_alone_where(case: str) -> None:
    trunk = frozen(Steps(LEFT_ALONE[case], nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)))
    x = torch.randn(2, 3, 4, 4)
    copy = fold_batch_norms(trunk, {"x": x})
    assert count_folded(trunk, copy) == 0
    assert difference(trunk, copy, x) == 0


def plain(layer: nn.Module | None = None, norm: nn.Module | None = None) -> nn.Module:
    return frozen(
        Steps(lambda self, x: self.norm(self.layer(x)), layer or nn.Conv2d(3, 4, 1), norm or nn.BatchNorm2d(4))
    )


def trains(trunk: Any) -> None:
    trunk.norm.weight.requires_grad_()


def counts_on(trunk: Any) -> None:
    trunk.norm.train()


def watches(trunk: Any) -> None:
    trunk.norm.register_forward_pre_hook(lambda _part, _given: None)


@pytest.mark.parametrize("change", [trains, counts_on, watches])
def test_left_alone_where_a_batch_norm(change: Callable[[Any], None]) -> None:
    trunk = plain()
    change(trunk)
    assert count_folded(trunk, fold_batch_norms(trunk, {"x": torch.randn(2, 3, 4, 4)})) == 0


def test_left_alone_where_the_convolution_makes_its_weight_anew() -> None:
    trunk = plain(StdConv2d(3, 4, 1))
    assert count_folded(trunk, fold_batch_norms(trunk, {"x": torch.randn(2, 3, 4, 4)})) == 0


def test_left_alone_where_a_batch_norm_has_no_statistics() -> None:
    trunk = plain(norm=nn.BatchNorm2d(4, track_running_stats=False))
    assert count_folded(trunk, fold_batch_norms(trunk, {"x": torch.randn(2, 3, 4, 4)})) == 0


def test_left_alone_where_a_batch_norm_is_of_a_kind_of_its_own() -> None:
    class Doubling(nn.BatchNorm2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x)

    trunk = plain(norm=Doubling(4))
    assert count_folded(trunk, fold_batch_norms(trunk, {"x": torch.randn(2, 3, 4, 4)})) == 0


def test_a_batch_norm_is_replaced_under_all_of_its_names() -> None:
    trunk: Any = plain()
    trunk.again = trunk.norm
    copy = fold_batch_norms(trunk, {"x": torch.randn(2, 3, 4, 4)})
    assert copy.again is copy.norm
    assert count_folded(trunk, copy) == 1
