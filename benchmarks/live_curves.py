"""What watching costs: a training step's share for log, live commands and curves; and a million points in a browser."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.benchmark import Benchmark, Column, Contestant, Plan
from benchmarks.errors import BenchmarkError
from benchmarks.memory import _server, _status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from playwright.sync_api import Page

_STEP, _LIVE = "a step of full fine-tuning, watched", "a million points live, in JupyterLab"
#: Points that training logs at a step: loss, norm of the gradient, learning rate.
_TAGS = ("train/loss", "train/grad_norm", "lr/head")
_FLAGS = ("--no-sandbox", "--disable-quic", "--disable-background-networking", "--enable-precise-memory-info")
_BROWSERS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


# A training step.


class _Loop:
    """Whether the training loop runs, and what was spent elsewhere meanwhile."""

    def __init__(self) -> None:
        self.runs = False
        self.curves = 0.0
        self.spent: Callable[[], float] = float

    def on(self, owner: type) -> None:
        """Watch the loop of a trainer."""
        fit = owner.fit  # type: ignore[attr-defined]

        def call(*arguments: Any, **keywords: Any) -> Any:
            self.runs, before = True, self.spent()
            try:
                return fit(*arguments, **keywords)
            finally:
                self.runs, self.curves = False, self.spent() - before

        owner.fit = call  # type: ignore[attr-defined]


class _Clock:
    """Adds up the CPU time of calls in their own thread, while the training loop runs."""

    def __init__(self, loop: _Loop) -> None:
        self.spent = 0.0
        self.calls = 0
        self._loop = loop

    def on(self, owner: type, *names: str) -> None:
        """Measure some methods of a class."""
        for name in names:
            setattr(owner, name, self._timed(getattr(owner, name)))

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*arguments, **keywords)
            finally:
                if self._loop.runs:
                    self.spent += time.thread_time() - began
                    self.calls += 1

        return call


def step(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """
    Train the demo, all of it unfrozen, while the bar and the curves follow it, and add up what is no training.

    Returns
    -------
    dict
        CPU ms a step: ``step_ms`` in all, ``log_ms`` for the log, ``control_ms`` for live commands, ``state_ms`` for
        state.json, ``curves_ms`` for bar and curves; and ``share``, what is not the step itself, in per cent.
    """
    import tunebook
    from tunebook.commands import Commands
    from tunebook.events import EventLog
    from tunebook.runs import Run
    from tunebook.training import Trainer

    loop = _Loop()
    loop.on(Trainer)
    trained, log, control, state = (_Clock(loop) for _ in range(4))
    trained.on(Trainer, "_step")
    log.on(EventLog, "scalars", "text", "tensor", "flush")
    control.on(Commands, "listen", "act")
    state.on(Run, "update")
    recipe = tunebook.ImageClassification(
        freeze="none", unfreeze=[], max_examples=plan["examples"], epochs=plan["epochs"], run="watched", cache="off",
        onnx=False, checkpoint_seconds=1e6,
    )  # fmt: skip
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    mark()
    asyncio.run(_follow(tunebook.tune(recipe, examples, model), loop))
    beside = log.spent + control.spent + state.spent + loop.curves
    found = {
        "step_ms": trained.spent, "log_ms": log.spent, "control_ms": control.spent, "state_ms": state.spent,
        "curves_ms": loop.curves,
    }  # fmt: skip
    steps = max(1, trained.calls)
    return {
        **{key: 1000.0 * spent / steps for key, spent in found.items()},
        "steps": steps, "share": 100.0 * beside / trained.spent,
    }  # fmt: skip


async def _follow(tuning: Any, loop: _Loop) -> None:
    """Await a training with bar and curves as a kernel does."""
    from tunebook_widgets.live_curves import LiveCurves
    from tunebook_widgets.training_bar import TrainingBar

    curves, bar = LiveCurves(tuning.run), TrainingBar(tuning.run)
    loop.spent = lambda: curves._broadcast.spent + bar._broadcast.spent  # noqa: SLF001
    send = _sender()
    for shown in (curves, bar):
        shown._broadcast._send = send  # noqa: SLF001 - there is no front end
        shown._broadcast.start()  # noqa: SLF001
    await tuning.wait()
    curves.stop()
    bar.stop()


def _sender() -> Callable[[dict[str, Any], list[bytes]], None]:
    """Return what does all that a kernel does with a message but for writing it to the socket."""
    from jupyter_client.session import Session

    session = Session(key=b"benchmark")

    def send(header: dict[str, Any], _: list[bytes]) -> None:
        content = {"comm_id": "0" * 32, "data": {"method": "custom", "content": header}}
        session.serialize(session.msg("comm_msg", content=content))

    return send


# A million points in a browser.

_CELL = "import os\nfrom tunebook_widgets import LiveCurves\nprint(os.getpid())\nLiveCurves('long')"


def live(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """
    Show a log in JupyterLab while a million points are written to it.

    Returns
    -------
    dict
        ``heap_mb`` and ``kernel_mb``: growth of the browser's heap after a collection, and of the kernel's resident
        memory, from the first drawing to the last point; ``points``; ``messages``: most that came in one second.
    """
    from playwright.sync_api import sync_playwright

    from tunebook.runs import Run

    Run.create("runs", "long", "image-classification")
    with sync_playwright() as driver, _server(None, wanted=True):
        server = json.loads(next(Path("runtime").glob("jpserver-*.json")).read_text(encoding="utf-8"))
        browser = driver.chromium.launch(executable_path=_browser(), args=list(_FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(120_000)
        messages: Counter[int] = Counter()
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: _count(frame, messages)))
        kernel = _open(page, server)
        mark()
        with _writer(plan["points"], plan["seconds"]) as writer:
            page.wait_for_selector(".tb-chart canvas")
            page.wait_for_timeout(3_000)
            before = _heap(page), _status(kernel)["VmRSS"]
            while writer.poll() is None:
                page.wait_for_timeout(1_000)
            if writer.returncode:
                raise BenchmarkError(f"the writer ended with {writer.returncode}")
        page.wait_for_selector(".tb-state:has-text('finished')")
        after = _heap(page), _status(kernel)["VmRSS"]
        browser.close()
    return {
        "heap_mb": (after[0] - before[0]) / 1e6, "kernel_mb": (after[1] - before[1]) / 1e6, "points": plan["points"],
        "messages": max(messages.values(), default=0),
    }  # fmt: skip


def _browser() -> str:
    found = [name for name in (os.environ.get("TUNEBOOK_CHROMIUM", ""), *_BROWSERS) if name and Path(name).exists()]
    if not found:
        raise BenchmarkError("there is no Chromium; install it, or name it with TUNEBOOK_CHROMIUM")
    return found[0]


def _open(page: Page, server: Mapping[str, Any]) -> int:
    """Run the notebook that shows the curves; return the kernel's process id."""
    cell: dict[str, Any] = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None}
    cell["source"] = _CELL
    spec = {"name": "python3", "display_name": "Python 3"}
    book = {"cells": [cell], "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
    Path("long.ipynb").write_text(json.dumps(book), encoding="utf-8")
    page.goto(f"{server['url']}doc/tree/long.ipynb?token={server['token']}")
    # The indicator in the toolbar is idle before there is a kernel; the status bar is not.
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(".jp-OutputArea-output pre")
    return int(page.locator(".jp-OutputArea-output pre").first.inner_text())


def _count(frame: str | bytes, messages: Counter[int]) -> None:
    """Count a message of the kernel to a widget in the second in which it came."""
    raw = frame.encode() if isinstance(frame, str) else frame
    if b'"comm_msg"' in raw:
        messages[int(time.monotonic())] += 1


def _heap(page: Page) -> int:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return int(session.send("Runtime.getHeapUsage")["usedSize"])


@contextmanager
def _writer(points: int, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    code = "import sys; from benchmarks.live_curves import write; write(int(sys.argv[1]), float(sys.argv[2]))"
    process = subprocess.Popen([sys.executable, "-c", code, str(points), str(seconds)])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def write(points: int, seconds: float) -> None:
    """Log so many points in so many seconds, as a training does."""
    import math

    from tunebook.events import EventLog
    from tunebook.runs import Run

    run = Run.open("runs/long")
    steps = points // len(_TAGS)
    with run.owned():
        run.update(state="running", phase="tuning")
        log = EventLog(run.path)
        began = time.monotonic()
        for step in range(1, steps + 1):
            wave = math.sin(step * 0.7) + math.sin(step * step)
            log.scalars({"train/loss": 2.0 + wave, "train/grad_norm": 1.0 + 0.1 * wave, "lr/head": 1e-3 / step}, step)
            ahead = step / steps * seconds - (time.monotonic() - began)
            if ahead > 0.05:  # noqa: PLR2004 - sleeping for less takes longer
                log.flush()
                time.sleep(ahead)
        log.close()
        run.update(state="finished", phase="finished")


def _notes(plan: Plan, machine: Mapping[str, Any], medians: Mapping[str, Mapping[str, Any]]) -> list[str]:  # noqa: ARG001 - as all notes
    notes = []
    if _STEP in medians:
        row = medians[_STEP]
        notes.append(
            f"Log, live commands, state and curves take {row['share']:.2f} % of a step's CPU time (wanted: below 1)."
        )
    if _LIVE in medians:
        row = medians[_LIVE]
        notes.append(
            f"{row['points']:,.0f} points in {plan['seconds']:,.0f} s: the browser's heap grew by "
            f"{row['heap_mb']:.1f} MB (wanted: less than 50), the kernel by {row['kernel_mb']:.1f} MB (less than 100)."
        )
    return notes


BENCHMARK = Benchmark(
    name="live-curves",
    summary="what watching a training costs: share of a step, and memory of browser and kernel for a million points",
    contestants=(
        Contestant(_STEP, "benchmarks.live_curves:step"),
        Contestant(_LIVE, "benchmarks.live_curves:live", ("playwright", "jupyterlab")),
    ),
    base=_STEP,
    columns=(
        Column("step_ms", "CPU ms a step", 0),
        Column("log_ms", "of it the log", 2),
        Column("control_ms", "live commands", 3),
        Column("state_ms", "state.json", 3),
        Column("curves_ms", "bar and curves", 2),
        Column("share", "in all, %", 2),
        Column("heap_mb", "browser's heap, MB more", 1),
        Column("kernel_mb", "kernel, MB more", 1),
        Column("messages", "messages in a second, most", 0),
    ),
    plan={"examples": 600, "epochs": 3, "points": 1_000_000, "seconds": 1800},
    quick={"examples": 60, "epochs": 1, "points": 30_000, "seconds": 5},
    repeats=1,
    notes=_notes,
)
