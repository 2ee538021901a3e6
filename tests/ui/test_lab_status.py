"""What is known of a notebook while it runs: in the status bar, at its end, and under its training bar."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

sys.path.insert(0, str(Path(__file__).parent))

from lab_pages import _folder, _jupyterlab, _watched  # noqa: F401 - pytest takes fixtures by their names
from playwright.sync_api import expect

from tunebook import tasks

if TYPE_CHECKING:
    from playwright.sync_api import Page

TASK = "image-classification"

#: Stands for training: it says how it goes as training does, and ends when a file called "go" is there.
TRAIN = """
import asyncio, time
from pathlib import Path
from tunebook.runs import Run
from tunebook.storage import write_json
from tunebook_widgets.training_bar import TrainingBar
from IPython.display import display
run = Run.create("runs", "{name}", "image-classification")
parameters = {parameters!r}
write_json(run.path / "recipe.json", {{"task": "image-classification", "parameters": parameters}})
bar = TrainingBar(run)
with run.owned():
    run.update(state="running", phase="tuning", epoch=1, epochs=6, step=2, steps=12, seconds_left=72.0)
    display(bar)
    while not Path("go").exists():
        await asyncio.sleep(0.05)
    run.update(state="{state}", baseline=0.6, metric={metric}, message="", finished=time.time())
bar.stop()
"""


def open_book(folder: Path, shown: Any, page: Page, **training: Any) -> None:
    parameters = tasks.recipe_class(TASK)(lr=0.02).model_dump(mode="json")
    book = nbformat.v4.new_notebook(
        metadata={"tunebook": {"task": TASK}, "kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
    source = TRAIN.format(parameters=json.loads(json.dumps(parameters)), **training)
    cells = [("markdown", "# A book"), ("code", "1 + 1"), ("markdown", "## **Tune** it"), ("code", source)]
    for kind, text in cells:
        book.cells.append(getattr(nbformat.v4, f"new_{kind}_cell")(text))
    nbformat.write(book, folder / "book.ipynb")
    shown.execute("docmanager:open", path=f"{folder.name}/book.ipynb")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.wait_for_function(
        "() => { const context = window.jupyterapp.shell.currentWidget?.sessionContext;"
        " return context?.isReady && context.session?.kernel?.status === 'idle'; }"
    )
    shown.execute("notebook:run-all-cells")


def close_kernels(lab: Any, folder: Path) -> None:
    for session in lab.request("/api/sessions"):
        if session["path"].startswith(folder.name):
            lab.request(f"/api/sessions/{session['id']}", "DELETE")


def test_the_status_bar_follows_a_notebook_and_its_end_is_amber_below_the_baseline(
    folder: Path, jupyterlab: Any, lab: Any, page: Page
) -> None:
    shown = jupyterlab()
    open_book(folder, shown, page, name="one", state="finished", metric=0.5)
    status = page.locator(".jp-Tunebook-Status button")
    expect(status).to_have_text("book.ipynb: Tune it (2 of 2) · epoch 2 of 6 · 1:12 left", timeout=60_000)
    shown.execute("launcher:create")
    page.locator(".jp-Launcher:visible").first.wait_for()
    status.click()
    expect(page.locator(".jp-Notebook .jp-Cell").nth(3)).to_be_visible()
    (folder / "go").touch()
    toast = page.locator(".Toastify__toast", has_text="below its baseline: 0.500 against 0.600")
    toast.wait_for()
    assert "warning" in (toast.get_attribute("class") or "")
    expect(page.locator(".jp-Tunebook-Status button")).to_have_count(0)
    toast.get_by_role("button", name="Show run").click()
    page.locator(".jp-Tunebook-Page-header[data-below=true] h2", has_text="one").wait_for()
    close_kernels(lab, folder)


def test_a_run_that_was_stopped_is_resumed_and_run_again_from_its_training_bar(
    folder: Path, jupyterlab: Any, lab: Any, page: Page
) -> None:
    lab.request("/tunebook/api/queue", "PATCH", {"held": True})
    try:
        shown = jupyterlab()
        (folder / "go").touch()
        open_book(folder, shown, page, name="two", state="stopped", metric=None)
        bar = page.locator(".tb-training")
        bar.get_by_role("button", name="Run again with changes").click(timeout=60_000)
        lr = page.locator(".jp-Tunebook-Row[data-name=lr] input")
        expect(lr).to_have_value("0.02")
        lr.fill("0.03")
        expect(page.locator(".jp-Tunebook-Changes li")).to_have_text("Learning rate: 0.02 → 0.03")
        shown.execute("docmanager:open", path=f"{folder.name}/book.ipynb")
        with shown.notification("two goes on in the background"):
            bar.get_by_role("button", name="Resume").click()
        (job,) = [job for job in lab.request("/tunebook/api/jobs")["jobs"] if job["run"].startswith(folder.name)]
        assert (job["kind"], job["run"]) == ("resume", f"{folder.name}/runs/two")
        lab.request(f"/tunebook/api/jobs?id={job['id']}", "DELETE")
    finally:
        lab.request("/tunebook/api/queue", "PATCH", {"held": False})
        close_kernels(lab, folder)
