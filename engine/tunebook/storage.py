"""Writing files so that whatever appears under its final name is whole."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook.errors import StorageError
from tunebook.opening import LARGEST, from_home, read_bytes, write_below
from tunebook.plain_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Environment variable that names the folder for what can be made again.
CACHE_VARIABLE = "TUNEBOOK_CACHE"


def cache_folder() -> Path:
    """Return the folder for what can be made again: ``$TUNEBOOK_CACHE``, or the user's cache folder."""
    from platformdirs import user_cache_dir  # noqa: PLC0415

    return from_home(os.environ.get(CACHE_VARIABLE) or user_cache_dir("tunebook")).absolute()


def storage_error(path: Path | str, error: OSError) -> StorageError:
    """Turn an error of the system into one line that names the path and the fix."""
    reason = error.strerror or type(error).__name__
    fix = {
        "No space left on device": "free some space there, then go on with --resume",
        "Disk quota exceeded": "free some space there, then go on with --resume",
        "Permission denied": "choose a folder that you may write to, with runs_dir or --out",
        "Read-only file system": "choose a folder that you may write to, with runs_dir or --out",
    }.get(reason, "check the path and the disk")
    return StorageError(f"cannot write {path}: {reason}; {fix}")


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut, where the system allows it."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """
    Give a temporary path beside ``path`` that takes its place when the block ends well.

    Parameters
    ----------
    path
        Final name of a file.
    durable
        Wait until the bytes are on the disk. Without it a reader still never sees half a file,
        but a power cut may bring back the old one.

    Raises
    ------
    StorageError
        The file cannot be written; nothing is left under either name that was not there before.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        if durable:
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
        # mkstemp makes files private; a run directory is shared as the user's umask says.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """
    Give an empty temporary folder beside ``path`` that takes its place when the block ends well.

    A folder already there is replaced, and stays whole until the new one is ready.

    Raises
    ------
    StorageError
        The folder cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent))
        temporary.chmod(0o777 & ~_umask())
        yield temporary
        for file in sorted(temporary.rglob("*")):
            if file.is_file():
                with file.open("rb+") as stream:
                    os.fsync(stream.fileno())
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", suffix=".old", dir=path.parent))
            path.replace(old / path.name)
            temporary.replace(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if temporary is not None and temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """
    Give an empty folder that is gone when the block ends; what a killed process left there is removed first.

    Raises
    ------
    StorageError
        The folder cannot be made.
    """
    try:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
    except OSError as error:
        raise storage_error(path, error) from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a text file whole or not at all, UTF-8."""
    try:
        if write_below(path, text.encode(), durable=durable):
            return
    except OSError as error:
        raise storage_error(path, error) from None
    with replacing(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_texts(texts: Mapping[Path, str], *, durable: bool = True) -> None:
    """Write text files that belong together, UTF-8: all of them whole or none."""
    with ExitStack() as files:
        for path, text in texts.items():
            files.enter_context(replacing(path, durable=durable)).write_text(text, encoding="utf-8")


def json_text(value: Any) -> str:  # noqa: ANN401
    """Return a value as JSON with a line's end; numbers that are not finite are refused."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:  # noqa: ANN401
    """Write a JSON file whole or not at all; numbers that are not finite are refused."""
    write_text(path, json_text(value), durable=durable)


def read_json(path: Path, largest: int = LARGEST) -> Any:  # noqa: ANN401
    """
    Read a JSON file.

    Parameters
    ----------
    path
        The file.
    largest
        Bytes that it may have.

    Raises
    ------
    StorageError
        The file is missing, is no regular file, is too large, or is not JSON.
    """
    try:
        return parse_json(read_bytes(path, largest))
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise StorageError(f"{path} is not valid JSON: {error}") from None
