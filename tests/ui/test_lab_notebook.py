"""What the extension adds to a notebook: the parameters form, and outputs that outlive their kernel."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab_pages import _folder, _jupyterlab, _watched  # noqa: F401 - pytest takes fixtures by their names
from playwright.sync_api import expect

from tunebook import tasks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

TASK = "image-classification"
PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000"
        "000049454e44ae426082"
    )
).decode()


def write_notebook(path: Path, *cells: Any) -> None:
    book = nbformat.v4.new_notebook(
        metadata={"tunebook": {"task": TASK}, "kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
    book.cells = list(cells)
    nbformat.write(book, path)


def parameters_cell(**values: Any) -> Any:
    source = tasks.recipe_class(TASK).parameters_cell(values)
    return nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})


#: The notebook that is open, whether or not it is the tab in front.
_NOTEBOOK = "[...window.jupyterapp.shell.widgets('main')].find(w => w.content?.model?.sharedModel?.cells).content.model"


def cell_source(page: Page) -> str:
    return str(page.evaluate(f"() => {_NOTEBOOK}.sharedModel.cells[0].getSource()"))


def undo(page: Page) -> None:
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    page.keyboard.press("Control+z")


def open_notebook(shown: Any, page: Page, path: str) -> None:
    shown.execute("docmanager:open", path=path)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()


def test_the_parameters_form_goes_to_the_cell_and_back(folder: Path, jupyterlab: Any, page: Page) -> None:
    write_notebook(folder / "book.ipynb", parameters_cell(epochs=4))
    shown = jupyterlab()
    open_notebook(shown, page, f"{folder.name}/book.ipynb")
    page.locator(".jp-Toolbar [data-jp-item-name=tunebook-parameters]").click()
    epochs = page.locator(".jp-Tunebook-Row[data-name=epochs] input")
    expect(epochs).to_have_value("4")
    epochs.fill("9")
    page.locator(".jp-Tunebook-Row[data-name=lr] input").fill("3e-4")
    page.get_by_role("button", name="Write to the notebook").click()
    page.locator(".jp-Tunebook-Form").wait_for(state="detached")
    source = cell_source(page)
    assert "epochs: int = 9  #" in source
    assert "lr: float = 0.0003  #" in source
    undo(page)
    assert "epochs: int = 4  #" in cell_source(page)


def test_what_is_not_allowed_is_said_beside_its_control(folder: Path, jupyterlab: Any, page: Page) -> None:
    write_notebook(folder / "book.ipynb", parameters_cell())
    shown = jupyterlab()
    open_notebook(shown, page, f"{folder.name}/book.ipynb")
    shown.execute("tunebook:parameters")
    row = page.locator(".jp-Tunebook-Row[data-name=epochs]")
    row.locator("input").fill("0")
    expect(row.get_by_role("alert")).to_have_text("allowed: a whole number at least 1 and at most 100000")
    row.locator("input").fill("two")
    expect(row.get_by_role("alert")).to_be_visible()
    row.locator("input").fill("2")
    expect(row.get_by_role("alert")).to_have_count(0)


def test_the_control_panels_event_writes_the_cell_and_can_be_undone(folder: Path, jupyterlab: Any, page: Page) -> None:
    write_notebook(folder / "book.ipynb", parameters_cell(), nbformat.v4.new_code_cell("1"))
    shown = jupyterlab()
    open_notebook(shown, page, f"{folder.name}/book.ipynb")
    assert page.evaluate("() => document.documentElement.dataset.tunebookLab") == "1"
    before = cell_source(page)
    taken = page.evaluate("""() => {
        const event = new CustomEvent('tunebook-write-parameters',
            { bubbles: true, cancelable: true, composed: true, detail: { source: 'epochs: int = 7' } });
        document.querySelector('.jp-Notebook .jp-Cell').dispatchEvent(event);
        return event.defaultPrevented;
    }""")
    assert taken
    assert cell_source(page) == "epochs: int = 7"
    undo(page)
    assert cell_source(page) == before
    outside = page.evaluate("""() => {
        const event = new CustomEvent('tunebook-write-parameters',
            { bubbles: true, cancelable: true, detail: { source: 'x = 1' } });
        document.body.dispatchEvent(event);
        return event.defaultPrevented;
    }""")
    assert not outside


def test_a_saved_widget_whose_model_is_gone_leaves_its_picture(
    folder: Path, jupyterlab: Any, lab: Any, page: Page
) -> None:
    view = {"version_major": 2, "version_minor": 0, "model_id": "0123456789abcdef0123456789abcdef"}
    data = {"application/vnd.jupyter.widget-view+json": view, "image/png": PIXEL, "text/plain": "words"}
    cell = nbformat.v4.new_code_cell("x", outputs=[nbformat.v4.new_output("display_data", data=data)])
    path = folder / "book.ipynb"
    write_notebook(path, cell)
    # Only a trusted notebook shows widgets at all; an untrusted one shows the picture by itself.
    own = {"JUPYTER_DATA_DIR": str(Path(lab.folder).parent / "jupyter_data_dir")}
    subprocess.run([sys.executable, "-m", "jupyter", "trust", str(path)], env={**os.environ, **own}, check=True)
    shown = jupyterlab()
    open_notebook(shown, page, f"{folder.name}/book.ipynb")
    assert page.evaluate(f"() => {_NOTEBOOK}.cells.get(0).trusted")
    picture = page.locator(".jp-OutputArea img")
    picture.wait_for(timeout=30_000)
    assert (picture.get_attribute("src") or "").startswith("data:image/png;base64,")
    page.wait_for_timeout(4000)  # the widgets' renderer looks for a model for two seconds once there is a kernel
    expect(picture).to_be_visible()
    expect(page.locator(".jp-OutputArea", has_text="model not found")).to_have_count(0)


def test_kept_curves_are_drawn_in_an_untrusted_notebook(folder: Path, jupyterlab: Any, page: Page) -> None:
    name = "<img src=x onerror=alert(1)>"
    steps = list(range(1, 20))
    curves = {"loss/validation": [steps, [1 / step for step in steps]]}
    kept = {"version": 1, "runs": [{"key": "a", "name": name, "state": "finished", "curves": curves}]}
    data = {"application/vnd.tunebook.curves+json": kept, "image/png": PIXEL, "text/plain": "words"}
    cell = nbformat.v4.new_code_cell(
        "x", outputs=[nbformat.v4.new_output("display_data", data=json.loads(json.dumps(data)))]
    )
    write_notebook(folder / "book.ipynb", cell)
    shown = jupyterlab()
    open_notebook(shown, page, f"{folder.name}/book.ipynb")
    page.locator(".jp-OutputArea .tb-chart canvas").first.wait_for()
    expect(page.locator(".jp-OutputArea .tb-state")).to_contain_text(name)


@pytest.fixture(name="held")
def _held(lab: Any) -> Iterator[None]:
    """Let no background run begin; what was queued is taken out again."""
    lab.request("/tunebook/api/queue", "PATCH", {"held": True})
    yield
    for job in lab.request("/tunebook/api/jobs")["jobs"]:
        if job["state"] == "queued":
            lab.request(f"/tunebook/api/jobs?id={job['id']}", "DELETE")
    lab.request("/tunebook/api/queue", "PATCH", {"held": False})


def queued(lab: Any, notebook: str) -> dict[str, Any]:
    """Return the job that waits for a notebook."""
    jobs = lab.request("/tunebook/api/jobs")["jobs"]
    return next(job for job in jobs if job["notebook"] == notebook and job["state"] == "queued")


@pytest.mark.usefixtures("held")
def test_the_toolbar_queues_the_notebook_as_it_stands(folder: Path, jupyterlab: Any, lab: Any, page: Page) -> None:
    write_notebook(folder / "book.ipynb", parameters_cell(epochs=4))
    shown = jupyterlab()
    open_notebook(shown, page, f"{folder.name}/book.ipynb")
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("\nepochs = 7")
    with shown.notification("Run queued"):
        page.locator(".jp-Toolbar [data-jp-item-name=tunebook-run-in-background]").click()
    job = queued(lab, f"{folder.name}/book.ipynb")
    assert job["kind"] == "run"
    side = shown.runs()
    side.get_by_label("Search runs").fill(folder.name)
    expect(side.locator("[role=treeitem]", has_text="queued")).to_have_count(1)
    assert "epochs = 7" in (folder / "book.ipynb").read_text(encoding="utf-8")  # what is queued was saved first


@pytest.mark.usefixtures("held")
def test_a_search_is_started_from_the_notebooks_parameters(folder: Path, jupyterlab: Any, lab: Any, page: Page) -> None:
    write_notebook(folder / "book.ipynb", parameters_cell(epochs=4))
    shown = jupyterlab()
    open_notebook(shown, page, f"{folder.name}/book.ipynb")
    page.locator(".jp-Toolbar [data-jp-item-name=tunebook-parameters]").click()
    page.locator(".jp-Tunebook-Search > summary").click()
    page.get_by_role("button", name="+ parameter").click()
    page.get_by_label("Space of Learning rate").fill("log(1e-4,1e-1)")
    page.get_by_label("Trials").fill("7")
    with shown.notification("Search queued"):
        page.get_by_role("button", name="Search in background").click()
    job = queued(lab, f"{folder.name}/book.ipynb")
    assert job["kind"] == "sweep"
    row = next(row for row in lab.request("/tunebook/api/runs")["runs"] if row["job"] == job["id"])
    assert row["kind"] == "sweep"
