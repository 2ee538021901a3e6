"""What the data checks found, and what the policy does about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import pandas as pd

from tunebook.errors import DataError, shown
from tunebook.examples import SPLITS
from tunebook.file_cells import is_url
from tunebook.labels import split_label
from tunebook.vocabularies import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunebook.examples import Examples

#: Classes from which labels that are numbers look like measurements.
_MANY = 10


@dataclass(frozen=True)
class Finding:
    """
    One kind of problem in the data.

    Attributes
    ----------
    kind
        A short name, such as ``"unreadable"`` or ``"near duplicate"``.
    message
        One line that says what was found and names the first cases.
    ids
        Examples concerned.
    drop
        Those of them that the policy ``"drop"`` leaves out; empty for a mere remark.
    drop_classes
        Whole classes that the policy ``"drop"`` leaves out.
    """

    kind: str
    message: str
    ids: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    drop_classes: tuple[str, ...] = ()

    @property
    def is_problem(self) -> bool:
        """Whether something would have to be dropped."""
        return bool(self.drop or self.drop_classes)


@dataclass(frozen=True)
class Findings:
    """All that the checks found in one set of examples."""

    examples: Examples
    items: tuple[Finding, ...]

    def table(self) -> pd.DataFrame:
        """Return one row a finding: kind, examples concerned, dropped, and what it says."""
        rows = [(f.kind, len(f.ids), len(f.drop), f.message) for f in self.items]
        return pd.DataFrame(rows, columns=["check", "examples", "to drop", "what was found"])

    def __repr__(self) -> str:
        return "\n".join(f"{f.kind}: {f.message}" for f in self.items) or "The checks found nothing."

    def _repr_html_(self) -> str:
        if not self.items:
            return "<p>The checks found nothing.</p>"
        with pd.option_context("display.max_colwidth", None):  # a message is no message when it is cut
            return str(self.table().to_html(index=False, border=0))

    def resolve(self, on_problem: str) -> Examples:
        """
        Apply the policy.

        Parameters
        ----------
        on_problem
            ``"drop"`` leaves out what the findings say; ``"stop"`` refuses the data.

        Returns
        -------
        Examples
            The examples to train on.

        Raises
        ------
        DataError
            The policy is to stop, or what is left cannot be trained on.
        """
        problems = [f for f in self.items if f.is_problem]
        if on_problem == "stop" and problems:
            more = f" (and {len(problems) - 1} more kinds of problem)" if len(problems) > 1 else ""
            msg = f"{problems[0].kind}: {problems[0].message}{more}; mend the data, or set on_problem='drop'"
            raise DataError(msg)
        left = self.examples.without(
            (i for f in problems for i in f.drop), (c for f in problems for c in f.drop_classes)
        )
        require_trainable(left, self)
        return left

    def worst(self, split: str = "") -> str:
        """
        Say what drops most of the examples, or of a split's, with an example; empty if nothing drops any.

        Parameters
        ----------
        split
            Name of the split; empty for all.
        """
        frame = self.examples.frame
        frame = frame[frame["split"] == split] if split else frame
        present = set(frame["id"])
        counts = [len(present.intersection(f.drop)) for f in self.items]
        most = max(counts, default=0)
        if not most:
            return ""
        worst = self.items[counts.index(most)]
        gone = next(i for i in worst.drop if i in present)
        content = str(frame.loc[frame["id"] == gone, "content"].iloc[0])
        advice = "; nothing is downloaded: save the files, and give their paths" if is_url(content) else ""
        what = f"the check for {worst.kind!r} drops {most:,} of {len(frame):,}"
        return f"{what}: {worst.message}; the first of them is {shown(content)}{advice}"

    def dropped(self) -> dict[str, int]:
        """Return how many examples each kind of finding drops, for the model card."""
        return {f.kind: len(f.drop) for f in self.items if f.is_problem}


def few_examples(examples: Examples, least: int) -> list[Finding]:
    """Find classes with fewer than ``least`` training examples, and classes that a split lacks."""
    found = []
    counts = {s: dict(zip(examples.classes, examples.class_counts(s).tolist(), strict=True)) for s in SPLITS}
    few = [c for c in examples.classes if counts["train"][c] < least]
    if few:
        concerned, lost = _with_only(examples, few)
        named = ", ".join(f"{c!r} ({counts['train'][c]})" for c in few[:5])
        text = f"{len(few)} of {len(examples.classes)} classes have fewer than {least} training examples: {named}"
        text += _why_few(examples, few, counts)
        found.append(Finding("too few examples", text, concerned, lost, tuple(few)))
    for split in ("validation", "test"):
        absent = [c for c in examples.classes if c not in few and counts[split][c] == 0]
        if absent:
            text = f"{len(absent)} classes have no {split} example, so their {split} recall is undefined: " + ", ".join(
                repr(c) for c in absent[:5]
            )
            found.append(Finding("class missing in a split", text))
    return found


def _why_few(examples: Examples, few: Sequence[str], counts: Mapping[str, Mapping[str, int]]) -> str:
    """Say what the labels of few examples probably are, if that can be told."""
    for split in ("test", "validation"):
        hidden = next((c for c in few if not counts["train"][c] and counts[split][c] == len(examples.rows(split))), "")
        if hidden and len(examples.rows(split)):
            return (
                f"; every example of {split} has the label {hidden!r}, as if it were hidden: leave those rows out, and "
                "the split is cut from train"
            )
    # A decimal comma is one too.
    numbers = [c for c in few if (number := number_of(c.replace(",", "."))) is not None and not number.is_integer()]
    if len(few) >= _MANY and 2 * len(numbers) > len(few):
        return (
            f"; they look like numbers to be predicted, such as {min(numbers)}, and Tunebook tells classes apart: cut "
            "the numbers into ranges with names"
        )
    return ""


def _with_only(examples: Examples, classes: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the ids of the examples that have one of some classes, and of those that have no other."""
    if not examples.multi_label:
        ids = tuple(examples.frame.loc[examples.frame["label"].isin(classes), "id"])
        return ids, ids
    named = [
        (i, set(split_label(label))) for i, label in zip(*(examples.frame[c] for c in ("id", "label")), strict=True)
    ]
    some = [(i, names) for i, names in named if names & set(classes)]
    return tuple(i for i, _ in some), tuple(i for i, names in some if names <= set(classes))


