"""Odd places: folders that cannot be written, names in other scripts, hardly any shared memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_run
from small_disk import read_only

from tunebook.errors import StorageError

if TYPE_CHECKING:
    from small_run import Whole

#: Spaces, scripts from left and from right, a sign beyond 16 bits, braces and quotes that templates may read.
ODD = "Ünïcode データ بيانات 🦜 {x} 'q' %s"


def test_read_only_folders_are_told_before_training_and_hurt_nothing(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tunebook

    for name in ("runs", "cache"):
        (tmp_path / name).mkdir()
    recipe = small_run.recipe(whole.data, tmp_path / "runs", whole.task, **small_run.SHORT)
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    with read_only(tmp_path / "runs"), pytest.raises(StorageError) as caught:
        tunebook.tune(recipe, examples, model)
    line = str(caught.value)
    assert line.startswith(f"cannot write {tmp_path / 'runs'}/")
    assert "Read-only file system; choose a folder that you may write to" in line
    assert not list((tmp_path / "runs").iterdir())

    # A cache that cannot be written costs time and nothing else.
    monkeypatch.setenv("TUNEBOOK_CACHE", str(tmp_path / "cache"))
    data = whole.data if whole.data.is_dir() else whole.data.parent
    with read_only(tmp_path / "cache"), read_only(data):
        run = tunebook.tune(recipe, examples, model).result()
    assert run.state().state == "finished"
    words = json.loads((run.path / "cache.json").read_text())["words"]
    assert any(str(tmp_path / "cache") in line and "Read-only" in line for line in words), words
    assert not list((tmp_path / "cache").iterdir())
    print(f"{whole.task}: read-only runs folder told in one line; read-only cache and data: finished uncached")


def test_names_in_other_scripts_make_no_difference(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tunebook
    from tunebook.run_curves import RunCurves

    place = tmp_path / ODD
    monkeypatch.setenv("TUNEBOOK_CACHE", str(place / "cache"))
    monkeypatch.chdir(tmp_path)
    data = small_run.TASKS[whole.task](place / "made").relative_to(tmp_path)
    changes = {"run": f"run {ODD}", **small_run.SHORT}
    recipe = small_run.recipe(data, Path(ODD) / "runs", whole.task, **changes)
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    baseline = tunebook.measure_baseline(recipe, examples, model)
    run = tunebook.tune(recipe, examples, model, baseline).result()
    assert run.path == Path(ODD) / "runs" / f"run {ODD}"
    assert _names(run.path) == _names(whole.run)
    curves = RunCurves(run.path)
    curves.poll()
    assert len(curves.points("loss/validation")) == 1
    assert list((place / "cache").rglob("data.bin"))
    print(f"{whole.task}: finished in {ODD!r}")


def _names(run: Path) -> set[str]:
    """Return the files of a run, without the log's, which is unique."""
    return {str(path.relative_to(run)) for path in run.rglob("*") if not path.name.startswith("events.")}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_hardly_any_shared_memory_is_enough(whole: Whole, tmp_path: Path) -> None:
    """A container has 64 MB of /dev/shm, some have 1: nothing of a run may need more."""
    runs = tmp_path / "runs"
    code = textwrap.dedent(f"""
        import os, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import small_run
        from pathlib import Path
        assert os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize == 1 << 20
        data, runs = Path({str(whole.data)!r}), Path({str(runs)!r})
        small_run.train(data, runs, 0, {whole.task!r}, run="small", epochs=small_run.EPOCHS)
    """)
    # In a view of the file systems of its own: nobody else's shared memory is touched.
    command = 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command, "sh", sys.executable, "-c", code],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"only who may mount file systems can make shared memory small: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert small_run.outcome(runs / "small") == whole.outcome
    print(f"{whole.task}: the same bits with 1 MB of /dev/shm")
