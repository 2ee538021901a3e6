"""Remedies for gaps between groups: compared on the test set, chosen on the validation set, exported with the model."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tunebook import group_offsets, group_thresholds, reductions
from tunebook.comparison import GAP_WORDS
from tunebook.decision_files import note_decision
from tunebook.errors import DataError, TunebookError, did_you_mean, shown
from tunebook.group_assignment import Assignment
from tunebook.labels import decide
from tunebook.outcomes import read_outcomes
from tunebook.remedy_choice import GroupFigures, choose, cross_predict, make_folds, weigh
from tunebook.remedy_effects import AS_TUNED, Effect, Shift, measure_effect
from tunebook.remedy_files import FILE, Application, Rule, load
from tunebook.remedy_json import as_json, plain_effect
from tunebook.threshold_rule import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from torch import nn

    from tunebook.bias import BiasReport
    from tunebook.decision import Decision
    from tunebook.examples import Examples
    from tunebook.figures import Picture
    from tunebook.head_features import LinearHead
    from tunebook.recipe import Recipe
    from tunebook.runs import Run
    from tunebook.tasks.base import Model

__all__ = ["AS_TUNED", "Application", "Remedies", "Remedy", "compare_remedies", "load"]

#: Gaps that remedies can be sought for.
GAPS = tuple(group_thresholds.CONSTRAINTS)
_BINARY = 2
#: Each tail of a 95 % interval.
_TAIL = 0.025
#: Groups that a note names, at most.
_NAMED = 5
_SPLITS = ("validation", "test")


@dataclass(frozen=True)
class Remedy:
    """
    One way to treat groups alike.

    Attributes
    ----------
    name
        What it is called.
    how
        How it was found, in a sentence.
    predicted
        Split -> class numbers, shape (n,). Of validation: by what was fitted without the example, where it was fitted
        on validation examples.
    rule
        What it does to scores; ``None`` where it is in the weights.
    head
        Weights of the head; ``None`` where it is a rule, or a run of its own.
    can_export
        Whether it can be exported with this run's model.
    """

    name: str
    how: str
    predicted: dict[str, np.ndarray]
    rule: Rule | None = None
    head: LinearHead | None = None
    can_export: bool = True


@dataclass(frozen=True)
class _Split:
    """One split's predictions of the model as tuned."""

    rows: np.ndarray
    ids: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    codes: np.ndarray


@dataclass(frozen=True)
class _Setting:
    """What all remedies of one comparison share."""

    run: Run
    report: BiasReport
    attribute: str
    gap: str
    assignment: Assignment
    splits: dict[str, _Split]
    figures: GroupFigures
    positive: int
    folds: np.ndarray
    decision: Decision | None

    @property
    def minimum(self) -> int:
        return self.report.settings.minimum

    @property
    def groups(self) -> tuple[str, ...]:
        return self.assignment.groups


