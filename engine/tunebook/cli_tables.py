"""Rows of text in columns, as the command prints them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from tunebook.progress import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def print_table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """
    Print rows under titles.

    Parameters
    ----------
    titles
        One a column.
    rows
        Cells, as many as there are titles; what is odd in them is escaped.
    """
    if not sys.stdout.isatty():
        print_columns([titles, *rows])
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:  # as Text: a name is shown, never read as markup
        table.add_row(*(Text(safe(cell)) for cell in row))
    Console().print(table)


def print_columns(rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows of text in columns; the last one is as wide as it likes."""
    # A leading indent is ours, so it stays; whatever else is odd in a cell came from data.
    lines = [[cell[: len(cell) - len(cell.lstrip(" "))] + safe(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo(text.rstrip())
