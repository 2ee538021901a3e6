"""What trials of a search share: examples, the model as it was loaded, and the reader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tunebook import tasks
from tunebook.workflow import check, load_examples, load_model

if TYPE_CHECKING:
    from torch import Tensor

    from tunebook.examples import Examples
    from tunebook.recipe import Recipe
    from tunebook.tasks.base import Model, Reader

#: What the loop alone looks at: trials that differ in nothing else share model and reader.
_OF_THE_LOOP = frozenset({
    "freeze", "unfreeze", "class_weights", "sampler", "label_smoothing", "weight_decay", "clip_norm", "epochs", "lr",
    "layer_decay", "schedule", "warmup", "patience", "monitor", "device", "precision", "cache", "extractor",
    "on_memory", "feature_precision", "log_every", "checkpoint_seconds", "onnx", "run", "runs_dir", "resume", "replay",
    "threshold", "positive", "mitigate", "mitigate_by", "remedy", "remedy_gap", "remedy_by",
})  # fmt: skip


class Shared(NamedTuple):
    """
    What a trial trains with.

    Attributes
    ----------
    examples, model, reader
        As :func:`tunebook.load_examples`, :func:`tunebook.load_model` and the task's reader would give them new.
    """

    examples: Examples
    model: Model
    reader: Reader


class Materials:
    """
    Loads for each trial what it needs, and only what the trial before has not left.

    Training changes a model. It is put back to how it was loaded, weights, statistics and dropout
    rates to the bit, so that a trial does not depend on those before it.

    Parameters
    ----------
    recipe
        The search's recipe.
    examples
        Its examples after the checks; loaded and checked when not given.
    """

    def __init__(self, recipe: Recipe, examples: Examples | None = None) -> None:
        self._examples: dict[str, Examples] = {}
        if examples is not None:
            self._examples[examples_key(recipe)] = examples
        self._model: tuple[str, Model, dict[str, Tensor], list[float]] | None = None
        self._reader: tuple[str, Reader] | None = None
        #: How often each was made, for those who want to know what sharing saved.
        self.made = {"examples": 0, "model": 0, "reader": 0}

    def examples(self, recipe: Recipe) -> Examples:
        """
        Return a recipe's examples, checked, with bad ones dropped.

        Raises
        ------
        DataError
            They cannot be had, or the checks found problems and ``on_problem`` is ``"stop"``.
        """
        key = examples_key(recipe)
        if key not in self._examples:
            self.made["examples"] += 1
            self._examples[key] = checked_examples(recipe)
        return self._examples[key]

    def take(self, recipe: Recipe) -> Shared:
        """
        Return what a trial trains with; what was taken before must no longer be used.

        Raises
        ------
        TunebookError
            Data or model cannot be had, or a freeze does not fit the model.
        """
        examples = self.examples(recipe)
        model = self._taken_model(recipe, examples)
        key = reader_key(recipe)
        if self._reader is None or self._reader[0] != key:
            self._reader = None  # two would take the memory of two
            self.made["reader"] += 1
            self._reader = key, tasks.get_task(recipe.task).reader(examples, recipe, model)
        return Shared(examples, model, self._reader[1])

    def reader(self, recipe: Recipe, shared: Shared) -> Reader:
        """Return a reader whose batches are a recipe's, for what was taken with another one that has the same model."""
        key = reader_key(recipe)
        if self._reader is None or self._reader[0] != key:
            self.made["reader"] += 1
            self._reader = key, tasks.get_task(recipe.task).reader(shared.examples, recipe, shared.model)
        return self._reader[1]

    def _taken_model(self, recipe: Recipe, examples: Examples) -> Model:
        key = model_key(recipe)
        if self._model is None or self._model[0] != key:
            self._model = self._reader = None  # a reader belongs to its model
            self.made["model"] += 1
            model = load_model(recipe, examples)
            state = {name: value.detach().clone() for name, value in model.module.state_dict().items()}
            self._model = key, model, state, _rates(model)
            return model
        _, model, state, rates = self._model
        model.module.load_state_dict(state)
        model.module.zero_grad(set_to_none=True)
        for site, rate in zip(model.dropout.sites, rates, strict=True):
            setattr(model.module.get_submodule(site.module_name), site.attribute, rate)
        model.dropout.apply(recipe.dropout_rates())
        for freeze in (recipe.freeze, *(freeze for _, freeze in recipe.unfreeze)):
            model.stages.frozen_by(freeze)
        return model


def checked_examples(recipe: Recipe) -> Examples:
    """Return a recipe's examples after the checks; bad ones are dropped, or raise, as its ``on_problem`` says."""
    examples = load_examples(recipe)
    return check(examples, recipe).resolve(recipe.on_problem)


def examples_key(recipe: Recipe) -> str:
    """Return a text that is the same for recipes with the same examples."""
    return _key(recipe, {name for name, group in _groups(recipe).items() if group == "Data"} | {"seed"})


def model_key(recipe: Recipe) -> str:
    """Return a text that is the same for recipes whose model, as loaded, differs in dropout rates at most."""
    groups = _groups(recipe)
    names = {name for name, group in groups.items() if group in {"Data", "Model"}} - {"freeze", "unfreeze"}
    # A rate that is not given is the model's own, which is lost once another has been set.
    given = [rate is not None for rate in recipe.dropout_rates().values()]
    return f"{_key(recipe, names | {'seed'})} {given}"


def reader_key(recipe: Recipe) -> str:
    """Return a text that is the same for recipes whose reader gives the same batches."""
    names = set(type(recipe).model_fields) - _OF_THE_LOOP - dropout_names(type(recipe))
    return f"{_key(recipe, names)} {model_key(recipe)}"


def dropout_names(recipe_class: type[Recipe]) -> frozenset[str]:
    """Return the parameters that are nothing but a rate of dropout."""
    defaults = recipe_class()
    found = set()
    for name, group in _groups(defaults).items():
        value = getattr(defaults, name)
        if group == "Regularisation" and (value is None or isinstance(value, float)):
            rates = defaults.changed(**{name: 0.625}).dropout_rates()
            if rates != defaults.dropout_rates():
                found.add(name)
    return frozenset(found)


def _groups(recipe: Recipe) -> dict[str, str]:
    found = {}
    for name, info in type(recipe).model_fields.items():
        extra = info.json_schema_extra
        found[name] = str(extra.get("group", "")) if isinstance(extra, dict) else ""
    return found


def _key(recipe: Recipe, names: set[str]) -> str:
    values: dict[str, Any] = recipe.model_dump(mode="json")
    return json.dumps({name: values[name] for name in sorted(names)}, sort_keys=True)


def _rates(model: Model) -> list[float]:
    return [getattr(model.module.get_submodule(site.module_name), site.attribute) for site in model.dropout.sites]
