"""What the command palette offers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from lab_pages import _folder, _jupyterlab, _watched, write_run  # noqa: F401 - pytest takes fixtures by their names
from playwright.sync_api import TimeoutError, expect  # noqa: A004 - Playwright's own
from template_pages import wait

from tunebook import templates

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def found(page: Page, text: str, first_word: str) -> Locator:
    """Open the palette, search in it, and return it once what it shows first holds a word."""
    palette = page.locator("#modal-command-palette")
    first = palette.locator(".lm-CommandPalette-item").first
    for attempt in range(5):
        if not palette.is_visible():
            page.evaluate("() => { void window.jupyterapp.commands.execute('apputils:activate-command-palette'); }")
        try:
            palette.locator("input").fill(text, timeout=2_000)
            expect(first).to_contain_text(first_word, timeout=2_000)
        except (AssertionError, TimeoutError):
            # It closes when it loses the focus, which what was run before may still take.
            if attempt == 4:
                raise
        else:
            break
    return palette


#: Notes whether a command of Tunebook's ran.
_LISTEN = """() => {
    if (window.tunebookRan === undefined) {
        window.jupyterapp.commands.commandExecuted.connect((_, { id }) => {
            window.tunebookRan = window.tunebookRan || id.startsWith('tunebook:');
        });
    }
    window.tunebookRan = false;
}"""


def choose(page: Page, text: str) -> None:
    """Run the first command that the palette finds for a text."""
    page.evaluate(_LISTEN)
    for _ in range(5):
        palette = found(page, text, text)
        palette.locator("input").press("Enter")
        expect(palette).to_be_hidden()
        # A page that has just come may take the focus, which closes the palette before it hears the key.
        if page.evaluate("() => window.tunebookRan"):
            return
    pytest.fail(f"the palette did not run {text!r}")


def test_every_command_stands_below_one_heading(jupyterlab: Any, page: Page) -> None:
    jupyterlab()
    palette = found(page, "Fine-tuning", "Fine-tun")
    shown = {text.strip() for text in palette.locator(".lm-CommandPalette-itemLabel").all_text_contents()}
    expected = {
        "Fine-tune a model…", "Show runs", "Refresh runs",
        "Resume a run…", "Run a run again with changes…", "Star a run…", "Write tags and a note…",
        "Set how many background runs may run at once…", "Hold background runs", "Let background runs start again",
    }  # fmt: skip
    assert shown == expected, "those of a notebook are there with a notebook"


def test_a_form_and_the_runs_are_opened(folder: Path, jupyterlab: Any, page: Page) -> None:
    write_run(folder, "one")
    shown = jupyterlab()
    choose(page, "Show runs")
    expect(page.locator("#tunebook-runs")).to_be_visible()
    shown.runs().get_by_label("Search runs").fill(folder.name)
    shown.row(f"{folder.name}/one").wait_for()
    write_run(folder, "two")
    choose(page, "Refresh runs")
    shown.row(f"{folder.name}/two").wait_for()
    choose(page, "Fine-tune a model…")
    page.locator(".jp-Dialog .jp-mod-accept").click()  # the first of the templates
    page.locator(".jp-Tunebook-Form").wait_for()


def test_the_queue_is_held_limited_and_let_go(jupyterlab: Any, lab: Any, page: Page) -> None:
    jupyterlab()
    before = lab.request("/tunebook/api/queue")
    choose(page, "Hold background runs")
    wait(lambda: lab.request("/tunebook/api/queue")["held"] is True, "the queue has heard")
    choose(page, "Let background runs start again")
    wait(lambda: lab.request("/tunebook/api/queue")["held"] is False, "the queue has heard")
    choose(page, "Set how many background runs may run at once…")
    dialog = page.locator(".jp-Dialog")
    dialog.locator("input").fill(str(before["max_running"] + 2))
    dialog.locator(".jp-mod-accept").click()
    expect(dialog).to_be_hidden()
    wait(lambda: lab.request("/tunebook/api/queue")["max_running"] == before["max_running"] + 2, "the queue has heard")
    lab.request("/tunebook/api/queue", "PATCH", {"max_running": before["max_running"]})


def test_commands_of_a_notebook_work_on_the_open_one_alone(folder: Path, jupyterlab: Any, page: Page) -> None:
    templates.copy_template("image-classification", folder / "mine.ipynb")
    shown = jupyterlab()
    shown.execute("docmanager:open", path=f"{folder.name}/mine.ipynb")
    # Until its kernel is there, the notebook takes the focus once more, and a palette without it closes.
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    )
    page.wait_for_function("() => window.jupyterapp.commands.isEnabled('tunebook:parameters')")
    choose(page, "Parameters")
    page.locator(".jp-Tunebook-Form").wait_for()
