"""Heads fitted again on features: weights work, reductions narrow gaps, and a head of components is one of features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tunebook.errors import DataError
from tunebook.reductions import FittedHead, HeadProblem, fit_heads
from tunebook.remedy_choice import GroupFigures, make_folds


def make_examples(count: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make noisy features that tell group as well as class; group 1 is small, and has fewer of the last class."""
    rng = np.random.default_rng(seed)
    codes = (rng.random(count) < 0.3).astype(np.int64)
    truth = rng.integers(0, classes, count)
    truth = np.where((codes == 0) & (rng.random(count) < 0.4), classes - 1, truth)
    centres = np.random.default_rng(9).normal(size=(classes, 8))
    features = 0.6 * centres[truth] + rng.normal(0, 1.0, (count, 8))
    features[:, 0] += np.where(codes == 1, -1.5, 1.5) * (truth + 0.5)
    return features, truth, codes


def make_problem(classes: int = 2, gap: str = "accuracy", *, seed: int = 0) -> HeadProblem:
    train, validation = make_examples(500, classes, seed), make_examples(300, classes, seed + 1)
    figures = GroupFigures(classes, gap, 1 if classes == 2 else -1, np.ones(2, bool))
    return HeadProblem(
        *train, *validation, figures, 1 if classes == 2 else -1,
        make_folds(validation[1], validation[2], 0),
    )  # fmt: skip


def by_name(found: list[FittedHead]) -> dict[str, FittedHead]:
    return {one.name: one for one in found}


@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_of_components_is_one_of_the_features(classes: int) -> None:
    from sklearn.metrics import accuracy_score

    problem = make_problem(classes)
    head = problem.fit()
    assert head.weight.shape == (classes, 8)
    model = problem.estimator().fit(problem.components, problem.truth)
    theirs = model.predict_proba(problem.components)
    assert head.scores(problem.features) == pytest.approx(theirs, abs=1e-6)
    assert accuracy_score(problem.truth, theirs.argmax(axis=1)) > 0.6


@pytest.mark.parametrize("gap", ["demographic_parity", "equalized_odds"])
def test_a_reduction_narrows_the_gap_on_fresh_examples(gap: str) -> None:
    problem = make_problem(gap=gap)
    found = by_name(list(fit_heads(problem, gap)))
    fresh, truth, codes = make_examples(2000, 2, 5)
    plain = found["head fitted again"].head
    assert plain is not None
    before = problem.figures.judge(plain.scores(fresh).argmax(axis=1), truth, codes)[1]
    for name in ("reduction, exponentiated gradient", "reduction, grid search"):
        head = found[name].head
        assert head is not None
        after = problem.figures.judge(head.scores(fresh).argmax(axis=1), truth, codes)[1]
        assert after < before / 2, name
        assert len(found[name].predicted) == 300


def test_with_more_classes_the_worst_group_is_given_more_weight() -> None:
    problem = make_problem(3)
    found = by_name(list(fit_heads(problem, "accuracy")))
    assert set(found) == {"head fitted again", "reweighting", "group-balanced sampling", "reduction, worst group"}
    fresh, truth, codes = make_examples(2000, 3, 5)

    def worst(one: FittedHead) -> float:
        assert one.head is not None
        right = one.head.scores(fresh).argmax(axis=1) == truth
        return min(float(right[codes == code].mean()) for code in (0, 1))

    assert worst(found["reduction, worst group"]) > worst(found["head fitted again"])


def test_with_more_classes_other_gaps_have_no_reduction_and_it_says_so() -> None:
    found = by_name(list(fit_heads(make_problem(3, "demographic_parity"), "demographic_parity")))
    assert found["reduction"].head is None
    assert "two classes" in found["reduction"].how


def test_the_positive_class_may_be_the_first() -> None:
    problem = make_problem(gap="demographic_parity")
    figures = GroupFigures(2, "demographic_parity", 0, np.ones(2, bool))
    other = replace(
        problem, truth=1 - problem.truth, validation_truth=1 - problem.validation_truth, positive=0,
        figures=figures,
    )  # fmt: skip
    one, two = (by_name(list(fit_heads(p, "demographic_parity")))["reduction, grid search"] for p in (problem, other))
    assert (one.predicted != two.predicted).mean() > 0.9


def test_one_class_or_one_group_is_refused_and_a_class_without_examples_is_never_said() -> None:
    problem = make_problem(3)
    for changed, word in (({"truth": np.zeros(500, int)}, "class"), ({"codes": np.zeros(500, int)}, "group")):
        with pytest.raises(DataError, match=f"of one {word}"):
            list(fit_heads(replace(problem, **changed), "accuracy"))
    lacking = replace(problem, truth=np.where(problem.truth == 1, 0, problem.truth))
    head = lacking.fit()
    assert head.weight.shape == (3, 8)
    assert not (head.scores(problem.features).argmax(axis=1) == 1).any()


def test_examples_without_a_group_are_used_where_they_can_be() -> None:
    problem = make_problem()
    codes = problem.codes.copy()
    codes[:50] = -1
    names = [one.name for one in fit_heads(replace(problem, codes=codes), "accuracy") if one.head is not None]
    assert len(names) == 5
