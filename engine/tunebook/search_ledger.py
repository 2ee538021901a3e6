"""The trials of a search as Optuna keeps them: asked for, reported on and told of by one process alone."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState

from tunebook.errors import StorageError, shown
from tunebook.opening import open_plain
from tunebook.plain_json import parse_json
from tunebook.spaces import grid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from tunebook.search_objectives import Objective
    from tunebook.search_plan import Plan
    from tunebook.search_trials import TrialResult
    from tunebook.spaces import Space

JOURNAL = "optuna.journal"
#: Bytes of a journal that are looked at together.
_PIECE = 1 << 16
#: Bytes of a line of the journal.
_LONGEST_LINE = 1 << 24
#: Trials that are done before one can be pruned, and the first epoch after which it can.
_BEFORE_PRUNING, _WARM_UP = 5, 2
_RESULT = "tunebook"
_ENDED = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
_DIRECTIONS = {"maximize": StudyDirection.MAXIMIZE, "minimize": StudyDirection.MINIMIZE}
_STATES = {word: state for state, word in _ENDED.items()}

# What it has to say is said by the progress of the search.
optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Row:
    """
    One trial that ended.

    Attributes
    ----------
    number
        From 0.
    state
        ``"complete"``, ``"pruned"`` or ``"failed"``.
    parameters
        Value of each searched parameter.
    labels
        The same as tables and figures show them: numbers, and choices as they were written.
    values
        Value of each objective; empty if it failed.
    epoch, metrics, seconds, message
        As in :class:`tunebook.search_trials.TrialResult`.
    """

    number: int
    state: str
    parameters: dict[str, Any]
    labels: dict[str, Any]
    values: tuple[float, ...] = ()
    epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True)
class Job:
    """A trial to be run: its number, and its value of each searched parameter."""

    number: int
    parameters: dict[str, Any]


class Ledger:
    """
    The study of one sweep.

    A trial's parameters depend on the seed, its number and the trials that had ended when it was
    asked for, not on how often the search was interrupted. A trial without an end, of a process that is gone, is
    queued again under its number with its parameters.

    Parameters
    ----------
    plan
        What is searched.
    folder
        The sweep's directory; whoever opens a ledger there owns it.
    name
        Name of the study in the storage.
    url
        Database; empty keeps a journal in the directory.
    resumed
        Whether the study must be there already; otherwise it must not.

    Raises
    ------
    StorageError
        The storage cannot be opened, or has such a study already, or has none.
    """

    def __init__(self, plan: Plan, folder: Path, name: str, url: str = "", *, resumed: bool = False) -> None:
        self.plan = plan
        self.spaces: dict[str, Space] = plan.read_spaces()
        self.objectives: tuple[Objective, ...] = plan.read_objectives()
        self._distributions = {name: space.distribution() for name, space in self.spaces.items()}
        pruner = (
            optuna.pruners.MedianPruner(n_startup_trials=_BEFORE_PRUNING, n_warmup_steps=_WARM_UP)
            if plan.prune
            else optuna.pruners.NopPruner()
        )
        directions = [_DIRECTIONS[objective.direction] for objective in self.objectives]
        storage = _open(url, folder / JOURNAL)
        try:
            self.study = optuna.create_study(
                storage=storage, study_name=name, directions=directions, pruner=pruner, load_if_exists=resumed,
                sampler=optuna.samplers.RandomSampler(),
            )  # fmt: skip
        except optuna.exceptions.DuplicatedStudyError:
            msg = f"storage {shown(_hidden(url))} has a study {shown(name)} already; choose another --name"
            raise StorageError(msg) from None
        except Exception as error:
            if url:
                raise
            raise _damaged(folder / JOURNAL, f"{type(error).__name__}: {str(error)[:160]}") from None
        if self.study.directions != directions:
            msg = f"the study {shown(name)} has other objectives than this sweep; start a new one with another --name"
            raise StorageError(msg)
        self._open: dict[int, Trial] = {}
        self._reported: dict[int, set[int]] = {}
        self._grid: list[dict[str, Any]] = []
        self.release()

    # Asking and telling.

    @property
    def ended(self) -> int:
        """Number of trials that ended, well or not."""
        return len(self._frozen(tuple(_ENDED)))

    @property
    def asked(self) -> int:
        """Number of trials that ended or are under way."""
        return self.ended + len(self._open)

    def ask(self) -> Job:
        """Return the next trial to run: one that was interrupted, or a new one."""
        if not self._frozen((TrialState.WAITING,)):
            number = len(self.study.get_trials(deepcopy=False))
            self.study.sampler = self._sampler(number)
            if self.plan.method == "grid":
                values = self._grid_point(number)
                drawn = {name: self.spaces[name].drawn(value) for name, value in values.items()}
                self.study.add_trial(
                    optuna.trial.create_trial(
                        state=TrialState.WAITING, params=drawn, distributions=dict(self._distributions)
                    )
                )
        trial = self.study.ask(fixed_distributions=self._distributions)
        self._open[trial.number] = trial
        known = self.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        self._reported[trial.number] = set(known)
        return Job(trial.number, {name: self.spaces[name].value(trial.params[name]) for name in self.spaces})

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Note a trial's value after an epoch; return whether to give it up."""
        trial = self._open.get(number)
        if trial is None:  # a worker that was thought dead
            return True
        if len(self.objectives) > 1:
            return False
        if epoch not in self._reported[number]:  # a trial that is run again says the same once more
            self._reported[number].add(epoch)
            trial.report(value, epoch)
        return self.plan.prune and bool(trial.should_prune())

    def tell(self, number: int, result: TrialResult) -> Row | None:
        """End a trial; one that has ended already is left alone."""
        trial = self._open.pop(number, None)
        if trial is None:
            return None
        found = result.to_json() | {"metrics": {k: v for k, v in result.metrics.items() if math.isfinite(v)}}
        trial.set_user_attr(_RESULT, found)
        state = _STATES[result.outcome]
        self.study.tell(trial, list(result.values) if state == TrialState.COMPLETE else None, state)
        return self.row(self.study.get_trials(deepcopy=False)[number])

    def release(self) -> None:
        """Queue every trial that is under way, so that none is left running; it keeps number and parameters."""
        self._open.clear()
        storage = self.study._storage  # noqa: SLF001 - Optuna queues only trials of its own making
        for trial in self._frozen((TrialState.RUNNING,)):
            storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)  # noqa: SLF001

    # Looking.

    def rows(self) -> list[Row]:
        """Return the trials that ended, by number."""
        return [self.row(trial) for trial in self._frozen(tuple(_ENDED))]

    def row(self, trial: FrozenTrial) -> Row:
        """Return one of them."""
        found = trial.user_attrs.get(_RESULT, {})
        labels = {name: trial.params[name] for name in self.spaces if name in trial.params}
        return Row(
            number=trial.number,
            state=_ENDED[trial.state],
            parameters={name: self.spaces[name].value(drawn) for name, drawn in labels.items()},
            labels=labels,
            values=tuple(v for v in found.get("values", ()) if math.isfinite(v)),
            epoch=int(found.get("epoch", 0)),
            metrics=dict(found.get("metrics", {})),
            seconds=float(found.get("seconds", 0.0)),
            message=str(found.get("message", "")),
        )

    def _frozen(self, states: tuple[TrialState, ...]) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = int(np.random.SeedSequence([self.plan.seed, 41, number]).generate_state(1)[0])
        if self.plan.method == "bayesian":
            # Trials under way count as bad ones, or those asked for together would be nearly the same.
            return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        return optuna.samplers.RandomSampler(seed=seed)

    def _grid_point(self, number: int) -> dict[str, Any]:
        if not self._grid:
            points = list(grid(self.spaces, self.plan.points))
            # A part of a grid should be spread over all of it.
            order = np.random.default_rng([self.plan.seed, 43]).permutation(len(points))
            self._grid = [points[place] for place in order.tolist()]
        return self._grid[number]


