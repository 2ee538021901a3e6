"""Runs in the side bar: told apart, found again, resumed and run again from wherever they are shown."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import lab_pages
from lab_pages import _folder, _jupyterlab, _watched  # noqa: F401 - pytest takes fixtures by their names
from playwright.sync_api import expect

from tunebook.run_notes import change_notes, read_notes
from tunebook.runs import Run

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def held(lab: Any) -> Any:
    """Hold the queue, so that what is submitted is seen and not run."""
    lab.request("/tunebook/api/queue", "PATCH", {"held": True})
    yield lambda: [job for job in lab.request("/tunebook/api/jobs")["jobs"] if job["state"] == "queued"]
    for job in lab.request("/tunebook/api/jobs")["jobs"]:
        if job["state"] == "queued":
            lab.request(f"/tunebook/api/jobs?id={job['id']}", "DELETE")
    lab.request("/tunebook/api/queue", "PATCH", {"held": False})


def test_a_narrow_row_keeps_what_tells_a_run_from_the_others(folder: Path, jupyterlab: Any) -> None:
    stem = "image-classification-of-many-faces-20261130"
    for number, lr in enumerate((0.001, 0.003, 0.01)):
        lab_pages.write_run(folder, f"{stem}-{number}41207", lr=lr, data="sets/faces", model="resnet18")
    shown = jupyterlab()
    shown.runs().get_by_label("Search runs").fill(folder.name)
    row = shown.row(f"{folder.name}/{stem}-141207")
    expect(row).to_contain_text("lr 0.003")
    expect(row.locator(".jp-Tunebook-Run-name")).to_have_text(f"{stem}-141207")
    own = row.locator(".jp-Tunebook-Run-own").first
    expect(own).to_have_text("141207")
    assert own.evaluate("node => node.scrollWidth <= node.clientWidth")
    # What all have in common gives way, and comes last.
    assert row.locator(".jp-Tunebook-Run-common").evaluate("node => node.scrollWidth > node.clientWidth")
    line = row.locator(".jp-Tunebook-Run-line").inner_text()
    assert line.index("lr 0.003") < line.index("faces")
    assert "epochs" not in line


def test_a_model_below_its_baseline_is_amber_with_both_figures(folder: Path, jupyterlab: Any, page: Page) -> None:
    poor = lab_pages.write_run(folder, "poor")
    lab_pages.write_run(folder, "good")
    Run(poor).update(baseline=0.7512, metric=0.7508)
    shown = jupyterlab()
    side = shown.runs()
    side.get_by_label("Search runs").fill(folder.name)
    row = shown.row(f"{folder.name}/poor")
    expect(row).to_contain_text("below baseline · 0.7512 → 0.7508")
    expect(row.locator(".jp-Tunebook-state-below")).to_have_count(1)
    side.get_by_label("Show").select_option("below")
    expect(page.locator("#tunebook-runs [role=treeitem]")).to_have_count(1)
    opened = shown.open_run(f"{folder.name}/poor")
    expect(opened.locator(".jp-Tunebook-Page-standing")).to_contain_text("below its baseline: 0.7508 against 0.7512")


def test_star_tags_note_and_columns_are_kept_and_found(folder: Path, jupyterlab: Any, page: Page) -> None:
    path = lab_pages.write_run(folder, "one")
    change_notes(lab_pages.write_run(folder, "two"), tags=["old"])
    shown = jupyterlab()
    side = shown.runs()
    search = side.get_by_label("Search runs")
    search.fill(folder.name)
    row = shown.row(f"{folder.name}/one")
    row.click()
    side.get_by_role("tree").focus()
    page.keyboard.press("s")
    expect(row.locator("[data-star=true]")).to_have_count(1)
    side.locator("button[data-action=notes]").click()
    page.get_by_label("Tags, with commas between them").fill("paper, for Ann")
    note = page.locator(".jp-Dialog textarea")
    note.press_sequentially("first")
    note.press("Enter")
    note.press_sequentially("second <b>")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(row).to_contain_text("for Ann")
    assert read_notes(path).note == "first\nsecond <b>"
    search.fill(f"{folder.name} #for-ann")
    expect(page.locator("#tunebook-runs [role=treeitem]")).to_have_count(1)
    search.fill(folder.name)
    side.get_by_label("Show").select_option("starred")
    expect(page.locator("#tunebook-runs [role=treeitem]")).to_have_count(1)
    side.get_by_text("Columns", exact=True).click()
    side.get_by_label("Note", exact=True).check()
    side.get_by_label("Baseline", exact=True).uncheck()
    expect(row).to_contain_text("first")
    expect(row).not_to_contain_text("→")
    time.sleep(2)  # JupyterLab writes its state a moment later
    shown.open(reset=False)
    expect(shown.row(f"{folder.name}/one")).to_contain_text("first")
    expect(shown.row(f"{folder.name}/one")).not_to_contain_text("→")


def test_a_run_is_resumed_from_side_bar_context_menu_page_and_palette(
    folder: Path, jupyterlab: Any, page: Page, held: Any
) -> None:
    for name in ("bar", "menu", "page", "palette"):
        lab_pages.write_run(folder, name, state="stopped")
    lab_pages.write_run(folder, "done")
    shown = jupyterlab()
    side = shown.runs()
    side.get_by_label("Search runs").fill(folder.name)

    def is_queued(name: str) -> None:
        page.locator(".Toastify__toast", has_text=f"{name} goes on in the background").wait_for()
        assert f"{folder.name}/{name}" in {job["run"] for job in held()}

    shown.row(f"{folder.name}/bar").click()
    side.locator("button[data-action=resume]").click()
    is_queued("bar")
    shown.row(f"{folder.name}/menu").click(button="right")
    page.locator(".lm-Menu-item", has_text="Resume").click()
    is_queued("menu")
    shown.open_run(f"{folder.name}/page").locator("button[data-action=resume]").click()
    is_queued("page")
    shown.open_run(f"{folder.name}/palette")
    shown.execute("tunebook:resume-run", palette=True)
    is_queued("palette")

    shown.row(f"{folder.name}/done").click(button="right")
    expect(page.locator(".lm-Menu-item", has_text="Run again with changes")).to_be_visible()
    expect(page.locator(".lm-Menu-item", has_text="Resume")).to_be_hidden()
    page.keyboard.press("Escape")
    shown.execute("tunebook:resume-run", path=f"{folder.name}/done")
    page.locator(".Toastify__toast", has_text="done cannot be resumed: it is finished").wait_for()


def test_a_run_again_is_that_run_but_for_what_was_changed(folder: Path, jupyterlab: Any, page: Page, held: Any) -> None:
    lab_pages.write_run(folder / "runs", "one", lr=0.02, freeze="none", model="resnet18")
    shown = jupyterlab()
    side = shown.runs()
    side.get_by_label("Search runs").fill(folder.name)
    shown.row(f"{folder.name}/runs/one").click()
    side.locator("button[data-action=again]").click()
    form = page.locator(".jp-Tunebook-Form:visible")
    expect(form.locator(".jp-Tunebook-Changes")).to_contain_text("As one was run")
    form.locator(".jp-Tunebook-Row[data-name=epochs] input").fill("7")
    expect(form.locator(".jp-Tunebook-Changes li")).to_have_text("Epochs: 3 → 7")
    form.get_by_role("button", name="Run in background").click()
    page.locator(".Toastify__toast", has_text="Run queued").wait_for()
    (job,) = [job for job in held() if job["run"].startswith(f"{folder.name}/runs/")]
    assert job["folder"] == folder.name
    form.get_by_role("button", name="Create notebook").click()
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    (book,) = folder.glob("*.ipynb")
    text = book.read_text(encoding="utf-8")
    assert all(value in text for value in ("lr: float = 0.02", "epochs: int = 7", 'model: str = \\"resnet18\\"'))
