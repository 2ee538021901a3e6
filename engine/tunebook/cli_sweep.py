"""The command ``tunebook sweep``: its options, what it prints while it searches, and how it ends."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path  # noqa: TC003  # typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated, Any, Self, TextIO

import typer

from tunebook.errors import TunebookError
from tunebook.monitors import FORMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as Bar

    from tunebook.search_ledger import Row
    from tunebook.searching import Search, Searching

_BEST = 5
#: Columns of a terminal that is none.
_WIDE = 160
#: Seconds that the first trial waits to be shown.
_PATIENCE = 10.0


class SweepStopped(TunebookError):  # noqa: N818 - it is not a failure
    """
    A sweep was stopped by a signal; it can be resumed.

    Attributes
    ----------
    exit_code
        What the command ends with: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def sweep_command(  # a command's parameters are its options
    *,
    notebook: Annotated[
        str, typer.Argument(metavar="TEMPLATE|NOTEBOOK", help="A template's name or a notebook's path.")
    ] = "",
    pairs: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="NAME VALUE", parser=lambda text: text, help="Set a parameter; overrides -f."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("-f", metavar="FILE", help="YAML file with parameters.", show_default=False)
    ] = None,
    spaces: Annotated[
        list[str] | None,
        typer.Option(
            "-s",
            metavar="NAME=SPACE",
            help="Search a parameter: 'lr=log(1e-5,1e-1)', dropout=0..0.5, batch_size=8..64/8, freeze=backbone,6,4.",
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", help="Trials that end; 30, or the whole grid.", show_default=False)
    ] = None,
    method: Annotated[str, typer.Option("--method", metavar="NAME", help="bayesian, random or grid.")] = "bayesian",
    objectives: Annotated[
        list[str] | None,
        typer.Option(
            "--objective",
            metavar="NAME",
            help=f"{FORMS}; macro_f1 if none is given; twice for a Pareto front.",
        ),
    ] = None,
    points: Annotated[int, typer.Option("--points", help="Values into which a grid cuts a range.")] = 5,
    prune: Annotated[
        bool | None,
        typer.Option("--prune/--no-prune", help="Give poor trials up early.", show_default="with one objective"),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", help="Processes on this machine; 0 is this one.")] = 0,
    scheduler: Annotated[
        str, typer.Option("--scheduler", metavar="ADDRESS", help="dask scheduler whose workers run the trials.")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="Name of the sweep's directory.", show_default=False)] = "",
    runs_dir: Annotated[
        str, typer.Option("--runs-dir", metavar="DIR", help="Folder that holds the run directories.")
    ] = "runs",
    storage: Annotated[
        str, typer.Option("--storage", metavar="URL", help="Database for Optuna; a journal in the directory without.")
    ] = "",
    resume: Annotated[
        str, typer.Option("--resume", metavar="SWEEP", help="Go on with a sweep that stopped; --trials gives it more.")
    ] = "",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the choice of parameters.")] = 0,
) -> None:
    """Search for the parameters with which a notebook reaches most on its validation set."""
    if bool(notebook) == bool(resume):
        wanted = "name a template, a notebook's path, or --resume SWEEP"
        raise typer.BadParameter("--resume takes the sweep's own notebook: leave the other out" if resume else wanted)
    given = {
        "-p": pairs, "-f": file, "-s": spaces, "--objective": objectives, "--name": name, "--seed": seed,
        "--prune/--no-prune": prune is not None, "--method": method != "bayesian", "--points": points != 5,  # noqa: PLR2004
    }  # fmt: skip
    own = [option for option, value in given.items() if value]
    if resume and own:
        raise typer.BadParameter(f"--resume keeps the sweep's own plan: leave {', '.join(own)} out")
    place: dict[str, Any] = {"workers": workers, "scheduler": scheduler, "storage": storage, "runs_dir": runs_dir}
    with Lines(sys.stdout) as lines:
        if resume:
            from tunebook.searching import resume_search  # noqa: PLC0415

            searching = resume_search(resume, trials=trials, on_trial=lines.trial, **place)
        else:
            searching = _start(
                notebook, pairs, file, spaces, trials=trials, method=method, points=points, prune=prune, name=name,
                seed=seed, objectives=objectives or ["macro_f1"], on_trial=lines.trial, **place,
            )  # fmt: skip
        lines.watch(searching)
        found = _wait(searching)
    _print_end(found)


