"""Opening foreign files: only what is a regular file, and nothing that could make a reader wait for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tunebook.opening import open_stream

if TYPE_CHECKING:
    from pathlib import Path


def open_regular(path: Path, most: int | None = None) -> BinaryIO:
    """
    Open a regular file to read its bytes.

    Parameters
    ----------
    path
        The file.
    most
        Bytes that it may have.

    Raises
    ------
    OSError
        It cannot be opened, is a pipe, a device, a socket or a folder, or is larger; ``strerror`` says it in words.
    """
    return open_stream(path, largest=most)
