"""What the JSON files of a run say, as far as it is of the kind that is expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunebook import monitors
from tunebook.errors import StorageError
from tunebook.opening import is_file
from tunebook_lab.run_rows import one_line, read_bounded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SPLITS = ("train", "validation", "test")
#: Figures of one evaluation, in the order in which they are shown.
SCORES = ("n", *monitors.WORDS)


def mapping(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds a mapping; empty if it is not there, damaged or too large."""
    try:
        raw = read_bounded(path)
    except StorageError:
        return {}
    return raw if isinstance(raw, dict) else {}


def unread(path: Path) -> str:
    """Say in one line why a file that is there could not be read; empty where it could."""
    if not is_file(path):
        return ""
    try:
        raw = read_bounded(path)
    except StorageError as error:
        return one_line(str(error).replace(str(path), path.name))
    return "" if isinstance(raw, dict) else f"{path.name} holds no mapping"


def inner(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a mapping inside another; empty if it is none."""
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def names_of(value: object) -> list[str]:
    """Return a list of names; empty if it is no list."""
    return [str(item) for item in value] if isinstance(value, list) else []


def score_of(raw: object) -> dict[str, Any] | None:
    """Return the plain numbers of one evaluation; ``None`` if it is none."""
    if not isinstance(raw, dict) or type(raw.get("n")) is not int:
        return None
    return {name: raw[name] for name in SCORES if type(raw.get(name)) in {int, float}}


def scores_of(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the scores of every model by split: baselines, then the tuned one."""
    found = {}
    for name, model in [*inner(metrics, "baselines").items(), ("tuned", metrics.get("tuned"))]:
        if isinstance(model, dict):
            splits = {split: score for split in SPLITS if (score := score_of(model.get(split))) is not None}
            if splits:
                found[str(name)] = splits
    return found


def parts_of(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Say in words what a run was made from."""
    data, model = inner(recipe, "data"), inner(recipe, "model")
    found = {
        "device": recipe.get("device"), "data": data.get("source"), "examples": data.get("examples"),
        "classes": len(data["classes"]) if isinstance(data.get("classes"), list) else None,
        "data SHA-256": data.get("sha256"), "model": model.get("name"), "weights": model.get("origin"),
        "weights SHA-256": model.get("sha256"),
    }  # fmt: skip
    return {name: one_line(str(value)) for name, value in found.items() if value not in (None, "")}
