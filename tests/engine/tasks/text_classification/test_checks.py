"""The checks of texts find what is wrong and leave alone what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tunebook import TextClassification
from tunebook.tasks.text_classification.checks import check_texts, near_duplicates, normal, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook.examples import Examples

LONG = (
    "one of the finest films that i have seen in many years and i would gladly see it once again tomorrow with friends"
)


@pytest.fixture
def check(table: Callable[..., Examples]) -> Callable[..., Any]:
    def check(*rows: tuple[str, str, str], **values: Any) -> Any:
        filler = [
            (label, split, f"{label} {split} filler {k}")
            for label in "ab"
            for split in ("train", "train", "validation", "test")
            for k in range(3)
        ]
        filler = [(label, split, f"{text} {n}") for n, (label, split, text) in enumerate(filler)]
        return check_texts(table([*rows, *filler]), TextClassification(**values))

    return check


def test_good_texts_give_no_finding(check: Callable[..., Any]) -> None:
    assert check(("a", "train", "naïve café – “quoted” 日本語 😀")).items == ()


def test_empty_texts_are_dropped(check: Callable[..., Any]) -> None:
    found = check(("a", "train", ""), ("a", "train", " \n\t"), ("b", "test", "\u200b\ufeff"))
    assert found.dropped() == {"empty": 3}


def test_copies_are_found_whatever_their_case_and_spaces(check: Callable[..., Any]) -> None:
    found = check(("a", "train", "A good  film"), ("a", "train", "a good film\u200b"), ("a", "test", "a GOOD film"))
    assert found.dropped()["same in two splits"] == 2
    found = check(("a", "train", "A good film"), ("b", "train", "a good film"))
    assert found.dropped() == {"two labels": 2}


def test_classes_may_be_letter_case(check: Callable[..., Any]) -> None:
    rows = [
        (label, "train", text) for k in range(5) for label, text in (("a", f"good film {k}"), ("b", f"GOOD FILM {k}"))
    ]
    found = check(*rows)
    assert found.dropped() == {"two labels": 10}
    assert found.items[0].message.endswith(
        "; copies of 5 differ in letter case only: match_case=True takes them for different texts"
    )
    assert check(*rows, match_case=True).items == ()
    assert check(("a", "train", "x y"), ("a", "train", "x  y"), match_case=True).dropped() == {"exact duplicate": 1}
    assert "letter case" not in check(("a", "train", "x y"), ("a", "train", "x  y")).items[0].message


def test_lists_of_words_written_as_text_are_a_remark(check: Callable[..., Any]) -> None:
    found = check(*[("a", "train", f"['film', 'number', '{k}']") for k in range(40)])
    assert [f.kind for f in found.items if f.kind != "imbalance"] == ["lists of words"]


def test_near_copies_across_splits_are_dropped_from_training(check: Callable[..., Any]) -> None:
    found = check(("a", "train", f"{LONG} yes"), ("a", "test", LONG))
    assert found.dropped() == {"near duplicate across splits": 1}
    found = check(("a", "train", f"{LONG} yes"), ("a", "train", LONG))
    assert [f.kind for f in found.items if "near" in f.kind] == ["near duplicate"]
    assert found.dropped() == {}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("la crÃ©me de la crÃ©me", "encoding damage"),
        ("donâ€™t", "encoding damage"),
        ("caf\ufffd", "encoding damage"),
        ("\u202etxet desrever", "invisible characters"),
        ("zero\u200bwidth", "invisible characters"),
        ("bell\x07", "invisible characters"),
        ("word " * 30_000, "extremely long"),
    ],
)
def test_what_is_odd_is_a_remark(text: str, kind: str, check: Callable[..., Any]) -> None:
    found = check(("a", "train", text))
    assert [f.kind for f in found.items] == [kind]
    assert found.dropped() == {}
    assert found.items[0].ids == ("e0",)


def test_near_duplicates_are_those_with_most_words_in_common() -> None:
    texts = [normal(t) for t in (LONG, LONG.replace("many", "most"), LONG[40:], "too short", "too short", LONG)]
    pairs = {tuple(pair) for pair in near_duplicates(texts).tolist()}
    assert (0, 1) in pairs or (1, 5) in pairs
    assert not any({3, 4} & set(pair) for pair in pairs)
    assert (0, 5) not in pairs
    assert near_duplicates([]).shape == (0, 2)


def test_invisible_characters_are_written_out() -> None:
    assert visible("a\u202eb\u200bc\x07\n d") == "a⟨U+202E⟩b⟨U+200B⟩c⟨U+0007⟩ d"
