"""Answers as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

#: Items of a list that are written at once.
_MANY = 20


def dump(value: Any) -> bytes:  # noqa: ANN401
    """Write JSON; numbers that are not finite become ``null``, which every reader knows."""
    if isinstance(value, dict) and any(isinstance(inner, list) and len(inner) > _MANY for inner in value.values()):
        return b"{" + b",".join(_dump(key) + b":" + _dump_list(inner) for key, inner in value.items()) + b"}"
    return _dump(value)


def _dump_list(value: Any) -> bytes:  # noqa: ANN401
    """Write a long list item by item: one call for a thousand runs would keep all threads waiting."""
    if isinstance(value, list) and len(value) > _MANY:
        return b"[" + b",".join(map(_dump, value)) + b"]"
    return _dump(value)


def _dump(value: Any) -> bytes:  # noqa: ANN401
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, separators=(",", ":")).encode()


def _finite(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value
