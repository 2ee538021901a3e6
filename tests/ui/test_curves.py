"""Curves and the training bar in a real JupyterLab: what is seen, and what a hand does while a cell is awaited."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tunebook.events import EventLog
from tunebook.runs import Run
from tunebook.storage import write_json

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

FAULTS = Path(__file__).parents[1] / "faults"
HOSTILE = "<img src=x onerror=alert(1)>"
CLASSES = ("cook", "judge", HOSTILE)

#: Seconds that a step of the small model takes on a machine that others use as well.
LONGEST_STEP = 1.0

#: The first cell of a training of some minutes, which the tests end by hand.
PREPARE = f"""
import sys, pathlib
sys.path.insert(0, {str(FAULTS)!r})
import small_run, tunebook
from tunebook_widgets import LiveCurves, watch
pictures = small_run.make_pictures(pathlib.Path("data") / NAME, count=24)
recipe = small_run.recipe(pictures, pathlib.Path("runs"), run=NAME, epochs=2000, batch_size=8, unfreeze=[], cache="off")
examples = tunebook.load_examples(recipe)
model = tunebook.load_model(recipe, examples)
"""
WATCH = "run = await watch(tunebook.tune(recipe, examples, model))"


def _prepare(name: str) -> str:
    return PREPARE.replace("NAME", repr(name))


def _write_run(runs: Path, name: str, seed: int = 0, epochs: int = 4, per_epoch: int = 60) -> Run:
    """Write a finished run's log, with a class that is named like an attack."""
    rng = np.random.default_rng(seed)
    run = Run.create(runs, name, "image-classification")
    write_json(run.path / "recipe.json", {"parameters": {"monitor": "macro_f1"}, "data": {"classes": list(CLASSES)}})
    log = EventLog(run.path)
    log.text("marks", f"stage: {HOSTILE} trains", 0)
    for step in range(1, epochs * per_epoch + 1):
        log.scalars({"train/loss": 2.0 / step + 0.1 * rng.random(), "lr/head": 1e-3 / step}, step)
        if step % per_epoch == 0:
            epoch = step // per_epoch
            scores = {f"{k}/{s}": 0.5 + 0.1 * epoch for k in ("accuracy", "macro_f1") for s in ("train", "validation")}
            losses = {"loss/train": 1.0 / epoch, "loss/validation": 1.1 / epoch, "epoch": float(epoch)}
            log.scalars({**scores, **losses, **{f"recall/{c}": 0.2 * epoch for c in CLASSES}}, step)
            log.tensor("confusion/validation", np.array([[5, 1, 0], [2, 6, 1], [0, 3, 7]]), step)
            log.histogram("weights/head", rng.standard_normal(1000), step)
    log.close()
    run.update(state="finished", epoch=epochs, epochs=epochs, step=epochs * per_epoch, steps=epochs * per_epoch)
    return run


@pytest.fixture
def finished(lab: Any, request: pytest.FixtureRequest) -> Run:
    name = "".join(c if c.isalnum() else "_" for c in request.node.name)
    return _write_run(lab.folder / "runs", name)


def _charts(output: Locator) -> Locator:
    return output.locator(".tb-chart")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_curves_are_drawn_in_the_colours_of_the_theme(notebook: Any, finished: Run, theme: str, page: Page) -> None:
    book = notebook([f"from tunebook_widgets import LiveCurves\nLiveCurves({finished.name!r})"])
    book.run_all()
    output = book.output(0)
    _charts(output).first.wait_for()
    page.wait_for_function("document.querySelectorAll('.tb-chart canvas').length >= 4")
    shades = page.evaluate(
        "() => { const c = document.querySelector('.tb-chart canvas'); const d = c.getContext('2d').getImageData("
        "0, 0, c.width, c.height).data; const seen = new Set(); for (let i = 0; i < d.length; i += 4)"
        " if (d[i + 3] === 255) seen.add([d[i], d[i + 1], d[i + 2]].join()); return [...seen]; }"
    )
    blue, orange = ("0,114,178", "213,94,0") if theme == "light" else ("86,180,233", "230,159,0")
    assert blue in shades
    assert orange in shades
    assert "Over" not in output.locator(".tb-foot").inner_text()


def test_what_is_under_the_cursor_is_told_in_all_charts(notebook: Any, finished: Run, page: Page) -> None:
    book = notebook([f"from tunebook_widgets import LiveCurves\nLiveCurves({finished.name!r})"])
    book.run_all()
    loss = _charts(book.output(0)).first
    loss.locator("canvas").wait_for()
    box = loss.locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    page.wait_for_function("document.querySelector('.tb-chart-place').textContent.startsWith('step 1')")
    accuracy = _charts(book.output(0)).nth(1)
    assert "validation 0.700" in accuracy.locator(".tb-chart-keys").inner_text().replace("\n", " ")
    loss.focus()
    page.keyboard.press("ArrowRight")
    assert "validation" in loss.locator(".tb-spoken").inner_text()
    page.keyboard.press("+")
    book.output(0).get_by_role("button", name="Show all").wait_for()
    page.keyboard.press("Escape")
    book.output(0).get_by_role("button", name="Show all").wait_for(state="hidden")


