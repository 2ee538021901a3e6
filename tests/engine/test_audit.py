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


def test_numbers_written_in_two_ways_are_one_class() -> None:
    table = _table().astype({"p": float})
    table["p"] = table["p"].map("{:.1f}".format)
    assert _audit("gender", table=table).classes == ("0", "1")


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
        (["age"], {"id": "gender"}, "is there more than once"),
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
