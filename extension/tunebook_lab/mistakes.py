"""What is taken for what, as pairs of classes: it can be read however many classes there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Pairs that are sent.
MOST_PAIRS = 200


def most_mistaken(confusion: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any] | None:
    """
    Return the pairs of classes that are mistaken most often.

    Parameters
    ----------
    confusion
        ``split`` and ``counts``, truth by prediction, as many rows as columns.
    classes
        Names of the classes.

    Returns
    -------
    dict
        As the OpenAPI file's ``Mistakes``; ``None`` where the classes are not those of the counts.
    """
    import numpy as np  # noqa: PLC0415 - it is slow to import

    counts = np.asarray(confusion["counts"], dtype=np.int64)
    if len(classes) != len(counts):
        return None
    support = counts.sum(axis=1)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    truth, said = np.nonzero(wrong)
    order = np.argsort(-wrong[truth, said], kind="stable")[:MOST_PAIRS]
    pairs = [
        {
            "truth": classes[truth[k]], "prediction": classes[said[k]], "count": int(wrong[truth[k], said[k]]),
            "of": int(support[truth[k]]),
        }
        for k in order
    ]  # fmt: skip
    return {"split": confusion["split"], "pairs": pairs, "total": len(truth)}
