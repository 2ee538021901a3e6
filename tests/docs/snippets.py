"""
The blocks of the documentation: found by Sybil, and run here.

Python blocks are run as cells of a notebook are, with names of a notebook that has run (``tuned``, ``recipe``, ...). In
shell blocks every ``tunebook`` command is given to the real command line; those that would train (``run``, ``sweep``)
are checked up to the point at which the notebook would start. Commands of other programs are in :data:`OTHERS`. A YAML
block that names a file in a comment is written, for the commands that come after it.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

import pytest
from sybil import Document
from sybil.example import NotEvaluated
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from tunebook import cli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sybil import Example

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")))

#: Commands that are not run: how each begins, and why.
OTHERS = {
    "python3 -m venv": "the environment of the tests is the one",
    ". ": "the same",
    "pip install": "the tests install nothing",
    "jupyter lab": "tests/ui opens it",
    "jupyter execute": "tests/templates does",
    "jupyter-repo2docker": "needs a container",
    "papermill": "tests/templates does",
    "pytest": "it would run this test",
    "python -m benchmarks": "tests/benchmarks does",
    "python -m binder.rehearse": "tests/binder does, on demand",
    "python -m tunebook_lab.model_sizes": "measures for minutes",
    "python docs/pictures.py": "runs all templates",
    "sphinx-build": "test_site does",
    "tensorboard": "another program, which never ends",
    "dask": "another program, which never ends; tests/engine searches on a cluster",
}
#: What stands for a name of the reader's own, by command; in runs/ each is there.
STAND_INS = {"control": {"RUN": "waiting"}, "sweep": {"runs/NAME": "runs/heads", "RUN": "heads"}}
_RUN = {"RUN": "mine", "runs/NAME": "runs/mine"}


class Checked(BaseException):  # no error: the command line has accepted a command that would train
    """A command got as far as to the notebook's start."""


class Names(dict[str, Any]):
    """
    Names of a notebook that has run, each made when it is first asked for.

    Parameters
    ----------
    makers
        What makes each.
    """

    def __init__(self, makers: dict[str, Callable[[], Any]]) -> None:
        super().__init__(__name__="docs")
        self._makers = makers

    def __missing__(self, name: str) -> Any:
        if name not in self._makers:
            raise KeyError(name)
        self[name] = self._makers[name]()
        return self[name]


def parse(
    page: str, python: Callable[[Example], None], shell: Callable[[Example], None], *, skips: bool = True
) -> Document:
    """Return a page with its blocks; the two functions run them, and ``<!-- skip: next "reason" -->`` counts or not."""
    parsers = [CodeBlockParser("python", python), CodeBlockParser("bash", shell), CodeBlockParser("yaml", write_file)]
    return Document.parse(str(ROOT / page), *([SkipParser()] if skips else []), *parsers)


def evaluate(document: Document) -> Iterator[tuple[Example, str]]:
    """Run the blocks of a page in their order, and yield each with the reason why it was not run, if there is one."""
    for example in document.examples():
        try:
            example.evaluate()
        except SkipTest as skipped:
            yield example, str(skipped)
        except NotEvaluated:
            pytest.fail(f"{example.path}:{example.line}: `skip` without a reason")
        else:
            yield example, ""


def write_file(example: Example) -> None:
    """Write a block whose first line is a comment that names a file, for the commands that come after it."""
    text = str(example.parsed)
    named = re.match(r"# ([\w-]+\.yaml)\b", text)
    if named:
        Path(named[1]).write_text(text, encoding="utf-8")


def run_python(example: Example, names: Names) -> None:
    """Run a block as a notebook runs a cell: it may await."""
    text = "\n" * (example.line + example.parsed.line_offset) + str(example.parsed)
    code = compile(text, example.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    # The names are asked for by LOAD_NAME, so that they can be made when they are asked for.
    found = eval(code, names)  # noqa: S307 - the project's own documentation
    if inspect.isawaitable(found):
        asyncio.run(_await(found))


async def _await(found: Any) -> None:
    await found


def commands(text: str) -> Iterator[str]:
    """Split a shell block into commands, without comments, continuations and what is joined by ``&&``."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield from (part.strip() for part in re.split(r"\s&&\s", shlex.join(words).replace(" '&&' ", " && ")))


def run_command(command: str) -> None:
    """Run a command of a shell block, or fail if it is neither Tunebook's nor known."""
    if any(command.startswith(other) for other in OTHERS):
        return
    first, *arguments = shlex.split(command)
    assert first == "tunebook", f"{command!r} is not known: name it in {Path(__file__).name}, with a reason"
    known = STAND_INS.get(arguments[0], _RUN)
    arguments = [known.get(word, word) for word in arguments]
    try:
        cli.main(arguments)
    except Checked:
        return
    except SystemExit as end:
        assert not end.code, f"{command!r} ends with {end.code}"
