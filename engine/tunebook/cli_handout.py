"""``tunebook handout``: a whole run as one file to hand on."""

from __future__ import annotations

from os.path import lexists
from pathlib import Path
from typing import Annotated

import typer

from tunebook.errors import StorageError
from tunebook.progress import safe


def handout_command(
    name: Annotated[str, typer.Argument(metavar="RUN", help="The run's path or name.", show_default=False)],
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The page; NAME.html here when not given.", show_default=False),
    ] = None,
    runs_dir: Annotated[
        str, typer.Option("--runs-dir", metavar="DIR", help="Folder that holds the run directories.")
    ] = "runs",
) -> None:
    """Write a run or a sweep as one page of HTML to hand on: curves, results, bias report, recipe, model card."""
    from tunebook.handout import write_handout  # noqa: PLC0415
    from tunebook.runs import Run  # noqa: PLC0415
    from tunebook.storage import write_text  # noqa: PLC0415

    run = Run.open(name, runs_dir)
    file = out or Path(f"{run.name}.html")
    if lexists(file):
        raise StorageError(f"{file} is there already; name another file with --out, or remove it")
    write_text(file, write_handout(run.path))
    typer.echo(safe(file))
