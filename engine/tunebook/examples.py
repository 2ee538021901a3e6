"""The table of examples that every task works on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tunebook.errors import DataError
from tunebook.labels import encode, join_label, split_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SPLITS = ("train", "validation", "test")
#: Training examples on which the model is also evaluated as it is on the validation set, at most.
_FIT_SAMPLE = 400


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
    multi_label
        Whether an example may have any number of classes: its label then names them, see :mod:`tunebook.labels`.
    derived
        Sensitive column -> how it was worked out, of those that were not recorded; the bias report marks them.
    read_with
        The parameters of the recipe that decided which examples these are; empty where none did.
    remarks
        What reading left out or changed: kind and sentence each; the checks begin with them.
    reading
        What the task worked out of these examples to read each of them, as JSON; it stays when some are dropped.
    """

    frame: pd.DataFrame
    classes: tuple[str, ...]
    source: str
    sensitive: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    multi_label: bool = False
    derived: Mapping[str, str] = field(default_factory=dict)
    read_with: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    remarks: tuple[tuple[str, str], ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    def rows(self, split: str) -> np.ndarray:
        """Return the row numbers of a split, shape (n,), int64, in table order."""
        return np.flatnonzero(self.frame["split"].to_numpy() == split)

    def targets(self) -> np.ndarray:
        """Return the class number of each row, shape (n,), int64; if multi-label, 0 or 1 of shape (n, classes)."""
        return encode(self.frame["label"].tolist(), self.classes, multi_label=self.multi_label)

    def target_shares(self) -> np.ndarray:
        """Return how much of each class each row is, 0 or 1, shape (n, classes), float32."""
        truth = self.targets()
        shares = truth if self.multi_label else np.eye(len(self.classes), dtype=np.int64)[truth]
        return shares.astype(np.float32)

    def class_counts(self, split: str = "train") -> np.ndarray:
        """Return the number of examples of each class in a split, shape (classes,), int64."""
        truth = self.targets()[self.rows(split)]
        return truth.sum(axis=0) if self.multi_label else np.bincount(truth, minlength=len(self.classes))

    def counts(self, by: str = "label") -> pd.DataFrame:
        """
        Count examples by label or by a sensitive column and by split.

        Returns
        -------
        pandas.DataFrame
            One row a value, one column a split, and a column ``all``.
        """
        frame = self.frame[[by, "split"]]
        if by == "label" and self.multi_label:
            frame = frame.assign(label=frame["label"].map(split_label)).explode("label")
        table = pd.crosstab(frame[by], frame["split"]).reindex(columns=list(SPLITS), fill_value=0)
        if by == "label":
            table = table.reindex(list(self.classes), fill_value=0)
        table["all"] = table.sum(axis=1)
        table.columns.name = None
        return table

    def without(self, ids: Iterable[str], classes: Iterable[str] = ()) -> Examples:
        """Return the examples that are left when some ids and some whole classes are dropped."""
        gone = set(classes)
        leave = self.frame["id"].isin(set(ids))
        if not self.multi_label:
            leave |= self.frame["label"].isin(gone)
        left = self.frame[~leave].reset_index(drop=True)
        if self.multi_label and gone:
            left["label"] = [join_label(c for c in split_label(label) if c not in gone) for label in left["label"]]
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

    def held_out(self) -> str:
        """Return a SHA-256 over the validation and test examples: their rows, ids and labels."""
        rows = np.concatenate([self.rows("validation"), self.rows("test")])
        digest = hashlib.sha256(rows.tobytes())
        for column in ("id", "label"):
            texts = self.frame[column].iloc[rows].astype(str)
            digest.update("\0".join(texts).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """Return a SHA-256 over the table: ids, contents, labels, splits and attributes, and how it is read."""
        columns = ["id", "content", "label", "split", *self.sensitive]
        digest = hashlib.sha256()
        for column in columns:
            digest.update(column.encode())
            for value in self.frame[column].astype(str):
                raw = value.encode("utf-8", "surrogatepass")
                digest.update(len(raw).to_bytes(8, "little") + raw)
        if any(self.reading.values()):
            digest.update(json.dumps(self.reading, sort_keys=True).encode())
        return digest.hexdigest()


def make_splits(frame: pd.DataFrame, validation: float, test: float, seed: int) -> pd.Series:
    """
    Give each example a split, stratified and seeded.

    An example that already has a split keeps it. Where only ``train`` is given, both others are
    cut from it; where ``validation`` or ``test`` is given, only the missing one is.

    Parameters
    ----------
    frame
        Needs ``id`` and ``stratum``, such as the label; may have ``split``.
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
    for _, rows in frame[split == "train"].sort_values("id").groupby("stratum", sort=True):
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


def examples_to_fit(rows: np.ndarray, seed: int) -> np.ndarray:
    """Draw the training rows on which over-fitting is measured: at most 400, always the same."""
    if len(rows) <= _FIT_SAMPLE:
        return rows
    return np.sort(np.random.default_rng([seed, 29]).choice(rows, _FIT_SAMPLE, replace=False))


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
