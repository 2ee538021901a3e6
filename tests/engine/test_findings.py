"""Findings say what is wrong, and the policy drops exactly that or stops."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tunebook.errors import DataError
from tunebook.findings import Finding, Findings, few_examples, imbalance, require_trainable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook.examples import Examples

    Table = Callable[..., Examples]

WHOLE = [(label, split) for label in "ab" for split in ("train", "train", "validation", "test")]


def test_classes_with_few_examples_are_dropped_whole(table: Table) -> None:
    found = few_examples(table([*WHOLE, ("c", "train"), ("c", "test")]), 2)
    assert [f.kind for f in found] == ["too few examples"]
    assert found[0].drop_classes == ("c",)
    assert found[0].drop == ("e8", "e9")
    assert "1 of 3 classes have fewer than 2 training examples: 'c' (1)" in found[0].message


def test_a_class_that_a_split_lacks_is_a_remark(table: Table) -> None:
    found = few_examples(table([*WHOLE, ("c", "train"), ("c", "train"), ("c", "test")]), 2)
    assert [f.kind for f in found] == ["class missing in a split"]
    assert "no validation example" in found[0].message
    assert not found[0].is_problem


@pytest.mark.parametrize(("many", "is_found"), [(3, False), (4, True)])
def test_imbalance_is_more_than_three_times(table: Table, many: int, is_found: bool) -> None:  # noqa: FBT001
    found = imbalance(table([("a", "train")] * many + [("b", "train")]))
    assert bool(found) == is_found
    assert not any(f.is_problem for f in found)


def test_imbalance_names_classes_plainly(table: Table) -> None:
    assert imbalance(table([("a", "train")] * 4 + [("b", "train")]))[0].message.startswith(
        "class 'a' has 4 training examples, 'b' has 1;"
    )
    assert imbalance(table([("a", "train")] * 4)) == []


def test_drop_leaves_out_what_the_findings_say(table: Table) -> None:
    examples = table([*WHOLE, ("c", "train")])
    findings = Findings(
        examples, (Finding("k", "m", ("e0", "e1"), ("e0",)), Finding("few", "n", ("e8",), ("e8",), ("c",)))
    )
    left = findings.resolve("drop")
    assert left.frame["id"].tolist() == [f"e{n}" for n in range(1, 8)]
    assert left.classes == ("a", "b")
    assert findings.dropped() == {"k": 1, "few": 1}
    assert findings.table()["to drop"].tolist() == [1, 1]


def test_stop_names_the_first_problem(table: Table) -> None:
    findings = Findings(
        table(WHOLE),
        (Finding("remark", "r"), Finding("bad", "one is bad", ("e0",), ("e0",)), Finding("b2", "", (), ("e1",))),
    )
    with pytest.raises(DataError, match=r"^bad: one is bad \(and 1 more kinds of problem\); mend the data"):
        findings.resolve("stop")


def test_remarks_do_not_stop(table: Table) -> None:
    assert len(Findings(table(WHOLE), (Finding("remark", "r", ("e0",)),)).resolve("stop")) == 8


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no example is left"),
        ([("a", "train"), ("a", "test")], r"only one class \('a'\) is left"),
        ([("a", "train"), ("b", "train"), ("a", "test")], "the validation split is empty"),
        ([("a", "train"), ("b", "train"), ("a", "validation")], "the test split is empty"),
        ([("a", "test"), ("b", "test"), ("a", "validation")], "the train split is empty"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(table: Table, rows: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        require_trainable(table(rows))


def test_examples_of_several_classes_outlive_one_that_is_dropped(table: Callable[..., Examples]) -> None:
    rows = [("a|c", "train"), ("c", "train"), *[("a", "train"), ("b", "train")] * 3]
    examples = replace(table(rows, ("a", "b", "c")), multi_label=True)
    found = few_examples(examples, 3)[0]
    assert found.drop_classes == ("c",)
    assert found.ids == ("e0", "e1")
    assert found.drop == ("e1",)


def test_the_last_line_says_what_dropped_most_with_an_example(table: Table) -> None:
    examples = table([(label, split, f"pics/{label}.png") for label, split in WHOLE])
    ids = tuple(examples.frame["id"])
    findings = Findings(
        examples,
        (Finding("few", "some are few", ids[:2], ids[:2]), Finding("unreadable", "most cannot be read", ids, ids[2:])),
    )
    with pytest.raises(DataError) as caught:
        findings.resolve("drop")
    assert str(caught.value) == (
        "made for a test: no example is left; the check for 'unreadable' drops 6 of 8: most cannot be read; the first "
        "of them is 'pics/a.png'"
    )
    of_test = tuple(examples.frame.loc[examples.frame["split"] == "test", "id"])
    with pytest.raises(DataError, match="the test split is empty; the check for 'odd' drops 2 of 2: they are odd"):
        Findings(examples, (Finding("odd", "they are odd", of_test, of_test),)).resolve("drop")


def test_the_last_line_says_that_nothing_is_downloaded(table: Table) -> None:
    examples = table([("a", "train", "https://example.org/1.png"), ("b", "test", "https://example.org/2.png")])
    ids = tuple(examples.frame["id"])
    with pytest.raises(DataError, match="nothing is downloaded: save the files, and give their paths"):
        Findings(examples, (Finding("unreadable", "none can be read", ids, ids),)).resolve("drop")


def test_numbers_to_be_predicted_are_told_from_classes(table: Table) -> None:
    for point in ".,":
        found = few_examples(table([(f"{k}{point}25", "train") for k in range(20)]), 3)
        assert f"they look like numbers to be predicted, such as 0{point}25" in found[0].message
    assert "numbers" not in few_examples(table([(str(k), "train") for k in range(20)]), 3)[0].message


def test_labels_that_are_hidden_in_a_test_set_are_named(table: Table) -> None:
    examples = table(
        [*[(label, split) for label in "ab" for split in ("train", "validation")] * 3, *[("-1", "test")] * 4]
    )
    found = few_examples(examples, 3)
    assert "every example of test has the label '-1', as if it were hidden" in found[0].message
    with pytest.raises(DataError, match=r"the test split is empty; .* as if it were hidden"):
        Findings(examples, tuple(found)).resolve("drop")
