"""Labels of several classes are read however people write them, or refused by column and row."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.cells import CellError
from tunebook.label_lists import list_in_text, read_label_lists, several_in_one

words = st.text(alphabet="abz '\"\\,\u00e9", min_size=1, max_size=6).map(str.strip).filter(bool)


def labels(*values: Any) -> list[str]:
    return read_label_lists(values, "tags")[0]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("['joy', 'anger']", ["joy", "anger"]),
        ('["joy"]', ["joy"]),
        ("[]", []),
        ("['joy' 'anger']", ["joy", "anger"]),
        ("[1 2]", ["1", "2"]),
        ("{'a', 'b'}", ["a", "b"]),
        ("{a,b}", ["a", "b"]),
        ("('a',)", ["a"]),
        ("['it\\'s', \"b\"]", ["it's", "b"]),
        ("['a', None, nan]", ["a"]),
        ("(laughing)", None),
        ("{'a': 1}", None),
        ('{"a": 1}', None),
        ("[['a']]", None),
        ("[" * 50_000 + "]" * 50_000, None),
        ("joy", None),
    ],
)
def test_a_list_written_as_text_is_read(text: str, items: list[str] | None) -> None:
    assert list_in_text(text) == items


@given(st.lists(words, max_size=4))
def test_what_python_and_json_write_is_read_back(items: list[str]) -> None:
    plain = [" ".join(item.split()) for item in items]
    assert list_in_text(json.dumps(items)) == plain
    assert list_in_text(repr(items)) == plain


@given(st.text(alphabet="[](){}'\", \\ab1", max_size=40))
def test_any_text_is_a_list_or_none(text: str) -> None:
    assert list_in_text(text) is None or isinstance(list_in_text(text), list)


def test_every_way_of_writing_gives_the_same() -> None:
    expected = ["anger|joy", "joy", ""]
    assert labels("joy|anger", " joy ", None) == expected
    assert labels(["joy", "anger"], ["joy"], []) == expected
    assert labels(np.array(["joy", "anger"]), np.array(["joy"]), None) == expected
    assert labels("['joy', 'anger']", "['joy']", "[]") == expected
    assert labels(b"joy|anger", b"joy", b"") == expected


@pytest.mark.parametrize("sign", [",", ";"])
def test_other_signs_are_read_where_the_parts_recur_and_said(sign: str) -> None:
    found, remarks = read_label_lists([f"joy{sign} anger", "joy", "anger"], "tags")
    assert found == ["anger|joy", "joy", "anger"]
    assert remarks == [
        ("labels", f"labels such as 'joy{sign} anger' were read as several classes with {sign!r} between them")
    ]


def test_signs_within_names_are_left_and_remarked_on() -> None:
    found, remarks = read_label_lists(["Washington, DC", "Boston, MA"], "tags")
    assert found == ["Washington, DC", "Boston, MA"]
    assert "were read as one class each; if they are several, write '|' between them" in remarks[0][1]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["a", {"a": 1}], "row 2: it is a mapping"),
        (["a", '{"a": 1}'], "row 2: .* is no list of names"),
        ([["a"], [["b"]]], "row 2: it is a list"),
        ([["a"], ["x|y"]], r"row 2: class 'x\|y' must not hold '\|'; rename it"),
        ([[1, 0, 1], [0, 0, 1]], "row 1: .* says yes or no to each class"),
        (["[1, 0]", "[0, 1]"], "row 1: .* says yes or no to each class"),
    ],
)
def test_other_labels_are_refused_by_column_and_row(values: list[Any], reason: str) -> None:
    with pytest.raises(CellError, match=f"column 'tags', {reason}"):
        labels(*values)


@pytest.mark.parametrize(
    "written", ["array(['{}', 'b'], dtype=object)", "['{}', 'b', 'c'", "frozenset({{'{}', 'b', 'c'}})", "({}, b, c)"]
)
def test_pieces_of_what_is_no_list_of_names_do_not_become_classes(written: str) -> None:
    with pytest.raises(CellError, match=r"row 1: .* is no list of names; write them"):
        labels(*(written.format(name) for name in "acdc"))


def test_several_classes_an_example_of_which_no_example_has_several_are_remarked_on() -> None:
    found, remarks = read_label_lists(["a/b", "b/c", ""], "tags")
    assert found == ["a/b", "b/c", ""]
    assert remarks == [("labels", "no example has more than one class, such as 'a/b'; names are told apart by '|'")]
    assert read_label_lists(["a/b", "b|c"], "tags")[1] == []


def test_names_that_look_like_several_classes_are_found() -> None:
    assert several_in_one({"a|b", "a", "b"}) == "a|b"
    assert several_in_one({"['a']", "['b']"}) == "['a']"
    assert several_in_one({"a", "b, c"}) == ""
    assert several_in_one(set()) == ""
    assert several_in_one({f"{k},{n}" for k in "12" for n in "12"}) == ""
