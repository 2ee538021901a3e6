"""Values of a table that stand for files: paths as people write them, or the bytes of a file itself."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tunebook.cells import CellError, is_missing, text_of
from tunebook.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_FILE_URL = re.compile(r"file://(?:localhost)?/", re.IGNORECASE)
#: Bytes that are no file but the text of its path are no more than this.
_LONGEST_PATH = 4_096


def is_url(path: str) -> bool:
    """Whether a path is an address of the web or the like."""
    return _URL.match(path) is not None


def file_of(value: object, folder: Path, keep: Callable[[bytes], str] | None) -> str | None:
    """
    Return the path of a file that a value of a table stands for; ``None`` for what is missing.

    ``~`` is the home folder. Of a path that is not there as it is written, backslashes are taken for slashes, spaces
    around it are left out, and letters with accents are looked for composed and decomposed. A mapping of ``bytes`` and
    ``path``, as the library ``datasets`` writes it, is its bytes, or else its path. An address of the web stays as
    it is: nothing is downloaded.

    Parameters
    ----------
    value
        As the table has it.
    folder
        Relative paths are seen from here.
    keep
        Writes bytes to a file and returns its path.

    Raises
    ------
    CellError
        It is something else.
    """
    if isinstance(value, dict) and value.keys() & {"bytes", "path"}:
        return _of_mapping(value, folder, keep)
    if isinstance(value, (bytes, bytearray)) and not _is_path(bytes(value)):
        if keep is None:
            raise CellError(f"it is bytes and no path ({shown(bytes(value[:20]), 40)})")
        return keep(bytes(value))
    if is_missing(value):
        return None
    text = text_of(value) or ""
    if len(text) > _LONGEST_PATH or text.startswith("data:"):
        raise CellError(
            f"it is {len(text):,} characters and no path ({shown(text, 40)}); save it as a file, or as bytes in Parquet"
        )
    if not text.strip() or (is_url(text.strip()) and not _FILE_URL.match(text.strip())):
        return text.strip() or None
    return _found(text, folder)


def _of_mapping(value: Mapping[object, object], folder: Path, keep: Callable[[bytes], str] | None) -> str | None:
    raw = value.get("bytes")
    if raw is None:
        return file_of(value.get("path"), folder, keep)
    if not isinstance(raw, (bytes, bytearray)) or keep is None:
        raise CellError(f"its bytes are of type {type(raw).__name__}")
    return keep(bytes(raw))


def _is_path(value: bytes) -> bool:
    try:
        return len(value) <= _LONGEST_PATH and value.decode("utf-8").isprintable()
    except UnicodeDecodeError:
        return False


def _found(text: str, folder: Path) -> str:
    """Return the first of the ways to read a path under which there is something; of none, the path without spaces."""
    written = _FILE_URL.sub("/", text.strip())
    # Whoever puts file:// before a path by hand leaves a percent sign in it as it is.
    plain = unquote(written) if written != text.strip() else written
    some = (plain, plain.replace("\\", "/"), written)
    ways = [text, *(os.path.expanduser(way) for way in some)]  # noqa: PTH111 - of many
    if not text.isascii():
        ways += [unicodedata.normalize(form, way) for form in ("NFC", "NFD") for way in ways[1:]]
    paths = [str(folder / way) for way in dict.fromkeys(ways)]
    if len(paths) == 1:
        return paths[0]
    return next((path for path in paths if _is_there(path)), str(folder / ways[1]))


def _is_there(path: str) -> bool:
    try:
        return os.path.exists(path)  # noqa: PTH110 - of many
    except ValueError:  # NUL in a path
        return False
