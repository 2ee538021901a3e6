"""JSON that others wrote: numbers that a machine can hold, and not more parts than a person could have meant."""

from __future__ import annotations

import json
from typing import Any

#: Digits of a whole number: more do not fit any type of a file's reader.
_DIGITS = 80
#: Lists and mappings: three bytes each make a hundred in memory.
_PARTS = 2_000_000
_DEEPEST = 100
_TOO_DEEP = f"its lists and mappings are nested more than {_DEEPEST} levels deep"


def parse_json(text: str | bytes, *, parts: int = _PARTS) -> Any:  # noqa: ANN401
    """
    Read JSON.

    Parameters
    ----------
    text
        The JSON; bytes are UTF-8.
    parts
        Most lists and mappings.

    Raises
    ------
    ValueError
        It is not JSON, or a bound was met: its line says which. Whole numbers have at most 80 digits, and lists and
        mappings at most 100 levels. Half a character, an escape from U+D800 to U+DFFF that stands
        alone, is no text: no file could hold it again.
    """
    text = text if isinstance(text, str) else text.decode("utf-8-sig")
    if text.count("[") + text.count("{") > parts:
        raise ValueError(f"it has more than {parts} lists and mappings")
    try:
        found = _DECODER.decode(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _refuse_halves(text, found)
    # Whoever walks it later does so from a deeper place than this.
    level = _parts_of([found])
    for _ in range(_DEEPEST):
        level = [part for outer in level for part in _parts_of(outer)]
        if not level:
            return found
    raise ValueError(_TOO_DEEP)


def _refuse_halves(text: str, found: Any) -> None:  # noqa: ANN401
    """Refuse escapes of half a character, which Python's decoder lets through."""
    # Whole ones are written as two halves, so that only the value tells. Few files hold either.
    if "\\ud" not in text and "\\uD" not in text:
        return
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a text holds half of a character, an escape from \\ud800 to \\udfff alone") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def _parts_of(outer: list[Any] | dict[str, Any]) -> list[Any]:
    inner = outer if isinstance(outer, list) else outer.values()
    return [part for part in inner if isinstance(part, (list, dict))]


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number has {len(digits)} digits; allowed: {_DIGITS}")
    return int(digits)


_DECODER = json.JSONDecoder(parse_int=_whole)
