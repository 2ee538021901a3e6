"""What a person does to a run as a whole: rename it, throw it away."""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunebook.errors import StorageError, shown
from tunebook.opening import folder_open
from tunebook.progress import read_state
from tunebook.runs import Run
from tunebook.storage import storage_error
from tunebook_lab.errors import RequestError
from tunebook_lab.trash import put_into_trash

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,120}")


def rename_run(path: Path, name: str) -> Path:
    """
    Give a run's directory another name.

    Returns
    -------
    Path
        Its new place.

    Raises
    ------
    RequestError
        400: it is no name. 409: it is taken, or the run is running.
    StorageError
        The folder cannot be written.
    """
    if not _NAME.fullmatch(name) or name.startswith(".") or name != name.strip() or len(name.encode()) > 255:  # noqa: PLR2004
        raise RequestError(
            400,
            f"name: {shown(name)} is no name for a run; allowed: no /, \\, control characters and dot at its beginning",
        )
    _check_at_rest(path)
    new = path.with_name(name)
    try:
        with folder_open(path.parent) as folder:
            with suppress(FileNotFoundError):
                os.stat(name, dir_fd=folder, follow_symlinks=False)
                raise RequestError(409, f"{shown(name)} is there already; choose another name")
            os.rename(path.name, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        raise storage_error(new, error) from None
    return new


def delete_run(path: Path, *, to_trash: bool) -> None:
    """
    Put a run's directory into the trash, or delete it.

    Raises
    ------
    RequestError
        409: the run is running.
    StorageError
        It cannot be done; the run stays.
    """
    _check_at_rest(path)
    try:
        with folder_open(path.parent) as folder:
            if to_trash:
                put_into_trash(folder, path.name)
            else:
                shutil.rmtree(path.name, dir_fd=folder)
    except OSError as error:
        raise storage_error(path, error) from None


def goes_to_trash(contents: Any) -> bool:  # noqa: ANN401
    """Say whether a server's contents manager puts what is deleted into the trash, as it does by default."""
    # send2trash deletes folders for good on Windows, where Jupyter refuses them.
    return bool(getattr(contents, "delete_to_trash", True)) and sys.platform != "win32"


def _check_at_rest(path: Path) -> None:
    try:
        state = read_state(Run(path))
    except StorageError:
        return  # what is damaged can be thrown away
    if state.state == "running":
        raise RequestError(409, f"run {path.name} is running; stop it first")
