"""Files of pictures: regular ones, of a size that fits, read whole."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path

from tunebook.errors import shown

MAX_FILE_BYTES = 200_000_000


class RefusedError(Exception):
    """
    A file is not taken.

    Attributes
    ----------
    problem
        ``"unreadable"`` or ``"too large"``.
    reason
        Why, in a few words on one line.
    """

    def __init__(self, problem: str, reason: str) -> None:
        super().__init__(problem, reason)
        self.problem, self.reason = problem, reason


def read_bytes(content: object) -> bytes:
    """
    Read a picture's file.

    Raises
    ------
    RefusedError
        It is no regular file, is empty, too large, or cannot be read.
    """
    if not isinstance(content, str | os.PathLike) or not str(content):
        # What a table lacks is None, an empty text or a number that is none.
        lacks = content is None or isinstance(content, str) or (isinstance(content, float) and math.isnan(content))
        raise RefusedError(
            "unreadable", "there is no picture" if lacks else f"the path is {shown(content, 40)}, not text"
        )
    try:
        require_file(content)
        raw = Path(content).read_bytes()
    except FileNotFoundError:
        raise RefusedError("unreadable", "no such file") from None
    except (OSError, ValueError) as error:
        raise RefusedError("unreadable", reason_of(error)) from None
    if not raw:
        raise RefusedError("unreadable", "empty file")
    return raw


def require_file(path: str | os.PathLike[str]) -> None:
    """
    Look at a path before anything is read from it.

    Raises
    ------
    RefusedError
        It is no regular file, or one that is too large.
    OSError
        It cannot be looked at.
    """
    status = Path(path).stat()
    # A pipe would be waited for without end.
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError("unreadable", "not a file")
    if status.st_size > MAX_FILE_BYTES:
        raise RefusedError("too large", f"{status.st_size / 1e6:.0f} MB")


def reason_of(error: Exception) -> str:
    """Say in a few words on one line why a file cannot be read."""
    return shown(getattr(error, "strerror", None) or str(error) or type(error).__name__).strip("'\"")
