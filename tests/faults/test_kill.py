"""A run that ends at any point, however it is made to, resumes, and ends with the same bits as one that was not."""

from __future__ import annotations

import os
import random
import secrets
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_run
from memory_group import MemoryGroup

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerProcess as Process

    from small_run import Whole

MEMORY = "out of memory"
KINDS = ["SIGKILL", "SIGTERM", "SIGINT", MEMORY]


def _end(process: Process, kind: str) -> str:
    """Make a process end, and say by what it did."""
    assert process.pid is not None
    if kind != MEMORY:
        with suppress(ProcessLookupError):  # it had ended
            os.kill(process.pid, signal.Signals[kind])
        process.join(120)
        return kind
    try:
        group = MemoryGroup(f"tunebook-{secrets.token_hex(4)}")
    except OSError as error:
        # What the kernel does where memory is out, by hand.
        process.kill()
        process.join(120)
        return f"{MEMORY}, imitated by SIGKILL since there is no control group: {error}"
    with group:
        try:
            group.take(process.pid)
        except ProcessLookupError:  # it had ended
            process.join(120)
            return kind
        group.starve(lambda: not process.is_alive())
        process.join(120)
        # One that ended well before the kernel could kill it counts as not hit.
        assert group.kills == (process.exitcode == -signal.SIGKILL)
    return kind


def _end_and_resume(whole: Whole, runs: Path, delay: float, kind: str) -> tuple[dict[str, str], str]:
    """End a run some seconds of the processor after it began, as often as it takes to hit it at work, and resume it."""
    from tunebook.runs import Run

    for attempt in range(10):
        run = Run(runs / f"ended-{attempt}")
        process = whole.begin(runs, run.name)
        small_run.appearance(run.path)
        began = small_run.processor_seconds(process)
        while process.is_alive() and small_run.processor_seconds(process) - began < delay:
            time.sleep(0.002)
        by = _end(process, kind)
        state = run.state()
        if process.exitcode != 0 and state.state != "finished":
            break
        delay *= 0.8
    else:
        raise AssertionError("it was never hit")
    # SIGINT lets it write a checkpoint; an interrupted start leaves it as the others do.
    assert state.state in {"queued", "died", *(["stopped"] if kind == "SIGINT" else [])}, state
    found = whole.resume(run.path)
    assert run.state().state == "finished"
    return found, f"{by} after {delay:.2f} of {whole.seconds:.2f} s, at {state.phase} step {state.step}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("SIGKILL", 0.5),
        pytest.param("SIGTERM", 0.2, marks=pytest.mark.long),
        pytest.param("SIGINT", 0.35, marks=pytest.mark.long),
        (MEMORY, 0.6),
    ],
)
def test_ended_at_a_random_point_it_resumes_to_the_same_bits(
    whole_of: Callable[[str], Whole], tmp_path: Path, kind: str, part: float
) -> None:
    task = ["image-classification", "text-classification"][KINDS.index(kind) % 2]
    whole = whole_of(task)
    found, where = _end_and_resume(whole, tmp_path, part * whole.seconds, kind)
    print(f"{task}: {where}")
    assert found == whole.outcome


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_forty_ends_and_forty_identical_resumes(whole_of: Callable[[str], Whole], tmp_path: Path) -> None:
    rng = random.Random(11)  # noqa: S311
    wholes = [whole_of(task) for task in small_run.TASKS]
    same = 0
    for number in range(40):
        whole, kind = wholes[number % 2], KINDS[number // 2 % 4]
        found, where = _end_and_resume(whole, tmp_path / str(number), rng.uniform(0.0, whole.seconds), kind)
        same += found == whole.outcome
        print(f"{number + 1}: {whole.task}: {where}: {same} identical", flush=True)
    print(f"{same} of 40 resumed to the same bits")
    assert same == 40


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_changes_by_hand_survive_a_kill(whole: Whole, tmp_path: Path, seed: int) -> None:
    """A run that was changed while it went on, killed and resumed is the one that its record gives when replayed."""
    from tunebook.runs import Run

    rng = random.Random(100 + seed)  # noqa: S311
    kind = {"image-classification": "head", "text-classification": "classifier"}[whole.task]
    commands = [("lr", 1e-4), ("dropout", {kind: 0.4}), ("next_stage", None), ("freeze", "backbone"), ("lr", 5e-4)]
    run = Run(tmp_path / "live")
    process = whole.begin(tmp_path, run.name)
    small_run.appearance(run.path)
    steps = sorted(rng.sample(range(1, 12), len(commands) + 1))
    for step, command in zip(steps, [*commands, None], strict=True):
        small_run.wait_for_step(run.path, step)
        if command is not None:
            run.control.send(*command)
    process.kill()
    process.join()
    where = run.state()
    print(f"killed at {where.phase} step {where.step} with {len(run.control.outcomes())} of {len(commands)} done")
    live = whole.resume(run.path) if where.state != "finished" else small_run.outcome(run.path)
    outcomes = run.control.outcomes()
    assert len({outcome.id for outcome in outcomes}) == len(outcomes)
    small_run.finish(whole.begin(tmp_path, "replayed", replay=str(run.path)))
    assert small_run.outcome(tmp_path / "replayed") == live
    assert (live != whole.outcome) == any(not outcome.refused for outcome in outcomes)
