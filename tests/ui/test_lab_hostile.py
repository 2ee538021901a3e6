"""
Names from files and data are shown as text on every surface, and nothing in them runs or is asked for.

The fixture ``watched`` looks for what ran, what was asked for, and elements that a name could have made.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import test_panel
from lab_pages import (
    PAYLOADS,
    _folder,  # noqa: F401 - pytest takes fixtures by their names
    _jupyterlab,  # noqa: F401
    _watched,  # noqa: F401
    texts_while_scrolling,
    write_run,
)
from playwright.sync_api import expect
from template_pages import wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator, Page, Route

BAD = PAYLOADS[0]


def answering(answer: Any) -> Callable[[Route], None]:
    return lambda route: route.fulfill(json=answer)


def shows_all(texts: Locator) -> None:
    wait(lambda: set(texts.all_text_contents()) >= set(PAYLOADS), f"of {texts} some payloads are not to be seen")


def test_there_are_many_payloads() -> None:
    assert len(set(PAYLOADS)) >= 40


def test_runs_in_the_side_bar(folder: Path, jupyterlab: Any, page: Page) -> None:
    for name in PAYLOADS:
        path = folder / name
        path.mkdir()
        (path / "state.json").write_text(json.dumps({"state": "failed", "task": name, "message": name, "started": 1.0}))
    shown = jupyterlab()
    side = shown.runs()
    side.get_by_label("Search runs").fill(folder.name)
    side.get_by_role("treeitem").first.wait_for()
    names = page.locator("#tunebook-runs .jp-Tunebook-Run-name")
    assert texts_while_scrolling(page.locator(".jp-Tunebook-RunList"), names) == set(PAYLOADS)
    for name in (BAD, PAYLOADS[3], PAYLOADS[-1]):
        side.get_by_label("Search runs").fill(f"{folder.name} {name}".lower())
        shown.row(f"{folder.name}/{name}").click()
        expect(side.locator(".jp-Tunebook-Strip strong")).to_have_text(name)
    side.get_by_label("Search runs").fill(folder.name)
    side.get_by_role("tree").focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    expect(page.locator(".jp-Dialog")).to_contain_text("goes to the trash")
    page.locator(".jp-Dialog .jp-mod-reject").first.click()
    page.keyboard.press("Escape")
    side.get_by_label("Search runs").fill(f"{folder.name} {BAD}".lower())
    shown.row(f"{folder.name}/{BAD}").click()
    side.locator("button[data-action=rename]").click()
    expect(page.locator(".jp-Dialog")).to_contain_text(BAD)
    page.locator(".jp-Dialog .jp-mod-reject").first.click()


def test_classes_groups_and_files_on_a_runs_page(folder: Path, jupyterlab: Any) -> None:
    report = f"<h1>Bias</h1>{BAD}<script>alert(1)</script><img src='http://evil.example/x.png'>"
    path = write_run(folder, BAD, classes=PAYLOADS, groups=PAYLOADS, label=BAD, report=report)
    for name in PAYLOADS:
        (path / name).write_text("x")
    shown = jupyterlab().open_run(f"{folder.name}/{BAD}")
    expect(shown.locator("h2")).to_have_text(BAD)
    shows_all(shown.locator(".tb-key-label"))  # the gaps between groups
    shown.get_by_role("tab", name="Classes").click()
    shown.locator(".tb-row-name").first.wait_for()
    classes = texts_while_scrolling(shown.locator(".tb-list"), shown.locator(".tb-row-name"))
    assert classes == set(PAYLOADS)
    shown.get_by_role("tab", name="Results").click()
    expect(shown.locator(".jp-Tunebook-Confusion canvas")).to_be_visible()
    shown.get_by_role("tab", name="Bias report").click()
    shown.locator("iframe").content_frame.get_by_role("heading", name="Bias").wait_for()
    shown.get_by_role("tab", name="Recipe").click()
    expect(shown.locator("dt[title=label] + dd").first).to_contain_text(BAD)
    shown.get_by_role("tab", name="Files").click()
    for name in PAYLOADS:
        expect(shown.get_by_role("button", name=name, exact=True)).to_be_visible()


def test_runs_side_by_side(folder: Path, jupyterlab: Any, page: Page) -> None:
    for name in PAYLOADS:
        write_run(folder, name, epochs=1, steps=2, classes=[BAD, "b"], label=name)
    shown = jupyterlab()
    for first in range(0, len(PAYLOADS), 20):
        names = PAYLOADS[first : first + 20]
        opened = shown.open_run(*(f"{folder.name}/{name}" for name in names))
        title = f"{len(names)} runs side by side" if len(names) > 2 else " against ".join(names)
        expect(opened.locator("h2")).to_have_text(title)
        heads = opened.locator(".jp-Tunebook-Table").last.locator("thead .jp-Tunebook-Link")
        assert heads.all_text_contents() == list(names)
        opened.locator(".tb-chip").first.wait_for()
        differing = opened.locator(".jp-Tunebook-Table").last.locator("tbody td")
        assert differing.all_text_contents() == list(names)
    expect(page.locator(".jp-Tunebook-Page:visible")).to_have_count(1)


def test_event_files_and_their_tags(folder: Path, jupyterlab: Any, page: Page) -> None:
    log = next(write_run(folder, "run", epochs=1, classes=PAYLOADS, groups=PAYLOADS).glob("events.out.tfevents.*"))
    shown = jupyterlab()
    for name in PAYLOADS:
        path = log.with_name(f"events.out.tfevents.{name}")
        path.hardlink_to(log)
        shown.execute("docmanager:open", path=f"{folder.name}/run/{path.name}")
        opened = page.locator(".jp-Tunebook-Events:visible")
        expect(opened.locator(".tb-state")).to_have_text(path.name)
        page.evaluate("() => window.jupyterapp.commands.execute('application:close')")
    shown.execute("docmanager:open", path=f"{folder.name}/run/{log.name}")
    shows_all(page.locator(".jp-Tunebook-Events:visible .tb-key-label"))


@pytest.fixture
def templates(lab: Any) -> Iterator[None]:
    """Put a template with each name, title and summary among the user's own."""
    folder = Path(lab.folder).parent / "jupyter_data_dir" / "tunebook" / "templates"
    folder.mkdir(parents=True)
    paths = []
    for name in PAYLOADS:
        said = {"task": "image-classification", "title": name, "summary": name}
        paths.append(folder / f"{name}.ipynb")
        nbformat.write(nbformat.v4.new_notebook(metadata={"tunebook": said}), paths[-1])
    yield
    for path in paths:
        path.unlink()
    folder.rmdir()


