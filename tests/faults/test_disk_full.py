"""A disk that refuses: one line that names the path, nothing half-made, and the run goes on afterwards."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_run


@pytest.mark.timeout(300)
def test_files_that_may_not_grow_end_the_run_in_one_line_and_it_resumes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from tunebook.checkpoints import Checkpoints, verify
    from tunebook.runs import Run

    pictures = small_run.make_pictures(tmp_path / "data")
    context = multiprocessing.get_context("spawn")
    sizes = []
    # Below the event log, below a checkpoint, and between the model and what the report needs.
    for limit in (600, 9_000, 200_000):
        name = f"limit-{limit}"
        process = context.Process(
            target=small_run.train, args=(pictures, tmp_path / "runs", limit), kwargs={"run": name}
        )
        process.start()
        process.join(90)
        assert process.exitcode is not None, "it hangs"
        run = tmp_path / "runs" / name
        out = capfd.readouterr().out
        if process.exitcode:
            assert process.exitcode == 3
            assert out.startswith("StorageError: cannot write ")
            assert out.count("\n") == 1
            assert str(run) in out
            sizes.append(limit)
            for step in Checkpoints(run / "checkpoints").steps():
                verify(step)
            assert not list(run.rglob("*.part"))
            again = context.Process(
                target=small_run.train, args=(pictures, tmp_path / "runs"), kwargs={"run": name, "resume": str(run)}
            )
            again.start()
            again.join(120)
            assert again.exitcode == 0
        assert Run(run).state().state == "finished"
    assert len(sizes) >= 2
