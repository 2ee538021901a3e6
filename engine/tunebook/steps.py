"""What steps of a notebook do besides their work: look at what they are given, say that they work, be interrupted."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
import time
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from tunebook.errors import InterruptError, StepError, shown
from tunebook.recipe import Recipe, parameters_set_since

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Function = TypeVar("Function", bound=Callable[..., Any])

#: What a step takes, by the name of its argument: its class, what makes it, and the heading of the cells that do.
_GIVEN = {
    "recipe": ("tunebook.recipe", "Recipe", "from_parameters", "Recipe"),
    "examples": ("tunebook.examples", "Examples", "load_examples", "Data"),
    "findings": ("tunebook.findings", "Findings", "check", "Checks"),
    "model": ("tunebook.tasks.base", "Model", "load_model", "Model"),
    "baseline": ("tunebook.baseline", "Baseline", "measure_baseline", "Baseline"),
    "run": ("tunebook.runs", "Run", "tune", "Tune"),
}
_OPTIONAL = ("findings", "baseline")
#: Parameters of the data that do not decide which examples are read.
_NOT_READ = frozenset({"on_problem", "min_per_class", "image_size", "max_length", "match_case"})
#: Parameters that another recipe may have: researchers loop over seeds on one split. ``tune`` loads the model again.
_FREE = frozenset({"seed"})
#: Parameters that decide how a model is loaded, where a recipe has them.
_LOADED = ("model", "weights", "adapter", "lora_rank", "lora_alpha", "image_size", "max_length", "multi_label", "seed")
#: Seconds after which a step says that it works, and between two times that it says so.
_SILENT, _PACE = 1.0, 1.0

_working = threading.local()


def step(doing: str) -> Callable[[Function], Function]:
    """
    Make a function a step of a notebook.

    What it is given is looked at, see :func:`require`. In a notebook it says what it is doing while that takes its
    time, and a keyboard interrupt is one line.

    Parameters
    ----------
    doing
        What it does, as in "checks the examples".
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            if getattr(_working, "is_in_step", False):
                return function(*args, **kwargs)
            require(function.__name__, signature.bind(*args, **kwargs).arguments)
            with _interruptible(function.__name__), telling(doing):
                return function(*args, **kwargs)

        return run  # type: ignore[return-value]

    return decorate


def require(name: str, given: Mapping[str, Any]) -> None:
    """
    Refuse what is not what the steps before this one made, or was made for another recipe.

    Parameters
    ----------
    name
        Of the step.
    given
        Its arguments by name.

    Raises
    ------
    StepError
        Says which cells of the notebook are to be run again.
    """
    for argument, (module, kind, maker, cells) in _GIVEN.items():
        value = given.get(argument)
        if argument not in given or (value is None and argument in _OPTIONAL):
            continue
        if not isinstance(value, getattr(import_module(module), kind)):
            msg = (
                f"{name}: {argument} is {shown(value)} ({type(value).__name__}), not what {maker} gives, as if a cell "
                f"since had used its name; run the cells from {cells!r} on again"
            )
            raise StepError(msg)
    recipe, examples, model = given.get("recipe"), given.get("examples"), given.get("model")
    if recipe is not None:
        _require_parameters(name, recipe)
        if examples is not None:
            _require_same(name, "the examples were read", examples.read_with, recipe, "Data")
        if model is not None:
            _require_same(name, "the model was loaded", model.loaded_with, recipe, "Model")
    if model is not None and examples is not None:
        classes = model.loaded_with.get("classes", examples.classes)
        if tuple(classes) != tuple(examples.classes):
            msg = (
                f"{name}: the model was loaded for {len(classes)} classes, and the examples have others "
                f"({len(examples.classes)}); run the cells from 'Model' on again"
            )
            raise StepError(msg)
    baseline = given.get("baseline")
    if baseline is not None and examples is not None and baseline.measured_on not in ("", examples.held_out()):
        msg = f"{name}: the baseline was measured on other examples; run the cells from 'Baseline' on again"
        raise StepError(msg)


def reading(recipe: Recipe) -> dict[str, Any]:
    """Return the parameters that decide which examples are read, with their values."""
    names = [
        name
        for name, info in type(recipe).model_fields.items()
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("group") == "Data"
    ]
    return {name: getattr(recipe, name) for name in (*names, "seed") if name not in _NOT_READ}


def loading(recipe: Recipe, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the parameters that decide how a model is loaded, with their values, and its classes."""
    values = {name: getattr(recipe, name) for name in _LOADED if name in type(recipe).model_fields}
    return {**values, "classes": classes}


def _require_same(name: str, what: str, before: Mapping[str, Any], recipe: Recipe, cells: str) -> None:
    for parameter, value in before.items():
        now = getattr(recipe, parameter, value)
        if now != value and parameter not in _FREE:
            msg = (
                f"{name}: {what} with {parameter}={shown(value)}, and the recipe has {shown(now)}; "
                f"run the cells from {cells!r} on again"
            )
            raise StepError(msg)


def _require_parameters(name: str, recipe: Recipe) -> None:
    since = parameters_set_since(recipe)
    if since:
        names = ", ".join(since[:4]) + (f" and {len(since) - 4} more" if len(since) > 4 else "")  # noqa: PLR2004
        msg = f"{name}: {names} changed after the recipe was made; run the cells from 'Recipe' on again"
        raise StepError(msg)


# Being interrupted, and saying that it works.


def in_kernel() -> bool:
    """Whether this process is a kernel that a front end talks to."""
    # Not imported for the question: a script that never loaded IPython has no kernel.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


@contextmanager
def _interruptible(name: str) -> Iterator[None]:
    _working.is_in_step = True
    try:
        yield
    except KeyboardInterrupt:
        if not in_kernel():
            raise
        msg = f"{name} was interrupted, and changed nothing; run its cell again, and those below it"
        raise InterruptError(msg) from None
    finally:
        _working.is_in_step = False


@contextmanager
def telling(doing: str) -> Iterator[None]:
    """
    Say in a notebook's output that something goes on, and in the end how long it took; nothing where it is quick.

    Parameters
    ----------
    doing
        As in "checks the examples".
    """
    is_batch = os.environ.get("TUNEBOOK_BATCH", "") not in {"", "0"}
    if not in_kernel() or is_batch or threading.current_thread() is not threading.main_thread():
        yield
        return
    from IPython.display import display  # noqa: PLC0415 - a script has no need of it

    began, done = time.monotonic(), threading.Event()
    handle: list[Any] = []

    def tell(word: str) -> None:
        text = f"{doing}{word} {time.monotonic() - began:.0f} s"
        if handle:
            handle[0].update({"text/plain": text}, raw=True)
        else:
            handle.append(display({"text/plain": text}, raw=True, display_id=True))  # type: ignore[no-untyped-call]

    def follow() -> None:
        wait = _SILENT
        while not done.wait(wait):
            tell(" \N{HORIZONTAL ELLIPSIS}")
            wait = _PACE

    teller = threading.Thread(target=follow, name="tunebook-step", daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
        if handle:
            tell(":")
