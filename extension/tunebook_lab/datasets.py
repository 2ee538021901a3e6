"""A look at a folder or a table: what it holds, and which templates could be fine-tuned on it."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from tunebook.templates import list_templates
from tunebook_lab.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tunebook_lab.paths import Root

_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
_SPLITS = {"train", "training", "val", "valid", "validation", "test"}
_TABLES = {".csv", ".parquet", ".jsonl"}
_MOST_ENTRIES = 100_000
_SAMPLE = 50
_MOST_COLUMNS = 200
_LABELS = ("label", "class", "category", "target", "sentiment", "y")
_TEXTS = ("text", "sentence", "review", "content", "comment", "document", "tweet", "message", "title")
_PATHS = ("path", "file", "filename", "file_name", "image", "image_path", "picture")


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
    """

    kind: str = "unknown"
    summary: str = "nothing to fine-tune on was recognised"
    columns: list[str] = field(default_factory=list)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)


def look(root: Root, path: str, folder: str) -> dict[str, Any]:
    """
    Look at a path.

    Parameters
    ----------
    root
        The server's root.
    path
        A folder, or a CSV, Parquet or JSONL file.
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
        seen = _pictures(place) if place.is_dir() else _table(place)
    except (OSError, ValueError, csv.Error) as error:
        seen = Look(summary=f"it cannot be read: {error}")
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
        "suggestions": suggestions,
    }  # fmt: skip


def _pictures(folder: Path) -> Look:
    """Count pictures by class: sub-folders, below folders of splits where there are some."""
    classes: dict[str, int] = {}
    budget = _MOST_ENTRIES
    for label, entry in _class_folders(folder):
        count = 0
        for name in islice(_files(entry), budget):
            count += os.path.splitext(name)[1].lower() in _PICTURES  # noqa: PTH122 - of 100,000 names
            budget -= 1
        if count:
            classes[label] = classes.get(label, 0) + count
    total = sum(classes.values())
    if len(classes) < 2:  # noqa: PLR2004 - one class is nothing to tell apart
        return Look(summary="no sub-folders with pictures: one for each class is wanted")
    more = "at least " if budget <= 0 else ""
    summary = f"{len(classes)} classes, {more}{total:,} pictures"
    return Look("pictures", summary, values={"image-classification": {}})


def _class_folders(folder: Path) -> Iterator[tuple[str, str]]:
    tops = [entry for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]
    splits = [entry for entry in tops if entry.name.lower() in _SPLITS]
    for top in splits or tops:
        if not splits:
            yield top.name, top.path
            continue
        for entry in os.scandir(top.path):
            if entry.is_dir() and not entry.name.startswith("."):
                yield entry.name, entry.path


def _files(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name


def _table(path: Path) -> Look:
    if path.suffix.lower() not in _TABLES:
        return Look()
    columns, rows = _parquet(path) if path.suffix.lower() == ".parquet" else _lines(path)
    if not columns:
        return Look(summary="a table without columns")
    summary = f"table with {len(columns)} columns: {', '.join(columns[:8])}{', ...' if len(columns) > 8 else ''}"  # noqa: PLR2004
    label = _named(columns, _LABELS) or _few_values(columns, rows)
    labelled = {"label": label} if label and label != "label" else {}
    path_column = _picture_column(columns, rows)
    text_column = _named(columns, _TEXTS) or _longest(columns, rows, label)
    found: dict[str, dict[str, Any]] = {}
    if path_column:
        found["image-classification"] = labelled | ({"path": path_column} if path_column != "path" else {})
    if text_column and not path_column:
        found["text-classification"] = labelled | ({"text": text_column} if text_column != "text" else {})
    return Look("table", summary, columns[:_MOST_COLUMNS], found)


def _lines(path: Path) -> tuple[list[str], list[list[str]]]:
    """Read the first rows of a CSV or JSONL file."""
    # newline="" is what csv asks for; a long first line does not count.
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        head = stream.read(256 << 10)
    if path.suffix.lower() == ".jsonl":
        return _json_lines(head.splitlines())
    try:
        dialect: Any = csv.Sniffer().sniff(head[:8192], ",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = list(islice(csv.reader(head.splitlines(keepends=True), dialect), _SAMPLE + 1))
    return (rows[0], rows[1:]) if rows else ([], [])


def _json_lines(lines: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    import json  # noqa: PLC0415

    records = []
    for line in islice(lines, _SAMPLE):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    columns = list(records[0]) if records else []
    return columns, [[str(record.get(column, "")) for column in columns] for record in records]


def _parquet(path: Path) -> tuple[list[str], list[list[str]]]:
    import pyarrow as pa  # noqa: PLC0415 - slow to import
    from pyarrow import parquet  # noqa: PLC0415

    try:
        file = parquet.ParquetFile(path)
        columns = [str(name) for name in file.schema_arrow.names]
        batch = next(file.iter_batches(batch_size=_SAMPLE), None)
    except pa.ArrowException as error:
        raise RequestError(400, f"{path.name} is no Parquet file: {str(error).partition('.')[0]}") from None
    records = batch.to_pylist() if batch is not None else []
    return columns, [[str(record[column])[:1000] for column in columns] for record in records]


def _named(columns: Sequence[str], wanted: Sequence[str]) -> str:
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in wanted if name in lower), "")


def _column(columns: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> list[str]:
    place = columns.index(name)
    return [row[place] for row in rows if len(row) > place]


def _picture_column(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ordered = sorted(columns, key=lambda column: column.lower() not in _PATHS)
    for column in ordered:
        values = _column(columns, rows, column)
        ends = [os.path.splitext(value)[1].lower() in _PICTURES for value in values]  # noqa: PTH122
        if values and sum(ends) > len(ends) / 2:
            return column
    return ""


def _few_values(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the last column that says the same again and again."""
    for column in reversed(columns):
        values = _column(columns, rows, column)
        if values and 1 < len(set(values)) <= len(values) / 4:
            return column
    return ""


def _longest(columns: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> str:
    """Return the column with the longest values, if they are longer than a word."""
    lengths = {
        column: sum(map(len, values)) / len(values)
        for column in columns
        if column != label and (values := _column(columns, rows, column))
    }
    best = max(lengths, key=lambda column: lengths[column], default="")
    return best if best and lengths[best] > 20 else ""  # noqa: PLR2004 - letters
