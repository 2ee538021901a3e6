"""A table of predictions is of one task: its columns, classes, ids and truths fit each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunebook.cells import is_missing
from tunebook.errors import DataError, shown
from tunebook.labels import split_label

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

#: Columns without which nothing can be said of predictions.
NEEDED = ("model", "id", "split", "truth", "prediction")


def require_columns(predictions: pd.DataFrame) -> None:
    """
    Refuse a table that is no table of predictions.

    Raises
    ------
    DataError
        A column is not there, or there twice.
    """
    for column in NEEDED:
        count = list(predictions.columns).count(column)
        if count != 1:
            have = ", ".join(shown(str(name), 40) for name in list(predictions.columns)[:12]) or "none"
            what = f"no column {column!r}" if not count else f"{count} columns {column!r}"
            raise DataError(f"the predictions have {what}; it takes one each of {', '.join(NEEDED)}; there are {have}")


def require_one_task(predictions: pd.DataFrame, classes: Collection[str], *, multi_label: bool) -> None:
    """
    Refuse predictions of other classes, and those of one example that contradict each other.

    Parameters
    ----------
    predictions
        As ``predictions.parquet``.
    classes
        Class names.
    multi_label
        Whether truth and prediction name any number of classes.

    Raises
    ------
    DataError
        A label is none of the classes, an example is there twice for one model, or it has another truth for another
        model.
    """
    for column in ("truth", "prediction"):
        _require_classes(predictions[column], column, classes, multi_label=multi_label)
    twice = predictions.duplicated(["model", "split", "id"])
    if twice.any():
        first = shown(str(predictions["id"][twice].iloc[0]))
        msg = f"{int(twice.sum()):,} predictions are of an example that its model has already (first: id {first})"
        raise DataError(f"{msg}; keep one for each model and split")
    truths = predictions.drop_duplicates(["split", "id", "truth"])
    torn = truths.duplicated(["split", "id"])
    if torn.any():
        first = shown(str(truths["id"][torn].iloc[0]))
        msg = f"{int(torn.sum()):,} examples have another truth for another model (first: id {first})"
        raise DataError(f"{msg}; compare models on the same examples")


def _require_classes(labels: pd.Series, column: str, classes: Collection[str], *, multi_label: bool) -> None:
    known = set(classes)
    odd = [label for label in labels.unique() if not _is_known(label, known, multi_label=multi_label)]
    if not odd:
        return
    count = int((labels.isin(odd) | (labels.isna() if any(map(is_missing, odd)) else False)).sum())
    few = ", ".join(map(shown, list(classes)[:8])) + (", …" if len(classes) > 8 else "")  # noqa: PLR2004
    msg = f"{count:,} rows of the predictions have a {column} that is none of the classes (first: {shown(str(odd[0]))})"
    raise DataError(
        f"{msg}; there are {few}: give the predictions of these classes, or the classes of these predictions"
    )


def _is_known(label: object, known: Collection[str], *, multi_label: bool) -> bool:
    if is_missing(label):
        # Of several classes an example may have none.
        return multi_label
    return all(name in known for name in split_label(str(label))) if multi_label else str(label) in known
