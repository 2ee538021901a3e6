"""The files of a sweep's directory: trials, the best one, figures and a summary."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tunebook import tasks
from tunebook.card import escape, table
from tunebook.search_ledger import front, ranked
from tunebook.spreadsheets import write_csv
from tunebook.storage import replacing, replacing_folder, write_json, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tunebook.figures import Picture
    from tunebook.search_ledger import Ledger, Row
    from tunebook.search_objectives import Objective
    from tunebook.search_plan import Plan

TRIALS, BEST, CELL, FIGURES = "trials.parquet", "best.json", "parameters.py", "figures"
#: Trials in tables that are looked at.
SHOWN = 5


def trials_table(rows: Sequence[Row], plan: Plan) -> pd.DataFrame:
    """
    Tabulate trials.

    Returns
    -------
    pandas.DataFrame
        Indexed by number: ``state``, each objective, each searched parameter (choices as they were
        written), ``seconds``, ``epoch`` and ``message``; what a failed trial has not is missing.
    """
    lines = []
    for row in rows:
        missing = dict.fromkeys(plan.objectives, np.nan)
        lines.append({
            "number": row.number, "state": row.state, **missing, **dict(zip(plan.objectives, row.values, strict=False)),
            **{name: row.labels.get(name) for name in plan.spaces}, "seconds": round(row.seconds, 3),
            "epoch": row.epoch, "message": row.message,
        })  # fmt: skip
    names = ["number", "state", *plan.objectives, *plan.spaces, "seconds", "epoch", "message"]
    return pd.DataFrame(lines, columns=names).set_index("number")


def ended_trials(folder: Path) -> int:
    """Return how many trials had ended when the table was last written; 0 where there is none that can be read."""
    try:
        return len(pd.read_parquet(folder / TRIALS, columns=["state"]))
    except (OSError, ValueError):
        return 0


def write_trials(folder: Path, rows: Sequence[Row], plan: Plan) -> None:
    """Write ``trials.csv`` and ``trials.parquet``."""
    frame = trials_table(rows, plan)
    with replacing(folder / TRIALS, durable=False) as temporary:
        frame.to_parquet(temporary)
    write_csv(frame.reset_index(), folder / "trials.csv")


def write_results(folder: Path, ledger: Ledger, *, figures: bool = True) -> None:
    """
    Write everything that a sweep leaves, from its trials alone.

    Parameters
    ----------
    folder
        The sweep's directory.
    ledger
        Its trials.
    figures
        Whether they are drawn, which takes seconds; without, those of an earlier time stay.
    """
    from tunebook.search_figures import draw  # noqa: PLC0415

    plan, objectives, rows = ledger.plan, ledger.objectives, ledger.rows()
    write_trials(folder, rows, plan)
    order = ranked(rows, objectives)
    write_json(folder / BEST, best_of(plan, objectives, order, rows))
    if order:
        write_text(folder / CELL, parameters_cell(plan, order[0]) + "\n")
    else:
        (folder / CELL).unlink(missing_ok=True)
    pictures = draw(ledger.study, objectives) if figures else {}
    if pictures:
        with replacing_folder(folder / FIGURES) as place:
            for name, picture in pictures.items():
                picture.save(place / f"{name}.png")
                (place / f"{name}.txt").write_text(picture.text + "\n", encoding="utf-8")
    write_text(folder / "README.md", summary(folder.name, plan, objectives, rows, pictures))


def best_of(plan: Plan, objectives: Sequence[Objective], order: Sequence[Row], rows: Sequence[Row]) -> dict[str, Any]:
    """Return what ``best.json`` holds: the best trial, and the Pareto front where there are two objectives."""
    found: dict[str, Any] = {"objectives": list(plan.objectives), "measured_on": "validation", "best": None}
    found["ranking"] = [row.number for row in order]
    if order:
        found["best"] = _entry(order[0])
    if len(objectives) > 1:
        complete = [row for row in rows if row.state == "complete"]
        on_front = {row.number for row in front(complete, objectives)}
        found["front"] = [_entry(row) for row in order if row.number in on_front]
    return found


def parameters_cell(plan: Plan, row: Row) -> str:
    """Return a trial's whole recipe as the source of a parameters cell."""
    recipe = plan.recipe(**row.parameters)
    return tasks.recipe_class(plan.task).parameters_cell(recipe.model_dump())


def outcome(plan: Plan, rows: Sequence[Row], objectives: Sequence[Objective]) -> str:
    """Say in one line how many trials ended how, and what the best one reached."""
    counts = {state: sum(row.state == state for row in rows) for state in ("complete", "pruned", "failed")}
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    line = f"{len(rows)} of {plan.trials} trials ({', '.join(parts)})" if parts else f"0 of {plan.trials} trials"
    order = ranked(rows, objectives)
    if not order:
        return line
    return f"{line}; best {values_text(order[0], plan)} in trial {order[0].number}"


def values_text(row: Row, plan: Plan) -> str:
    """Write a trial's values: ``accuracy 0.912, gap 0.031``."""
    return ", ".join(f"{name} {value:.4f}" for name, value in zip(plan.objectives, row.values, strict=False))


def parameters_text(row: Row) -> str:
    """Write a trial's searched parameters: ``lr=0.00123 freeze=backbone``."""
    return " ".join(f"{name}={_short(value)}" for name, value in row.labels.items())


def summary(
    name: str, plan: Plan, objectives: Sequence[Objective], rows: Sequence[Row], pictures: Mapping[str, Picture]
) -> str:
    """Return the sweep's README.md."""
    order = ranked(rows, objectives)
    best = trials_table(order[:SHOWN], plan).drop(columns=["state", "message"]).map(_short)
    failed = [row for row in rows if row.state == "failed"]
    spaces = pd.DataFrame({"space": plan.spaces.values()}, index=list(plan.spaces))
    parts = [
        f"# {escape(name)}",
        f"A {escape(plan.method)} search of {escape(plan.task)} for {escape(' and '.join(plan.objectives))}, measured "
        f"on the validation set; the test set was not looked at. {escape(outcome(plan, rows, objectives))}.",
        "Trials were chosen by the validation set, so the best one looks better there than it is: train it with its "
        "parameters and read its test figures." if order else "No trial is complete.",
        "## Spaces",
        table(spaces, "parameter"),
        *(["## Best trials", table(best, "trial")] if order else []),
        "`trials.csv` has all of them, `parameters.py` the best one as a parameters cell." if order else "",
        *(["## Failed trials", "\n".join(f"- {row.number}: {escape(row.message)}" for row in failed[:20])]
          if failed else []),
        "## Figures" if pictures else "",
        *(f"![{escape(word)}]({FIGURES}/{word}.png)\n\n{escape(picture.text)}" for word, picture in pictures.items()),
        "## Data",
        f"{escape(plan.data.get('source', ''))}: {plan.data.get('examples', 0)} examples.",
        "## Versions",
        ", ".join(f"{escape(k)} {escape(v)}" for k, v in plan.versions.items()),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _entry(row: Row) -> dict[str, Any]:
    return {**asdict(row), "values": list(row.values)}


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
