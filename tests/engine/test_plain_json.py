"""JSON of a foreign hand is read as Python reads it, or refused in one line that names the bound."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.plain_json import parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**70), 10**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_a_person_means_is_read_as_it_is(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value).encode()) == value


@given(st.text() | st.binary())
def test_anything_else_is_a_value_error(text: str | bytes) -> None:
    try:
        expected = json.loads(text if isinstance(text, str) else text.decode("utf-8-sig"))
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            parse_json(text)
    else:
        assert repr(parse_json(text)) == repr(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1" * 81, "81 digits"),
        ("[" + "-" + "9" * 5000 + "]", "5001 digits"),
        ("[" * 101 + "]" * 101, "more than 100 levels"),
        ("[" * 100_000, "more than 100 levels"),
        ('{"a":' * 101 + "1" + "}" * 101, "more than 100 levels"),
    ],
)
def test_a_bound_is_named(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_json(text)


def test_bounds_themselves_are_allowed() -> None:
    assert parse_json("1" * 80) == int("1" * 80)
    deep = parse_json("[" * 100 + "]" * 100)
    assert str(deep) == "[" * 100 + "]" * 100
    assert parse_json("[[],[],[]]", parts=4) == [[], [], []]
    with pytest.raises(ValueError, match="more than 3 lists"):
        parse_json("[[],[],[]]", parts=3)
    assert math.isinf(parse_json("1e999"))
