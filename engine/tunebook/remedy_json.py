"""``remedies.json``: remedies compared, as plain values; cell, page and model card are written from it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.remedy_files import FILE, load

if TYPE_CHECKING:
    from pathlib import Path

    from tunebook.remedies import Remedies
    from tunebook.remedy_effects import Effect, Shift

#: Version of the form.
SCHEMA = "tunebook-remedies/1"


def as_json(remedies: Remedies) -> dict[str, Any]:
    """Return a comparison as plain values, as documented in ``docs/mitigation.md``; ``None`` is undefined."""
    settings = remedies.report.settings
    return {
        "schema": SCHEMA,
        "attribute": remedies.attribute,
        "gap": remedies.gap,
        "minimum": settings.minimum,
        "positive": remedies.report.positive or None,
        "suggested": remedies.suggested,
        "advice": remedies.advice(),
        "notes": remedies.notes,
        "exported": exported(remedies.run.path / "model"),
        "remedies": [
            {
                "name": name,
                "how": remedies.remedy(name).how,
                "sentence": remedies.effect(name).sentence(remedies.attribute),
            }
            | {split: plain_effect(remedies.effect(name, split)) for split in remedies.splits}
            for name in remedies.names
        ],
    }


def exported(folder: Path) -> dict[str, str] | None:
    """Return ``name`` and ``attribute`` of the remedy that is in a model folder; ``None`` where there is none."""
    if not (folder / FILE).is_file():
        return None
    found = load(folder)
    return {"name": found.name, "attribute": found.assignment.attribute}


def plain_effect(effect: Effect) -> dict[str, Any]:
    """Return what a remedy does on one split as plain values, six digits each."""
    gap = {"value": effect.gap.difference, "low": effect.gap.low, "high": effect.gap.high, "p": effect.gap.p}
    change = effect.change
    found: dict[str, Any] = _tidy(
        {
            "n": effect.overall.n,
            "accuracy": _shift(effect.overall),
            "gap": gap,
            "gap_change": None if change is None else {"value": change.change, "low": change.low, "high": change.high},
            "best_off": _shift(effect.best_off),
            "worst_off": _shift(effect.worst_off),
        }
    )
    return found


def _tidy(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, float):
        return round(value, 6) if np.isfinite(value) else None
    return {key: _tidy(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def _shift(of: Shift | None) -> dict[str, Any] | None:
    return None if of is None else asdict(of)