def ranked(rows: Sequence[Row], objectives: Sequence[Objective]) -> list[Row]:
    """
    Return the trials that are complete, the best first.

    Equal values are common on small validation sets: the smaller loss decides, then the number. With two objectives
    the Pareto front comes first, by its first objective: each trial on it is better than any other in one of the two.
    """
    done = [row for row in rows if row.state == "complete"]

    def key(row: Row) -> tuple[float, ...]:
        values = (-o.sign * value for o, value in zip(objectives, row.values, strict=True))
        return (*values, row.metrics.get("loss", math.inf), row.number)

    best = front(done, objectives)
    return [*sorted(best, key=key), *sorted((row for row in done if row not in best), key=key)]


def front(rows: Sequence[Row], objectives: Sequence[Objective]) -> list[Row]:
    """Return the Pareto front of trials that are complete: those that no other one beats; all that are equal to it."""
    if not rows:
        return []
    costs = [[-o.sign * v for o, v in zip(objectives, row.values, strict=True)] for row in rows]
    values = np.array(costs)
    no_worse = (values[:, None] <= values[None]).all(axis=2)
    better = (values[:, None] < values[None]).any(axis=2)
    beaten = np.asarray((no_worse & better).any(axis=0)).tolist()
    return [row for row, is_beaten in zip(rows, beaten, strict=True) if not is_beaten]