class Remedies:
    """
    Remedies compared with each other and with the model as tuned; made by :func:`compare_remedies`.

    Attributes
    ----------
    attribute, gap
        By which groups are divided, and which gap is to be closed.
    names
        Names of the remedies, ``"as tuned"`` first.
    notes
        What a reader must know: what was left out, and why.
    suggested
        The remedy that the validation examples speak for: of those that cost no more accuracy than a standard error the
        one with the smallest gap.
    """

    def __init__(self, setting: _Setting, remedies: list[Remedy], notes: list[str], model: _Exporter | None) -> None:
        self._setting, self._model = setting, model
        self._remedies = {remedy.name: remedy for remedy in remedies}
        self.attribute, self.gap = setting.attribute, setting.gap
        self.names = list(self._remedies)
        self.notes = notes
        self._effects: dict[tuple[str, str], Effect] = {}
        of = setting.splits["validation"]
        judged = [setting.figures.judge(r.predicted["validation"], of.truth, of.codes) for r in remedies]
        found = choose([one[0] for one in judged], [one[1] for one in judged], len(of.truth), least=judged[0][0])
        self.suggested = self.names[found]

    @property
    def run(self) -> Run:
        """The run whose model they are of."""
        return self._setting.run

    @property
    def report(self) -> BiasReport:
        """The bias report of the run."""
        return self._setting.report

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits on which their effects are known."""
        return tuple(self._setting.splits)

    def remedy(self, name: str) -> Remedy:
        """
        Return a remedy by its name.

        Raises
        ------
        DataError
            There is none of that name.
        """
        if name not in self._remedies:
            hint = did_you_mean(name, self._remedies)
            raise DataError(f"no remedy {shown(name)}{hint}; there are: {', '.join(map(repr, self._remedies))}")
        return self._remedies[name]

    def effect(self, name: str, split: str = "test") -> Effect:
        """
        Return what a remedy does on a split; kept once measured.

        Raises
        ------
        DataError
            There is no such remedy or split.
        """
        remedy, setting = self.remedy(name), self._setting
        if split not in setting.splits:
            raise DataError(f"no split {shown(split)}; there are: {', '.join(setting.splits)}")
        if (name, split) not in self._effects:
            of, settings = setting.splits[split], setting.report.settings
            self._effects[name, split] = measure_effect(
                name, split, self.gap, setting.report.groups(self.attribute), of.rows, setting.report.classes,
                of.truth, of.predicted, remedy.predicted[split], positive=setting.report.positive,
                minimum=settings.minimum, draws=settings.draws, seed=settings.seed,
            )  # fmt: skip
        return self._effects[name, split]

    def effects(self, split: str = "test") -> list[Effect]:
        """Return what each remedy does on a split."""
        return [self.effect(name, split) for name in self.names]

    def table(self, split: str = "test") -> pd.DataFrame:
        """
        Tabulate the remedies.

        Returns
        -------
        pandas.DataFrame
            Indexed by remedy: ``accuracy``, ``gap`` and ``best-off group`` (the accuracy of the group that was best off
            as tuned), each with ``low`` and ``high``; ``gap change`` and ``best-off change`` against the model as
            tuned, on the same examples, with theirs; ``worst-off group``. NaN is undefined. ``attrs`` has the names of
            both groups.
        """
        rows: dict[str, dict[str, float]] = {}
        for effect in self.effects(split):
            change, gap = effect.change, effect.gap
            nothing = 0.0 if effect.name == AS_TUNED else np.nan
            row = {"accuracy": effect.overall.value, "accuracy low": effect.overall.low}
            row |= {"accuracy high": effect.overall.high}
            row |= {"gap": gap.difference, "gap low": gap.low, "gap high": gap.high}
            row |= {
                "gap change": change.change if change else nothing,
                "gap change low": change.low if change else nothing,
                "gap change high": change.high if change else nothing,
            }
            row |= _columns("best-off", effect.best_off)
            row |= {"worst-off group": effect.worst_off.value if effect.worst_off else np.nan}
            rows[effect.name] = row
        table = pd.DataFrame.from_dict(rows, orient="index")
        table.index.name = "remedy"
        first = self.effect(AS_TUNED, split)
        table.attrs = {
            "best-off group": first.best_off.group if first.best_off else "",
            "worst-off group": first.worst_off.group if first.worst_off else "",
        }
        return table

    def frontier(self, split: str = "test") -> Picture:
        """Draw accuracy against the gap: each remedy a labelled point with its 95 % intervals, and the Pareto front."""
        from tunebook.remedy_figures import frontier  # noqa: PLC0415

        return frontier(self.effects(split), self.attribute, self.suggested)

    def sentences(self, split: str = "test") -> list[str]:
        """Say what each remedy does, and what it costs the group that was best off."""
        return [effect.sentence(self.attribute) for effect in self.effects(split)]

    def advice(self) -> str:
        """Say which remedy the validation examples speak for, and how clearly."""
        if self.suggested == AS_TUNED:
            return "On the validation set no remedy narrows the gap without costing accuracy."
        change = self.effect(self.suggested, "validation").change
        # Of several remedies one looks good by chance: each has to be as much clearer as there are more (Bonferroni).
        several = max(len(self.names) - 1, 1)
        wider = NormalDist().inv_cdf(1.0 - _TAIL / several) / NormalDist().inv_cdf(1.0 - _TAIL)
        if change is not None and change.change + wider * (change.high - change.change) < 0.0:
            return f"The validation set speaks for “{self.suggested}”."
        return (
            f"On the validation set “{self.suggested}” comes out first, but no more clearly than chance makes it; "
            "with more validation examples it would show."
        )

    # What is kept.

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, as documented in ``docs/mitigation.md``; ``None`` is undefined."""
        return as_json(self)

    def save(self, folder: Path) -> None:
        """
        Write ``remedies.json``, ``remedies.csv`` and ``remedies.png``, each whole or not at all.

        Raises
        ------
        StorageError
            A file cannot be written.
        """
        from tunebook.spreadsheets import write_csv  # noqa: PLC0415
        from tunebook.storage import write_json  # noqa: PLC0415

        write_json(folder / "remedies.json", self.to_json(), durable=False)
        write_csv(self.table().reset_index(), folder / "remedies.csv")
        self.frontier().save(folder / "remedies.png")

    def export(self, name: str) -> Path:
        """
        Put a remedy into the run's ``model`` folder.

        A rule on scores is written beside the weights as ``remedy.json``; a head replaces the one in the weights, and
        ``remedy.json`` says so. ``"as tuned"`` puts everything back.

        Parameters
        ----------
        name
            One of :attr:`names`.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        DataError
            There is no such remedy, or it cannot be exported here.
        StorageError
            The folder cannot be written.
        """
        remedy, folder = self.remedy(name), self._setting.run.path / "model"
        if not remedy.can_export:
            raise DataError(f"remedy {shown(name)} is a run of its own, with its own model; use that one")
        self._write(name, remedy, folder)
        self.record()
        return folder

    def _write(self, name: str, remedy: Remedy, folder: Path) -> None:
        application = None if name == AS_TUNED else self.application(name)
        is_changed = (folder / FILE).is_file() and load(folder).rule is None
        if remedy.head is None and not is_changed:
            if application is not None:
                application.save(folder)
            else:
                _remove(folder / FILE)
            return
        if self._model is None:
            raise DataError(
                "the exported model's head was replaced by another remedy; to put back its own, give compare_remedies "
                "the recipe, the examples and the model"
            )
        self._model.write(folder, remedy.head, application)

    def record(self) -> None:
        """
        Write what was compared, and what is exported, into the run's report, its ``bias.html`` and its model card.

        Raises
        ------
        StorageError
            A file cannot be written.
        """
        from tunebook.card import put_mitigation  # noqa: PLC0415
        from tunebook.remedy_page import put_section  # noqa: PLC0415
        from tunebook.storage import write_text  # noqa: PLC0415

        found, folder = self.to_json(), self.run.path
        self.save(folder / "report")
        for file, put in ((folder / "report" / "bias.html", put_section), (folder / "README.md", put_mitigation)):
            if file.is_file():
                write_text(file, put(file.read_text(encoding="utf-8"), found))

    def application(self, name: str) -> Application:
        """Return a remedy as :func:`load` would read it after :meth:`export`."""
        remedy, setting = self.remedy(name), self._setting
        details = {
            "how_found": remedy.how,
            "fitted": {"run": setting.run.name, "gap": self.gap, "validation": len(setting.splits["validation"].rows)},
            "effect": plain_effect(self.effect(name)),
        }
        return Application(
            name, setting.report.classes, setting.assignment, remedy.rule, details, decision=setting.decision
        )

    def __repr__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ANN401, ARG002
        from tunebook.remedy_cell import mime_bundle  # noqa: PLC0415

        return mime_bundle(self.to_json(), self.frontier())