@pytest.mark.usefixtures("templates")
def test_templates_in_the_launcher_and_in_their_forms(jupyterlab: Any, page: Page) -> None:
    shown = jupyterlab()
    cards = page.locator(".jp-Launcher-section", has_text="Fine-tuning").locator(".jp-LauncherCard-label")
    cards.first.wait_for()
    assert set(cards.all_text_contents()) >= set(PAYLOADS)
    for number, name in enumerate(PAYLOADS):
        shown.execute("tunebook:form", template=name, title=name)
        expect(page.locator(".jp-Tunebook-Form:visible h2")).to_have_text(name)
        assert page.locator(".lm-TabBar-tabLabel", has_text=name).count() >= 1
        if number % 10 == 9:
            page.evaluate("() => window.jupyterapp.commands.execute('application:close-all')")
    shown.execute("tunebook:form")
    choices = page.locator(".jp-Dialog select option, .jp-Dialog datalist option")
    choices.first.wait_for(state="attached")
    assert {choice.get_attribute("value") for choice in choices.all()} >= set(PAYLOADS)
    page.locator(".jp-Dialog .jp-mod-reject").first.click()


def test_help_choices_groups_and_problems_in_a_form(jupyterlab: Any, page: Page) -> None:
    properties = {
        f"p{number}": {"enum": [name, "b"], "title": name, "default": name, "description": name, "group": name}
        for number, name in enumerate(PAYLOADS)
    }
    form = {
        "name": BAD, "path": "", "title": BAD, "summary": PAYLOADS[3], "task": "x", "source": "", "models": [],
        "schema": {"type": "object", "properties": properties}, "groups": list(PAYLOADS), "values": {}, "computed": [],
        "defaults": {name: node["default"] for name, node in properties.items()}, "problems": {"p1": PAYLOADS[1]},
    }  # fmt: skip
    for route, answer in (("templates/form", form), ("parameters/check", {"values": {}, "problems": form["problems"]})):
        page.route(re.compile(rf"/tunebook/api/{route}(\?|$)"), answering(answer))
    shown = jupyterlab()
    shown.execute("tunebook:form", template=BAD, title=BAD)
    expect(page.locator(".jp-Tunebook-Form h2")).to_have_text(BAD)
    expect(page.locator(".jp-Tunebook-Group legend")).to_have_text(list(PAYLOADS))
    assert page.locator(".jp-Tunebook-Row option:checked").all_text_contents() == list(PAYLOADS)
    assert page.locator(".jp-Tunebook-Row-control .jp-Tunebook-Row-help").all_text_contents() == list(PAYLOADS)
    expect(page.locator(".jp-Tunebook-Row-help [role=alert]")).to_have_text([PAYLOADS[1]])