class _Held(JournalFileOpenLock):
    """
    The lock of a journal whose directory is locked already.

    Optuna's own is a file that a killed process leaves behind, and the next one waits half a minute for it.
    """

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _open(url: str, journal: Path) -> BaseStorage:
    if not url:
        _mend(journal)
        _check(journal)
        try:
            return JournalStorage(JournalFileBackend(str(journal), lock_obj=_Held(str(journal))))
        except Exception as error:  # noqa: BLE001 - lines that are JSON, but no steps of a study, end in any error
            raise _damaged(journal, f"{type(error).__name__}: {str(error)[:160]}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return RDBStorage(url)
    except Exception as error:  # noqa: BLE001 - SQLAlchemy and each driver have their own
        first = str(error).strip().partition("\n")[0][:160]
        msg = f"storage {shown(_hidden(url))} cannot be opened: {type(error).__name__}: {first}; check the URL"
        raise StorageError(msg) from None


def _mend(journal: Path) -> None:
    """Cut off half a line that a killed process left at the end: whoever appends to it makes the whole unreadable."""
    try:
        with os.fdopen(open_plain(journal, os.O_RDWR), "rb+") as stream:
            end = size = stream.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - _PIECE)
                stream.seek(start)
                place = stream.read(end - start).rfind(b"\n")
                if place >= 0:
                    end = start + place + 1
                    break
                end = start
            if end != size:
                stream.truncate(end)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"cannot read {journal}: {error.strerror or error}") from None


def _check(journal: Path) -> None:
    """Refuse a journal of which a line is no step of a study, which Optuna would meet with any error."""
    try:
        with os.fdopen(open_plain(journal, os.O_RDONLY), "rb") as stream:
            for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), 1):
                try:
                    step = parse_json(line)
                except ValueError as error:
                    raise _damaged(journal, f"line {number}: {error}") from None
                if not isinstance(step, dict) or not isinstance(step.get("op_code"), int):
                    raise _damaged(journal, f"line {number} is no step of a study")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"cannot read {journal}: {error.strerror or error}") from None


def _damaged(journal: Path, reason: str) -> StorageError:
    return StorageError(f"{journal} is damaged: {reason}; put a copy of it there, or start a new sweep")


def _hidden(url: str) -> str:
    """Return a storage's URL without its password."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return url


def kept_url(url: str) -> str:
    """Return a storage's URL as it may be written to a file: without a password, a file's path in full."""
    from pathlib import Path  # noqa: PLC0415

    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        msg = f"storage {shown(url)} is no URL of a database; write it as sqlite:///sweeps.db, or leave it out"
        raise StorageError(msg) from None
    if parts.drivername.startswith("sqlite") and parts.database and parts.database != ":memory:":
        parts = parts.set(database=str(Path(parts.database).absolute()))
    return parts.render_as_string(hide_password=True)
