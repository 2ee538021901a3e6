"""The container's limits count, where there are any."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
from pathlib import Path
from types import SimpleNamespace

import pytest

from tunebook import cgroup, machine
from tunebook.errors import TunebookError


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("quota", "count"), [(None, 8), (2.0, 2), (1.5, 2), (0.5, 1), (0.1, 1), (99.0, 8)])
def test_cores_follow_the_quota(monkeypatch: pytest.MonkeyPatch, quota: float | None, count: int) -> None:
    monkeypatch.setattr(cgroup, "cores", lambda: quota)
    assert machine.cores() == count


def test_memory_follows_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "memory_limit", lambda: None)
    whole = machine.memory_limit()
    assert whole > 2**28
    monkeypatch.setattr(cgroup, "memory_limit", lambda: 1_000_000)
    assert machine.memory_limit() == 1_000_000
    monkeypatch.setattr(cgroup, "memory_limit", lambda: 2**60)
    assert machine.memory_limit() == whole
    monkeypatch.setattr(cgroup, "memory_free", lambda: 100_000)
    assert machine.memory_available() == 100_000


def test_threads_are_calm_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    machine.calm_threads()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ["OMP_NUM_THREADS"] == "7"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells what is resident so simply")
def test_freed_memory_that_is_kept_goes_back() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # Small blocks below one that stays: the C library gives nothing of them back by itself.
    blocks = [bytes(2_000) for _ in range(40_000)]
    last = bytes(2_000)
    before = resident()
    del blocks
    machine.trim_memory()
    after = resident()
    assert last
    if platform.libc_ver()[0] == "glibc":
        assert before - after > 40_000_000


def test_a_c_library_that_trims_nothing_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    machine.trim_memory()

    def refuse(_: None) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    machine.trim_memory()


def test_versions_name_what_decides_numbers() -> None:
    assert {"python", "platform", "torch", "timm", "numpy"} <= set(machine.versions())


def test_versions_that_changed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"python": "3.12.1", "torch": "2.15.0"}
    monkeypatch.setattr(machine, "versions", lambda: now)
    assert machine.changed_versions(now) == ""
    before = {"python": "3.12.1", "torch": "2.14.1", "timm": "1.0"}
    assert machine.changed_versions(before) == "torch 2.14.1 then, 2.15.0 now, timm 1.0 then, not installed now"


@pytest.mark.parametrize(
    ("limits", "said"), [((64, 64), "64 files open"), ((64, 4096), ""), ((1024, 1024), ""), ((-1, -1), "")]
)
def test_open_files_are_allowed_or_refused_in_one_line(
    limits: tuple[int, int], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: allowed.append(pair))
    if said:
        with pytest.raises(TunebookError, match=said):
            machine.allow_open_files(256)
    else:
        machine.allow_open_files(256)
    assert allowed == ([(256, 4096)] if limits == (64, 4096) else [])
