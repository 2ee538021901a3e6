"""
The pictures of the README and of docs/, of real runs in a real JupyterLab, in the light and the dark theme.

They are written to a temporary folder, or to that of ``TUNEBOOK_PICTURES``: the light ones there, the dark ones in its
folder ``dark``.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from lab_pages import _jupyterlab, _watched  # noqa: F401 - pytest takes fixtures by their names
from playwright.sync_api import expect
from template_pages import Template, wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]

#: Bytes that a picture may have: a README loads all of them.
LARGEST = 200_000
SIZE = {"width": 1280, "height": 860}

#: The runs to look at, with what each was given; without names of their own the newest would be told by their times.
RUNS: dict[str, dict[str, Any]] = {
    "emoji-head": {"template": "image-classification", "values": {"unfreeze": [], "epochs": 4}},
    "emoji-gradual": {"template": "image-classification", "values": {"unfreeze": [[2, -3]], "dropout": 0.2}},
    "emoji-balanced": {"template": "image-classification", "values": {"class_weights": "balanced", "unfreeze": []}},
    "reviews": {"template": "text-classification", "values": {"epochs": 3}},
    "emoji-search": {
        "template": "image-classification",
        "values": {"freeze": "backbone", "unfreeze": [], "augment": "none", "epochs": 4},
        "sweep": {"space": {"lr": "log(1e-4,1e-1)", "dropout": "0..0.5"}, "trials": 24, "method": "random"},
    },
}
COMMON = {"max_examples": 500, "onnx": False}


_IS_DARK = """isDark => {
    const ink = getComputedStyle(document.documentElement).getPropertyValue('--jp-ui-font-color1');
    return ink.includes('255') === isDark;
}"""
_IS_STILL = "() => !document.getAnimations().some(a => a instanceof CSSTransition && a.playState === 'running')"
_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


class Camera:
    """
    Takes pictures in both themes.

    Parameters
    ----------
    page
        The browser's page.
    folder
        Where they are written.
    """

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder

    def take(self, name: str, what: Locator | None = None) -> None:
        """Take a part of the page, or all that is in view, light and dark."""
        for folder, theme in ((self.folder / "dark", "JupyterLab Dark"), (self.folder, "JupyterLab Light")):
            self.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
            self.page.wait_for_function(_IS_DARK, arg="Dark" in theme)
            # Canvases are drawn again when a transition of the text's colour has ended.
            self.page.evaluate(_FRAMES)
            self.page.wait_for_function(_IS_STILL)
            self.page.evaluate(_FRAMES)
            self.page.mouse.move(SIZE["width"] - 1, SIZE["height"] - 1)
            raw = (what or self.page).screenshot(animations="disabled", caret="hide")
            folder.mkdir(parents=True, exist_ok=True)
            picture = Image.open(io.BytesIO(raw)).convert("RGB")
            path = folder / f"{name}.png"
            picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
            assert path.stat().st_size < LARGEST, f"{path}: {path.stat().st_size} bytes"


@pytest.fixture
def camera(page: Page, tmp_path: Path) -> Camera:
    page.set_viewport_size(SIZE)  # type: ignore[arg-type]
    return Camera(page, Path(os.environ.get("TUNEBOOK_PICTURES") or tmp_path))


@pytest.fixture(scope="module")
def runs(lab: Any) -> Iterator[Path]:
    """Make the runs in the background, and leave a long one going."""
    for name, asked in RUNS.items():
        plain = {**COMMON, **asked["values"]}
        named = {"name": name} if "sweep" in asked else {"values": {**plain, "run": name}}
        lab.request("/tunebook/api/jobs", "POST", {"folder": "", **asked, "values": plain, **named})
    going = {"max_examples": 500, "epochs": 400, "unfreeze": [], "onnx": False, "run": "emoji-going"}
    job = lab.request("/tunebook/api/jobs", "POST", {"folder": "", "template": "image-classification", "values": going})

    def states() -> dict[str, str]:
        return {each["title"]: each["state"] for each in lab.request("/tunebook/api/jobs")["jobs"]}

    wait(lambda: states()["emoji-going"] == "running", "the runs", 1800)
    assert {states()[name] for name in RUNS} == {"finished"}, states()
    folder = lab.folder / "runs"
    wait(lambda: json.loads((folder / "emoji-going" / "state.json").read_text())["epoch"] > 20, "epochs", 300)
    yield folder
    lab.request(f"/tunebook/api/jobs?id={job['id']}", "DELETE")


def test_pictures_of_the_extension(runs: Path, jupyterlab: Callable[[], Any], page: Page, camera: Camera) -> None:
    shown = jupyterlab()
    card = page.locator(".jp-LauncherCard", has_text="Image classification")
    card.wait_for()
    camera.take("lab-launcher")

    card.click()
    expect(page.locator(".jp-Tunebook-Row[data-name=model] input").first).to_be_visible()
    camera.take("lab-form")

    side = shown.runs()
    side.get_by_label("Order").select_option("name")  # else the trials come first, and the other runs are out of sight
    row = shown.row("runs/emoji-gradual")
    expect(row).to_contain_text("gap")
    expect(row.locator("polyline")).to_be_visible()
    row.dblclick()
    shown.row("runs/emoji-search").locator(".jp-Tunebook-Run-fold").click()
    side.locator("[aria-level='2']").first.wait_for()
    opened = page.locator(".jp-Tunebook-Page:visible")
    opened.locator(".tb-chart canvas").first.wait_for()
    camera.take("lab-runs")

    opened.get_by_role("tab", name="Results").click()
    opened.locator(".jp-Tunebook-Confusion canvas, .jp-Tunebook-Confusion table").first.wait_for()
    camera.take("lab-run-page")

    opened = shown.open_run("runs/emoji-head", "runs/emoji-gradual", "runs/emoji-balanced")
    opened.locator(".tb-chart canvas").first.wait_for()
    camera.take("lab-compare")

    log = next((runs / "emoji-gradual").glob("events.out.tfevents.*"))
    shown.execute("docmanager:open", path=f"runs/emoji-gradual/{log.name}")
    page.locator(".jp-Tunebook-Events .tb-chart canvas").first.wait_for()
    camera.take("lab-events")


def test_pictures_of_a_training(notebook: Any, lab: Any, camera: Camera) -> None:
    values = {**COMMON, "epochs": 20, "unfreeze": [[5, -3]]}
    shown = Template(notebook, lab, "image-classification", "by-hand", **values)
    at_panel, at_tune, at_bias = (shown.cell(text) for text in ("ControlPanel(", "watch(", "BiasView("))
    shown.run(0, at_panel)
    panel = shown.book.output(at_panel)
    panel.locator(".tbp-layers .tbp-rows .tbp-row").first.wait_for(timeout=300_000)
    camera.take("panel", panel)

    shown.page.set_viewport_size({**SIZE, "height": 1400})  # type: ignore[arg-type]  # what is beyond it is cut off
    shown.run(at_tune, len(shown.sources) - 1)
    output = shown.book.output(at_tune)
    wait(lambda: shown.made.state().epoch >= 8, "epochs", 300)
    shown.scroll_to(at_tune)
    output.locator(".tb-table").wait_for()
    camera.take("curves", output)

    output.get_by_role("button", name="Finish now").click()
    shown.book.wait_done(300)
    shown.scroll_to(at_bias)
    view = shown.book.output(at_bias)
    view.locator(".tbb-row[data-place]").first.wait_for()
    camera.take("bias-view", view)
