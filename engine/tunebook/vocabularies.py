"""Class names of two columns held against each other: which are the same in another spelling, and which are not."""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from tunebook.names import plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

#: Words for no and yes, by what they mean. They are taken for each other only where a column has no other words.
_TRUTH_VALUES = {
    "0": False, "false": False, "no": False, "n": False, "f": False, "-1": False,
    "1": True, "true": True, "yes": True, "y": True, "t": True,
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d+\.0+")
#: What libraries call classes without names: transformers' ``LABEL_1``, others' ``class 1``.
_NUMBERED = re.compile(r"(?:label|class) ?(\d+)")


def class_name(value: object) -> str:
    """
    Name a class as every table names it, see :func:`tunebook.names.plain_name`.

    3.0 and the text "3.0", as a column with gaps is read and written, are "3". Bytes are read as UTF-8.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, float | np.floating | Decimal) and math.isfinite(value) and float(value).is_integer():
        return str(int(value))
    text = plain_name(str(value))
    return text.partition(".")[0] if _WHOLE.fullmatch(text) else text


def number_of(name: str) -> float | None:
    """Return the finite number that a name is; ``None`` for another name."""
    if not _NUMBER.fullmatch(name):
        return None
    number = float(name)
    return number if np.isfinite(number) else None


def other_spellings(known: Collection[str], said: Collection[str]) -> dict[str, str]:
    """
    Find names that are known ones in another spelling.

    Letter case, spaces, hyphens and underscores, forms of Unicode, forms of a number (``01``, ``1.0``), a number given
    to a class (``LABEL_1``), and words for yes and no are spelling. A name that fits several known ones is none of
    them, and so is one that fits a name which is said as well: whoever says both means two things.

    Parameters
    ----------
    known, said
        Different names, as from :func:`class_name`.

    Returns
    -------
    dict
        Names that are said and not known to the known one that each of them is.
    """
    found: dict[str, str] = {}
    left = [name for name in said if name not in known]
    free = [name for name in known if name not in said]
    keys: list[Callable[[str], object]] = [_folded, _numbered]
    if all(_folded(name) in _TRUTH_VALUES for name in (*known, *said)):
        keys.append(lambda name: _TRUTH_VALUES[_folded(name)])
    for key in keys:
        places: dict[object, list[str]] = {}
        for name in free:
            places.setdefault(key(name), []).append(name)
        for name in left:
            fits = places.get(key(name), [])
            if name not in found and len(fits) == 1:
                found[name] = fits[0]
    return found


def alike(names: Collection[str]) -> list[list[str]]:
    """Return the sets of names that differ in nothing but spelling, each of two names or more, all in order."""
    sets: dict[object, list[str]] = {}
    for name in sorted(names):
        sets.setdefault(_numbered(name), []).append(name)
    return [several for several in sets.values() if len(several) > 1]


def _folded(name: str) -> str:
    if number_of(name) is not None:
        return name  # the hyphen of -2 is a sign
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(" " if letter in "-_\N{EN DASH}\N{HYPHEN}" else letter for letter in text)
    # Marks without a width, such as a byte order mark, are seen by nobody.
    return " ".join("".join(letter for letter in text if unicodedata.category(letter) != "Cf").split()) or name


def _numbered(name: str) -> object:
    number = number_of(name)
    if number is not None:
        return number
    folded = _folded(name)
    numbered = _NUMBERED.fullmatch(folded)
    return float(numbered[1]) if numbered else folded