def test_names_from_the_data_are_shown_and_not_run(notebook: Any, finished: Run, page: Page) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    book = notebook([f"from tunebook_widgets import LiveCurves\nLiveCurves({finished.name!r})"])
    book.run_all()
    output = book.output(0)
    _charts(output).first.wait_for()
    output.get_by_text(f"{HOSTILE} trains").first.wait_for()
    output.get_by_role("tab", name="Classes").click()
    output.locator(".tb-row-name").first.wait_for()
    assert HOSTILE in output.locator(".tb-rows").inner_text()
    output.get_by_role("tab", name="Confusion").click()
    # A list of pairs: class, what it is taken for, how often.
    output.locator("tr", has_text=HOSTILE).filter(has_text="judge").filter(has_text="3 of 10").wait_for()
    output.get_by_role("tab", name="Weights").click()
    output.locator(".tb-histogram canvas").first.wait_for()
    assert output.locator("img[src=x]").count() == 0
    assert dialogs == []


def test_runs_stand_side_by_side_and_can_be_hidden(notebook: Any, finished: Run, lab: Any) -> None:
    other = _write_run(lab.folder / "runs", f"{finished.name}_other", seed=1, epochs=3)
    book = notebook([f"from tunebook_widgets import LiveCurves\nLiveCurves([{finished.name!r}, {other.name!r}])"])
    book.run_all()
    output = book.output(0)
    chip = output.get_by_role("button", name=f"{other.name} finished", exact=True)
    chip.wait_for()
    assert output.locator(".tb-table tbody tr").count() == 2
    chip.click()
    output.page.wait_for_function("document.querySelector('.tb-chip[aria-pressed=\"false\"]') !== null")
    output.locator(".tb-table th", has_text="stage").wait_for()


def test_zooming_a_long_curve_brings_its_points(notebook: Any, lab: Any, page: Page) -> None:
    run = Run.create(lab.folder / "runs", "long", "image-classification")
    log = EventLog(run.path)
    for step in range(1, 40_001):
        log.scalars({"train/loss": 9.0 if step == 20_000 else 1.0 + 0.5 * (step % 2)}, step)
    log.close()
    run.update(state="finished")
    book = notebook(["from tunebook_widgets import LiveCurves\nLiveCurves('long')"])
    book.run_all()
    chart = _charts(book.output(0)).first
    chart.locator("canvas").wait_for()
    chart.focus()
    page.keyboard.press("ArrowLeft")
    for _ in range(7):
        page.keyboard.press("+")
    page.wait_for_timeout(1500)
    # At this depth every step is a point of its own, and every second value is 1.5.
    read = []
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
        read.append(chart.locator(".tb-spoken").inner_text())
    assert len({text.split("step ")[1].split(":")[0] for text in read}) == 6


def _wait_words(output: Locator, words: str, timeout: float = 15.0) -> None:
    line = output.locator(".tb-training-words")
    end = time.monotonic() + timeout
    while words not in line.inner_text():
        assert time.monotonic() < end, line.inner_text()
        output.page.wait_for_timeout(100)


def _control(lab: Any, name: str) -> list[dict[str, Any]]:
    path = lab.folder / "runs" / name / "control.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_training_is_watched_changed_and_finished_by_hand(notebook: Any, lab: Any, page: Page) -> None:
    book = notebook([_prepare("hand"), WATCH, "run"])
    book.command("notebook:run-all-cells")
    output = book.output(1)
    output.locator(".tb-training").wait_for(timeout=90_000)
    page.wait_for_function("/steps/.test(document.querySelector('.tb-training-figures').textContent)", timeout=60_000)
    dials = output.locator(".tb-dial-number")
    dials.nth(0).fill("5e-4")
    dials.nth(0).press("Enter")
    _wait_words(output, "→ 0.0005")
    output.get_by_label("dropout head", exact=True).fill("0.35")
    _wait_words(output, "→ 0.35")
    output.get_by_role("button", name="Unfreeze next stage").click()
    _wait_words(output, "next stage")
    output.get_by_role("button", name="Pause").click()
    output.get_by_role("button", name="Resume").wait_for()
    steps = output.locator(".tb-training-figures").inner_text().split(" · ")[2]
    page.wait_for_timeout(1000)
    assert steps in output.locator(".tb-training-figures").inner_text()
    output.get_by_role("button", name="Resume").click()
    output.get_by_role("button", name="Pause").wait_for()
    # Two epochs, so that the table of the saved text has something to tell.
    page.wait_for_function("document.querySelector('.tb-table') !== null", timeout=60_000)
    output.get_by_role("button", name="Finish now").click()
    book.wait_done(60)
    commands = [entry["command"] for entry in _control(lab, "hand") if "command" in entry]
    assert commands == ["lr", "dropout", "next_stage", "pause", "resume", "finish"]
    assert output.locator(".tb-training").count() == 0
    saved = page.evaluate(
        "() => { const m = window.jupyterapp.shell.currentWidget.content.widgets[1].model.outputs.get(0).toJSON();"
        " return [Object.keys(m.data), m.data['text/plain']]; }"
    )
    assert set(saved[0]) == {"image/png", "text/plain", "application/vnd.tunebook.curves+json"}
    assert "macro-F1" in "".join(saved[1])
    assert "finished" in "".join(saved[1])


