"""Live commands taking effect on a training, between its steps."""

from __future__ import annotations

import glob
import time
from threading import Event
from typing import TYPE_CHECKING, Any

from tunebook.control import PASSING, Outcome, Request, settle, settle_resolved
from tunebook.errors import RecipeError, did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tunebook.control import Control
    from tunebook.recipe import Freeze
    from tunebook.stages import Stages
    from tunebook.training import Trainer

#: Seconds between two looks for commands while a run pauses.
_LOOK = 0.1


class Commands:
    """
    Lets commands take effect on a trainer, between its steps: those that come, and those that are repeated.

    What is repeated are the recorded outcomes of another run (a replay), and this run's own ones from behind the
    checkpoint from which it goes on; each happens at its own step.

    Parameters
    ----------
    trainer
        What is controlled.
    control
        Where commands come from and outcomes go; ``None`` in all processes but the main one, and for no control.
    replay
        What to repeat, from :func:`recorded`.
    since
        Moment in seconds since 1970; pausing, resuming and stopping that were asked for before belong to a process
        that is gone.

    Raises
    ------
    RecipeError
        What is to be repeated does not fit the steps or the model.
    """

    def __init__(self, trainer: Trainer, control: Control | None, replay: Sequence[Outcome], since: float) -> None:
        self._trainer, self._control, self._since = trainer, control, since
        self._began = time.monotonic() - max(0.0, time.time() - since)
        self._replay = list(replay)
        self._schedule: list[Outcome] = []
        self._repeated: set[str] = set()
        self._pending: list[Request] = []
        self.is_paused = False
        for outcome in self._replay:
            self._check(outcome)

    @property
    def words(self) -> list[str]:
        """A word for each line of the file that was skipped."""
        return self._control.words if self._control is not None else []

    def _check(self, outcome: Outcome) -> None:
        trainer = self._trainer
        if outcome.step >= trainer.steps or outcome.step // trainer.steps_per_epoch != outcome.epoch:
            msg = (
                f"parameter replay: {shown(outcome.words)} took effect at step {outcome.step} in epoch "
                f"{outcome.epoch + 1}, but this run has {trainer.steps} steps, {trainer.steps_per_epoch} in an epoch; "
                "replay it with the data, batch_size and epochs that it was recorded with"
            )
            raise RecipeError(msg)
        try:
            value = settle_resolved(outcome)
            if outcome.command in ("freeze", "next_stage"):
                trainer.model.stages.frozen_by(value)
            elif outcome.command == "dropout":
                self._check_kinds(value)
            elif outcome.command == "lr":
                trainer.recipe.changed(lr=value)
        except RecipeError as error:
            raise RecipeError(f"parameter replay: step {outcome.step}: {error}") from None

    def begin(self) -> None:
        """Find what is to be repeated from the trainer's step on; called when training begins or goes on."""
        progress = self._trainer.progress
        own = self._control.outcomes() if self._control is not None else []
        again = [o for o in own if not o.refused and o.command not in PASSING and o.id not in progress.heard]
        known = {outcome.id for outcome in own}
        wanted = [*again, *(outcome for outcome in self._replay if outcome.id not in known)]
        wanted = [outcome for outcome in wanted if outcome.step >= progress.step]
        self._schedule = self._trainer.devices.agree(sorted(wanted, key=lambda outcome: outcome.step))
        self._repeated = {outcome.id for outcome in again}

    def listen(self, stop: Event | None) -> bool:
        """
        Take in what was asked for.

        Parameters
        ----------
        stop
            Asks for the same as the command.

        Returns
        -------
        bool
            Whether the run is to stop now.
        """
        wanted = stop is not None and stop.is_set()
        if self._control is not None:
            for request in self._control.poll():
                if request.command in PASSING and request.time < self._moment():
                    self._refuse(request, f"{request.command}: it was asked for before the run was resumed")
                else:
                    self._pending.append(request)
            asked = next((r for r in self._pending if r.command == "stop" and r.value is None), None)
            if asked is not None:
                wanted = True
                self._pending.remove(asked)
                self._record(asked, None, None, "stop")
        devices = self._trainer.devices
        if devices.count == 1:
            return wanted
        wanted, self._pending = devices.agree((wanted, self._pending))
        return bool(wanted)

    def _moment(self) -> float:
        """Return ``since`` as the clock has it now: one that was set back meanwhile makes new requests look old."""
        return min(self._since, time.time() - (time.monotonic() - self._began))

    def act(self, stop: Event | None = None, on_wait: Callable[[], None] | None = None) -> bool:
        """
        Do what was asked for, and what is to be repeated, before the trainer's next step; wait while the run pauses.

        Parameters
        ----------
        stop
            Ends a pause.
        on_wait
            Called now and then while it pauses.

        Returns
        -------
        bool
            Whether the run is to stop now.
        """
        step = self._trainer.progress.step
        while self._schedule and self._schedule[0].step <= step:
            self._repeat(self._schedule.pop(0))
        if self._pending:
            self._answer()
        if not self.is_paused:
            return False
        self._trainer.save()
        try:
            return self._pause(stop or Event(), on_wait)
        finally:
            self.is_paused = False

    def close(self) -> None:
        """Refuse what came too late."""
        if self._control is None:
            return
        pending, self._pending = [*self._pending, *self._control.poll()], []
        for request in pending:
            self._refuse(request, f"{request.command}: training is over")

    def _pause(self, stop: Event, on_wait: Callable[[], None] | None) -> bool:
        began = time.monotonic()
        while self.is_paused and not self._trainer.progress.is_finishing:
            if on_wait is not None:
                on_wait()
            stop.wait(_LOOK)
            if self.listen(stop):
                return True
            self._answer()
        self._trainer.waited_seconds += time.monotonic() - began
        return False

    def _answer(self) -> None:
        pending, self._pending = self._pending, []
        for request in pending:
            try:
                value = settle(request.command, request.value)
                done = self._apply(request.command, value)
            except RecipeError as error:
                self._refuse(request, str(error))
            else:
                self._trainer.progress.heard.append(request.id)
                self._record(request, *done)

    def _repeat(self, outcome: Outcome) -> None:
        trainer = self._trainer
        try:
            value, was, words = self._apply(outcome.command, settle_resolved(outcome), is_resolved=True)
        except RecipeError as error:
            # A run that goes on without a change that it should have would end otherwise, and nobody would know.
            raise RecipeError(f"cannot repeat {shown(outcome.words)} at step {outcome.step}: {error}") from None
        trainer.progress.heard.append(outcome.id)
        if outcome.id not in self._repeated:
            request = Request(outcome.id, outcome.command, outcome.value, "replay", time.time())
            self._record(request, value, was, words, is_new=True)
        elif not trainer.is_at_checkpoint:  # the log lost what came after the checkpoint
            trainer.mark(words)

    def _record(self, request: Request, value: Any, was: Any, words: str, *, is_new: bool = False) -> None:  # noqa: ANN401
        # In this order: where there is an outcome, the log has its mark.
        self._trainer.mark(words)
        if self._control is not None:
            progress = self._trainer.progress
            outcome = Outcome(request.id, progress.step, progress.epoch, request.command, value, was, words)
            self._control.record(outcome, request if is_new else None)

    def _refuse(self, request: Request, why: str) -> None:
        if self._control is not None:
            progress = self._trainer.progress
            self._control.record(Outcome(request.id, progress.step, progress.epoch, refused=" ".join(why.split())))

    # What each does: the resolved value, the one before, and both in words.

    def _apply(  # noqa: PLR0911 - one for each command
        self,
        command: str,
        value: Any,  # noqa: ANN401
        *,
        is_resolved: bool = False,
    ) -> tuple[Any, Any, str]:
        if command in ("pause", "resume"):
            return self._set_paused(command)
        if command == "next_stage":
            return self._next_stage(value if is_resolved else self._next_freeze())
        if command == "lr":
            return self._set_lr(value)
        if command == "dropout":
            return self._set_dropout(value)
        if command == "freeze":
            return self._set_freeze(value)
        if command == "finish":
            return self._finish()
        if command == "histograms":
            self._trainer.wants_histograms = True
            return None, None, command
        raise RecipeError(f"{command}: it is too late")  # a second stop

    def _set_paused(self, command: str) -> tuple[Any, Any, str]:
        wanted = command == "pause"
        if self.is_paused == wanted:
            raise RecipeError(f"{command}: the run {'pauses already' if wanted else 'does not pause'}")
        self.is_paused = wanted
        return None, None, command

    def _set_lr(self, value: float) -> tuple[Any, Any, str]:
        was = self._trainer.progress.lr
        self._trainer.set_lr(value)
        return value, was, f"lr {was:g} → {value:g}"

    def _set_dropout(self, value: dict[str, float]) -> tuple[Any, Any, str]:
        self._check_kinds(value)
        rates = self._trainer.model.dropout.rates()
        was = {kind: rates[kind] for kind in value}
        self._trainer.set_dropout(value)
        return value, was, "dropout " + ", ".join(f"{kind} {was[kind]:g} → {rate:g}" for kind, rate in value.items())

    def _check_kinds(self, rates: Mapping[str, float]) -> None:
        kinds = self._trainer.model.dropout.kinds
        for kind in rates:
            if kind not in kinds:
                have = ", ".join(kinds) or "none"
                hint = did_you_mean(kind, kinds)
                raise RecipeError(f"dropout: this model has no place for kind {shown(kind)}{hint}; it has: {have}")

    def _set_freeze(self, value: Freeze) -> tuple[Any, Any, str]:
        was = self._trainer.progress.freeze
        self._trainer.set_freeze(value)
        return value, was, f"freeze {_brief(was)} → {_brief(value)}: {self._trainer.trains}"

    def _next_freeze(self) -> Freeze:
        trainer = self._trainer
        left = trainer.recipe.unfreeze[trainer.progress.stage :]
        return left[0][1] if left else one_stage_more(trainer.model.stages)

    def _next_stage(self, value: Freeze) -> tuple[Any, Any, str]:
        trainer = self._trainer
        was = trainer.progress.freeze
        trainer.set_freeze(value)
        trainer.progress.stage = min(trainer.progress.stage + 1, len(trainer.recipe.unfreeze))
        return value, was, f"next stage: {trainer.trains}"

    def _finish(self) -> tuple[Any, Any, str]:
        progress = self._trainer.progress
        if not progress.history and not progress.in_epoch:
            raise RecipeError("finish: no step was trained yet; wait for the first one, or stop the run")
        progress.is_finishing = True
        return None, None, "finish"


def one_stage_more(stages: Stages) -> Freeze:
    """
    Return the freeze under which the last stage of the frozen beginning trains as well.

    Parameters
    ----------
    stages
        What is frozen now; further stages that are frozen behind a gap stay so.

    Raises
    ------
    RecipeError
        Nothing is frozen from the input on.
    """
    for count in reversed(range(stages.frozen_prefix())):
        value: Freeze = count or "none"
        left = frozenset(_parameters(stages, count))
        if not left <= stages.frozen_by(value):
            value = sorted(map(glob.escape, left))
        if stages.frozen_by(value) != stages.frozen:  # stages without anything of their own to train are passed over
            return value
    raise RecipeError("next_stage: no frozen stage is left at the input; everything there trains already")


def _parameters(stages: Stages, trains: int) -> Iterator[str]:
    """Yield the parameters that are frozen now, but for those of one stage."""
    for index, stage in enumerate(stages.items):
        if index != trains:
            yield from (name for name in stage.parameters if name in stages.frozen)


def _brief(freeze: Freeze) -> str:
    return ", ".join(freeze) if isinstance(freeze, list) else str(freeze)
