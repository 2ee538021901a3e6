"""The template that searches, run as users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import small_run

TEMPLATE = Path(__file__).parents[2] / "templates" / "hyperparameter-search.ipynb"
SMALL = {
    "model": "test_efficientnet", "weights": "none", "image_size": 32, "batch_size": 8, "epochs": 1, "augment": "none",
    "freeze": "backbone", "unfreeze": [], "data": "colours",
}  # fmt: skip


def _defaults() -> dict[str, Any]:
    from tunebook.templates import load_notebook, parameters_of

    return parameters_of(load_notebook(TEMPLATE))


def test_its_defaults_are_a_plan() -> None:
    from tunebook.search_plan import make_plan
    from tunebook.templates import find_template, load_notebook

    values = _defaults()
    assert ... not in values.values()
    notebook = load_notebook(find_template(values["template"]).path)
    plan = make_plan(
        notebook, values["space"], parameters=values["fixed"], trials=values["trials"], method=values["method"],
        objectives=values["objectives"], seed=values["seed"],
    )  # fmt: skip
    recipe = plan.recipe()
    # A trunk that is frozen throughout, seen in one view, is computed once for all trials.
    assert (plan.trials, recipe.freeze, recipe.unfreeze) == (30, "backbone", [])
    assert recipe.model_dump()["augment"] == "none"


def test_it_is_listed() -> None:
    from tunebook.templates import list_templates

    found = {template.name: template for template in list_templates()}["hyperparameter-search"]
    assert (found.problem, found.task) == ("", "")
    assert found.summary
    assert found.title


@pytest.mark.timeout(600)
def test_tunebook_runs_it_and_its_outputs_can_be_read_without_trust(tmp_path: Path) -> None:
    small_run.make_pictures(tmp_path / "colours", count=20)
    given = {"fixed": SMALL, "trials": 4, "name": "found", "space": {"lr": "log(1e-3,1e-1)", "dropout": "0..0.5"}}
    pairs = [item for name, value in given.items()
             for item in ("-p", name, value if isinstance(value, str) else json.dumps(value))]  # fmt: skip
    command = [sys.executable, "-m", "tunebook.cli", "run", "hyperparameter-search", *pairs, "--out", "out.ipynb"]
    done = subprocess.run(
        command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    notebook = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    shown = [output["data"] for output in outputs if "data" in output]
    assert all("text/plain" in data for data in shown)
    assert sum("image/png" in data for data in shown) == 4
    assert not any("<script" in str(data.get("text/html", "")) for data in shown)
    assert (tmp_path / "runs" / "found" / "parameters.py").read_text().strip() in "".join(
        output.get("text", "") for output in outputs
    )
    assert json.loads((tmp_path / "runs" / "found" / "state.json").read_text())["state"] == "finished"
