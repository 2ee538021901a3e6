"""Groups compared: what each metric is in each group, with its interval, and how far groups are apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tunebook.chance import Clearest, clearest_gap
from tunebook.group_calibration import calibration_error, count_confidence
from tunebook.group_cells import GroupCells, count_cells, count_patterns
from tunebook.group_metrics import Metric, OutcomeSums, divided, macro_f1, metric_list, rates
from tunebook.intervals import centred, change_interval, error_interval, gap_interval, gap_size, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.groups import Groups
    from tunebook.outcomes import Outcomes

#: Fewest examples with which a group counts in the worst-case figures, and of which a rate is one.
MINIMUM, FEWEST_OF_A_RATE = 20, 5
#: Draws from which intervals and p-values come.
DRAWS = 1_000
#: Gaps between groups: name -> metrics of which the largest difference counts.
GAPS = {
    "accuracy": ("accuracy",),
    "macro_f1": ("macro_f1",),
    "demographic_parity": ("selection_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
    "equal_opportunity": ("true_positive_rate",),
    "calibration_error": ("calibration_error",),
}
#: What a gap is called in words.
GAP_WORDS = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "demographic_parity": "demographic parity",
    "equalized_odds": "equalised odds",
    "equal_opportunity": "equal opportunity",
    "calibration_error": "calibration error",
}
#: Gaps that are asked for among examples of the same truth: their labels are exchanged within it.
_GIVEN_TRUTH = frozenset({"equalized_odds", "equal_opportunity"})
#: Figures that the draws of one comparison hold, at most.
_MOST_FIGURES = 40_000_000
_BINARY = 2


@dataclass(frozen=True)
class Pair:
    """
    Two groups and what a metric is in them.

    Attributes
    ----------
    metric
        The metric.
    lowest, highest
        Names of the group with the smaller and the larger value.
    lowest_value, highest_value
        The metric in them.
    """

    metric: Metric
    lowest: str
    highest: str
    lowest_value: float
    highest_value: float

    @property
    def difference(self) -> float:
        """How far they are apart."""
        return self.highest_value - self.lowest_value


@dataclass(frozen=True)
class Gap:
    """
    How far groups are apart in one respect, for one model.

    Attributes
    ----------
    name
        One of :data:`GAPS`.
    label
        The class that is looked at against the rest; empty for the worst class, or for what concerns no class.
    model
        Name of the model.
    difference, low, high
        Largest difference between two groups and its 95 % interval, 0 to 1; NaN is undefined.
    ratio, ratio_low, ratio_high
        Smallest value of a group divided by the largest, and its interval, 0 to 1.
    p
        Chance of a gap between any two groups that is as clear as the clearest one where groups do not matter, by
        permutation of the group labels, see :func:`tunebook.chance.clearest_gap`.
    widest
        The two groups that are farthest apart: their difference is :attr:`difference`; ``None`` where it is undefined.
    clearest
        The two groups whose gap is least like chance; often the same.
    groups
        Number of groups that take part.
    """

    name: str
    label: str
    model: str
    difference: float = np.nan
    low: float = np.nan
    high: float = np.nan
    ratio: float = np.nan
    ratio_low: float = np.nan
    ratio_high: float = np.nan
    p: float = np.nan
    widest: Pair | None = None
    clearest: Pair | None = None
    groups: int = 0


@dataclass(frozen=True)
class Change:
    """
    How a gap changed from the baseline to the tuned model, measured on the same examples.

    Attributes
    ----------
    name, label
        As in :class:`Gap`.
    before, after
        The difference in both models.
    change, low, high
        ``after - before`` and its 95 % interval, -1 to 1; NaN is undefined.
    """

    name: str
    label: str
    before: float
    after: float
    change: float
    low: float
    high: float


class Comparison:
    """
    One split's predictions compared by one attribute.

    Parameters
    ----------
    groups
        How the attribute divides examples; of a table of which ``rows`` are this split's.
    outcomes
        What the models said.
    rows
        Row of each example in ``groups``, shape (n,).
    positive
        With two classes: the one that rates are of; empty takes each class of more than two.
    minimum
        Fewest examples with which a group counts in worst-case figures.
    draws
        Number of draws for intervals and p-values; fewer are made where a table is very large.
    seed
        Of all that is drawn.
    """

    def __init__(
        self,
        groups: Groups,
        outcomes: Outcomes,
        rows: np.ndarray,
        *,
        positive: str = "",
        minimum: int = MINIMUM,
        draws: int = DRAWS,
        seed: int = 0,
    ) -> None:
        self.groups, self.outcomes, self.positive, self.minimum = groups, outcomes, positive, minimum
        self.metrics = metric_list(outcomes.classes)
        self._place = {metric: k for k, metric in enumerate(self.metrics)}
        self._codes = groups.codes[rows]
        self._number = len(groups.names)
        self._wanted, self._seed = draws, seed
        self.counts = np.bincount(self._codes, minlength=self._number)
        self._fewest = min(FEWEST_OF_A_RATE, max(minimum, 1))
        self._null: dict[tuple[int, str], np.ndarray] = {}
        self._paired, self._sums = self._cells(range(len(outcomes.models)))
        per_model = [sums(self._paired.counts) for sums in self._sums]
        self._calibration = (
            count_confidence(self._codes, self._number, outcomes.certainty) if outcomes.certainty else None
        )
        shares = [rates(sums) for sums in per_model]
        #: Numerators and denominators of the rates, shape (models, groups, rates).
        self.numerators, self.denominators = (np.stack([share[k] for share in shares]) for k in range(2))
        #: Every metric, shape (models, groups, metrics); NaN is undefined.
        self.figures = np.stack([self._measure(sums, k) for k, sums in enumerate(per_model)])
        #: Which of them count in worst-case figures, same shape.
        self.counted = self._counted()

    # What is measured.

    def _cells(self, models: Sequence[int] | range) -> tuple[GroupCells, list[OutcomeSums]]:
        """Count outcomes of some models together."""
        outcomes, classes = self.outcomes, len(self.outcomes.classes)
        predicted = [outcomes.predicted[k] for k in models]
        if outcomes.multi_label:
            cells = count_patterns(self._codes, self._number, np.concatenate([outcomes.truth, *predicted], axis=1))
            parts = np.split(cells.outcomes, 1 + len(predicted), axis=1)
            return cells, [OutcomeSums(parts[0], part, classes) for part in parts[1:]]
        # One more than there are classes: what is of no known class is right nowhere.
        columns = [np.where(column < 0, classes, column) for column in (outcomes.truth, *predicted)]
        cells = count_cells(self._codes, self._number, columns, [classes + 1] * len(columns))
        truth = cells.outcomes[:, 0]
        return cells, [OutcomeSums(truth, cells.outcomes[:, k + 1], classes) for k in range(len(predicted))]

    def _measure(self, sums: np.ndarray, model: int) -> np.ndarray:
        numerators, denominators = rates(sums)
        error = np.full(sums.shape[:-1], np.nan)
        if self._calibration is not None:
            error = calibration_error(self._calibration.gaps(self._calibration.cells.counts, model))
        values = divided(numerators, denominators)
        return np.concatenate([values, macro_f1(sums)[..., None], error[..., None]], axis=-1)

    def _counted(self) -> np.ndarray:
        large = (self.counts >= self.minimum) & ~self.groups.is_pooled
        found: np.ndarray = np.broadcast_to(large[None, :, None], self.figures.shape) & ~np.isnan(self.figures)
        found[..., :-2] &= self.denominators >= self._fewest
        return found

    @property
    def is_small(self) -> np.ndarray:
        """Which groups are too small for worst-case figures, shape (groups,), bool."""
        found: np.ndarray = self.counts < self.minimum
        return found

    def column(self, name: str, label: str = "") -> int:
        """Return the place of a metric in the last axis of :attr:`figures`."""
        return self._place[Metric(name, label)]

    # What chance would make of it.

    @cached_property
    def draws(self) -> np.ndarray:
        """Every metric of each model in examples drawn again, shape (draws, models, groups, metrics), float32."""
        models = len(self.outcomes.models)
        number = self._paired.draws_within(self._wanted)
        number = max(min(number, _MOST_FIGURES // max(self.figures.size, 1)), min(number, 200))
        found = np.full((number, models, self._number, len(self.metrics)), np.nan, np.float32)
        rng = np.random.default_rng([self._seed, 43])
        for group, counts in enumerate(self._paired.resample(number, rng)):
            for model, sums in enumerate(self._sums):
                drawn = sums(counts)
                found[:, model, group, :-2] = divided(*rates(drawn))
                found[:, model, group, -2] = macro_f1(drawn)
        for (model, group), gaps in self._error_draws.items():
            found[:, model, group, -1] = np.resize(calibration_error(gaps), number)
        return found

    @cached_property
    def _error_draws(self) -> dict[tuple[int, int], np.ndarray]:
        """Gaps by bin in examples drawn again, for each model and group, shape (draws, bins)."""
        if self._calibration is None:
            return {}
        rng = np.random.default_rng([self._seed, 47])
        number = self._calibration.cells.draws_within(self._wanted)
        return {
            (model, group): self._calibration.gaps(counts, model, group)
            for group, counts in enumerate(self._calibration.cells.resample(number, rng))
            for model in range(len(self.outcomes.models))
        }

    @cached_property
    def intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of the 95 % intervals of :attr:`figures`: Wilson's for rates, the others from draws."""
        low, high = (np.full(self.figures.shape, np.nan) for _ in range(2))
        low[..., :-2], high[..., :-2] = wilson(self.numerators, self.denominators)
        f1 = centred(self.figures[..., -2], self.draws[..., -2])
        low[..., -2], high[..., -2] = (np.clip(end, 0.0, 1.0) for end in f1)
        if self._calibration is not None:
            counts = self._calibration.cells.counts
            for (model, group), drawn in self._error_draws.items():
                gaps = self._calibration.gaps(counts[group], model, group)
                low[model, group, -1], high[model, group, -1] = error_interval(gaps, drawn)
        return low, high

    def _permuted(self, model: int, kind: str) -> np.ndarray:
        """Return the metrics of the groups that are large enough with their labels exchanged; kept once made."""
        if (model, kind) not in self._null:
            self._null[model, kind] = self._permute(model, kind)
        return self._null[model, kind]

    def _permute(self, model: int, kind: str) -> np.ndarray:
        large = np.flatnonzero((self.counts >= self.minimum) & ~self.groups.is_pooled)
        seeds = {"any": 53, "given truth": 59, "calibration": 61}
        rng = np.random.default_rng([self._seed, seeds[kind], model])
        if kind == "calibration":
            single = count_confidence(self._codes, self._number, [self.outcomes.certainty[model]])
            cells = GroupCells(single.cells.counts[large], single.cells.outcomes)
            counts = cells.permute(cells.draws_within(self._wanted), rng)
            found = np.full((*counts.shape[:2], len(self.metrics)), np.nan)
            found[..., -1] = calibration_error(single.gaps(counts, 0, large))
            return found
        whole, (sums,) = self._cells([model])
        cells = GroupCells(whole.counts[large], whole.outcomes)
        strata = None
        if kind == "given truth":
            width = len(self.outcomes.classes) if self.outcomes.multi_label else 1
            strata = np.unique(whole.outcomes[:, :width], axis=0, return_inverse=True)[1].reshape(-1)
        drawn = sums(cells.permute(cells.draws_within(self._wanted), rng, strata))
        return np.concatenate(
            [divided(*rates(drawn)), macro_f1(drawn)[..., None], np.full((*drawn.shape[:2], 1), np.nan)], axis=-1
        )

    # How far groups are apart.

    def labels(self, name: str) -> list[str]:
        """Return for which classes a gap is measured: none; the positive one; or each, after ``""`` for the worst."""
        if GAPS[name][0] not in {metric.name for metric in self.metrics if metric.label}:
            return [""]
        return [self.positive] if self.positive else ["", *self.outcomes.classes]

    def _columns(self, name: str, label: str) -> np.ndarray:
        return np.array([
            k for k, metric in enumerate(self.metrics)
            if metric.name in GAPS[name] and (metric.label == label or not label)
        ])  # fmt: skip

    def gap(self, name: str, label: str = "", model: int = -1) -> Gap:
        """
        Measure how far groups are apart.

        Parameters
        ----------
        name
            One of :data:`GAPS`.
        label
            A class; empty for the worst one.
        model
            Number of the model.
        """
        model %= len(self.outcomes.models)
        columns = self._columns(name, label)
        counted = self.counted[model][:, columns]
        values = np.where(counted, self.figures[model][:, columns], np.nan)
        found = Gap(name, label, self.outcomes.models[model], groups=int(counted.any(axis=1).sum()))
        if np.isnan(gap_size(values)):
            return found
        each = np.array([gap_size(values[:, k : k + 1]) for k in range(len(columns))])
        worst = int(np.nanargmax(each))
        widest = int(np.nanargmin(values[:, worst])), int(np.nanargmax(values[:, worst]))
        difference = float(each[worst])
        clearest = self._clearest(name, model, columns, values)
        low, high = gap_interval(values, self.draws[:, model][:, :, columns])
        # The widest gap is no smaller than any other, and so than what is certain of the clearest.
        low = min(max(low, clearest.least), difference)
        ratio, ratio_low, ratio_high = _ratios(values, difference, low, high)
        return Gap(
            name, label, found.model, difference, low, high, ratio, ratio_low, ratio_high, clearest.p,
            self._pair(model, columns[worst], *widest),
            self._pair(model, columns[clearest.column], clearest.lower, clearest.upper), found.groups,
        )  # fmt: skip

    def _pair(self, model: int, column: int, lower: int, upper: int) -> Pair:
        names, figures = self.groups.names, self.figures[model, :, column]
        return Pair(self.metrics[column], names[lower], names[upper], float(figures[lower]), float(figures[upper]))

    def _clearest(self, name: str, model: int, columns: np.ndarray, values: np.ndarray) -> Clearest:
        kind = "given truth" if name in _GIVEN_TRUTH else "calibration" if name == "calibration_error" else "any"
        large = np.flatnonzero((self.counts >= self.minimum) & ~self.groups.is_pooled)
        found = clearest_gap(values[large], self._permuted(model, kind)[:, :, columns])
        return replace(found, lower=int(large[found.lower]), upper=int(large[found.upper]))

    def change(self, name: str, label: str = "") -> Change | None:
        """Measure how a gap changed from the first model to the last; ``None`` where there is one model only."""
        if len(self.outcomes.models) < _BINARY:
            return None
        columns = self._columns(name, label)
        values = [np.where(self.counted[k][:, columns], self.figures[k][:, columns], np.nan) for k in (0, -1)]
        draws = [self.draws[:, k][:, :, columns] for k in (0, -1)]
        before, after = (float(gap_size(one)) for one in values)
        low, high = change_interval((values[0], draws[0]), (values[1], draws[1]))
        return Change(name, label, before, after, after - before, low, high)


def _ratios(values: np.ndarray, difference: float, low: float, high: float) -> tuple[float, float, float]:
    """Return the smallest ratio of two groups over some metrics, and its interval from that of the difference."""
    known = (~np.isnan(values)).sum(axis=0) > 1
    smallest, largest = np.nanmin(values[:, known], axis=0), np.nanmax(values[:, known], axis=0)
    ratio = divided(smallest, largest)
    if np.isnan(ratio).all():
        return np.nan, np.nan, np.nan
    place = int(np.nanargmin(ratio))
    middle = (smallest[place] + largest[place]) / 2.0
    half = (largest[place] - smallest[place]) / 2.0
    # Its middle held still, the ratio follows from how much larger or smaller the difference may be.
    factors = [end / difference if difference > 0.0 else np.nan for end in (high, low)]
    halves = [
        half * factor if difference > 0.0 else end / 2.0 for factor, end in zip(factors, (high, low), strict=True)
    ]
    ends = [float(np.clip((middle - h) / (middle + h), 0.0, 1.0)) if middle + h > 0 else np.nan for h in halves]
    return float(ratio[place]), ends[0], ends[1]
