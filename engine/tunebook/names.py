"""Names of classes, groups and columns in one spelling, so that two that look alike are the same."""

from __future__ import annotations

import re
import unicodedata

#: Characters that show nothing in a name: soft hyphen, zero-width space, word joiner, mark of the byte order. Joiners
#: stay: in Persian, Hindi and among emoji they make another word or sign.
_NOTHING = re.compile("[\u00ad\u200b\u2060\ufeff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def plain_name(name: str) -> str:
    """
    Return a name in Unicode's composed form (NFC), without spaces around it and with single, plain spaces within.

    A no-break space is a space, and a control character too. Case and numbers stay as they are: ``"1.0"`` is not
    ``"1"``.
    """
    if name.isascii() and name.isalnum():
        return name
    composed = name if name.isascii() else unicodedata.normalize("NFC", _NOTHING.sub("", name))
    return " ".join(_CONTROL.sub(" ", composed).split())
