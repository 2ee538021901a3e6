"""What a saved cell shows of figures without any style sheet: tables and pictures as HTML, tables as text too."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tunebook.figures import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.figures import Picture

#: Ink of rows that do not count.
_FAINT = "#8a9199"


@dataclass(frozen=True)
class Table:
    """
    Cells as text.

    Attributes
    ----------
    heads, rows
        One cell a column; the first of a row is its name.
    small
        Which rows do not count; none when empty.
    """

    heads: list[str]
    rows: list[list[str]]
    small: list[bool] = field(default_factory=list)

    def _marked(self) -> list[tuple[list[str], bool]]:
        return list(zip(self.rows, self.small or [False] * len(self.rows), strict=True))

    def lines(self) -> list[str]:
        """Return it as text, the first column to the left and the others to the right."""
        marked = [[f"[{row[0]}]" if small else row[0], *row[1:]] for row, small in self._marked()]
        columns = list(zip(self.heads, *marked, strict=True))
        widths = [max(map(len, column)) for column in columns]
        aligned = [
            [cell.rjust(width) if k else cell.ljust(width) for cell in column]
            for k, (column, width) in enumerate(zip(columns, widths, strict=True))
        ]
        return ["  ".join(line).rstrip() for line in zip(*aligned, strict=True)]

    def html(self, title: str) -> str:
        """Return it as HTML that needs no style sheet: a notebook strips those from what it does not trust."""
        body = []
        for row, small in self._marked():
            ink = f' style="color:{_FAINT}"' if small else ""
            body.append(f"<tr{ink}>{_cells('td', row)}</tr>")
        return (
            f"<table><caption>{escape(title)}</caption><thead><tr>{_cells('th', self.heads)}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table>"
        )


def picture_html(plot: Picture) -> str:
    """Return a picture as a part of a page, with its text for those who do not see it."""
    data = base64.b64encode(plot.png).decode("ascii")
    return f'<p><img alt="{escape(plain(plot.text, 1500))}" src="data:image/png;base64,{data}"></p>'


def _cells(tag: str, texts: Sequence[str]) -> str:
    return "".join(
        f'<{tag} style="text-align:{"right" if k else "left"}">{escape(text)}</{tag}>' for k, text in enumerate(texts)
    )


def escape(text: str) -> str:
    """Write text from anywhere as one line of HTML."""
    return html.escape(plain(text))
