"""What a process of the fault tests does when all but its training is done: what it needs travels there by its name."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier
    from pathlib import Path


class Together:
    """Lets several processes begin their training at once."""

    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier

    def __call__(self) -> None:
        self._barrier.wait(300)


class SameSecond(Together):
    """Lets processes begin at once, and stops the clock that names directories: no machine here has 20 cores."""

    def __call__(self) -> None:
        from tunebook import runs

        class Stopped(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:
                del tz
                return datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC)

        runs.datetime = Stopped  # type: ignore[misc]
        super().__call__()


class ClockJump:
    """Sets the clock of a process by some seconds as soon as a file is there."""

    def __init__(self, jump: float, go: Path) -> None:
        self._jump, self._go = jump, go

    def __call__(self) -> None:
        real = time.time
        time.time = lambda: real() + self._jump * self._go.exists()
