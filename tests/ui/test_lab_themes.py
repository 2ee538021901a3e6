"""What the extension shows can be read in the light and in the dark theme."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab_pages import _folder, _jupyterlab, _watched, write_run  # noqa: F401 - pytest takes fixtures by their names
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

#: Texts in sight whose contrast with what is behind them is less than WCAG's 4.5, or 3 where they are large.
_FAINT = """host => {
    // "rgb(0, 0, 0)", or of a mixed colour "color(srgb 0 0 0 / 0.5)" with parts from 0 to 1.
    const numbers = colour => (colour.match(/[\\d.]+/g) || []).map(Number)
        .map((part, i) => (colour.startsWith('color(') && i < 3 ? part * 255 : part));
    const over = (top, below) => {
        const alpha = top[3] ?? 1;
        return [0, 1, 2].map(i => top[i] * alpha + below[i] * (1 - alpha));
    };
    const behind = element => {
        if (!element) return [255, 255, 255];
        const own = numbers(getComputedStyle(element).backgroundColor);
        return (own[3] ?? 1) === 1 ? own : over(own, behind(element.parentElement));
    };
    const light = colour => {
        const parts = colour.map(v => v / 255).map(v => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const faint = [];
    for (const element of host.querySelectorAll('*')) {
        const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join(' ').trim();
        const style = getComputedStyle(element);
        if (!text || element.disabled || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
            continue;
        const back = behind(element);
        const [a, b] = [light(over(numbers(style.color), back)), light(back)];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const size = parseFloat(style.fontSize);
        const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        if (contrast < (isLarge ? 3 : 4.5))
            faint.push(`${contrast.toFixed(2)} ${element.className}: ${text.slice(0, 40)}`);
    }
    return faint;
}"""


def faint(host: Locator) -> list[str]:
    found: list[str] = host.evaluate(_FAINT)
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(folder: Path, jupyterlab: Any, page: Page, theme: str) -> None:
    for name, state in (("good", "finished"), ("poor", "failed"), ("ended", "stopped")):
        write_run(folder, name, state=state, lr=0.01 if name == "good" else 0.001)
    shown = jupyterlab()
    page.wait_for_function("dark => document.body.dataset.jpThemeLight === String(!dark)", arg=theme == "dark")
    section = page.locator(".jp-Launcher-section", has_text="Fine-tuning")
    section.locator(".jp-LauncherCard").first.wait_for()
    faults = {"launcher": faint(section)}

    shown.execute("tunebook:form", template="image-classification", cwd=folder.name)
    form = page.locator(".jp-Tunebook-Form")
    form.wait_for()
    row = form.locator(".jp-Tunebook-Row[data-name=epochs]")
    row.locator("input").fill("0")
    row.get_by_role("alert").wait_for()
    faults["form"] = faint(form)

    side = shown.runs()
    side.get_by_label("Search runs").fill(folder.name)
    shown.row(f"{folder.name}/poor").click()
    faults["side bar"] = faint(side)

    opened = shown.open_run(f"{folder.name}/good")
    for tab in ("Curves", "Results", "Recipe", "Files"):
        opened.get_by_role("tab", name=tab, exact=True).click()
        faults[tab] = faint(opened)
    opened = shown.open_run(f"{folder.name}/good", f"{folder.name}/poor")
    opened.locator(".tb-chip").first.wait_for()
    faults["comparison"] = faint(opened)
    assert {place: found for place, found in faults.items() if found} == {}


def test_curves_follow_a_change_of_the_theme(folder: Path, jupyterlab: Any, page: Page) -> None:
    write_run(folder, "run")
    opened = jupyterlab().open_run(f"{folder.name}/run")
    key = opened.locator(".tb-key", has_text="train").first.locator(".tb-swatch line")
    for theme, blue in (("Dark", "#56b4e9"), ("Light", "#0072b2")):
        name = f"JupyterLab {theme}"
        page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
        expect(key).to_have_attribute("stroke", blue)
