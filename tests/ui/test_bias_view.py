"""The bias report's view in a real JupyterLab: what is chosen, sorted and looked at, by mouse and by keyboard."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

HOSTILE = "<img src=x onerror=alert(1)>"
SHOW = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1] / "widgets")!r})
from bias_tables import make_report
from tunebook_widgets.bias_view import BiasView
BiasView(make_report(worse={HOSTILE!r}))
"""


def _show(make: Callable[..., Any], page: Page) -> Any:
    book = make([SHOW])
    book.run_all()
    page.wait_for_selector(".tbb-row[data-place]")
    return book


def _names(page: Page) -> list[str]:
    return page.locator(".tbb-row[data-place] .tbb-cell-name").all_inner_texts()


def _values(page: Page) -> list[float]:
    return [float(text) for text in page.locator(".tbb-row[data-place] .tbb-cell-value").all_inner_texts()]


def _select(page: Page, name: str) -> Locator:
    return page.get_by_label(name, exact=True)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_hostile_names_are_text_and_the_colours_are_the_themes(
    shared_notebook: Callable[..., Any], page: Page, theme: str
) -> None:
    _show(shared_notebook, page)
    assert set(_names(page)) == {"light", "medium", HOSTILE}
    assert page.locator(".tbb img").count() == 0
    # The page begins light, and is dark once the theme is there.
    page.locator(f".tbb[data-dark='{str(theme == 'dark').lower()}']").wait_for(timeout=5000)
    assert HOSTILE in page.locator(".tbb-headline strong.tbb-alert").inner_text()


def test_metric_attribute_and_split_are_chosen_without_the_kernel(
    shared_notebook: Callable[..., Any], page: Page
) -> None:
    sent: list[str | bytes] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))  # noqa: PLW0108
    _show(shared_notebook, page)
    assert any("execute_request" in str(frame) for frame in sent)
    sent.clear()
    first = _values(page)
    _select(page, "metric").select_option("false positive rate")
    assert _values(page) != first
    assert page.locator(".tbb-legend strong").inner_text() == "false positive rate, yes"
    _select(page, "split").select_option(label="validation set, n 300")
    page.get_by_role("tab", name="age", exact=True).click()
    assert len(_names(page)) == 4
    assert _names(page)[0].startswith("up to")  # bins stay in their order
    page.get_by_role("button", name="macro-F1", exact=True).click()
    assert page.locator(".tbb-legend strong").inner_text() == "macro-F1"
    assert not any("comm_msg" in str(frame) for frame in sent)


def test_groups_are_saved_and_stay_visible_in_forced_colours(shared_notebook: Callable[..., Any], page: Page) -> None:
    _show(shared_notebook, page)
    saved = {}
    for kind in ("CSV", "SVG", "PNG"):
        page.get_by_role("button", name="Save bias report").click()
        with page.expect_download() as waiting:
            page.locator(".tbb .tb-save-menu").get_by_role("button", name=kind, exact=True).click()
        saved[kind] = Path(waiting.value.path()).read_bytes()
    rows = list(csv.DictReader(io.StringIO(saved["CSV"].decode())))
    assert {row["group"] for row in rows} == {"light", "medium", HOSTILE}
    assert b"&lt;img src=x" in saved["SVG"]
    assert saved["PNG"].startswith(b"\x89PNG")
    page.emulate_media(forced_colors="active")
    look = "e => getComputedStyle(e).backgroundColor"
    page_colour = page.locator(".tbb").evaluate(look)
    for part in (".tbb-track .tbb-dot:not(.tbb-base)", ".tbb-track .tbb-bar:not(.tbb-base)"):
        assert page.locator(part).first.evaluate(look) != page_colour
    tabs = page.locator(".tbb-tab")
    assert tabs.nth(0).evaluate(look) != tabs.nth(1).evaluate(look)


def test_rows_are_sorted_by_value_and_by_name(shared_notebook: Callable[..., Any], page: Page) -> None:
    _show(shared_notebook, page)
    assert _values(page) == sorted(_values(page), reverse=True)
    page.locator(".tbb-sort[data-sort=value]").click()
    assert _values(page) == sorted(_values(page))
    head = page.locator(".tbb-cell-value[role=columnheader]")
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.evaluate("document.activeElement.dataset.sort") == "value"
    _select(page, "sort").select_option("name")
    assert _names(page) == sorted(_names(page))


def test_a_small_group_is_grey_last_and_says_why(shared_notebook: Callable[..., Any], page: Page) -> None:
    _show(shared_notebook, page)
    page.get_by_role("tab", name="gender", exact=True).click()
    last = page.locator(".tbb-row[data-place]").last
    assert last.locator(".tbb-cell-name").inner_text() == "other"
    assert "tbb-small" in (last.get_attribute("class") or "")
    last.locator(".tbb-cell-track").hover()
    tip = page.locator(".tbb-tip")
    assert "fewer than 20 examples: in no gap" in tip.inner_text()
    page.mouse.move(5, 5)
    assert tip.is_hidden()


def test_the_keyboard_reaches_tabs_rows_and_their_figures(shared_notebook: Callable[..., Any], page: Page) -> None:
    _show(shared_notebook, page)
    page.get_by_role("tab", name="tone", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", name="gender", exact=True).get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowLeft")
    page.locator(".tbb-sort[data-sort=n]").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    place = page.evaluate("document.activeElement.dataset.place")
    assert place == "1"
    tip = page.locator(".tbb-tip")
    assert tip.is_visible()
    assert "baseline" in tip.inner_text()
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_an_intersection_is_a_heat_map_or_dots(shared_notebook: Callable[..., Any], page: Page) -> None:
    _show(shared_notebook, page)
    page.get_by_role("tab", name="tone × gender", exact=True).click()
    cells = page.locator(".tbb-heat td[data-place]")
    assert cells.count() >= 6
    assert page.locator(".tbb-plot").is_hidden()
    cells.first.hover()
    assert " × " in page.locator(".tbb-tip-name").inner_text()
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.cellIndex") == 2
    page.get_by_role("button", name="Dots").click()
    assert len(_names(page)) == cells.count()


def test_a_narrow_page_cuts_nothing_off(shared_notebook: Callable[..., Any], page: Page) -> None:
    page.set_viewport_size({"width": 560, "height": 900})
    _show(shared_notebook, page)
    sizes = page.evaluate(
        "[...document.querySelectorAll('.tbb, .tbb-plot, .tbb-scroll')].map(e => [e.scrollWidth, e.clientWidth])"
    )
    assert all(inner <= outer for inner, outer in sizes)


def test_the_saved_notebook_keeps_picture_table_and_text(shared_notebook: Callable[..., Any], page: Page) -> None:
    book = _show(shared_notebook, page)
    book.command("docmanager:save")
    path, end = book.lab.folder / f"{book.name}.ipynb", time.monotonic() + 10
    outputs: list[Any] = []
    while not outputs and time.monotonic() < end:
        outputs = nbformat.read(path, 4).cells[0].outputs
        page.wait_for_timeout(100)
    data = outputs[0]["data"]
    assert {"image/png", "text/html", "text/plain"} <= set(data)
    assert HOSTILE in data["text/plain"]
    assert HOSTILE not in data["text/html"]
