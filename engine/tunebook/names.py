"""Names of classes, groups and columns in one spelling, so that two that look alike are the same."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Characters that show nothing in a name: soft hyphen, zero-width space, word joiner, mark of the byte order. Joiners
#: stay: in Persian, Hindi and among emoji they make another word or sign.
_NOTHING = re.compile("[\u00ad\u200b\u2060\ufeff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_NUMBER = re.compile(r"[+-]?(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][+-]?\d{1,2})?")


def plain_name(name: str) -> str:
    """
    Return a name in Unicode's composed form (NFC), without spaces around it and with single, plain spaces within.

    A no-break space is a space, and a control character too. Case and numbers stay as they are: ``"1.0"`` is not
    ``"1"``.
    """
    if name.isascii() and name.isalnum():
        return name
    composed = unicodedata.normalize("NFC", _NOTHING.sub("", name))
    return " ".join(_CONTROL.sub(" ", composed).split())


def alike(name: str) -> str:
    """Return what names have in common that differ in case, width or the form of a number only."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    if _NUMBER.fullmatch(plain):
        return f"{float(plain):.15g}"
    return plain


def look_alikes(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of different names that are :func:`alike`, in the order in which they first come."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(alike(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]
