"""The bias report: whom a model is worse for, by how much, whether by more than chance, and what tuning changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tunebook import bias_words
from tunebook.comparison import DRAWS, GAP_WORDS, GAPS, MINIMUM, Change, Comparison, Gap
from tunebook.errors import DataError, did_you_mean, shown
from tunebook.fairness import PREFIX, attributes
from tunebook.group_metrics import BY_CLASS, WHOLE, Metric
from tunebook.groups import Groups, cross_groups, make_groups
from tunebook.outcomes import Outcomes, read_outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tunebook.examples import Examples
    from tunebook.figures import Page, Picture

#: Version of the form of ``bias.json``.
SCHEMA = "tunebook-bias/1"
#: Splits in the order in which they are reported.
_SPLITS = ("test", "validation")
#: Attributes that are crossed with each other; more would give more tables than anybody reads.
_MOST_CROSSED = 4
#: Classes up to which gaps are measured for each of them, and not for the worst alone.
_MOST_CLASSES = 20
_BINARY = 2


@dataclass(frozen=True)
class Settings:
    """
    How groups are compared.

    Attributes
    ----------
    minimum
        Fewest examples with which a group counts in worst-case figures, at least 1.
    draws
        Draws for intervals and p-values, at least 200.
    seed
        Of all that is drawn.
    positive
        With two classes: the one that rates are of; empty takes the last.
    derived
        Attribute -> how it was worked out, of those that were not recorded.
    notes
        What a reader must know of the data; one sentence each.
    source
        What the predictions are of, in words.
    tuned
        Whether the second of two models is the first one tuned.
    """

    minimum: int = MINIMUM
    draws: int = DRAWS
    seed: int = 0
    positive: str = ""
    derived: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    source: str = ""
    tuned: bool = True


class BiasReport:
    """
    Predictions compared between groups.

    Parameters
    ----------
    predictions
        As ``predictions.parquet``: ``model``, ``id``, ``split``, ``truth``, ``prediction``, one column ``group_<name>``
        for each sensitive attribute, and, for calibration, ``confidence`` and ``scores``.
    classes
        Class names; those that occur when not given.
    multi_label
        Whether truth and prediction name any number of classes, see :mod:`tunebook.labels`.
    settings
        How groups are compared.

    Raises
    ------
    DataError
        There are no predictions, or the settings name what is not there.
    """

    def __init__(
        self,
        predictions: pd.DataFrame,
        classes: Sequence[str] | None = None,
        *,
        multi_label: bool = False,
        settings: Settings | None = None,
    ) -> None:
        self.predictions = predictions.reset_index(drop=True)
        self.settings = settings or Settings()
        self.multi_label = multi_label
        if not len(self.predictions):
            msg = "there are no predictions to compare; give a table with at least one row"
            raise DataError(msg)
        self.classes = tuple(classes) if classes is not None else _occurring(self.predictions, multi_label=multi_label)
        #: Names of the models: the baseline, if there is one, then the one that the report is about.
        self.models = _models(self.predictions)
        present = set(self.predictions["split"].unique())
        #: Names of the splits, the most important first.
        self.splits = [name for name in _SPLITS if name in present] + sorted(present - set(_SPLITS))
        self.positive = self._positive()
        self._groups = self._divide()
        self._outcomes: dict[str, Outcomes] = {}
        self._comparisons: dict[tuple[str, str], Comparison] = {}
        self._gaps: dict[tuple[str, str, str, str, int], Gap] = {}
        self._changes: dict[tuple[str, str, str, str], Change | None] = {}

    def _positive(self) -> str:
        wanted = self.settings.positive
        if wanted and wanted not in self.classes:
            hint = did_you_mean(wanted, self.classes)
            msg = f"positive class {shown(wanted)}: no such class{hint}; there are {', '.join(self.classes[:12])}"
            raise DataError(msg)
        if self.multi_label or len(self.classes) != _BINARY:
            return wanted
        return wanted or self.classes[-1]

    def _divide(self) -> dict[str, Groups]:
        single = {
            name: make_groups(name, self.predictions[PREFIX + name], self.settings.derived.get(name, ""))
            for name in attributes(self.predictions)
        }
        several = [groups for groups in single.values() if len(groups.names) > 1][:_MOST_CROSSED]
        crossed = [cross_groups(pair) for pair in combinations(several, 2)]
        return {**single, **{groups.name: groups for groups in crossed}}

    # What is compared.

    @property
    def attributes(self) -> list[str]:
        """Names of the attributes, then of their intersections in pairs, named by both."""
        return list(self._groups)

    def groups(self, attribute: str) -> Groups:
        """
        Return how an attribute divides the examples.

        Raises
        ------
        DataError
            There is no such attribute.
        """
        if attribute not in self._groups:
            hint = did_you_mean(attribute, self._groups)
            have = ", ".join(map(repr, self._groups)) or "none"
            raise DataError(f"no sensitive attribute {shown(attribute)}{hint}; there are: {have}")
        return self._groups[attribute]

    def comparison(self, attribute: str, split: str = "") -> Comparison:
        """
        Return the figures of one attribute on one split; kept once made.

        Raises
        ------
        DataError
            There is no such attribute or split.
        """
        groups, split = self.groups(attribute), self._split(split)
        if (attribute, split) not in self._comparisons:
            if split not in self._outcomes:
                self._outcomes[split] = read_outcomes(
                    self.predictions, split, self.models, self.classes, multi_label=self.multi_label
                )
            outcomes = self._outcomes[split]
            self._comparisons[attribute, split] = Comparison(
                groups, outcomes, outcomes.rows, positive=self.positive, minimum=self.settings.minimum,
                draws=self.settings.draws, seed=self.settings.seed,
            )  # fmt: skip
        return self._comparisons[attribute, split]

    def _split(self, split: str) -> str:
        if split and split not in self.splits:
            raise DataError(f"no predictions of split {shown(split)}; there are: {', '.join(self.splits)}")
        return split or self.splits[0]

    def gap(
        self, attribute: str, name: str = "accuracy", split: str = "", label: str | None = None, model: int = -1
    ) -> Gap:
        """
        Return how far groups are apart.

        Parameters
        ----------
        attribute
            One of :attr:`attributes`.
        name
            One of :data:`tunebook.comparison.GAPS`.
        split
            ``"test"``, ``"validation"``; empty is the first of :attr:`splits`.
        label
            A class; empty for the worst of several; ``None`` for the positive one of two, or the worst of more.
        model
            Number of the model in :attr:`models`.

        Raises
        ------
        DataError
            There is no such attribute, gap, split or class.
        """
        split = self._split(split)
        comparison = self.comparison(attribute, split)
        label = self._label(comparison, name, label)
        key = (attribute, name, split, label, model % len(self.models))
        if key not in self._gaps:
            self._gaps[key] = comparison.gap(name, label, model)
        return self._gaps[key]

    def change(
        self, attribute: str, name: str = "accuracy", split: str = "", label: str | None = None
    ) -> Change | None:
        """Return how a gap changed with tuning, see :meth:`gap`; ``None`` where there is no baseline."""
        split = self._split(split)
        comparison = self.comparison(attribute, split)
        label = self._label(comparison, name, label)
        key = (attribute, name, split, label)
        if key not in self._changes:
            self._changes[key] = comparison.change(name, label)
        return self._changes[key]

    def _label(self, comparison: Comparison, name: str, label: str | None) -> str:
        if name not in GAPS:
            raise DataError(f"no gap {shown(name)}{did_you_mean(name, GAPS)}; there are: {', '.join(GAPS)}")
        if label and label not in self.classes:
            hint = did_you_mean(label, self.classes)
            raise DataError(f"no class {shown(label)}{hint}; there are: {', '.join(self.classes[:12])}")
        return comparison.labels(name)[0] if label is None else label

    # Tables.

    def metric_names(self) -> list[str]:
        """Return the metrics that :meth:`table` and :meth:`figure` take."""
        return [*WHOLE, *BY_CLASS]

    def metric(self, name: str, label: str = "") -> Metric:
        """
        Return a metric by its name; of a rate without a class the positive or the first one's.

        Raises
        ------
        DataError
            There is no such metric or class.
        """
        if name == "recall":  # of one class against the rest they are the same
            name = "true_positive_rate"
        if name not in (*WHOLE, *BY_CLASS):
            hint = did_you_mean(name, (*WHOLE, *BY_CLASS))
            raise DataError(f"no metric {shown(name)}{hint}; there are: {', '.join((*WHOLE, *BY_CLASS))}")
        if name in WHOLE:
            return Metric(name)
        label = label or self.positive or self.classes[0]
        if label not in self.classes:
            hint = did_you_mean(label, self.classes)
            raise DataError(f"no class {shown(label)}{hint}; there are: {', '.join(self.classes[:12])}")
        return Metric(name, label)

    def table(self, attribute: str, metric: str = "accuracy", split: str = "", label: str = "") -> pd.DataFrame:
        """
        Tabulate a metric by group.

        Parameters
        ----------
        attribute
            One of :attr:`attributes`.
        metric
            One of :meth:`metric_names`.
        split
            ``"test"``, ``"validation"``; empty is the first of :attr:`splits`.
        label
            The class that a rate is of; the positive or first one when empty.

        Returns
        -------
        pandas.DataFrame
            One row a group that occurs: ``n``; ``counted``, whether it is large enough for worst-case figures; then for
            each model ``<model>``, ``<model> low`` and ``<model> high``. NaN is undefined.

        Raises
        ------
        DataError
            There is no such attribute, metric, split or class.
        """
        comparison = self.comparison(attribute, split)
        wanted = self.metric(metric, label)
        column = comparison.column(wanted.name, wanted.label)
        low, high = comparison.intervals
        table = pd.DataFrame({"n": comparison.counts, "counted": comparison.counted[-1, :, column]})
        for k, model in enumerate(self.models):
            table[model] = comparison.figures[k, :, column]
            table[f"{model} low"], table[f"{model} high"] = low[k, :, column], high[k, :, column]
        table.index = pd.Index(comparison.groups.names, name=attribute)
        return table[comparison.counts > 0]

    def gaps_table(self, attribute: str, split: str = "") -> pd.DataFrame:
        """
        Tabulate the gaps of an attribute: each of them, with a class where it concerns one.

        Returns
        -------
        pandas.DataFrame
            Indexed by the gap in words: ``lowest`` and ``highest`` group, ``difference`` with ``low`` and ``high``,
            ``ratio``, ``p``; with a baseline ``before``, ``change``, ``change low``, ``change high``.
        """
        rows = {}
        for name in self.gap_names(attribute, split):
            gap, change = self.gap(attribute, name, split), self.change(attribute, name, split)
            row: dict[str, Any] = {
                "lowest": gap.widest.lowest if gap.widest else "", "highest": gap.widest.highest if gap.widest else "",
                "of": gap.widest.metric.label if gap.widest else "",
                "difference": gap.difference, "low": gap.low, "high": gap.high, "ratio": gap.ratio, "p": gap.p,
            }  # fmt: skip
            if change is not None:
                row |= {
                    "before": change.before, "change": change.change, "change low": change.low,
                    "change high": change.high,
                }  # fmt: skip
            rows[GAP_WORDS[name]] = row
        return pd.DataFrame.from_dict(rows, orient="index")

    def gap_names(self, attribute: str, split: str = "") -> list[str]:
        """Return the gaps that can be asked for: all, but that of calibration where there are no scores."""
        has_scores = bool(self.comparison(attribute, split).outcomes.certainty)
        return [name for name in GAPS if has_scores or name != "calibration_error"]

    def by_group(self, split: str = "") -> pd.DataFrame:
        """
        Tabulate accuracy by group, of every single attribute.

        Returns
        -------
        pandas.DataFrame
            Indexed by attribute and group: ``n``, ``baseline accuracy`` (NaN without one), ``tuned accuracy``, the ends
            of its 95 % interval ``low`` and ``high``, and the ``change``. Empty without sensitive attributes.
        """
        found = []
        for attribute in self.single_attributes():
            table = self.table(attribute, "accuracy", split)
            last = self.models[-1]
            before = table[self.models[0]] if len(self.models) > 1 else pd.Series(np.nan, index=table.index)
            tidied = pd.DataFrame({
                "n": table["n"], "baseline accuracy": before, "tuned accuracy": table[last],
                "low": table[f"{last} low"], "high": table[f"{last} high"], "change": table[last] - before,
            })  # fmt: skip
            tidied.index = pd.MultiIndex.from_product([[attribute], table.index], names=["attribute", "group"])
            found.append(tidied)
        columns = ["n", "baseline accuracy", "tuned accuracy", "low", "high", "change"]
        return pd.concat(found) if found else pd.DataFrame(columns=columns)

    def single_attributes(self) -> list[str]:
        """Return the attributes without their intersections."""
        return [name for name, groups in self._groups.items() if groups.kind != "intersection"]

    def long_table(self) -> pd.DataFrame:
        """Return every figure of every group, one a row: what ``bias.csv`` holds."""
        rows = []
        for split in self.splits:
            for attribute in self.attributes:
                comparison = self.comparison(attribute, split)
                low, high = comparison.intervals
                for k, model in enumerate(self.models):
                    for group in np.flatnonzero(comparison.counts):
                        head = (split, attribute, comparison.groups.names[group], int(comparison.counts[group]), model)
                        rows += [
                            (*head, metric.name, metric.label, comparison.figures[k, group, m], low[k, group, m],
                             high[k, group, m], bool(comparison.counted[k, group, m]))
                            for m, metric in enumerate(comparison.metrics)
                        ]  # fmt: skip
        columns = [
            "split", "attribute", "group", "n", "model", "metric", "class", "value", "low", "high", "counted"
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)

    # Words and pictures.

    def headline(self, split: str = "") -> str:
        """Say in a sentence or two for whom the model is worse."""
        gaps = {attribute: self.gap(attribute, "accuracy", split) for attribute in self.attributes}
        return bias_words.headline(gaps, self.single_attributes())

    def sentences(self, attribute: str, split: str = "") -> list[str]:
        """Say what an attribute's gaps are, what tuning made of them, and which groups could not be compared."""
        said = []
        for name in self.gap_names(attribute, split):
            sentence = bias_words.gap_sentence(self.gap(attribute, name, split))
            # Macro-F1 says much the same as accuracy, and equal opportunity is half of equalised odds.
            if sentence and name not in ("macro_f1", "equal_opportunity"):
                said += [
                    " ".join(
                        filter(
                            None,
                            (
                                sentence,
                                bias_words.change_sentence(
                                    self.change(attribute, name, split), tuned=self.settings.tuned
                                ),
                            ),
                        )
                    )
                ]
        return said

    def remarks(self, attribute: str, split: str = "") -> list[str]:
        """Say what a reader must know of an attribute: bins, missing values, small groups, where it comes from."""
        groups, comparison = self.groups(attribute), self.comparison(attribute, split)
        derived = [f"Derived, not recorded: {groups.derived}."] if groups.derived else []
        said = [*derived, *groups.notes, *bias_words.notes_on_groups(comparison)]
        return [*said, *self._differences(groups)]

    def _differences(self, groups: Groups) -> list[str]:
        """Say which groups are in one split and not in another."""
        if groups.kind == "intersection" or len(self.splits) < 2:  # noqa: PLR2004
            return []
        splits = self.predictions["split"].to_numpy()
        occurs = {split: groups.counts(np.flatnonzero(splits == split)) > 0 for split in self.splits}
        said = []
        for split, present in occurs.items():
            only = [bias_words.name_group(groups.names[k]) for k in np.flatnonzero(~present)]
            if only and present.any():
                listed = ", ".join(only[:5]) + (f" and {len(only) - 5} more" if len(only) > 5 else "")  # noqa: PLR2004
                said.append(f"Not in the {split} set: {listed}.")
        return said

    def general_remarks(self, split: str = "") -> list[str]:
        """Say what holds for all attributes: classes without examples, missing scores, rows left out."""
        if not self.attributes:
            return []
        comparison = self.comparison(self.attributes[0], split)
        said = bias_words.notes_on_outcomes(comparison)
        if comparison.outcomes.left_out:
            said.append(f"{comparison.outcomes.left_out:,} rows have no prediction of each model and were left out.")
        compared = sum(self.gap(attribute, "accuracy", split).widest is not None for attribute in self.attributes)
        if compared > 1:
            said.append(
                f"Each p-value is of one gap alone; of {compared} attributes and intersections without any true gap "
                f"about {compared * bias_words.UNLIKELY:.1f} would fall below {bias_words.UNLIKELY}."
            )
        return said

    def figure(self, attribute: str, metric: str = "accuracy", split: str = "", label: str = "") -> Picture:
        """Draw a metric by group with its 95 % intervals, the baseline hollow and the tuned model filled."""
        from tunebook import bias_figures  # noqa: PLC0415

        return bias_figures.dots(self, attribute, metric, split, label)

    def arrows(self, split: str = "") -> Picture:
        """Draw each attribute's gaps before and after tuning."""
        from tunebook import bias_figures  # noqa: PLC0415

        return bias_figures.arrows(self, split)

    def heat_map(self, attribute: str, metric: str = "accuracy", split: str = "", label: str = "") -> Picture:
        """Draw a metric over an intersection of two attributes."""
        from tunebook import bias_figures  # noqa: PLC0415

        return bias_figures.heat_map(self, attribute, metric, split, label)

    def worst(self, split: str = "") -> tuple[str, str] | None:
        """Return the attribute with the largest gap in accuracy, clear ones first, and the worse group of it."""
        gaps = [(name, self.gap(name, "accuracy", split)) for name in self.single_attributes()]
        known = [(name, gap, gap.clearest) for name, gap in gaps if gap.clearest is not None]
        if not known:
            return None
        name, _, pair = max(known, key=lambda found: (found[1].p < bias_words.UNLIKELY, found[1].difference))
        return name, pair.lowest

    def worst_mistakes(self, count: int = 12, split: str = "") -> pd.DataFrame:
        """
        Return the most confident mistakes of the worst group.

        Returns
        -------
        pandas.DataFrame
            Rows of the predictions, the most confident first; empty where no groups can be compared. ``attrs`` has
            ``attribute`` and ``group``.
        """
        split, worst = self._split(split), self.worst(split)
        if worst is None:
            return self.predictions.iloc[:0]
        attribute, group = worst
        comparison = self.comparison(attribute, split)
        outcomes, groups = comparison.outcomes, comparison.groups
        inside = groups.codes[outcomes.rows] == groups.names.index(group)
        wrong = np.flatnonzero(inside & ~outcomes.right(len(self.models) - 1))
        rows = self.predictions.iloc[outcomes.rows[wrong]]
        sure = np.zeros(len(wrong))
        if outcomes.certainty:
            how_sure, right = outcomes.certainty[-1]
            sure = np.where(right, 0.0, how_sure).max(axis=1)[wrong]
        found = rows.assign(confidence=sure).sort_values(["confidence", "id"], ascending=[False, True], kind="stable")
        found = found.head(count)
        found.attrs.update(attribute=attribute, group=group)
        return found

    def mistakes(self, examples: Examples, task: str, count: int = 12, split: str = "") -> Picture | Page | None:
        """
        Show the most confident mistakes of the worst group as pictures or texts; ``None`` where there are none.

        Parameters
        ----------
        examples
            Those that the predictions are of.
        task
            Name of their task.
        count, split
            How many at most, and of which split.
        """
        from tunebook.tasks import get_task  # noqa: PLC0415

        rows = self.worst_mistakes(count, split)
        place = {name: k for k, name in enumerate(examples.frame["id"])}
        known = rows[rows["id"].isin(place)]
        if not len(known):
            return None
        said = zip(*(known[c].tolist() for c in ("prediction", "confidence", "truth")), strict=True)
        captions = [f"{prediction or 'none'} {sure:.0%}\nis {truth or 'none'}" for prediction, sure, truth in said]
        title = f"Most confident mistakes of {bias_words.name_group(rows.attrs['group'])}, {self._split(split)} set"
        return get_task(task).gallery(examples, [place[i] for i in known["id"]], captions, title)

    # Files.

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, as documented in ``docs/bias.md``; what is undefined is ``None``."""
        from tunebook.bias_json import as_json  # noqa: PLC0415

        return as_json(self)

    def save(self, folder: Path, gallery: Picture | Page | None = None) -> None:
        """
        Write ``bias.html``, ``bias.json`` and ``bias.csv``, each whole or not at all.

        Parameters
        ----------
        folder
            Where they go.
        gallery
            From :meth:`mistakes`; without it the page lists those mistakes in a table.

        Raises
        ------
        StorageError
            A file cannot be written.
        """
        from tunebook.bias_page import write_page  # noqa: PLC0415
        from tunebook.spreadsheets import write_csv  # noqa: PLC0415
        from tunebook.storage import write_json, write_text  # noqa: PLC0415

        write_json(folder / "bias.json", self.to_json(), durable=False)
        write_csv(self.long_table(), folder / "bias.csv")
        write_text(folder / "bias.html", write_page(self, gallery), durable=False)

    def __repr__(self) -> str:
        lines = [self.headline()]
        for attribute in self.attributes:
            lines += [f"{attribute}:", *(f"  {sentence}" for sentence in self.sentences(attribute))]
        return "\n".join(lines)

    def many_classes(self) -> bool:
        """Whether there are too many classes to measure gaps for each of them."""
        return len(self.classes) > _MOST_CLASSES


def _occurring(predictions: pd.DataFrame, *, multi_label: bool) -> tuple[str, ...]:
    """Return the classes that occur in truth or prediction, numbers by size and words by the alphabet."""
    from tunebook.labels import split_label  # noqa: PLC0415

    texts = [str(label) for column in ("truth", "prediction") for label in predictions[column].unique()]
    names = {name for text in texts for name in split_label(text)} if multi_label else set(texts)

    def key(name: str) -> tuple[int, float, str]:
        try:
            number = float(name)
        except ValueError:
            return 1, 0.0, name
        return (0, number, name) if np.isfinite(number) else (1, 0.0, name)

    return tuple(sorted(names, key=key))


def _models(predictions: pd.DataFrame) -> list[str]:
    present = [str(name) for name in predictions["model"].unique()]
    if len(present) == 1:
        return present
    if set(present) != {"baseline", "tuned"}:
        msg = f"predictions of the models {', '.join(map(shown, present[:6]))}; give one model, or baseline and tuned"
        raise DataError(msg)
    return ["baseline", "tuned"]
