"""The runs in the side bar and their pages in the main area, in a real JupyterLab."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import lab_pages
from lab_pages import _folder, _jupyterlab, _watched  # noqa: F401 - pytest takes fixtures by their names
from sweep_files import write_sweep

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_the_side_bar_lists_runs_with_their_state_score_and_gap(folder: Path, jupyterlab: Any) -> None:
    lab_pages.write_run(folder, "tones")
    lab_pages.write_run(folder, "reviews", state="failed")
    shown = jupyterlab()
    shown.runs().get_by_label("Search runs").fill(folder.name)  # rows of other runs may leave these out of view
    row = shown.row(f"{folder.name}/tones")
    expect(row).to_contain_text("finished · 0.50 → 0.75")
    expect(row).to_contain_text("gap 0.10")  # what is read from logs may come later than the rest
    expect(row).to_contain_text("0.78")  # the best macro-F1, 1 - 0.6 ** 3
    assert "best validation macro_f1 0.784" in (row.get_attribute("aria-label") or "")
    assert row.locator("polyline").count() == 1
    assert "failed" in shown.row(f"{folder.name}/reviews").inner_text()


def test_runs_are_searched_filtered_and_ordered(folder: Path, jupyterlab: Any, page: Page) -> None:
    for name, state, epochs in (("b-good", "finished", 5), ("a-poor", "finished", 1), ("c-gone", "failed", 2)):
        lab_pages.write_run(folder, name, state=state, epochs=epochs)
    shown = jupyterlab()
    side = shown.runs()
    names = page.locator("#tunebook-runs .jp-Tunebook-Run-name")

    def listed(*expected: str) -> None:
        expect(names).to_have_text(list(expected))

    side.get_by_label("Search runs").fill(folder.name)
    shown.row(f"{folder.name}/c-gone").wait_for()
    side.get_by_label("Order").select_option("name")
    listed("a-poor", "b-good", "c-gone")
    side.get_by_label("Order").select_option("score")
    listed("b-good", "c-gone", "a-poor")
    side.get_by_label("Show").select_option("finished")
    listed("b-good", "a-poor")
    side.get_by_label("Search runs").fill(f"{folder.name} poor")
    listed("a-poor")


def test_the_keyboard_alone_selects_opens_and_compares(folder: Path, jupyterlab: Any, page: Page) -> None:
    for name in ("one", "two", "three"):
        lab_pages.write_run(folder, name)
    shown = jupyterlab()
    side = shown.runs()
    side.get_by_label("Search runs").fill(folder.name)
    shown.row(f"{folder.name}/one").wait_for()
    tree = side.get_by_role("tree")
    tree.focus()
    for key in ("ArrowDown", " ", "ArrowDown", " "):
        page.keyboard.press(key)
    assert page.locator("#tunebook-runs [aria-selected=true]").count() == 2
    active = tree.get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("role") == "treeitem"
    page.keyboard.press("Enter")
    page.locator(".jp-Tunebook-Page-header h2").wait_for()
    side.get_by_role("button", name="Compare 2").click()
    page.locator(".jp-Tunebook-Page-header h2", has_text=" against ").wait_for()


def test_a_run_is_renamed_and_deleted_only_after_a_question(folder: Path, jupyterlab: Any, page: Page) -> None:
    lab_pages.write_run(folder, "old")
    shown = jupyterlab()
    side = shown.runs()
    side.get_by_label("Search runs").fill(folder.name)
    shown.row(f"{folder.name}/old").click()
    side.locator("button[data-action=rename]").click()
    page.locator(".jp-Dialog input").fill("new name")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    shown.row(f"{folder.name}/new name").wait_for()
    assert (folder / "new name" / "state.json").is_file()
    shown.row(f"{folder.name}/new name").click()
    side.locator("button[data-action=delete]").click()
    page.locator(".jp-Dialog", has_text="goes to the trash").wait_for()
    page.locator(".jp-Dialog .jp-mod-reject").first.click()
    assert (folder / "new name").is_dir()
    side.locator("button[data-action=delete]").click()
    page.locator(".jp-Dialog .jp-mod-warn").click()
    shown.row(f"{folder.name}/new name").wait_for(state="detached")
    assert not (folder / "new name").exists()


def test_a_run_page_shows_curves_results_report_recipe_and_files(folder: Path, jupyterlab: Any, page: Page) -> None:
    report = "<!doctype html><title>x</title><h1>Bias</h1><script>parent.document.title = 'run'</script>"
    lab_pages.write_run(folder, "tones", report=report, lr=0.005)
    shown = jupyterlab().open_run(f"{folder.name}/tones")
    shown.locator(".tb-chart canvas").first.wait_for()
    assert shown.locator(".tb-chart-title").first.inner_text() == "Loss"

    shown.get_by_role("tab", name="Results").click()
    assert "linear probe" in shown.inner_text()
    assert "0.750" in shown.inner_text()

    shown.get_by_role("tab", name="Bias report").click()
    frame = shown.locator("iframe")
    assert frame.get_attribute("sandbox") == ""
    frame.content_frame.get_by_role("heading", name="Bias").wait_for()
    assert page.title() != "run"

    shown.get_by_role("tab", name="Recipe").click()
    assert shown.locator("dt[title=lr] + dd").first.inner_text() == "0.005"

    shown.get_by_role("tab", name="Files").click()
    shown.get_by_role("button", name="recipe.json").wait_for()


def test_runs_side_by_side_show_what_differs_and_nothing_else(folder: Path, jupyterlab: Any) -> None:
    lab_pages.write_run(folder, "slow", lr=0.0001)
    lab_pages.write_run(folder, "fast", lr=0.01)
    shown = jupyterlab().open_run(f"{folder.name}/slow", f"{folder.name}/fast")
    shown.locator(".tb-chip", has_text="slow").wait_for()
    differing = shown.locator(".jp-Tunebook-Table").last.locator("tbody tr")
    assert differing.all_inner_texts() == ["Learning rate\t0.0001\t0.01"]
    shown.get_by_role("button", name="fast").first.wait_for()


def test_a_search_is_one_row_with_its_trials_below_and_its_figures_on_its_page(
    folder: Path, jupyterlab: Any, page: Page
) -> None:
    search = write_sweep(folder / "search", trials=6)
    (search / "figures").mkdir()
    Image.new("RGB", (40, 30)).save(search / "figures" / "history.png")
    shown = jupyterlab()
    side = shown.runs()
    side.get_by_label("Search runs").fill(folder.name)
    row = shown.row(f"{folder.name}/search")
    row.click()
    trials = side.locator("[role=treeitem][aria-level='2']")
    expect(trials).to_have_count(0)
    page.keyboard.press("ArrowRight")
    expect(trials).to_have_count(6)
    expect(trials.filter(has_text="best")).to_contain_text("0.54")
    expect(trials.filter(has_text="it broke, badly")).to_have_count(1)
    page.keyboard.press("ArrowLeft")
    expect(trials).to_have_count(0)
    row.dblclick()
    opened = page.locator(".jp-Tunebook-Page:visible")
    expect(opened.locator(".jp-Tunebook-mod-best th")).to_have_text("4")
    picture = opened.locator(".jp-Tunebook-Figures img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 40


def test_the_settings_name_the_folder_and_the_limit(folder: Path, jupyterlab: Any, lab: Any, page: Page) -> None:
    lab_pages.write_run(folder / "mine", "inside")
    lab_pages.write_run(folder, "beside")
    settings = "/lab/api/settings/tunebook:plugin"
    lab.request(settings, "PUT", {"raw": json.dumps({"runsFolder": f"{folder.name}/mine", "maxRunning": 3})})
    try:
        shown = jupyterlab()
        side = shown.runs()
        shown.row(f"{folder.name}/mine/inside").wait_for()
        expect(side.locator("[role=treeitem]")).to_have_count(1)
        page.wait_for_function(
            "async url => (await (await fetch(url)).json()).max_running === 3",
            arg=f"{lab.url}/tunebook/api/queue",
            polling=200,
        )
    finally:
        lab.request(settings, "PUT", {"raw": "{}"})
        lab.request("/tunebook/api/queue", "PATCH", {"max_running": 1})


def test_the_layout_comes_back_after_a_reload(folder: Path, jupyterlab: Any, page: Page) -> None:
    lab_pages.write_run(folder, "tones")
    shown = jupyterlab()
    side = shown.runs()
    side.get_by_label("Order").select_option("name")
    shown.open_run(f"{folder.name}/tones")
    time.sleep(2)  # JupyterLab writes its layout a second after it changed
    shown.open(reset=False)
    page.locator(".jp-Tunebook-Page-header h2", has_text="tones").wait_for()
    assert page.locator("#tunebook-runs").get_by_label("Order").input_value() == "name"


def test_a_thousand_runs_are_listed_in_seconds_and_scroll_with_few_rows_in_the_page(
    folder: Path, jupyterlab: Any, page: Page
) -> None:
    for number in range(1000):
        path = folder / f"run-{number:04d}"
        path.mkdir()
        (path / "state.json").write_text('{"state": "finished", "task": "image-classification", "started": 1.0}')
    shown = jupyterlab()
    began = time.monotonic()
    side = shown.runs()
    side.get_by_label("Search runs").fill(folder.name)
    rows = page.locator("#tunebook-runs [role=treeitem]")
    rows.first.wait_for()
    taken = time.monotonic() - began
    page.wait_for_function("() => Number(document.querySelector('.jp-Tunebook-Runs-count').textContent) >= 1000")
    assert rows.count() < 60
    frames = page.evaluate("""async () => {
        const list = document.querySelector('.jp-Tunebook-RunList');
        const times = [];
        let last = performance.now();
        for (let top = 0; top < 40000; top += 800) {
            list.scrollTop = top;
            await new Promise(requestAnimationFrame);
            const now = performance.now();
            times.push(now - last);
            last = now;
        }
        return times.sort((a, b) => a - b);
    }""")
    print(f"first rows after {taken:.2f} s; a frame of scrolling took {frames[len(frames) // 2]:.0f} ms in the middle")
    side.get_by_role("tree").focus()
    page.keyboard.press("End")
    page.locator("#tunebook-runs .jp-Tunebook-mod-active").wait_for()
    assert taken < 10  # a guard; the figure itself is printed
    assert frames[len(frames) // 2] < 100


def test_without_the_server_half_one_message_says_what_to_do(jupyterlab: Any, page: Page) -> None:
    page.route("**/tunebook/api/**", lambda route: route.fulfill(status=404, body="<html>404</html>"))
    shown = jupyterlab()
    shown.execute("tunebook:show-runs")
    trouble = page.locator("#tunebook-runs .jp-Tunebook-Trouble")
    trouble.wait_for()
    assert "jupyter server extension enable tunebook_lab" in trouble.inner_text()
    card = page.locator(".jp-LauncherCard", has_text="Fine-tune a model")
    assert "jupyter server extension enable tunebook_lab" in (card.get_attribute("title") or "")