def _columns(name: str, shift: Shift | None) -> dict[str, float]:
    values = (
        [np.nan] * 6
        if shift is None
        else [shift.value, shift.low, shift.high, shift.change, shift.change_low, shift.change_high]
    )
    columns = (f"{name} group", f"{name} low", f"{name} high")
    changes = (f"{name} change", f"{name} change low", f"{name} change high")
    return dict(zip((*columns, *changes), values, strict=True))


def _remove(file: Path) -> None:
    from tunebook.storage import storage_error  # noqa: PLC0415

    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(file, error) from error


class _Exporter:
    """Writes the model of a run with one head or another."""

    def __init__(
        self,
        recipe: Recipe,
        examples: Examples,
        model: Model,
        classifier: nn.Linear,
        decision: Mapping[str, Any] | None,
    ) -> None:
        self._recipe, self._examples, self._model, self._classifier = recipe, examples, model, classifier
        self._decision = decision

    def write(self, folder: Path, head: LinearHead | None, application: Application | None) -> None:
        from contextlib import nullcontext  # noqa: PLC0415

        from tunebook.head_features import replaced  # noqa: PLC0415
        from tunebook.storage import replacing_folder  # noqa: PLC0415
        from tunebook.tasks import get_task  # noqa: PLC0415

        task = get_task(self._recipe.task)
        with replaced(self._classifier, head) if head is not None else nullcontext(), replacing_folder(folder) as new:
            task.export(self._model, self._examples.classes, self._recipe, new)
            note_decision(new, self._examples.classes, self._decision)
            if application is not None:
                application.save(new)


