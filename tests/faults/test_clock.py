"""A clock that jumps a day, forwards and backwards: who lives is not called dead, and who is dead not alive."""

from __future__ import annotations

import json
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_run
from beginnings import ClockJump

if TYPE_CHECKING:
    from small_run import Whole

DAY = 86_400.0
JUMPS = [DAY, -DAY]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("jump", [pytest.param(DAY, marks=pytest.mark.long), -DAY], ids=["forwards", "backwards"])
def test_a_run_lives_through_a_jump_and_resumes_after_it_to_the_same_bits(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    from tunebook.run_curves import RunCurves
    from tunebook.runs import Run

    run = Run(tmp_path / "run")
    jumps = ClockJump(jump, tmp_path / "go")
    process = whole.begin(tmp_path, run.name, jumps)
    small_run.wait_for_step(run.path, 3)
    run.control.send("pause")
    small_run.wait_until(lambda: run.state().paused, "it does not pause")
    (tmp_path / "go").touch()
    with monkeypatch.context() as patch:
        real = time.time
        patch.setattr(time, "time", lambda: real() + jump)
        small_run.wait_until(lambda: abs(run.state().heartbeat - time.time()) < 60, "no heartbeat since the jump")
        assert run.state().state == "running"
        # Asked by the new clock, though the run began by the old one.
        run.control.send("stop")
        process.join(240)
        assert run.state().state == "stopped"
        assert [outcome.refused for outcome in run.control.outcomes()] == ["", ""]

        process = whole.begin(tmp_path, run.name, jumps, resume=str(run.path))
        small_run.wait_for_step(run.path, 10)
        process.kill()
        process.join()
        if run.state().state != "finished":
            assert run.state().state == "died"
    # The clock is right again, so what comes now seems to come a day before or after what it goes on from.
    if run.state().state != "finished":
        assert run.state().state == "died"
        assert whole.resume(run.path) == whole.outcome
    curves, expected = RunCurves(run.path), RunCurves(whole.run)
    curves.poll()
    expected.poll()
    for tag in ("train/loss", "loss/validation", "accuracy/validation"):
        assert curves.points(tag)[:, :2].tolist() == expected.points(tag)[:, :2].tolist(), tag
    print(f"{whole.task}: the clock jumped {jump / 3600:+.0f} hours and back: running, stopped, died, the same bits")


@pytest.mark.parametrize("jump", JUMPS, ids=["forwards", "backwards"])
def test_a_log_that_goes_on_after_a_jump_replaces_what_it_did_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    from tunebook import events
    from tunebook.run_curves import RunCurves

    now = [time.time()]
    monkeypatch.setattr(events.time, "time", lambda: now[0])
    for purge, values in ((None, [5.0, 4.0, 3.0]), (2, [3.5, 2.5]), (3, [2.0])):
        log = events.EventLog(tmp_path, purge)
        for step, value in enumerate(values, start=purge or 1):
            log.scalars({"loss": value}, step)
        log.close()
        now[0] += jump
    curves = RunCurves(tmp_path)
    curves.poll()
    assert curves.points("loss")[:, :2].tolist() == [[1, 5.0], [2, 3.5], [3, 2.0]]


@pytest.mark.parametrize("jump", JUMPS, ids=["forwards", "backwards"])
def test_a_run_of_another_machine_is_judged_by_whether_its_heart_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    from tunebook import runs

    now, steady = [time.time()], [1000.0]
    monkeypatch.setattr(runs.time, "time", lambda: now[0])
    monkeypatch.setattr(runs.time, "monotonic", lambda: steady[0])

    def passes(seconds: float) -> None:
        now[0] += seconds
        steady[0] += seconds

    live, dead = (runs.Run.create(tmp_path, name, "image-classification") for name in ("live", "dead"))
    for run in (live, dead):
        run.update(state="running", host="elsewhere")
    passes(60)
    live.update()

    def states() -> list[str]:
        return [runs.Run(run.path).state().state for run in (live, dead)]

    assert states() == ["running", "running"]
    now[0] += jump  # this machine's clock; the other one's is right
    assert states() == ["running", "running"]
    passes(70)
    state = json.loads((live.path / "state.json").read_text())
    (live.path / "state.json").write_text(json.dumps(state | {"heartbeat": state["heartbeat"] + 70}))
    assert states() == ["running", "died"]
    now[0] -= jump
    assert states() == ["running", "died"]
    passes(130)
    assert states() == ["died", "died"]


@pytest.mark.parametrize("jump", JUMPS, ids=["forwards", "backwards"])
def test_a_background_run_that_ends_after_a_jump_has_the_state_that_it_left(tmp_path: Path, jump: float) -> None:
    from tunebook.runs import Run
    from tunebook_lab.jobs import Job, Process, settled

    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "pid").write_text("999999")
    run = Run.create(tmp_path, "run", "image-classification")
    run.update(state="stopped", finished=time.time())
    before = run.state().heartbeat
    command = ["run", "--resume", str(run.path)]
    job = Job("job", "resume", "run", command, str(tmp_path), state="running", run=str(run.path), heard=before)
    process = Process(tmp_path / "job")
    # It was started by a clock that jumped since.
    job = replace(job, host=socket.gethostname(), started=time.time() - jump, attempts=1)
    assert settled(job, process).state == "died"  # what the directory says is of the process before
    run.update(state="finished", finished=time.time())
    assert settled(job, process).state == "finished"
