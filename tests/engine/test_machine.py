"""The container's limits count, where there are any."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tunebook import machine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("9900000 100000", 8),
        ("nonsense", 8),
        ("", 8),
        (None, 8),
    ],
)
def test_cores_follow_the_quota(cgroup: Path, text: str | None, count: int) -> None:
    if text is not None:
        (cgroup / "cpu.max").write_text(text)
    assert machine.cores() == count


def test_memory_follows_the_limit(cgroup: Path) -> None:
    whole = machine.memory_limit()
    (cgroup / "memory.max").write_text("max\n")
    assert machine.memory_limit() == whole > 0
    (cgroup / "memory.max").write_text("1000000\n")
    assert machine.memory_limit() == 1_000_000
    (cgroup / "memory.current").write_text("900000\n")
    assert machine.memory_available() == 100_000
    (cgroup / "memory.current").write_text("1100000\n")
    assert machine.memory_available() == 0


def test_threads_are_calm_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    machine.calm_threads()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_versions_name_what_decides_numbers() -> None:
    assert {"python", "platform", "torch", "timm", "numpy"} <= set(machine.versions())
