"""
What the reference pages are filled with: parameters from the recipes, commands from the command line's own help.

A page says what it wants in a comment of its own line: ``<!-- generated: parameters image-classification -->``,
``<!-- generated: commands -->`` or ``<!-- generated: modules tunebook -->``.
"""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook.recipe import GROUPS
from tunebook.tasks import recipe_class

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo
    from sphinx.application import Sphinx

_WANTED = re.compile(r"^<!-- generated: (?P<what>\w+) ?(?P<name>[\w-]*) -->$", re.MULTILINE)
#: Characters of a line that the site shows without scrolling.
_WIDTH = 88


def parameters(task: str) -> str:
    """
    Return the parameters of a task's recipe as Markdown tables, a section for each group.

    Parameters
    ----------
    task
        Name of the task.
    """
    recipe = recipe_class(task)
    defaults = recipe()
    parts = []
    for group in GROUPS:
        fields = {name: info for name, info in recipe.model_fields.items() if _extra(info)["group"] == group}
        rows = [
            f"| `{name}` | `{getattr(defaults, name)!r}` | {_cell(recipe.allowed(name))} | {_help(info)} |"
            for name, info in fields.items()
        ]
        if rows:
            head = "| parameter | default | allowed | what |\n| --- | --- | --- | --- |"
            parts.append("\n".join([f"### {group}", "", head, *rows]))
    return "\n\n".join(parts)


def commands() -> str:
    """Return the help of every command of ``tunebook``, as a terminal shows it, a section for each."""
    return "\n\n".join(f"## `{name}`\n\n```text\n{text}\n```" for name, text in _helps())


def modules(package: str) -> str:
    """Return a table of a package's modules, with the first line that each says of itself."""
    spec = find_spec(package)
    folder = Path(next(iter(spec.submodule_search_locations or []))) if spec else Path(package)
    rows = []
    for path in sorted(folder.rglob("*.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        name = ".".join([package, *path.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")
        rows.append(f"| `{name}` | {_first_line(said)} |")
    return "\n".join(["| module | what |", "| --- | --- |", *rows])


def fill(source: str) -> str:
    """Replace the comments of a page by what they ask for."""
    made = {"parameters": parameters, "commands": lambda _: commands(), "modules": modules}
    return _WANTED.sub(lambda found: made[found["what"]](found["name"]), source)


def setup(app: Sphinx) -> dict[str, Any]:
    """Let Sphinx fill pages when it reads them."""

    def read(_app: Sphinx, _page: str, source: list[str]) -> None:
        source[0] = fill(source[0])

    app.connect("source-read", read)
    return {"parallel_read_safe": True}


def _extra(info: FieldInfo) -> dict[str, Any]:
    extra = info.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _help(info: FieldInfo) -> str:
    expert = " *(for experts)*" if _extra(info)["advanced"] else ""
    return f"{_cell(info.description or '')}{expert}"


def _first_line(docstring: str) -> str:
    """Return the first paragraph of a docstring with its code written as Markdown writes it."""
    first = " ".join(docstring.split("\n\n", maxsplit=1)[0].split())
    parts = first.split("``")
    return "".join(f"`{part}`" if number % 2 else _cell(part) for number, part in enumerate(parts))


def _cell(text: str) -> str:
    """Write words so that a table and its emphasis take them as they are."""
    return re.sub(r"([|*_<\[])", r"\\\1", text)


def _helps() -> Iterator[tuple[str, str]]:
    import typer  # noqa: PLC0415 - pages without commands do without it

    from tunebook.cli import app  # noqa: PLC0415

    def walk(command: Any, name: str, above: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - click's or typer's
        context = command.context_class(command, info_name=name, parent=above, max_content_width=_WIDTH)
        context.terminal_width = _WIDTH
        yield context.command_path, command.get_help(context).strip()
        for each, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, each, context)

    yield from walk(typer.main.get_command(app), "tunebook", None)
