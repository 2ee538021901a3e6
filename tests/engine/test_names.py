"""Names that look alike are the same name, and names that differ stay different."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.names import plain_name


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("pos ", "pos"),
        ("\tpos\r\n", "pos"),
        ("cafe\u0301", "caf\u00e9"),
        ("new\u00a0york", "new york"),
        ("new  york", "new york"),
        ("\ufeffpos", "pos"),
        ("po\u200bs", "pos"),
        ("pos\x00", "pos"),
        ("a\u200db", "a\u200db"),
        ("1.0", "1.0"),
        ("", ""),
    ],
)
def test_a_name_has_one_spelling(written: str, plain: str) -> None:
    assert plain_name(written) == plain


@given(st.text())
def test_plain_names_are_plain(name: str) -> None:
    plain = plain_name(name)
    assert plain_name(plain) == plain == plain.strip()
    assert plain_name(unicodedata.normalize("NFD", name)) == plain
    assert plain_name(f" {name}\u00a0") == plain
