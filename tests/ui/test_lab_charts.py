"""Charts as a person reads them without colours, in forced colours and in other programs."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from lab_pages import _folder, _jupyterlab, _watched, write_run  # noqa: F401 - pytest takes fixtures by their names
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

FORMULA = "=1+1"
MARKUP = "<img src=x onerror=alert(1)>"
_OVERLAPS = """host => {
    const boxes = [...host.querySelectorAll('.tb-chart')].flatMap(chart => {
        const parts = [...chart.querySelectorAll('.tb-chart-title, .tb-key, canvas')];
        const found = parts.map(e => e.getBoundingClientRect());
        return found.flatMap((a, i) => found.slice(i + 1).filter(
            b => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1
        ));
    });
    return boxes.length;
}"""
_INK = """canvas => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const found = new Set();
    for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] > 200) found.add([data[i], data[i + 1], data[i + 2]].join());
    return [...found];
}"""


def saved(page: Page, host: Locator, name: str, kind: str) -> bytes:
    """Save a chart, and return the file."""
    host.get_by_role("button", name=f"Save {name}", exact=True).click()
    with page.expect_download() as waiting:
        host.locator(".tb-save-menu:visible").get_by_role("button", name=kind, exact=True).click()
    assert waiting.value.suggested_filename.endswith(f".{kind.lower()}")
    return Path(waiting.value.path()).read_bytes()


def test_every_chart_is_saved_as_a_picture_a_drawing_and_a_table(folder: Path, jupyterlab: Any, page: Page) -> None:
    for name in (MARKUP, FORMULA):
        write_run(folder, name, classes=[FORMULA, MARKUP, "owl"], groups=[FORMULA])
    opened = jupyterlab().open_run(f"{folder.name}/{MARKUP}", f"{folder.name}/{FORMULA}")
    opened.locator(".tb-chart canvas").first.wait_for()
    with Image.open(io.BytesIO(saved(page, opened, "Loss", "PNG"))) as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 20
    drawing = ET.fromstring(saved(page, opened, "Loss", "SVG"))  # noqa: S314 - our own file
    assert {element.tag.rpartition("}")[2] for element in drawing.iter()} <= {
        "svg", "rect", "text", "line", "path", "circle", "g", "clipPath",
    }  # fmt: skip
    assert any(f"{MARKUP} · loss/validation" == element.text for element in drawing.iter())
    rows = list(csv.DictReader(io.StringIO(saved(page, opened, "Loss", "CSV").decode())))
    assert {row["run"] for row in rows} == {MARKUP, f"'{FORMULA}"}
    assert {row["curve"] for row in rows} == {"train/loss", "loss/train", "loss/validation"}
    opened.get_by_role("tab", name="Classes").click()
    assert f"'{FORMULA}" not in saved(page, opened, "recall by class", "CSV").decode().splitlines()[0]
    single = jupyterlab().open_run(f"{folder.name}/{FORMULA}")
    single.get_by_role("tab", name="Results").click()
    rows = list(csv.reader(io.StringIO(saved(page, single, "confusion", "CSV").decode())))
    assert rows[0] == ["truth", "prediction", "count"]
    assert {row[0] for row in rows[1:]} == {f"'{FORMULA}", MARKUP, "owl"}
    ET.fromstring(saved(page, single, "confusion", "SVG"))  # noqa: S314 - our own file


def test_curves_are_told_apart_without_colours_and_legends_never_overprint(
    folder: Path, jupyterlab: Any, page: Page
) -> None:
    names = [f"a-name-that-is-rather-long-and-ends-in-its-number-{k}" for k in range(20)]
    for k, name in enumerate(names):
        write_run(folder, name, epochs=2, steps=3, groups=["age"] if k else ["region"])
    shown = jupyterlab()
    single = shown.open_run(f"{folder.name}/{names[0]}")
    keys = single.locator(".tb-chart", has_text="Loss").locator(".tb-key")
    looks = keys.locator("line").evaluate_all("lines => lines.map(line => line.getAttribute('stroke-dasharray'))")
    assert len(set(looks[1:])) == 2  # train and validation
    opened = shown.open_run(*(f"{folder.name}/{name}" for name in names))
    chips = opened.locator(".tb-chip line")
    expect(chips).to_have_count(20)
    looks = chips.evaluate_all("lines => lines.map(l => l.getAttribute('stroke') + l.getAttribute('stroke-dasharray'))")
    assert len(set(looks)) == 20
    labels = opened.locator(".tb-chart", has_text="Accuracy").locator(".tb-key-label")
    expect(labels).to_have_count(20, timeout=30_000)
    assert len(set(labels.all_text_contents())) == 20
    expect(opened.locator(".tb-foot")).to_contain_text(f"Only in {names[0]}: gap/region.")
    for width in (1280, 600):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_timeout(300)
        assert opened.evaluate(_OVERLAPS) == 0


def test_charts_that_were_out_of_view_have_the_colours_of_the_page(folder: Path, jupyterlab: Any, page: Page) -> None:
    write_run(folder, "run")
    shown = jupyterlab()
    opened = shown.open_run(f"{folder.name}/run")
    opened.locator(".tb-chart canvas").first.wait_for()
    shown.execute("launcher:create")
    page.locator(".jp-Launcher:visible").wait_for()
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", "JupyterLab Dark")
    page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    opened = shown.open_run(f"{folder.name}/run")
    expect(opened.locator(".tb-key", has_text="train").first.locator("line")).to_have_attribute("stroke", "#56b4e9")
    assert "86,180,233" in opened.locator(".tb-chart canvas").first.evaluate(_INK)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_forced_colours_leave_curves_dots_and_chosen_tabs_visible(
    folder: Path, jupyterlab: Any, page: Page, theme: str
) -> None:
    del theme
    write_run(folder, "run")
    opened = jupyterlab().open_run(f"{folder.name}/run")
    opened.locator(".tb-chart canvas").first.wait_for()
    page.emulate_media(forced_colors="active")
    page.wait_for_timeout(300)
    back = "e => getComputedStyle(e).backgroundColor"
    for tabs in (opened.locator(".jp-Tunebook-Tabs [role=tab]"), opened.locator(".tb-tab:visible")):
        chosen, other = tabs.nth(0).evaluate(back), tabs.nth(1).evaluate(back)
        assert chosen != other
        system = "e => { const probe = e.appendChild(document.createElement('i')); probe.style.color = 'HighlightText';"
        system += " const color = getComputedStyle(probe).color; probe.remove(); return color; }"
        assert tabs.nth(0).evaluate("e => getComputedStyle(e).color") == opened.evaluate(system)
    assert opened.locator(".jp-Tunebook-Dot").evaluate(back) != opened.evaluate(back)
    surface = opened.evaluate("e => { e.style.color = 'Canvas'; return getComputedStyle(e).color; }")
    stroke = opened.locator(".tb-key line").first.evaluate("line => getComputedStyle(line).stroke")
    assert stroke != surface
    inks = opened.locator(".tb-chart canvas").first.evaluate(_INK)
    assert any(ink in {"86,180,233", "0,114,178"} for ink in inks)


def test_model_card_is_rendered_harmless_and_the_run_saved_as_one_file(
    folder: Path, jupyterlab: Any, page: Page
) -> None:
    path = write_run(folder, MARKUP, classes=[f"species {k}" for k in range(120)])
    text = "# Card\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n<script>alert(1)</script> **bold**\n"
    (path / "README.md").write_text(text, encoding="utf-8")
    opened = jupyterlab().open_run(f"{folder.name}/{MARKUP}")
    opened.get_by_role("tab", name="Model card").click()
    card = opened.locator(".jp-Tunebook-Card")
    expect(card.get_by_role("heading", name="Card")).to_be_visible()
    expect(card.locator("td").first).to_have_text("1")
    assert card.locator("script").count() == 0
    opened.get_by_role("tab", name="Results").click()
    expect(opened.locator(".tb-mistakes tbody tr")).to_have_count(100)
    with page.expect_download() as waiting:
        opened.get_by_role("button", name="Save as one file").click()
    assert waiting.value.suggested_filename == "img-src-x-onerror-alert-1.html"
    saved_page = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert "<h1>&lt;img src=x onerror=alert(1)&gt;</h1>" in saved_page