def _start(
    notebook: str,
    pairs: list[str] | None,
    file: Path | None,
    spaces: list[str] | None,
    **options: Any,  # noqa: ANN401
) -> Searching:
    from tunebook.search_plan import make_plan  # noqa: PLC0415
    from tunebook.spaces import split_assignments  # noqa: PLC0415
    from tunebook.templates import find_notebook, load_notebook  # noqa: PLC0415
    from tunebook.yaml_file import read_mapping  # noqa: PLC0415

    # typer's annotation cannot say that each is a pair.
    listed: list[Any] = [*(pairs or [])]
    parameters = {**(read_mapping(file) if file else {}), **dict(listed)}
    texts = split_assignments(spaces or [])
    # A mistake is told before torch is imported, which takes seconds.
    checked = {key: options[key] for key in ("objectives", "trials", "method", "points", "prune", "seed")}
    make_plan(load_notebook(find_notebook(notebook)), texts, parameters=parameters, **checked)
    from tunebook.searching import search  # noqa: PLC0415

    return search(notebook, texts, parameters=parameters, **options)


def _wait(searching: Searching) -> Search:
    """Wait for the end; Ctrl-C and SIGTERM stop the search after the step under way, a second one at once."""
    from tunebook.training import TrainingStopped  # noqa: PLC0415

    with _listening(searching) as received:
        try:
            return searching.result()
        except TrainingStopped as stopped:
            number = received[0] if received else signal.SIGINT
            raise SweepStopped(str(stopped), 128 + number) from None


@contextmanager
def _listening(searching: Searching) -> Iterator[list[int]]:
    received: list[int] = []

    def stop(number: int, _frame: object) -> None:
        received.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)
        searching.stop()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Lines:
    """
    Says what a search does: one live line on a terminal, a line for each trial that ends elsewhere.

    Parameters
    ----------
    stream
        Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar: Bar | None = None
        self._searching: Searching | None = None
        self._watched = threading.Event()

    def __enter__(self) -> Self:
        if self._stream.isatty():
            from tunebook.progress import _live_bar  # noqa: PLC0415

            self._bar = _live_bar(self._stream)
            self._bar.update(self._bar.task_ids[0], description="preparing the search")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def watch(self, searching: Searching) -> None:
        """Follow this search."""
        self._searching = searching
        self._watched.set()
        self._print(f"sweep {searching.run.path}: {searching.sweep.plan.trials} trials")

    def trial(self, row: Row, best: Row | None) -> None:
        """Say how a trial ended, and which is the best so far."""
        from tunebook.progress import safe  # noqa: PLC0415
        from tunebook.search_files import parameters_text, values_text  # noqa: PLC0415

        # The first trial may end before it is known what is followed.
        if not self._watched.wait(_PATIENCE) or self._searching is None:
            return
        plan = self._searching.sweep.plan
        leader = f"best {values_text(best, plan)} (trial {best.number})" if best is not None else ""
        if self._bar is not None:
            done = self._searching.sweep.done
            self._bar.update(
                self._bar.task_ids[0], description=f"trial {row.number} {row.state}  {safe(parameters_text(row))}",
                total=plan.trials, completed=done, figures=f"{done}/{plan.trials}  {safe(leader)}",
            )  # fmt: skip
            return
        what = values_text(row, plan) or row.message
        state = "" if row.state == "complete" else f" {row.state}"
        parts = (f"trial {row.number}{state}", what, parameters_text(row), leader)
        self._print(*(part for part in parts if part))

    def _print(self, *parts: str) -> None:
        from tunebook.progress import safe  # noqa: PLC0415

        if self._bar is None:
            with suppress(BrokenPipeError):  # whoever read our lines left; the search goes on
                print("  ".join(map(safe, parts)), file=self._stream, flush=True)


def _print_end(found: Search) -> None:
    import pandas as pd  # noqa: PLC0415

    from tunebook.progress import safe  # noqa: PLC0415

    typer.echo(f"\n{safe(found.run.state().message)}\n")
    width = shutil.get_terminal_size((_WIDE, 24)).columns
    table = found.best_trials(_BEST).map(lambda value: f"{value:.4g}" if isinstance(value, float) else safe(value))
    with pd.option_context("display.width", width, "display.max_columns", None):
        typer.echo(table.reset_index().to_string(index=False))
    typer.echo(f"\n{found.parameters_cell()}\n")
    typer.echo(f"sweep       {safe(found.path)}")
    typer.echo(f"parameters  {safe(found.path / 'parameters.py')}")
    typer.echo(f"figures     {safe(found.path / 'figures')}")
