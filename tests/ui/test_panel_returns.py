"""The panel comes back: after a reload, in a second view, in a notebook opened anew, and without its kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.ui.test_panel import PREPARE, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

#: Enough output above the panel that a notebook opened anew has not drawn the panel's cell yet.
FAR = ["print('line\\n' * 40)"] * 8
CONTENTS = {
    "Layers": "stage, input to head",
    "Classes": "bee",
    "Regularisation": "label smoothing",
    "Schedule": "warmup",
}


def click_through(page: Page, panel: Locator) -> None:
    """Choose every tab of a panel and see what it holds."""
    for tab in ("Classes", "Regularisation", "Schedule", "Layers"):
        panel.get_by_role("tab", name=tab).click()
        panel.get_by_text(CONTENTS[tab], exact=True).first.wait_for(timeout=5_000)
        others = [words for name, words in CONTENTS.items() if name != tab]
        assert not any(panel.get_by_text(words, exact=True).first.is_visible() for words in others)
    assert page.get_by_text("Javascript Error").count() == 0


def bring(page: Page, cell: int) -> None:
    page.evaluate("cell => window.jupyterapp.shell.currentWidget.content.scrollToItem(cell, 'center')", cell)


def test_every_tab_works_after_a_reload_that_began_out_of_sight(notebook: Callable[..., Any], page: Page) -> None:
    book = notebook([PREPARE, *FAR, show(names=("ape", "bee", "cat")), *FAR])
    book.run_all()
    book.save()
    page.reload()
    book.wait_ready()
    bring(page, len(FAR) + 1)
    panel = page.locator(".tunebook-panel")
    panel.wait_for(timeout=30_000)
    click_through(page, panel)
