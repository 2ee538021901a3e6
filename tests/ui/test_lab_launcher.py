"""From the launcher to a notebook, and to a run in the background."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from lab_pages import _folder, _jupyterlab, _watched  # noqa: F401 - pytest takes fixtures by their names
from playwright.sync_api import expect
from template_pages import small

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


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_is_fine_tuned_on_from_the_file_browser(folder: Path, jupyterlab: Any, page: Page, suffix: str) -> None:
    table = pd.DataFrame({"text": ["a good film", "a bad film"] * 20, "label": ["good", "bad"] * 20})
    path = folder / f"reviews.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    shown = jupyterlab()
    shown.execute("filebrowser:open-path", path=folder.name)
    page.locator(".jp-DirListing-item", has_text=path.name).click(button="right")
    page.get_by_role("menuitem", name="Fine-tune on this").click()
    expect(page.locator(".jp-Tunebook-Form h2")).to_have_text("Text classification")
    expect(control(page, "data")).to_have_value(path.name)


def test_data_is_chosen_in_the_file_browsers_dialog(folder: Path, jupyterlab: Any, page: Page) -> None:
    (folder / "reviews.csv").write_text("text,label\n" + "a good film,good\na bad film,bad\n" * 20)
    open_form(jupyterlab(), page, "text-classification", folder.name)
    page.get_by_role("button", name="Choose a file or folder").click()
    page.locator(".jp-Dialog .jp-DirListing-item", has_text="reviews.csv").click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(control(page, "data")).to_have_value("reviews.csv")


def test_columns_of_a_table_are_seen_and_chosen_and_an_unclear_label_is_asked_for(
    folder: Path, jupyterlab: Any, page: Page
) -> None:
    rows = "".join(
        f"{k},thing {k} was as good as it could be,{'ns'[k % 2]},{k % 5},{20 + k},{k}.JPG\n" for k in range(30)
    )
    (folder / "table.csv").write_text(f"id,review,region,stars,<b>age</b>,picture\n{rows}", encoding="utf-8")
    open_form(jupyterlab(), page, "text-classification", folder.name)
    expect(control(page, "label")).to_have_count(0)  # the demo has columns of its own
    control(page, "data").fill("table.csv")
    preview = page.locator(".jp-Tunebook-Preview tbody tr")
    expect(preview).to_have_count(6)
    expect(preview.nth(3)).to_have_text("starswhole numbers5012")
    expect(preview.nth(1)).to_contain_text("text")
    assert control(page, "text").input_value() == "review"
    assert control(page, "label").input_value() == ""
    page.get_by_role("button", name="Create notebook").click()
    expect(page.get_by_role("alert").filter(has_text="Choose the column with the class")).to_have_count(2)
    assert not list(folder.glob("*.ipynb"))
    control(page, "label").select_option("stars")
    page.get_by_role("group", name="Sensitive").get_by_label("<b>age</b> (whole numbers, 30 values)").check()
    row = page.locator(".jp-Tunebook-Row[data-name=freeze]")
    row.locator("select").select_option(label="all but the last stages")
    row.get_by_label("Freeze: how many stages").fill("2")
    assert page.get_by_label("Unfreeze, step 1: what is frozen").count() == 1
    page.get_by_role("button", name="Create notebook").click()
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    source = (folder / "text-classification.ipynb").read_text(encoding="utf-8")
    cells = json.loads(source)["cells"]
    cell = "".join(next("".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", [])))
    for line in ('= "stars" ', '= "review" ', '= ["<b>age</b>"] ', "= -2 ", '= "table.csv" '):
        assert line in cell


def test_form_of_a_folder_of_pictures_has_no_fields_of_tables(folder: Path, jupyterlab: Any, page: Page) -> None:
    for label in ("cat", "dog"):
        (folder / "pets" / label).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / "pets" / label / "a.png")
    open_form(jupyterlab(), page, "image-classification", folder.name)
    expect(control(page, "sensitive")).to_be_visible()  # of the demo's groups one can choose
    control(page, "data").fill("pets")
    expect(control(page, "sensitive")).to_have_count(0)
    shown = set(page.locator(".jp-Tunebook-Row").evaluate_all("rows => rows.map(row => row.dataset.name)"))
    assert not shown & {"label", "path", "sensitive", "multi_label", "mitigate", "remedy"}
    assert {"image_size", "epochs", "class_weights"} <= shown


def test_models_that_fit_this_machine_come_first(jupyterlab: Any, page: Page) -> None:
    open_form(jupyterlab(), page, "image-classification", "")
    labels = page.locator(".jp-Tunebook-Row[data-name=model] datalist option").evaluate_all(
        "options => options.map(option => option.label)"
    )
    fits = ["fits this machine" in label for label in labels]
    assert any(fits)
    assert fits == sorted(fits, reverse=True)


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


@pytest.mark.slow
@pytest.mark.parametrize("template", ["image-classification", "text-classification"])
def test_a_background_run_goes_from_the_launcher_to_finished(
    folder: Path, jupyterlab: Any, lab: Any, page: Page, template: str
) -> None:
    shown = jupyterlab()
    shown.execute("filebrowser:open-path", path=folder.name)
    expect(page.locator(".jp-BreadCrumbs-item", has_text=folder.name)).to_be_visible()
    page.locator(".jp-LauncherCard", has_text=template.replace("-", " ").capitalize()).click()
    page.locator(".jp-Tunebook-Form").wait_for()
    for fold in page.locator(".jp-Tunebook-Advanced > summary").all():
        fold.click()
    control(page, "onnx").set_checked(False)
    values = {**small(template, lab.folder), "epochs": 1, "run": f"tried-{template}"}
    for name in ("epochs", "run", "max_examples", "model", "max_length", "image_size"):
        if name in values:
            control(page, name).fill(str(values[name]))
    with shown.notification("Run queued"):
        page.get_by_role("button", name="Run in background").click()
    side = shown.runs()
    side.get_by_label("Search runs").fill(values["run"])
    row = side.locator("[role=treeitem]", has_text=values["run"])
    expect(row).to_have_attribute("data-state", "finished", timeout=240_000)
    row.dblclick()
    opened = page.locator(".jp-Tunebook-Page:visible")
    opened.locator(".tb-chart canvas").first.wait_for()
    opened.get_by_role("tab", name="Results").click()
    expect(opened).to_contain_text("tuned")
    opened.get_by_role("tab", name="Bias report").click()
    expect(opened.locator("iframe").content_frame.locator("h1").first).to_be_visible()
    assert json.loads((folder / "runs" / values["run"] / "recipe.json").read_text())["task"] == template
