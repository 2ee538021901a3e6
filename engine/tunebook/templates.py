"""Templates: the notebooks a user starts from, those of Tunebook and the user's own."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook.errors import NotebookError, did_you_mean, shown
from tunebook.opening import from_home, is_file, is_folder, read_bytes
from tunebook.plain_json import parse_json
from tunebook.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SUFFIX = ".ipynb"
#: Characters of a cell that assigns parameters.
LONGEST_CELL = 200_000
#: Names that it may assign.
MOST_PARAMETERS = 1_000


@dataclass(frozen=True)
class Template:
    """
    A notebook that a user can start from.

    Attributes
    ----------
    name
        What the user calls it: the file's name without its suffix.
    path
        The notebook.
    task
        Name of its task; empty for a notebook that Tunebook does not validate.
    title, summary
        A line each, from the notebook's metadata.
    problem
        Why it cannot be used, a few words; empty when it can.
    """

    name: str
    path: Path
    task: str = ""
    title: str = ""
    summary: str = ""
    problem: str = ""


def template_folders() -> list[Path]:
    """
    Return the folders in which templates are looked for, the first one first.

    The checkout comes before the Jupyter data paths: data files are copied even by an editable
    installation, and a copy would hide what a developer has just changed.
    """
    from jupyter_core.paths import jupyter_path  # noqa: PLC0415

    engine = Path(__file__).resolve().parents[1]
    checkout = [engine.parent / "templates"] if engine.name == "engine" else []
    return [*checkout, *map(Path, jupyter_path("tunebook", "templates"))]


def list_templates() -> list[Template]:
    """
    Find every template; the first of a name wins.

    A notebook that cannot be read is listed too, with its ``problem``: one broken file of the
    user's must not hide the others, nor vanish without a word.

    Returns
    -------
    list of Template
        Sorted by name.
    """
    found: dict[str, Template] = {}
    for folder in template_folders():
        for path in _notebooks(folder):
            if path.stem not in found:
                found[path.stem] = _describe(path)
    return [found[name] for name in sorted(found)]


def find_template(name: str) -> Template:
    """
    Find a template by its name.

    Raises
    ------
    NotebookError
        There is no such template, or it cannot be read.
    """
    templates = {template.name: template for template in list_templates()}
    if name not in templates:
        known = ", ".join(templates) or f"none in {', '.join(map(str, template_folders()))}"
        hint = did_you_mean(name, templates)
        msg = f"no template {shown(name)}{hint}; templates: {known}; a notebook of your own is given by its path"
        raise NotebookError(msg)
    if templates[name].problem:
        msg = f"template {shown(name)} cannot be used: {templates[name].path}: {templates[name].problem}"
        raise NotebookError(msg)
    return templates[name]


def find_notebook(name: str) -> Path:
    """
    Find the notebook that a user means: a path when it looks like one, else a template's name.

    Raises
    ------
    NotebookError
        There is no such file or template.
    """
    if not name.endswith(SUFFIX) and "/" not in name:
        return find_template(name).path
    path = from_home(name)
    if not is_file(path):
        near = [str(path.with_name(other.name)) for other in _siblings(path)]
        msg = f"no notebook {shown(name)}{did_you_mean(str(path), near)}; `tunebook templates` lists the templates"
        raise NotebookError(msg)
    return path


def copy_template(name: str, destination: Path | str) -> Path:
    """
    Copy a template to a new file, whole or not at all.

    Parameters
    ----------
    name
        The template.
    destination
        A file that is not there yet, or a folder, in which the copy gets the template's name.

    Returns
    -------
    Path
        The copy.

    Raises
    ------
    NotebookError
        The template is unknown, or something is there already: what a user wrote is never replaced.
    """
    template = find_template(name)
    path = from_home(destination)
    if is_folder(path):
        path /= template.path.name
    if path.suffix != SUFFIX:
        msg = f"cannot write {shown(path)}: a notebook's name ends in {SUFFIX}; try {shown(f'{path}{SUFFIX}')}"
        raise NotebookError(msg)
    with replacing(path) as temporary:
        temporary.write_bytes(template.path.read_bytes())
        if path.exists() or path.is_symlink():
            msg = f"{shown(path)} is there already; choose another name, or remove it first"
            raise NotebookError(msg)
    return path


def load_notebook(path: Path) -> dict[str, Any]:
    """
    Read a notebook as plain JSON, without the cost of validating it.

    Raises
    ------
    NotebookError
        It cannot be read or is no notebook.
    """
    try:
        notebook = parse_json(read_bytes(path))
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}"
        raise NotebookError(msg) from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        msg = f"cannot read {path}: it is not JSON, so not a notebook"
        raise NotebookError(msg) from None
    except ValueError as error:
        msg = f"cannot read {path}: {error}"
        raise NotebookError(msg) from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        msg = f"cannot read {path}: it has no list of cells; save it as a notebook of format 4 in JupyterLab"
        raise NotebookError(msg)
    return dict(notebook)


def task_of(notebook: Mapping[str, Any]) -> str:
    """Return the task that a notebook's metadata names; empty when it names none."""
    return _metadata(notebook)["task"]


