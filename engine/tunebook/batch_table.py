"""The table of many runs: a row a set, with its parameters and what the run came to."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

from tunebook.errors import NotebookError, StorageError, shown
from tunebook.opening import is_folder
from tunebook.progress import read_state
from tunebook.runs import Run, State
from tunebook.spreadsheets import harmless, write_csv
from tunebook.storage import read_json, replacing, write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from tunebook.batch_runs import Batch

#: Columns beside the parameters; from the baseline's accuracy to the loss they are measured on the test set.
_BEFORE = (
    "run", "state", "baseline_accuracy", "accuracy", "macro_f1", "roc_auc", "average_precision", "specificity", "loss",
    "epochs_done", "seconds",
)  # fmt: skip
#: Those of them that the run's own files have.
_MEASURED = ("macro_f1", "roc_auc", "average_precision", "specificity", "loss", "seconds")
_AFTER = ("message", "path")
_STYLE = (
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em;color:#1f2328;background:#fff}"
    "table{border-collapse:collapse}th,td{padding:.3em .8em;text-align:left;border-bottom:1px solid #d0d7de;"
    "font-variant-numeric:tabular-nums;vertical-align:top}td:first-child{white-space:nowrap}th{position:sticky;top:0;background:#f6f8fa}"
)


def batch_table(batch: Batch) -> pd.DataFrame:
    """
    Tabulate runs.

    Returns
    -------
    pandas.DataFrame
        A row a set, in the order of the file: ``run``, ``state`` (as `tunebook runs` has it, ``waiting`` for one that
        was not begun), accuracy of the baseline and the metrics of the tuned model on the test set,
        ``epochs_done``, ``seconds`` of all attempts, each parameter that a set gives (missing where it does not; lists
        and mappings as JSON), ``message`` and ``path``.
    """
    import pandas as pd  # noqa: PLC0415

    names = list(dict.fromkeys(name for each in batch.sets for name in each.own))
    rows = []
    for each in batch.sets:
        row = _row(batch, each.name)
        # A parameter of a notebook of the user's own may be called as a column is.
        row |= {_column(name): _cell(each.parameters[name]) for name in each.own}
        rows.append(row)
    columns = [*_BEFORE, *map(_column, names), *_AFTER]
    return pd.DataFrame(rows, columns=columns).map(lambda value: None if value == "" else value)


def check_place(path: Path) -> None:
    """
    Refuse a place for the table before hours of training rather than after.

    Raises
    ------
    NotebookError
        Its name has an ending that no table has, or it is a folder.
    """
    if path.suffix.lower() not in _WRITERS:
        msg = f"table {shown(path)}: the name must end in {', '.join(_WRITERS)}"
        raise NotebookError(msg)
    if is_folder(path):
        msg = f"table {shown(path)} is a folder; name a file"
        raise NotebookError(msg)


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """
    Write a table as the ending of its name says: ``.csv``, ``.parquet`` or ``.html``.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    _WRITERS[path.suffix.lower()](frame, path)


def _row(batch: Batch, name: str) -> dict[str, Any]:
    path, outcome = batch.path(name), batch.outcomes.get(name)
    row: dict[str, Any] = {"run": name, "state": "waiting", "path": str(path)}
    state = _state(path)
    if state is not None:
        row |= {
            "state": state.state, "baseline_accuracy": state.baseline, "accuracy": state.metric,
            "epochs_done": state.epoch, "message": state.message, **_measured(path),
        }  # fmt: skip
    if outcome is not None:  # it knows what happened to a process that was killed
        row |= {"state": outcome.state, "message": outcome.message}
    return row


def _state(path: Path) -> State | None:
    try:
        return read_state(Run(path))
    except StorageError:
        return None


def _measured(path: Path) -> dict[str, Any]:
    """Return what the run's own files say; nothing where it has not come so far."""
    found: dict[str, Any] = {}
    for name, keys in (("metrics.json", ("tuned", "test")), ("job.json", ())):
        try:
            part = read_json(path / name)
        except StorageError:
            continue
        for key in keys:
            part = part.get(key, {}) if isinstance(part, dict) else {}
        if isinstance(part, dict):
            found |= {key: part[key] for key in _MEASURED if isinstance(part.get(key), float)}
    return found


def _column(name: str) -> str:
    return f"parameter {name}" if name in {*_BEFORE, *_AFTER} else name


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _uniform(frame: pd.DataFrame) -> pd.DataFrame:
    """Give each column one type: ``freeze`` may be a word in one run and a number in the next."""
    frame = frame.copy()
    for name in frame.columns:
        kinds = {type(value) for value in frame[name].dropna()}
        if frame[name].dtype == object and len(kinds) > 1 and not kinds <= {int, float}:
            frame[name] = [None if value is None else str(value) for value in frame[name]]
    return frame


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    with replacing(path, durable=False) as temporary:
        _uniform(frame).to_parquet(temporary, index=False)


def _write_html(frame: pd.DataFrame, path: Path) -> None:
    # A table is copied from a page into a spreadsheet too.
    shown_frame = frame.rename(columns=harmless).map(harmless)
    table = shown_frame.to_html(index=False, border=0, na_rep="", escape=True, float_format="{:.4g}".format)
    title = html.escape(f"{len(frame)} runs")
    write_text(
        path,
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n"
        f"<body><h1>{title}</h1>\n{table}\n</body></html>\n",
    )


_WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": write_csv,
    ".parquet": _write_parquet,
    ".html": _write_html,
}
