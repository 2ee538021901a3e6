"""A template as a person has it open in JupyterLab."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from tunebook.runs import Run

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny_models

if TYPE_CHECKING:
    from collections.abc import Callable

NOTEBOOKS = Path(__file__).parents[2] / "templates"
TEMPLATES = {
    "image-classification": "vision/image-classification.ipynb",
    "text-classification": "language/text-classification.ipynb",
}
#: What makes a task a matter of seconds.
SMALL: dict[str, dict[str, Any]] = {
    "image-classification": {"max_examples": 200, "image_size": 64, "freeze": -2, "augment": "none"},
    "text-classification": {"max_examples": 200, "max_length": 32, "freeze": -2},
}


def small(task: str, folder: Path) -> dict[str, Any]:
    """Return parameters that make a task a matter of seconds; a small model is written below the folder if need be."""
    values = {**SMALL[task], "onnx": False}
    if task == "text-classification":
        path = folder / "tiny"
        values["model"] = str(path if path.is_dir() else tiny_models.make_tiny(path, "bert"))
    return values


class Template:
    """
    A template that is open in JupyterLab with other parameters.

    Parameters
    ----------
    notebook
        The fixture that opens one.
    lab
        The server.
    task
        The template's task.
    run
        Name of the run directory.
    **values
        Parameters that are not the defaults.
    """

    def __init__(self, notebook: Any, lab: Any, task: str, run: str, **values: Any) -> None:
        self.lab, self.task = lab, task
        book = nbformat.read(NOTEBOOKS / TEMPLATES[task], as_version=4)
        self.sources = [cell.source for cell in book.cells if cell.cell_type == "code"]
        self.sources[0] += "".join(f"\n{name} = {value!r}" for name, value in {**values, "run": run}.items())
        self.made = Run(lab.folder / "runs" / run)
        self.book = notebook(self.sources)
        self.page = self.book.page

    def cell(self, text: str) -> int:
        """Return the number of the code cell that has a text."""
        return next(k for k, source in enumerate(self.sources) if text in source)

    def run(self, first: int, last: int) -> None:
        """Run some cells without waiting for their ends."""
        self.page.evaluate(
            "([first, last]) => { const book = window.jupyterapp.shell.currentWidget.content;"
            " book.activeCellIndex = first; book.deselectAll(); book.extendContiguousSelectionTo(last);"
            " void window.jupyterapp.commands.execute('notebook:run-cell'); }",
            [first, last],
        )

    def scroll_to(self, cell: int) -> None:
        """Bring a cell into view: what is out of it is not in the page."""
        self.page.evaluate(
            "cell => window.jupyterapp.shell.currentWidget.content.scrollToItem(cell, 'start')",
            cell,
        )


def wait(done: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until something is true on the disk."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.1)
