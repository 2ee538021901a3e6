"""A run as one row of a list: where it stands, and what it reached in a few numbers."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any, get_args

from tunebook import monitors
from tunebook.adoption import JOB, RECIPE, SOURCE
from tunebook.errors import StorageError, shown
from tunebook.opening import is_file, names_in, open_stream, status
from tunebook.progress import read_state
from tunebook.run_curves import best_epoch
from tunebook.run_notes import FILE, Notes, notes_damage, read_notes
from tunebook.runs import Run, State, StateName
from tunebook.storage import read_json
from tunebook_lab.chosen import chosen_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tunebook.run_curves import RunCurves
    from tunebook_lab.paths import Root

    #: Opens the log of a run for a look.
    Curves = Callable[[Path], AbstractContextManager[RunCurves]]

#: Most points of a sparkline.
POINTS = 32
#: Files beyond this size in bytes are not read for a row.
LARGEST = 32 << 20
#: Characters of a cell, columns and rows of a sweep's table.
_LONGEST_CELL = 131_072
_MOST_COLUMNS, _MOST_TRIALS = 500, 100_000
_ENDED = ("stopped", "failed", "died")
#: Where a run's notebook is found, the best first.
_NOTEBOOKS = ("notebook.ipynb", "notebook.failed.ipynb", "notebook.stopped.ipynb", "source.ipynb")


@dataclass(frozen=True)
class Figures:
    """
    What a run reached so far.

    Attributes
    ----------
    best
        Name and value of the best score, and its epoch or trial; ``None`` before there is one.
    gap
        Largest gap between groups; ``None`` while unknown.
    sparkline
        At most :data:`POINTS` scores, the oldest first.
    damage
        Why nothing could be read of it, one line; empty where it could.
    is_whole
        Whether its log was read to the end.
    """

    best: dict[str, Any] | None = None
    gap: float | None = None
    sparkline: list[float | None] = field(default_factory=list)
    damage: str = ""
    is_whole: bool = True


def read_row(path: Path, root: Root) -> dict[str, Any]:
    """
    Read a run's row from its directory; what needs its log or metrics is left empty, see :func:`with_figures`.

    Parameters
    ----------
    path
        The run directory.
    root
        The server's root.

    Returns
    -------
    dict
        As the OpenAPI file's ``RunRow``; without what the queue knows.
    """
    damaged, state = "", State()
    try:
        state = read_state(Run(path))
        if state.state not in get_args(StateName):
            damaged = f"{path / 'state.json'} names no state that is known: {shown(state.state)}"
    except StorageError as error:
        damaged = str(error)
    names = _names(path)
    kind = "sweep" if "sweep.json" in names else "run" if state.task else "notebook"
    parameters, unread = _parameters(path, names)
    row = _row(path, root, state, kind, parameters)
    notes, unread_notes = written(path, names), notes_damage(path) if FILE in names else ""
    if not damaged and (unread or unread_notes):
        row |= {"message": "; ".join(filter(None, (row["message"], unread, unread_notes))), "damaged": True}
    if damaged:
        row |= {"state": "unreadable", "message": one_line(damaged), "damaged": True}
    return row | {
        "created": float(state.started or state.heartbeat or _mtime(path)),
        "resumable": not (reason := obstacle(row["state"], kind, names)),
        "obstacle": reason,
        **notes,
        "notebook": _notebook(path, names, root),
        "report": "report" in names and is_file(path / "report" / "bias.html"),
    }


def broken_row(path: Path, root: Root, error: Exception) -> dict[str, Any]:
    """Return the row of a run of which nothing could be read, so that a list goes on without it."""
    message = f"it cannot be read: {one_line(repr(error), 200)}"
    return empty_row(path, root) | {"state": "unreadable", "message": message, "damaged": True}


def empty_row(path: Path, root: Root) -> dict[str, Any]:
    """Return the row of a run that has no directory yet."""
    return _row(path, root, State(), "run", {})


def _row(path: Path, root: Root, state: State, kind: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    is_running = state.state == "running"
    return {
        "path": root.name(path),
        "name": path.name,
        "folder": root.name(path.parent),
        "kind": kind,
        "state": state.state,
        "task": state.task,
        "phase": one_line(state.phase),
        "message": one_line(state.message),
        "epoch": int(state.epoch),
        "epochs": int(state.epochs),
        "step": int(state.step),
        "steps": int(state.steps),
        "progress": _progress(state),
        "loss": _real(state.loss),
        "seconds_left": _real(state.seconds_left) if is_running else None,
        "baseline": _real(state.baseline),
        "metric": _real(state.metric),
        "best": None,
        "gap": None,
        "sparkline": [],
        "created": 0.0,
        "started": float(state.started),
        "heartbeat": float(state.heartbeat),
        "finished": float(state.finished),
        "paused": bool(getattr(state, "paused", False)) and is_running,
        "examples_per_second": _real(getattr(state, "examples_per_second", None)),
        "memory": int(getattr(state, "memory", 0) or 0),
        "lr": _real(getattr(state, "lr", None)),
        "freeze": one_line(str(getattr(state, "freeze", ""))),
        "model": one_line(str(parameters.get("model", ""))),
        "data": one_line(str(parameters.get("data", ""))),
        "job": "",
        "position": None,
        "resumable": False,
        "obstacle": "",
        "star": False,
        "tags": [],
        "note": "",
        "chosen": chosen_texts(state.task, parameters),
        "controllable": is_running and kind == "run",
        "notebook": "",
        "report": False,
        "trials": {"done": int(state.step), "total": int(state.steps)} if kind == "sweep" else None,
        "damaged": False,
    }


def obstacle(state: str, kind: str, names: set[str]) -> str:
    """
    Say in one line why a run cannot go on in the background; empty where it can.

    Parameters
    ----------
    state, kind
        As the row has them.
    names
        Of the files in its directory.
    """
    if state == "finished":
        return "it is finished; run it again instead"
    if state not in _ENDED:
        return f"it is {state}"
    if kind == "notebook":
        return "its notebook names no task, so it has no checkpoints; run the notebook again"
    if kind == "run" and RECIPE not in names and not {SOURCE, JOB} <= names:
        return "it ended before it had a recipe, so there is nothing to go on with; run its notebook again"
    return ""


def written(path: Path, names: set[str]) -> dict[str, Any]:
    """Return what a person wrote beside a run, as a row has it."""
    notes = read_notes(path) if FILE in names else Notes()
    return {"star": notes.star, "tags": list(notes.tags), "note": notes.note}


def read_figures(path: Path, row: Mapping[str, Any], curves: Curves) -> Figures:
    """
    Read what a run reached.

    Parameters
    ----------
    path
        The run directory.
    row
        Its row.
    curves
        Opens a run's log.

    Returns
    -------
    Figures
        Empty where there is nothing to be read; where it is damaged, with what is wrong: a list goes on without it.
    """
    try:
        if row["kind"] == "sweep":
            return _sweep_figures(path)
        if row["kind"] != "run":
            return Figures()
        gap, damage = _reported_gap(path)
        if (metrics := _there(path / "metrics.json")) is not None:
            found = _finished_figures(metrics, gap)
        else:
            found = _logged_figures(path, curves, gap)
        return replace(found, damage=damage)
    except StorageError as error:
        return Figures(damage=one_line(str(error)))
    except (OSError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        what = "sweep.json, best.json or trials.csv" if row["kind"] == "sweep" else "metrics.json or its log"
        return Figures(damage=f"{what} is damaged, or of another version: {_why(error)}")


def with_figures(row: Mapping[str, Any], figures: Figures) -> dict[str, Any]:
    """Return a row with what the run reached."""
    found = {**row, "best": figures.best, "gap": figures.gap, "sparkline": figures.sparkline}
    if figures.damage:
        found |= {"damaged": True, "message": "; ".join(filter(None, (row["message"], figures.damage)))}
    return found


def recipe_parameters(path: Path) -> dict[str, Any]:
    """Return a run's parameters: those of its recipe, or what was asked for before there is one; empty if damaged."""
    for name in ("recipe.json", "sweep.json", "job.json"):
        try:
            raw = read_bounded(path / name)
        except StorageError:
            continue
        values = raw.get("parameters") if isinstance(raw, dict) else None
        if isinstance(values, dict):
            return values
    return {}


