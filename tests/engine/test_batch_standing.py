"""What is to be done for a run that is wanted, and how two processes keep out of each other's way."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tunebook.batch_standing import LOCK, claim, claimed, is_claimed, standing
from tunebook.errors import StorageError
from tunebook.runs import Run

if TYPE_CHECKING:
    from pathlib import Path

TASK = "image-classification"


def notebook(*code: str, task: str = TASK) -> dict[str, Any]:
    cells = [{"cell_type": "code", "source": source} for source in code]
    return {"metadata": {"tunebook": {"task": task}} if task else {}, "cells": cells}


@pytest.fixture
def made(tmp_path: Path) -> Any:
    """Make a run as `tunebook run` leaves it."""

    def make(state: str, *, task: str = TASK, output: bool = False, steps: bool = False, **job: Any) -> Path:
        run = Run.create(tmp_path, "one", task)
        run.update(state=state, task=task)
        values = {"lr": 0.1, "run": "one", "runs_dir": "runs"}
        written = {"notebook": "n", "output": None, "folder": ".", "parameters": values, **job}
        (run.path / "job.json").write_text(json.dumps(written))
        (run.path / "source.ipynb").write_text(json.dumps(notebook("1", task=task)))
        if output:
            (run.path / "notebook.ipynb").touch()
        if steps:
            (run.path / "checkpoints" / "step-000000003").mkdir(parents=True)
        return run.path

    return make


@pytest.mark.parametrize(
    ("wanted", "state", "more"),
    [
        ("finished", "finished", {"output": True}),
        ("again", "finished", {}),  # killed between its training and its last cell
        ("resume", "queued", {}),
        ("resume", "running", {"steps": True}),  # nobody owns it: it died
        ("resume", "stopped", {"steps": True}),
        ("resume", "failed", {"steps": True}),  # its kernel was killed
        ("resume", "failed", {"steps": True, "failures": 1}),
        ("again", "failed", {"steps": True, "failures": 2}),
        ("again", "failed", {"failures": 1}),
        ("again", "stopped", {"task": ""}),  # no task, no checkpoints
        ("finished", "finished", {"task": "", "output": True}),
    ],
)
def test_what_is_to_be_done(made: Any, wanted: str, state: str, more: dict[str, Any]) -> None:
    path = made(state, **more)
    found = standing(path, notebook("1", task=more.get("task", TASK)), {"lr": 0.1})
    assert (found.next, found.is_changed) == (wanted, False)


def test_a_mended_notebook_runs_from_its_beginning(made: Any) -> None:
    path = made("failed", steps=True, failures=1)
    assert standing(path, notebook("2"), {"lr": 0.1}).next == "again"
    # One that was only interrupted goes on with what it began.
    Run(path).update(state="stopped")
    (path / "job.json").write_text((path / "job.json").read_text().replace('"failures": 1', '"failures": 0'))
    found = standing(path, notebook("2"), {"lr": 0.1})
    assert (found.next, found.is_changed) == ("resume", True)


def test_nothing_is_there_or_hardly_anything(tmp_path: Path) -> None:
    assert standing(tmp_path / "one", notebook(), {}).next == "new"
    Run.create(tmp_path, "one", "")
    assert standing(tmp_path / "one", notebook(), {}).next == "again"


@pytest.mark.parametrize(
    ("parameters", "task", "words"),
    [
        ({"lr": 0.2}, TASK, "is there with lr 0.1, not 0.2"),
        ({"lr": 0.1, "epochs": 3}, TASK, "is there with epochs its default, not 3"),
        ({}, TASK, "is there with lr 0.1, not its default"),
        ({"lr": 0.1}, "text-classification", "is one of image-classification"),
    ],
)
def test_another_run_is_never_touched(made: Any, parameters: dict[str, Any], task: str, words: str) -> None:
    path = made("finished", output=True)
    with pytest.raises(StorageError) as caught:
        standing(path, notebook("1", task=task), parameters)
    assert words in str(caught.value)


def test_the_same_relative_path_elsewhere_is_other_data(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for project in ("a", "b"):
        (tmp_path / project / "photos").mkdir(parents=True)
    values = {"data": "photos", "text": "x" * 5000}
    path = made("finished", output=True, folder=str(tmp_path / "a"), parameters=values)
    monkeypatch.chdir(tmp_path / "a")
    assert standing(path, notebook("1"), values).next == "finished"
    monkeypatch.chdir(tmp_path / "b")
    with pytest.raises(StorageError, match=f"with data 'photos' of {tmp_path / 'a'}, which is another one"):
        standing(path, notebook("1"), values)
    # The whole project was moved.
    (tmp_path / "a").rename(tmp_path / "c")
    assert standing(path, notebook("1"), values).next == "finished"


def test_what_is_no_run_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "thesis.txt").touch()
    with pytest.raises(StorageError, match="`tunebook run` did not make it"):
        standing(tmp_path / "one", notebook(), {})
    (tmp_path / "two").touch()
    with pytest.raises(StorageError, match="`tunebook run` did not make it"):
        standing(tmp_path / "two", notebook(), {})


# Claims


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = Run.create(tmp_path, "one", "").path
    assert not is_claimed(path)
    with claimed(path, 0.0):
        assert is_claimed(path)
        with pytest.raises(StorageError, match="run one is running already"), claimed(path, 0.0):
            pass
    assert not is_claimed(path)
    with claimed(tmp_path / "new", 0.0):
        assert not (tmp_path / "new").exists()


def test_it_waits_for_a_checkpoint_that_is_being_written(tmp_path: Path) -> None:
    path = Run.create(tmp_path, "one", "").path
    lock = claim(path)
    assert lock is not None
    timer = threading.Timer(0.3, os.close, [lock])
    timer.start()
    with claimed(path, 30.0):
        assert is_claimed(path)
    timer.join()


def test_a_directory_that_was_made_anew_meanwhile_is_another_one(tmp_path: Path) -> None:
    path = Run.create(tmp_path, "one", "").path
    old = claim(path)
    assert old is not None
    path.rename(tmp_path / "old")
    Run.create(tmp_path, "one", "")
    new = claim(path)
    assert new is not None
    assert (path / LOCK).is_file()
    os.close(old)
    os.close(new)
