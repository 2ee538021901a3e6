"""Opening foreign files: only what is a regular file, and nothing that could make a reader wait for ever."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path


def open_regular(path: Path, most: int | None = None) -> BinaryIO:
    """
    Open a regular file to read its bytes; links are followed.

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
    # Some devices do something when they are opened, so the kind is looked at before it is opened and afterwards.
    _require_regular(path, path.stat(), most)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        _require_regular(path, os.fstat(descriptor), most)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _require_regular(path: Path, status: os.stat_result, most: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
        raise OSError(0, f"it is {kind} and not a regular file", str(path))
    if most is not None and status.st_size > most:
        raise OSError(0, f"it has {status.st_size:,} bytes, and at most {most:,} are read", str(path))
