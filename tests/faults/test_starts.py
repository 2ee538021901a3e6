"""Many runs that start in one directory in the same second: none writes over another."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_run
from beginnings import SameSecond

if TYPE_CHECKING:
    from collections.abc import Callable

    from small_run import Whole


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [4, pytest.param(20, marks=pytest.mark.long)])
def test_runs_that_start_in_the_same_second_have_directories_of_their_own(
    whole_of: Callable[[str], Whole], tmp_path: Path, count: int
) -> None:
    from tunebook.run_curves import RunCurves
    from tunebook.runs import Run

    whole = whole_of("image-classification")
    start = SameSecond(whole.context.Barrier(count))
    processes = [whole.begin(tmp_path, "", start, **small_run.SHORT) for _ in range(count)]
    for process in processes:
        small_run.finish(process, 900)
    runs = sorted(tmp_path.iterdir())
    assert len(runs) == count
    assert len({re.sub(r"-[0-9a-f]{6}$", "", run.name) for run in runs}) == 1
    outcomes = [small_run.outcome(run) for run in runs]
    # Same recipe, same data: all must have come to the same, each with a log of its own and whole.
    assert all(outcome == outcomes[0] for outcome in outcomes)
    for run in runs:
        assert Run(run).state().state == "finished"
        curves = RunCurves(run)
        curves.poll()
        assert curves.damaged == 0
        assert len(curves.points("loss/validation")) == 1
    print(f"{len(runs)} of {count} runs started in the same second are whole, each in a directory of its own")


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [20])
def test_of_many_that_want_one_name_one_gets_it(whole_of: Callable[[str], Whole], tmp_path: Path, count: int) -> None:
    whole = whole_of("image-classification")
    start, file = SameSecond(whole.context.Barrier(count)), tmp_path / "said.txt"
    processes = [whole.begin(tmp_path, "mine", start, file, **small_run.SHORT) for _ in range(count)]
    for process in processes:
        process.join(900)
    said = file.read_text().splitlines()
    assert sorted(process.exitcode or 0 for process in processes) == [0] + [3] * (count - 1)
    assert len(said) == count - 1
    # Who comes while the first one has only made the directory finds it owned.
    assert all("is there already" in line or "is owned by process" in line for line in said)
    print(f"1 of {count} runs of one name was made, {len(said)} were told so")
