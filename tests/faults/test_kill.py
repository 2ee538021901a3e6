"""A run killed at any point resumes, and ends with the same bits as one that was not."""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_run

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    found = multiprocessing.get_context("forkserver")
    # Importing torch takes most of a small run's time: the server does it once, its children share it.
    tasks = ["tunebook.tasks.image_classification.task", "tunebook.tasks.text_classification.task"]
    found.set_forkserver_preload(["small_run", "tunebook.workflow", *tasks])
    return found


@pytest.fixture(scope="module", params=small_run.TASKS)
def task(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def data(task: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run.TASKS[task](tmp_path_factory.mktemp("data") / "made")


@pytest.fixture(scope="module")
def whole(
    context: ForkServerContext, task: str, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict, float]:
    """Outcome of a run that nobody killed, and the seconds from its directory's appearance to its end."""
    runs = tmp_path_factory.mktemp("whole")
    process = context.Process(target=small_run.train, args=(data, runs, 0, task), kwargs={"run": "whole"})
    process.start()
    began = _appearance(runs / "whole")
    process.join(120)
    assert process.exitcode == 0
    return small_run.outcome(runs / "whole"), time.monotonic() - began


def _appearance(run: Path) -> float:
    until = time.monotonic() + 60
    while not (run / "state.json").exists():
        assert time.monotonic() < until, "the run did not start"
        time.sleep(0.005)
    return time.monotonic()


def _wait_for(run: Path, step: int) -> None:
    """Wait until a run's checkpoints, of which nearly every step has one, have come to a step."""
    until = time.monotonic() + 60
    while not any(int(path.name[5:]) >= step for path in (run / "checkpoints").glob("step-*")):
        assert time.monotonic() < until, "the run does not go on"
        time.sleep(0.001)


def _kill_and_resume(context: ForkServerContext, task: str, data: Path, runs: Path, delay: float) -> tuple[dict, str]:
    """Kill a run some seconds after it began, as often as it takes to hit it alive, and resume it."""
    for attempt in range(10):
        name = f"killed-{attempt}"
        process = context.Process(target=small_run.train, args=(data, runs, 0, task), kwargs={"run": name})
        process.start()
        _appearance(runs / name)
        time.sleep(delay)
        process.kill()
        process.join()
        if process.exitcode == -9:
            break
        delay *= 0.8
    from tunebook.runs import Run

    killed = Run(runs / name).state()
    resumed = context.Process(
        target=small_run.train, args=(data, runs, 0, task), kwargs={"resume": str(runs / name), "run": name}
    )
    if killed.state == "finished":  # killed between its last word and the end of its process
        return small_run.outcome(runs / name), "finished"
    assert killed.state in ("queued", "died"), killed
    resumed.start()
    resumed.join(120)
    assert resumed.exitcode == 0
    assert Run(runs / name).state().state == "finished"
    return small_run.outcome(runs / name), f"{killed.phase} step {killed.step}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_a_random_point_ends_with_the_same_bits(
    context: ForkServerContext, task: str, data: Path, whole: tuple[dict, float], tmp_path: Path, seed: int
) -> None:
    expected, seconds = whole
    delay = random.Random(seed).uniform((seed % 3) / 3, (seed % 3 + 1) / 3) * seconds  # noqa: S311
    found, where = _kill_and_resume(context, task, data, tmp_path, delay)
    print(f"killed after {delay:.2f} of {seconds:.2f} s, at {where}")
    assert found == expected


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(2))
def test_changes_by_hand_survive_a_kill(
    context: ForkServerContext, task: str, data: Path, whole: tuple[dict, float], tmp_path: Path, seed: int
) -> None:
    """A run that was changed while it went on, killed and resumed is the one that its record gives when replayed."""
    from tunebook.runs import Run

    rng = random.Random(100 + seed)  # noqa: S311
    kind = {"image-classification": "head", "text-classification": "classifier"}[task]
    commands = [("lr", 1e-4), ("dropout", {kind: 0.4}), ("next_stage", None), ("freeze", "backbone"), ("lr", 5e-4)]
    process = context.Process(target=small_run.train, args=(data, tmp_path, 0, task), kwargs={"run": "live"})
    process.start()
    _appearance(tmp_path / "live")
    run = Run(tmp_path / "live")
    steps = sorted(rng.sample(range(2, 18), len(commands) + 1))
    for step, command in zip(steps, [*commands, None], strict=True):
        _wait_for(run.path, step)
        if command is not None:
            run.control.send(*command)
    process.kill()
    process.join()
    where = run.state()
    print(f"killed at {where.phase} step {where.step} with {len(run.control.outcomes())} of {len(commands)} done")
    if where.state != "finished":
        changes = {"resume": str(run.path), "run": "live"}
        resumed = context.Process(target=small_run.train, args=(data, tmp_path, 0, task), kwargs=changes)
        resumed.start()
        resumed.join(120)
        assert resumed.exitcode == 0
    outcomes = run.control.outcomes()
    assert len({outcome.id for outcome in outcomes}) == len(outcomes)
    changes = {"replay": str(run.path), "run": "replayed"}
    replayed = context.Process(target=small_run.train, args=(data, tmp_path, 0, task), kwargs=changes)
    replayed.start()
    replayed.join(120)
    assert replayed.exitcode == 0
    found = small_run.outcome(tmp_path / "replayed")
    assert found == small_run.outcome(run.path)
    assert (found != whole[0]) == any(not outcome.refused for outcome in outcomes)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_twenty_kills_and_twenty_identical_resumes(
    context: ForkServerContext, task: str, data: Path, whole: tuple[dict, float], tmp_path: Path
) -> None:
    expected, seconds = whole
    rng = random.Random(11)  # noqa: S311
    same = 0
    for number in range(20):
        delay = rng.uniform(0.0, seconds)
        found, where = _kill_and_resume(context, task, data, tmp_path / str(number), delay)
        same += found == expected
        print(f"{number + 1}: killed after {delay:.2f} of {seconds:.2f} s, at {where}: {same} identical")
    assert same == 20
