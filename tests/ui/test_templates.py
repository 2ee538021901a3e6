"""Each template as a person uses it: the panel, a training changed by hand, the report; then the session in batch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from template_pages import TEMPLATES, Template, small, wait

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tunebook.runs import Run

#: Trains for minutes if nobody ends it.
LONG = {"epochs": 400, "unfreeze": [], "log_every": 1}


def outcomes(run: Run) -> list[str]:
    """Return the commands that took effect."""
    path = run.path / "control.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [entry["applied"]["command"] for entry in map(json.loads, lines) if "applied" in entry]


def _change_panel(panel: Locator) -> None:
    panel.get_by_role("tab", name="Classes").click()
    panel.get_by_role("group", name="weight in the loss").get_by_role("button", name="balanced").click()
    panel.get_by_role("tab", name="Regularisation").click()
    dropout = panel.get_by_role("spinbutton", name="dropout", exact=True).first
    dropout.fill("0.1")
    dropout.press("Enter")
    panel.get_by_role("tab", name="Layers").click()
    panel.get_by_role("button", name="backbone", exact=True).click()


def _change_training(run: Run, output: Locator) -> None:
    """Change the run five times, each when the last one took effect."""
    dials = output.locator(".tb-dial-number")
    dials.nth(0).fill("5e-4")
    dials.nth(0).press("Enter")
    wait(lambda: "lr" in outcomes(run), "lr")
    output.get_by_label(re.compile("^dropout (head|classifier)$")).fill("0.35")
    wait(lambda: "dropout" in outcomes(run), "dropout")
    output.get_by_role("button", name="Unfreeze next stage").click()
    wait(lambda: "next_stage" in outcomes(run), "next stage")
    dials.nth(0).fill("2e-4")
    dials.nth(0).press("Enter")
    wait(lambda: outcomes(run).count("lr") == 2, "lr again")
    output.locator(".tb-table").wait_for(timeout=60_000)
    output.get_by_role("button", name="Finish now").click()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("task", TEMPLATES)
def test_a_template_is_changed_by_hand_and_its_session_repeated_to_the_bit(
    task: str, notebook: Any, page: Page, lab: Any
) -> None:
    shown = Template(notebook, lab, task, f"{task}-by-hand", **{**small(task, lab.folder), **LONG})
    run = shown.made
    at_panel, at_tune = shown.cell("ControlPanel("), shown.cell("watch(")
    shown.run(0, at_panel)
    panel = shown.book.cell(at_panel)
    panel.locator(".tbp-layers .tbp-rows .tbp-row").first.wait_for(timeout=120_000)
    _change_panel(panel)
    shown.run(at_tune, len(shown.sources) - 1)
    output = shown.book.output(at_tune)
    output.locator(".tb-training").wait_for(timeout=120_000)
    page.wait_for_function("/steps/.test(document.querySelector('.tb-training-figures').textContent)", timeout=60_000)
    _change_training(run, output)
    shown.book.wait_done(120)
    assert run.state().state == "finished"
    assert outcomes(run) == ["lr", "dropout", "next_stage", "lr", "finish"]
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
