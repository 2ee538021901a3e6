"""Objectives: how they are written, and that they are measured on the validation set alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from tunebook.errors import DataError, RecipeError
from tunebook.examples import Examples
from tunebook.search_objectives import Judge, Objective, read_objectives

if TYPE_CHECKING:
    from collections.abc import Sequence


def _examples(groups: Sequence[str], *, sensitive: bool = True) -> Examples:
    """Return examples of two classes, each of them once in every split, with a group for each pair."""
    rows = [
        (f"{split}{n}{label}", "c", label, split, group)
        for split in ("train", "validation", "test")
        for n, group in enumerate(groups)
        for label in ("a", "b")
    ]
    frame = pd.DataFrame(rows, columns=["id", "content", "label", "split", "tone"])
    return Examples(frame, ("a", "b"), "made", ("tone",) if sensitive else ())


def _scores(examples: Examples, wrong: Sequence[str]) -> np.ndarray:
    """Return scores that are right on the validation set but for the class b of some groups."""
    part = examples.frame.iloc[examples.rows("validation")]
    said_a = (part["label"] == "a") | part["tone"].isin(wrong)
    return np.stack([said_a, ~said_a], axis=1).astype(np.float32)


def test_they_are_read_as_written() -> None:
    assert read_objectives(["macro_f1", "gap:tone"]) == (Objective("macro_f1"), Objective("gap", "tone"))
    assert [str(o) for o in read_objectives(["loss", "gap"])] == ["loss", "gap"]
    assert [o.direction for o in read_objectives(["accuracy", "loss"])] == ["maximize", "minimize"]


@pytest.mark.parametrize(
    "texts", [[], ["acuracy"], ["accuracy:tone"], ["gap:"], ["loss", "loss"], ["loss", "gap", "accuracy"], ["a\nb"]]
)
def test_others_are_refused_in_one_line(texts: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        read_objectives(texts)
    assert str(caught.value).isprintable()


def test_a_gap_is_the_largest_difference_of_accuracy_between_groups() -> None:
    examples = _examples(["light"] * 6 + ["dark"] * 6)
    judge = Judge(read_objectives(["accuracy", "gap"]), examples)
    values = judge.values({"accuracy": 0.75}, _scores(examples, ["dark"]))
    assert values == (0.75, pytest.approx(0.5))


def test_small_groups_are_left_out() -> None:
    examples = _examples(["light"] * 6 + ["dark"] * 6 + ["rare"] * 4)  # 8 examples of it
    judge = Judge(read_objectives(["gap:tone"]), examples)
    assert judge.values({}, _scores(examples, ["rare"])) == (0.0,)


@pytest.mark.parametrize(
    ("groups", "objective", "sensitive", "words"),
    [
        (["a"] * 12, "gap", False, "no sensitive attribute"),
        (["a"] * 12, "gap:tune", True, "did you mean 'tone'"),
        (["a"] * 12, "gap", True, "no two groups of 10"),
        (["a"] * 6 + ["b"] * 4, "gap:tone", True, "no two groups of 10"),
    ],
)
def test_a_gap_needs_groups(groups: list[str], objective: str, sensitive: bool, words: str) -> None:  # noqa: FBT001
    with pytest.raises(DataError, match=words):
        Judge(read_objectives([objective]), _examples(groups, sensitive=sensitive))


def test_other_objectives_need_no_scores() -> None:
    judge = Judge(read_objectives(["macro_f1", "loss"]), _examples(["a"], sensitive=False))
    assert not judge.needs_scores
    assert judge.values({"macro_f1": 0.5, "loss": 1.5, "accuracy": 0.1}) == (0.5, 1.5)
