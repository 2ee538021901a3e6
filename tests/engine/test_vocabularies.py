"""Names in another spelling: what is the same, and what is told apart."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunebook.vocabularies import alike, class_name, other_spellings


def test_a_class_is_named_alike_whatever_held_it() -> None:
    three = [3, 3.0, np.float32(3), np.int8(3), "3", " 3.0 ", b"3", Decimal("3.00")]
    assert {class_name(value) for value in three} == {"3"}
    assert class_name("e\u0301 \u00a0 a") == "\u00e9 a"
    assert class_name("3.05") == "3.05"
    assert class_name(float("inf")) == "inf"


def test_who_says_two_names_means_two_things() -> None:
    assert other_spellings(["Yes", "No"], ["yes", "no"]) == {"yes": "Yes", "no": "No"}
    assert other_spellings(["A", "b"], ["a", "A", "b"]) == {}
    assert other_spellings(["A", "a"], ["\u0391"]) == {}  # a Greek letter is another one
    assert other_spellings(["AB", "ab"], ["aB"]) == {}


def test_words_for_yes_and_no_are_numbers_only_among_themselves() -> None:
    assert other_spellings(["0", "1"], ["no", "Yes"]) == {"no": "0", "Yes": "1"}
    assert other_spellings(["0", "1", "2"], ["no", "yes"]) == {}
    assert other_spellings(["no", "yes", "unsure"], ["0", "1"]) == {}
    assert other_spellings(["-1", "1"], ["0", "1"]) == {"0": "-1"}
    assert other_spellings(["-1", "0", "1"], ["0", "1"]) == {}


def test_the_sign_of_a_number_is_no_hyphen() -> None:
    assert other_spellings(["2", "1"], ["-2", "1"]) == {}
    assert other_spellings(["-2", "1"], ["-2.00", "1"]) == {"-2.00": "-2"}


@given(st.lists(st.text(max_size=5).map(class_name), unique=True), st.lists(st.text(max_size=5), unique=True))
def test_what_is_matched_is_known_and_was_not_said(known: list[str], said: list[str]) -> None:
    said = list(dict.fromkeys(map(class_name, said)))
    found = other_spellings(known, said)
    assert set(found) <= set(said) - set(known)
    assert set(found.values()) <= set(known) - set(said)


@given(st.lists(st.sampled_from(["a", "A", "1", "1.0", "b", "LABEL_1", "x-y", "x y"]), unique=True))
def test_like_names_are_put_together_once(names: list[str]) -> None:
    found = [name for several in alike(names) for name in several]
    assert len(found) == len(set(found))
    assert set(found) <= set(names)
