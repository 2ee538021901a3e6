"""The bias report: whom a model is worse for, by how much, whether by more than chance, and what tuning changed."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

from tunebook import bias_figures, bias_mistakes, bias_remarks, bias_tables, bias_words
from tunebook.bias_input import SCHEMA, Settings, model_names, occurring_classes
from tunebook.comparison import GAPS, Change, Comparison, Gap
from tunebook.errors import DataError, did_you_mean, shown
from tunebook.fairness import PREFIX, attributes
from tunebook.group_metrics import BY_CLASS, WHOLE, Metric
from tunebook.groups import Groups, cross_groups, make_groups
from tunebook.names import plain_name
from tunebook.outcomes import Outcomes, read_outcomes
from tunebook.said_labels import require_columns, require_one_task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from tunebook.examples import Examples
    from tunebook.figures import Page, Picture

__all__ = ["SCHEMA", "BiasReport", "Settings"]

#: Splits in the order in which they are reported.
_SPLITS = ("test", "validation")
#: Attributes that are crossed with each other; more would give more tables than anybody reads.
_MOST_CROSSED = 4
#: Classes up to which gaps are measured for each of them, and not for the worst alone.
_MOST_CLASSES = 20
_BINARY = 2


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
        There are no predictions, they are not of one task, or the settings name what is not there.
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
        require_columns(self.predictions)
        self.classes = (
            tuple(classes) if classes is not None else occurring_classes(self.predictions, multi_label=multi_label)
        )
        #: Names of the models: the baseline, if there is one, then the one that the report is about.
        self.models = model_names(self.predictions)
        require_one_task(self.predictions, self.classes, multi_label=multi_label)
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
        wanted = plain_name(self.settings.positive)
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
        return bias_tables.by_metric(self, attribute, metric, split, label)

    def gaps_table(self, attribute: str, split: str = "") -> pd.DataFrame:
        """
        Tabulate the gaps of an attribute: each of them, with a class where it concerns one.

        Returns
        -------
        pandas.DataFrame
            Indexed by the gap in words: ``lowest`` and ``highest`` group, ``difference`` with ``low`` and ``high``,
            ``ratio``, ``p``; with a baseline ``before``, ``change``, ``change low``, ``change high``.
        """
        return bias_tables.of_gaps(self, attribute, split)

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
        return bias_tables.by_group(self, split)

    def single_attributes(self) -> list[str]:
        """Return the attributes without their intersections."""
        return [name for name, groups in self._groups.items() if groups.kind != "intersection"]

    def long_table(self) -> pd.DataFrame:
        """Return every figure of every group, one a row: what ``bias.csv`` holds."""
        return bias_tables.of_figures(self)

    # Words and pictures.

    def headline(self, split: str = "") -> str:
        """Say in a sentence or two for whom the model is worse."""
        gaps = {attribute: self.gap(attribute, "accuracy", split) for attribute in self.attributes}
        return bias_words.headline(gaps, self.single_attributes())

    def sentences(self, attribute: str, split: str = "") -> list[str]:
        """Say what an attribute's gaps are, what tuning made of them, and which groups could not be compared."""
        return bias_remarks.sentences(self, attribute, split)

    def remarks(self, attribute: str, split: str = "") -> list[str]:
        """Say what a reader must know of an attribute: bins, missing values, small groups, where it comes from."""
        return bias_remarks.remarks(self, attribute, split)

    def general_remarks(self, split: str = "") -> list[str]:
        """Say what holds for all attributes: classes without examples, missing scores, rows left out."""
        return bias_remarks.general_remarks(self, split)

    def figure(self, attribute: str, metric: str = "accuracy", split: str = "", label: str = "") -> Picture:
        """Draw a metric by group with its 95 % intervals, the baseline hollow and the tuned model filled."""
        return bias_figures.dots(self, attribute, metric, split, label)

    def arrows(self, split: str = "") -> Picture:
        """Draw each attribute's gaps before and after tuning."""
        return bias_figures.arrows(self, split)

    def heat_map(self, attribute: str, metric: str = "accuracy", split: str = "", label: str = "") -> Picture:
        """Draw a metric over an intersection of two attributes."""
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
        return bias_mistakes.worst_mistakes(self, count, self._split(split))

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
        return bias_mistakes.gallery(self, examples, task, count, self._split(split))

    # Files.

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, as documented in ``docs/bias.md``; what is undefined is ``None``."""
        from tunebook.bias_json import as_json  # noqa: PLC0415

        return as_json(self)

    def save(self, folder: Path, gallery: Picture | Page | None = None) -> None:
        """
        Write ``bias.html``, ``bias.json`` and ``bias.csv``, all of them whole or none.

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
        from tunebook.spreadsheets import csv_text  # noqa: PLC0415
        from tunebook.storage import json_text, write_texts  # noqa: PLC0415

        texts = {
            folder / "bias.json": json_text(self.to_json()),
            folder / "bias.csv": csv_text(self.long_table()),
            folder / "bias.html": write_page(self, gallery),
        }
        write_texts(texts, durable=False)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ANN401, ARG002
        from tunebook.bias_bundle import mime_bundle  # noqa: PLC0415

        return mime_bundle(self)

    def __repr__(self) -> str:
        lines = [self.headline()]
        for attribute in self.attributes:
            lines += [f"{attribute}:", *(f"  {sentence}" for sentence in self.sentences(attribute))]
        return "\n".join(lines)

    def many_classes(self) -> bool:
        """Whether there are too many classes to measure gaps for each of them."""
        return len(self.classes) > _MOST_CLASSES
