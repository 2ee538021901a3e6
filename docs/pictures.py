"""
The pictures of the pages on the templates, made by running the templates: ``python docs/pictures.py``.

Those of JupyterLab (``lab-*``, ``panel``, ``curves``, ``bias-view``) are made by ``tests/ui/test_pictures.py``, since
they need a browser.
"""

from __future__ import annotations

import argparse
import base64
import io
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from PIL import Image

FOLDER = Path(__file__).parent / "pictures"
#: Bytes that a picture may have: a page loads several.
LARGEST = 150_000


@dataclass(frozen=True)
class Gallery:
    """
    What is taken from one template.

    Attributes
    ----------
    template
        Its name.
    wanted
        For each picture its file's stem and, in the notebook, a text in the source of the cell that shows it and which
        of that cell's pictures it is, from 0.
    parameters
        Those that are not the defaults, as the command line takes them.
    """

    template: str
    wanted: dict[str, tuple[str, int]]
    parameters: dict[str, str] = field(default_factory=dict)


GALLERIES = (
    Gallery(
        "image-classification",
        {
            "image-examples": ("tunebook.preview(", 0),
            "image-curves": ("report.curves()", 0),
            "image-mistakes": ("report.mistakes(", 0),
        },
    ),
    Gallery(
        "text-classification",
        {"text-curves": ("report.curves()", 0), "text-bias": ("BiasView(", 0)},
        {"max_examples": "500", "onnx": "false"},
    ),
    Gallery(
        "hyperparameter-search",
        {"search-history": ("found.figures", 0), "search-importance": ("found.figures", 1)},
    ),
)


def png_of(notebook: Path, text: str, index: int) -> bytes:
    """
    Return a picture that a cell of a finished notebook shows.

    Raises
    ------
    LookupError
        No code cell has the text, or it shows fewer pictures.
    """
    cells = nbformat.read(notebook, as_version=4).cells
    shown = [
        output.data["image/png"]
        for cell in cells
        if cell.cell_type == "code" and text in cell.source
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    if index >= len(shown):
        message = f"{notebook}: a cell with {text!r} shows {len(shown)} pictures, and number {index} is wanted"
        raise LookupError(message)
    return base64.b64decode(shown[index])


def keep(png: bytes, path: Path) -> None:
    """Write a picture with as many colours, at most 256, as keep it small."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 64, 32, 16):
        stream = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(stream, format="PNG", optimize=True)
        if stream.tell() <= LARGEST:
            path.write_bytes(stream.getvalue())
            return
    message = f"{path}: more than {LARGEST} bytes; take a smaller part of it"
    raise ValueError(message)


def make(gallery: Gallery, folder: Path) -> None:
    """Run a template as a user does and keep its pictures."""
    with tempfile.TemporaryDirectory() as place:
        given = [part for name, value in gallery.parameters.items() for part in ("-p", name, value)]
        command = [sys.executable, "-m", "tunebook.cli", "run", gallery.template, *given, "--out", "made.ipynb"]
        subprocess.run(command, cwd=place, check=True)  # noqa: S603 - what is run is this project's own command
        for name, (text, index) in gallery.wanted.items():
            keep(png_of(Path(place) / "made.ipynb", text, index), folder / f"{name}.png")


def main() -> None:
    """Make the pictures of the templates that are named, or of all."""
    known = {gallery.template: gallery for gallery in GALLERIES}
    parser = argparse.ArgumentParser(description=main.__doc__)
    listed = ", ".join(known)
    parser.add_argument("templates", nargs="*", metavar="TEMPLATE", help=f"{listed}; all if none is named")
    names = parser.parse_args().templates or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no pictures of {unknown[0]}; templates: {listed}")
    FOLDER.mkdir(exist_ok=True)
    for name in names:
        make(known[name], FOLDER)


if __name__ == "__main__":
    main()
