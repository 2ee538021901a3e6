"""Two who want the same directory: one owns it, the other is told so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_run
from beginnings import Together

if TYPE_CHECKING:
    from small_run import Whole


def _stopped(whole: Whole, run: Path) -> None:
    """Leave a run as one that was killed after a few steps."""
    process = whole.begin(run.parent, run.name)
    small_run.wait_for_step(run, 3)
    process.kill()
    process.join()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
def test_of_two_resumptions_one_owns_the_run_and_the_other_is_told(whole: Whole, tmp_path: Path, rounds: int) -> None:
    told = []
    for number in range(rounds):
        run = tmp_path / str(number) / "run"
        _stopped(whole, run)
        start, file = Together(whole.context.Barrier(2)), tmp_path / f"{number}.txt"
        both = [whole.begin(run.parent, run.name, start, file, resume=str(run)) for _ in range(2)]
        for process in both:
            process.join(240)
        said = file.read_text()
        # 3 is how a small run ends with one line of Tunebook's.
        assert sorted(process.exitcode or 0 for process in both) == [0, 3], said
        assert said.count("\n") == 1
        assert f"run {run.name} is" in said
        told.append("owned by process" in said or "finished" in said)
        assert small_run.outcome(run) == whole.outcome
    print(f"{whole.task}: {sum(told)} of {rounds} times one owned the run and the other was told so")
    assert all(told)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_running_run_is_not_resumed_beside_its_owner(whole: Whole, tmp_path: Path) -> None:
    run = tmp_path / "run"
    owner = whole.begin(tmp_path, run.name)
    small_run.wait_for_step(run, 2)
    other = whole.begin(tmp_path, run.name, said=tmp_path / "said.txt", resume=str(run))
    other.join(240)
    if other.exitcode == 0:
        pytest.fail("both trained in one directory")
    small_run.finish(owner)
    said = (tmp_path / "said.txt").read_text()
    assert f"owned by process {owner.pid}" in said or "is finished" in said
    assert small_run.outcome(run) == whole.outcome
