"""Plans of freezing: what stays still from which epoch, changed by hand and written as a recipe takes it."""

from __future__ import annotations

import glob
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tunebook.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tunebook.recipe import Freeze, Recipe
    from tunebook.stages import Stages


@dataclass(frozen=True)
class Phase:
    """
    One part of a plan.

    Attributes
    ----------
    epoch
        The first epoch in which it holds, from 0.
    freeze
        As the recipe writes it.
    frozen
        Names of the parameters that it holds still.
    """

    epoch: int
    freeze: Freeze
    frozen: frozenset[str]


class Plan:
    """
    What trains from which epoch on.

    A plan is not changed; every method gives a new one. What a hand makes train in a phase trains in all
    later ones too, and what it freezes there is frozen in all earlier ones: so a stage begins once and goes on.

    Parameters
    ----------
    stages
        The model's stages.
    phases
        In order, the first one from epoch 0.
    """

    def __init__(self, stages: Stages, phases: Sequence[Phase]) -> None:
        self.stages = stages
        self.phases = tuple(phases)

    @classmethod
    def of(cls, stages: Stages, recipe: Recipe) -> Plan:
        """
        Read a recipe's plan.

        Raises
        ------
        RecipeError
            A freeze does not fit the model.
        """
        pairs = [(0, recipe.freeze), *recipe.unfreeze]
        return cls(stages, [Phase(epoch, freeze, stages.frozen_by(freeze)) for epoch, freeze in pairs])

    def values(self) -> dict[str, Any]:
        """Return the recipe's ``freeze`` and ``unfreeze``."""
        return {
            "freeze": self.phases[0].freeze,
            "unfreeze": [(phase.epoch, phase.freeze) for phase in self.phases[1:]],
        }

    def preset(self, epochs: int) -> str:
        """
        Return the name of the plan that this is, if it has one.

        Parameters
        ----------
        epochs
            Epochs of the run.

        Returns
        -------
        str
            ``"gradual"``, ``"backbone"``, ``"none"`` or nothing.
        """
        if len(self.phases) == 1:
            names: tuple[Literal["none", "backbone"], ...] = ("none", "backbone")
            return next((name for name in names if self.phases[0].frozen == self.stages.frozen_by(name)), "")
        steps = min(epochs, len(self.stages)) - 1
        if len(self.phases) != steps + 1:
            return ""
        wanted = gradual(self.stages, epochs)
        pairs = [(0, wanted["freeze"]), *wanted["unfreeze"]]
        is_gradual = all(
            phase.epoch == epoch and phase.frozen == self.stages.frozen_by(freeze)
            for phase, (epoch, freeze) in zip(self.phases, pairs, strict=True)
        )
        return "gradual" if is_gradual else ""

    def trained(self, parameters: Iterable[str], phase: int, *, trains: bool) -> Plan:
        """
        Return a plan in which some parameters train from a phase on, or are frozen up to and with it.

        Parameters
        ----------
        parameters
            Their names.
        phase
            Number of the phase, from 0.
        trains
            Whether they train in it.

        Raises
        ------
        RecipeError
            Nothing would be left to train, or the choice cannot be written down.
        """
        chosen = frozenset(parameters)

        def change(number: int, frozen: frozenset[str]) -> frozenset[str]:
            if trains:
                return frozen - chosen if number >= phase else frozen
            return frozen | chosen if number <= phase else frozen

        return self._mapped(change)

    def started(self, parameters: Iterable[str], epoch: int | None) -> Plan:
        """
        Return a plan in which some parameters train from an epoch on.

        Parameters
        ----------
        parameters
            Their names.
        epoch
            From 0; ``None`` for never.

        Raises
        ------
        RecipeError
            Nothing would be left to train in some epoch, or the choice cannot be written down.
        """
        chosen = frozenset(parameters)
        split = self if epoch is None or epoch == 0 else self._split(epoch)
        epochs = [phase.epoch for phase in split.phases]

        def change(number: int, frozen: frozenset[str]) -> frozenset[str]:
            return frozen - chosen if epoch is not None and epochs[number] >= epoch else frozen | chosen

        return split._mapped(change)  # noqa: SLF001 - a plan of its own kind

    def frozen_to(self, phase: int, freeze: Freeze) -> Plan:
        """
        Return a plan in which a phase has another freeze, and the others what they had.

        Raises
        ------
        RecipeError
            The freeze does not fit the model.
        """
        changed = replace(self.phases[phase], freeze=freeze, frozen=self.stages.frozen_by(freeze))
        return Plan(self.stages, _merged([*self.phases[:phase], changed, *self.phases[phase + 1 :]]))

    def extended(self, epoch: int) -> Plan:
        """
        Return a plan with one more phase, in which one more stage trains than before it.

        Raises
        ------
        RecipeError
            A phase begins there already, or everything trains.
        """
        if any(phase.epoch == epoch for phase in self.phases):
            msg = f"unfreeze: a phase begins with epoch {epoch + 1} already; choose another epoch"
            raise RecipeError(msg)
        before = max((phase for phase in self.phases if phase.epoch < epoch), key=lambda phase: phase.epoch)
        fixed = self.stages.frozen_by("none")
        held = [s for s in self.stages.items if any(p in before.frozen - fixed for p in s.parameters)]
        if not held:
            msg = "unfreeze: the whole model trains already; freeze a stage first"
            raise RecipeError(msg)
        return self._split(epoch)._from(epoch, held[-1].parameters)  # noqa: SLF001

    def moved(self, phase: int, epoch: int) -> Plan:
        """
        Return a plan in which a phase after the first begins with another epoch.

        Raises
        ------
        RecipeError
            The phases would not be in order.
        """
        low = self.phases[phase - 1].epoch
        high = self.phases[phase + 1].epoch if phase + 1 < len(self.phases) else math.inf
        if phase == 0 or not low < epoch < high:
            ends = f"between epoch {low + 2} and {high}" if math.isfinite(high) else f"from epoch {low + 2} on"
            msg = f"unfreeze: phase {phase + 1} cannot begin with epoch {epoch + 1}; allowed: {ends}"
            raise RecipeError(msg)
        phases = [*self.phases[:phase], replace(self.phases[phase], epoch=epoch), *self.phases[phase + 1 :]]
        return Plan(self.stages, phases)

    def without(self, phase: int) -> Plan:
        """Return a plan without a phase; the first one cannot go and stays."""
        left = [part for number, part in enumerate(self.phases) if number != phase or number == 0]
        return Plan(self.stages, _merged(left))

    def _split(self, epoch: int) -> Plan:
        """Begin a phase at an epoch that holds what was in force there."""
        if any(phase.epoch == epoch for phase in self.phases):
            return self
        at = max(number for number, phase in enumerate(self.phases) if phase.epoch < epoch)
        copy = replace(self.phases[at], epoch=epoch)
        return Plan(self.stages, [*self.phases[: at + 1], copy, *self.phases[at + 1 :]])

    def _from(self, epoch: int, parameters: Iterable[str]) -> Plan:
        number = next(n for n, phase in enumerate(self.phases) if phase.epoch == epoch)
        return self.trained(parameters, number, trains=True)

    def _mapped(self, change: Callable[[int, frozenset[str]], frozenset[str]]) -> Plan:
        fixed = self.stages.frozen_by("none")
        phases = []
        for number, phase in enumerate(self.phases):
            frozen = change(number, phase.frozen) | fixed
            changed = frozen != phase.frozen
            phases.append(replace(phase, freeze=named(self.stages, frozen), frozen=frozen) if changed else phase)
        return Plan(self.stages, _merged(phases))


