"""What a panel's recipe was before each change, so that a hand can take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tunebook.errors import shown

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tunebook.recipe import Recipe

#: Changes that can be taken back, at most.
_MOST = 200
#: Characters of a value, and parameters, that are named.
_LONGEST, _NAMED = 36, 4


class _Entry(NamedTuple):
    recipe: Recipe
    by: Hashable


class History:
    """Recipes before the one in force, and those that were taken back."""

    def __init__(self) -> None:
        self._before: list[_Entry] = []
        self._after: list[_Entry] = []
        self._open: Hashable = None

    def add(self, before: Recipe, after: Recipe, by: Hashable = None, *, goes_on: bool = False) -> None:
        """
        Note a change; one that changes nothing is none.

        Parameters
        ----------
        before, after
            The recipes.
        by
            What made it, if it can be told from others: a control.
        goes_on
            Whether the hand is still at it, as with a slider: what follows by the same control is the same change.
        """
        is_one = by is not None and by == self._open
        self._open = by if goes_on else None
        if is_one:
            if self._before[-1].recipe == after:
                self._before.pop()
                self._open = None
        elif before != after:
            self._before = [*self._before[1 - _MOST :], _Entry(before, by)]
            self._after.clear()
        else:
            self._open = None

    def repeats(self, by: Hashable) -> bool:
        """Whether the last change was made by the same control."""
        return bool(self._before) and by is not None and self._before[-1].by == by

    def back(self, now: Recipe) -> Recipe | None:
        """Return the recipe before the last change; ``None`` where there is none."""
        return self._move(self._before, self._after, now)

    def forward(self, now: Recipe) -> Recipe | None:
        """Return the recipe that was taken back last; ``None`` where there is none."""
        return self._move(self._after, self._before, now)

    def _move(self, take: list[_Entry], give: list[_Entry], now: Recipe) -> Recipe | None:
        self._open = None
        if not take:
            return None
        entry = take.pop()
        give.append(_Entry(now, entry.by))
        return entry.recipe

    def words(self, now: Recipe) -> tuple[str, str]:
        """Return what undo and redo would change, in words; empty where there is nothing."""
        undo = difference(now, self._before[-1].recipe) if self._before else ""
        redo = difference(now, self._after[-1].recipe) if self._after else ""
        return undo, redo


def changed_names(before: Recipe, after: Recipe) -> frozenset[str]:
    """Return the parameters in which two recipes of one task differ."""
    return frozenset(name for name in type(before).model_fields if getattr(before, name) != getattr(after, name))


def difference(before: Recipe, after: Recipe) -> str:
    """Say which parameters differ and how, such as ``dropout None → 0.3``; empty where none does."""
    names = [name for name in type(before).model_fields if name in changed_names(before, after)]

    def value(recipe: Recipe, name: str) -> str:
        found: Any = getattr(recipe, name)
        return shown([list(pair) for pair in found] if name == "unfreeze" else found, _LONGEST)

    parts = [f"{name} {value(before, name)} \N{RIGHTWARDS ARROW} {value(after, name)}" for name in names[:_NAMED]]
    more = len(names) - len(parts)
    return ", ".join(parts) + (f" and {more} more" if more else "")
