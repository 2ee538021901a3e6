"""A model as an ordered list of stages from input to head, and what is frozen in it."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from tunebook.errors import RecipeError, did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import nn

    from tunebook.recipe import Freeze


@dataclass(frozen=True)
class Stage:
    """
    One stage of a model.

    Attributes
    ----------
    name
        Name of the module that begins it; ``"head"`` for the last.
    parameters
        Names of its parameters in the model.
    size
        Number of scalars in them.
    """

    name: str
    parameters: tuple[str, ...]
    size: int


class Stages:
    """
    The stages of one model, and the means to freeze them.

    "Frozen" means: no gradient, normalisation in evaluation mode, no dropout or stochastic depth
    inside, so that a frozen trunk is a pure function of its input.

    Parameters
    ----------
    module
        The model.
    groups
        Names of the parameters of each stage, from input to head. Every parameter of the
        model must be in exactly one of them; the last one is the head.
    names
        What to call the stages; by default the module that begins each, and ``"head"``.
    fixed
        Names of parameters that never train, such as those that an adapter stands beside.
    aliases
        Other names by which patterns find a parameter.
    """

    def __init__(
        self,
        module: nn.Module,
        groups: Sequence[Sequence[str]],
        names: Sequence[str] | None = None,
        fixed: Iterable[str] = (),
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self.module = module
        self._fixed = frozenset(fixed)
        self._aliases = dict(aliases or {})
        sizes = {name: parameter.numel() for name, parameter in module.named_parameters()}
        filled = [list(group) for group in groups if group]
        listed = [name for group in filled for name in group]
        if sorted(listed) != sorted(sizes):
            wrong = sorted(set(listed) ^ set(sizes))[:3]
            msg = f"stages must hold each parameter once; look at {wrong}"
            raise ValueError(msg)
        names = _stage_names(filled) if names is None else names
        self.items = tuple(
            Stage(name, tuple(group), sum(sizes[p] for p in group)) for name, group in zip(names, filled, strict=True)
        )
        self._frozen: frozenset[str] = frozenset()
        self._anchors = self._find_anchors()

    def __len__(self) -> int:
        return len(self.items)

    @property
    def names(self) -> list[str]:
        """Names from input to head."""
        return [stage.name for stage in self.items]

    def stage_of(self, module_name: str) -> int:
        """Return the number of a module's stage; a module of several counts to the first, or to the head."""
        parameters = self._anchors[module_name]
        owner = {p: i for i, stage in enumerate(self.items) for p in stage.parameters}
        return max((owner[p] for p in parameters), default=len(self.items) - 1)

    @property
    def frozen(self) -> frozenset[str]:
        """Names of the parameters that are frozen now."""
        return self._frozen

    def frozen_by(self, freeze: Freeze) -> frozenset[str]:
        """
        Return the names of the parameters that a freeze holds still.

        Parameters
        ----------
        freeze
            ``"none"``; ``"backbone"`` (all but the head); ``n`` first stages, negative for all
            but the last ``-n``; or glob patterns over stage, module or parameter names.

        Raises
        ------
        RecipeError
            The number is beyond the stages, a pattern matches nothing, or nothing is left to train.
        """
        frozen = self._frozen_by(freeze) | self._fixed
        if len(frozen) == sum(len(stage.parameters) for stage in self.items):
            msg = f"freeze={freeze!r} freezes everything; leave at least the head to train"
            raise RecipeError(msg)
        return frozen

    def _frozen_by(self, freeze: Freeze) -> frozenset[str]:
        count = len(self.items)
        if freeze == "none":
            return frozenset()
        if freeze == "backbone":
            freeze = -1
        if isinstance(freeze, int):
            if not -count <= freeze < count:
                msg = (
                    f"freeze={freeze}: this model has {count} stages ({', '.join(self.names)}); "
                    f"allowed: {-count} to {count - 1}"
                )
                raise RecipeError(msg)
            stages = self.items[:freeze] if freeze else ()
            return frozenset(p for stage in stages for p in stage.parameters)
        frozen: set[str] = set()
        for pattern in freeze:
            matched = self._match(str(pattern))
            if not matched:
                msg = (
                    f"freeze: pattern {shown(pattern)} matches no stage, module or parameter"
                    f"{did_you_mean(str(pattern), self.names)}; stages: {', '.join(self.names)}"
                )
                raise RecipeError(msg)
            frozen |= matched
        return frozenset(frozen)

    def _match(self, pattern: str) -> set[str]:
        found = set()
        for stage in self.items:
            whole = fnmatch.fnmatchcase(stage.name, pattern)
            for name in stage.parameters:
                parts = self._aliases.get(name, name).split(".")
                above = (".".join(parts[:k]) for k in range(1, len(parts) + 1))
                if whole or any(fnmatch.fnmatchcase(prefix, pattern) for prefix in above):
                    found.add(name)
        return found

    def apply(self, freeze: Freeze) -> None:
        """Freeze as asked and set every module's mode for training; may be called between any two steps."""
        self._frozen = self.frozen_by(freeze)
        for name, parameter in self.module.named_parameters():
            parameter.requires_grad_(name not in self._frozen)
            if name in self._frozen:
                # A stale gradient would let the optimizer move a frozen parameter.
                parameter.grad = None
        self.train()

    def train(self) -> None:
        """Put trainable modules into training mode and frozen ones into evaluation mode."""
        self.module.train()
        for name, part in self.module.named_modules():
            part.training = self.trains(name, self._frozen)

    def trains(self, module_name: str, frozen: frozenset[str]) -> bool:
        """Whether a module is in training mode when parameters of some names are frozen."""
        return any(parameter not in frozen for parameter in self._anchors[module_name])

    def is_frozen(self, index: int) -> bool:
        """Whether all of a stage is frozen."""
        return all(p in self._frozen for p in self.items[index].parameters)

    def frozen_prefix(self) -> int:
        """Return how many stages, counted from the input, are frozen without a gap."""
        for index in range(len(self.items)):
            if not self.is_frozen(index):
                return index
        return len(self.items)

    def trainable(self) -> int:
        """Return the number of scalars that train now."""
        return sum(p.numel() for p in self.module.parameters() if p.requires_grad)

    def describe(self, freeze: Freeze) -> str:
        """Say in words what trains under a freeze."""
        return self.describe_names(self.frozen_by(freeze))

    def describe_names(self, frozen: frozenset[str]) -> str:
        """Say in words what trains when parameters of some names are frozen."""
        training = [s.name for s in self.items if any(p not in frozen for p in s.parameters)]
        if len(training) == sum(any(p not in self._fixed for p in s.parameters) for s in self.items):
            return "all adapters" if self._fixed else "whole model"
        if len(training) <= 2:  # noqa: PLR2004
            return " + ".join(training)
        return f"{training[0]} … {training[-1]} ({len(training)} stages)"

    def table(self, freeze: Freeze, unfreeze: Iterable[tuple[int, Freeze]] = ()) -> pd.DataFrame:
        """
        Return one row a stage: parameters, share of the model, and from which epoch it trains.

        Parameters
        ----------
        freeze, unfreeze
            As in the recipe.
        """
        plan = [(0, freeze), *unfreeze]
        frozen = [(epoch, self.frozen_by(part)) for epoch, part in plan]
        total = sum(stage.size for stage in self.items)
        rows = []
        for stage in self.items:
            starts = [e for e, names in frozen if any(p not in names for p in stage.parameters)]
            word = "frozen" if not starts else "from the start" if starts[0] == 0 else f"from epoch {starts[0] + 1}"
            rows.append((stage.name, stage.size, stage.size / total, word))
        table = pd.DataFrame(rows, columns=["stage", "parameters", "share", "trains"])
        return table.set_index("stage")

    def _find_anchors(self) -> dict[str, tuple[str, ...]]:
        """
        Find for each module the parameters that decide whether it is frozen.

        A module with parameters of one stage is decided by them. One of many stages does nothing of
        its own but what stands at its beginning (an encoder that drops its input) or, if the head is in
        it, at its end. One without parameters (dropout, activation, pooling) follows its parent, or,
        directly below a container with the head, what comes before it; after the last backbone
        parameter that is the head.
        """
        owner = {p: i for i, stage in enumerate(self.items) for p in stage.parameters}
        below: dict[str, tuple[str, ...]] = {}
        for name, _ in self.module.named_modules():
            prefix = f"{name}." if name else ""
            below[name] = tuple(p for p in owner if p.startswith(prefix))
        head = len(self.items) - 1
        names = list(below)
        last_backbone = max(
            (k for k, n in enumerate(names) if any(owner[p] < head for p in below[n]) and _is_leaf(n, below)),
            default=-1,
        )
        anchors: dict[str, tuple[str, ...]] = {}
        with_head: set[str] = set()
        before = 0
        for position, name in enumerate(names):
            stages = {owner[p] for p in below[name]}
            parent = name.rpartition(".")[0]
            if len(stages) > 1:
                if head in stages:
                    with_head.add(name)
                anchors[name] = self.items[head if head in stages else min(stages)].parameters
            elif stages:
                anchors[name] = below[name]
                before = next(iter(stages))
            elif name and parent not in with_head:
                anchors[name] = anchors[parent]
            else:
                stage = head if position > last_backbone else before
                anchors[name] = self.items[stage].parameters
        return anchors


def _is_leaf(name: str, below: dict[str, tuple[str, ...]]) -> bool:
    return not any(other != name and other.startswith(f"{name}." if name else "") for other in below)


def _stage_names(groups: Sequence[Sequence[str]]) -> list[str]:
    """Name each stage by the shortest module path that no other stage shares."""
    names: list[str] = []
    for index, group in enumerate(groups):
        if index == len(groups) - 1:
            names.append("head")
            continue
        others = [p for k, other in enumerate(groups) if k != index for p in other]
        name = ""
        for parameter in group:
            parts = parameter.split(".")
            for k in range(1, len(parts)):
                prefix = ".".join(parts[:k])
                if not any(o.startswith(f"{prefix}.") for o in others):
                    name = prefix
                    break
            if name:
                break
        name = name or group[0]
        names.append(name if name not in names else f"{name}#{index}")
    return names
