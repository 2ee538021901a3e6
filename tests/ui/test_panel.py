"""The control panel in a real JupyterLab: by mouse, by keyboard, with hostile names, and while a cell is awaited."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

PARTS = Path(__file__).parents[1] / "widgets"
HOSTILE = "<img src=x onerror=alert(1)>"
PREPARE = f"""
import sys; sys.path.insert(0, {str(PARTS)!r})
from panel_parts import *
from tunebook_widgets import ControlPanel
from types import SimpleNamespace
class Cost:
    def estimate(self, recipe):
        fits = recipe.batch_size <= 16
        return SimpleNamespace(trainable=40, frozen=60, memory=recipe.batch_size * 10**8, memory_limit=2 * 10**9,
            seconds_epoch=12.0, seconds=48.0, saved_seconds=96.0, fits=fits,
            advice="" if fits else "It would take 3.2 GB of 2.0 GB; a batch of 16 fits.",
            change={{}} if fits else {{"batch_size": 16}})
"""
SHOW = "panel = ControlPanel(small_recipe(), small_model(), small_examples({counts!r}, {names!r}), Cost())\npanel"
#: Records when messages that make widgets arrive, how large they are, and when the first row is drawn.
MEASURE = """
(() => {
  const seen = (window.tunebookSeen = { messages: [], rows: 0 });
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...args) {
      super(...args);
      this.addEventListener('message', event => {
        const bytes = event.data instanceof ArrayBuffer ? new Uint8Array(event.data) : null;
        const text = bytes ? new TextDecoder('latin1').decode(bytes) : String(event.data);
        const kind = /"msg_type": ?"(comm_open|comm_msg|display_data|execute_result)"/.exec(text);
        if (kind) seen.messages.push([kind[1], bytes ? bytes.length : text.length, performance.now()]);
      });
    }
  };
  new MutationObserver(() => {
    if (!seen.rows && document.querySelector('.tbp-layers .tbp-rows .tbp-row')) seen.rows = performance.now();
  }).observe(document, { childList: true, subtree: true });
})();
"""


def show(counts: tuple[int, ...] = (8, 4, 2), names: tuple[str, ...] = ("ape", HOSTILE, "cat")) -> str:
    return SHOW.format(counts=counts, names=names)


def parameters(page: Page) -> dict[str, Any]:
    """Return what the parameters cell that the panel offers would set."""
    namespace: dict[str, Any] = {}
    exec(page.locator(".tbp-source").input_value(), namespace)  # noqa: S102 - what a notebook does
    return namespace


def wait_for(page: Page, name: str, value: Any) -> None:
    end = time.monotonic() + 10
    while (found := parameters(page)[name]) != value and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert found == value


def row(page: Page, label: str) -> Any:
    return page.locator(".tbp-layers .tbp-rows .tbp-row").filter(
        has=page.locator(".tbp-label").get_by_text(label, exact=True)
    )


@pytest.fixture
def panel(shared_notebook: Callable[..., Any], page: Page) -> Page:
    book = shared_notebook([PREPARE, show()])
    book.run_all()
    page.wait_for_selector(".tbp-layers .tbp-rows .tbp-row")
    return page


def test_layers_by_mouse(panel: Page) -> None:
    row(panel, "blocks.2").locator(".tbp-dot").click()
    wait_for(panel, "freeze", -2)
    row(panel, "blocks.0").locator(".tbp-dot").click(modifiers=["Shift"])
    wait_for(panel, "freeze", 1)
    panel.get_by_role("button", name="backbone", exact=True).click()
    wait_for(panel, "freeze", "backbone")
    assert panel.get_by_role("button", name="backbone", exact=True).get_attribute("aria-pressed") == "true"
    panel.get_by_role("button", name="gradual").click()
    wait_for(panel, "unfreeze", [[1, -3], [2, -4], [3, "none"]])
    panel.wait_for_function("document.querySelectorAll('.tbp-epoch').length === 3")
    panel.locator(".tbp-epoch").nth(2).fill("9")
    panel.locator(".tbp-epoch").nth(2).press("Enter")
    wait_for(panel, "unfreeze", [[1, -3], [2, -4], [8, "none"]])
    panel.get_by_role("button", name="take out the phase from epoch 9").click()
    wait_for(panel, "unfreeze", [[1, -3], [2, -4]])
    # A bar over the epochs is dragged: from the third of four on.
    box = row(panel, "stem").locator(".tbp-cell-time").bounding_box()
    assert box is not None
    panel.mouse.move(box["x"] + box["width"] - 2, box["y"] + 5)
    panel.mouse.down()
    panel.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 5, steps=3)
    panel.mouse.up()
    wait_for(panel, "unfreeze", [[1, -3], [2, "none"]])


def test_layers_by_keyboard_without_moving_the_notebook(panel: Page) -> None:
    grid = panel.get_by_role("treegrid")
    grid.focus()
    panel.keyboard.press("End")
    panel.keyboard.press("ArrowUp")
    panel.keyboard.press(" ")
    wait_for(panel, "freeze", -2)
    panel.keyboard.press("ArrowRight")
    assert row(panel, "blocks.2").get_attribute("aria-expanded") == "true"
    panel.keyboard.press("ArrowDown")
    panel.keyboard.press(" ")
    wait_for(panel, "freeze", ["stem", "blocks.0", "blocks.1", "blocks.2.0"])
    panel.keyboard.press("ArrowLeft")
    panel.keyboard.press("ArrowLeft")
    assert row(panel, "blocks.2").get_attribute("aria-expanded") == "false"
    panel.keyboard.press("Home")
    for _ in range(2):
        panel.keyboard.press("-")
    wait_for(panel, "unfreeze", [[2, ["blocks.0", "blocks.1", "blocks.2.0"]]])
    assert grid.evaluate("grid => grid === document.activeElement")


def test_what_is_refused_is_told_beside_the_control(panel: Page) -> None:
    panel.get_by_label("freeze by patterns").fill("blokcs.*")
    panel.get_by_role("button", name="Freeze", exact=True).click()
    panel.locator(".tbp-foot + .tbp-refused").filter(has_text="blokcs").wait_for()
    assert parameters(panel)["freeze"] == "backbone"
    row(panel, "head").locator(".tbp-dot").click()
    panel.wait_for_function(
        "document.querySelector('.tbp-grid + .tbp-line').textContent.includes('freezes everything')"
    )
    assert row(panel, "head").get_attribute("data-state") == "2"


def test_search_finds_modules_by_path(panel: Page) -> None:
    panel.get_by_label("search stages and modules").fill("blocks.1.0")
    panel.wait_for_function("document.querySelector('.tbp-found').textContent === '4 found'")
    labels = panel.locator(".tbp-layers .tbp-rows .tbp-label").all_inner_texts()
    assert labels[:2] == ["blocks.1", "0"]


def test_classes_show_hostile_names_as_text_and_weigh(panel: Page) -> None:
    panel.get_by_role("tab", name="Classes").click()
    table = panel.get_by_role("table", name="classes")
    assert table.get_by_text(HOSTILE).is_visible()
    assert panel.locator(".tunebook-panel img").count() == 0
    panel.get_by_role("group", name="weight in the loss").get_by_role("button", name="balanced").click()
    wait_for(panel, "class_weights", "balanced")
    shares = table.locator(".tbp-cell-share .tbp-number").all_inner_texts()
    assert shares == ["33 %", "33 %", "33 %"]
    box = table.get_by_role("spinbutton", name=f"weight of {HOSTILE}")
    box.fill("3")
    box.press("Enter")
    wait_for(panel, "class_weights", {"ape": 0.583, HOSTILE: 3.0, "cat": 2.333})
    box.fill("-1")
    box.press("Enter")
    panel.wait_for_function("document.querySelector('.tbp-table + .tbp-line').textContent.includes('class_weights')")
    assert parameters(panel)["class_weights"][HOSTILE] == 3.0
    assert box.input_value() == "3"


def test_controls_are_named_and_go_back_when_refused(panel: Page) -> None:
    panel.get_by_role("tab", name="Schedule").click()
    epochs = panel.get_by_role("spinbutton", name="epochs")
    epochs.fill("0")
    epochs.press("Enter")
    alert = panel.get_by_role("alert").filter(has_text="epochs")
    alert.wait_for()
    assert epochs.input_value() == "4"
    epochs.fill("8")
    epochs.press("Enter")
    wait_for(panel, "epochs", 8)
    slider = panel.get_by_role("slider", name="lr", exact=True)
    slider.focus()
    slider.press("ArrowRight")
    end = time.monotonic() + 5
    while parameters(panel)["lr"] == 0.002 and time.monotonic() < end:
        panel.wait_for_timeout(50)
    assert parameters(panel)["lr"] > 0.002
    panel.get_by_role("tab", name="Regularisation").click()
    assert panel.get_by_text("this model has no such place").is_visible()


def test_what_was_entered_is_undone_while_the_box_has_the_focus(panel: Page) -> None:
    panel.get_by_role("tab", name="Schedule").click()
    epochs = panel.get_by_role("spinbutton", name="epochs")
    before = int(epochs.input_value())
    epochs.fill(f"{before + 5}")
    epochs.press("Enter")
    wait_for(panel, "epochs", before + 5)
    epochs.press("Control+z")
    wait_for(panel, "epochs", before)
    expect(epochs).to_have_value(str(before))
    epochs.press("Control+y")
    wait_for(panel, "epochs", before + 5)
    expect(epochs).to_have_value(str(before + 5))


def test_the_warning_makes_the_change_that_fits(panel: Page) -> None:
    assert "a batch of 16 fits" in panel.locator(".tbp-advice").inner_text()
    panel.get_by_role("button", name="Set batch_size=16").click()
    wait_for(panel, "batch_size", 16)
    panel.wait_for_function("!document.querySelector('.tbp-over')")


def test_the_cell_is_copied_and_offered_to_the_notebook(panel: Page) -> None:
    panel.get_by_role("button", name="Copy parameters").click()
    panel.wait_for_function("document.querySelector('.tbp-done').textContent === 'copied'")
    copied = panel.evaluate("navigator.clipboard.readText()")
    assert copied == panel.locator(".tbp-source").input_value()
    assert copied.startswith("# Data")
    panel.evaluate("""() => {
        document.documentElement.dataset.tunebookLab = '1';
        document.addEventListener('tunebook-write-parameters', event => {
            window.written = event.detail.source;
            event.preventDefault();
            event.stopImmediatePropagation();
        }, true);
    }""")
    panel.get_by_role("button", name="Write to notebook").click()
    panel.wait_for_function("document.querySelector('.tbp-done').textContent === 'written'")
    assert panel.evaluate("window.written") == copied


def test_the_panel_writes_the_parameters_cell_which_can_be_undone(
    shared_notebook: Callable[..., Any], page: Page
) -> None:
    book = shared_notebook(["# Data\nepochs: int = 4", PREPARE, show()], simple=False)
    book.run_all()
    row(page, "blocks.2").locator(".tbp-dot").click()
    wait_for(page, "freeze", -2)
    page.get_by_role("button", name="Write to notebook").click()
    page.wait_for_function("document.querySelector('.tbp-done').textContent === 'written'")
    source = "() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells[0].getSource()"
    assert "= -2  #" in page.evaluate(source)
    book.cell(0).locator(".cm-content").click()
    page.keyboard.press("Control+z")
    assert page.evaluate(source) == "# Data\nepochs: int = 4"


def test_a_run_is_driven_while_its_cell_is_awaited(shared_notebook: Callable[..., Any], page: Page) -> None:
    live = """
