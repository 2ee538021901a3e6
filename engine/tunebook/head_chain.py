"""The part behind a frozen trunk as a plain chain of modules on a vector, where it is one."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tunebook.heads import can_train
from tunebook.predicting import evaluating
from tunebook.trunk import spread_head

if TYPE_CHECKING:
    from torch import Tensor

    from tunebook.dropout import DropoutSites
    from tunebook.trunk import Cut

#: What a chain's logits may differ by from the model's, relative to the largest.
_SAME = 1e-4


def head_chain(cut: Cut, dropout: DropoutSites, frozen: frozenset[str]) -> tuple[nn.Sequential, str] | None:
    """
    Return what follows a trunk as modules that are run one after the other.

    The modules without children that run behind the boundary are taken in their order. Whether they
    are all that happens there is found by comparing them with the model, not by reading its code.

    Parameters
    ----------
    cut
        Whose activation is a vector an example, or whose rest reads one position alone.
    dropout
        The model's dropout sites.
    frozen
        Names of the parameters that are frozen.

    Returns
    -------
    tuple of torch.nn.Sequential and str, or None
        A copy of the modules, and the kind of their dropout; ``None`` where the rest is more than a chain.
    """
    is_vector = len(cut.shape()) == 1 or cut.position != "all"
    if not is_vector:
        return None
    inputs, vectors = cut.example()
    names: dict[str, nn.Module] = {}

    def note(name: str, part: nn.Module) -> None:
        names.setdefault(name, part)  # and nothing is returned: that would take the place of the output

    handles = [
        part.register_forward_hook(lambda part, _given, _out, name=name: note(name, part))
        for name, part in cut.module.named_modules()
        if not any(True for _ in part.children())
    ]
    with evaluating(cut.module), torch.no_grad(), spread_head(cut.module, frozen):
        try:
            logits = cut.run(vectors, inputs)
        finally:
            for handle in handles:
                handle.remove()
        tail = {name: part for name, part in names.items() if name not in cut.replaced and _belongs(part)}
        sites = {site.module_name: site for site in dropout.sites}
        # A bare number on the model itself drops before the classifier.
        bare = [site for name, site in sites.items() if name not in tail and name == ""]
        drops: list[nn.Module] = [nn.Dropout(float(getattr(cut.module, site.attribute))) for site in bare]
        chain = nn.Sequential(*drops, *tail.values())
        kinds = {sites[name].kind for name in tail if name in sites} | {site.kind for site in bare}
        if not _is_all(cut, chain, frozen) or len(kinds) > 1 or not can_train(chain):
            return None
        flat = vectors.flatten(1) if not cut.is_ragged else vectors[:, 0]
        if not _agree(chain, flat, logits):
            return None
    return copy.deepcopy(chain), next(iter(kinds), "head")


def _belongs(part: nn.Module) -> bool:
    return isinstance(part, nn.Linear | nn.LayerNorm) or not any(True for _ in part.parameters())


def _is_all(cut: Cut, chain: nn.Sequential, frozen: frozenset[str]) -> bool:
    """Whether the chain has every parameter that trains, and none that does not."""
    trains = {id(parameter) for name, parameter in cut.module.named_parameters() if name not in frozen}
    return trains == {id(parameter) for parameter in chain.parameters()}


def _agree(chain: nn.Sequential, vectors: Tensor, logits: Tensor) -> bool:
    try:
        with evaluating(chain):
            found: Any = chain(vectors)
    except (RuntimeError, TypeError, ValueError):
        return False
    if found.shape != logits.shape:
        return False
    return float((found - logits).abs().max()) <= _SAME * max(1.0, float(logits.abs().max()))
