"""Labels as text and as numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunebook.labels import confidence, decide, decode, encode, join_label, mistakes_confidence, split_label

CLASSES = ("anger", "joy", "sadness")
labels = st.lists(st.sampled_from(CLASSES), unique=True).map(join_label)


def test_one_class_each() -> None:
    numbers = encode(["joy", "anger", "gone"], CLASSES, multi_label=False)
    assert numbers.tolist() == [1, 0, -1]
    assert decode(numbers[:2], CLASSES) == ["joy", "anger"]


@given(st.lists(labels, max_size=6))
def test_several_classes_go_there_and_back(several: list[str]) -> None:
    numbers = encode(several, CLASSES, multi_label=True)
    assert numbers.shape == (len(several), 3)
    assert decode(numbers, CLASSES) == several


def test_a_label_of_several_is_read_as_people_write_it() -> None:
    assert split_label(" joy | anger||") == ["joy", "anger"]
    assert split_label("") == []
    assert join_label(["joy", "anger", "joy"]) == "anger|joy"
    assert encode(["joy|gone"], CLASSES, multi_label=True).tolist() == [[0, 1, 0]]


def test_scores_are_decided_and_their_confidence_is_that_of_the_least_sure() -> None:
    scores = np.array([[0.7, 0.6, 0.1], [0.2, 0.4, 0.05]])
    assert decide(scores, multi_label=True).tolist() == [[1, 1, 0], [0, 0, 0]]
    assert decide(scores, multi_label=False).tolist() == [0, 1]
    np.testing.assert_allclose(confidence(scores, multi_label=True), [0.6, 0.6])
    np.testing.assert_allclose(confidence(scores, multi_label=False), [0.7, 0.4])


def test_confidence_of_mistakes() -> None:
    scores = np.array([[0.7, 0.6, 0.1], [0.2, 0.4, 0.05]])
    np.testing.assert_allclose(mistakes_confidence(scores, np.array([[1, 0, 0], [0, 0, 0]])), [0.6, 0.0])
    np.testing.assert_allclose(mistakes_confidence(scores, np.array([1, 1])), [0.7, 0.0])
