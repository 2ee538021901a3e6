"""The usual names of splits are known in every spelling, and no other name is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.split_names import split_of


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (["train", "Training", "TRAIN", " train ", "train_set", "Train Images", "01-train", "train2017"], "train"),
        (["val", "valid", "Validate", "validation", "dev", "eval", "Val-Data", "validation_set"], "validation"),
        (["test", "testing", "TEST", "test_images", "testset"], "test"),
        (["cat", "trainer", "contest", "value", "latest", "unlabelled", "", "2017", "set", "holdout", "devil"], None),
    ],
)
def test_names_of_splits(names: list[str], split: str | None) -> None:
    assert {name: split_of(name) for name in names} == dict.fromkeys(names, split)


@given(st.text())
def test_any_text_is_a_split_or_none(name: str) -> None:
    assert split_of(name) in ("train", "validation", "test", None)
