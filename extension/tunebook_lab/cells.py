"""The parameters cell of a notebook: what it assigns, and the same cell with other values."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tunebook.errors import NotebookError
from tunebook.templates import LONGEST_CELL, MOST_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Stands for a value that is an expression and no literal.
COMPUTED = object()


@dataclass(frozen=True)
class Assignment:
    """
    A name that a cell assigns at its top level.

    Attributes
    ----------
    name
        The name.
    value
        Its value, or :data:`COMPUTED`.
    help
        The comment at the end of its line.
    start, end
        Where the value's source lies, in characters.
    """

    name: str
    value: Any
    help: str
    start: int
    end: int


def assignments(source: str) -> list[Assignment]:
    """
    Read a parameters cell; of a name that is assigned more than once the last one counts.

    Raises
    ------
    NotebookError
        It is not plain Python.
    """
    if len(source) > LONGEST_CELL:
        msg = f"the cell tagged 'parameters' is {len(source)} characters long; allowed: {LONGEST_CELL}"
        raise NotebookError(msg)
    try:
        body = ast.parse(source).body
        comments = dict(_comments(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:
        first = str(error).partition("\n")[0]
        msg = f"the cell tagged 'parameters' is not plain Python: {first}; it may hold only assignments"
        raise NotebookError(msg) from None
    places = _Places(source)
    found: dict[str, Assignment] = {}
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or value is None:
            continue
        start, end = places.of(value)
        for target in targets:
            if isinstance(target, ast.Name):
                shown = comments.get(node.end_lineno or 0, "")
                found[target.id] = Assignment(target.id, _literal(value), shown, start, end)
        if len(found) > MOST_PARAMETERS:
            msg = f"the cell tagged 'parameters' assigns more than {MOST_PARAMETERS} names, the most that are read"
            raise NotebookError(msg)
    return list(found.values())


def with_values(source: str, values: Mapping[str, Any], lines: Mapping[str, str]) -> str:
    """
    Return a parameters cell with other values; comments, order and what else it holds stay.

    Parameters
    ----------
    source
        The cell.
    values
        Name to value. A value that the cell has already is left as it is written.
    lines
        Name to the whole line that is added for a name which the cell lacks; a name without one gets a plain
        assignment.

    Raises
    ------
    NotebookError
        The cell is not plain Python.
    """
    known = {found.name: found for found in assignments(source)}
    changed = [(known[name], value) for name, value in values.items() if name in known]
    # From the end, so that places before stay where they are.
    for found, value in sorted(changed, key=lambda pair: -pair[0].start):
        if not _same(found.value, value):
            source = source[: found.start] + literal(value) + source[found.end :]
    added = [lines.get(name, f"{name} = {literal(value)}") for name, value in values.items() if name not in known]
    return "\n".join([*([source.rstrip("\n")] if source.strip() else []), *added])


def literal(value: object) -> str:
    """Write a value as Python source on one line."""
    if isinstance(value, str):
        # papermill splits a cell into lines at characters at which Python does not.
        return json.dumps(value, ensure_ascii=False) if value.isprintable() else ascii(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    return repr(value)


def _same(old: object, new: object) -> bool:
    # True equals 1 to Python, and a tuple is a list to JSON.
    return old is not COMPUTED and type(old) is type(new) and old == new and repr(old) == repr(new)


def _literal(node: ast.expr) -> Any:  # noqa: ANN401
    try:
        value = ast.literal_eval(node)
        # Python reads hexadecimal numbers of any length and writes none of more than 4,300 digits.
        repr(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return COMPUTED
    return value


class _Places:
    """Where nodes lie in a source, in characters: the parser counts lines, and bytes within them."""

    def __init__(self, source: str) -> None:
        # As Python's parser counts lines, which knows no other ends than these.
        self._lines = list(io.StringIO(source, newline=""))
        self._starts = [0, *accumulate(map(len, self._lines))]
        #: Of lines that are not ASCII alone: the byte at which each character begins.
        self._bytes: dict[int, list[int]] = {}

    def of(self, node: ast.expr) -> tuple[int, int]:
        """Return where a node begins and ends."""
        end = self._place(node.end_lineno or node.lineno, node.end_col_offset or 0)
        return self._place(node.lineno, node.col_offset), end

    def _place(self, line: int, column: int) -> int:
        text = self._lines[line - 1]
        if not text.isascii():
            if line not in self._bytes:
                self._bytes[line] = [0, *accumulate(len(letter.encode()) for letter in text)]
            column = bisect_left(self._bytes[line], column)
        return self._starts[line - 1] + column


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ").strip()
