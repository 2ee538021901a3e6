"""Each template as a person uses it: the panel, a training changed by hand, the report; then the session in batch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tunebook.runs import Run

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny_models

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

TEMPLATES = {
    "image-classification": "vision/image-classification.ipynb",
    "text-classification": "language/text-classification.ipynb",
}
#: Trains for minutes if nobody ends it.
LONG = {"epochs": 400, "unfreeze": [], "onnx": False, "log_every": 1}
SMALL: dict[str, dict[str, Any]] = {
    "image-classification": {"max_examples": 200, "image_size": 64, "freeze": -2, "augment": "none"},
    "text-classification": {"max_examples": 200, "max_length": 32, "freeze": -2},
}


class Template:
    """A template that is open in JupyterLab with other parameters."""

    def __init__(self, notebook: Any, lab: Any, task: str) -> None:
        self.lab, self.task = lab, task
        book = nbformat.read(Path(__file__).parents[2] / "templates" / TEMPLATES[task], as_version=4)
        self.sources = [cell.source for cell in book.cells if cell.cell_type == "code"]
        values = {**LONG, **SMALL[task], "run": f"{task}-by-hand"}
        if task == "text-classification":
            values["model"] = str(tiny_models.make_tiny(lab.folder / "tiny", "bert"))
        self.sources[0] += "\n" + "\n".join(f"{name} = {value!r}" for name, value in values.items())
        self.book = notebook(self.sources)
        self.page = self.book.page

    def cell(self, text: str) -> int:
        """Return the number of the code cell that has a text."""
        return next(k for k, source in enumerate(self.sources) if text in source)

    def run(self, first: int, last: int) -> None:
        """Run some cells without waiting for their ends."""
        self.page.evaluate(
            "([first, last]) => { const book = window.jupyterapp.shell.currentWidget.content;"
            " book.activeCellIndex = first; book.deselectAll(); book.extendContiguousSelectionTo(last);"
            " void window.jupyterapp.commands.execute('notebook:run-cell'); }",
            [first, last],
        )

    def scroll_to(self, cell: int) -> None:
        """Bring a cell into view: what is out of it is not in the page."""
        self.page.evaluate(
            "cell => window.jupyterapp.shell.currentWidget.content.scrollToItem(cell, 'start')",
            cell,
        )

    def outcomes(self) -> list[str]:
        """Return the commands that took effect."""
        path = self.lab.folder / "runs" / f"{self.task}-by-hand" / "control.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return [entry["applied"]["command"] for entry in map(json.loads, lines) if "applied" in entry]


def _wait(done: Any, what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def _change_panel(panel: Locator) -> None:
    panel.get_by_role("tab", name="Classes").click()
    panel.get_by_role("group", name="weight in the loss").get_by_role("button", name="balanced").click()
    panel.get_by_role("tab", name="Regularisation").click()
    dropout = panel.get_by_role("spinbutton", name="dropout", exact=True).first
    dropout.fill("0.1")
    dropout.press("Enter")
    panel.get_by_role("tab", name="Layers").click()
    panel.get_by_role("button", name="backbone", exact=True).click()


def _change_training(shown: Template, output: Locator) -> None:
    """Change the run five times, each when the last one took effect."""
    dials = output.locator(".tb-dial-number")
    dials.nth(0).fill("5e-4")
    dials.nth(0).press("Enter")
    _wait(lambda: "lr" in shown.outcomes(), "lr")
    output.get_by_label(re.compile("^dropout (head|classifier)$")).fill("0.35")
    _wait(lambda: "dropout" in shown.outcomes(), "dropout")
    output.get_by_role("button", name="Unfreeze next stage").click()
    _wait(lambda: "next_stage" in shown.outcomes(), "next stage")
    dials.nth(0).fill("2e-4")
    dials.nth(0).press("Enter")
    _wait(lambda: shown.outcomes().count("lr") == 2, "lr again")
    output.locator(".tb-table").wait_for(timeout=60_000)
    output.get_by_role("button", name="Finish now").click()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("task", TEMPLATES)
def test_a_template_is_changed_by_hand_and_its_session_repeated_to_the_bit(
    task: str, notebook: Any, page: Page, lab: Any
) -> None:
    shown = Template(notebook, lab, task)
    at_panel, at_tune = shown.cell("ControlPanel("), shown.cell("watch(")
    shown.run(0, at_panel)
    panel = shown.book.cell(at_panel)
    panel.locator(".tbp-layers .tbp-rows .tbp-row").first.wait_for(timeout=120_000)
    _change_panel(panel)
    shown.run(at_tune, len(shown.sources) - 1)
    output = shown.book.output(at_tune)
    output.locator(".tb-training").wait_for(timeout=120_000)
    page.wait_for_function("/steps/.test(document.querySelector('.tb-training-figures').textContent)", timeout=60_000)
    _change_training(shown, output)
    shown.book.wait_done(120)
    run = Run(lab.folder / "runs" / f"{task}-by-hand")
    assert run.state().state == "finished"
    assert shown.outcomes() == ["lr", "dropout", "next_stage", "lr", "finish"]
    recipe = run.recipe()["parameters"]
    assert (recipe["class_weights"], recipe["dropout"], recipe["freeze"]) == ("balanced", 0.1, "backbone")
    shown.scroll_to(shown.cell("BiasView("))
    shown.book.cell(shown.cell("BiasView(")).get_by_text("Bias report").first.wait_for()
    _repeat(run, task, recipe)


def _repeat(run: Run, task: str, recipe: dict[str, Any]) -> None:
    """Run the recipe in batch with the session's record, and compare the weights."""
    given = {**recipe, "run": "again", "replay": str(run.path)}
    plain = [item for name, value in given.items() if name != "resume" for item in ("-p", name, json.dumps(value))]
    command = [sys.executable, "-m", "tunebook.cli", "run", task, *plain]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=run.path.parents[1], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-1500:]
    again = run.path.with_name("again")
    for name in ("model/model.safetensors", "metrics.json", "predictions.parquet"):
        assert (again / name).read_bytes() == (run.path / name).read_bytes(), name
    shutil.rmtree(again)
