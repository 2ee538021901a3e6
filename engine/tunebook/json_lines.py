"""JSON Lines: an object a line, within bounds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunebook.errors import shown
from tunebook.names import plain_name
from tunebook.table_bounds import TableBounds, TableError, Watch
from tunebook.text_lines import encoding_of, read_head, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Rows between two looks at the clock.
_PULSE = 1_024


def read_json_lines(path: Path, bounds: TableBounds | None = None) -> list[dict[str, Any]]:
    """
    Read a file of one JSON object a line.

    Parameters
    ----------
    path
        A regular file.
    bounds
        How much of it is read at most; a file beyond that is refused.

    Returns
    -------
    list of dict
        An object a row, its keys as :func:`tunebook.names.plain_name` gives them.

    Raises
    ------
    TableError
        A line is no object, has a key twice, or meets a bound; or it is no text in a known encoding.
    OSError
        It cannot be opened, or is no regular file.
    """
    bounds = bounds or TableBounds()
    return _objects(read_lines(path, encoding_of(path, bounds), bounds), Watch(bounds))


def preview_json_lines(path: Path, bounds: TableBounds | None = None) -> list[dict[str, Any]]:
    """
    Read the objects in the first 256 kB of a file; a line that is cut there does not count.

    Parameters
    ----------
    path
        A regular file.
    bounds
        As in :func:`read_json_lines`, but for the size of the file.

    Raises
    ------
    TableError, OSError
        As :func:`read_json_lines`.
    """
    text, _, is_cut = read_head(path)
    lines = text.split("\n")
    return _objects(iter(lines[:-1] if is_cut else lines), Watch(bounds or TableBounds()))


def _objects(lines: Iterator[str], watch: Watch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    keys: set[str] = set()
    for number, line in enumerate(lines, 1):
        watch.line(len(line), f"line {number:,}")
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_once)
        except RecursionError:
            raise TableError(f"line {number:,}: it is nested too deeply") from None
        except ValueError as error:
            raise TableError(f"line {number:,}: {error}") from None
        if not isinstance(row, dict):
            raise TableError(f'line {number:,} is no object; each line must be one, such as {{"label": "cat"}}')
        keys.update(row)
        watch.columns(len(keys), f"the table up to line {number:,}")
        found.append(row)
        if len(found) % _PULSE == 0:
            watch.rows(len(found))
    watch.rows(len(found))
    plain = {key: plain_name(key) for key in keys}
    twice = next((key for key, name in plain.items() if key != name and name in keys), None)
    if twice is not None:
        raise TableError(f"the keys {shown(twice)} and {shown(plain[twice])} differ in spelling only; rename one")
    if any(key != name for key, name in plain.items()):
        return [{plain[key]: value for key, value in row.items()} for row in found]
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"the key {shown(twice)} is there twice"
        raise ValueError(msg)
    return found
