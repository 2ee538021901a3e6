"""The decision between two classes: rules, what they choose, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook import ImageClassification
from tunebook.decision import Decider, Decision, in_words
from tunebook.errors import RecipeError
from tunebook.examples import Examples
from tunebook.labels import confidence, decide
from tunebook.metrics import measure

CLASSES = ("ham", "spam")


def _scores(of_spam: list[float]) -> np.ndarray:
    column = np.array(of_spam, np.float32)
    return np.stack([1 - column, column], axis=1)


def _choose(rule: float | str, scores: np.ndarray, truth: np.ndarray, positive: str = "") -> Decision:
    found = Decider.of_recipe(ImageClassification(threshold=rule, positive=positive), CLASSES, multi_label=False)
    assert found is not None
    return found.choose(scores, truth)


def _counts(scores: np.ndarray, truth: np.ndarray, threshold: float) -> tuple[int, int, int]:
    said, of = scores[:, 1].astype(np.float64) >= threshold, truth == 1
    return int((said & of).sum()), int((said & ~of).sum()), int((~said & of).sum())


def _f1(hits: int, alarms: int, misses: int) -> float:
    return 2 * hits / max(2 * hits + alarms + misses, 1)


#: Few values, so that many scores are equal.
_SCORED = st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=30)


@given(_SCORED, st.sampled_from(["f1", "recall:0.8", "recall:1", "cost:1:5", "cost:3:1"]))
def test_no_other_threshold_is_better(rows: list[tuple[int, bool]], rule: str) -> None:
    scores, truth = _scores([k / 10 for k, _ in rows]), np.array([int(of) for _, of in rows])
    threshold = _choose(rule, scores, truth).threshold
    assert 0.0 < threshold < 1.0
    found = _counts(scores, truth, threshold)
    every = [_counts(scores, truth, (k + 0.5) / 10) for k in range(10)]
    if rule == "f1":
        assert _f1(*found) == max(_f1(*counts) for counts in every)
    elif rule.startswith("recall"):
        wanted = min(float(rule.partition(":")[2]) * (found[0] + found[2]), max(counts[0] for counts in every))
        assert found[0] >= wanted - 1e-9
        assert found[1] == min(counts[1] for counts in every if counts[0] >= wanted - 1e-9)
    else:
        alarm, miss = map(float, rule.split(":")[1:])
        assert alarm * found[1] + miss * found[2] == min(alarm * counts[1] + miss * counts[2] for counts in every)


@given(st.lists(st.floats(0.0, 1.0, width=32), min_size=1, max_size=30))
def test_with_one_half_the_more_probable_class_is_said_to_the_bit(of_spam: list[float]) -> None:
    scores = _scores(of_spam)
    plain = _choose(0.5, scores, np.zeros(len(scores), int))
    assert (decide(scores, multi_label=False, decision=plain) == scores.argmax(axis=1)).all()
    assert (confidence(scores, multi_label=False, decision=plain) == scores.max(axis=1)).all()


def test_a_chosen_threshold_is_a_short_number_between_two_scores() -> None:
    scores, truth = _scores([0.9, 0.8, 0.31, 0.28, 0.1]), np.array([1, 1, 1, 0, 0])
    assert _choose("f1", scores, truth) == Decision(1, 0.3)
    assert _choose("recall:0.6", scores, truth).threshold == 0.6


def test_the_positive_class_is_the_second_or_the_one_that_is_named() -> None:
    scores, truth = _scores([0.9, 0.7, 0.2]), np.array([1, 0, 0])
    assert _choose(0.8, scores, truth) == Decision(1, 0.8)
    named = _choose(0.8, scores, truth, positive="ham")
    assert named == Decision(0, 0.8)
    assert decide(scores, multi_label=False, decision=named).tolist() == [1, 1, 0]
    # Sure of what is said, though the other class is more probable.
    assert confidence(scores, multi_label=False, decision=named) == pytest.approx([0.9, 0.7, 0.8])


def test_metrics_are_of_what_is_said() -> None:
    scores, truth = _scores([0.9, 0.4, 0.35, 0.1]), np.array([1, 1, 0, 0])
    found = measure(scores, truth, CLASSES, Decision(1, 0.3))
    assert found["confusion"] == [[1, 1], [0, 2]]
    assert found["threshold"] == 0.3
    assert found["of_positive"] == {
        "precision": pytest.approx(2 / 3), "recall": 1.0, "f1": 0.8, "roc_auc": 1.0, "average_precision": 1.0,
        "specificity": 0.5,
    }  # fmt: skip
    nothing = measure(scores, truth, CLASSES, Decision(1, 0.95))["of_positive"]
    assert nothing["precision"] is None
    assert nothing["recall"] == nothing["f1"] == 0.0


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("recal:0.9", "did you mean 'recall'"), ("recall", "recall takes 1 numbers"),
        ("recall:0", "above 0 and at most 1"),
        ("recall:x", "recall takes numbers"), ("recall:nan", "above 0"), ("cost:1", "cost takes 2 numbers"),
        ("cost:0:1", "a cost is above 0"), ("cost:inf:1", "a cost is above 0"), (0, "above 0 and below 1"),
        (1.0, "above 0 and below 1"), (None, "f1, recall:0.9"), ("", "no such rule"),
    ],
)  # fmt: skip
def test_what_is_no_threshold_is_refused_in_one_line(rule: Any, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        ImageClassification(threshold=rule)
    assert words in str(caught.value)
    assert "cost:1:5" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["f1", "recall:0.95", "cost:1:12.5"])
def test_a_rule_is_read_from_the_command_line_as_it_stands(text: str) -> None:
    assert ImageClassification.settle("threshold", text) == text
    assert ImageClassification.settle("threshold", "0.25") == 0.25


@pytest.mark.parametrize(
    ("classes", "multi_label", "values", "words"),
    [
        (("a", "b", "c"), False, {"threshold": "f1"}, "threshold='f1' is for two classes, and there are 3"),
        (("a", "b", "c"), False, {"positive": "a"}, "positive='a' is for two classes"),
        (("a", "b"), True, {"threshold": 0.3}, "with multi_label each class is decided by itself, from 0.5"),
        (("ham", "spam"), False, {"positive": "span"}, "did you mean 'spam'"),
    ],
)
def test_what_does_not_fit_the_classes_is_refused(
    classes: tuple[str, ...],
    multi_label: bool,  # noqa: FBT001
    values: dict[str, Any],
    words: str,
) -> None:
    with pytest.raises(RecipeError, match=words):
        Decider.of_recipe(ImageClassification(**values), classes, multi_label=multi_label)


def test_other_classes_have_no_decision() -> None:
    assert Decider.of_recipe(ImageClassification(), ("a", "b", "c"), multi_label=False) is None
    assert Decider.of_recipe(ImageClassification(), ("a", "b"), multi_label=True) is None


def test_nothing_is_chosen_on_a_validation_set_of_one_class() -> None:
    frame = pd.DataFrame({"label": ["ham", "spam", "ham"], "split": ["train", "train", "validation"]})
    frame["id"], frame["content"] = ["1", "2", "3"], "x"
    examples = Examples(frame, CLASSES, "made", ())
    with pytest.raises(RecipeError, match="no example of 'spam'"):
        Decider.of_examples(ImageClassification(threshold="f1"), examples)
    assert Decider.of_examples(ImageClassification(threshold=0.3), examples) is not None


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (0.5, "the more probable class is said"), (0.3, "as the recipe says"), ("f1", "largest F1"),
        ("recall:0.9", "recall of at least 0.9"), ("cost:1:5", "a false positive at 1 and a false negative at 5"),
    ],
)  # fmt: skip
def test_a_decision_is_told_with_its_class_and_threshold(by: float | str, words: str) -> None:
    threshold = by if isinstance(by, float) else 0.37
    said = in_words({"positive": "spam", "threshold": threshold, "chosen_by": by, "baseline": 0.2})
    assert words in said
    assert "“spam”" in said
    assert str(threshold) in said


def test_what_a_threshold_leaves_undefined_is_told_so() -> None:
    decision = {"positive": "spam", "threshold": 0.99, "chosen_by": 0.99, "baseline": None}
    scores, truth = _scores([0.9, 0.1]), np.array([1, 0])
    said = in_words(decision, measure(scores, truth, CLASSES, Decision(1, 0.99)))
    assert "precision undefined, recall 0.000" in said


@pytest.mark.parametrize(
    ("rare", "rule", "is_said"), [(1, "f1", True), (9, "f1", True), (10, "f1", False), (1, 0.3, False)]
)
def test_a_threshold_chosen_on_few_examples_says_so(rare: int, rule: float | str, *, is_said: bool) -> None:
    truth = np.array([1] * rare + [0] * 30)
    scores = _scores([0.9] * rare + [0.1] * 30)
    decision = {"positive": "spam", "threshold": 0.3, "chosen_by": rule, "baseline": None}
    said = in_words(decision, measure(scores, truth, CLASSES, Decision(1, 0.3)))
    assert (f"stands on {rare} validation example" in said) == is_said