def _parameters(path: Path, names: set[str]) -> tuple[dict[str, Any], str]:
    """Return a run's parameters, and in one line why its recipe could not be read where that is there."""
    values = recipe_parameters(path)
    if values:
        return values, ""
    for name in (RECIPE, "sweep.json"):
        if name in names:
            try:
                raw = read_bounded(path / name)
            except StorageError as error:
                return {}, one_line(str(error))
            if not isinstance(raw, dict) or not isinstance(raw.get("parameters"), dict):
                return {}, f"{name} holds no parameters: it is damaged, or of another version"
    return {}, ""


def _there(path: Path) -> Any:  # noqa: ANN401
    """Read a JSON file; ``None`` where there is none, StorageError where it cannot be read or holds no mapping."""
    try:
        status(path)
    except FileNotFoundError:
        return None
    found = read_bounded(path)
    if not isinstance(found, dict):
        raise StorageError(f"{path} holds no mapping; it is damaged")
    return found


def _why(error: Exception) -> str:
    """Say in a person's words what a file of another shape ended in."""
    if isinstance(error, KeyError):
        return f"it has no {shown(str(error.args[0]))}"
    return "a part of it is not of the kind that it should be"


def read_bounded(path: Path) -> Any:  # noqa: ANN401
    """Read a JSON file that is not larger than :data:`LARGEST`; StorageError for one that is, is missing or damaged."""
    return read_json(path, LARGEST)


