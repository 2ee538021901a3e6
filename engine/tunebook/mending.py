"""The last step of a notebook: what would mend the gap that the bias report found, and which of it is exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunebook.cell_tables import escape
from tunebook.errors import DataError, shown
from tunebook.figures import Page
from tunebook.groups import CROSS
from tunebook.remedies import compare_remedies
from tunebook.steps import step

if TYPE_CHECKING:
    from tunebook.bias import BiasReport
    from tunebook.examples import Examples
    from tunebook.recipe import Recipe
    from tunebook.remedies import Remedies
    from tunebook.runs import Run
    from tunebook.tasks.base import Model

#: Values of the recipe's ``remedy`` that name one -> what its name is, or begins with.
NAMES = {
    "refit": "head fitted again",
    "reweight": "reweighting",
    "resample": "group-balanced sampling",
    "exponentiated_gradient": "reduction, exponentiated gradient",
    "grid_search": "reduction, grid search",
    "worst_group": "reduction, worst group",
    "thresholds": "thresholds",
    "calibration": "calibration by group",
    "offsets": "offsets by group",
}
#: Training examples up to which heads are fitted again unasked: a few seconds.
_MOST = 5_000


@step("compares remedies")
def mend(run: Run, recipe: Recipe, examples: Examples, model: Model) -> Remedies | Page:
    """
    Compare what would mend a gap, as the recipe's ``remedy``, ``remedy_gap`` and ``remedy_by`` say, and export it.

    Parameters
    ----------
    run
        A finished run.
    recipe, examples, model
        Those of the run; the model gets the weights of the best epoch.

    Returns
    -------
    Remedies or Page
        The comparison, which is in the run's report and model card as well; or a sentence that says why there is none,
        which ``remedy="auto"`` and ``"none"`` are content with.

    Raises
    ------
    DataError
        ``remedy_by`` names no attribute, or the remedy asked for is not among those that suit.
    StorageError
        A file cannot be read or written.
    """
    if recipe.remedy == "none":
        return _say("Remedies were not compared: the recipe's remedy is 'none'.")
    report = run.report().bias()
    # The one that the report's headline is of; which remedy to take is the validation set's to say.
    worst = report.worst()
    attribute = _attribute(report, recipe.remedy_by) if recipe.remedy_by else worst[0] if worst else ""
    most = _MOST if recipe.remedy == "auto" else None
    try:
        found = compare_remedies(run, recipe, examples, model, attribute, gap=recipe.remedy_gap, most=most)
    except DataError as error:
        if recipe.remedy != "auto":
            raise
        return _say(f"No remedies were compared: {error}.")
    if recipe.remedy in ("auto", "compare"):
        found.record()
    else:
        found.export(found.suggested if recipe.remedy == "suggested" else _named(found, recipe.remedy))
    return found


def _say(sentence: str) -> Page:
    return Page(f"<p>{escape(sentence)}</p>", sentence)


def _attribute(report: BiasReport, text: str) -> str:
    """Return the attribute, or the intersection in whatever order, that a recipe names."""
    names = [name.strip() for name in text.split("|")]
    for attribute in report.attributes:
        if sorted(report.groups(attribute).columns) == sorted(names):
            return attribute
    return report.groups(CROSS.join(names)).name


def _named(found: Remedies, remedy: str) -> str:
    """Return the full name of the remedy that a recipe names."""
    for name in found.names:
        if name.startswith(NAMES[remedy]):
            return name
    have = ", ".join(key for key, start in NAMES.items() if any(name.startswith(start) for name in found.names))
    raise DataError(
        f"remedy={remedy!r} does not suit the gap in {found.gap} by {shown(found.attribute)} here; "
        f"choose one of: {have}, suggested, compare"
    )
