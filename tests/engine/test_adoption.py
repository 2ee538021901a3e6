"""Runs begun in a notebook, made fit to be resumed by the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tunebook.adoption import adopt, folder_of
from tunebook.batch import read_job, resume
from tunebook.errors import NotebookError, TunebookError
from tunebook.runs import Run
from tunebook.storage import write_json
from tunebook.tasks import recipe_class
from tunebook.templates import load_notebook, task_of

if TYPE_CHECKING:
    from tests.engine.conftest import WriteNotebook

TASK = "image-classification"


def by_hand(folder: Path, **parameters: Any) -> Run:
    """Write what training in a notebook leaves behind when it is stopped."""
    run = Run.create(folder / "runs", "mine", TASK)
    recipe = recipe_class(TASK)(**parameters)
    write_json(run.path / "recipe.json", {"task": TASK, "parameters": recipe.model_dump(mode="json")})
    run.update(state="stopped", message="stopped after step 3 of 9; it can be resumed")
    return run


def test_a_run_of_a_notebook_gets_its_task_s_template_and_its_own_recipe(tmp_path: Path) -> None:
    run = by_hand(tmp_path, lr=0.02, data="pictures")
    adopt(run.path)
    job = read_job(run.path / "job.json")
    assert (job["parameters"]["lr"], job["parameters"]["data"]) == (0.02, "pictures")
    assert job["folder"] == str(tmp_path)
    assert task_of(load_notebook(run.path / "source.ipynb")) == TASK


def test_it_goes_on_in_a_kernel_with_its_own_values(write_notebook: WriteNotebook, tmp_path: Path) -> None:
    run = by_hand(tmp_path, lr=0.02)
    cell = "lr = 0.1\nresume = ''\nrun = ''\nruns_dir = ''"
    write_notebook("print(lr, resume)", parameters=cell, name="runs/mine/source.ipynb", tunebook={"task": TASK})
    result = resume(run)
    assert f"0.02 {run.path}" in json.dumps(json.loads(result.notebook.read_text(encoding="utf-8")))
    assert result.state.state == "finished"


def test_what_has_no_recipe_cannot_go_on(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "mine", TASK)
    with pytest.raises(NotebookError, match="before it had a recipe"):
        adopt(run.path)
    (run.path / "recipe.json").write_text('{"task": "other"}', encoding="utf-8")
    with pytest.raises(TunebookError, match="does not say what was run"):
        adopt(run.path)
    assert not (run.path / "job.json").exists()


@pytest.mark.parametrize(
    ("run", "runs_dir", "folder"),
    [
        ("/a/b/runs/x", "runs", "/a/b"),
        ("/a/b/runs/x", "./runs/", "/a/b"),
        ("/a/b/out/runs/x", "out/runs", "/a/b"),
        ("/a/b/moved/x", "runs", "/a/b/moved"),
        ("/a/b/x", "/a/b", "/a/b"),
        ("/a/b/x", "../b", "/a/b"),
        ("/a/b/x", ".", "/a/b"),
        ("/runs/x", "a/b/runs", "/runs"),
    ],
)
def test_relative_paths_belong_to_the_folder_above_the_runs(run: str, runs_dir: str, folder: str) -> None:
    assert folder_of(Path(run), {"runs_dir": runs_dir}) == Path(folder)
