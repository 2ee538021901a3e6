"""Numbers as people write them in a column: with a decimal comma, marks between thousands, or a unit."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from tunebook.vocabularies import number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: What people write into a column of numbers where they have none, in lower case.
_NOTHING = frozenset({
    "na", "n/a", "n.a.", "#n/a", "<na>", "nan", "null", "none", "nil", "missing", "-", "--", "\N{EN DASH}",
    "\N{EM DASH}", "?", ".", "..",
})  # fmt: skip
#: An amount: a currency before it, the number, and up to twenty characters after it, none of them digits.
_AMOUNT = re.compile(
    r"(?P<before>[$\u20ac\u00a3\u00a5]?) ?(?P<sign>[+\-\u2212]?)(?P<body>\d(?:[\d.,'\u2019 ]*\d)?[.,]?|[.,]\d+)"
    r"(?P<exponent>[eE][+\-]?\d+)?(?P<after> ?[^\d\s.,'\u2019+\-][^\d]{0,19})?"
)
#: Decimal mark and mark between thousands, in the order in which they are tried: of those that fit as many, the first.
_MARKS = ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
#: Of numbers such as 980 and 1.234, those with a point must be so many before it stands between thousands.
_SURE = 3


@dataclass(frozen=True)
class Reading:
    """
    How the numbers of a column are written.

    Attributes
    ----------
    decimal
        ``"."`` or ``","``.
    thousands
        What stands between thousands; often nothing.
    unit
        What stands beside each number, such as ``"%"``; often nothing.
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""

    def number(self, text: str) -> float | None:
        """Return the finite number that a text is; ``None`` for another text."""
        if self == PLAIN and (plain_number := number_of(text)) is not None:
            return plain_number  # most columns are written so, and this is many times faster
        found = _AMOUNT.fullmatch(text)
        if found is None or _key(_unit(found)) != _key(self.unit):
            return None
        body = found["body"].replace("\u2019", "'")
        if not _pattern(self.decimal, self.thousands).fullmatch(body):
            return None
        plain = (body.replace(self.thousands, "") if self.thousands else body).replace(self.decimal, ".")
        sign = found["sign"].replace("\N{MINUS SIGN}", "-")
        number = float(f"{sign}{plain}{found['exponent'] or ''}")
        return number if np.isfinite(number) else None

    def describe(self) -> str:
        """Say in a sentence what is out of the ordinary; nothing where nothing is."""
        ways = []
        if self.decimal == ",":
            ways.append("with a decimal comma")
        if self.thousands:
            marks = {",": "a comma", ".": "a point", " ": "a space", "'": "an apostrophe"}
            ways.append(f"with {marks[self.thousands]} between thousands")
        if self.unit:
            ways.append(f"with {self.unit!r}")
        return f"Its numbers are read as written {' and '.join(ways)}." if ways else ""


#: Numbers as Python writes them.
PLAIN = Reading()


def is_amount(text: str) -> bool:
    """Return whether a text is a number in some way of writing it, with a word for a unit at most."""
    found = _AMOUNT.fullmatch(text)
    return found is not None and " " not in _unit(found)


def is_nothing(text: str) -> bool:
    """Return whether a text among numbers says that there is none, as ``NA`` does."""
    return text.casefold() in _NOTHING


def reading_of(texts: Sequence[str]) -> Reading:
    """
    Find the one way of writing numbers in which most of some different texts are numbers.

    Marks that may be read in two ways, as in ``1,234``, are read as the other texts ask for; where none does, a comma
    before three digits stands between thousands, and so does a point, if other numbers are without one.
    """
    grouped = Reading(",", ".")
    if all(number_of(text) is not None for text in texts):
        has_groups = _groups_by_point(texts) and all(grouped.number(text) is not None for text in texts)
        return grouped if has_groups else PLAIN
    found = [match for text in texts if (match := _AMOUNT.fullmatch(text))]
    units = Counter(_key(_unit(match)) for match in found)
    if not units:
        return PLAIN
    # Of two units of as many numbers, none at all is the plainer one.
    most = max(units, key=lambda unit: (units[unit], unit == ""))
    ours = [match for match in found if _key(_unit(match)) == most]
    bodies = [match["body"].replace("\u2019", "'") for match in ours]
    fits = {marks: sum(bool(_pattern(*marks).fullmatch(body)) for body in bodies) for marks in _MARKS}
    decimal, thousands = max(fits, key=lambda marks: fits[marks])
    if (decimal, thousands) == (".", "") and fits[",", "."] == fits[".", ""] and _groups_by_point(bodies):
        decimal, thousands = ",", "."
    return Reading(decimal, thousands, Counter(_unit(match) for match in ours).most_common(1)[0][0])


def _groups_by_point(bodies: Iterable[str]) -> bool:
    """Say whether some numbers have a point before three digits and others none: a fraction would vary in length."""
    pointed = ["." in body for body in bodies]
    return _SURE <= sum(pointed) < len(pointed)


@cache
def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    point, mark = re.escape(decimal), re.escape(thousands)
    whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:{mark}\d{{3}})+)" if thousands else r"\d+"
    return re.compile(rf"{whole}(?:{point}\d*)?|{point}\d+")


def _unit(match: re.Match[str]) -> str:
    return match["before"] or (match["after"] or "").strip()


def _key(unit: str) -> str:
    """Return what units have in common that are the same: ``year`` and ``Years``, ``st`` and ``th``."""
    folded = unit.casefold().rstrip(".")
    if folded in ("st", "nd", "rd", "th"):
        return "th"
    return folded.removesuffix("s") if len(folded) > 2 else folded  # noqa: PLR2004 - "s" and "ms" are units
