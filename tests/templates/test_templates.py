"""The templates, run as users run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny_models

ROOT = Path(__file__).parents[2]
TEMPLATES = {
    "image-classification": ROOT / "templates" / "vision" / "image-classification.ipynb",
    "text-classification": ROOT / "templates" / "language" / "text-classification.ipynb",
}
_SAME = {"epochs": 2, "onnx": False, "run": "small"}
SMALL = {
    "image-classification": {
        **_SAME, "model": "test_efficientnet", "weights": "none", "image_size": 32, "max_examples": 120,
    },
    "text-classification": {**_SAME, "max_length": 24, "max_examples": 200},
}  # fmt: skip
#: Files of the model folder, pictures of the notebook, and what tuning must gain, at least.
EXPECTED = {
    "image-classification": ({"model.safetensors", "config.json", "model.onnx"}, 5, 0.15),
    "text-classification": (
        {"model.safetensors", "config.json", "model.onnx", "tokenizer.json", "tokenizer_config.json"}, 4, 0.02,
    ),
}  # fmt: skip


@pytest.fixture(params=TEMPLATES)
def task(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def small(task: str, tmp_path: Path) -> dict[str, Any]:
    """Return parameters with which a template takes seconds."""
    values: dict[str, Any] = dict(SMALL[task])
    if task == "text-classification":
        values["model"] = str(tiny_models.make_tiny(tmp_path / "tiny", "bert"))
    return values


def _environment() -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "TUNEBOOK_BATCH": "1"}


def _execute(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder, env=_environment(), capture_output=True, text=True, timeout=1500, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def _outputs(notebook: Path) -> list[dict[str, Any]]:
    cells = nbformat.read(notebook, as_version=4).cells
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]


def _check_readable(notebook: Path, least: int) -> None:
    """Require that a notebook is small, has no error, and needs no script, widget or network."""
    assert notebook.stat().st_size < 2_000_000
    outputs = _outputs(notebook)
    assert not [output for output in outputs if output.output_type == "error"]
    pictures = 0
    for output in outputs:
        data = output.get("data", {})
        assert "application/vnd.jupyter.widget-view+json" not in data
        assert "<script" not in str(data.get("text/html", ""))
        assert "http" not in str(data.get("text/html", ""))
        if data:
            assert "text/plain" in data
        pictures += "image/png" in data
    assert pictures >= least


def test_the_parameters_cell_is_the_recipe(task: str) -> None:
    from tunebook.tasks import recipe_class
    from tunebook.templates import parameters_of

    recipe = recipe_class(task)
    notebook = json.loads(TEMPLATES[task].read_text(encoding="utf-8"))
    cell = next(c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", []))
    assert "".join(cell["source"]) == recipe.parameters_cell()
    assert recipe(**parameters_of(notebook)) == recipe()


@pytest.mark.timeout(600)
def test_papermill_runs_it_as_it_is_and_nothing_imports_widgets(
    task: str, small: dict[str, Any], tmp_path: Path
) -> None:
    notebook = nbformat.read(TEMPLATES[task], as_version=4)
    probe = "import sys\nprint(sorted({m.split('.')[0] for m in sys.modules} & {'ipywidgets', 'jupyterlab'}))"
    notebook.cells.append(nbformat.v4.new_code_cell(probe))
    nbformat.write(notebook, tmp_path / "template.ipynb")
    given = [item for name, value in small.items() for item in ("-p", name, str(value))]
    done = _execute(["papermill", "template.ipynb", "out.ipynb", *given], tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    _check_readable(tmp_path / "out.ipynb", EXPECTED[task][1])
    assert _outputs(tmp_path / "out.ipynb")[-1].text.strip() == "[]"
    assert json.loads((tmp_path / "runs" / "small" / "state.json").read_text())["state"] == "finished"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_jupyter_execute_runs_it(task: str, small: dict[str, Any], tmp_path: Path) -> None:
    notebook = nbformat.read(TEMPLATES[task], as_version=4)
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    cell.source += "\n" + "\n".join(f"{name} = {value!r}" for name, value in small.items())
    nbformat.write(notebook, tmp_path / "mine.ipynb")
    done = _execute(["jupyter", "execute", "mine.ipynb", "--output=done.ipynb"], tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    _check_readable(tmp_path / "done.ipynb", EXPECTED[task][1])


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "task",
    ["image-classification", pytest.param("text-classification", marks=pytest.mark.long)],  # that one takes minutes
    indirect=True,
)
def test_the_main_job_of_the_readme_beats_its_baseline(task: str, tmp_path: Path) -> None:
    files, pictures, gain = EXPECTED[task]
    done = _execute(["tunebook.cli", "run", task], tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = dict(
        line.split(maxsplit=1) for line in done.stdout.splitlines()[-4:] if line.startswith(("notebook", "run"))
    )
    assert "cache: the trunk ran" in done.stdout
    _check_readable(tmp_path / lines["notebook"], pictures)
    run = tmp_path / lines["run"]
    state = json.loads((run / "state.json").read_text())
    assert state["metric"] > state["baseline"] + gain
    assert f"baseline {state['baseline']:.3f} -> tuned {state['metric']:.3f}" in done.stdout
    assert {p.name for p in (run / "model").iterdir()} == files
    inspected = _execute(["tensorboard.main", "--inspect", f"--logdir={run}"], tmp_path)
    assert "Processing event files" in inspected.stdout
    assert "accuracy/validation" in inspected.stdout


@pytest.mark.timeout(600)
def test_a_mistake_ends_in_one_line_and_keeps_what_was_done(task: str, tmp_path: Path) -> None:
    given = ["-p", "max_examples", "3", "--out", "my.ipynb"]  # too few for each class, as the checks find
    done = _execute(["tunebook.cli", "run", task, *given], tmp_path)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(done.stderr.splitlines()) <= 2
    assert not (tmp_path / "my.ipynb").exists()
    assert (tmp_path / "my.failed.ipynb").exists()
