"""Links inside the root, and in run directories, lead nowhere: nothing outside is read, listed, written or removed."""

from __future__ import annotations

import json
import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.extension.conftest import write_run
from tunebook.opening import names_in
from tunebook.runs import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.extension.conftest import Ask

MARK = "c0ffee-secret"
FILES = (
    "state.json", "recipe.json", "metrics.json", "control.jsonl", "job.json", "sweep.json", "trials.csv", "best.json",
    "parameters.py", "README.md", "notebook.ipynb", "source.ipynb", "report", "figures", "checkpoints", "model",
)  # fmt: skip


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Make a run outside of the root in which every file holds a mark."""
    path = write_run(tmp_path / "outside", parameters={"data": MARK})
    for name in FILES:
        place = path / name
        if "." not in name:
            place.mkdir()
            (place / f"{MARK}.png").write_bytes(b"png")
            (place / f"{MARK}.txt").write_text(MARK, encoding="utf-8")
            (place / "bias.html").write_text(MARK, encoding="utf-8")
            (place / "bias.json").write_text(json.dumps({MARK: 1}), encoding="utf-8")
        elif not place.exists():
            place.write_text(MARK, encoding="utf-8")
    (path / "sweep.json").write_text(json.dumps({"objectives": [MARK], "spaces": {MARK: ""}}), encoding="utf-8")
    (path / "trials.csv").write_text(f"number,state,{MARK}\n0,complete,1\n", encoding="utf-8")
    request = {"id": "a", "command": "pause", "by": MARK, "time": 1.0, "value": None}
    (path / "control.jsonl").write_text(json.dumps(request) + "\n", encoding="utf-8")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def _ask_all(ask: Ask, path: str) -> Iterator[Any]:
    plain = ("run", "run/commands", "run/trials", "run/report", "run/handout", "scalars", "notebooks/form", "data")
    found = [(route, await ask(route, path=path)) for route in plain]
    found.append(("json", await ask("run/report", path=path, format="json")))
    found.append(("runs", await ask("runs")))
    found.append(("compare", await ask("compare", path=[path, path])))
    found.append(("histograms", await ask("histograms", path=path, tag="train/loss")))
    return iter(found)


async def test_no_file_of_a_run_that_is_a_link_is_read(ask: Ask, root: Path, outside: Path) -> None:
    before = contents(outside)
    for name in FILES:
        path = write_run(root / "runs" / name.replace(".", "-"))
        if (path / name).exists():
            (path / name).unlink()
        (path / name).symlink_to(outside / name)
        for route, answer in await _ask_all(ask, f"runs/{path.name}"):
            assert answer.status < 500, (name, route, answer.raw[:200])
            assert MARK.encode() not in answer.raw, (name, route)
    assert contents(outside) == before


async def test_no_log_that_is_a_link_is_read(ask: Ask, root: Path, outside: Path) -> None:
    path = write_run(root / "runs" / "one", log=False)
    (log,) = [name for name in names_in(outside) if name.startswith("events")]
    (path / log).symlink_to(outside / log)
    answer = await ask("scalars", path="runs/one")
    assert answer.status == 200
    assert b"train/loss" not in answer.raw


async def test_no_command_is_written_through_a_link(ask: Ask, root: Path, tmp_path: Path) -> None:
    path = write_run(root / "runs" / "live", state="running")
    (path / "control.jsonl").symlink_to(tmp_path / "made.txt")
    with Run(path).owned():
        answer = await ask("run/commands", "POST", {"command": "pause"}, path="runs/live")
    assert answer.status in {400, 404, 409}
    assert not (tmp_path / "made.txt").exists()


async def test_no_link_to_a_hidden_folder_is_shown(ask: Ask, root: Path) -> None:
    write_run(root / ".hidden" / "one")
    (root / "seen").symlink_to(root / ".hidden")
    assert (await ask("run", path="seen/one")).status == 404
    assert (await ask("runs", folder="seen")).status == 404


async def test_a_run_that_is_a_link_is_not_listed_renamed_or_deleted(ask: Ask, root: Path, outside: Path) -> None:
    (root / "runs").mkdir()
    (root / "runs" / "one").symlink_to(outside)
    before = contents(outside)
    assert (await ask("runs")).json["runs"] == []
    assert (await ask("run", "PATCH", {"name": "two"}, path="runs/one")).status == 404
    assert (await ask("run", "DELETE", path="runs/one")).status == 404
    assert contents(outside) == before


@pytest.fixture
def swapping(root: Path, outside: Path) -> Iterator[threading.Event]:
    """Swap the folder of runs for a link to one outside and back, as fast as it goes."""
    away = outside.parent / "away"
    away.mkdir()
    shutil.copytree(outside, away / "one")
    (root / "evil").symlink_to(away)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (root / "runs").rename(root / "kept")
            (root / "evil").rename(root / "runs")
            (root / "runs").rename(root / "evil")
            (root / "kept").rename(root / "runs")

    write_run(root / "runs" / "one")
    thread = threading.Thread(target=swap)
    thread.start()
    yield done
    done.set()
    thread.join()


async def test_no_race_reads_or_writes_outside(
    ask: Ask, outside: Path, swapping: threading.Event, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    del swapping
    away = outside.parent / "away"
    before = contents(away)
    for _ in range(3):
        for route, answer in await _ask_all(ask, "runs/one"):
            assert answer.status < 500, (route, answer.raw[:200])
            assert MARK.encode() not in answer.raw, route
    for k in range(8):
        answer = await ask("notebooks", "POST", {"template": "image-classification", "folder": "runs", "name": f"n{k}"})
        assert answer.status in {201, 404, 409}
    for k in range(8):
        await ask("run", "PATCH", {"name": f"two{k}"}, path="runs/one")
        await ask("run", "PATCH", {"name": "one"}, path=f"runs/two{k}")
    for _ in range(2):
        await ask("run", "DELETE", path="runs/one")
    assert contents(away) == before


async def test_pipes_in_a_run_keep_nobody_waiting(ask: Ask, root: Path) -> None:
    logs = ("events.out.tfevents.1.host.1", ".lock")
    for number, names in enumerate(([*FILES[1:], *logs], FILES[:1], FILES[2:])):
        path = write_run(root / "runs" / str(number), state="running")
        for name in names:
            place = path / name
            if place.exists():
                place.unlink()
            os.mkfifo(place)
        for route, answer in await _ask_all(ask, f"runs/{number}"):
            assert answer.status < 500, (number, route, answer.raw[:200])


async def test_a_look_at_data_goes_behind_no_link_that_leads_out(ask: Ask, root: Path, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for folder in (tmp_path / "pictures" / f"{MARK}{name}", root / "data" / name, root / "more"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{MARK if folder.is_relative_to(tmp_path / 'pictures') else ''}1.png").write_bytes(b"png")
    (root / "data" / "out").symlink_to(tmp_path / "pictures")
    (root / "data" / "fish").symlink_to(root / "more")
    answer = await ask("data", path="data")
    assert answer.json["summary"].startswith("3 classes, 3 pictures")
    assert MARK.encode() not in answer.raw
    (root / "table.csv").symlink_to(tmp_path / "pictures" / f"{MARK}cat" / f"{MARK}1.png")
    assert (await ask("data", path="table.csv")).status == 404
