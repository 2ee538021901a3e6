"""What the control groups of Linux let this process have: version 1 or 2, its own group and all above it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOUNT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
#: Version 1 writes a number of this size for no limit.
_NO_LIMIT = 2**60


def cores() -> float | None:
    """Return the CPU seconds a second that the tightest group allows; ``None`` where there is no limit."""
    found: list[float] = []
    for folder in _folders("cpu"):
        quota, period = _words(folder / "cpu.max", 2) or (
            *(_words(folder / "cpu.cfs_quota_us", 1) or [""]),
            *(_words(folder / "cpu.cfs_period_us", 1) or [""]),
        )
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(int(quota) / int(period))
    return min(found, default=None)


def memory_limit() -> int | None:
    """Return the bytes that the tightest group allows; ``None`` where there is no limit."""
    return min((limit for limit, *_ in _memory()), default=None)


def memory_free() -> int | None:
    """
    Return the bytes that may still be used before a group is full; ``None`` where there is no limit.

    Pages of files that were not used lately count as free: the kernel takes them first.
    """
    return min((max(0, limit - used + old) for limit, used, old, _ in _memory()), default=None)


def memory_room() -> int | None:
    """
    Return the bytes beyond which the kernel would kill; ``None`` where there is no limit.

    All pages of files count as free, used lately or not: before it kills, the kernel takes them all.
    """
    return min((max(0, limit - used + old + young) for limit, used, old, young in _memory()), default=None)


def _memory() -> Iterator[tuple[int, int, int, int]]:
    """Yield the limit of each group that has one, what it uses, and its old and its young pages of files among that."""
    for folder in _folders("memory"):
        for limit_name, used_name, prefix in (
            ("memory.max", "memory.current", ""),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        ):
            (limit,) = _words(folder / limit_name, 1) or ("",)
            if not limit.isdigit() or int(limit) >= _NO_LIMIT:
                continue
            (used,) = _words(folder / used_name, 1) or ("",)
            pages = [_statistic(folder / "memory.stat", f"{prefix}{age}_file") for age in ("inactive", "active")]
            yield int(limit), int(used) if used.isdigit() else 0, pages[0], pages[1]


def _folders(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group of a controller and of all groups above it."""
    for line in _read(_OWN).splitlines() or ["0::/"]:
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names and controller not in names.split(","):
            continue
        # Version 2 has one tree, which lies beside those of version 1 where both are there.
        roots = [_MOUNT / names, _MOUNT / controller] if names else [_MOUNT, _MOUNT / "unified"]
        for root in dict.fromkeys(roots):
            group = Path(path.lstrip("/"))
            # In a container the path may be that of the host, which is not there; the mount's top is its own group.
            for part in dict.fromkeys((group, *group.parents, Path())):
                if ".." not in part.parts and (root / part).is_dir():
                    yield root / part


def _words(path: Path, count: int) -> list[str] | None:
    words = _read(path).split()
    return words if len(words) == count else None


def _statistic(path: Path, name: str) -> int:
    for line in _read(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
