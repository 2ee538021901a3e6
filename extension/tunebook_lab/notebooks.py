"""Notebooks made from templates, and the form of one that is on the disk."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook.errors import RecipeError, shown
from tunebook.opening import folder_open
from tunebook.storage import storage_error
from tunebook.templates import SUFFIX, find_template, list_templates, load_notebook, task_of
from tunebook_lab.errors import RequestError
from tunebook_lab.forms import cell_form, cell_source, parameters_cell, rewrite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunebook_lab.paths import Root

_LONGEST_NAME = 200


def template_path(name: str) -> Path:
    """Return the notebook of a template, 404 where there is none."""
    if name not in {template.name for template in list_templates()}:
        raise RequestError(404, f"no template {shown(name)}; GET /templates lists them")
    return find_template(name).path


def notebook_form(root: Root, path: str) -> dict[str, Any]:
    """
    Return the form of a notebook.

    Raises
    ------
    RequestError
        There is none at that path.
    NotebookError
        It cannot be read, or its parameters cell is not plain Python.
    """
    notebook = load_notebook(root.is_file(path))
    title = Path(path).name.removesuffix(SUFFIX)
    return {**cell_form(task_of(notebook), cell_source(notebook)), "path": path, "title": title}


def create_notebook(root: Root, template: str, folder: str, name: str, values: Mapping[str, Any]) -> str:
    """
    Make a notebook from a template, with its parameters cell filled; see :func:`copy_notebook`.

    Parameters
    ----------
    root
        The server's root.
    template
        Name of the template.
    folder
        Where it goes, which must be there.
    name
        File name, with or without its suffix; empty takes the template's. One that is taken gets a number.
    values
        Parameter to value.

    Returns
    -------
    str
        Path of the new notebook.

    Raises
    ------
    RequestError
        The template or folder is not there, or the name is none.
    RecipeError
        A value is not allowed; nothing was written.
    StorageError
        The notebook cannot be written.
    """
    return copy_notebook(root, template_path(template), folder, name or template, values)


def copy_notebook(root: Root, source: Path, folder: str, name: str, values: Mapping[str, Any]) -> str:
    """
    Copy a notebook without its outputs, with its parameters cell filled.

    Parameters
    ----------
    root
        The server's root.
    source
        The notebook.
    folder, name, values
        As for :func:`create_notebook`.

    Returns
    -------
    str
        Path of the new notebook.
    """
    place = root.is_folder(folder)
    stem = _stem(name)
    notebook = filled(load_notebook(source), values)
    cells = [_without_outputs(cell) for cell in notebook["cells"]]
    text = json.dumps({**notebook, "cells": cells}, indent=1, ensure_ascii=False) + "\n"
    return root.name(_write_new(place, stem, text))


def _without_outputs(cell: dict[str, Any]) -> dict[str, Any]:
    return {**cell, "outputs": [], "execution_count": None} if cell.get("cell_type") == "code" else cell


def filled(notebook: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a notebook with other values in its parameters cell.

    Raises
    ------
    RecipeError
        A value is not allowed, or the notebook takes no parameters.
    """
    if not values:
        return dict(notebook)
    old = parameters_cell(notebook)
    if old is None:
        msg = "the notebook takes no parameters: tag the cell that assigns their defaults with 'parameters'"
        raise RecipeError(msg)
    new = {**old, "source": rewrite(task_of(notebook), cell_source(notebook), values).splitlines(keepends=True)}
    return {**notebook, "cells": [new if cell is old else cell for cell in notebook["cells"]]}


def _stem(name: str) -> str:
    stem = name.removesuffix(SUFFIX).strip()
    bad = not stem or stem.startswith(".") or any(letter in "/\\" or not letter.isprintable() for letter in stem)
    if bad or len(stem.encode()) > _LONGEST_NAME:
        raise RequestError(
            400, f"{shown(name)} is no name for a notebook; allowed: a file name without / and control characters"
        )
    return stem


def _names(stem: str) -> Iterator[str]:
    yield stem + SUFFIX
    for number in range(1, 10_000):
        yield f"{stem}-{number}{SUFFIX}"


def _write_new(folder: Path, stem: str, text: str) -> Path:
    """Write a file whole under the first name that is free; what is there is never replaced, not even by a race."""
    temporary = f".tunebook.{secrets.token_hex(8)}.part"
    try:
        with folder_open(folder) as place:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=place)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    stream.write(text)
                    stream.flush()
                    os.fsync(stream.fileno())
                for candidate in _names(stem):
                    with suppress(FileExistsError):
                        os.link(temporary, candidate, src_dir_fd=place, dst_dir_fd=place, follow_symlinks=False)
                        return folder / candidate
            finally:
                os.unlink(temporary, dir_fd=place)
    except OSError as error:
        raise storage_error(folder / f"{stem}{SUFFIX}", error) from None
    raise RequestError(409, f"there are too many notebooks called {shown(stem)}; choose another name")
