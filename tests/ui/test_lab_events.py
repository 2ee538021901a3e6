"""Event files open as curves in JupyterLab, without going to the browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from lab_pages import _folder, _jupyterlab, _watched, write_run  # noqa: F401 - pytest takes fixtures by their names
from playwright.sync_api import expect

from tunebook.events import EventLog

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_a_double_click_shows_curves_without_downloading_the_file(folder: Path, jupyterlab: Any, page: Page) -> None:
    log = next(write_run(folder, "run", epochs=50, steps=50).glob("events.out.tfevents.*"))
    size = log.stat().st_size
    shown = jupyterlab()
    loaded: list[int] = []
    page.on(
        "response",
        lambda r: loaded.append(int(r.headers.get("content-length", 0))) if "/api/contents/" in r.url else None,
    )
    shown.execute("filebrowser:open-path", path=f"{folder.name}/run")
    page.locator(f".jp-DirListing-item:has-text('{log.name}')").dblclick()
    page.locator(".jp-Tunebook-Events .tb-chart canvas").first.wait_for()
    assert max(loaded) < size / 10
    assert list((log.parent / ".ipynb_checkpoints").glob("*")) == []  # no copy is made of it


def test_curves_of_a_file_grow_while_it_is_written(folder: Path, jupyterlab: Any, page: Page) -> None:
    log = EventLog(folder)
    log.scalars({"anything": 1.5}, 1)
    log.scalars({"anything": 2.5}, 2)
    log.flush()
    path = next(folder.glob("events.out.tfevents.*"))
    shown = jupyterlab()
    shown.execute("docmanager:open", path=f"{folder.name}/{path.name}")
    value = page.locator(".jp-Tunebook-Events .tb-key-value").first
    expect(value).to_have_text("2.500")
    log.scalars({"anything": 7.25}, 3)
    log.flush()
    expect(value).to_have_text("7.250", timeout=15_000)
    log.close()
