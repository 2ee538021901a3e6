"""A file system of a few bytes in memory, and folders that cannot be written: root makes them for the fault tests."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"only who may mount file systems can make a full disk: {done.stderr.strip()}")


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Put a file system of so many bytes at a new folder while the block lasts."""
    folder.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def grow(folder: Path, size: int) -> None:
    """Give a small disk more room, as who frees some space does."""
    _mount("-o", f"remount,size={size}", str(folder))


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """Let nobody write below a folder while the block lasts, root included."""
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,ro,bind", str(folder))
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
