"""YAML that a user wrote: read without running anything, and with a line for what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunebook.errors import NotebookError, RecipeError, shown

if TYPE_CHECKING:
    from pathlib import Path

#: What a file of parameters looks like.
MAPPING = "write one `name: value` a line"


def read_yaml(path: Path, shape: str = MAPPING) -> tuple[Any, Any]:
    """
    Read a YAML file.

    Parameters
    ----------
    path
        The file, UTF-8.
    shape
        What is wanted of it, for the error's line.

    Returns
    -------
    tuple
        What the file says, and the ``yaml.Node`` that says in which line; ``None`` and ``None`` for an empty file.

    Raises
    ------
    NotebookError
        It cannot be read.
    RecipeError
        It is not YAML.
    """
    import yaml  # noqa: PLC0415

    try:
        text = path.read_text(encoding="utf-8")
        return yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}"
        raise NotebookError(msg) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        msg = f"{path} is not YAML{place}: {problem}; {shape}"
        raise RecipeError(msg) from None


def read_mapping(path: Path) -> dict[Any, Any]:
    """
    Read a YAML file of parameters; an empty one has none.

    Raises
    ------
    NotebookError
        It cannot be read.
    RecipeError
        It is no mapping.
    """
    content, _ = read_yaml(path)
    if content is None:  # an empty file, or one with comments only
        return {}
    if not isinstance(content, dict):
        msg = f"{path} holds {shown(content, 40)} ({type(content).__name__}); {MAPPING}"
        raise RecipeError(msg)
    return content
