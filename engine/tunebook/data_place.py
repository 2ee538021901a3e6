"""Where the data of a recipe is: looked at before anything heavy is loaded."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from tunebook.errors import DataError, did_you_mean, shown
from tunebook.opening import from_home, is_there

_DATASET_ID = re.compile(r"(hf:)?\w[\w.-]*/[\w.-]+")
_KINDS = "demo, a folder, a table file or a dataset id such as owner/name"


def is_dataset_id(data: str) -> bool:
    """Whether ``data`` may be the id of a data set on the hub: ``owner/name``, and nothing of that name is here."""
    return _DATASET_ID.fullmatch(data) is not None and not is_there(from_home(data))


def require_place(data: str) -> None:
    """
    Refuse ``data`` that is nowhere: no demo, no folder or file, and no id that a hub could know.

    Parameters
    ----------
    data
        A recipe's ``data``.

    Raises
    ------
    DataError
        There is nothing of that name; the line says what was probably meant.
    """
    path = from_home(data)
    if data == "demo" or is_there(path) or is_dataset_id(data):
        return
    near: list[str] = []
    with suppress(OSError):
        near = [place.name for place in path.parent.iterdir() if not place.name.startswith(".")]
    found = did_you_mean(path.name, near)
    msg = f"data {shown(data)}: no such folder or file{found}; data is {_KINDS}, seen from {shown(str(Path.cwd()))}"
    raise DataError(msg)
