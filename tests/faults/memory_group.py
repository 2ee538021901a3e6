"""A control group of Linux around one process, in which the kernel finds memory short and kills it."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_MOUNT = Path("/sys/fs/cgroup")


class MemoryGroup:
    """
    A group of its own below this process's group; removed when the ``with`` block ends.

    Raises
    ------
    OSError
        None can be made here: another system, or a user who may not.
    """

    def __init__(self, name: str) -> None:
        version_1, path = _own_group()
        self._folder = (_MOUNT / "memory" if version_1 else _MOUNT) / path.lstrip("/") / name
        self._limit, self._used, self._events = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control")
            if version_1
            else ("memory.max", "memory.current", "memory.events")
        )
        self._folder.mkdir()
        if not (self._folder / self._limit).exists():
            self._folder.rmdir()
            raise OSError("memory is not controlled here")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        until = time.monotonic() + 10.0
        while time.monotonic() < until:  # the kernel needs a moment to let go of a process that is gone
            with suppress(OSError):
                self._folder.rmdir()
                return
            time.sleep(0.01)

    def take(self, pid: int) -> None:
        """Move a process into the group."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    def starve(self, is_gone: Callable[[], bool]) -> None:
        """Let the group have what it uses and no more, until the kernel kills for the next page."""
        until = time.monotonic() + 60.0
        while not is_gone() and time.monotonic() < until:
            used = int((self._folder / self._used).read_text())
            with suppress(OSError):  # it uses more by now
                (self._folder / self._limit).write_text(str(used))
            time.sleep(0.001)

    @property
    def kills(self) -> int:
        """How many processes the kernel killed in it."""
        lines = (self._folder / self._events).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def _own_group() -> tuple[bool, str]:
    """Return whether memory is controlled by version 1, and the path of this process's group."""
    rows = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for _, controllers, path in rows:
        if "memory" in controllers.split(","):
            return True, path
    return False, next(path for number, _, path in rows if number == "0")