def compare_remedies(
    run: Run,
    recipe: Recipe | None = None,
    examples: Examples | None = None,
    model: Model | None = None,
    attribute: str = "",
    *,
    gap: str = "accuracy",
    others: Mapping[str, Run] | None = None,
    most: int | None = None,
) -> Remedies:
    """
    Fit every remedy that suits, and compare them with the model as tuned.

    What acts on scores is fitted on validation examples, heads on training examples and chosen on validation examples.
    Test examples decide nothing: they are what is reported. Takes seconds where features are cached.

    Parameters
    ----------
    run
        A finished run.
    recipe, examples, model
        Those of the run, for remedies that fit the head again; without them there are those on scores alone. The model
        gets the weights of the run's best epoch.
    attribute
        A sensitive attribute or an intersection of the bias report; empty takes the one with the largest gap.
    gap
        The gap that is to be closed: ``"accuracy"``, ``"macro_f1"``, ``"demographic_parity"``, ``"equalized_odds"`` or
        ``"equal_opportunity"``.
    others
        Finished runs on the same examples, by the name to show them under, such as those with ``mitigate``.
    most
        Training examples up to which heads are fitted again; ``None`` is any number.

    Raises
    ------
    DataError
        There are no scores, no groups to compare, examples may have several classes, or the parts do not fit.
    StorageError
        The run is not finished, or cannot be read.
    """
    setting = _set(run, attribute, gap)
    notes: list[str] = []
    tuned = {name: of.predicted for name, of in setting.splits.items()}
    found = [Remedy(AS_TUNED, "The model as it was tuned.", tuned)]
    exporter = None
    if recipe is None or examples is None or model is None:
        notes.append("No head was fitted again: that needs the recipe, the examples and the model.")
    elif most is not None and len(examples.rows("train")) > most:
        notes.append(
            f"No head was fitted again, which may take minutes with more than {most:,} training examples; "
            "with remedy='compare' it is."
        )
    else:
        try:
            heads, exporter = _heads(setting, recipe, examples, model, notes)
            found += heads
        except TunebookError as error:
            notes.append(f"No head was fitted again: {error}")
    found += _rules(setting, notes)
    found += [_other(setting, name, other) for name, other in (others or {}).items()]
    return Remedies(setting, found, notes, exporter)


def _set(run: Run, attribute: str, gap: str) -> _Setting:
    if gap not in GAPS:
        raise DataError(f"no remedy for the gap {shown(gap)}{did_you_mean(gap, GAPS)}; there are: {', '.join(GAPS)}")
    finished = run.report()
    report = finished.bias()
    if report.multi_label:
        raise DataError(
            "remedies are compared where an example has one class, and these have several; "
            "mitigate='reweight' in the recipe trains the whole model with weights of groups"
        )
    if not attribute:
        worst = report.worst("validation" if "validation" in report.splits else "")
        if worst is None:
            raise DataError(
                "no attribute has two groups large enough to compare; name a sensitive column in the recipe"
            )
        attribute = worst[0]
    assignment = Assignment.of_report(report, attribute)
    missing = [name for name in _SPLITS if name not in report.splits]
    if missing:
        raise DataError(f"run {run.name} has no predictions of the {missing[0]} set; remedies need it")
    splits = {name: _read(report, attribute, name, run) for name in _SPLITS}
    groups = report.groups(attribute)
    counts = np.bincount(splits["validation"].codes, minlength=len(groups.names))
    large = (counts >= report.settings.minimum) & ~groups.is_pooled
    if large.sum() < _BINARY:
        raise DataError(
            f"attribute {shown(attribute)}: fewer than two groups have {report.settings.minimum} validation examples, "
            "so nothing can be fitted; use one with larger groups, or a larger validation_fraction"
        )
    positive = report.classes.index(report.positive) if report.positive else -1
    figures = GroupFigures(len(report.classes), gap, positive, large)
    of = splits["validation"]
    folds = make_folds(of.truth, of.codes, report.settings.seed)
    return _Setting(run, report, attribute, gap, assignment, splits, figures, positive, folds, finished.decision)


