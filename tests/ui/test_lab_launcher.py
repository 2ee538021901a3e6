"""From the launcher to a notebook, and to a run in the background."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from lab_pages import _folder, _jupyterlab  # noqa: F401 - pytest takes fixtures by their names
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page


def open_form(shown: Any, page: Page, template: str, cwd: str) -> None:
    shown.execute("tunebook:form", template=template, cwd=cwd)
    page.locator(".jp-Tunebook-Form").wait_for()


def control(page: Page, name: str) -> Any:
    return page.locator(f".jp-Tunebook-Row[data-name={name}]").locator("input, select").first


def test_each_template_has_a_card_that_opens_its_form(jupyterlab: Any, page: Page) -> None:
    jupyterlab()
    section = page.locator(".jp-Launcher-section", has_text="Fine-tuning")
    section.wait_for()
    titles = section.locator(".jp-LauncherCard-label").all_inner_texts()
    assert {"Image classification", "Text classification"} <= set(titles)
    section.locator(".jp-LauncherCard", has_text="Image classification").click()
    form = page.locator(".jp-Tunebook-Form")
    form.wait_for()
    expect(form.locator("legend").first).to_have_text("Data")
    expect(control(page, "model")).to_have_value("tf_efficientnet_lite0")
    expect(control(page, "clip_norm")).not_to_be_visible()  # for experts: folded away
    assert form.locator("input[type=text]:not([aria-describedby]):not([aria-label])").count() == 0


def test_create_makes_a_notebook_with_its_parameters_and_opens_it(folder: Path, jupyterlab: Any, page: Page) -> None:
    shown = jupyterlab()
    open_form(shown, page, "image-classification", folder.name)
    control(page, "epochs").fill("3")
    control(page, "class_weights").select_option(label="balanced")
    control(page, "dropout").fill("0.25")
    page.get_by_role("button", name="Create notebook").click()
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    source = (folder / "image-classification.ipynb").read_text(encoding="utf-8")
    cells = json.loads(source)["cells"]
    cell = "".join(next("".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", [])))
    for line in ("epochs: int = 3 ", 'class_weights: "str or dict" = "balanced" ', "= 0.25 "):
        assert line in cell


def test_a_folder_of_pictures_is_fine_tuned_on_from_the_file_browser(folder: Path, jupyterlab: Any, page: Page) -> None:
    for label in ("cat", "dog"):
        for number in range(3):
            path = folder / "animals" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number * 40, 0, 0)).save(path)
    shown = jupyterlab()
    shown.execute("filebrowser:open-path", path=folder.name)
    item = page.locator(".jp-DirListing-item", has_text="animals")
    item.wait_for()
    item.click(button="right")
    page.get_by_role("menuitem", name="Fine-tune on this").click()
    page.locator(".jp-Tunebook-Form").wait_for()
    expect(control(page, "data")).to_have_value("animals")


def test_the_form_outlives_a_reload(folder: Path, jupyterlab: Any, page: Page) -> None:
    shown = jupyterlab()
    open_form(shown, page, "image-classification", folder.name)
    control(page, "epochs").fill("11")
    page.wait_for_timeout(2000)  # JupyterLab writes its layout a second after it changed
    shown.open(reset=False)
    expect(control(page, "epochs")).to_have_value("11", timeout=20_000)


def test_the_users_default_parameters_begin_every_form(folder: Path, jupyterlab: Any, lab: Any, page: Page) -> None:
    settings = "/lab/api/settings/tunebook:plugin"
    chosen = {"defaultParameters": {"*": {"epochs": 2, "lr": 0.5}, "image-classification": {"epochs": 4}}}
    lab.request(settings, "PUT", {"raw": json.dumps(chosen)})
    try:
        open_form(jupyterlab(), page, "image-classification", folder.name)
        expect(control(page, "epochs")).to_have_value("4")
        expect(control(page, "lr")).to_have_value("0.5")
        expect(page.locator(".jp-Tunebook-Form-said")).to_contain_text("2 values differ from the defaults")
    finally:
        lab.request(settings, "PUT", {"raw": "{}"})


@pytest.mark.parametrize(
    "template", ["image-classification", pytest.param("text-classification", marks=pytest.mark.long)]
)
def test_a_background_run_goes_from_the_form_to_finished(
    folder: Path, jupyterlab: Any, page: Page, template: str
) -> None:
    shown = jupyterlab()
    open_form(shown, page, template, folder.name)
    for name, value in {"epochs": "1", "run": "tried"}.items():
        control(page, name).fill(value)
    for fold in page.locator(".jp-Tunebook-Advanced > summary").all():
        fold.click()
    control(page, "max_examples").fill("120")
    with shown.notification("Run queued"):
        page.get_by_role("button", name="Run in background").click()
    side = shown.runs()
    side.get_by_label("Search runs").fill("tried")
    row = side.locator("[role=treeitem]", has_text="tried")
    expect(row).to_have_attribute("data-state", "finished", timeout=180_000)
    row.dblclick()
    shown = page.locator(".jp-Tunebook-Page:visible")
    shown.locator(".tb-chart canvas").first.wait_for()
    shown.get_by_role("tab", name="Results").click()
    expect(shown).to_contain_text("tuned")
