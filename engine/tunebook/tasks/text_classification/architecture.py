"""Where a transformers model begins, repeats itself and ends: found by running it, without a list of architectures."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tunebook.dropout import DropoutSite
from tunebook.predicting import evaluating

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

#: Rates that no library uses, so that a number found in a module tells which field of the configuration it came from.
_MARK, _MARK_STEP = 0.0123456789, 0.000987654321


@dataclass(frozen=True)
class Outline:
    """
    The stages of a model.

    Attributes
    ----------
    names
        ``embeddings``, ``layer.0``, ``layer.1``, ..., ``head``.
    groups
        Names of the parameters of each.
    classifier
        Name of the linear module that gives the logits.
    entrance
        Name of the first module of the head that has parameters.
    """

    names: list[str]
    groups: list[list[str]]
    classifier: str
    entrance: str


def outline(module: nn.Module, example: Mapping[str, Tensor]) -> Outline:
    """
    Find the stages of a sequence classifier.

    The layers are the items of the outermost lists of modules in the base model. What runs before
    them is the embeddings, as is every further table of embeddings, such as relative positions; a
    norm after them belongs to the last layer; all else that comes later, such as a pooler, is the head.
    Layers that share their weights, as ALBERT's do, are one stage.

    Parameters
    ----------
    module
        A ``...ForSequenceClassification`` model of transformers.
    example
        Inputs on which it can be run.
    """
    order = _execution_order(module, example)
    base = _base_prefix(module)
    layers = sorted(_layers(module, base), key=lambda parts: min(_first(name, order) for name in parts))
    start = min((_first(name, order) for parts in layers for name in parts), default=0)
    layer_of = {f"{name}.": number for number, parts in enumerate(layers) for name in parts}
    embeddings: list[str] = []
    groups: list[list[str]] = [[] for _ in layers]
    head: list[str] = []
    for name, parameter in module.named_parameters():
        owner = name.rpartition(".")[0]
        where = order.get(owner, len(order))
        part = module.get_submodule(owner)
        number = next((number for prefix, number in layer_of.items() if name.startswith(prefix)), None)
        if number is not None:
            groups[number].append(name)
        elif not name.startswith(base):
            head.append(name)
        elif isinstance(part, nn.Embedding) or where < start or not layers:
            embeddings.append(name)
        elif parameter.ndim == 1 and "norm" in type(part).__name__.lower():
            groups[-1].append(name)
        else:
            head.append(name)
    ran = [name for name in sorted(order, key=lambda name: order[name]) if any(p.startswith(f"{name}.") for p in head)]
    linear = [name for name in ran if isinstance(module.get_submodule(name), nn.Linear)]
    names = [*(["embeddings"] if embeddings else []), *(f"layer.{k}" for k in range(len(layers))), "head"]
    kept = [group for group in (embeddings, *groups, head) if group]
    return Outline(names, kept, linear[-1] if linear else "", ran[0] if ran else "")


def _base_prefix(module: nn.Module) -> str:
    """Return what the names of the base model's parameters begin with; nothing where the model has no such part."""
    prefix = f"{getattr(module, 'base_model_prefix', '')}."
    return prefix if any(name.startswith(prefix) for name, _ in module.named_parameters()) else ""


def _layers(module: nn.Module, base: str) -> list[list[str]]:
    """
    Return the names of the modules of each layer.

    Layers are the items of the outermost module lists below ``base``; a list in a list is opened. Lists of the same
    length side by side, as XLM has them of attentions, norms and feed-forward parts, hold a part of each layer.
    """
    lists: list[tuple[str, list[str]]] = []

    def open_list(name: str, items: nn.ModuleList) -> None:
        inner = {f"{name}.{key}": item for key, item in items.named_children()}
        if any(isinstance(item, nn.ModuleList) for item in inner.values()):
            for key, item in inner.items():
                if isinstance(item, nn.ModuleList):
                    open_list(key, item)
        else:
            lists.append((name, list(inner)))

    for name, part in module.named_modules():
        is_inside = any(name == outer or name.startswith(f"{outer}.") for outer, _ in lists)
        if isinstance(part, nn.ModuleList) and f"{name}.".startswith(base) and not is_inside:
            children = list(part.children())
            if children and all(any(True for _ in child.parameters()) for child in children):
                open_list(name, part)
    beside: dict[tuple[str, int], list[list[str]]] = {}
    for name, items in lists:
        beside.setdefault((name.rpartition(".")[0], len(items)), []).append(items)
    return [list(parts) for several in beside.values() for parts in zip(*several, strict=True)]


def _first(name: str, order: Mapping[str, int]) -> int:
    return min((place for ran, place in order.items() if ran == name or ran.startswith(f"{name}.")), default=len(order))


def _execution_order(module: nn.Module, example: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the modules that hold parameters themselves, each with its place in the order in which they first run."""
    order: dict[str, int] = {}
    handles = []
    for name, part in module.named_modules():
        if any(True for _ in part.parameters(recurse=False)):
            hook = part.register_forward_pre_hook(lambda _part, _args, name=name: _note(order, name))
            handles.append(hook)
    try:
        with evaluating(module), torch.inference_mode():
            module(**example)
    finally:
        for handle in handles:
            handle.remove()
    return order


def _note(order: dict[str, int], name: str) -> None:
    order.setdefault(name, len(order))


@contextmanager
def marked_rates(config: Any) -> Iterator[dict[float, tuple[str, float]]]:  # noqa: ANN401
    """
    Give each dropout rate of a configuration a value of its own while a model is made from it.

    A model then shows at each place which field its rate comes from, whatever that field is called;
    and places that are left out where a rate is 0 are there.

    Yields
    ------
    dict
        The value in force to the field's name and the rate that it stands for.
    """
    rates = {
        name: float(value)
        for name, value in config.to_dict().items()
        if "drop" in name
        and "layerdrop" not in name
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
    }
    marks = {_MARK + _MARK_STEP * k: (name, rate) for k, (name, rate) in enumerate(rates.items())}
    for mark, (name, _) in marks.items():
        setattr(config, name, mark)
    try:
        yield marks
    finally:
        for name, rate in rates.items():
            setattr(config, name, rate)


def dropout_sites(module: nn.Module, marks: Mapping[float, tuple[str, float]]) -> list[DropoutSite]:
    """
    Find the places that drop, and give each the rate that the configuration has for it.

    Parameters
    ----------
    module
        Made within :func:`marked_rates`.
    marks
        What that gave.

    Returns
    -------
    list of DropoutSite
        Of the kinds ``classifier`` (outside of the base model), ``attention`` (fields with "att" in
        their name) and ``hidden`` (all others).
    """
    base = _base_prefix(module)
    for config in {id(c): c for part in module.modules() if (c := getattr(part, "config", None)) is not None}.values():
        # The model has a copy of the configuration it was made from, and is saved with it.
        for name, value in list(vars(config).items()):
            if isinstance(value, float) and value in marks:
                setattr(config, name, marks[value][1])
    found = []
    for name, part in module.named_modules():
        for attribute, value in vars(part).items():
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                continue
            is_dropout = attribute == "p" and isinstance(part, nn.modules.dropout._DropoutNd)  # noqa: SLF001
            if value not in marks and not is_dropout:
                continue
            source, rate = marks.get(float(value), ("", float(value)))
            setattr(part, attribute, rate)
            kind = "attention" if "att" in source else "hidden"
            kind = kind if name.startswith(base) else "classifier"
            found.append(DropoutSite(name, attribute, kind))
    return found
