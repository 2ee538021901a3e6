"""Audits: any model's predictions, and one line for each way of naming them wrongly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tunebook.audit import Audit, Columns, read_derived
from tunebook.bias import Settings
from tunebook.errors import DataError
from tunebook.vocabularies import class_name

if TYPE_CHECKING:
    from pathlib import Path

_QUICK = Settings(draws=200)


def _table(count: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    truth, gender = rng.integers(0, 2, count), rng.choice(["man", "woman", ""], count, p=[0.45, 0.45, 0.1])
    said = np.where(rng.random(count) < np.where(gender == "woman", 0.7, 0.9), truth, 1 - truth)
    table = pd.DataFrame({"y": truth, "p": said, "gender": gender, "age": rng.integers(18, 80, count)})
    table["sure"], table["q"], table["none"] = rng.uniform(0.5, 1, count).round(3), 1 - truth, ""
    return table


def _audit(*sensitive: str, table: pd.DataFrame | None = None, settings: Settings = _QUICK, **columns: str) -> Any:
    named = Columns(**{"truth": "y", "prediction": "p", "sensitive": sensitive, **columns})  # type: ignore[arg-type]
    return Audit(named, settings=settings).of_table(_table() if table is None else table, "'t.csv'")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl"])
def test_it_reads_what_tables_are_kept_in(tmp_path: Path, suffix: str) -> None:
    path, table = tmp_path / f"t.{suffix}", _table()
    if suffix == "parquet":
        table.to_parquet(path)
    elif suffix == "jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False, sep="," if suffix == "csv" else "\t")
    report = Audit(Columns("y", "p", ("gender", "age"), confidence="sure"), settings=_QUICK).of_file(path)
    assert report.attributes == ["gender", "age", "gender × age"]
    right = (table["y"] == table["p"]).groupby(table["gender"].replace("", "(missing)")).mean()
    assert report.table("gender")["model"].to_dict() == pytest.approx(right.to_dict())
    assert report.groups("age").kind == "bins"
    assert report.classes == ("0", "1")
    json.dumps(report.to_json(), allow_nan=False)


def test_what_was_done_to_read_the_file_is_said(tmp_path: Path) -> None:
    _table().to_csv(tmp_path / "t.csv", index=False, sep=";")
    report = Audit(Columns("y", "p", ("gender",)), settings=_QUICK).of_file(tmp_path / "t.csv")
    assert "Of the file: cells are separated by ';', not by ','" in report.settings.notes[0]


def test_numbers_written_in_two_ways_are_one_class() -> None:
    table = _table().astype({"p": float})
    table["p"] = table["p"].map("{:.1f}".format)
    assert _audit("gender", table=table).classes == ("0", "1")


def _words(truth: Any, said: Any, **changes: Any) -> Any:
    """Audit two columns of 600 rows."""
    table = pd.DataFrame({"y": list(truth), "p": list(said), "gender": ["man", "woman", "man"] * 200})
    columns = Columns("y", "p", ("gender",))
    return Audit(columns, **{"settings": _QUICK, **changes}).of_table(table, "'t.csv'")


_TRUTH = np.random.default_rng(1).integers(0, 2, 600)
_SAID = np.where(np.random.default_rng(2).random(600) < 0.8, _TRUTH, 1 - _TRUTH)


def _named(numbers: np.ndarray, no: object, yes: object) -> list[object]:
    return [yes if number else no for number in numbers]


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        (("0", "1"), (False, True)),
        (("0", "1"), ("false", "TRUE")),
        (("no", "yes"), ("False", "True")),
        (("No", "Yes"), ("no", "yes ")),
        (("0", "1"), ("LABEL_0", "LABEL_1")),
        (("00", "01"), (0.0, 1.0)),
        (("0.50", "1.5"), (0.5, "1.50")),
        (("not toxic", "toxic"), ("not_toxic", "Toxic")),
        (("x", "caf\u00e9"), ("x", "cafe\u0301")),
        (("a b", "x"), ("a\u00a0b", "\ufeffx")),
        (("neg", "pos"), (b"neg", b"pos")),
    ],
)
def test_classes_in_another_spelling_are_matched_and_that_is_said(
    truth: tuple[object, object], said: tuple[object, object]
) -> None:
    report = _words(_named(_TRUTH, *truth), _named(_SAID, *said))
    right = report.table("gender")["model"].mul(report.table("gender")["n"]).sum() / 600
    assert right == pytest.approx((_TRUTH == _SAID).mean())
    assert set(report.classes) == set(truth)
    is_same = {class_name(name) for name in said} == set(truth)
    assert any("spells classes otherwise" in note for note in report.settings.notes) is not is_same


@pytest.mark.parametrize(
    ("truth", "said", "words"),
    [
        (_named(_TRUTH, "dog", "cat"), _SAID, r"says '0', '1' and never a class of column 'y', which has 'cat', 'dog'"),
        (_named(_TRUTH, "dog", "cat"), _named(_SAID, "LABEL_0", "LABEL_1"), "says 'LABEL_0', 'LABEL_1' and never"),
        (_TRUTH, np.linspace(0.0, 1.0, 600).round(3), r"numbers such as '0.002'.*--threshold 0.5 and --positive '1'"),
        (_TRUTH, np.arange(600) % 101, r"numbers such as '2' and no classes"),
        (_TRUTH + _SAID, np.linspace(-3, 3, 600), "the class of the highest score"),
        (np.linspace(0, 9, 600), np.linspace(0, 9, 600), "holds 600 different numbers such as"),
        ([f"n{k}" for k in range(600)], ["n1"] * 600, "a value of its own in each of 600 rows"),
        (["a", "b"] * 300, [["a"], ["b"]] * 300, "600 cells of column 'p' hold a list .first: row 1.; name a column"),
        (["a", "b"] * 300, ["a", {"label": "b"}] * 300, "300 cells of column 'p' hold a mapping .first: row 2."),
        (["a", "b"] * 300, ["a;b", "a", "b"] * 200, "says 'a;b', several classes.*--multi-label"),
        (["a", "b"] * 300, ["a", " "] * 300, r"300 rows have no value in column 'p' \(first: row 2\)"),
    ],
)
def test_predictions_that_are_no_classes_are_refused_with_what_to_do(truth: Any, said: Any, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        _words(truth, said)
    assert str(caught.value).startswith("'t.csv': ")


def test_scores_are_read_with_a_threshold_and_tell_how_sure_they_are() -> None:
    scores = np.where(_SAID == 1, 0.75, 0.3125)
    report = _words(_named(_TRUTH, "ham", "spam"), scores, threshold=0.5)
    assert report.predictions["prediction"].tolist() == _named(_SAID, "ham", "spam")
    assert set(report.predictions["confidence"]) == {0.75, 0.6875}
    assert "of 0.5 and more are read as class 'spam'" in report.settings.notes[0]
    settings = Settings(draws=200, positive="HAM")
    other = _words(_named(_TRUTH, "ham", "spam"), scores, threshold=0.5, settings=settings)
    assert other.predictions["prediction"].tolist() == _named(_SAID, "spam", "ham")
    assert other.positive == "ham"
    for truth, said, words in (
        (_TRUTH + _SAID, scores, "is for two classes, and column 'y' has 3"),
        (_TRUTH, _named(_SAID, "a", "0.5"), r"is no score in \d+ rows"),
    ):
        with pytest.raises(DataError, match=words):
            _words(truth, said, threshold=0.5)


def test_the_range_of_scores_and_what_they_say_is_told() -> None:
    scores = np.where(np.array(_TRUTH) == 1, 80.0, 20.0)
    notes = _words(_TRUTH, scores, threshold=0.5).settings.notes
    assert "from 20 to 80, of 0.5 and more are read as class '1': 600 of 600 rows" in notes[0]


def test_scores_of_the_other_class_are_remarked_on() -> None:
    scores = np.where(np.array(_TRUTH) == 1, 0.25, 0.75)
    notes = _words(_TRUTH, scores, threshold=0.5).settings.notes
    assert "less often than chance" in notes[1]


def test_scores_with_a_decimal_comma_are_read_and_percents_refused_by_example() -> None:
    scores = [f"0,{75 if said else 25}" for said in _SAID]
    report = _words(_TRUTH, scores, threshold=0.5)
    assert set(report.predictions["confidence"]) == {0.75}
    assert "decimal comma" in report.settings.notes[0]
    with pytest.raises(DataError, match=r"row 1, '\d\d%'\); write finite numbers without a unit"):
        _words(_TRUTH, [f"{75 if said else 25}%" for said in _SAID], threshold=0.5)


def test_several_classes_with_other_marks_between_them_are_refused_in_either_column() -> None:
    with pytest.raises(DataError, match="column 'y' says 'a,b', several classes of the other column"):
        _words(["a,b", "a"] * 300, ["a|b", "a"] * 300, multi_label=True)


def test_classes_that_one_column_alone_has_are_remarked_on() -> None:
    notes = _words(["a", "b", "c"] * 200, ["a", "b", "d"] * 200).settings.notes
    assert "says 'd' in 200 of 600 rows, which column 'y' never has: that counts as wrong" in notes[0]
    assert "never says 'c', which 200 of 600 rows have" in notes[1]
    assert "differ in spelling alone and stay apart" in _words(["A", "a"] * 300, ["A", "a"] * 300).settings.notes[0]
    assert not _words(_TRUTH, _SAID).settings.notes


def test_classes_that_are_numbered_otherwise_are_remarked_on() -> None:
    (note,) = _words(_TRUTH, 1 - _SAID).settings.notes
    assert "less often than chance; with '0' as '1', '1' as '0' it would be" in note
    (note,) = _words(_TRUTH, np.ones(600, int)).settings.notes  # one class for all is no worse than chance
    assert "never says '0'" in note


def test_lists_are_several_classes_where_these_are_asked_for() -> None:
    report = _words([["a", "b"], []] * 300, ["B|a", "B"] * 300, multi_label=True)
    assert report.classes == ("a", "b")
    assert report.table("gender")["model"].tolist() == [0.5, 0.5]
    assert report.settings.notes[0].endswith("'B' as 'b'.")
    with pytest.raises(DataError, match="hold a mapping"):
        _words([{"a": 1}] * 600, ["a"] * 600, multi_label=True)
    with pytest.raises(DataError, match="hold a list"):
        _words([[["a"]]] * 600, ["a"] * 600, multi_label=True)


@pytest.mark.parametrize("column", ["gender", "part", "sure"])
def test_cells_that_hold_lists_are_one_line_in_any_column(column: str) -> None:
    table = _table().assign(part="test")
    table[column] = [["x"]] * len(table)
    with pytest.raises(DataError, match=f"300 cells of column '{column}' hold a list"):
        _audit("gender", table=table, split="part", confidence="sure")


def test_another_models_predictions_are_its_baseline() -> None:
    report = _audit("gender", baseline="q")
    assert report.models == ["baseline", "tuned"]
    assert report.table("gender")["baseline"].tolist() == [0.0, 0.0, 0.0]
    assert report.change("gender") is not None
    assert "Against the baseline" in report.sentences("gender")[0]


def test_splits_and_ids_are_taken_where_they_are_named() -> None:
    table = _table().assign(part=["test", "validation", "field"] * 100, name=[f"n{k}" for k in range(300)])
    report = _audit("gender", table=table, split="part", id="name")
    assert report.splits == ["test", "validation", "field"]
    assert report.worst_mistakes()["id"].str.startswith("n").all()


def test_several_classes_may_be_missing() -> None:
    table = pd.DataFrame({"y": ["a|b", None, "b"] * 30, "p": ["b|a", "", "a"] * 30, "g": ["x", "y", "y"] * 30})
    report = Audit(Columns("y", "p", ("g",)), multi_label=True, settings=_QUICK).of_table(table)
    assert report.table("g")["model"].tolist() == [1.0, 0.5]


@pytest.mark.parametrize(
    ("sensitive", "columns", "words"),
    [
        (["gendr"], {}, "no column 'gendr'; did you mean 'gender'"),
        (["y"], {}, "column 'y' is the truth itself"),
        (["p"], {}, "column 'p' is the prediction itself"),
        (["gender", "gender"], {}, "names 'gender' twice"),
        (["none"], {}, "column 'none' is empty"),
        ([], {}, "at least one column to compare by"),
        (["gender"], {"truth": "z"}, "no column 'z'"),
        (["gender"], {"confidence": "age"}, "no confidence from 0 to 1 in 300 rows"),
        (["gender"], {"confidence": "gender", "prediction": "p"}, "is the confidence itself"),
        (["gender"], {"id": "age"}, "is there more than once"),
        (["age"], {"id": "gender"}, r"\d+ rows have no value in column 'gender'"),
        (["age"], {"split": "gender"}, r"\d+ rows have no value in column 'gender'"),
        (["gender"], {"split": "sure"}, "names no splits"),
        (["gender"], {"prediction": "y"}, "named as truth and as prediction"),
        (["gender"], {"baseline": "p"}, "named as prediction and as baseline"),
    ],
)
def test_what_is_named_wrongly_is_one_line(sensitive: list[str], columns: dict[str, str], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        _audit(*sensitive, **columns)
    assert str(caught.value).startswith("'t.csv': ")
    assert str(caught.value).isprintable()


def test_missing_labels_and_rows_are_refused() -> None:
    table = _table()
    table.loc[3, "y"] = np.nan
    with pytest.raises(DataError, match=r"1 rows have no value in column 'y' \(first: row 4\)"):
        _audit("gender", table=table)
    with pytest.raises(DataError, match="no rows"):
        _audit("gender", table=table.iloc[:0])


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        Audit(Columns("y", "p", ("g",))).of_file(tmp_path / "nothing.csv")


def test_derived_columns_are_marked_and_must_be_compared() -> None:
    assert read_derived(["gender=from first names"]) == {"gender": "from first names"}
    report = _audit("gender", settings=Settings(draws=200, derived={"gender": "from first names"}))
    assert "Derived, not recorded: from first names." in report.remarks("gender")
    with pytest.raises(DataError, match="not among --sensitive"):
        _audit("gender", settings=Settings(draws=200, derived={"age": "guessed"}))
    for text in ("gender", "=x", "gender="):
        with pytest.raises(DataError, match="write column=how"):
            read_derived([text])
