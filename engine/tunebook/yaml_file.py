"""YAML that a user wrote: read without running anything, and with a line for what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunebook.errors import NotebookError, RecipeError, shown
from tunebook.opening import read_text

if TYPE_CHECKING:
    from pathlib import Path

#: Bytes of a file: twenty thousand runs of fifty characters each.
_LARGEST = 1 << 20
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

    from tunebook.yaml_nodes import BoundedLoader  # noqa: PLC0415

    try:
        text = read_text(path, _LARGEST)
        # Reading what a node says writes merged keys into it.
        return BoundedLoader(text).get_single_data(), BoundedLoader(text).get_single_node()
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}"
        raise NotebookError(msg) from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error) or type(error).__name__
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
    content, node = read_yaml(path)
    if content is None:  # an empty file, or one with comments only
        return {}
    if not isinstance(content, dict):
        msg = f"{path} holds {shown(content, 40)} ({type(content).__name__}); {MAPPING}"
        raise RecipeError(msg)
    lines_of_keys(path, node)
    return content


def lines_of_keys(path: Path, node: Any) -> dict[str, int]:  # noqa: ANN401 - yaml types its nodes in part
    """
    Return the line of each key of a mapping; of another node none.

    Raises
    ------
    RecipeError
        A key is there twice, here or below: YAML would keep the last one, and say nothing.
    """
    lines: dict[str, int] = {}
    if node.id != "mapping":
        return lines
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.id == "scalar" and key.value in lines:
            msg = (
                f"{path}, line {line}: {shown(key.value)} is there twice, in line {lines[key.value]} too; leave one out"
            )
            raise RecipeError(msg)
        lines[str(key.value)] = line
        if value.id == "mapping":
            lines_of_keys(path, value)
    return lines
