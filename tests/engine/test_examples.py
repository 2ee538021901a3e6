"""Examples are counted, dropped, drawn and split as they say, whatever the order of the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.errors import DataError
from tunebook.examples import SPLITS, Examples, hash_file, make_splits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Table = Callable[..., Examples]

ROWS = [("b", "train"), ("a", "train"), ("b", "test"), ("a", "validation"), ("b", "train")]


def frame_of(labels: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"e{n}" for n in range(len(labels))], "label": labels, "stratum": labels})


def test_rows_and_targets_follow_the_table(table: Table) -> None:
    examples = table(ROWS)
    assert examples.rows("train").tolist() == [0, 1, 4]
    assert examples.targets().tolist() == [1, 0, 1, 0, 1]
    assert examples.class_counts("train").tolist() == [1, 2]


def test_counts_have_every_class_and_split(table: Table) -> None:
    counts = table([("b", "train")], classes=("a", "b")).counts()
    assert counts.loc["a"].tolist() == [0, 0, 0, 0]
    assert counts.loc["b"].to_dict() == {"train": 1, "validation": 0, "test": 0, "all": 1}


def test_without_drops_ids_and_whole_classes(table: Table) -> None:
    left = table(ROWS).without(["e1"], ["b"])
    assert left.frame["id"].tolist() == ["e3"]
    assert left.classes == ("a",)
    assert left.frame.index.tolist() == [0]


@given(size=st.integers(1, 80), seed=st.integers(0, 5))
def test_a_sample_has_its_size_and_every_cell_its_share(size: int, seed: int) -> None:
    rows = [(f"e{n}", "c", label, split) for n, (label, split) in enumerate(
        [("a", "train")] * 40 + [("b", "train")] * 20 + [("a", "test")] * 10 + [("b", "validation")] * 10
    )]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["id", "content", "label", "split"])
    sample = Examples(frame, ("a", "b"), "s").sample(size, seed)
    assert len(sample) == size
    assert sample.frame["id"].is_unique
    cells = sample.frame.groupby(["label", "split"]).size()
    for (label, split), whole in frame.groupby(["label", "split"]).size().items():
        assert abs(cells.get((label, split), 0) - whole * size / 80) <= 1


def test_a_sample_follows_its_seed(table: Table) -> None:
    examples = table([("a", "train")] * 50)
    first, again, other = (examples.sample(10, seed).frame["id"].tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert examples.sample(0, 0) is examples.sample(50, 0) is examples


@pytest.mark.parametrize(
    "change",
    [{"label": "z"}, {"content": "z"}, {"id": "z"}, {"split": "test"}],
)
def test_a_fingerprint_changes_with_every_column(table: Table, change: dict[str, str]) -> None:
    examples = table(ROWS)
    frame = examples.frame.copy()
    for column, value in change.items():
        frame.loc[0, column] = value
    assert Examples(frame, examples.classes, "s").fingerprint() != examples.fingerprint()
    assert table(ROWS).fingerprint() == examples.fingerprint()


def test_a_fingerprint_tells_where_one_value_ends() -> None:
    one, two = (
        Examples(pd.DataFrame({"id": ids, "content": "c", "label": "a", "split": "train"}), ("a",), "s").fingerprint()
        for ids in (["ab", "c"], ["a", "bc"])
    )
    assert one != two


@given(
    counts=st.lists(st.integers(3, 30), min_size=1, max_size=4),
    shares=st.tuples(st.floats(0.05, 0.4), st.floats(0.05, 0.4)),
    seed=st.integers(0, 3),
)
def test_splits_are_stratified_and_do_not_depend_on_order(
    counts: list[int], shares: tuple[float, float], seed: int
) -> None:
    frame = frame_of([str(c) for c, count in enumerate(counts) for _ in range(count)])
    splits = make_splits(frame, *shares, seed)
    assert set(splits) <= set(SPLITS)
    for label, count in frame["label"].value_counts().items():
        of_class = splits[frame["label"] == label].value_counts()
        for name, share in zip(("validation", "test"), shares, strict=True):
            assert of_class.get(name, 0) == max(round(share * count), 1)
        assert of_class.get("train", 0) >= 1
    mixed = frame.sample(frac=1.0, random_state=1).reset_index(drop=True)
    again = make_splits(mixed, *shares, seed)
    assert dict(zip(mixed["id"], again, strict=True)) == dict(zip(frame["id"], splits, strict=True))


def test_given_splits_stay_and_the_missing_one_is_cut_from_train() -> None:
    frame = frame_of(["a"] * 10 + ["b"] * 10).assign(split=(["train"] * 8 + ["test"] * 2) * 2)
    splits = make_splits(frame, 0.25, 0.5, 0)
    assert (splits[frame["split"] == "test"] == "test").all()
    assert splits.value_counts().to_dict() == {"train": 12, "validation": 4, "test": 4}


def test_all_splits_given_are_returned_as_they_are() -> None:
    frame = frame_of(["a"] * 3).assign(split=list(SPLITS))
    assert make_splits(frame, 0.8, 0.8, 0).tolist() == list(SPLITS)


def test_shares_that_leave_nothing_are_refused() -> None:
    with pytest.raises(DataError, match="together they must stay below 1"):
        make_splits(frame_of(["a"] * 9), 0.5, 0.5, 0)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("shares", [(0.1, 0.1), (0.4, 0.4), (0.45, 0.5), (0.1, 0.89)])
def test_tiny_classes_keep_a_training_example(count: int, shares: tuple[float, float]) -> None:
    splits = set(make_splits(frame_of(["a"] * count), *shares, 0))
    assert "train" in splits
    assert count < 3 or splits == set(SPLITS)


def test_hash_file_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert hash_file(tmp_path / "f").startswith("ba7816bf8f01cfea")


def test_targets_are_int64(table: Table) -> None:
    found: Any = table(ROWS).targets().dtype
    assert found == np.int64


def test_a_class_is_taken_out_of_labels_of_several(table: Table) -> None:
    made = table([("a|b", "train"), ("b", "train"), ("", "test")], ("a", "b"))
    examples = replace(made, multi_label=True)
    left = examples.without(["e1"], ["b"])
    assert left.frame["label"].tolist() == ["a", ""]
    assert left.classes == ("a",)
    assert examples.class_counts("train").tolist() == [1, 2]
    assert examples.target_shares().tolist() == [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    assert made.target_shares().shape == (3, 2)