def imbalance(examples: Examples) -> list[Finding]:
    """Remark on a largest class more than three times the smallest in training."""
    counts = examples.counts()["train"]
    counts = counts[counts > 0]
    if len(counts) < 2:  # noqa: PLR2004
        return []
    most, least = int(counts.max()), int(counts.min())
    if most <= 3 * least:
        return []
    text = (
        f"class {str(counts.idxmax())!r} has {most} training examples, {str(counts.idxmin())!r} has {least}; "
        "class_weights or sampler can weigh them"
    )
    return [Finding("imbalance", text)]


def require_trainable(examples: Examples, findings: Findings | None = None) -> None:
    """
    Refuse examples that cannot be trained on.

    Parameters
    ----------
    examples
        What is left of them.
    findings
        Why some were dropped; the error ends with what dropped most.

    Raises
    ------
    DataError
        There is no example, one class only, or an empty training, validation or test split.
    """
    source = examples.source
    if not len(examples):
        _refuse(f"{source}: no example is left", findings, "", "check the path and the label column")
    if len(examples.classes) < 2:  # noqa: PLR2004
        named = ", ".join(map(repr, examples.classes))
        _refuse(
            f"{source}: only one class ({named}) is left; a classifier needs at least two", findings, "",
            "check the label column",
        )  # fmt: skip
    for split in SPLITS:
        if not len(examples.rows(split)):
            advice = "add examples or change the split fractions"
            _refuse(f"{source}: the {split} split is empty", findings, split, advice)
        if not examples.class_counts(split).any():
            msg = f"{source}: no example of the {split} split has a class, so nothing can be measured there"
            raise DataError(msg)


def _refuse(what: str, findings: Findings | None, split: str, advice: str) -> NoReturn:
    """Raise an error that ends with what dropped most, or with advice where nothing was dropped."""
    reason = findings.worst(split) if findings is not None else ""
    raise DataError(f"{what}; {reason or advice}")
