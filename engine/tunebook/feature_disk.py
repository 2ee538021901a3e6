"""What the store of features asks of the disk: its errors in one line, removing whatever is there, and sizes."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tunebook.errors import StorageError
from tunebook.storage import CACHE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How names begin of what was to be removed; what a killed process left under them is no loss.
GONE = ".gone-"


@contextmanager
def keeping(path: Path) -> Iterator[None]:
    """Turn an ``OSError``, or a ``StorageError`` that came from one, into one line that names a folder and the fix."""
    try:
        yield
    except (OSError, StorageError) as error:
        cause = error.__cause__ if isinstance(error, StorageError) else error
        if not isinstance(cause, OSError):
            raise
        raise StorageError(
            f"features cannot be kept in {path}: {cause.strerror or type(cause).__name__}; "
            f"set {CACHE_VARIABLE} to a folder with room that you may write to"
        ) from cause


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, whatever it is, as far as it can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def remove_at_once(path: Path) -> bool:
    """Remove a folder at once for those who look, while who has it mapped keeps it; say whether it is gone."""
    gone = path.with_name(f"{GONE}{secrets.token_hex(8)}")
    try:
        path.rename(gone)
    except OSError:
        return not os.path.lexists(path)
    remove(gone)
    return True


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder and below; a link counts itself."""
    total = 0
    for inside, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # gone since
                total += (Path(inside) / name).lstat().st_size
    return total
