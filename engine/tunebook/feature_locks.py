"""
Locks of a table of features: one held in common by those who use it, one held by the one who adds to it.

They are held on open files, so that the system lets go of them when a process is killed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from tunebook.errors import shown
from tunebook.feature_disk import remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

USE, FILL = ".use", ".fill"
#: A name of ours may be a link, which is not followed, or a pipe, which must not keep us waiting.
_CAREFUL = os.O_NOFOLLOW | os.O_NONBLOCK
_POLL = 0.5
#: The table is gone, or something else has its name.
_NOT_THERE = (FileNotFoundError, NotADirectoryError)


def hold(table: Path, *, make: bool) -> int:
    """
    Keep a table from being evicted until the open file that is returned is closed.

    Raises
    ------
    FileNotFoundError
        There is no such folder, and it was not to be made.
    OSError
        The folder can be neither read nor made.
    """
    while True:
        _see_to_folder(table, make=make)
        with ExitStack() as opened:
            try:
                lock = _open_to_read(table / USE)
            except _NOT_THERE:
                if make:
                    continue  # it was evicted since we made it
                raise
            opened.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if _is_at(lock, table / USE):  # else it was evicted before we had the lock
                opened.pop_all()
                return lock


def wait_to_fill(table: Path, on_wait: Callable[[str], None] | None) -> int:
    """
    Be the only one who adds to a table until the open file that is returned is closed.

    Parameters
    ----------
    table
        Its folder, which is held.
    on_wait
        Told in a line which process has the lock, once for each; it may raise to give up.
    """
    with ExitStack() as opened:
        lock = _open_to_write(table / FILL)
        opened.callback(os.close, lock)
        told, waited, pause = "", 0.0, 0.02
        while not _try_lock(lock):
            time.sleep(pause)
            waited, pause = waited + pause, min(2 * pause, _POLL)
            line = f"features are being computed by {_holder(lock)}; waiting for it"
            # Who looks whether a table is in use holds the lock for an instant.
            if on_wait is not None and line != told and waited > _POLL / 2:
                on_wait(line)
                told = line
        with suppress(OSError):  # a full disk: then others do not see who has it
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()} {socket.gethostname()}".encode(), 0)
        opened.pop_all()
        return lock


@contextmanager
def alone(table: Path, *, make: bool) -> Iterator[bool]:
    """
    Say whether nobody uses a table or adds to it, and keep it so while the block lasts.

    Without ``make`` locks that are not there are not made: nothing is changed, and others may come in meanwhile.
    """
    with ExitStack() as opened:
        free = True
        for name in (USE, FILL):
            try:
                lock = _open_to_write(table / name) if make else os.open(table / name, os.O_RDONLY | _CAREFUL)
                opened.callback(os.close, lock)
                # A lock of a table that was evicted since, and is there again, says nothing of the one that is there.
                free = free and _try_lock(lock) and _is_at(lock, table / name)
            except OSError:
                free = free and not make
        yield free


def _see_to_folder(table: Path, *, make: bool) -> None:
    """
    Make a table's folder, in place of whatever else has its name; others may make or remove it at any moment.

    ``Path.mkdir(exist_ok=True)`` would look twice, and raise where the folder is evicted between its two looks.
    """
    try:
        is_folder = stat.S_ISDIR(table.lstat().st_mode)
    except FileNotFoundError:
        is_folder = False
    else:
        if not is_folder and make:
            with suppress(FileNotFoundError, IsADirectoryError):  # gone by now, or a table
                table.unlink()
    if is_folder:
        return
    if not make:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    table.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError, FileNotFoundError):  # who opens its lock finds out, and comes again
        table.mkdir()


def _is_at(lock: int, path: Path) -> bool:
    """Say whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat(follow_symlinks=False))
    except _NOT_THERE:
        return False


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(lock: int) -> str:
    """Read who has a lock: the file may hold anything."""
    try:
        pid, host = os.pread(lock, 300, 0).decode("ascii").split()
        where = "" if host == socket.gethostname() else f" on {shown(host)}"
        return f"process {int(pid)}{where}"
    except (OSError, ValueError):
        return "another process"


def _open_to_read(path: Path) -> int:
    """Open a lock's file to hold it in common, for which a folder that may only be read is enough."""
    with suppress(OSError):
        return os.open(path, os.O_RDONLY | _CAREFUL)
    return _open_to_write(path)


def _open_to_write(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | _CAREFUL, 0o666)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.EISDIR, errno.ENXIO}:
            raise
    remove(path)  # something strange has the lock's name
    return os.open(path, os.O_RDWR | os.O_CREAT | _CAREFUL, 0o666)
