"""The control panel: one recipe, changed by hand, checked against the model and the data at every change."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tunebook.errors import RecipeError
from tunebook.steps import require
from tunebook.structure import outline
from tunebook_widgets.classes import PARAMETERS, ClassTable
from tunebook_widgets.cost_strip import cost_figures
from tunebook_widgets.fields import fields
from tunebook_widgets.freezing import Plan, gradual
from tunebook_widgets.history import History, changed_names, difference
from tunebook_widgets.layers import LayerTable
from tunebook_widgets.live import LiveRun
from tunebook_widgets.regularisation import DropoutTable
from tunebook_widgets.surroundings import has_kernel, is_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from tunebook.cost import CostModel
    from tunebook.examples import Examples
    from tunebook.figures import Picture
    from tunebook.recipe import Freeze, Recipe
    from tunebook.runs import Run
    from tunebook.tasks.base import Model
    from tunebook.tuning import Tuning
    from tunebook_widgets.view import PanelView


#: Groups of the recipe that have a page each.
PAGES = ("Regularisation", "Schedule")


class ControlPanel:
    """
    Sets by hand which layers train, how classes weigh, how much is dropped and how long it takes.

    As the last line of a cell it shows itself: controls where there is somebody to use them, and a picture and a
    text in every saved notebook. The panel and the parameters cell are two views of one recipe.

    Parameters
    ----------
    recipe
        What to begin with.
    model
        The model that is to be tuned; nothing of it is changed.
    examples
        What it is to be trained on.
    cost
        What a recipe costs, from :func:`tunebook.measure_cost`; measured when the panel is shown, where not given.

    Raises
    ------
    RecipeError
        The recipe does not fit the model or the examples.
    StepError
        Model or examples are of another recipe, or none at all.

    Examples
    --------
    >>> panel = ControlPanel(recipe, network, examples)  # doctest: +SKIP
    >>> panel  # doctest: +SKIP
    >>> tuned = await tunebook.tune(panel.recipe, examples, network)  # doctest: +SKIP
    """

    def __init__(self, recipe: Recipe, model: Model, examples: Examples, cost: CostModel | None = None) -> None:
        require("ControlPanel", {"recipe": recipe, "model": model, "examples": examples})
        self.model, self.examples = model, examples
        self.stages = model.stages
        self.classes = ClassTable(examples)
        self.dropout = DropoutTable(recipe, model)
        self.history = History()
        #: What the last change changed, in words.
        self.said = ""
        self._by: tuple[Hashable, frozenset[str] | None, bool] = (None, None, False)
        self._cost, self._is_measured = cost, cost is not None
        self._recipe = recipe
        self._plan = self._checked(recipe)
        self._live: LiveRun | None = None
        self._listeners: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return self.text()

    @property
    def recipe(self) -> Recipe:
        """The recipe as it stands: always valid, and fit for the model and the examples."""
        return self._recipe

    @property
    def plan(self) -> Plan:
        """What trains from which epoch."""
        return self._plan

    @property
    def live(self) -> LiveRun | None:
        """The run that the panel drives, if any."""
        return self._live

    @cached_property
    def layers(self) -> LayerTable:
        """The rows of the layer view."""
        return LayerTable(outline(self.model), self.stages)

    def change(self, **values: Any) -> None:  # noqa: ANN401
        """
        Change some parameters, as a hand would.

        Parameters
        ----------
        **values
            New values by the names of the recipe's parameters. All are taken, or none.

        Raises
        ------
        RecipeError
            A value is not allowed, or does not fit the model or the examples; the recipe stays as it was.
        """
        self._take(self._recipe.changed(**values))

    def _take(self, recipe: Recipe, *, notes: bool = True) -> None:
        by, allowed, goes_on = self._by
        others = changed_names(self._recipe, recipe) - (
            allowed if allowed is not None else set(type(recipe).model_fields)
        )
        if others:
            msg = f"this control would change {', '.join(sorted(others))} too, so it changed nothing"
            raise RecipeError(msg)
        plan = self._checked(recipe)
        if notes:
            self.history.add(self._recipe, recipe, by, goes_on=goes_on)
        if recipe != self._recipe:
            self.said = difference(self._recipe, recipe)
        self._recipe, self._plan = recipe, plan
        self._tell()

    @contextmanager
    def by_hand(self, by: Hashable, allowed: frozenset[str], *, goes_on: bool = False) -> Iterator[None]:
        """
        Let changes within be those of one control.

        Parameters
        ----------
        by
            What tells it from other controls.
        allowed
            Parameters that it may change; a change of any other one is refused.
        goes_on
            Whether the hand is still at it, so that what follows is the same change.
        """
        before, self._by = self._by, (by, allowed, goes_on)
        try:
            yield
        finally:
            self._by = before

    def undo(self) -> None:
        """
        Take back the last change.

        Raises
        ------
        RecipeError
            There is none, or a run is under way.
        """
        self._turn(self.history.back, "undo")

    def redo(self) -> None:
        """
        Make the change again that was taken back last.

        Raises
        ------
        RecipeError
            There is none, or a run is under way.
        """
        self._turn(self.history.forward, "redo")

    def _turn(self, turn: Callable[[Recipe], Recipe | None], word: str) -> None:
        self._refuse_live(word)
        recipe = turn(self._recipe)
        if recipe is None:
            msg = f"{word}: there is nothing to {word}"
            raise RecipeError(msg)
        self._take(recipe, notes=False)

    def defaults(self) -> None:
        """
        Give all of :attr:`parameters` their defaults.

        Raises
        ------
        RecipeError
            They do not fit the model, or a run is under way.
        """
        self._refuse_live("all defaults")
        self.change(**{name: self.default(name) for name in self.parameters})

    def default(self, name: str) -> Any:  # noqa: ANN401
        """Return a parameter's default."""
        return getattr(self._defaults, name)

    @cached_property
    def _defaults(self) -> Recipe:
        return type(self._recipe)()

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Parameters that have a control: freezing, classes, and the pages of fields."""
        found = fields(type(self._recipe))
        return ("freeze", "unfreeze", *PARAMETERS, *(field.name for page in PAGES for field in found[page]))

    def _refuse_live(self, word: str) -> None:
        if self._live is not None:
            msg = f"{word}: run {self._live.run.path.name} is under way, which keeps its recipe; wait for its end"
            raise RecipeError(msg)

    def _checked(self, recipe: Recipe) -> Plan:
        self.classes.check(recipe)
        self.dropout.check(recipe)
        return Plan.of(self.stages, recipe)

    # What trains: in the plan of the recipe, or in the run that is under way.

    def train(self, rows: Iterable[int], phase: int = 0, *, trains: bool = True) -> None:
        """
        Let some rows of the layer view train from a phase of the plan on, or freeze them up to and with it.

        Parameters
        ----------
        rows
            Numbers of rows of :attr:`layers`.
        phase
            Number of the phase. A run under way has one: now.
        trains
            Whether they train.

        Raises
        ------
        RecipeError
            Nothing would be left to train.
        """
        plan = self.shown_plan()
        self._set_plan(plan.trained(self.layers.parameters(rows), _within(plan, phase), trains=trains))

    def start(self, rows: Iterable[int], epoch: int | None) -> None:
        """
        Let some rows of the layer view train from an epoch on, from 0; ``None`` is never.

        Raises
        ------
        RecipeError
            Nothing would be left to train in some epoch.
        """
        if epoch is not None and not 0 <= epoch < self._recipe.epochs:
            msg = f"unfreeze: epoch {epoch + 1} is not in this run; allowed: 1 to {self._recipe.epochs}"
            raise RecipeError(msg)
        self._set_plan(self._plan.started(self.layers.parameters(rows), epoch))

    def freeze(self, freeze: Freeze, phase: int = 0) -> None:
        """
        Freeze in a phase of the plan as a recipe says it: a word, a number of stages, or patterns.

        Raises
        ------
        RecipeError
            The freeze does not fit the model.
        """
        plan = self.shown_plan()
        self._set_plan(plan.frozen_to(_within(plan, phase), freeze))

    def preset(self, name: str) -> None:
        """
        Take a plan by its name: ``"gradual"``, ``"backbone"`` or ``"none"``.

        Raises
        ------
        RecipeError
            There is no such plan, or it does not fit.
        """
        if name == "gradual":
            values = gradual(self.stages, self._recipe.epochs)
        elif name in {"backbone", "none"}:
            values = {"freeze": name, "unfreeze": []}
        else:
            msg = f"no plan {name!r}; allowed: gradual, backbone, none"
            raise RecipeError(msg)
        if self._live is not None:
            self._send(values["freeze"] if name != "gradual" else self._next_freeze())
        else:
            self.change(**values)

    def _next_freeze(self) -> Freeze:
        return self.shown_plan().extended(1).phases[-1].freeze

    def shown_plan(self) -> Plan:
        """Return the recipe's plan, or what is frozen now in the run that the panel drives."""
        if self._live is None:
            return self._plan
        freeze = self._live.freeze()
        return Plan.of(self.stages, self._recipe.changed(freeze=freeze, unfreeze=[]))

    def set_plan(self, plan: Plan) -> None:
        """
        Take a plan into the recipe.

        Raises
        ------
        RecipeError
            It does not fit, or a run is under way, whose plan stands.
        """
        if self._live is not None:
            msg = f"unfreeze: run {self._live.run.path.name} is under way; freeze and unfreeze act on it now"
            raise RecipeError(msg)
        self._set_plan(plan)

    def _set_plan(self, plan: Plan) -> None:
        if self._live is None:
            self.change(**plan.values())
        else:
            self._send(plan.phases[-1].freeze)

    def _send(self, freeze: Freeze) -> None:
        if self._live is not None:
            self.stages.frozen_by(freeze)
            self._live.send(freeze)
            self._tell()

    # A run under way.

    def attach(self, target: Tuning[Any] | Run) -> None:
        """
        Drive a run: what is frozen or unfrozen in the layer view becomes a command to it.

        Parameters
        ----------
        target
            The training, or its run.
        """
        from tunebook.runs import Run  # noqa: PLC0415

        run = target if isinstance(target, Run) else target.run
        self._live = LiveRun(run, self._recipe)
        self._tell()

    def detach(self) -> None:
        """Let go of the run; the panel changes the recipe of the next one again."""
        self._live = None
        self._tell()

    # What it shows.

    def listen(self, listener: Callable[[], None]) -> None:
        """Have something called whenever the recipe, or the run that is driven, changed."""
        self._listeners.append(listener)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    @property
    def cost(self) -> CostModel | None:
        """What recipes cost, measured when this is first asked for; ``None`` where that cannot be measured."""
        if not self._is_measured:
            from tunebook.workflow import known_cost  # noqa: PLC0415

            self._is_measured = True
            # What does not run once will say why when it is trained; the panel counts parameters all the same.
            self._cost = known_cost(self._recipe, self.examples, self.model)
        return self._cost

    def figures(self) -> dict[str, Any]:
        """Return what the strip of costs shows, as JSON; see :func:`tunebook_widgets.cost_strip.cost_figures`."""
        # A batch run is not held up to measure what nobody will decide by.
        model = self._cost if is_batch() else self.cost
        estimate = model.estimate(self._recipe) if model is not None else None
        return cost_figures(estimate, self._plan, self._recipe)

    def fit(self) -> None:
        """
        Make the change that lets the recipe fit into memory; nothing where it does.

        Raises
        ------
        RecipeError
            The change is not allowed.
        """
        change = self.fitting()
        if change:
            self.change(**change)

    def fitting(self) -> dict[str, Any]:
        """Return the change that lets the recipe fit into memory; empty where it fits or none would do."""
        model = self.cost
        estimate = model.estimate(self._recipe) if model is not None else None
        return dict(estimate.change) if estimate is not None and not estimate.fits else {}

    def cell(self) -> str:
        """Return the parameters cell that gives this recipe."""
        return type(self._recipe).parameters_cell(self._recipe.model_dump())

    def differences(self) -> dict[str, Any]:
        """Return the parameters that are not at their defaults."""
        defaults = type(self._recipe)().model_dump()
        return {name: value for name, value in self._recipe.model_dump().items() if value != defaults[name]}

    def text(self) -> str:
        """Return the table of stages, what differs from the defaults and the cost, as text."""
        table = self.stages.table(self._recipe.freeze, self._recipe.unfreeze)
        table["share"] = table["share"].map("{:.1%}".format)
        table["parameters"] = table["parameters"].map("{:,}".format)
        changed = ", ".join(f"{name}={value!r}" for name, value in self.differences().items()) or "nothing"
        figures = "; ".join(f"{figure['value']} {figure['label']}" for figure in self.figures()["figures"])
        return f"Control panel\n{table.to_string()}\nDiffers from the defaults: {changed}\nCost: {figures}"

    def picture(self) -> Picture:
        """Draw the panel as it stands, with :meth:`text` beside it."""
        from tunebook_widgets.panel_picture import draw  # noqa: PLC0415

        return draw(self)

    @cached_property
    def _view(self) -> PanelView:
        from tunebook_widgets.view import PanelView  # noqa: PLC0415

        return PanelView(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ANN401, ARG002
        if is_batch() or not has_kernel():
            return dict(self.picture()._repr_mimebundle_())
        # The cost is measured before the picture is drawn, so that both show it.
        view = self._view.mimebundle()
        return {**view, **self.picture()._repr_mimebundle_()}


def _within(plan: Plan, phase: int) -> int:
    return max(0, min(phase, len(plan.phases) - 1))
