"""Loads data and model of a recipe, and says in JSON what is wrong with them: the process behind ``preflight``."""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from tunebook.errors import TunebookError
from tunebook.machine import calm_threads, plain_bars
from tunebook.tasks import get_task, recipe_class

if TYPE_CHECKING:
    from tunebook.recipe import Recipe


def check(recipe: Recipe, *, with_model: bool) -> None:
    """
    Load what a recipe names, as the first cells of a template do, and raise what they would raise.

    Parameters
    ----------
    recipe
        The recipe.
    with_model
        Whether it says something of its model that could be wrong.
    """
    # pandas and torch come after the threads are set up
    from tunebook.choices import require_named  # noqa: PLC0415
    from tunebook.findings import few_examples  # noqa: PLC0415

    task = get_task(recipe.task)
    examples = task.load_examples(recipe)
    for finding in few_examples(examples, recipe.min_per_class) if recipe.on_problem == "drop" else ():
        # A third class that will be dropped leaves two.
        examples = examples.without(finding.drop, finding.drop_classes)
    require_named(recipe, examples)
    if with_model:
        model = task.load_model(recipe, examples.classes)
        for freeze in (recipe.freeze, *(freeze for _, freeze in recipe.unfreeze)):
            model.stages.frozen_by(freeze)


def main() -> None:
    """Read a request from standard input, and write the answer to standard output."""
    calm_threads()
    plain_bars()
    request = json.loads(sys.stdin.buffer.read())
    answer: dict[str, str] = {}
    with redirect_stdout(sys.stderr):  # libraries print
        try:
            check(recipe_class(request["task"])(**request["recipe"]), with_model=request["model"])
        except TunebookError as error:
            answer = {"error": str(error), "kind": type(error).__name__}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # threads of libraries are not waited for


if __name__ == "__main__":
    main()
