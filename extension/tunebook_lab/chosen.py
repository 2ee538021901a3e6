"""What was chosen for a run: its parameters that are not the task's defaults."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from tunebook import tasks

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Parameters that say where a run is kept or how it goes on, and nothing of what it computes.
PLACES = frozenset({"run", "runs_dir", "resume", "replay"})
#: Parameters with a place of their own on a row.
_SHOWN_ELSEWHERE = PLACES | {"model", "data"}
#: Parameters of a row, and characters of a value on it.
MOST, LONGEST = 12, 60


def differing(task: str, parameters: Mapping[str, Any]) -> list[str]:
    """Return the names of the parameters that are not the task's defaults; where a run is kept is no difference."""
    if task not in tasks.TASKS:
        return list(parameters)
    defaults = _defaults(task)
    return [name for name, value in parameters.items() if name not in PLACES and defaults.get(name, ...) != value]


def chosen_texts(task: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a row that were chosen, as texts: at most :data:`MOST`, beside model and data."""
    if task not in tasks.TASKS:
        return {}
    names = [name for name in differing(task, parameters) if name not in _SHOWN_ELSEWHERE]
    return {str(name)[:LONGEST]: _text(parameters[name]) for name in names[:MOST]}


@cache
def _defaults(task: str) -> dict[str, Any]:
    return tasks.recipe_class(task)().model_dump(mode="json")


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
