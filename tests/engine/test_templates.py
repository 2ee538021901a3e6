"""Templates are found, described and copied; one that is broken says so and hides nothing."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tunebook.errors import NotebookError
from tunebook.recipe import assigned_names
from tunebook.templates import (
    Template,
    copy_template,
    find_notebook,
    find_template,
    list_templates,
    load_notebook,
    parameters_of,
    task_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    WriteNotebook = Callable[..., Path]

ABOUT = {"task": "image-classification", "title": "Mine", "summary": "What it\nis for."}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_notebook: WriteNotebook) -> WriteNotebook:
    """Write templates into a folder of the user's Jupyter data path."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    def write(name: str, **metadata: Any) -> Path:
        return write_notebook("# Hello", "1", name=f"jupyter/tunebook/templates/{name}.ipynb", **metadata)

    return write


def test_a_user_s_own_template_is_listed_and_found(own: WriteNotebook) -> None:
    path = own("deep/mine", tunebook=ABOUT)
    own(".ipynb_checkpoints/mine-checkpoint", tunebook=ABOUT)
    template = find_template("mine")
    assert template.path == path
    assert (template.task, template.title, template.summary) == ("image-classification", "Mine", "What it is for.")
    assert find_notebook("mine") == path
    assert "mine-checkpoint" not in [found.name for found in list_templates()]


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": 5}', '{"cells": [5]}', "[" * 100_000, "\x00"])
def test_a_broken_template_says_so_and_hides_nothing(own: WriteNotebook, text: str) -> None:
    own("broken").write_text(text, encoding="utf-8")
    own("sound", tunebook=ABOUT)
    found = {template.name: template for template in list_templates()}
    assert found["broken"].problem
    assert not found["sound"].problem
    with pytest.raises(NotebookError, match="'broken' cannot be used"):
        find_template("broken")


@pytest.mark.parametrize("metadata", [{"tunebook": 5}, {"tunebook": {"task": None, "title": ["a"]}}, {}])
def test_odd_metadata_is_no_problem(own: WriteNotebook, metadata: dict[str, Any]) -> None:
    own("odd", **metadata)
    assert find_template("odd").task == ""


def test_an_unknown_template_names_the_nearest(own: WriteNotebook) -> None:
    own("my-pictures")
    with pytest.raises(NotebookError, match="did you mean 'my-pictures'"):
        find_notebook("my-picturs")
    with pytest.raises(NotebookError, match="did you mean"):
        find_notebook("jupyter/tunebook/templates/my-picture.ipynb")


def test_new_never_overwrites(own: WriteNotebook) -> None:
    source = own("mine")
    copied = copy_template("mine", "made/first.ipynb")
    assert copied.read_bytes() == source.read_bytes()
    copied.write_text("my work", encoding="utf-8")
    with pytest.raises(NotebookError, match="is there already"):
        copy_template("mine", copied)
    assert copied.read_text(encoding="utf-8") == "my work"

    into = copy_template("mine", "made")  # a folder
    assert into == Path("made/mine.ipynb")
    with pytest.raises(NotebookError, match="is there already"):
        copy_template("mine", "made")

    link = Path("made/link.ipynb")
    link.symlink_to("nowhere.ipynb")
    with pytest.raises(NotebookError, match="is there already"):
        copy_template("mine", link)
    assert link.is_symlink()
    assert sorted(path.name for path in Path("made").iterdir()) == ["first.ipynb", "link.ipynb", "mine.ipynb"]


def test_a_copy_is_a_notebook(own: WriteNotebook) -> None:
    own("mine")
    with pytest.raises(NotebookError, match=r"try 'copy\.ipynb'"):
        copy_template("mine", "copy")


def test_the_parameters_cell_is_read_without_running_it(write_notebook: WriteNotebook) -> None:
    cell = "# Data\na: int = 1  # how many\nb = c = 'x'\nd = open('made', 'w')\ne: str\n"
    notebook = load_notebook(write_notebook("f = 2", parameters=cell, tunebook=ABOUT))
    assert parameters_of(notebook) == {"a": 1, "b": "x", "c": "x", "d": ..., "e": ...}
    assert task_of(notebook) == "image-classification"
    assert not Path("made").exists()


def test_a_parameters_cell_that_is_not_python(write_notebook: WriteNotebook) -> None:
    with pytest.raises(NotebookError, match="not plain Python"):
        parameters_of(load_notebook(write_notebook(parameters="%matplotlib inline\na = 1")))


@pytest.mark.parametrize("template", list_templates(), ids=lambda template: template.name)
def test_no_result_of_a_template_has_the_name_of_a_parameter(template: Template) -> None:
    cells = [cell for cell in nbformat.read(template.path, as_version=4).cells if cell.cell_type == "code"]
    given = [cell for cell in cells if "parameters" in cell.metadata.get("tags", ())]
    assert len(given) == 1
    made = {
        node.id
        for cell in cells
        if cell is not given[0]
        for node in ast.walk(compile(cell.source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    # Else the parameters' cell, run again, takes a step's result away from the steps after it.
    assert made
    assert made.isdisjoint(assigned_names(given[0].source))