def gradual(stages: Stages, epochs: int) -> dict[str, Any]:
    """
    Return the plan that begins with the head and reaches the whole model in even steps, one an epoch.

    Parameters
    ----------
    stages
        The model's stages.
    epochs
        Epochs of the run, at least 1.

    Returns
    -------
    dict
        The recipe's ``freeze`` and ``unfreeze``.

    Raises
    ------
    RecipeError
        There is one epoch or one stage only.

    Notes
    -----
    The order is that of Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018.
    """
    count = len(stages)
    steps = min(epochs - 1, count - 1)
    if steps < 1:
        msg = f"gradual unfreezing takes two epochs and two stages; this is epochs={epochs} and {count} stages"
        raise RecipeError(msg)
    trains = [1 + math.ceil(step * (count - 1) / steps) for step in range(1, steps + 1)]
    return {
        "freeze": "backbone",
        "unfreeze": [(step, "none" if n == count else -n) for step, n in enumerate(trains, start=1)],
    }


def named(stages: Stages, frozen: frozenset[str]) -> Freeze:
    """
    Write down, as short as it can be, what freezes just these parameters.

    Parameters
    ----------
    stages
        The model's stages.
    frozen
        Names of parameters; those that never train are in it or not, alike.

    Returns
    -------
    str or int or list of str
        As :meth:`tunebook.stages.Stages.frozen_by` takes it.

    Raises
    ------
    RecipeError
        All parameters are in it, or no patterns say it.
    """
    fixed = stages.frozen_by("none")
    wanted = frozen | fixed
    if wanted == fixed:
        return "none"
    count = len(stages)
    for held in range(1, count):
        if stages.frozen_by(held) == wanted:
            if held == count - 1:
                return "backbone"
            return held if 2 * held <= count else held - count
    patterns = _patterns(stages, wanted, fixed)
    if stages.frozen_by(patterns) != wanted:
        msg = "freeze: these modules have no names of their own in this model; freeze whole stages"
        raise RecipeError(msg)
    return patterns


def _patterns(stages: Stages, wanted: frozenset[str], fixed: frozenset[str]) -> list[str]:
    found: list[str] = []
    covered: set[str] = set()
    for stage in stages.items:
        own = set(stage.parameters) - fixed
        if own and own <= wanted:
            found.append(glob.escape(stage.name))
            covered |= own
    rest = sorted(wanted - fixed - covered)
    every = [p for stage in stages.items for p in stage.parameters if p not in fixed]
    # The name of a stage means all of it, also where a module in it has the same one.
    taken = {stage.name for stage in stages.items if not set(stage.parameters) - fixed <= wanted}
    return found + [glob.escape(path) for path in _shortest(rest, every, taken)]


def _shortest(some: Sequence[str], every: Sequence[str], taken: set[str]) -> list[str]:
    """Return the fewest paths of modules or parameters that hold some names and no others, but for those taken."""
    paths: dict[str, None] = {}
    chosen = set(some)
    inside: dict[str, int] = {}
    for name in every:
        for path in _above(name):
            inside[path] = inside.get(path, 0) + (name not in chosen)
    for name in some:
        paths.setdefault(next((path for path in _above(name) if not inside[path] and path not in taken), name))
    return list(paths)


def _above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: k + 1]) for k in range(len(parts))]


def _merged(phases: Sequence[Phase]) -> list[Phase]:
    """Leave out phases that change nothing."""
    kept: list[Phase] = []
    for phase in phases:
        if not kept or phase.frozen != kept[-1].frozen:
            kept.append(phase)
    return kept