def parameters_of(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the names that the cell tagged ``parameters`` assigns, with their defaults.

    Returns
    -------
    dict
        Name to default, in the cell's order; a default that is not a literal is ``...``. Empty
        when there is no such cell.

    Raises
    ------
    NotebookError
        The cell is not plain Python.
    """
    for cell in notebook["cells"]:
        if cell.get("cell_type") != "code" or "parameters" not in _tags(cell):
            continue
        source = source_of(cell)
        if len(source) > LONGEST_CELL:
            msg = f"the cell tagged 'parameters' is {len(source)} characters long; allowed: {LONGEST_CELL}"
            raise NotebookError(msg)
        try:
            body = ast.parse(source).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            msg = f"the cell tagged 'parameters' is not plain Python: {error}; it may hold only assignments"
            raise NotebookError(msg) from None
        found: dict[str, Any] = {}
        for node in body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for target in targets:
                if isinstance(target, ast.Name):
                    found[target.id] = _literal(getattr(node, "value", None))
            if len(found) > MOST_PARAMETERS:
                msg = f"the cell tagged 'parameters' assigns more than {MOST_PARAMETERS} names, the most that are read"
                raise NotebookError(msg)
        return found
    return {}


def source_of(cell: Mapping[str, Any]) -> str:
    """Return a cell's source, which JSON may hold as one text or as a list of lines."""
    source = cell.get("source", "")
    if isinstance(source, list):
        return "".join(map(str, source))
    return source if isinstance(source, str) else ""


def _tags(cell: Mapping[str, Any]) -> list[str]:
    metadata = cell.get("metadata", {})
    tags = metadata.get("tags", []) if isinstance(metadata, dict) else []
    return tags if isinstance(tags, list) else []


def _notebooks(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        # Jupyter keeps its autosaves in .ipynb_checkpoints beside the notebook.
        if not any(part.startswith(".") for part in path.relative_to(folder).parts) and path.is_file():
            yield path


def _siblings(path: Path) -> list[Path]:
    return list(path.parent.glob(f"*{SUFFIX}")) if is_folder(path.parent) else []


def _describe(path: Path) -> Template:
    try:
        return Template(name=path.stem, path=path, **_metadata(load_notebook(path)))
    except NotebookError as error:
        return Template(name=path.stem, path=path, problem=str(error).removeprefix(f"cannot read {path}: "))


def _metadata(notebook: Mapping[str, Any]) -> dict[str, str]:
    metadata = notebook.get("metadata", {})
    ours = metadata.get("tunebook", {}) if isinstance(metadata, dict) else {}
    ours = ours if isinstance(ours, dict) else {}
    return {key: " ".join(str(ours.get(key) or "").split()) for key in ("task", "title", "summary")}


def _literal(node: Any) -> Any:  # noqa: ANN401
    try:
        value = ast.literal_eval(node)
        # Python reads hexadecimal numbers of any length and writes none of more than 4,300 digits.
        repr(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ...
    return value
