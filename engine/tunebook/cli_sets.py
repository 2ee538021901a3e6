"""``tunebook run --sets``: many runs of a notebook, what is printed while they go, and how it ends."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO

import typer

from tunebook.cli_tables import print_table
from tunebook.errors import StorageError, TunebookError
from tunebook.progress import INTERVAL, duration, figures, read_state, safe, score

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.progress import Progress as Bar

    from tunebook.batch_child import Outcome
    from tunebook.batch_local import Place
    from tunebook.batch_runs import Batch
    from tunebook.runs import Run

#: Exit codes above this mean signals to a shell.
MOST_FAILURES = 125
#: Looks at state files a second, however many runs there are.
_LOOKS = 100
#: Characters of a parameter's value, and of a message, in the table on the screen.
_CELL, _MESSAGE = 24, 100


class BatchStopped(TunebookError):  # noqa: N818 - it is not a failure
    """
    A batch was stopped by a signal; the same command goes on with it.

    Attributes
    ----------
    exit_code
        What the command ends with: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run_sets(
    notebook: str,
    sets: Path,
    *,
    common: Mapping[str, Any],
    fixed: Mapping[str, Any],
    runs_dir: str,
    jobs: int,
    scheduler: str,
    table: Path | None,
) -> int:
    """
    Run a notebook once for each set of parameters in a file, but for those that are finished.

    Parameters
    ----------
    notebook
        A template's name, or a path.
    sets
        YAML or CSV; see :func:`tunebook.batch_sets.read_sets`.
    common, fixed
        Parameters of all runs: those that a set may change, and those that none may.
    runs_dir
        Folder that holds the run directories.
    jobs
        Processes at a time on this machine.
    scheduler
        dask scheduler whose workers run them in place of this machine; empty for none.
    table
        File for the table at the end.

    Returns
    -------
    int
        How many did not finish, at most :data:`MOST_FAILURES`.

    Raises
    ------
    TunebookError
        Something is wrong with the notebook, the sets or their places; nothing was started.
    BatchStopped
        A signal ended it.
    """
    from tunebook.batch_sets import read_sets, settle_sets  # noqa: PLC0415
    from tunebook.batch_table import batch_table, check_place, write_table  # noqa: PLC0415
    from tunebook.templates import find_notebook, load_notebook  # noqa: PLC0415

    path = find_notebook(notebook)
    settled = settle_sets(load_notebook(path), read_sets(sets), common, fixed)
    if table is not None:
        check_place(table)
    # A mistake is told before papermill is imported, which takes seconds.
    from tunebook.batch_runs import Batch  # noqa: PLC0415

    batch = Batch(path, settled, Path(runs_dir))
    received = _carry_out(batch, jobs, scheduler) if batch.missing() else []
    frame = batch_table(batch)
    if received and not batch.outcomes:
        raise BatchStopped("stopped before a run began; the same command goes on", 128 + received[0])
    typer.echo()
    _print_table(frame, len(batch.sets))
    if table is not None:
        write_table(frame, table)
    counts = frame["state"].value_counts().to_dict()
    typer.echo(f"\n{', '.join(f'{count} {state}' for state, count in counts.items())}")
    if table is not None:
        typer.echo(f"table  {safe(table)}")
    missing = len(batch.sets) - counts.get("finished", 0)
    if received:
        raise BatchStopped(f"stopped; {missing} of {len(batch.sets)} runs are left, the same command goes on with them",
                           128 + received[0])  # fmt: skip
    return min(missing, MOST_FAILURES)


def _carry_out(batch: Batch, jobs: int, scheduler: str) -> list[int]:
    place: Place
    if scheduler:
        from tunebook.batch_cluster import Cluster  # noqa: PLC0415

        place = Cluster(scheduler)
    else:
        from tunebook.batch_local import Processes  # noqa: PLC0415

        place = Processes(jobs)
    with Lines(batch, sys.stdout) as lines, _listening(batch) as received:
        lines.begin(place.describe())
        batch.run(place, lines)
    return received