def _read(report: BiasReport, attribute: str, split: str, run: Run) -> _Split:
    table = report.predictions
    outcomes = read_outcomes(table, split, [report.models[-1]], report.classes, multi_label=False)
    rows = outcomes.rows
    column = table["scores"].iloc[rows] if "scores" in table else None
    if column is None or column.isna().any() or not len(column):
        raise DataError(f"run {run.name} has no scores of the {split} set; remedies need the probability of each class")
    scores = np.stack(column.to_list()).astype(np.float64)
    if not np.isfinite(scores).all():
        raise DataError(f"run {run.name} has scores that are not finite; train it again with a smaller lr")
    codes = report.groups(attribute).codes[rows]
    return _Split(rows, table["id"].iloc[rows].to_numpy(), outcomes.truth, outcomes.predicted[0], scores, codes)


# Rules on scores.


def _rules(setting: _Setting, notes: list[str]) -> Iterator[Remedy]:
    of = setting.splits["validation"]
    folds, number, minimum = setting.folds, len(setting.groups), setting.minimum
    present = np.bincount(of.codes, minlength=number) > 0
    small = [f"“{setting.groups[k]}”" for k in np.flatnonzero(~setting.figures.counts & present)]
    if small:
        more = f" and {len(small) - _NAMED} more" if len(small) > _NAMED else ""
        notes.append(f"Too small on validation, so no rule of their own: {', '.join(small[:_NAMED])}{more}.")

    def calibrate(rows: np.ndarray) -> Rule:
        return group_offsets.fit_calibration(
            of.scores[rows], of.truth[rows], of.codes[rows], number, _share(minimum, rows, of), setting.decision
        )

    if setting.positive >= 0:

        def threshold(rows: np.ndarray) -> Rule:
            found, left = group_thresholds.fit_thresholds(
                of.scores[rows], of.truth[rows], of.codes[rows], number, positive=setting.positive, gap=setting.gap,
                minimum=_share(minimum, rows, of),
                own=PLAIN if setting.decision is None else setting.decision.threshold,
            )  # fmt: skip
            one_class = [setting.groups[k] for k in left if setting.figures.counts[k]]
            if one_class and len(rows) == len(of.truth):
                notes.append(f"All of one class on validation, so no thresholds: “{one_class[0]}”.")
            return found

        word = group_thresholds.CONSTRAINTS[setting.gap].replace("_", " ").replace("equalized", "equalised")
        how = f"Fairlearn's ThresholdOptimizer, {word}, fitted on validation."
        try:
            yield _rule(setting, f"thresholds, {word}", how, threshold, folds)
        except DataError as error:
            notes.append(str(error))
    how = "Temperature and class offsets for each group, by maximum likelihood on validation."
    yield _rule(setting, "calibration by group", how, calibrate, folds)
    if len(setting.report.classes) <= group_offsets.MOST_CLASSES:
        yield _best_offsets(setting, calibrate, folds)
    else:
        notes.append(f"Offsets are searched with up to {group_offsets.MOST_CLASSES} classes.")


def _share(minimum: int, rows: np.ndarray, of: _Split) -> int:
    """Return the fewest examples of a group in a part: one that counts must not fall out of it."""
    return max(1, int(minimum * len(rows) / len(of.truth)) - 2) if len(rows) < len(of.truth) else minimum


def _rule(setting: _Setting, name: str, how: str, fit: Callable[[np.ndarray], Rule], folds: np.ndarray) -> Remedy:
    of, test = setting.splits["validation"], setting.splits["test"]
    rule = fit(np.arange(len(of.truth)))
    crossed = cross_predict(folds, lambda rows, left: fit(rows).predict(of.scores[left], of.codes[left]))
    predicted = {"validation": crossed, "test": rule.predict(test.scores, test.codes)}
    return Remedy(name, how, predicted, rule)


