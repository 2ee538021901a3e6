"""``tunebook control``: ask something of a run that goes on, from any terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunebook.errors import RecipeError, StorageError, did_you_mean, shown
from tunebook.progress import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.control import Outcome
    from tunebook.runs import Run, State

#: States of a run in which somebody listens, or will.
_LISTENING = ("queued", "running")
_TAKE_VALUES = ("lr", "dropout", "freeze")


def control_command(
    name: Annotated[str, typer.Argument(metavar="RUN", help="The run's path or name.", show_default=False)],
    command: Annotated[
        str,
        typer.Argument(
            metavar="COMMAND",
            help="pause, resume, stop, finish, next-stage, histograms, lr 1e-4, dropout head=0.4, or freeze -2.",
            show_default=False,
        ),
    ],
    values: Annotated[list[str] | None, typer.Argument(metavar="[VALUE]...", help="What the command takes.")] = None,
    *,
    runs_dir: Annotated[
        str, typer.Option("--runs-dir", metavar="DIR", help="Folder that holds the run directories.")
    ] = "runs",
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=0.0, help="Longest time to wait for the run's answer.")
    ] = 10.0,
) -> None:
    """Change a run that goes on, before its next step: pause, resume, stop or finish it, or set what it trains with."""
    from tunebook.runs import Run  # noqa: PLC0415

    known, value = parse(command, values or [])
    run = Run.open(name, runs_dir)
    state = _listening(run)
    control = run.control
    request = control.send(known, value, by="cli")
    outcome = None if state.state == "queued" else control.wait(request, wait)
    if outcome is None:
        typer.echo(f"{safe(command)}: asked; run {safe(run.name)} does it before its next step")
        return
    _tell(run, outcome)


def parse(command: str, values: Sequence[str]) -> tuple[str, Any]:
    """
    Read a command and its value from a command line.

    Parameters
    ----------
    command
        Its name, with ``-`` or ``_``.
    values
        What follows it: a number for ``lr``, ``kind=rate`` for ``dropout``, for ``freeze`` a word, a number of stages
        or patterns.

    Returns
    -------
    tuple of str and object
        Name and value as :meth:`tunebook.control.Control.send` takes them.

    Raises
    ------
    RecipeError
        The command is unknown, or its value is not allowed.
    """
    from tunebook.control import COMMANDS, settle  # noqa: PLC0415
    from tunebook.recipe import Recipe  # noqa: PLC0415

    known = command.replace("-", "_")
    if known not in COMMANDS:
        names = [name.replace("_", "-") for name in COMMANDS]
        hint = did_you_mean(command, names) or f"; allowed: {', '.join(names)}"
        raise RecipeError(f"unknown command {shown(command)}{hint}")
    if known not in _TAKE_VALUES:
        if values:
            raise RecipeError(f"{command}: got {shown(' '.join(values))}; it takes no value")
        return known, None
    if not values:
        raise RecipeError(f"{command}: it takes a value, such as {_EXAMPLES[known]}")
    if known == "dropout":
        return known, settle(known, dict(map(_rate, values)))
    if known == "lr":
        return known, settle(known, Recipe.settle("lr", " ".join(values)))
    if len(values) > 1:
        return known, settle(known, list(values))
    try:
        return known, Recipe.settle("freeze", values[0])
    except RecipeError:
        return known, settle(known, [values[0]])  # one pattern


_EXAMPLES = {"lr": "lr 1e-4", "dropout": "dropout head=0.4", "freeze": "freeze -2, freeze none or freeze 'blocks.*'"}


def _rate(text: str) -> tuple[str, float]:
    kind, sign, number = text.partition("=")
    try:
        rate = float(number)
    except ValueError:
        sign = ""
        rate = 0.0
    if not sign or not kind:
        raise RecipeError(f"dropout: got {shown(text)}; allowed: kind=rate, such as {_EXAMPLES['dropout']}")
    return kind, rate


def _listening(run: Run) -> State:
    """Return the state of a run that takes commands."""
    from tunebook.progress import read_state  # noqa: PLC0415

    state = read_state(run)
    if (run.path / "sweep.json").is_file():
        raise StorageError(f"{run.name} is a search, which takes no live commands; interrupt it to stop it")
    if state.state not in _LISTENING:
        way = "start a new run" if state.state == "finished" else f"go on with it: tunebook run --resume {run.path}"
        raise StorageError(f"run {run.name} has {_ENDED.get(state.state, state.state)}, so nobody listens; {way}")
    return state


_ENDED = {"stopped": "been stopped"}


def _tell(run: Run, outcome: Outcome) -> None:
    if outcome.refused:
        raise RecipeError(f"run {run.name} refused: {outcome.refused}")
    typer.echo(f"{safe(outcome.words)} (step {outcome.step}, epoch {outcome.epoch + 1})")
