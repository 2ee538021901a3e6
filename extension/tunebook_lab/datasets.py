"""A look at a folder or a table: what it holds, and which templates could be fine-tuned on it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tunebook.csv_dialect import preview_separated
from tunebook.errors import shown
from tunebook.folders import Bounds, read_layout
from tunebook.json_lines import preview_json_lines
from tunebook.opening import is_folder
from tunebook.parquet_file import read_parquet
from tunebook.picture_kinds import is_picture, suffixes
from tunebook.table_bounds import TableBounds
from tunebook.templates import list_templates
from tunebook_lab.columns import MOST_COLUMNS, Choice, Column, describe, label_of, listed, path_of, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from tunebook.folders import Layout
    from tunebook_lab.paths import Root

_TABLES = {".csv", ".tsv", ".parquet", ".jsonl"}
_BOUNDS = Bounds(entries=100_000, depth=32, seconds=2.0)
_SAMPLE = 1000
#: How much of a table is looked at; the bytes are those of a Parquet file's first part once it is unpacked.
_TABLE_BOUNDS = TableBounds(bytes=256 << 20, seconds=10.0)


@dataclass
class Look:
    """
    What was seen.

    Attributes
    ----------
    kind
        ``"pictures"``, ``"table"`` or ``"unknown"``.
    summary
        A few words.
    columns
        Of a table.
    values
        Task to the parameters that fit, the likeliest task first.
    preview
        What the columns hold, in the first ``rows`` rows.
    choices
        Parameter to the column for it; one without a column has to be asked for.
    """

    kind: str = "unknown"
    summary: str = "nothing to fine-tune on was recognised"
    columns: list[str] = field(default_factory=list)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    preview: list[Column] = field(default_factory=list)
    rows: int = 0
    choices: dict[str, Choice] = field(default_factory=dict)


def look(root: Root, path: str, folder: str) -> dict[str, Any]:
    """
    Look at a path.

    Parameters
    ----------
    root
        The server's root.
    path
        A folder, or a CSV, TSV, Parquet or JSONL file.
    folder
        Where the notebook will be.

    Returns
    -------
    dict
        As the OpenAPI file's ``Data``.

    Raises
    ------
    RequestError
        There is nothing at that path.
    """
    place, home = root.existing(path), root.is_folder(folder)
    try:
        seen = _pictures(place) if is_folder(place) else _table(place)
    except (OSError, ValueError) as error:
        seen = Look(summary=f"it cannot be read: {getattr(error, 'strerror', None) or error}")
    data = os.path.relpath(place, home).replace(os.sep, "/")
    by_task: dict[str, list[str]] = {}
    for template in list_templates():
        if not template.problem:
            by_task.setdefault(template.task, []).append(template.name)
    suggestions = [
        {"template": name, "values": {"data": data, **values}}
        for task, values in seen.values.items()
        for name in by_task.get(task, [])
    ]
    return {
        "path": path, "kind": seen.kind, "summary": " ".join(seen.summary.split()), "columns": seen.columns,
        "suggestions": suggestions, "preview": listed(seen.preview), "rows": seen.rows,
        "choices": {name: asdict(choice) for name, choice in seen.choices.items()},
    }  # fmt: skip


def _pictures(folder: Path) -> Look:
    """Say what the engine would make of a folder of pictures, as far as a short look goes."""
    layout = read_layout(str(folder), suffixes(), is_picture, _BOUNDS)
    problem = layout.problem or ("" if layout.bound else _empty(layout))
    if problem or len(layout.classes) < 2:  # noqa: PLR2004 - one class is nothing to tell apart
        short = f"; it holds {layout.bound}, and no more was looked at" if layout.bound else ""
        return Look(summary=f"{problem or 'no sub-folders with pictures: one for each class is wanted'}{short}")
    more = "at least " if layout.bound else ""
    given = f" in {', '.join(layout.splits)}" if layout.splits else ""
    said = "".join(f"; {text}" for _, text in layout.remarks)
    summary = f"{len(layout.classes)} classes, {more}{len(layout.files):,} pictures{given}{said}"
    return Look("pictures", summary, values={"image-classification": {}})


def _empty(layout: Layout) -> str:
    return f"class folder {shown(layout.empty[0])} holds no picture" if layout.empty else ""


def _table(path: Path) -> Look:
    if path.suffix.lower() not in _TABLES:
        return Look()
    columns, rows = _parquet(path) if path.suffix.lower() == ".parquet" else _lines(path)
    if not columns:
        return Look(summary="a table without columns")
    summary = f"table with {len(columns)} columns: {', '.join(columns[:8])}{', ...' if len(columns) > 8 else ''}"  # noqa: PLR2004
    preview = describe(columns, rows)
    label = label_of(preview)
    choices = {"label": label, "text": text_of(preview, label.column), "path": path_of(preview)}
    has_pictures = any(column.type == "picture files" for column in preview)
    task, content = ("image-classification", "path") if has_pictures else ("text-classification", "text")
    # What is not clear is left out: the form asks for it.
    named = {name: choices[name].column for name in ("label", content) if choices[name].column not in {"", name}}
    is_of_use = has_pictures or any(column.type in {"text", "words"} for column in preview)
    return Look(
        "table", summary, columns[:MOST_COLUMNS], {task: named} if is_of_use else {}, preview, len(rows), choices
    )


def _lines(path: Path) -> tuple[list[str], list[list[str]]]:
    """Read the first rows of a CSV, TSV or JSONL file."""
    if path.suffix.lower() != ".jsonl":
        found = preview_separated(path, _TABLE_BOUNDS)
        return found.columns, found.rows[:_SAMPLE]
    records = preview_json_lines(path, _TABLE_BOUNDS)[:_SAMPLE]
    columns = list(records[0]) if records else []
    return columns, [[str(record.get(column, "")) for column in columns] for record in records]


def _parquet(path: Path) -> tuple[list[str], list[list[str]]]:
    found = read_parquet(path, bounds=_TABLE_BOUNDS, most=_SAMPLE)
    # What a file says of its sizes may be wrong: the process in which it is read has a bound of its own.
    values = zip(*found.values.values(), strict=True)
    return list(found.values), [[str(value)[:1000] for value in row] for row in values]