def _best_offsets(setting: _Setting, calibrate: Callable[[np.ndarray], Rule], folds: np.ndarray) -> Remedy:
    of, several = setting.splits["validation"], []

    def searching(strength: float) -> Callable[[np.ndarray], Rule]:
        def fit(rows: np.ndarray) -> Rule:
            start = calibrate(rows)
            assert isinstance(start, group_offsets.Offsets)  # noqa: S101 - as calibration is
            return group_offsets.fit_offsets(
                start, of.scores[rows], of.truth[rows], of.codes[rows], setting.figures, strength
            )

        return fit

    word = GAP_WORDS[setting.gap]
    for strength in group_offsets.STRENGTHS:
        how = (
            f"Class offsets for each group that close the gap in {word}, fitted on validation; a point of the gap "
            f"counts as {strength:g} of accuracy, as cross-validation chose."
        )
        several.append(_rule(setting, f"offsets by group, {word}", how, searching(strength), folds))
    judged = [setting.figures.judge(one.predicted["validation"], of.truth, of.codes) for one in several]
    return several[weigh([one[0] for one in judged], [one[1] for one in judged])]


# Heads and whole runs.


def _heads(
    setting: _Setting, recipe: Recipe, examples: Examples, model: Model, notes: list[str]
) -> tuple[list[Remedy], _Exporter]:
    from tunebook.checkpoints import Checkpoints  # noqa: PLC0415
    from tunebook.head_features import read_features  # noqa: PLC0415

    checkpoints = Checkpoints(setting.run.path / "checkpoints")
    weights, _ = checkpoints.load_best()
    try:
        model.module.load_state_dict(weights)
    except RuntimeError:
        raise DataError(f"the model is not that of run {setting.run.name}; load it by the run's own recipe") from None
    place = pd.Series(np.arange(len(examples)), index=examples.frame["id"].to_numpy())
    of = setting.splits["validation"]
    rows = {name: _find(place, split.ids) for name, split in setting.splits.items()}
    train = examples.rows("train")
    found = read_features(
        recipe, examples, model, [train, rows["validation"], rows["test"]], of.predicted, setting.decision
    )
    features = dict(zip(("train", *_SPLITS), found.rows, strict=True))
    codes = setting.assignment.codes(examples.frame.iloc[train])
    problem = reductions.HeadProblem(
        features["train"], examples.targets()[train], codes, features["validation"], of.truth, of.codes,
        setting.figures, setting.positive, setting.folds, setting.decision,
    )  # fmt: skip
    several = []
    for one in reductions.fit_heads(problem, setting.gap):
        if one.head is None:
            notes.append(one.how)
            continue
        of_test = decide(one.head.scores(features["test"]), multi_label=False, decision=setting.decision)
        said = {"validation": one.predicted, "test": of_test}
        several.append(Remedy(one.name, one.how, said, head=one.head))
    return several, _Exporter(recipe, examples, model, found.classifier, setting.run.report().metrics.get("decision"))


def _find(place: pd.Series, ids: np.ndarray) -> np.ndarray:
    found = place.reindex(ids)
    if found.isna().any():
        raise DataError("the examples are not those of the run: some that it predicted are missing; load them again")
    return found.to_numpy().astype(np.int64)


def _other(setting: _Setting, name: str, run: Run) -> Remedy:
    report = run.report()
    if tuple(report.classes) != tuple(setting.report.classes):
        raise DataError(f"run {run.name} has other classes than run {setting.run.name}; compare runs on the same data")
    table = report.predictions
    table = table[table["model"] == "tuned"]
    said = pd.Series(pd.Index(report.classes).get_indexer(pd.Index(table["prediction"])), index=table["id"].to_numpy())
    predicted = {}
    for split, of in setting.splits.items():
        if not pd.Index(of.ids).isin(said.index).all():
            raise DataError(f"run {run.name} has other {split} examples than run {setting.run.name}; use the same seed")
        predicted[split] = said.reindex(of.ids).to_numpy().astype(np.int64)
    mitigate = run.recipe().get("parameters", {}).get("mitigate", "none")
    return Remedy(name, f"Run {run.name}, trained with mitigate={mitigate!r}.", predicted, can_export=False)
