"""The names that people give to the parts of a data set: one list for folders, tables and hub data sets."""

from __future__ import annotations

import re
import unicodedata

_NAMES = {
    "train": ("train", "training", "trn"),
    "validation": ("val", "valid", "validate", "validating", "validation", "dev", "develop", "development", "eval",
                   "evaluate", "evaluation"),
    "test": ("test", "tests", "testing", "tst"),
}  # fmt: skip
_SPLIT_OF = {name: split for split, names in _NAMES.items() for name in names}
#: What stands beside such a name and says nothing: ``train_set``, ``Test Images``, ``01-val``, ``val2017``.
_FILLERS = re.compile(
    r"^(?:\d+|the|my)?[\s._-]*(.*?)(?:set|data|dataset|folder|split|images?|imgs?|pics|pictures?|photos?|files|[\s._-]|\d)*$"
)


def split_of(name: str) -> str | None:
    """
    Return the split that a name stands for: ``"train"``, ``"validation"`` or ``"test"``; ``None`` for another name.

    Parameters
    ----------
    name
        As written; case, spaces around it and words such as ``_set`` or ``-images`` do not count.
    """
    plain = unicodedata.normalize("NFKC", name).casefold().strip()
    if plain in _SPLIT_OF:
        return _SPLIT_OF[plain]
    found = _FILLERS.match(plain)
    return _SPLIT_OF.get(found[1]) if found else None
