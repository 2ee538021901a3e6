"""Names from files and data are shown as text on every surface of the extension, and nothing in them runs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab_pages import PAYLOADS, _folder, _jupyterlab, write_run  # noqa: F401 - pytest takes fixtures by their names
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Route

BAD = PAYLOADS[0]


def answering(answer: Any) -> Callable[[Route], None]:
    return lambda route: route.fulfill(json=answer)


def test_every_payload_as_a_runs_name_is_shown_as_text(folder: Path, jupyterlab: Any, page: Page) -> None:
    # Runs whose names hold a backslash or what cannot be printed are not listed at all.
    names = [name for name in PAYLOADS if name.isprintable() and "\\" not in name]
    assert len(names) >= 40
    for name in names:
        path = folder / name
        path.mkdir()
        (path / "state.json").write_text(json.dumps({"state": "failed", "task": name, "message": name, "started": 1.0}))
    shown = jupyterlab()
    side = shown.runs()
    side.get_by_label("Search runs").fill(folder.name)
    shown.row(f"{folder.name}/{names[0]}").wait_for()
    seen = set()
    for top in range(0, 48 * len(names), 400):
        page.evaluate("top => { document.querySelector('.jp-Tunebook-RunList').scrollTop = top; }", top)
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        seen |= set(page.locator(".jp-Tunebook-Run-name").all_text_contents())
    assert seen >= set(names)
    for name in (BAD, PAYLOADS[3], PAYLOADS[-1]):
        side.get_by_label("Search runs").fill(f"{folder.name} {name}".lower())
        shown.row(f"{folder.name}/{name}").click()
        expect(side.locator(".jp-Tunebook-Strip strong")).to_have_text(name)


def test_names_of_classes_groups_and_files_are_text_on_a_runs_page(folder: Path, jupyterlab: Any, page: Page) -> None:
    report = f"<h1>Bias</h1>{BAD}<script>alert(1)</script><img src='http://evil.example/x.png'>"
    path = write_run(folder, BAD, classes=[BAD, PAYLOADS[1], PAYLOADS[3]], group=BAD, label=BAD, report=report)
    (path / PAYLOADS[1]).write_text("x")
    lab = jupyterlab()
    shown = lab.open_run(f"{folder.name}/{BAD}")
    expect(shown.locator("h2")).to_have_text(BAD)
    expect(shown.locator(".tb-key-label", has_text="<img").first).to_be_visible()  # the gap between groups
    for tab in ("Results", "Bias report", "Recipe", "Files"):
        shown.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(300)
    expect(shown.get_by_role("button", name=PAYLOADS[1], exact=True)).to_be_visible()
    write_run(folder, PAYLOADS[3], label="label")
    lab.execute("tunebook:open-run", paths=[f"{folder.name}/{BAD}", f"{folder.name}/{PAYLOADS[3]}"])
    heading = page.locator(".jp-Tunebook-Page:visible h2")
    expect(heading).to_have_text(f"{BAD} against {PAYLOADS[3]}")
    expect(page.locator(".jp-Tunebook-Table td", has_text=BAD)).to_have_text([BAD])


def test_a_templates_name_and_help_are_text_in_launcher_and_form(jupyterlab: Any, page: Page) -> None:
    template = {"name": BAD, "title": BAD, "summary": PAYLOADS[3], "task": "", "icon": "notebook", "problem": ""}
    common = {"description": BAD, "group": BAD, "advanced": False}
    properties = {
        "lr": {"type": "number", "title": BAD, "default": 1.0, **common},
        "kind": {"enum": [BAD, "b"], "title": BAD, "default": BAD, **common},
    }
    form = {
        "name": BAD,
        "path": "",
        "title": BAD,
        "summary": PAYLOADS[3],
        "task": "x",
        "source": "",
        "schema": {"type": "object", "properties": properties},
        "groups": [BAD],
        "models": [],
        "defaults": {"lr": 1.0, "kind": BAD},
        "values": {},
        "computed": [],
        "problems": {"lr": BAD},
    }
    checked = {"values": {}, "problems": {"lr": BAD}}
    for route, answer in (
        ("templates", {"templates": [template]}),
        ("templates/form", form),
        ("parameters/check", checked),
    ):
        page.route(re.compile(rf"/tunebook/api/{route}(\?|$)"), answering(answer))
    jupyterlab()
    page.locator(".jp-LauncherCard", has_text=BAD).click()
    expect(page.locator(".jp-Tunebook-Form h2")).to_have_text(BAD)
    expect(page.locator(".jp-Tunebook-Group legend")).to_have_text([BAD])
    expect(page.locator(".jp-Tunebook-Row-help [role=alert]")).to_have_text([BAD])


@pytest.mark.parametrize("verb", ["open", "fine-tune"])
def test_a_hostile_file_name_is_text(folder: Path, jupyterlab: Any, page: Page, verb: str) -> None:
    shown = jupyterlab()
    if verb == "open":
        run = write_run(folder, "run")
        log = next(run.glob("events.out.tfevents.*"))
        path = log.rename(log.with_name(f"events.out.tfevents.{BAD}"))
        shown.execute("docmanager:open", path=f"{folder.name}/run/{path.name}")
        expect(page.locator(".jp-Tunebook-Events .tb-state")).to_contain_text(BAD)
    else:
        (folder / f"{BAD}.csv").write_text("nothing\n1\n")
        shown.execute("tunebook:fine-tune-on", path=f"{folder.name}/{BAD}.csv")
        expect(page.locator(".Toastify__toast, .jp-Dialog, .jp-Tunebook-Form").first).to_be_visible()
