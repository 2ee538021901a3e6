"""``report/bias.html`` as a person opens it: by its path, without a network, in light, dark and narrow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "widgets"))
from bias_tables import HOSTILE, make_report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def report_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    make_report(400, worse=HOSTILE, classes=("no", "<b>yes</b>")).save(folder)
    return folder / "bias.html"


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[1100, 390])
def opened(browser: Browser, report_page: Path, scheme: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open it with the network off; whatever it asks for, says or meets is an error."""
    context = browser.new_context(
        viewport={"width": request.param, "height": 900}, color_scheme=scheme, offline=True  # type: ignore[arg-type]
    )  # fmt: skip
    page = context.new_page()
    seen: list[str] = []
    page.on("request", lambda asked: seen.append(asked.url))
    page.on("console", lambda said: seen.append(said.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    page.goto(report_page.as_uri())
    yield page
    context.close()
    assert [url for url in seen if not url.startswith("data:")] == [report_page.as_uri()]


def test_it_says_for_whom_the_model_is_worse_and_shows_hostile_names_as_text(opened: Page) -> None:
    assert HOSTILE in opened.locator(".headline").first.inner_text()
    assert opened.locator("img").count() == 0
    assert opened.locator("b").count() == 0
    assert opened.locator("script").count() == 0
    opened.locator("details > summary").first.click()
    assert opened.get_by_text("<b>yes</b>").first.is_visible()


def test_it_is_as_wide_as_the_window(opened: Page) -> None:
    width = opened.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width[0] <= width[1]
    assert opened.locator(".dots").first.is_visible()
    assert opened.locator(".heat").first.is_visible()


def test_text_stands_out_from_the_page(opened: Page, scheme: str) -> None:
    light = """
    name => { const c = getComputedStyle(document.body)[name].match(/[\\d.]+/g).map(v => (v / 255) ** 2.2);
      return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; }"""
    ink, page = (opened.evaluate(light, name) for name in ("color", "backgroundColor"))
    assert (ink > page) == (scheme == "dark")
    assert (max(ink, page) + 0.05) / (min(ink, page) + 0.05) > 7
