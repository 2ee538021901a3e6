"""Numbers of bytes and times are short."""

from __future__ import annotations

import time

import pytest

from tunebook.quantities import age, amount


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1200, "1.2 kB"), (14_000_000, "14 MB"), (2.5e9, "2.5 GB"), (3e13, "30000.0 GB")],
)
def test_sizes_are_short(size: float, text: str) -> None:
    assert amount(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-100, "0 s"), (0, "0 s"), (59.5, "59 s"), (60, "1 min"), (7300, "2 h"), (86_400, "1 d"), (10**7, "115 d")],
)
def test_ages_are_short(seconds: float, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert age(2e9 - seconds) == text
