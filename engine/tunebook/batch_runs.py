"""Many runs of one notebook: those that are missing are run, somewhere, and each has its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tunebook.batch import check_notebook
from tunebook.batch_child import Job, Outcome
from tunebook.batch_standing import standing
from tunebook.opening import from_home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.batch_local import Place
    from tunebook.batch_sets import RunSet
    from tunebook.batch_standing import Standing


class Watcher(Protocol):
    """Is told what happens."""

    def began(self, name: str, where: str) -> None:
        """Note that a run began, on a machine that is named unless it is this one."""
        ...

    def ended(self, name: str, outcome: Outcome) -> None:
        """Note that a run ended."""
        ...

    def turn(self, running: Sequence[str], waiting: int) -> None:
        """Note that time went by; these runs go on, and so many wait."""
        ...


@dataclass
class Batch:
    """
    Runs that are wanted, and what is there of them.

    Parameters
    ----------
    notebook
        The notebook.
    sets
        Checked sets of parameters.
    runs_dir
        Folder that holds the run directories.

    Attributes
    ----------
    standings
        How each run stood at the beginning, by name.
    outcomes
        What became of each run that ended since, by name.

    Raises
    ------
    NotebookError
        The notebook cannot be run here.
    StorageError
        There is something else under a run's name.
    """

    notebook: Path
    sets: Sequence[RunSet]
    runs_dir: Path
    standings: dict[str, Standing] = field(init=False)
    outcomes: dict[str, Outcome] = field(default_factory=dict, init=False)
    _stops: int = field(default=0, init=False)
    _heard: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        source = check_notebook(self.notebook)
        self.standings = {s.name: standing(self.path(s.name), source, s.parameters) for s in self.sets}

    def path(self, name: str) -> Path:
        """Return the directory of a run."""
        return from_home(self.runs_dir) / name

    def missing(self) -> list[RunSet]:
        """Return the sets whose runs were not finished at the beginning."""
        return [each for each in self.sets if self.standings[each.name].next != "finished"]

    def stop(self) -> None:
        """Start nothing more, and have what runs write its checkpoint and end; the second time at once."""
        self._stops += 1  # all that a signal's handler may do

    def run(self, place: Place, watcher: Watcher) -> None:
        """
        Run what is missing; returns when each has ended, or what was running when it was told to stop.

        Raises
        ------
        TrainingError
            The place where they run is gone.
        """
        waiting = [self._job(each) for each in self.missing()]
        waiting.reverse()
        running: dict[str, None] = {}
        try:
            while running or (waiting and not self._stops):
                while waiting and not self._stops and place.room() > 0:
                    job = waiting.pop()
                    running[job.name] = None
                    place.submit(job)
                while self._heard < self._stops:
                    self._heard += 1
                    place.stop()
                begun, ended = place.turn()
                for name, where in begun.items():
                    watcher.began(name, where)
                for name, outcome in ended.items():
                    del running[name]
                    self.outcomes[name] = outcome
                    watcher.ended(name, outcome)
                watcher.turn(list(running), len(waiting))
        finally:
            place.close()

    def _job(self, each: RunSet) -> Job:
        return Job(each.name, str(self.notebook.absolute()), str(Path.cwd()), str(self.runs_dir), each.parameters)
