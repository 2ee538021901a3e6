"""A disk that refuses: one line that names the path, nothing half-made, and the run goes on afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_run
from small_disk import grow, small_disk

from tunebook.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from small_run import Whole

#: Longest time in seconds from a refusal to the end, on a machine that has nothing else to do.
HANG = 30.0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_files_that_may_not_grow_end_the_run_in_one_line_and_it_resumes(
    whole_of: Callable[[str], Whole], tmp_path: Path
) -> None:
    whole = whole_of("image-classification")
    # Below the event log, and between the model and what the report needs.
    for limit in (600, 200_000):
        run, said = tmp_path / "runs" / f"limit-{limit}", tmp_path / f"{limit}.txt"
        process = whole.begin(run.parent, run.name, said=said, limit=limit, **small_run.SHORT)
        process.join(240)
        assert process.exitcode is not None, "it hangs"
        _check_refusal(process.exitcode, said.read_text(), run)
        small_run.finish(whole.begin(run.parent, run.name, resume=str(run), **small_run.SHORT))


def _check_refusal(code: int, said: str, run: Path) -> str:
    """Check how a run ended on a full disk, and what it left; return what could not be written."""
    from tunebook.checkpoints import Checkpoints, verify

    assert code == 3
    assert said.startswith("StorageError: cannot write ")
    assert said.count("\n") == 1
    assert str(run) in said
    checkpoints = Checkpoints(run / "checkpoints")
    for step in [*checkpoints.steps(), *([run / "checkpoints" / "best"] if checkpoints.has_best() else [])]:
        verify(step)
    assert not list(run.rglob("*.part"))
    name = said.removeprefix("StorageError: cannot write ").partition(":")[0]
    return "log" if name == str(run) else name.removeprefix(f"{run}/").split("/")[0].split("-")[0]


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_disk_that_is_full_under_a_run_ends_it_in_one_line_and_it_resumes(
    whole_of: Callable[[str], Whole], tmp_path: Path
) -> None:
    whole = whole_of("image-classification")
    small_run.finish(whole.begin(tmp_path, "plain", **small_run.SHORT))
    expected = small_run.outcome(tmp_path / "plain")
    kept = sum(path.stat().st_size for path in (tmp_path / "plain").rglob("*") if path.is_file())
    refused: list[str] = []
    slowest = 0.0
    # The smallest have no room for the log, the largest none for two checkpoints beside each other.
    sizes = [8_192, 12_288, 16_384, 20_480, *(round(24_576 * (1.1 * kept / 24_576) ** (k / 9)) for k in range(10))]
    for number, size in enumerate(sizes):
        with small_disk(tmp_path / f"disk-{number}", size) as disk:
            run, said = disk / "run", tmp_path / f"{number}.txt"
            process = whole.begin(disk, run.name, said=said, **small_run.SHORT)
            process.join(240)
            assert process.exitcode is not None, f"it hangs on a disk of {size} bytes"
            slowest = max(slowest, _silence(run))
            if process.exitcode:
                refused.append(_check_refusal(process.exitcode, said.read_text(), run))
                print(f"{size:>10} bytes: {refused[-1]}")
                grow(disk, 1 << 30)
                small_run.finish(whole.begin(disk, run.name, resume=str(run), **small_run.SHORT))
            assert small_run.outcome(run) == expected
    print(
        f"{len(refused)} disks full under a run: one line each, {slowest:.0f} s at most to the end, resumed with room"
    )
    assert slowest < HANG
    assert len(refused) >= 12
    assert {"log", "checkpoints"} <= set(refused)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_disk_that_is_full_under_the_report_leaves_the_one_before(
    whole_of: Callable[[str], Whole], tmp_path: Path
) -> None:
    whole = whole_of("image-classification")
    with small_disk(tmp_path / "disk", 1 << 30) as disk:
        run = disk / "run"
        shutil.copytree(whole.run, run)
        before = {path.name: path.read_bytes() for path in (run / "report").iterdir() if path.is_file()}
        told = os.statvfs(disk)
        used = told.f_frsize * (told.f_blocks - told.f_bfree)
        spare = (0, 4_096, 8_192, 12_288)
        for room in spare:
            grow(disk, used + room)
            done = _report(run)
            assert done.returncode == 1, done.stderr
            assert done.stderr.count("\n") == 1
            assert done.stderr.startswith(f"error: cannot write {run}")
            assert {path.name: path.read_bytes() for path in (run / "report").iterdir() if path.is_file()} == before
            print(f"{room:>10} bytes left: {done.stderr.strip().partition(str(disk))[0]}...")
        grow(disk, 1 << 30)
        assert _report(run).returncode == 0
    print(f"{len(spare)} disks full under the report: one line each, and the report before is whole")


def _report(run: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tunebook.cli", "report", str(run), "--min-n", "2", "--seed", "1"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def _silence(run: Path) -> float:
    """Return the seconds since a run last wrote its state: how long a refusal took to end it."""
    return time.time() - (run / "state.json").stat().st_mtime if (run / "state.json").exists() else 0.0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_disk_that_is_full_under_the_cache_costs_time_and_no_more(
    whole_of: Callable[[str], Whole], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tunebook

    whole = whole_of("image-classification")
    # Else it would keep to a tenth of the disk.
    monkeypatch.setenv("TUNEBOOK_CACHE_GB", "1")
    sizes = (4_096, 8_192, 24_576, 57_344)
    for size in sizes:
        with small_disk(tmp_path / f"cache-{size}", size) as disk:
            monkeypatch.setenv("TUNEBOOK_CACHE", str(disk))
            recipe = small_run.recipe(whole.data, tmp_path, run=f"cached-{size}", **small_run.SHORT)
            examples = tunebook.load_examples(recipe)
            run = tunebook.tune(recipe, examples, tunebook.load_model(recipe, examples)).result()
            words = json.loads((run.path / "cache.json").read_text())["words"]
            lines = [line for line in words if str(disk) in line]
            assert lines, words
            assert all("set TUNEBOOK_CACHE to a folder with room" in line for line in lines)
            print(f"{size:>10} bytes: {lines[0].partition(str(disk))[0]}...")
            assert run.state().state == "finished"
            assert not list(disk.rglob("*.part"))
    print(f"{len(sizes)} disks full under the cache: one line each, and the run finished without it")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_disk_that_is_full_under_the_notebook_leaves_it_with_the_run(tmp_path: Path) -> None:
    from tunebook.batch import execute

    cell = nbformat.v4.new_code_cell("print('x' * 60_000)")
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": {"name": "python3", "display_name": "P"}})
    nbformat.write(notebook, tmp_path / "plain.ipynb")
    sizes = (4_096, 16_384, 32_768, 57_344)
    for size in sizes:
        with small_disk(tmp_path / f"notebook-{size}", size) as disk:
            output = disk / "done.ipynb"
            with pytest.raises(StorageError) as caught:
                execute(tmp_path / "plain.ipynb", output=output, runs_dir=str(tmp_path / f"runs-{size}"))
            line = str(caught.value)
            assert line.startswith(f"cannot write {output}: No space left on device; ")
            kept = next((tmp_path / f"runs-{size}").glob("*/notebook.ipynb"))
            assert line.endswith(f"the finished notebook is {kept}")
            assert "x" * 60_000 in kept.read_text()
            assert not list(disk.iterdir())
    print(f"{len(sizes)} disks full under the notebook: one line each, and the notebook is kept with the run")