def test_stop_takes_effect_within_a_step_and_two_seconds(notebook: Any, lab: Any, page: Page) -> None:
    book = notebook([_prepare("stopped"), WATCH])
    book.command("notebook:run-all-cells")
    output = book.output(1)
    output.locator(".tb-training").wait_for(timeout=90_000)
    page.wait_for_function("/steps/.test(document.querySelector('.tb-training-figures').textContent)", timeout=60_000)
    output.get_by_role("button", name="Stop", exact=True).click()
    end = time.monotonic() + 60
    while not any("step" in entry for entry in _control(lab, "stopped")):
        assert time.monotonic() < end
        time.sleep(0.01)
    asked = _control(lab, "stopped")[0]
    assert asked["command"] == "stop"
    assert time.time() - asked["time"] < 2.0 + LONGEST_STEP
    book.wait_done(30)
    assert "it can be resumed" in output.inner_text()


def test_an_interrupt_of_the_kernel_leaves_a_checkpoint_and_the_curves(notebook: Any, lab: Any, page: Page) -> None:
    book = notebook([_prepare("interrupted"), WATCH])
    book.command("notebook:run-all-cells")
    output = book.output(1)
    output.locator(".tb-training").wait_for(timeout=90_000)
    page.wait_for_function("/steps/.test(document.querySelector('.tb-training-figures').textContent)", timeout=60_000)
    book.command("notebook:interrupt-kernel")
    book.wait_done(30)
    assert Run(lab.folder / "runs" / "interrupted").state().state == "stopped"
    assert output.locator(".tb-training").count() == 0
    assert output.locator("img, .tb-curves").count() >= 1


@pytest.mark.slow
def test_a_page_that_is_loaded_again_shows_the_training_that_goes_on(notebook: Any, lab: Any, page: Page) -> None:
    book = notebook([_prepare("reloaded"), WATCH])
    book.command("notebook:run-all-cells")
    output = book.output(1)
    output.locator(".tb-training").wait_for(timeout=90_000)
    page.wait_for_function("document.querySelector('.tb-table') !== null", timeout=60_000)
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(500)
    page.reload()
    page.wait_for_selector(".tb-training", timeout=60_000)
    before = page.locator(".tb-training-figures").inner_text()
    page.wait_for_function(
        "before => document.querySelector('.tb-training-figures').textContent !== before", arg=before, timeout=30_000
    )
    page.get_by_role("button", name="Finish now").click()
    run = Run(lab.folder / "runs" / "reloaded")
    end = time.monotonic() + 40
    while run.state().state != "finished":
        assert time.monotonic() < end, run.state()
        time.sleep(0.2)


def test_curves_come_back_from_the_disk_when_the_kernel_is_new(notebook: Any, finished: Run, page: Page) -> None:
    cell = f"from tunebook_widgets import LiveCurves\nLiveCurves({finished.name!r})"
    book = notebook([cell])
    book.run_all()
    _charts(book.output(0)).first.wait_for()
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    book.wait_idle()
    book.command("notebook:run-all-cells")
    page.wait_for_timeout(1500)
    _charts(book.output(0)).first.wait_for()


def test_a_run_of_another_process_grows_under_the_cell(notebook: Any, lab: Any, page: Page) -> None:
    run = Run.create(lab.folder / "runs", "elsewhere", "image-classification")
    log = EventLog(run.path)
    log.scalars({"loss/validation": 2.0, "accuracy/validation": 0.5}, 1)
    log.flush()
    with run.owned():
        run.update(state="running", phase="tuning")
        book = notebook(["from tunebook_widgets import LiveCurves\nLiveCurves('elsewhere')"])
        book.run_all()
        _charts(book.output(0)).first.wait_for()
        for step in range(2, 30):
            log.scalars({"loss/validation": 2.0 / step, "accuracy/validation": 1.0 - 0.5 / step}, step)
        log.close()
        page.wait_for_function(
            "document.querySelector('.tb-chart-keys').textContent.includes('0.0690')", timeout=20_000
        )
        run.update(state="finished")
    page.wait_for_function("document.querySelector('.tb-state').textContent.includes('finished')", timeout=20_000)
