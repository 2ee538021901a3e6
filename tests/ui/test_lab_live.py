"""A background run is watched, paused, let go on, stopped and resumed from the side bar."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from lab_pages import _folder, _jupyterlab, _watched  # noqa: F401 - pytest takes fixtures by their names
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: Enough epochs for a hand to be quicker, on a model that needs nothing but this machine.
VALUES = {
    "max_examples": 120,
    "epochs": 2000,
    "run": "watched",
    "unfreeze": [],
    "log_every": 10,
    "onnx": False,
    "monitor": "accuracy",
}


def test_a_run_is_paused_resumed_stopped_and_goes_on(folder: Path, jupyterlab: Any, lab: Any, page: Page) -> None:
    lab.request(
        "/tunebook/api/jobs", "POST", {"template": "image-classification", "folder": folder.name, "values": VALUES}
    )
    shown = jupyterlab()
    side = shown.runs()
    side.get_by_label("Search runs").fill(folder.name)
    row = side.locator("[role=treeitem]", has_text="watched")
    expect(row.locator(".jp-Tunebook-Run-standing")).to_contain_text("epoch", timeout=120_000)
    row.click()
    side.locator("button[data-action=pause]").click()
    expect(row).to_contain_text("paused", timeout=30_000)
    side.locator("button[data-action=continue]").click()
    expect(row).not_to_contain_text("paused", timeout=30_000)
    row.dblclick()
    page.locator(".jp-Tunebook-Page:visible .tb-chart canvas").first.wait_for()
    expect(page.locator(".jp-Tunebook-Page:visible .jp-Tunebook-Page-buttons button[data-action=stop]")).to_be_visible()
    side.locator("button[data-action=stop]").click()
    expect(row).to_have_attribute("data-state", "stopped", timeout=60_000)
    side.locator("button[data-action=resume]").click()
    expect(row).to_have_attribute("data-state", "running", timeout=60_000)
    expect(row.locator(".jp-Tunebook-Run-standing")).to_contain_text("epoch", timeout=60_000)
    side.locator("button[data-action=stop]").click()
    expect(row).to_have_attribute("data-state", "stopped", timeout=60_000)
