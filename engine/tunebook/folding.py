"""Frozen BatchNorms folded into the convolution before them, which saves a pass over every activation."""

from __future__ import annotations

import copy
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as trees

from tunebook.predicting import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Only these kinds do nothing but normalise; a subclass may do anything.
_PLAIN_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)
#: Rows with which the trunk is run to find what follows what.
_TRIED_ROWS = 2
#: What only asks a tensor for its shape is no use of its values.
_ASKING = frozenset({"__get__", "size", "dim", "stride", "numel", "is_contiguous", "is_floating_point", "__len__"})


def fold_batch_norms(trunk: nn.Module, example: Mapping[str, Tensor]) -> nn.Module:
    """
    Return a copy of a frozen trunk with its BatchNorms folded into the convolutions before them.

    A BatchNorm is folded if it is frozen (evaluation mode, running statistics, nothing that asks for a gradient), and
    if its input is the very tensor that a convolution or a linear layer returned, which nobody else gets. Running the
    copy once shows that, so neither names nor the order of modules matter, and padding done by hand as timm's "same"
    does not hide a pair. Modules that run more than once, or whose weights are used elsewhere, stay as they are.

    The scale of the BatchNorm goes into the weight and its shift into the bias, computed in float64 (Jacob et al. 2018,
    "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", section 3.2).

    Parameters
    ----------
    trunk
        A frozen module in evaluation mode, called as ``trunk(**inputs)``; it stays as it is. It must survive
        ``copy.deepcopy``: it may find its modules by name, and hooks are registered while it runs or are methods of the
        trunk or its parts.
    example
        Inputs by name, at least one row each, on the trunk's device; only the first two rows are run.

    Returns
    -------
    nn.Module
        The copy, in evaluation mode. A plain BatchNorm is an ``nn.Identity`` in it, timm's BatchNorm with an activation
        leaves its dropout and activation. :func:`count_folded` says how many there are.
    """
    folded = copy.deepcopy(trunk)
    pairs = _pairs(folded, example)
    for pair in pairs:
        _fold(pair)
        _put_in_place(folded, pair.norm, _remains(pair.norm))
    return folded


def count_folded(trunk: nn.Module, folded: nn.Module) -> int:
    """Return how many BatchNorms of a trunk its folded copy no longer has."""
    return _count_norms(trunk) - _count_norms(folded)


def first_rows(example: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Return the first rows of every input."""
    return {name: tensor[:count] for name, tensor in example.items()}


@dataclass(frozen=True)
class _Pair:
    layer: nn.Conv2d | nn.Linear
    norm: nn.modules.batchnorm._BatchNorm


class _Watch(TorchFunctionMode):
    """
    Notes who computes and who takes each tensor while a model runs.

    Attributes
    ----------
    made
        By the id of a tensor: the weight with which a convolution or a linear layer made it.
    normalised
        The input and the running mean of every BatchNorm, in the order in which they ran.
    taken
        How often each tensor was given to a function, by id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, Tensor] = {}
        self.normalised: list[tuple[Tensor, Tensor]] = []
        self.taken: Counter[int] = Counter()
        # An id is unique only among the living.
        self._alive: list[Any] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        named = dict(kwargs or {})
        found = func(*args, **named)
        given = [leaf for leaf in trees.tree_leaves((args, named)) if isinstance(leaf, Tensor)]
        self._alive += [*given, found]
        if getattr(func, "__name__", "") in _ASKING and not isinstance(found, Tensor):
            return found
        self.taken.update({id(tensor) for tensor in given})
        if func in (functional.conv2d, functional.linear) and isinstance(found, Tensor):
            weight = args[1] if len(args) > 1 else named.get("weight")
            if isinstance(weight, Tensor):
                self.made[id(found)] = weight
        elif func is functional.batch_norm:
            start = args[0] if args else named.get("input")
            mean = args[1] if len(args) > 1 else named.get("running_mean")
            if isinstance(start, Tensor) and isinstance(mean, Tensor):
                self.normalised.append((start, mean))
        return found


def _pairs(trunk: nn.Module, example: Mapping[str, Tensor]) -> list[_Pair]:
    """Run a trunk once; return the layers and BatchNorms of which nobody sees what lies between."""
    layers = {id(part.weight): part for part in trunk.modules() if isinstance(part, nn.Conv2d | nn.Linear)}
    norms = {
        id(part.running_mean): part
        for part in trunk.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is not None  # noqa: SLF001
    }
    with evaluating(trunk), torch.no_grad(), _Watch() as watch:
        outputs = trunk(**first_rows(example, _TRIED_ROWS))
    returned = {id(leaf) for leaf in trees.tree_leaves(outputs)}
    pairs = []
    for between, mean in watch.normalised:
        weight, norm = watch.made.get(id(between)), norms.get(id(mean))
        layer = None if weight is None else layers.get(id(weight))
        if layer is None or norm is None or id(between) in returned:
            continue
        # The weight is taken by its own layer alone, what the layer made by the BatchNorm alone.
        counts = [watch.taken[id(tensor)] for tensor in (layer.weight, between, mean)]
        if counts == [1, 1, 1] and _can_fold(layer, norm, between):
            pairs.append(_Pair(layer, norm))
    return pairs


def _can_fold(layer: nn.Module, norm: nn.Module, between: Tensor) -> bool:
    parts = (layer, norm)
    hooks = (part._forward_hooks or part._forward_pre_hooks for part in parts)  # noqa: SLF001
    return (
        not norm.training
        and (type(norm) in _PLAIN_NORMS or _has_activation(norm))
        and not any(parameter.requires_grad for part in parts for parameter in part.parameters())
        # A hook on either wants to see what lies between, or changes it.
        and not any(hooks)
        # BatchNorm's channels are on axis 1, those of a linear layer on the last.
        and (isinstance(layer, nn.Conv2d) or between.ndim == 2)  # noqa: PLR2004
        and layer.weight.dtype == torch.float32
    )


def _has_activation(norm: nn.Module) -> bool:
    """Whether a BatchNorm is timm's that drops and activates after it; it can be only if timm is imported."""
    layers = sys.modules.get("timm.layers")
    return layers is not None and type(norm) is layers.BatchNormAct2d


def _fold(pair: _Pair) -> None:
    layer, norm = pair.layer, pair.norm
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:  # a BatchNorm without statistics is no pair
        return
    weight = layer.weight.detach()
    scale = (variance.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    start = layer.bias.detach().double() if layer.bias is not None else torch.zeros_like(scale)
    shift = (start - mean.double()) * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    scaled = weight.double() * scale.reshape(-1, *[1] * (weight.ndim - 1))
    layer.weight = nn.Parameter(scaled.to(weight.dtype), requires_grad=False)
    layer.bias = nn.Parameter(shift.to(weight.dtype), requires_grad=False)


def _remains(norm: nn.Module) -> nn.Module:
    """Return what is left to do of a BatchNorm that was folded."""
    if type(norm) in _PLAIN_NORMS:
        return nn.Identity()
    kept = [part for part in norm.children() if not isinstance(part, nn.Identity)]
    return (kept[0] if len(kept) == 1 else nn.Sequential(*kept)).eval()


def _put_in_place(trunk: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module wherever another one is."""
    for parent in list(trunk.modules()):
        # named_children() leaves out the second name of a module.
        for name, child in list(parent._modules.items()):  # noqa: SLF001
            if child is old:
                setattr(parent, name, new)


def _count_norms(trunk: nn.Module) -> int:
    return sum(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in trunk.modules())  # noqa: SLF001
