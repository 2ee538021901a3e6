"""The parameters cell of a notebook: what it assigns, and the same cell with other values."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunebook.errors import NotebookError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Stands for a value that is an expression and no literal.
COMPUTED = object()
_LONGEST = 200_000


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
    if len(source) > _LONGEST:
        msg = f"the cell tagged 'parameters' is {len(source)} characters long; allowed: {_LONGEST}"
        raise NotebookError(msg)
    try:
        body = ast.parse(source).body
        comments = dict(_comments(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:
        first = str(error).partition("\n")[0]
        msg = f"the cell tagged 'parameters' is not plain Python: {first}; it may hold only assignments"
        raise NotebookError(msg) from None
    starts = _line_starts(source)
    found: dict[str, Assignment] = {}
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or value is None:
            continue
        start, end = _place(source, starts, value)
        for target in targets:
            if isinstance(target, ast.Name):
                shown = comments.get(node.end_lineno or 0, "")
                found[target.id] = Assignment(target.id, _literal(value), shown, start, end)
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
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return COMPUTED


def _line_starts(source: str) -> list[int]:
    # As Python's parser counts lines, which knows no other ends than these.
    starts, at = [0], 0
    for line in io.StringIO(source, newline=""):
        at += len(line)
        starts.append(at)
    return starts


def _place(source: str, starts: list[int], node: ast.expr) -> tuple[int, int]:
    def place(line: int, column: int) -> int:
        begin = starts[line - 1]
        # The parser counts bytes.
        return begin + len(source[begin : starts[line]].encode()[:column].decode())

    return place(node.lineno, node.col_offset), place(node.end_lineno or node.lineno, node.end_col_offset or 0)


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ").strip()
