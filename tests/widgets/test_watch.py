"""Watching a training in a notebook without a front end: what the saved cell holds, in a batch and with widgets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tunebook.runs import Run
from tunebook.tuning import Tuning
from tunebook_widgets import watch
from tunebook_widgets.curve_document import MIME

if TYPE_CHECKING:
    import threading

HERE = str(Path(__file__).parent)
#: A training that is none: it writes a log and fails if it is told to.
PREPARE = f"""
import sys
from pathlib import Path
sys.path.insert(0, {HERE!r})
import curves_run
from tunebook.runs import Run
from tunebook.tuning import Tuning
from tunebook.errors import TrainingError
from tunebook_widgets import watch
run = Run.create(Path("runs"), "done", "image-classification")
def work(stop):
    curves_run.write_run(Path("runs"), "other", epochs=2)
    for path in Path("runs/other").glob("*"):
        path.rename(run.path / path.name)
    if FAILS:
        raise TrainingError("the loss became nan at step 3")
    return run
"""
WATCH = "found = await watch(Tuning(work, lambda: 'under way', run))\nfound.name"


def _execute(folder: Path, *, fails: bool, after: str = "None") -> Any:
    """Run the notebook in a kernel of its own, and return it, as a failed cell leaves it."""
    cells = [PREPARE.replace("FAILS", str(fails)), WATCH, after]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    try:
        client.execute()
    except CellExecutionError:
        assert fails
    return book


def _shown(book: Any) -> list[Any]:
    return [output for output in book.cells[1].outputs if output.output_type == "display_data"]


def test_a_batch_run_shows_a_picture_and_a_text_and_imports_no_widgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBOOK_BATCH", "1")
    after = "import sys\nprint(sorted({'ipywidgets', 'anywidget'} & set(sys.modules)))"
    book = _execute(tmp_path, fails=False, after=after)
    assert set(_shown(book)[-1].data) == {"image/png", "text/plain"}
    assert "done: finished" in _shown(book)[-1].data["text/plain"]
    assert book.cells[1].outputs[-1].data["text/plain"] == "'done'"
    assert book.cells[2].outputs[0].text == "[]\n"


def test_a_notebook_keeps_a_picture_a_text_and_the_data_in_the_place_of_the_widgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNEBOOK_BATCH", raising=False)
    book = _execute(tmp_path, fails=False)
    (shown,) = _shown(book)
    assert set(shown.data) == {"image/png", "text/plain", MIME}
    assert shown.data[MIME]["runs"][0]["curves"]["loss/validation"][0] == [10, 20]
    assert shown.data["text/plain"].startswith("done: finished")


@pytest.mark.parametrize("batch", ["", "1"])
def test_what_a_failed_training_logged_is_shown_and_its_error_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: str
) -> None:
    monkeypatch.setenv("TUNEBOOK_BATCH", batch)
    book = _execute(tmp_path, fails=True)
    assert "image/png" in _shown(book)[-1].data
    (error,) = [output for output in book.cells[1].outputs if output.output_type == "error"]
    assert (error.ename, error.evalue) == ("TrainingError", "the loss became nan at step 3")


def test_in_a_script_it_awaits_and_shows_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.create(tmp_path, "one", "image-classification")

    def work(_: threading.Event) -> Run:
        return run

    async def wait() -> Run:
        return await watch(Tuning(work, lambda: "", run))

    assert asyncio.run(wait()) is run
    assert capsys.readouterr().out == ""
