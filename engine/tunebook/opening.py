"""
Opening files that others wrote: regular files only, of a bounded size, and below a folder without following links.

A pipe keeps whoever opens it waiting for good, a device has no end, and a link inside a folder that others may write to
leads anywhere. So every file of a foreign hand is opened here.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Bytes of a file in a run directory that a person might read: a recipe, a text beside a figure.
SMALL = 4 << 20
#: Bytes of the largest JSON file that is read: metrics with the confusion of 1,000 classes have some 20 MB.
LARGEST = 64 << 20

#: O_NONBLOCK: a pipe without a writer must not keep us waiting. It changes nothing for a regular file.
_CAREFUL = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
#: A folder on the way need not be readable, only passable, where the system can say so.
_ON_THE_WAY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = {
    stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link",
}  # fmt: skip
_root: ContextVar[Path | None] = ContextVar("tunebook_root", default=None)


def from_home(path: Path | str) -> Path:
    """Return a path with a ``~`` at its beginning written out; as it is where there is nobody of that name."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


@contextmanager
def confined(root: Path) -> Iterator[None]:
    """
    Open what lies below a folder from its descriptor on, one name after the other, and follow no link, while it lasts.

    A folder that is swapped for a link in between leads nowhere. It holds for this thread or task, and for all
    functions of this module; paths that do not begin with the folder are opened as always.

    Parameters
    ----------
    root
        The folder, absolute and resolved. It may be reached by links itself.
    """
    token = _root.set(root)
    try:
        yield
    finally:
        _root.reset(token)


@contextmanager
def parent(path: Path) -> Iterator[tuple[int | None, str]]:
    """
    Give what functions of :mod:`os` take for a path: a descriptor as ``dir_fd`` and a name.

    Raises
    ------
    OSError
        While confined: a folder on the way is not there, is a link, or cannot be passed.
    """
    root = _root.get()
    if root is None or not path.is_relative_to(root):
        yield None, os.fspath(path)
        return
    *folders, name = path.relative_to(root).parts or (".",)
    if ".." in folders or name == "..":
        raise OSError(errno.EACCES, "it leads upwards")
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            below = os.open(folder, _ON_THE_WAY, dir_fd=here)
            os.close(here)
            here = below
        yield here, name
    finally:
        os.close(here)


def open_plain(path: Path, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
    """
    Open a regular file.

    Parameters
    ----------
    path
        The file.
    flags, mode
        As :func:`os.open` has them.

    Returns
    -------
    int
        Its descriptor.

    Raises
    ------
    OSError
        It cannot be opened, or is a pipe, a device, a socket, a folder, or while confined a link.
    """
    with parent(path) as (folder, name):
        careful = flags | _CAREFUL | (0 if folder is None else os.O_NOFOLLOW)
        try:
            # Some devices do something when they are opened.
            with suppress(FileNotFoundError):
                require_regular(os.stat(name, dir_fd=folder, follow_symlinks=folder is None))
            descriptor = os.open(name, careful, mode, dir_fd=folder)
        except ValueError:  # a NUL
            raise OSError(errno.EINVAL, "its name is none") from None
        except OSError as error:
            # These say it in words that nobody understands: "No such device or address", "Too many levels of ...".
            odd = {errno.ENXIO: "it is a pipe or a socket and not a regular file"}
            if folder is not None:
                odd[errno.ELOOP] = "it is a link, which is not followed"
            if error.errno in odd:
                raise OSError(error.errno, odd[error.errno]) from None
            raise
    try:
        require_regular(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def require_regular(found: os.stat_result) -> None:
    """Raise an OSError that says what it is, unless it is a regular file."""
    if not stat.S_ISREG(found.st_mode):
        what = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise OSError(errno.EINVAL, f"it is {what} and not a regular file")


def open_stream(path: Path, *, largest: int | None = None, buffering: int = -1) -> BinaryIO:
    """
    Open a regular file for reading bytes.

    Parameters
    ----------
    path
        The file.
    largest
        Bytes that it may have; ``None`` sets no bound.
    buffering
        As :func:`open` has it.

    Raises
    ------
    OSError
        As for :func:`open_plain`, or it is larger.
    """
    descriptor = open_plain(path)
    try:
        if largest is not None:
            _require_size(os.fstat(descriptor).st_size, largest)
        return os.fdopen(descriptor, "rb", buffering)
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """Return the bytes of a regular file; OSError as for :func:`open_stream`."""
    with open_stream(path, largest=largest) as stream:
        # It may grow, and files of the system have no size.
        found = stream.read(largest + 1)
    _require_size(len(found), largest)
    return found


def read_text(path: Path, largest: int = LARGEST, errors: str = "strict") -> str:
    """Return the text of a regular file, UTF-8; OSError as for :func:`open_stream`, UnicodeDecodeError."""
    return read_bytes(path, largest).decode("utf-8", errors).replace("\r\n", "\n")


def status(path: Path) -> os.stat_result:
    """Return what :func:`os.stat` says of a path; while confined a link is not followed."""
    with parent(path) as (folder, name):
        return os.stat(name, dir_fd=folder, follow_symlinks=folder is None)


def is_file(path: Path) -> bool:
    """Say whether there is a regular file."""
    return _is(path, stat.S_ISREG)


def is_folder(path: Path) -> bool:
    """Say whether there is a folder."""
    return _is(path, stat.S_ISDIR)


def is_there(path: Path) -> bool:
    """Say whether there is anything; ``False`` too where a name can be none, being too long or holding a NUL."""
    return _is(path, lambda _mode: True)


@contextmanager
def folder_open(path: Path) -> Iterator[int]:
    """Give a descriptor of a folder, as :func:`os.scandir` takes it; OSError where there is none."""
    with parent(path) as (folder, name):
        careful = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if folder is None else os.O_NOFOLLOW)
        descriptor = os.open(name, careful, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def names_in(path: Path) -> list[str]:
    """Return the names in a folder in no order; OSError where there is none."""
    with folder_open(path) as descriptor, os.scandir(descriptor) as entries:
        return [entry.name for entry in entries]


def leads_out(path: str) -> bool:
    """Say whether a link leads out of the folder that is confined to; ``False`` while nothing is."""
    root = _root.get()
    return root is not None and not Path(os.path.realpath(path)).is_relative_to(root)


@contextmanager
def scanning(folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """
    Scan a folder to which links may lead, as a folder of data is: while confined they must stay below.

    Raises
    ------
    OSError
        There is no such folder, or a link leads out of the folder that is confined to.
    """
    root = _root.get()
    if root is None:
        with os.scandir(folder) as entries:
            yield entries
        return
    place = Path(os.path.realpath(folder))
    if not place.is_relative_to(root):
        raise OSError(errno.EACCES, "a link leads out of the folder that is shown")
    with folder_open(place) as descriptor, os.scandir(descriptor) as entries:
        yield entries


def write_below(path: Path, content: bytes, *, durable: bool) -> bool:
    """
    Write a file whole or not at all while confined, in the folder as it was when it was opened.

    Returns
    -------
    bool
        Whether it was written: ``False`` where the path is not below the folder that is confined to.

    Raises
    ------
    OSError
        It cannot be written; nothing is left that was not there before.
    """
    with parent(path) as (folder, name):
        if folder is None:
            return False
        temporary = f".{name[:40]}.{secrets.token_hex(6)}.part"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise
    return True


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(status(path).st_mode)
    except (OSError, ValueError):
        return False


def _require_size(size: int, largest: int) -> None:
    if size > largest:
        raise OSError(errno.EFBIG, f"it has {size:,} bytes, and at most {largest:,} are read")
