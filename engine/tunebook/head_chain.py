"""The part behind a frozen trunk as a plain chain of modules on a vector, where it is one."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tunebook.heads import PLAIN, can_train
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
    called: list[tuple[str, nn.Module]] = []

    def note(name: str, part: nn.Module) -> None:
        called.append((name, part))  # and nothing is returned: that would take the place of the output

    handles = [
        part.register_forward_hook(lambda part, _given, _out, name=name: note(name, part))
        for name, part in cut.module.named_modules()
        if isinstance(part, nn.Linear) or not any(True for _ in part.children())
    ]
    with evaluating(cut.module), torch.no_grad(), spread_head(cut.module, frozen):
        try:
            logits = cut.run(vectors, inputs)
        finally:
            for handle in handles:
                handle.remove()
        tail = [(name, part) for name, part in called if name not in cut.replaced and _belongs(part)]
        names = {name for name, _ in tail}
        # A bare number on the model itself drops before the classifier.
        bare = [site for site in dropout.sites if site.module_name == "" and site.module_name not in names]
        kinds = {site.kind for site in dropout.sites if site.module_name in names} | {site.kind for site in bare}
        if not _is_all(cut, [part for _, part in tail], frozen) or len(kinds) > 1:
            return None
        drops = [nn.Dropout(float(getattr(cut.module, site.attribute))) for site in bare]
        parts = [*drops, *(_plain(part) for _, part in tail)]
        flat = vectors.flatten(1) if not cut.is_ragged else vectors[:, 0]
        chains = [nn.Sequential(*several) for several in _with_activations(parts)]
        chain = next((chain for chain in chains if can_train(chain) and _agree(chain, flat, logits)), None)
    if chain is None:
        return None
    # The weights as they are, and not as they were spread for the comparison.
    linear = [part for _, part in tail if isinstance(part, nn.Linear)]
    for part, copied in zip(linear, (part for part in chain if isinstance(part, nn.Linear)), strict=True):
        copied.load_state_dict(_own_state(part))
    return chain, next(iter(kinds), "head")


def _plain(part: nn.Module) -> nn.Module:
    """Return a copy of a module, without the dropout that may hang on a linear one."""
    if not isinstance(part, nn.Linear):
        return copy.deepcopy(part)
    plain = nn.Linear(part.in_features, part.out_features, part.bias is not None, part.weight.device)
    plain.load_state_dict(_own_state(part))
    return plain


def _own_state(part: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in part.state_dict().items() if "." not in name}


def _belongs(part: nn.Module) -> bool:
    # A library's own class of activation is left out: as a function of torch it is found again, or nothing agrees.
    return isinstance(part, (nn.Linear, nn.LayerNorm, nn.Dropout, *PLAIN))


def _with_activations(parts: list[nn.Module]) -> list[list[nn.Module]]:
    """Return the parts as they are, and with each activation that a model may call as a function after the first."""
    first = next((at for at, part in enumerate(parts) if isinstance(part, nn.Linear)), len(parts))
    several = [nn.ReLU(), nn.Tanh(), nn.GELU(), nn.SiLU()]
    return [parts, *([*parts[: first + 1], function, *parts[first + 1 :]] for function in several)]


def _is_all(cut: Cut, parts: list[nn.Module], frozen: frozenset[str]) -> bool:
    """Whether the parts have every parameter that trains, and none that does not."""
    trains = {id(parameter) for name, parameter in cut.module.named_parameters() if name not in frozen}
    return trains == {id(parameter) for part in parts for parameter in part.parameters()}


def _agree(chain: nn.Sequential, vectors: Tensor, logits: Tensor) -> bool:
    try:
        with evaluating(chain):
            found: Any = chain(vectors)
    except (RuntimeError, TypeError, ValueError):
        return False
    if found.shape != logits.shape:
        return False
    return float((found - logits).abs().max()) <= _SAME * max(1.0, float(logits.abs().max()))
