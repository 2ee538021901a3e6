"""Limits of control groups of both versions, of a group and of those above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tunebook import cgroup

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write files below a made-up mount, and say in which groups this process is."""
    monkeypatch.setattr(cgroup, "_MOUNT", tmp_path / "mount")
    monkeypatch.setattr(cgroup, "_OWN", tmp_path / "own")

    def make(own: str, **files: str) -> None:
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "mount" / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return make


def test_without_groups_there_is_no_limit(write: Write) -> None:
    write("")
    assert cgroup.cores() is cgroup.memory_limit() is cgroup.memory_free() is cgroup.memory_room() is None


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", None), ("150000 100000", 1.5), ("nonsense", None), ("", None), ("100000 0", None), ("1 2 3", None)],
)
def test_the_quota_of_version_2(write: Write, text: str, cores: float | None) -> None:
    write("0::/\n", cpu_DOT_max=text)
    assert cgroup.cores() == cores


def test_the_quota_of_version_1(write: Write) -> None:
    write("3:cpu,cpuacct:/a\n", cpu__a__cpu_DOT_cfs_quota_us="200000", cpu__a__cpu_DOT_cfs_period_us="100000")
    assert cgroup.cores() == 2.0
    write("3:cpu,cpuacct:/a\n", cpu__a__cpu_DOT_cfs_quota_us="-1")
    assert cgroup.cores() is None


def test_the_tightest_group_above_counts(write: Write) -> None:
    write(
        "0::/a/b\n",
        a__b__memory_DOT_max="max", a__memory_DOT_max="3000", memory_DOT_max="9000",
        a__memory_DOT_current="2500", memory_DOT_current="8900",
    )  # fmt: skip
    assert cgroup.memory_limit() == 3000
    assert cgroup.memory_free() == 100


def test_old_pages_of_files_are_free(write: Write) -> None:
    stat = "anon 5\ninactive_file 400\nactive_file 300\n"
    write("0::/\n", memory_DOT_max="1000", memory_DOT_current="900", memory_DOT_stat=stat)
    assert cgroup.memory_free() == 500
    assert cgroup.memory_room() == 800, "before it kills, the kernel takes young ones, too"


def test_memory_of_version_1(write: Write) -> None:
    write(
        "4:memory:/x\n0::/\n",
        memory__x__memory_DOT_limit_in_bytes="2000", memory__x__memory_DOT_usage_in_bytes="1900",
        memory__x__memory_DOT_stat="inactive_file 0\ntotal_inactive_file 300\ntotal_active_file 50\n",
        memory__memory_DOT_limit_in_bytes="9223372036854771712",
    )  # fmt: skip
    assert cgroup.memory_limit() == 2000
    assert cgroup.memory_free() == 400
    assert cgroup.memory_room() == 450


def test_a_path_of_the_host_means_the_mount_itself(write: Write) -> None:
    write("0::/docker/123/../..\n", memory_DOT_max="700")
    assert cgroup.memory_limit() == 700
