"""Some of the documentation's commands, run to their ends as a reader runs them, but with small models."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import snippets
from small_world import small_recipes

from tunebook.runs import list_runs
from tunebook.searching import Search
from tunebook.templates import copy_template

if TYPE_CHECKING:
    from pathlib import Path

    from sybil import Example

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

_PICTURES = "-p model test_efficientnet -p weights none -p image_size 32 -p onnx false"
_TEXTS = "-p model tiny -p max_length 24 -p epochs 1 -p onnx false"
#: Page, how the command begins, and what makes it small.
CASES = [
    ("README.md", "tunebook run image-classification -p data photos/", f"{_PICTURES} -p epochs 2"),
    ("README.md", "tunebook run text-classification -p data tweets.csv", _TEXTS),
    ("README.md", "tunebook run text-classification -p data tags.jsonl", _TEXTS),
    ("docs/how-to/own-data.md", "tunebook run image-classification -p data table.csv", f"{_PICTURES} -p epochs 1"),
    (
        "docs/how-to/unfreezing.md",
        "tunebook run image-classification -p freeze backbone",
        f"{_PICTURES} -p data photos",
    ),
    ("docs/how-to/own-template.md", "tunebook run lesson.ipynb", f"{_PICTURES} -p data photos"),
    (
        "docs/how-to/search.md",
        "tunebook sweep image-classification -p data photos/ -p freeze",
        f"{_PICTURES} --trials 3",
    ),
]


def _command(page: str, beginning: str) -> str:
    """Return the command of a page that begins so."""
    found: list[str] = []

    def collect(example: Example) -> None:
        found.extend(snippets.commands(str(example.parsed)))

    for example in snippets.parse(page, lambda _: None, collect, skips=False).examples():
        example.evaluate()
    return next(command for command in found if command.startswith(beginning))


@pytest.mark.parametrize(("page", "beginning", "small"), CASES)
def test_a_command_runs_to_its_end(page: str, beginning: str, small: str, world: Path, tmp_path: Path) -> None:
    if not (world / "lesson.ipynb").exists():
        copy_template("image-classification", world / "lesson.ipynb")
    words = shlex.split(_command(page, beginning))[1:]
    # Only one of two equal options counts, and the last one does.
    arguments = [*words, *shlex.split(small), "--runs-dir", str(tmp_path / "runs")]
    done = subprocess.run(
        [sys.executable, "-m", "tunebook.cli", *arguments],
        cwd=world, env={**os.environ}, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {run.state().state for run in list_runs(tmp_path / "runs")} == {"finished"}


def test_the_script_that_searches_runs(world: Path) -> None:
    document = snippets.parse(
        "docs/sweep.md", lambda example: snippets.run_python(example, snippets.Names({})), lambda _: None
    )
    document.namespace["long"] = True
    with small_recipes(world):
        before = {run.name for run in list_runs("runs")}
        assert not any(reason for _, reason in snippets.evaluate(document))
        made = [run for run in list_runs("runs") if run.name not in before]
        assert [len(Search(run).table()) for run in made] == [50]
