"""Control groups: a limit on memory and CPU for a few processes, where this machine lets one be made."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOUNTS = Path("/proc/self/mounts")
_OWN = Path("/proc/self/cgroup")
#: Microseconds of CPU time that one core has in a period.
_PERIOD = 100_000


@dataclass(frozen=True)
class ControlGroup:
    """
    A group of processes with a limit on their memory, all together.

    Attributes
    ----------
    folders
        Where its files are: one folder in version 2, one for each controller in version 1.
    version
        1 or 2.
    """

    folders: tuple[Path, ...]
    version: int

    @property
    def joining(self) -> str:
        """Shell commands with which a process joins the group, with all that it starts."""
        return "; ".join(f"echo $$ > '{folder}/cgroup.procs'" for folder in self.folders)

    def processes(self) -> list[int]:
        """Return the processes that are in the group now."""
        return [int(word) for word in _read(self.folders[0] / "cgroup.procs").split()]

    def anonymous(self) -> int:
        """Return the bytes that its processes hold now and that no file backs; those alone can run out."""
        values = dict(line.split() for line in _read(self.folders[0] / "memory.stat").splitlines())
        keys = ("anon", "shmem") if self.version == 2 else ("total_rss", "total_shmem")  # noqa: PLR2004
        return sum(int(values.get(key, 0)) for key in keys)

    def peak(self) -> int:
        """Return the most bytes charged to the group so far, cached pages of files among them."""
        names = {1: "memory.max_usage_in_bytes", 2: "memory.peak"}
        return int(_read(self.folders[0] / names[self.version]) or 0)

    def kills(self) -> int:
        """Return how many of its processes were killed because the memory ran out."""
        names = {1: "memory.oom_control", 2: "memory.events"}
        lines = _read(self.folders[0] / names[self.version]).splitlines()
        return int(dict(line.split() for line in lines).get("oom_kill", 0))


@contextmanager
def limited(memory: int, cores: float = 1.0) -> Iterator[ControlGroup | None]:
    """
    Make a group while the block lasts, below the group that this process is in.

    Nothing that is there is changed: where the own group may not have children with limits, there is none.

    Parameters
    ----------
    memory
        Bytes that its processes may hold together; without swap.
    cores
        CPU seconds a second.

    Yields
    ------
    ControlGroup or None
        None where this system has no such groups or this user may not make one.
    """
    group = None
    made: list[Path] = []
    try:
        with suppress(OSError, ValueError, KeyError, StopIteration):
            group = _make(f"tunebook-benchmark-{os.getpid()}", made, memory, cores)
        yield group
    finally:
        for folder in made:
            _remove(folder)


def _make(name: str, made: list[Path], memory: int, cores: float) -> ControlGroup:
    quota = round(cores * _PERIOD)
    old = _controllers()
    if {"memory", "cpu"} <= old.keys():
        folders = [old[controller] / name for controller in ("memory", "cpu")]
        for folder in dict.fromkeys(folders):
            folder.mkdir()
            made.append(folder)
        _write(folders[0] / "memory.limit_in_bytes", memory)
        with suppress(OSError):  # kernels without swap accounting do not have it
            _write(folders[0] / "memory.memsw.limit_in_bytes", memory)
        _write(folders[1] / "cpu.cfs_period_us", _PERIOD)
        _write(folders[1] / "cpu.cfs_quota_us", quota)
        return ControlGroup(tuple(dict.fromkeys(folders)), 1)
    parent = _parent()
    folder = parent / name
    folder.mkdir()
    made.append(folder)
    _write(folder / "memory.max", memory)
    with suppress(OSError):
        _write(folder / "memory.swap.max", 0)
    _write(folder / "cpu.max", f"{quota} {_PERIOD}")
    return ControlGroup((folder,), 2)


def _controllers() -> dict[str, Path]:
    """Return the own folder of each controller of version 1."""
    mounts: dict[str, Path] = {}
    for line in _MOUNTS.read_text(encoding="utf-8").splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup":
            mounts |= dict.fromkeys(options.split(","), Path(place))
    found: dict[str, Path] = {}
    for line in _OWN.read_text(encoding="utf-8").splitlines():
        _, names, path = line.split(":", 2)
        found |= {name: mounts[name] / path.lstrip("/") for name in names.split(",") if name in mounts}
    return found


def _parent() -> Path:
    """Return the nearest group above this process whose children may have limits, in version 2."""
    lines = _MOUNTS.read_text(encoding="utf-8").splitlines()
    root = next(Path(line.split()[1]) for line in lines if line.split()[2] == "cgroup2")
    own = next(line[3:] for line in _OWN.read_text(encoding="utf-8").splitlines() if line.startswith("0::"))
    here = root / own.lstrip("/")
    groups = [here, *here.parents]
    return next(
        group
        for group in groups
        if group.is_relative_to(root) and {"memory", "cpu"} <= set(_read(group / "cgroup.subtree_control").split())
    )


def _remove(folder: Path) -> None:
    for _ in range(50):  # a process that ended may be in the group for a moment longer
        with suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.1)


def _write(file: Path, value: object) -> None:
    file.write_text(f"{value}\n", encoding="utf-8")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
