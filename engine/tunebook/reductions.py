"""Heads fitted again on frozen features so that groups are treated alike: weights, and reductions to weights."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.balance import group_weights
from tunebook.errors import DataError
from tunebook.head_features import LinearHead
from tunebook.labels import decide
from tunebook.metrics import negative_log_likelihood
from tunebook.remedy_choice import cross_predict, weigh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunebook.decision import Decision
    from tunebook.remedy_choice import GroupFigures

#: Gap -> name of Fairlearn's constraint.
CONSTRAINTS = {
    "accuracy": "ErrorRateParity",
    "macro_f1": "ErrorRateParity",
    "equalized_odds": "EqualizedOdds",
    "equal_opportunity": "TruePositiveRateParity",
    "demographic_parity": "DemographicParity",
}
#: Gaps that follow from how well a group is served, for which the worst group can be given more weight.
OF_QUALITY = ("accuracy", "macro_f1")
#: Principal components of the features that are kept; a linear head on them is one on the features.
_MOST_COMPONENTS = 128
#: Inverse strengths of the penalty that are tried.
_PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
#: Rounds of Fairlearn's exponentiated gradient, its slack, and points of its grid.
_ROUNDS, _SLACK, _GRID = 25, 0.01, 21
#: Rounds of the game between groups and head, and how fast weights follow the losses.
_GAME_ROUNDS, _GAME_RATE = 16, 1.0
_BINARY = 2


@dataclass(frozen=True)
class HeadProblem:
    """
    What heads are fitted to, and chosen by.

    Attributes
    ----------
    features, truth, codes
        Of the training examples: shapes (n, d), (n,) and (n,); classes and groups by number, groups below 0 unknown.
    validation_features, validation_truth, validation_codes
        The same of the validation examples, by which penalty and candidate are chosen.
    figures
        What is measured, and which groups count.
    positive
        With two classes, the number of the positive one.
    folds
        Fold of each validation example, shape (m,), from :func:`tunebook.remedy_choice.make_folds`.
    decision
        When the positive one of two classes is said; ``None`` says the most probable class.
    """

    features: np.ndarray
    truth: np.ndarray
    codes: np.ndarray
    validation_features: np.ndarray
    validation_truth: np.ndarray
    validation_codes: np.ndarray
    figures: GroupFigures
    positive: int
    folds: np.ndarray
    decision: Decision | None = None

    @cached_property
    def _space(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean of the features, the map to their components, and the components of the training examples."""
        mean, spread = self.features.mean(axis=0), self.features.std(axis=0)
        scale = np.where(spread > 1e-8, spread, np.inf)  # noqa: PLR2004
        scaled = (self.features - mean) / scale
        count = max(1, min(_MOST_COMPONENTS, len(scaled) // 4, scaled.shape[1]))
        directions = np.linalg.svd(scaled, full_matrices=False)[2][:count]
        to_components = directions.T / scale[:, None]
        return mean, to_components, scaled @ directions.T

    @property
    def components(self) -> np.ndarray:
        """The training examples' principal components, shape (n, at most 128)."""
        return self._space[2]

    def unfold(self, coefficients: np.ndarray, intercept: np.ndarray) -> LinearHead:
        """Turn a classifier of the components into one of the features."""
        mean, to_components, _ = self._space
        if len(coefficients) == 1:  # of two classes: the second against the first
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercept = np.concatenate([np.zeros(1), intercept])
        weight = coefficients @ to_components.T
        return LinearHead(weight, intercept - weight @ mean)

    @cached_property
    def penalty(self) -> float:
        """The inverse strength of the penalty that suits validation examples best without any weights."""
        return min(
            _PENALTIES,
            key=lambda penalty: negative_log_likelihood(
                self.fit(penalty=penalty).scores(self.validation_features), self.validation_truth
            ),
        )

    def estimator(self, penalty: float | None = None) -> Any:  # noqa: ANN401
        """Return scikit-learn's logistic regression with the penalty that suits."""
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

        return LogisticRegression(C=penalty or self.penalty, max_iter=200, tol=1e-3)

    def fit(self, weights: np.ndarray | None = None, penalty: float | None = None) -> LinearHead:
        """Fit a head; ``weights`` is one an example, shape (n,)."""
        with _quiet():
            found = self.estimator(penalty).fit(self.components, self.truth, sample_weight=weights)
        classes = self.figures.classes
        if len(found.classes_) == classes:
            return self.unfold(found.coef_, found.intercept_)
        # A class without training examples: it is never said.
        coefficients, intercept = found.coef_, found.intercept_
        if len(coefficients) == 1:
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercept = np.concatenate([np.zeros(1), intercept])
        every, base = np.zeros((classes, coefficients.shape[1])), np.full(classes, -50.0)
        every[found.classes_], base[found.classes_] = coefficients, intercept
        return self.unfold(every, base)

    def predict(self, head: LinearHead) -> np.ndarray:
        """Return the class numbers that a head gives the validation examples, shape (n,)."""
        return decide(head.scores(self.validation_features), multi_label=False, decision=self.decision)

    def choose(self, heads: list[LinearHead]) -> tuple[LinearHead, np.ndarray]:
        """
        Take the head with the largest accuracy less gap on validation.

        Returns
        -------
        tuple of LinearHead and numpy.ndarray
            The head; and for each validation example the class by the head that the other folds would have chosen: what
            is chosen of many looks better than it is on the examples that chose it.
        """
        said = np.stack([self.predict(head) for head in heads])
        crossed = cross_predict(self.folds, lambda rows, left: said[self._best(said, rows), left])
        return heads[self._best(said, np.arange(said.shape[1]))], crossed

    def _best(self, said: np.ndarray, rows: np.ndarray) -> int:
        truth, codes = self.validation_truth[rows], self.validation_codes[rows]
        judged = [self.figures.judge(one[rows], truth, codes) for one in said]
        return weigh([one[0] for one in judged], [one[1] for one in judged])


@dataclass(frozen=True)
class FittedHead:
    """
    A head, and how it came about.

    Attributes
    ----------
    name
        What the remedy is called.
    how
        How it was found, in a sentence; or why it was not.
    head
        Its weights; ``None`` where there is none.
    predicted
        Class numbers of the validation examples, see :meth:`HeadProblem.choose`, shape (m,).
    """

    name: str
    how: str
    head: LinearHead | None = None
    predicted: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


def fit_heads(problem: HeadProblem, gap: str) -> Iterator[FittedHead]:
    """
    Fit a head in each of the ways.

    Parameters
    ----------
    problem
        What they are fitted to.
    gap
        One of :data:`CONSTRAINTS`.

    Yields
    ------
    FittedHead
        One a remedy.

    Raises
    ------
    DataError
        The training examples are of one class, or of one group.
    """
    known = problem.codes >= 0
    for what, values in (("class", problem.truth), ("group", problem.codes[known])):
        if len(np.unique(values)) < _BINARY:
            raise DataError(f"the training examples are of one {what}; to fit a head again it takes two")
    codes = np.where(known, problem.codes, problem.codes.max() + 1)
    for name, scheme, how in (
        ("head fitted again", "none", "no remedy, for comparison"),
        ("reweighting", "reweight", "weights P(g) P(y) / P(g, y) in the loss (Kamiran and Calders 2012)"),
        ("group-balanced sampling", "resample", "every group as often as any other, with the same shares of classes"),
    ):
        head = problem.fit(group_weights(scheme, codes, problem.truth))
        yield FittedHead(name, f"Logistic regression on frozen features: {how}.", head, problem.predict(head))
    if problem.figures.classes == _BINARY:
        yield _exponentiated_gradient(problem, gap)
        yield _grid_search(problem, gap)
    elif gap in OF_QUALITY:
        yield _worst_group(problem)
    else:
        yield FittedHead(
            "reduction", "Fairlearn's reductions are for two classes; with more there is one for gaps in accuracy."
        )


def _exponentiated_gradient(problem: HeadProblem, gap: str) -> FittedHead:
    """
    Run Fairlearn's ExponentiatedGradient [1]_.

    It gives a random mixture of heads, which cannot be exported as weights: the mean of the mixture and each of its
    members are candidates.

    References
    ----------
    .. [1] Agarwal et al., "A Reductions Approach to Fair Classification", ICML 2018.
    """
    from fairlearn import reductions  # noqa: PLC0415

    constraint = getattr(reductions, CONSTRAINTS[gap])
    search = reductions.ExponentiatedGradient(
        problem.estimator(), constraint(difference_bound=_SLACK), eps=_SLACK, max_iter=_ROUNDS
    )
    _run(search, problem)
    weights = np.asarray(search.weights_, np.float64)
    heads = [_head_of(problem, predictor) for predictor in search.predictors_]
    mixed = [(weight, head) for weight, head in zip(weights, heads, strict=False) if head is not None and weight > 0]
    candidates = [head for head in heads if head is not None]
    if mixed:
        total = sum(weight for weight, _ in mixed)
        candidates.append(
            LinearHead(
                np.sum([weight / total * head.weight for weight, head in mixed], axis=0),
                np.sum([weight / total * head.bias for weight, head in mixed], axis=0),
            )
        )
    how = f"Fairlearn's ExponentiatedGradient, {CONSTRAINTS[gap]}, on frozen features"
    return _chosen(problem, "reduction, exponentiated gradient", candidates, how)


def _grid_search(problem: HeadProblem, gap: str) -> FittedHead:
    """Run Fairlearn's GridSearch (Agarwal et al. 2018), whose every head is a candidate."""
    from fairlearn import reductions  # noqa: PLC0415

    constraint = getattr(reductions, CONSTRAINTS[gap])()
    search = reductions.GridSearch(problem.estimator(), constraint, grid_size=_GRID, grid_limit=2.0)
    _run(search, problem)
    found = [head for predictor in search.predictors_ if (head := _head_of(problem, predictor)) is not None]
    how = f"Fairlearn's GridSearch, {CONSTRAINTS[gap]}, on frozen features"
    return _chosen(problem, "reduction, grid search", found, how)


def _worst_group(problem: HeadProblem) -> FittedHead:
    """
    Play a game: the head minimises a weighted loss, the weights of groups grow with their losses [1]_ [2]_.

    References
    ----------
    .. [1] Diana et al., "Minimax Group Fairness: Algorithms and Experiments", AIES 2021.
    .. [2] Martinez et al., "Minimax Pareto Fairness: A Multi Objective Perspective", ICML 2020.
    """
    counts = np.bincount(problem.codes[problem.codes >= 0], minlength=len(problem.figures.counts))
    groups = np.flatnonzero(problem.figures.counts & (counts > 0))
    if len(groups) < _BINARY:
        return FittedHead("reduction, worst group", "Fewer than two groups have training examples.")
    sizes = counts[groups] / len(problem.truth)
    shares = sizes.copy()
    rows = np.arange(len(problem.truth))
    heads, total = [], np.zeros(len(groups))
    for _ in range(_GAME_ROUNDS):
        weights = np.ones(len(problem.truth))
        for group, share, size in zip(groups, shares, sizes, strict=True):
            weights[problem.codes == group] = share / size
        head = problem.fit(weights)
        heads.append(head)
        losses = -np.log(np.maximum(head.scores(problem.features)[rows, problem.truth], 1e-6))
        total += [losses[problem.codes == group].mean() for group in groups]
        raised = np.log(sizes) + _GAME_RATE * (total - total.mean())
        # No group is given up: a tenth of the weights stays as the groups are.
        game = np.exp(raised - raised.max())
        shares = 0.9 * sizes.sum() * game / game.sum() + 0.1 * sizes
    mean = LinearHead(np.mean([head.weight for head in heads], axis=0), np.mean([head.bias for head in heads], axis=0))
    how = "Weights of groups that grow with their losses (Diana et al. 2021), on frozen features"
    return _chosen(problem, "reduction, worst group", [*heads, mean], how)


def _chosen(problem: HeadProblem, name: str, candidates: list[LinearHead], how: str) -> FittedHead:
    if not candidates:
        return FittedHead(name, f"{how}: no head came of it.")
    head, predicted = problem.choose(candidates)
    return FittedHead(name, f"{how}; one of {len(candidates)} heads, chosen on validation.", head, predicted)


def _run(search: Any, problem: HeadProblem) -> None:  # noqa: ANN401
    known = problem.codes >= 0
    is_positive = (problem.truth[known] == problem.positive).astype(np.int64)
    with _quiet():
        search.fit(problem.components[known], is_positive, sensitive_features=problem.codes[known])


def _head_of(problem: HeadProblem, predictor: Any) -> LinearHead | None:  # noqa: ANN401
    """Turn one of Fairlearn's predictors, of the positive class against the other, into a head; constants are none."""
    if not hasattr(predictor, "coef_"):
        return None
    sign = 1.0 if problem.positive == 1 else -1.0
    return problem.unfold(sign * predictor.coef_, sign * predictor.intercept_)


class _quiet(warnings.catch_warnings):  # noqa: N801 - used as a function
    """Keep scikit-learn's and Fairlearn's warnings, of convergence and of wide grids, to themselves."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
