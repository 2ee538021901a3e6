"""The table of examples that every task works on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tunebook.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Examples:
    """
    Examples of one task, with their split, label and sensitive attributes.

    Attributes
    ----------
    frame
        One row an example: ``id`` (unique text), ``content`` (a path or a text), ``label``
        (text), ``split`` (one of :data:`SPLITS`), then one text column for each sensitive attribute.
    classes
        Class names in the order of the model's outputs.
    source
        Where the examples come from, in words.
    sensitive
        Names of the sensitive columns in ``frame``.
    notes
        What a reader must know of the data, such as that it is generated; one sentence each.
    """

    frame: pd.DataFrame
    classes: tuple[str, ...]
    source: str
    sensitive: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.frame)

    def rows(self, split: str) -> np.ndarray:
        """Return the row numbers of a split, shape (n,), int64, in table order."""
        return np.flatnonzero(self.frame["split"].to_numpy() == split)

    def targets(self) -> np.ndarray:
        """Return the class number of each row, shape (n,), int64."""
        codes = pd.Categorical(self.frame["label"], categories=list(self.classes)).codes
        return codes.astype(np.int64)

    def class_counts(self, split: str = "train") -> np.ndarray:
        """Return the number of examples of each class in a split, shape (classes,), int64."""
        return np.bincount(self.targets()[self.rows(split)], minlength=len(self.classes))

    def counts(self, by: str = "label") -> pd.DataFrame:
        """
        Count examples by label or by a sensitive column and by split.

        Returns
        -------
        pandas.DataFrame
            One row a value, one column a split, and a column ``all``.
        """
        table = pd.crosstab(self.frame[by], self.frame["split"]).reindex(columns=list(SPLITS), fill_value=0)
        if by == "label":
            table = table.reindex(list(self.classes), fill_value=0)
        table["all"] = table.sum(axis=1)
        table.columns.name = None
        return table

    def without(self, ids: Iterable[str], classes: Iterable[str] = ()) -> Examples:
        """Return the examples that are left when some ids and some whole classes are dropped."""
        gone = set(classes)
        keep = ~(self.frame["id"].isin(set(ids)) | self.frame["label"].isin(gone))
        left = self.frame[keep].reset_index(drop=True)
        return replace(self, frame=left, classes=tuple(c for c in self.classes if c not in gone))

    def sample(self, size: int, seed: int) -> Examples:
        """Return at most ``size`` examples, drawn by seed, each label and split in its own share."""
        if size <= 0 or size >= len(self):
            return self
        order = np.random.default_rng([seed, 3]).permutation(len(self))
        shuffled = self.frame.iloc[order]
        rank = shuffled.groupby(["split", "label"], sort=True).cumcount()
        total = shuffled.groupby(["split", "label"], sort=True)["id"].transform("size")
        # The first of every cell comes before the second of any, in proportion to the cell's size.
        chosen = ((rank + 0.5) / total).sort_values(kind="stable").index[:size]
        return replace(self, frame=self.frame.loc[sorted(chosen)].reset_index(drop=True))

    def fingerprint(self) -> str:
        """Return a SHA-256 over the table: ids, contents, labels, splits and attributes."""
        columns = ["id", "content", "label", "split", *self.sensitive]
        digest = hashlib.sha256()
        for column in columns:
            digest.update(column.encode())
            for value in self.frame[column].astype(str):
                raw = value.encode("utf-8", "surrogatepass")
                digest.update(len(raw).to_bytes(8, "little") + raw)
        return digest.hexdigest()


def make_splits(frame: pd.DataFrame, validation: float, test: float, seed: int) -> pd.Series:
    """
    Give each example a split, stratified by label and seeded.

    An example that already has a split keeps it. Where only ``train`` is given, both others are
    cut from it; where ``validation`` or ``test`` is given, only the missing one is.

    Parameters
    ----------
    frame
        Needs ``id`` and ``label``; may have ``split``.
    validation, test
        Shares of all examples, each above 0; together below 1.
    seed
        The same seed and ids give the same splits, whatever the order of the rows.

    Returns
    -------
    pandas.Series
        The split of each row.

    Raises
    ------
    DataError
        The shares leave nothing to train on.
    """
    split = frame["split"].copy() if "split" in frame else pd.Series("train", index=frame.index)
    given = set(split)
    wanted = {"validation": validation, "test": test}
    missing = {name: share for name, share in wanted.items() if name not in given}
    if sum(missing.values()) >= 1.0:
        msg = f"validation_fraction + test_fraction is {sum(missing.values()):g}; together they must stay below 1"
        raise DataError(msg)
    if not missing:
        return split
    rng = np.random.default_rng([seed, 1])
    for _, rows in frame[split == "train"].sort_values("id").groupby("label", sort=True):
        order = rng.permutation(rows.index.to_numpy())
        # Every class with at least three examples is in all three splits.
        taken = 0
        for name, share in missing.items():
            size = round(share * len(order))
            size = max(size, 1) if len(order) > len(missing) else size
            # A class that no example teaches could only be got wrong.
            size = min(size, len(order) - 1 - taken)
            split.loc[order[taken : taken + size]] = name
            taken += size
    return split


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
