"""A thousand runs, a long log, and an event loop that goes on."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from typing import TYPE_CHECKING, Any, Self

import psutil

from .conftest import Log, write_log, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Ask

RUNS = 1_000


def _many(root: Path, count: int = RUNS) -> None:
    model = write_run(root / "model", epochs=20, steps=20)
    for number in range(count):
        shutil.copytree(model, root / f"group-{number % 10}" / f"run-{number:04}")


class Heartbeat:
    """Measures how long the event loop is away."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _beat(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.perf_counter() - before - 0.001)


async def test_thousand_runs_come_soon_and_cost_little(ask: Ask, root: Path, capsys: Any) -> None:
    _many(root)
    before = psutil.Process().memory_info().rss
    begin = time.perf_counter()
    found = (await ask("runs", is_checked=False)).json
    first = time.perf_counter() - begin
    assert found["total"] == RUNS + 1
    rounds = 1
    rows = {row["path"]: row for row in found["runs"]}
    while found["pending"]:
        found = (await ask("runs", since=found["token"])).json
        rows |= {row["path"]: row for row in found["runs"]}
        rounds += 1
    assert len(rows) == RUNS + 1
    assert all(len(row["sparkline"]) == 20 for row in rows.values())
    begin = time.perf_counter()
    again = (await ask("runs", is_checked=False, since=found["token"])).json
    second = time.perf_counter() - begin
    grown = psutil.Process().memory_info().rss - before
    with capsys.disabled():
        took = f"{first:.2f} s, all figures after {rounds} answers, again {second * 1e3:.0f} ms"
        print(f"\n1,000 runs: {took}, {grown / 1e6:.0f} MB")
    assert again["runs"] == []
    assert first < 2.0
    assert grown < 200e6


async def test_no_route_keeps_the_event_loop_waiting(ask: Ask, root: Path, capsys: Any) -> None:
    await ask("status")  # what is imported once
    _many(root)
    path = write_run(root / "long", log=False)
    log = Log(path)
    for step in range(200_000):
        log.scalars({"train/loss": 1.0 / (step + 1)}, step)
    log.close()
    await ask("queue", "PATCH", {"held": True})
    asked = {
        "runs": {}, "templates": {}, "templates/form": {"name": "image-classification"}, "run": {"path": "long"},
        "scalars": {"path": "long"}, "compare": {"path": ["long", "model"]}, "data": {"path": "group-1"}, "jobs": {},
    }  # fmt: skip
    worst = {}
    for route, arguments in asked.items():
        holds = []
        for _ in range(3):
            async with Heartbeat() as heart:
                assert (await ask(route, is_checked=False, **arguments)).status == 200
            holds.append(heart.longest)
        # What else this machine does can only make it longer.
        worst[route] = min(holds)
    async with Heartbeat() as heart:
        assert (await ask("jobs", "POST", {"template": "image-classification"})).status == 201
    worst["POST jobs"] = heart.longest
    with capsys.disabled():
        print("\nlongest hold of the event loop, ms:", {route: round(t * 1e3, 1) for route, t in worst.items()})
    assert max(worst.values()) < 0.05, worst


async def test_folders_of_data_are_no_burden(ask: Ask, root: Path) -> None:
    pictures = root / "pictures"
    pictures.mkdir()
    for number in range(2_000):
        (pictures / f"{number}.png").touch()
    deep = root
    for number in range(12):
        deep /= f"level-{number}"
    deep.mkdir(parents=True)
    write_run(deep / "too-deep")
    write_run(root / "seen")
    found = (await ask("runs")).json
    assert [row["path"] for row in found["runs"]] == ["seen"]
    assert found["truncated"]


async def test_run_that_is_rewritten_in_the_same_moment_is_seen(ask: Ask, root: Path) -> None:
    path = write_run(root / "one", state="stopped", metrics=False)
    token = (await ask("runs")).json["token"]
    stamp = path.stat()
    write_log(path, epochs=6)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    from tunebook.runs import Run

    Run(path).update(message="now known")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    (row,) = (await ask("runs", since=token)).json["runs"]
    assert row["message"] == "now known"