@contextmanager
def _listening(batch: Batch) -> Iterator[list[int]]:
    """Let Ctrl-C and SIGTERM stop the runs, each with a checkpoint, and the second time at once."""
    received: list[int] = []

    def stop(number: int, _frame: object) -> None:
        received.append(number)
        batch.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Lines:
    """
    Says what becomes of the runs: a live line on a terminal, and a line for each that begins and ends.

    A log file or a pipe gets no live line but one for each epoch, and never a carriage return.

    Parameters
    ----------
    batch
        What is run.
    stream
        Where to.
    """

    def __init__(self, batch: Batch, stream: TextIO) -> None:
        self._batch = batch
        self._stream = stream
        self._bar: Bar | None = None
        self._epochs: dict[str, int] = {}
        self._looked = 0.0
        self._done = len(batch.sets) - len(batch.missing())
        self._failed = 0

    def __enter__(self) -> Self:
        if self._stream.isatty():
            from tunebook.progress import _live_bar  # noqa: PLC0415

            self._bar = _live_bar(self._stream)
            self._bar.update(self._bar.task_ids[0], description="", total=len(self._batch.sets), completed=self._done)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, where: str) -> None:
        """Say what there is to do."""
        sets, missing = len(self._batch.sets), len(self._batch.missing())
        kept = f", {sets - missing} of them finished before" if missing < sets else ""
        self._print(f"{sets} runs in {self._batch.runs_dir}{kept}; {missing} to run, {where}")
        changed = [name for name, each in self._batch.standings.items() if each.is_changed and each.next != "again"]
        if changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            self._print(f"note: the notebook's code is no longer what {changed[0]}{more} ran, which is kept as it is")

    def began(self, name: str, where: str) -> None:
        """Say that a run began."""
        with suppress(StorageError, OSError):
            self._epochs[name] = read_state(self._run(name)).epoch
        how = "resumed" if self._batch.standings[name].next == "resume" else "started"
        self._print(how, name, f"on {where}" if where else "")

    def ended(self, name: str, outcome: Outcome) -> None:
        """Say how a run ended."""
        self._look(name)
        self._done += outcome.state == "finished"
        self._failed += outcome.state == "failed"
        told = outcome.message
        if outcome.state == "finished":
            with suppress(StorageError, OSError):
                told = score(read_state(self._run(name)))
        self._print(outcome.state, name, told, duration(outcome.seconds))

    def turn(self, running: Sequence[str], waiting: int) -> None:
        """Look what the runs do, now and then."""
        if time.monotonic() - self._looked < max(INTERVAL, len(running) / _LOOKS):
            return
        self._looked = time.monotonic()
        doing = [f"{name} {self._look(name)}".rstrip() for name in running]
        if self._bar is not None:
            parts = (f"{self._failed} failed" if self._failed else "", f"{waiting} waiting" if waiting else "")
            self._bar.update(
                self._bar.task_ids[0], completed=self._done, description=safe("; ".join(doing)),
                figures="  ".join(part for part in (f"{self._done}/{len(self._batch.sets)}", *parts) if part),
            )  # fmt: skip

    def _look(self, name: str) -> str:
        """Return what a run does, and print the epoch that it has ended since the last look."""
        try:
            state = read_state(self._run(name))
        except (StorageError, OSError):  # it is not there yet, or another process is writing
            return ""
        if state.epochs and state.epoch > self._epochs.get(name, 0):
            self._epochs[name] = state.epoch
            loss = f"loss {state.loss:.3f}" if state.loss is not None else ""
            if self._bar is None:
                self._print("", name, f"epoch {state.epoch}/{state.epochs} done", loss)
        return figures(state).partition("  ")[0] if state.state == "running" else ""

    def _run(self, name: str) -> Run:
        from tunebook.runs import Run  # noqa: PLC0415

        return Run(self._batch.path(name))

    def _print(self, word: str, *parts: str) -> None:
        line = f"{word:<8}  {'  '.join(filter(None, map(safe, parts)))}" if parts else safe(word)
        if self._bar is not None:
            from rich.text import Text  # noqa: PLC0415 - a name is shown, never read as markup

            self._bar.console.print(Text(line), soft_wrap=True)
            return
        with suppress(BrokenPipeError):  # whoever read our lines left; the runs go on
            print(line, file=self._stream, flush=True)


def _print_table(frame: Any, sets: int) -> None:  # noqa: ANN401 - pandas is imported when it is needed
    """Print a row a run; of the parameters those in which the runs differ."""
    own = list(frame.columns)[list(frame.columns).index("seconds") + 1 : -2]
    own = [name for name in own if sets == 1 or frame[name].astype(str).nunique(dropna=False) > 1]
    titles = ["run", "state", "baseline_accuracy", "accuracy", "macro_f1", "seconds", *own, "message"]
    rows = []
    for record in frame[titles].to_dict("records"):
        rows.append(tuple(_shown(record[title], _MESSAGE if title == "message" else _CELL) for title in titles))
        rows[-1] = (safe(record["run"]), *rows[-1][1:])
    heads = ("run", "state", "baseline", "accuracy", "macro-F1", "seconds", *own, "")
    print_table(heads, rows)


def _shown(value: object, limit: int) -> str:
    if value is None or value != value:  # noqa: PLR0124 - pandas writes NaN for what is missing
        return ""
    return f"{value:.4g}" if isinstance(value, float) else safe(value, limit)