from tunebook.runs import Run
import asyncio
run = Run.create("runs", "driven", "image-classification")
run.update(state="running", epochs=4)
panel.attach(run)
for _ in range(400):
    await asyncio.sleep(0.05)
    if len(run.control.requests()) == 2:
        break
print([request.value for request in run.control.requests()])
"""
    book = shared_notebook([PREPARE, show(), live])
    book.command("notebook:run-all-cells")
    page.wait_for_selector(".tbp-driving .tbp-row")
    row(page, "blocks.2").locator(".tbp-dot").click()
    page.wait_for_function("document.querySelector('.tbp-live').textContent.includes('asked')")
    row(page, "stem").locator(".tbp-dot").click()
    book.wait_done(30)
    assert book.output(2).inner_text().strip() == "[-2, ['blocks.0', 'blocks.1', 'blocks.2']]"
    assert parameters(page)["freeze"] == "backbone"


def test_a_thousand_classes_stay_usable(shared_notebook: Callable[..., Any], page: Page) -> None:
    names = tuple(f"class {k}" for k in range(1000))
    book = shared_notebook([PREPARE, show(tuple(1 + k % 3 for k in range(1000)), names)])
    book.run_all()
    page.get_by_role("tab", name="Classes").click()
    page.wait_for_selector(".tbp-classes .tbp-rows .tbp-row")
    assert page.locator(".tbp-classes .tbp-rows .tbp-row").count() < 40
    page.get_by_label("search classes").fill("class 99")
    page.wait_for_function("document.querySelector('.tbp-classes .tbp-found').textContent === '11 found'")
    for _ in range(2):
        page.locator(".tbp-sort[data-column=name]").click()
    first = page.locator(".tbp-classes .tbp-rows .tbp-row .tbp-label").first
    assert first.inner_text() == "class 999"


def test_fifteen_hundred_modules_open_at_once(notebook: Callable[..., Any], page: Page) -> None:
    page.add_init_script(MEASURE)
    book = notebook(
        [
            PREPARE + "\nmodel = small_model(25, 20)\n"
            "panel = ControlPanel(small_recipe(unfreeze=[]), model, small_examples(), Cost())",
            "panel._view.widget",
            "len(panel.layers)",
        ]
    )
    page.evaluate("window.tunebookSeen.messages.length = 0")
    book.run_all()
    page.wait_for_selector(".tbp-layers .tbp-rows .tbp-row")
    seen = page.evaluate("window.tunebookSeen")
    assert int(book.output(2).inner_text().split()[-1]) > 1500
    kinds = [message[0] for message in seen["messages"]]
    # From the first widget on, without the number of rows that the last cell shows.
    messages = seen["messages"][kinds.index("comm_open") : -1]
    size = sum(message[1] for message in messages)
    seconds = (seen["rows"] - messages[0][2]) / 1000
    print(f"1,500 modules: {len(messages)} messages, {size / 1000:.0f} kB, {seconds:.3f} s")
    assert len(messages) <= 3
    assert size <= 140_000  # the whole panel, with its script and its style
    assert seconds < 1.0, json.dumps(seen)
