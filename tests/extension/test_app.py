"""The extension as Jupyter finds it, and its settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tunebook_lab
from tunebook_lab.app import TunebookLab
from tunebook_lab.errors import RequestError
from tunebook_lab.model_choices import model_choices
from tunebook_lab.services import Services

from .conftest import schema_validator, write_run

if TYPE_CHECKING:
    from .conftest import Ask


def test_jupyter_finds_both_halves() -> None:
    assert tunebook_lab._jupyter_labextension_paths() == [{"src": "labextension", "dest": "tunebook"}]
    assert tunebook_lab._jupyter_server_extension_points() == [{"module": "tunebook_lab", "app": TunebookLab}]


def test_import_of_the_package_is_light() -> None:
    heavy = ["torch", "pandas", "numpy", "jupyter_server", "pydantic"]
    code = f"import sys, tunebook_lab; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("lab_config", [{"runs_dir": "kept/runs", "max_running": 4}])
async def test_runs_dir_and_limit_are_settings(ask: Ask, root: Path) -> None:
    status = (await ask("status")).json
    assert (status["runs_dir"], status["max_running"]) == ("kept/runs", 4)
    assert (await ask("runs")).json["runs"] == []
    write_run(root / "kept" / "runs" / "one")
    write_run(root / "other" / "two")
    assert [row["path"] for row in (await ask("runs")).json["runs"]] == ["kept/runs/one"]
    assert [row["path"] for row in (await ask("runs", folder="other")).json["runs"]] == ["other/two"]
    await ask("queue", "PATCH", {"held": True})
    made = await ask("jobs", "POST", {"template": "image-classification", "folder": "other", "name": "new"})
    assert made.json["run"] == "kept/runs/new"


@pytest.mark.parametrize("runs_dir", ["/elsewhere", "../up", "a\0b"])
def test_runs_dir_stays_below_the_root(runs_dir: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        Services(tmp_path, runs_dir, tmp_path / "queue", 1)


def test_each_root_has_a_queue_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    app = TunebookLab()
    folders = {app._queue_folder(Path(name)) for name in ("/a", "/b", "/a")}
    assert len(folders) == 2
    assert all(folder.is_relative_to(tmp_path) for folder in folders)


@pytest.mark.parametrize("limit", [1 << 30, 2 << 30, 64 << 30])
def test_models_that_fit_come_first(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunebook.machine.memory_limit", lambda: limit)
    for task, values in (("image-classification", {"image_size": 128}), ("text-classification", {"max_length": 128})):
        rows: list[Any] = model_choices(task, {**values, "batch_size": 32})
        for row in rows:
            schema_validator("ModelChoice").validate(row)
        assert [row["fits"] for row in rows] == [row["memory"] <= limit for row in rows]
        assert [(not row["fits"], row["memory"]) for row in rows] == sorted((not r["fits"], r["memory"]) for r in rows)
        larger = model_choices(task, {**{name: 2 * value for name, value in values.items()}, "batch_size": 32})
        assert {r["name"]: r["memory"] for r in larger}[rows[0]["name"]] > rows[0]["memory"]
    assert model_choices("", {}) == []


def test_models_are_those_that_were_measured() -> None:
    from tunebook_lab.model_choices import _catalogue
    from tunebook_lab.model_sizes import _PICTURES, _TEXTS

    assert {row["name"] for row in _catalogue()} == {*_PICTURES, *_TEXTS}
