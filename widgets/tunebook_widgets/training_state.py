"""What the training bar shows of a run: where it stands, what can be changed, and what became of what was asked for."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tunebook.errors import RecipeError, StorageError, TunebookError
from tunebook.progress import duration, read_state
from tunebook.tasks import recipe_class

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tunebook.control import Outcome
    from tunebook.runs import Run, State

#: Commands that the bar's buttons and sliders send.
COMMANDS = ("pause", "resume", "stop", "finish", "next_stage", "lr", "dropout")
#: Outcomes that are shown, the newest.
_SHOWN = 4
#: States in which commands have an effect.
_LIVE = ("queued", "running")


class TrainingState:
    """
    One run as the bar shows it, and the commands that the bar sends.

    Parameters
    ----------
    run
        The run, of this kernel or of any other.
    unit
        What examples are called, in the plural.
    own
        The model's own dropout rates by kind, where the model is at hand; else they are not known.
    """

    def __init__(self, run: Run, unit: str = "examples", own: Mapping[str, float] | None = None) -> None:
        self.run, self.unit = run, unit
        self._control = run.control
        self._own = dict(own) if own is not None else None
        self._recipe: dict[str, Any] = {}
        self._state: State | None = None
        self._refused = ""
        self._last: dict[str, Any] = {}

    @property
    def is_live(self) -> bool:
        """Whether the run may still change."""
        return self._state is None or self._state.state in _LIVE

    def poll(self) -> bool:
        """Read where the run stands; True if anything that is shown changed."""
        with suppress(StorageError):  # it is being written; the next look finds it
            self._state = read_state(self.run)
        if not self._recipe:
            with suppress(StorageError, LookupError, TypeError):
                self._recipe = dict(self.run.recipe()["parameters"])
        found = self._describe()
        changed = found != self._last
        self._last = found
        return changed

    def as_json(self) -> dict[str, Any]:
        """Return what the front end shows."""
        return self._last or self._describe()

    def _describe(self) -> dict[str, Any]:
        state = asdict(self._state) if self._state is not None else {}
        wanted = (
            "state", "phase", "epoch", "epochs", "step", "steps", "loss", "seconds_left", "memory", "lr", "freeze",
            "paused", "message", "examples_per_second",
        )  # fmt: skip
        with suppress(StorageError):
            outcomes = self._control.outcomes()
        shown = {name: _finite(state.get(name)) for name in wanted}
        lr = shown["lr"] if shown["lr"] is not None else self._recipe.get("lr")
        return {
            **shown,
            "name": self.run.name,
            "path": _from_here(self.run.path),
            "unit": self.unit,
            "lr": lr,
            "usual_lr": self._recipe.get("lr", lr),
            "dropout": self._rates(outcomes),
            "outcomes": [_told(outcome) for outcome in outcomes[-_SHOWN:]],
            "refused": self._refused,
        }

    def _rates(self, outcomes: list[Outcome]) -> dict[str, float | None]:
        """Return the rate of each kind of dropout; ``None`` is the model's own, which no file tells."""
        asked: dict[str, float | None] = {}
        if self._state is not None and self._recipe:
            with suppress(RecipeError):
                asked = recipe_class(self._state.task)(**self._recipe).dropout_rates()
        rates: dict[str, float | None] = asked
        if self._own is not None:
            rates = {kind: own if asked.get(kind) is None else asked[kind] for kind, own in self._own.items()}
        for outcome in outcomes:
            if outcome.command == "dropout" and isinstance(outcome.value, dict):
                rates.update({str(kind): _finite(rate) for kind, rate in outcome.value.items()})
        return rates

    def send(self, command: object, value: object = None) -> None:
        """
        Ask the run for something; what cannot be asked for is told in ``refused``.

        Parameters
        ----------
        command
            One of :data:`COMMANDS`.
        value
            As :meth:`tunebook.control.Control.send` takes it.
        """
        self._refused = ""
        try:
            if command not in COMMANDS:
                raise RecipeError(f"the training bar does not send {command!r}; it sends {', '.join(COMMANDS)}")
            self._control.send(str(command), value, by="panel")
        except TunebookError as error:
            self._refused = str(error)

    def text(self) -> str:
        """Say in one line where the run stands."""
        found = self.as_json()
        parts = [
            f"epoch {min(found['epoch'] + 1, found['epochs'])} of {found['epochs']}" if found["epochs"] else "",
            f"{found['step']:,} of {found['steps']:,} steps" if found["steps"] else "",
            f"{found['examples_per_second']:.0f} {self.unit}/s" if found["examples_per_second"] else "",
            f"{duration(found['seconds_left'])} left" if found["seconds_left"] is not None else "",
            f"{found['memory'] / 1e6:,.0f} MB" if found["memory"] else "",
            found["message"] or "",
        ]
        head = f"{self.run.name}: {'paused' if found['paused'] else found['phase'] or 'waiting'}"
        return " · ".join([head, *filter(None, parts)])


def _from_here(path: Path) -> str:
    """Return a run directory from the folder in which the kernel works, its notebook's; empty without a way."""
    try:
        return os.path.relpath(path).replace(os.sep, "/")
    except (OSError, ValueError):  # the folder is gone, or lies on another drive
        return ""


def _finite(value: Any) -> Any:  # noqa: ANN401 - whatever the state holds
    """Return a value that JSON can hold."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _told(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": outcome.id,
        "step": outcome.step,
        "command": outcome.command,
        "words": outcome.refused or outcome.words,
        "is_refused": bool(outcome.refused),
    }
