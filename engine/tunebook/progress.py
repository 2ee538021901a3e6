"""What a run is doing now: in words, and as a line on the terminal that follows it."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self, TextIO

from tunebook.errors import StorageError
from tunebook.quantities import amount

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from tunebook.runs import Run, State

#: How often state.json is read, in seconds.
INTERVAL = 0.25
#: What is said of a model that tuning made worse.
_WORSE = ", below its baseline"


def safe(text: object, limit: int = 0) -> str:
    """
    Make text fit for a terminal's line: what is not printable is escaped, so it cannot move the cursor.

    Parameters
    ----------
    text
        Anything; line ends become spaces.
    limit
        Longest result; 0 does not cut.
    """
    line = " ".join(str(text).split())
    fit = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
    return fit if not limit or len(fit) <= limit else fit[: limit - 3] + "..."


def duration(seconds: float) -> str:
    """Write a time as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def score(state: State) -> str:
    """Write what tuning gained: ``baseline 0.612 -> tuned 0.713 test accuracy``; empty before it is measured."""
    if state.metric is None:
        return "" if state.baseline is None else f"baseline {state.baseline:.3f} test accuracy"
    if state.baseline is None:
        return f"tuned {state.metric:.3f} test accuracy"
    return f"{gain(state.baseline, state.metric)} test accuracy{_WORSE if is_below(state) else ''}"


def gain(baseline: float, metric: float) -> str:
    """Write two scores in as many digits as tell them apart: ``baseline 0.612 -> tuned 0.713``."""
    digits = next((n for n in range(3, 6) if f"{baseline:.{n}f}" != f"{metric:.{n}f}"), 3)
    return f"baseline {baseline:.{digits}f} -> tuned {metric:.{digits}f}"


def is_below(state: State) -> bool:
    """Say whether a run finished with a model that is worse on the test set than its baseline."""
    if state.metric is None or state.baseline is None:
        return False
    return state.state == "finished" and state.metric < state.baseline


def figures(state: State) -> str:
    """Write the numbers of a training that goes on: epoch, step, loss, speed, time left, memory, as far as known."""
    # State counts the epochs that are done; the one that a person watches is the next.
    epoch = f"epoch {min(state.epoch + 1, state.epochs)}/{state.epochs}" if state.epochs else ""
    memory = amount(state.memory) if state.memory > 0 else ""
    return "  ".join(part for part in ("pauses" if state.paused else "", epoch, *_numbers(state), memory) if part)


def describe(state: State) -> str:
    """
    Say in one line what a run is doing, or how it ended.

    Parameters
    ----------
    state
        As :meth:`tunebook.runs.Run.state` gives it.

    Returns
    -------
    str
        For example ``tuning: epoch 2/6  step 40/120  loss 0.512  1:12 left``; printable text only.
    """
    if state.state == "queued":
        return safe(state.phase) or "waiting"
    if state.state == "running":
        return ": ".join(part for part in (safe(state.phase), figures(state)) if part) or "running"
    done = f"epoch {state.epoch}/{state.epochs}" if state.epochs else ""
    parts = [done, score(state), safe(state.message)]
    return ": ".join([state.state, *["; ".join(part for part in parts if part)][: any(parts)]])


def read_state(run: Run) -> State:
    """Read a run's state for showing it; StorageError where it cannot be read, or is none."""
    return run.state()


class Progress:
    """
    Shows a run while it goes on: one live line on a terminal, plain lines elsewhere.

    Use it as a context manager, and hand :meth:`watch` and :meth:`cell` to
    :func:`tunebook.batch.execute`.

    Parameters
    ----------
    stream
        Where to show it; standard output when not given. A log file or a pipe gets one line per
        heading of the notebook, per phase and per epoch, and never a carriage return.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._run: Run | None = None
        self._state: State | None = None
        self._cell = "", ""
        self._title = ""
        self._phase = ""
        self._epoch = 0
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        if self._stream.isatty():
            self._bar = _live_bar(self._stream)
            self._bar.start()
        self._show()
        self._thread = threading.Thread(target=self._follow, name="tunebook-progress", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        self._look()  # the last epoch may have ended since
        if self._bar is not None:
            self._bar.stop()

    def watch(self, run: Run) -> None:
        """Follow this run's state from now on; epochs that a resumed run did before are not news."""
        with suppress(StorageError, OSError):
            self._epoch = read_state(run).epoch
        self._run = run
        self._cell = "", "starting the kernel"
        self._show()

    def cell(self, index: int, cells: int, title: str) -> None:
        """Note that the notebook's cell ``index`` (from 0) of ``cells``, under the heading ``title``, begins."""
        self._cell = f"cell {index + 1}/{cells}", safe(title)
        self._show()

    def _follow(self) -> None:
        while not self._done.wait(INTERVAL):
            self._look()

    def _look(self) -> None:
        if self._run is None:
            return
        # What another process writes may be missing or strange for a moment; a display never ends a run.
        with suppress(StorageError, OSError):
            self._state = read_state(self._run)
            self._show()

    def _show(self) -> None:
        with self._lock:
            state = self._state
            training = state is not None and state.state == "running"
            if self._bar is None:
                self._print_lines(state)
                return
            position, title = self._cell
            if state is not None and training:
                known = state.steps or None
                self._bar.update(
                    self._bar.task_ids[0],
                    description=safe(state.phase) or title,
                    total=known,
                    completed=state.step,
                    figures=figures(state) or position,
                )
            elif title:
                self._bar.update(self._bar.task_ids[0], description=title, total=None, figures=position)

    def _print_lines(self, state: State | None) -> None:
        if state is not None and state.epoch > self._epoch and state.epochs:
            self._epoch = state.epoch
            self._print("  ".join([f"  epoch {state.epoch}/{state.epochs} done", *_numbers(state)]))
        position, title = self._cell
        if title and title != self._title:
            self._title = title
            self._print(f"[{position.removeprefix('cell ')}] {title}" if position else title)
        phase = _phase(state) if state is not None and state.state == "running" else self._phase
        if phase != self._phase:
            self._phase = phase
            self._print(f"  {phase}")

    def _print(self, line: str) -> None:
        with suppress(BrokenPipeError):  # whoever read our lines left; the run goes on
            print(line, file=self._stream, flush=True)


def _phase(state: State) -> str:
    return f"{safe(state.phase)} pauses".lstrip() if state.paused else safe(state.phase)


def _numbers(state: State) -> list[str]:
    parts = [
        f"step {state.step}/{state.steps}" if state.steps else "",
        f"loss {state.loss:.3f}" if state.loss is not None else "",
        f"{state.examples_per_second:.0f}/s" if state.examples_per_second is not None else "",
        f"{duration(state.seconds_left)} left" if state.seconds_left is not None else "",
    ]
    return [part for part in parts if part]


def _live_bar(stream: TextIO) -> Bar:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, SpinnerColumn, TextColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415

    bar = Bar(
        SpinnerColumn("line" if "utf" not in (stream.encoding or "").lower() else "dots"),
        # Headings and phases come from notebooks: they are shown, not read as rich's markup.
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True)),
        console=Console(file=stream),
        transient=True,
        expand=True,
        refresh_per_second=8,
    )
    bar.add_task("checking recipe, data and model", total=None, figures="")
    return bar
