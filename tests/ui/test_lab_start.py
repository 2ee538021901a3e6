"""On Binder JupyterLab begins with a template, and the launcher stands beside it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
NAME = "image-classification.ipynb"
IDLE = "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@pytest.fixture
def binder(lab: Any) -> Iterator[str]:
    """Set what Binder's settings set, and give the address at which a badge begins."""
    wanted = json.loads((ROOT / "binder" / "overrides.json").read_text(encoding="utf-8"))["tunebook:start"]
    assert wanted == {"launcher": True}
    setting = "/lab/api/settings/tunebook:start"
    shutil.copy(ROOT / "templates" / "vision" / NAME, lab.folder / NAME)
    lab.request(setting, "PUT", {"raw": json.dumps(wanted)})
    yield f"{lab.url}/lab/tree/{NAME}?token={lab.token}&reset"
    lab.request(setting, "PUT", {"raw": "{}"})
    (lab.folder / NAME).unlink()


def _begin(page: Page, address: str) -> None:
    page.goto(address)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)
    page.wait_for_function("window.jupyterapp !== undefined")


def test_the_launcher_stands_beside_the_template_and_leaves_it_in_front(binder: str, page: Page) -> None:
    _begin(page, binder)
    card = page.locator(".jp-LauncherCard", has_text="Image classification")
    expect(card).to_be_in_viewport(timeout=20_000)
    left, right = (page.locator(name).first.bounding_box() for name in (".jp-Notebook", ".jp-Launcher"))
    assert left is not None
    assert right is not None
    assert left["x"] + left["width"] <= right["x"] + 1
    assert min(left["width"], right["width"]) > 300
    current = page.evaluate("window.jupyterapp.shell.currentWidget.context?.path")
    assert current == NAME


def test_a_second_start_opens_no_second_launcher(binder: str, page: Page) -> None:
    _begin(page, binder)
    expect(page.locator(".jp-Launcher")).to_have_count(1, timeout=20_000)
    page.wait_for_function(
        "() => window.jupyterapp.serviceManager.workspaces.fetch('default')"
        ".then(kept => JSON.stringify(kept.data).includes('launcher'))",
        polling=500,
    )
    _begin(page, binder.replace("&reset", ""))
    page.wait_for_function(IDLE, timeout=60_000)  # long after a launcher would have been opened
    expect(page.locator(".jp-Launcher")).to_have_count(1)


def test_a_narrow_window_keeps_the_template_alone(binder: str, page: Page) -> None:
    page.set_viewport_size({"width": 900, "height": 800})
    _begin(page, binder)
    page.wait_for_function(IDLE, timeout=60_000)  # long after a launcher would have been opened
    expect(page.locator(".jp-Launcher")).to_have_count(0)


def test_without_the_setting_there_is_no_launcher(binder: str, lab: Any, page: Page) -> None:
    lab.request("/lab/api/settings/tunebook:start", "PUT", {"raw": "{}"})
    _begin(page, binder)
    page.wait_for_function(IDLE, timeout=60_000)  # long after a launcher would have been opened
    expect(page.locator(".jp-Launcher")).to_have_count(0)
