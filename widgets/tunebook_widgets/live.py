"""A run that trains, as the panel sees it and drives it: what is frozen in it now, and commands that change that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.control import Outcome
    from tunebook.recipe import Freeze, Recipe
    from tunebook.runs import Run

#: States of a run in which it takes commands.
_ALIVE = ("queued", "running")


class LiveRun:
    """
    A run under way.

    Parameters
    ----------
    run
        Its directory.
    recipe
        What it was started with.
    """

    def __init__(self, run: Run, recipe: Recipe) -> None:
        self.run = run
        self.recipe = recipe
        self._asked: str | None = None
        self._words = ""

    def send(self, freeze: Freeze) -> None:
        """
        Ask the run to change what is frozen, between two of its next steps.

        Raises
        ------
        RecipeError
            The freeze has not its form.
        StorageError
            The run directory cannot be written.
        """
        self._asked = self.run.control.send("freeze", freeze, by="panel")
        self._words = "asked; it takes effect before the next step"

    def is_alive(self) -> bool:
        """Whether it still takes commands."""
        return self.run.state().state in _ALIVE

    def freeze(self) -> Freeze:
        """Return the freeze in force."""
        return freeze_in_force(self.recipe, self.run.control.outcomes(), self.run.state().epoch)

    def refusal(self) -> str:
        """Return why the run refused what was asked last, once; empty where it did not."""
        outcome = self.run.control.outcome(self._asked) if self._asked is not None else None
        if outcome is None:
            return ""
        self._asked = None
        self._words = "" if outcome.refused else f"step {outcome.step:,}: {outcome.words}"
        return outcome.refused

    def state(self) -> dict[str, Any]:
        """Return what the panel shows of it, as JSON."""
        now = self.run.state()
        where = f"epoch {min(now.epoch + 1, now.epochs)} of {now.epochs}" if now.epochs else now.phase
        return {"run": self.run.path.name, "where": where, "words": self._words, "alive": now.state in _ALIVE}


def freeze_in_force(recipe: Recipe, outcomes: Sequence[Outcome], epoch: int) -> Freeze:
    """
    Return what is frozen in a run: as its recipe plans it, or as commands changed it since.

    Parameters
    ----------
    recipe
        What the run was started with.
    outcomes
        What became of its commands, in order.
    epoch
        Epochs that are done.
    """
    freeze, stage = recipe.freeze, 0

    def advance(to: int) -> None:
        nonlocal freeze, stage
        while stage < len(recipe.unfreeze) and recipe.unfreeze[stage][0] <= to:
            freeze, stage = recipe.unfreeze[stage][1], stage + 1

    for outcome in outcomes:
        if outcome.refused or outcome.command not in ("freeze", "next_stage"):
            continue
        advance(outcome.epoch)
        freeze = outcome.value
        # A stage that was begun by hand does not begin again in its epoch.
        stage = min(stage + (outcome.command == "next_stage"), len(recipe.unfreeze))
    advance(epoch)
    return freeze
