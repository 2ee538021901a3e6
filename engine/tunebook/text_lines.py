"""Texts of tables as lines: in the encoding that their first bytes tell, within bounds, a damaged place by its line."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from tunebook.opening import open_stream
from tunebook.text_encoding import find_encoding, not_decoded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunebook.table_bounds import TableBounds

#: Bytes by which the encoding is found, and that a preview reads.
HEAD = 256 << 10


def encoding_of(path: Path, bounds: TableBounds) -> str:
    """Name the encoding of a file; a ``TableError`` says why it is no text, an ``OSError`` why it cannot be opened."""
    with open_stream(path, largest=bounds.bytes) as stream:
        return find_encoding(stream.read(HEAD))


def read_lines(path: Path, encoding: str, bounds: TableBounds, newline: str | None = None) -> Iterator[str]:
    """
    Yield the lines of a file with their ends, one longer than a line may be in parts.

    Parameters
    ----------
    path
        A regular file.
    encoding
        As :func:`encoding_of` gives it.
    bounds
        How much of it is read at most.
    newline
        As of :func:`open`.

    Raises
    ------
    TableError
        Bytes are none of the encoding; the line is named.
    OSError
        It cannot be opened, or is larger than the bounds allow.
    """
    number = 0
    with open_stream(path, largest=bounds.bytes) as raw, io.TextIOWrapper(raw, encoding, newline=newline) as text:
        try:
            # A line may be the whole file.
            while line := text.readline(bounds.line + 1):
                number += 1
                yield line
        except UnicodeDecodeError as error:
            raise not_decoded(error, encoding, number) from None


def read_head(path: Path) -> tuple[str, str, bool]:
    """
    Read the first 256 kB of a file, however large it is.

    Returns
    -------
    str
        The text; a character that is cut at its end is left out.
    str
        The encoding.
    bool
        Whether the file goes on.

    Raises
    ------
    TableError, OSError
        As :func:`encoding_of` and :func:`read_lines`.
    """
    with open_stream(path) as stream:
        head = stream.read(HEAD)
        is_cut = bool(stream.read(1))
    encoding = find_encoding(head)
    try:
        return head.decode(encoding, "ignore" if is_cut else "strict"), encoding, is_cut
    except UnicodeDecodeError as error:
        raise not_decoded(error, encoding, 0) from None