def test_notifications_of_runs_and_of_failures(folder: Path, jupyterlab: Any, page: Page) -> None:
    names = iter(PAYLOADS)
    page.route(
        re.compile(r"/tunebook/api/jobs(\?|$)"),
        lambda route: route.fulfill(json={"title": next(names), "id": "x"}) if route.request.method == "POST" else None,
    )
    shown = jupyterlab()
    shown.execute("tunebook:form", template="image-classification", cwd=folder.name)
    button = page.get_by_role("button", name="Run in background")
    toast = page.locator(".Toastify__toast")
    for name in PAYLOADS:
        button.click()
        expect(toast.filter(has_text=f"Run queued: {name}").first).to_be_visible()
        page.evaluate("() => window.jupyterapp.commands.execute('apputils:dismiss-notification', {})")
    for name in PAYLOADS:
        (folder / f"{name}.csv").write_text("nothing\n1\n")
        shown.execute("tunebook:fine-tune-on", path=f"{folder.name}/{name}.csv")
        expect(toast.filter(has_text=f"{name}.csv").first).to_be_visible()


PREPARE = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np, pandas as pd
from lab_pages import PAYLOADS
from tunebook.bias import BiasReport, Settings
from tunebook_widgets import BiasView, LiveCurves
def report(count=3000):
    rng, classes = np.random.default_rng(0), np.array(PAYLOADS[:5])
    truth, group = rng.choice(classes, count), rng.choice(PAYLOADS, count)
    common = {{"id": [str(k) for k in range(count)], "split": "test", "truth": truth, "group_" + PAYLOADS[0]: group}}
    said = lambda right: np.where(rng.random(count) < right, truth, rng.choice(classes, count))
    tables = [pd.DataFrame({{"model": model, "prediction": said(right), **common}})
        for model, right in (("baseline", 0.5), ("tuned", 0.7))]
    return BiasReport(pd.concat(tables, ignore_index=True), settings=Settings(draws=50, source=PAYLOADS[1]))
"""


def test_classes_in_the_panel(watched: Any, shared_notebook: Any, page: Page) -> None:
    book = shared_notebook([test_panel.PREPARE, test_panel.show((3,) * len(PAYLOADS), PAYLOADS)])
    book.run_all()
    panel = page.locator(".tunebook-panel")
    panel.get_by_role("tab", name="Classes").click()
    labels = panel.locator(".tbp-classes .tbp-rows .tbp-label")
    labels.first.wait_for()
    assert texts_while_scrolling(panel.locator(".tbp-classes .tbp-scroller"), labels) == set(PAYLOADS)
    assert watched.dialogs == []


def test_classes_groups_and_runs_in_the_curves(watched: Any, shared_notebook: Any, lab: Any) -> None:
    for name in PAYLOADS[:20]:
        write_run(lab.folder / "hostile", name, epochs=1, classes=("a", BAD), groups=())
    write_run(lab.folder / "hostile", "all", epochs=2, classes=PAYLOADS, groups=PAYLOADS)
    book = shared_notebook(
        [PREPARE, "LiveCurves(list(PAYLOADS[:20]), runs_dir='hostile')", "LiveCurves('all', runs_dir='hostile')"]
    )
    book.run_all(240)
    many, one = book.output(1), book.output(2)
    many.locator(".tb-chip").first.wait_for()
    for name, chip in zip(PAYLOADS, many.locator(".tb-chip").all_text_contents(), strict=False):
        assert chip == f"{name}finished"
    shows_all(one.locator(".tb-key-label"))
    one.get_by_role("tab", name="Classes").click()
    one.locator(".tb-row-name").first.wait_for()
    assert texts_while_scrolling(one.locator(".tb-list"), one.locator(".tb-row-name")) == set(PAYLOADS)
    one.get_by_role("tab", name="Confusion").click()
    one.locator(".tb-matrix").wait_for()
    assert watched.dialogs == []


def test_groups_and_classes_in_the_bias_view(watched: Any, shared_notebook: Any, page: Page) -> None:
    book = shared_notebook([PREPARE, "BiasView(report())"])
    book.run_all()
    rows = page.locator(".tbb-row[data-place] .tbb-cell-name")
    rows.first.wait_for()
    assert set(rows.all_text_contents()) == set(PAYLOADS)
    rows.first.hover()
    assert watched.dialogs == []