def thin(values: Sequence[float], most: int = POINTS) -> list[float | None]:
    """Return at most ``most`` numbers, evenly spread, with the first and the last; ``None`` for undefined ones."""
    count = len(values)
    places = range(count) if count <= most else [round(k * (count - 1) / (most - 1)) for k in range(most)]
    return [round(float(values[k]), 6) if math.isfinite(values[k]) else None for k in places]


def one_line(text: str, most: int = 400) -> str:
    """Return a text on one line, cut."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _names(path: Path) -> set[str]:
    try:
        return set(names_in(path))
    except OSError:
        return set()


def _mtime(path: Path) -> float:
    try:
        return status(path).st_mtime
    except OSError:
        return 0.0


def _real(value: float | None) -> float | None:
    return None if value is None else float(value)


def _progress(state: State) -> float | None:
    if state.state == "finished":
        return 1.0
    return min(1.0, max(0.0, state.step / state.steps)) if state.steps > 0 else None


def _notebook(path: Path, names: set[str], root: Root) -> str:
    for name in _NOTEBOOKS:
        if name in names:
            return root.name(path / name)
    return ""


def _reported_gap(path: Path) -> tuple[float | None, str]:
    """Return the largest gap in accuracy that the bias report has, and in one line why it cannot be read."""
    try:
        report = _there(path / "report" / "bias.json")
    except OSError:  # the folder is none
        return None, "its folder report cannot be read"
    except StorageError as error:
        return None, one_line(str(error))
    return largest_gap(report), ""


def largest_gap(report: Any) -> float | None:  # noqa: ANN401
    """
    Return the largest gap in the tuned model's accuracy that a bias report's JSON has, on the last of its splits.

    ``None`` where no gap is defined, or it is no such report.
    """
    try:
        tuned, split = report["models"][-1], report["splits"][-1]
        rows = [row for row in report["gaps"] if row["gap"] == "accuracy" and row["split"] == split]
        values = [row["models"][tuned]["difference"]["value"] for row in rows]
    except (TypeError, KeyError, IndexError):
        return None
    return max((float(value) for value in values if isinstance(value, (int, float))), default=None)


def _finished_figures(metrics: Mapping[str, Any], gap: float | None) -> Figures:
    name = _score(metrics["monitor"])
    values = [_number(row["validation"].get(name)) for row in metrics["history"]]
    epoch = int(metrics["tuned"]["epoch"])
    best = {"name": name, "value": values[epoch - 1], "epoch": epoch}
    return Figures(best if math.isfinite(values[epoch - 1]) else None, gap, thin(values))


def _score(monitor: object) -> str:
    """Return the score that a row shows: what chose the best epoch, unless that is a gap, which has its own column."""
    return monitor if isinstance(monitor, str) and monitor in monitors.WORDS else "macro_f1"


def _logged_figures(path: Path, curves: Curves, gap: float | None) -> Figures:
    monitor = recipe_parameters(path).get("monitor")
    name = _score(monitor)
    with curves(path) as log:
        if log.is_short:
            return Figures(gap=gap, is_whole=False)
        last = [points[-1, 1] for tag in log.tags if tag.startswith("gap/") and len(points := log.points(tag))]
        values = [float(value) for value in log.points(monitors.curve(name))[:, 1]]
        epoch = best_epoch(log, monitor if isinstance(monitor, str) else name)
    gap = max((float(value) for value in last if math.isfinite(value)), default=gap)
    if epoch is None or epoch > len(values) or not math.isfinite(values[epoch - 1]):
        return Figures(None, gap, thin(values))
    return Figures({"name": name, "value": values[epoch - 1], "epoch": epoch}, gap, thin(values))


def _sweep_figures(path: Path) -> Figures:
    plan = read_bounded(path / "sweep.json")
    name = plan["objectives"][0]
    best = read_bounded(path / "best.json")["best"] if is_file(path / "best.json") else None
    found = {"name": name, "value": best["values"][0], "trial": best["number"]} if best else None
    values = [_number(row.get(name)) for row in read_trials(path) if row.get("state") == "complete"]
    better = max if monitors.larger_is_better(name) else min
    line = list(accumulate((value for value in values if math.isfinite(value)), better))
    return Figures(found, None, thin(line))


def read_trials(path: Path) -> list[dict[str, str]]:
    """
    Return the rows of a sweep's ``trials.csv``; none before there are any.

    Raises
    ------
    StorageError
        The file cannot be read, or is larger than a sweep's can be; the line says which bound was met.
    """
    file = path / "trials.csv"
    try:
        stream = open_stream(file, largest=LARGEST)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"cannot read {file}: {error.strerror}") from None
    try:
        with io.TextIOWrapper(stream, encoding="utf-8", newline="") as text:
            reader = csv.reader(text)
            heads = next(reader, [])
            if len(heads) > _MOST_COLUMNS:
                raise StorageError(f"{file} has {len(heads)} columns; allowed: {_MOST_COLUMNS}")
            rows = [dict(zip(heads, cells, strict=False)) for cells in islice(reader, _MOST_TRIALS + 1) if cells]
    except (OSError, ValueError, csv.Error) as error:
        raise StorageError(f"{file} is not the table of a sweep: {error}") from None
    # Not by csv's own bound alone: it is one for the process, and whoever reads larger tables raises it.
    longest = max((len(cell) for row in rows for cell in row.values()), default=0)
    if longest > _LONGEST_CELL:
        raise StorageError(f"{file} is not the table of a sweep: a field larger than field limit ({_LONGEST_CELL})")
    if len(rows) > _MOST_TRIALS:
        raise StorageError(f"{file} has more than {_MOST_TRIALS} rows, the most that are shown")
    return rows


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
