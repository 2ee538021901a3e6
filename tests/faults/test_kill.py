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
