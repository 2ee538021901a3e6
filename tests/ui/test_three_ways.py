"""One notebook, three ways: by hand in a browser, by papermill and by the command the result is the same to the bit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from template_pages import NOTEBOOKS, TEMPLATES, Template, small

if TYPE_CHECKING:
    from collections.abc import Mapping

#: With a stage of unfreezing, and dropout and classes' weights that are not the defaults.
VALUES = {"epochs": 2, "unfreeze": [[1, "none"]], "dropout": 0.2, "class_weights": "balanced", "seed": 3}
SAME = ("model/model.safetensors", "metrics.json", "predictions.parquet")


def _by_hand(notebook: Any, lab: Any, task: str, values: Mapping[str, Any]) -> Path:
    """Run all cells in the browser, as a person does who has changed the parameters cell."""
    shown = Template(notebook, lab, task, f"{task}-three-ways", **values)
    shown.book.run_all(900)
    return shown.made.path


def _run(command: list[str], lab: Any, cache: Path) -> None:
    """Run a command in the root with a cache of its own, in which is nothing but the demo's data."""
    source = Path(os.environ["TUNEBOOK_CACHE"])
    for made in source.glob("demo-*"):
        shutil.copytree(made, cache / made.name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # As many threads as the kernels of the server: a sum in another order has other bits.
    environment = {**os.environ, "PATH": path, "TUNEBOOK_CACHE": str(cache), "OMP_NUM_THREADS": str(lab.threads)}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=lab.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-1500:]


def _parameters(path: Path, values: Mapping[str, Any], run: str) -> str:
    path.write_text(yaml.safe_dump({**values, "run": run}), encoding="utf-8")
    return str(path)


def _report(run: Path) -> dict[str, Any]:
    """Return the bias report without the name of its run."""
    report: dict[str, Any] = json.loads((run / "report" / "bias.json").read_text(encoding="utf-8"))
    assert run.name in report.pop("source")
    return report


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("task", TEMPLATES)
def test_weights_metrics_and_report_are_the_same_three_ways(task: str, notebook: Any, lab: Any, tmp_path: Path) -> None:
    values = {**small(task, lab.folder), **VALUES}
    by_hand = _by_hand(notebook, lab, task, values)

    name = f"{task}-by-papermill"
    given = _parameters(tmp_path / "papermill.yaml", values, name)
    book = [str(NOTEBOOKS / TEMPLATES[task]), str(tmp_path / "out.ipynb")]
    _run(["papermill", *book, "-f", given, "-k", "python3"], lab, tmp_path / "cache-papermill")
    by_papermill = by_hand.with_name(name)

    name = f"{task}-by-command"
    given = _parameters(tmp_path / "command.yaml", values, name)
    _run(["tunebook.cli", "run", task, "-f", given], lab, tmp_path / "cache-command")
    by_command = by_hand.with_name(name)

    for other in (by_papermill, by_command):
        for file in SAME:
            assert (other / file).read_bytes() == (by_hand / file).read_bytes(), f"{other.name}: {file}"
        assert _report(other) == _report(by_hand)
    assert _report(by_hand)["gaps"]
