"""Runs of a batch on this machine, some at a time."""

from __future__ import annotations

from multiprocessing.connection import wait
from typing import Protocol

from tunebook.batch_child import Child, Job, Outcome

#: Seconds that a turn waits for news.
TURN = 0.2


class Place(Protocol):
    """Where runs are carried out."""

    def room(self) -> int:
        """Return how many more runs should be submitted now."""
        ...

    def submit(self, job: Job) -> None:
        """Take a run."""
        ...

    def turn(self) -> tuple[dict[str, str], dict[str, Outcome]]:
        """Return soon what is new: runs that began with where they run, and runs that ended."""
        ...

    def stop(self) -> None:
        """Have all runs write their checkpoints and end; the second time at once."""
        ...

    def describe(self) -> str:
        """Say in words where the runs are carried out."""
        ...

    def close(self) -> None:
        """End all that is left."""
        ...


class Processes:
    """
    Carries out runs in processes of their own on this machine.

    Parameters
    ----------
    count
        How many at a time, at least 1.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._children: list[Child] = []
        self._begun: dict[str, str] = {}

    def room(self) -> int:
        """Return how many more runs should be submitted now."""
        return self._count - len(self._children)

    def submit(self, job: Job) -> None:
        """Start a run."""
        self._children.append(Child(job, self._count))
        self._begun[job.name] = ""

    def turn(self) -> tuple[dict[str, str], dict[str, Outcome]]:
        """Return soon what is new."""
        begun, self._begun = self._begun, {}
        ready = wait([child.answer.fileno() for child in self._children], 0.0 if begun else TURN)
        ended = [child for child in self._children if child.answer.fileno() in ready]
        self._children = [child for child in self._children if child not in ended]
        return begun, {child.job.name: child.outcome() for child in ended}

    def stop(self) -> None:
        """Have all runs write their checkpoints and end; the second time at once."""
        for child in self._children:
            child.stop()

    def describe(self) -> str:
        """Say in words where the runs are carried out."""
        return f"{self._count} at a time"

    def close(self) -> None:
        """Kill what is left."""
        for child in self._children:
            child.kill()
        self._children = []
