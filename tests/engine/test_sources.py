"""Folders and tables are read as a person would read them, and refused in one line that helps."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from tunebook.errors import DataError
from tunebook.sources import load_examples, read_folder
from tunebook.table_file import read_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunebook.examples import Examples

    MakeRecipe = Callable[..., Any]

SUFFIXES = (".jpg", ".png")


@pytest.fixture
def load(recipe: MakeRecipe) -> Callable[..., Examples]:
    def load(data: Path | str, **values: Any) -> Examples:
        return load_examples(recipe(data=str(data), **values), "path", suffixes=SUFFIXES)

    return load


def fill(folder: Path, count: int = 3, name: str = "{}.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        (folder / name.format(n)).touch()
    return folder


def complaint(caught: pytest.ExceptionInfo[DataError]) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Folders.


def test_class_folders_are_split(tmp_path: Path, load: Callable[..., Examples]) -> None:
    fill(tmp_path / "cat", 10)
    fill(tmp_path / "dog", 10)
    examples = load(tmp_path)
    assert examples.classes == ("cat", "dog")
    assert examples.frame["split"].value_counts().to_dict() == {"train": 12, "validation": 4, "test": 4}
    assert "cat/0.png" in set(examples.frame["id"])


@pytest.mark.parametrize("data", ["deep/data", "deep/data/", "./deep/data"])
def test_files_of_a_folder_given_from_here_are_found(
    tmp_path: Path, load: Callable[..., Examples], monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    fill(tmp_path / "deep" / "data" / "cat")
    fill(tmp_path / "deep" / "data" / "dog")
    monkeypatch.chdir(tmp_path)
    examples = load(data)
    assert sorted(examples.frame["content"]) == [f"deep/data/{c}/{n}.png" for c in ("cat", "dog") for n in range(3)]


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "Validation"])
def test_split_folders_are_kept(tmp_path: Path, load: Callable[..., Examples], name: str) -> None:
    for split in ("train", name, "test"):
        for label in ("cat", "dog"):
            fill(tmp_path / split / label)
    examples = load(tmp_path)
    assert examples.classes == ("cat", "dog")
    assert examples.counts()["validation"].tolist() == [3, 3]


def test_classes_named_like_splits_are_classes_where_others_stand_beside(
    tmp_path: Path, load: Callable[..., Examples]
) -> None:
    fill(tmp_path / "train")
    fill(tmp_path / "bus")
    assert load(tmp_path).classes == ("bus", "train")


def test_unicode_and_spaces_are_kept(tmp_path: Path, load: Callable[..., Examples]) -> None:
    root = tmp_path / "données à moi 图片"
    fill(root / "chat noir", name="été {}.PNG")
    fill(root / "犬", name="写真 {}.jpg")
    examples = load(root)
    assert examples.classes == ("chat noir", "犬")
    assert "chat noir/été 0.PNG" in set(examples.frame["id"])
    assert all(os.path.exists(path) for path in examples.frame["content"])  # noqa: PTH110


def test_hidden_files_are_passed_over_and_others_named(tmp_path: Path, load: Callable[..., Examples]) -> None:
    fill(tmp_path / "cat", 3)
    fill(tmp_path / "dog", 3)
    fill(tmp_path / ".git" / "x")
    (tmp_path / "README.md").touch()
    (tmp_path / "dog" / "notes.txt").touch()
    examples = load(tmp_path)
    assert len(examples) == 6
    assert examples.remarks == (
        ("left out", "2 files of another kind left out: .md (1), .txt (1); the first is 'README.md'"),
    )


def test_classes_are_in_natural_order(tmp_path: Path, load: Callable[..., Examples]) -> None:
    for n in ("10", "9", "1"):
        fill(tmp_path / n)
    assert load(tmp_path).classes == ("1", "9", "10")


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "cat")
    (tmp_path / "cat" / os.fsdecode(b"\xff.png")).touch()
    with pytest.raises(DataError, match="is not UTF-8; rename it") as caught:
        read_folder(tmp_path, SUFFIXES)
    complaint(caught).encode()


def test_an_empty_class_folder_is_named(tmp_path: Path, load: Callable[..., Examples]) -> None:
    fill(tmp_path / "cat")
    fill(tmp_path / "dog", 0)
    with pytest.raises(DataError, match="class folder 'dog' holds no file that can be read; fill or remove it"):
        load(tmp_path)


def test_a_folder_without_classes_is_refused(tmp_path: Path, load: Callable[..., Examples]) -> None:
    fill(tmp_path)
    with pytest.raises(DataError, match="found no class folders"):
        load(tmp_path)
    (tmp_path / "labels.csv").touch()
    table = r"of its name, or give data as the path of the table 'labels\.csv' in it"
    with pytest.raises(DataError, match=table):
        load(tmp_path)
    fill(tmp_path / "images")
    with pytest.raises(DataError, match=f"its one folder, 'images', would be the only class.*{table}"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["nothing/here/at all", "no-such-folder", "missing.csv"])
def test_what_is_not_there_is_refused(tmp_path: Path, load: Callable[..., Examples], name: str) -> None:
    with pytest.raises(DataError, match="no such folder or file; data is demo, a folder, a table file"):
        load(tmp_path / name)


# Tables.

TABLE = pd.DataFrame({"path": [f"{n}.png" for n in range(12)], "label": ["a", "b"] * 6, "age": ["old", None] * 6})
WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    ".parquet": lambda frame, path: frame.to_parquet(path),
    ".jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
}


def write(frame: pd.DataFrame, path: Path) -> Path:
    WRITERS[path.suffix](frame, path)
    return path


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_kind_of_table_gives_the_same(tmp_path: Path, load: Callable[..., Examples], suffix: str) -> None:
    examples = load(write(TABLE, tmp_path / f"t{suffix}"), sensitive=["age"])
    assert examples.classes == ("a", "b")
    assert examples.frame["id"].tolist()[:2] == ["row-1", "row-2"]
    assert examples.frame["content"][0] == str(tmp_path / "0.png")
    assert examples.frame["age"].tolist() == ["old", "(missing)"] * 6
    assert list(examples.frame) == ["id", "content", "label", "split", "age"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_labels_such_as_na_and_numbers_are_names(tmp_path: Path, load: Callable[..., Examples], suffix: str) -> None:
    frame = TABLE.assign(label=["NA", "1", "null", "01"] * 3)
    assert load(write(frame, tmp_path / f"t{suffix}")).classes == ("01", "1", "NA", "null")


def test_numbers_from_a_column_with_gaps_are_named_as_whole(tmp_path: Path, load: Callable[..., Examples]) -> None:
    frame = TABLE.assign(age=[3.0, None] * 6, label=[1, 2] * 6)
    examples = load(write(frame, tmp_path / "t.parquet"), sensitive=["age"])
    assert examples.classes == ("1", "2")
    assert set(examples.frame["age"]) == {"3", "(missing)"}


def test_a_split_column_is_kept(tmp_path: Path, load: Callable[..., Examples]) -> None:
    frame = TABLE.assign(split=["train"] * 8 + ["Val", "dev", "test", "testing"])
    assert load(write(frame, tmp_path / "t.csv")).counts()["test"].tolist() == [1, 1]


def test_an_unknown_split_is_refused(tmp_path: Path, load: Callable[..., Examples]) -> None:
    with pytest.raises(DataError, match="split 'holdout' is not known; use train, validation or test"):
        load(write(TABLE.assign(split=["train"] * 11 + ["holdout"]), tmp_path / "t.csv"))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_without_a_split_are_refused(tmp_path: Path, load: Callable[..., Examples], suffix: str) -> None:
    with pytest.raises(DataError, match="2 rows have no split in column 'split' \\(first: row 11\\); fill them"):
        load(write(TABLE.assign(split=["train"] * 10 + [None, None]), tmp_path / f"t.{suffix}"))


def test_two_words_for_one_split_are_remarked_on(tmp_path: Path, load: Callable[..., Examples]) -> None:
    frame = TABLE.assign(split=["train"] * 8 + ["Val", "evaluation", "test", "Test "])
    said = dict(load(write(frame, tmp_path / "t.csv")).remarks)["splits"]
    assert said == "'evaluation' and 'val' were all read as the split validation"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_splits_under_another_name_are_remarked_on(tmp_path: Path, load: Callable[..., Examples], suffix: str) -> None:
    frame = TABLE.assign(subset=["train"] * 8 + ["val"] * 2 + ["test"] * 2, other="train")
    said = dict(load(write(frame, tmp_path / f"t.{suffix}")).remarks)["splits"]
    assert said == "column 'subset' names splits and was not used; call it 'split' to keep them"


def test_lines_above_the_names_of_the_columns_are_named(tmp_path: Path, load: Callable[..., Examples]) -> None:
    for above, words in (
        ("# tool, 2024\n", "row 1 has 'path': remove what stands above"),
        ("Export\n", "line 2: .* remove what stands above"),
    ):
        (tmp_path / "t.csv").write_text(above + TABLE[["path", "label"]].to_csv(index=False))
        with pytest.raises(DataError, match=words):
            load(tmp_path / "t.csv")


def test_a_missing_column_gets_a_suggestion(tmp_path: Path, load: Callable[..., Examples]) -> None:
    with pytest.raises(DataError, match="no column 'lable'; did you mean 'label'\\?; it has 'path', 'label', 'age'"):
        load(write(TABLE, tmp_path / "t.csv"), label="lable")


@pytest.mark.parametrize("suffix", WRITERS)
def test_missing_labels_are_counted(tmp_path: Path, load: Callable[..., Examples], suffix: str) -> None:
    frame = TABLE.assign(label=["a", "b", None, "b"] * 3)
    with pytest.raises(DataError, match=r"3 rows have no label in column 'label' \(first: row 3\)"):
        load(write(frame, tmp_path / f"t{suffix}"))


def test_the_label_is_not_sensitive(tmp_path: Path, load: Callable[..., Examples]) -> None:
    with pytest.raises(DataError, match="'label' is the label itself"):
        load(write(TABLE, tmp_path / "t.csv"), sensitive=["label"])


def test_ids_must_be_unique(tmp_path: Path, load: Callable[..., Examples]) -> None:
    with pytest.raises(DataError, match="the id 'x' is there more than once"):
        load(write(TABLE.assign(id=["x", *map(str, range(10)), "x"]), tmp_path / "t.csv"))


def test_a_table_without_rows_is_refused(tmp_path: Path, load: Callable[..., Examples]) -> None:
    with pytest.raises(DataError, match="the table has no rows"):
        load(write(TABLE.iloc[:0], tmp_path / "t.csv"))


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("t.csv", b""),
        ("t.csv", b"\xff\xfe\x00broken"),
        ("t.csv", b'a,b\n"1,2\n'),
        ("t.parquet", b"PAR1 no"),
        ("t.parquet", b""),
        ("t.jsonl", b"{broken"),
        ("t.jsonl", b'{"a": 1}\n[1, 2'),
        ("t.jsonl", b'{"a": 1}\n[1, 2]'),
        ("t.jsonl", b'{"a": "\xff"}'),
    ],
)
def test_a_damaged_table_is_one_line(tmp_path: Path, name: str, raw: bytes) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(DataError, match="cannot be read as") as caught:
        read_table(tmp_path / name)
    complaint(caught)


@pytest.mark.parametrize("text", ["Well, the film,a", "x,y,z,a"])
def test_rows_of_more_fields_than_names_are_refused(tmp_path: Path, load: Callable[..., Examples], text: str) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *[text] * 9]))
    with pytest.raises(DataError, match="quote texts"):
        load(tmp_path / "t.csv")


@pytest.mark.parametrize("names", [["content"], ["split"], ["id"], ["group", "group"]])
def test_sensitive_names_that_are_taken_are_refused(
    tmp_path: Path, load: Callable[..., Examples], names: list[str]
) -> None:
    row = {"path": "a", "label": "x", "group": "g", "content": "c", "split": "train", "id": "1"}
    pd.DataFrame([row]).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match="sensitive="):
        load(tmp_path / "t.csv", sensitive=names)


def test_lists_of_labels_ask_for_multi_label(tmp_path: Path, load: Callable[..., Examples]) -> None:
    pd.DataFrame({"path": ["a", "b"], "label": [["x"], ["y"]]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="multi_label=True"):
        load(tmp_path / "t.parquet")


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").touch()
    with pytest.raises(DataError, match=r"must end in \.csv, \.tsv, \.parquet, \.jsonl"):
        read_table(tmp_path / "t.xlsx")


def test_jsonl_dates_and_numbers_stay_as_written(tmp_path: Path) -> None:
    rows = [{"path": "a.png", "label": "007", "date": "2024-01-02"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_table(tmp_path / "t.jsonl").to_dict("records") == rows


# The demo and the limit of examples.


def test_the_demo_gives_the_columns_asked_for(recipe: MakeRecipe, table: Callable[..., Examples]) -> None:
    made = table([("a", "train")] * 5)
    made = type(made)(made.frame.assign(tone="x", gender="y"), made.classes, "demo", ("tone", "gender"))
    assert load_examples(recipe(), "path", demo=lambda _: made).sensitive == ("tone", "gender")
    assert load_examples(recipe(sensitive=["tone"]), "path", demo=lambda _: made).sensitive == ("tone",)
    assert len(load_examples(recipe(max_examples=2), "path", demo=lambda _: made)) == 2
    with pytest.raises(DataError, match="no column 'tonne'; did you mean 'tone'"):
        load_examples(recipe(sensitive=["tonne"]), "path", demo=lambda _: made)


def test_a_hub_name_without_a_network_is_refused(recipe: MakeRecipe) -> None:
    def never(*_: object) -> pd.DataFrame:
        raise AssertionError

    pytest.importorskip("datasets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets.load_dataset", lambda _: (_ for _ in ()).throw(ConnectionError("offline")))
        with pytest.raises(DataError, match="the hub does not give it: offline"):
            load_examples(recipe(data="someone/something"), "path", suffixes=SUFFIXES, hub=never)


def test_several_labels_are_read_from_text_and_from_lists(tmp_path: Path, load: Callable[..., Examples]) -> None:
    frame = pd.DataFrame({"path": list("abcd"), "label": ["joy|anger", " joy", None, "anger|joy|joy"]})
    listed = frame.assign(label=[["joy", "anger"], ["joy"], [], ["anger", "joy"]])
    frame.to_csv(tmp_path / "a.csv", index=False)
    listed.to_json(tmp_path / "b.jsonl", orient="records", lines=True)
    listed.to_parquet(tmp_path / "c.parquet")
    for name in ("a.csv", "b.jsonl", "c.parquet"):
        examples = load(tmp_path / name, multi_label=True)
        assert examples.classes == ("anger", "joy")
        assert examples.frame["label"].tolist() == ["anger|joy", "joy", "", "anger|joy"]
        assert examples.targets().tolist() == [[1, 1], [0, 1], [0, 0], [1, 1]]
        assert examples.counts()["all"].tolist() == [2, 3]


def test_a_separator_in_a_name_is_refused(tmp_path: Path, load: Callable[..., Examples]) -> None:
    pd.DataFrame({"path": ["a"], "label": [["joy|ful"]]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"'joy\|ful'.*rename"):
        load(tmp_path / "a.parquet", multi_label=True)


def test_splits_of_several_labels_have_some_of_every_class(tmp_path: Path, load: Callable[..., Examples]) -> None:
    labels = [*["a|b"] * 20, *["b"] * 20, *["b|c"] * 5]
    frame = pd.DataFrame({"path": range(45), "label": labels})
    frame.to_csv(tmp_path / "t.csv", index=False)
    examples = load(tmp_path / "t.csv", multi_label=True)
    assert all(examples.class_counts(split).min() >= 1 for split in ("train", "validation", "test"))


def test_labels_that_are_numbers_in_one_split_and_words_in_another_are_refused(
    tmp_path: Path, load: Callable[..., Examples]
) -> None:
    frame = pd.DataFrame(
        {"path": list("abcd"), "label": ["0", "1", "neg", "pos"], "split": ["train"] * 2 + ["test"] * 2}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError) as caught:
        load(tmp_path / "t.csv")
    assert "numbers in train ('0') and words in test ('neg')" in str(caught.value)
    frame.assign(label=["0", "pos", "neg", "1"]).to_csv(tmp_path / "mixed.csv", index=False)
    assert len(load(tmp_path / "mixed.csv")) == 4


# Names in one spelling.


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [("pos", "pos ", "pos"), ("caf\u00e9", "cafe\u0301", "caf\u00e9"), ("new york", "new\u00a0york", "new york")],
)
def test_names_that_look_the_same_are_one_class_and_one_group(
    tmp_path: Path, load: Callable[..., Examples], one: str, other: str, name: str
) -> None:
    frame = TABLE.assign(label=[one, "no", other, "no"] * 3, age=[one, other] * 6)
    for path in ("t.csv", "t.parquet", "t.jsonl"):
        examples = load(write(frame, tmp_path / path), sensitive=["age"])
        assert examples.classes == tuple(sorted([name, "no"]))
        assert set(examples.frame["age"]) == {name}
        assert [kind for kind, _ in examples.remarks] == ["spelling", "spelling"]
        assert "1 labels are written in ways that look the same and were read as one" in examples.remarks[0][1]


def test_names_are_the_same_across_folders_of_splits(tmp_path: Path, load: Callable[..., Examples]) -> None:
    for split, label in (("train", "caf\u00e9"), ("val", "cafe\u0301"), ("test", "caf\u00e9 ")):
        fill(tmp_path / split / label)
        fill(tmp_path / split / "bar")
    examples = load(tmp_path)
    assert examples.classes == ("bar", "caf\u00e9")
    assert examples.counts()["test"].tolist() == [3, 3]


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("True", "true"), ("yes", "Yes")])
def test_names_that_differ_in_case_or_number_form_are_kept_apart_and_said(
    tmp_path: Path, load: Callable[..., Examples], one: str, other: str
) -> None:
    frame = TABLE.assign(label=[one, "no", other, "no"] * 3, age=[one, other] * 6)
    examples = load(write(frame, tmp_path / "t.csv"), sensitive=["age"])
    assert set(examples.classes) == {one, other, "no"}
    assert [kind for kind, _ in examples.remarks] == ["names alike", "names alike"]
    assert "1 classes are written in several ways and were kept apart: " in examples.remarks[1][1]


def test_names_of_columns_are_found_whatever_their_spaces(tmp_path: Path, load: Callable[..., Examples]) -> None:
    (tmp_path / "t.csv").write_text("path , label, old age\n" + "a.png, x,1\nb.png, y,2\n" * 3)
    examples = load(tmp_path / "t.csv", sensitive=["old\u00a0age"])
    assert examples.classes == ("x", "y")
    assert examples.sensitive == ("old\u00a0age",)


def test_one_column_may_be_named_in_two_spellings(tmp_path: Path, load: Callable[..., Examples]) -> None:
    examples = load(write(TABLE, tmp_path / "t.csv"), sensitive=["path "], label="label ")
    assert examples.classes == ("a", "b")
    for names in (["label"], ["age", "age "]):
        with pytest.raises(DataError, match=r"is the label itself|is named twice"):
            load(tmp_path / "t.csv", sensitive=names, label="label ")


def test_a_column_of_splits_in_capitals_is_kept_where_it_is_one(tmp_path: Path, load: Callable[..., Examples]) -> None:
    splits = ["train"] * 8 + ["Val", "dev", "test", "testing"]
    assert load(write(TABLE.assign(Split=splits), tmp_path / "t.csv")).counts()["test"].tolist() == [1, 1]
    assert len(load(write(TABLE.assign(Split="banana"), tmp_path / "t.csv"))) == 12


# What is no plain table.


def test_remarks_on_the_file_are_remarks_on_the_examples(tmp_path: Path, load: Callable[..., Examples]) -> None:
    (tmp_path / "t.csv").write_text("path;label\n" + "a.png;x\nb.png;y\n" * 3)
    assert [kind for kind, _ in load(tmp_path / "t.csv").remarks] == ["separator"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("path,label,label\na,x,y\n", "the column 'label' is there 2 times; rename all but one"),
        ("path,label\na,x\nb\n", "line 3 has 1 of 2 cells, and none for column 'label'"),
        ("a.png,x\nb.png,y\n", "no column 'path'; it has 'a.png', 'x'"),
        ("path,label\na,x\nb, \n", r"1 rows have no label in column 'label' \(first: row 2\)"),
        ("id,path,label\n1,a,x\n,b,y\n", "column 'id', row 2: it is empty"),
        ("path,label,split\na,x,test\nb,y,val\n", "no example is for training: there are 1 of test, 1 of validation"),
        ("path,label\na,\"['x', 'y']\"\nb,['x']\n", "labels in column 'label' such as .* are lists; set multi_label"),
    ],
)
def test_tables_that_lack_something_are_refused_in_one_line(
    tmp_path: Path, load: Callable[..., Examples], text: str, reason: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=reason) as caught:
        load(tmp_path / "t.csv")
    complaint(caught)


def test_columns_that_are_not_needed_may_be_odd(tmp_path: Path, load: Callable[..., Examples]) -> None:
    (tmp_path / "t.csv").write_text(",path,label,note,note\n" + "1,a,x,n,n\n2,b,y\n" * 3)
    examples = load(tmp_path / "t.csv")
    assert len(examples) == 6
    assert examples.remarks == (("short rows", "3 rows have fewer cells than there are columns (first: line 3)"),)


def test_labels_that_look_like_several_are_remarked_on(tmp_path: Path, load: Callable[..., Examples]) -> None:
    examples = load(write(TABLE.assign(label=["a|b", "a", "b"] * 4), tmp_path / "t.csv"))
    assert examples.classes == ("a", "a|b", "b")
    assert examples.remarks == (
        ("labels", "labels such as 'a|b' look like several classes and were read as one; see multi_label"),
    )


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_pipe_with_the_name_of_a_table_is_refused_at_once(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"t{suffix}")
    with pytest.raises(DataError, match="it is a pipe and not a regular file"):
        read_table(tmp_path / f"t{suffix}")


def test_bytes_become_files(tmp_path: Path, recipe: MakeRecipe) -> None:
    cells = [{"bytes": b"%d" % k, "path": f"{k}.png"} for k in range(6)]
    pd.DataFrame({"path": cells, "label": ["a", "b"] * 3}).to_parquet(tmp_path / "t.parquet")
    examples = load_examples(
        recipe(data=str(tmp_path / "t.parquet")), "path", suffixes=SUFFIXES, keep=lambda raw: f"kept {raw.decode()}"
    )
    assert examples.frame["content"].tolist() == [f"kept {k}" for k in range(6)]


def test_a_folder_saved_by_datasets_is_read(tmp_path: Path, recipe: MakeRecipe) -> None:
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    from tunebook.sources import from_splits

    features = Features({"path": Value("string"), "label": ClassLabel(names=["oak", "elm"])})
    part = Dataset.from_dict({"path": list("abcdefgh"), "label": [0, 1] * 4}, features=features)
    part.save_to_disk(tmp_path / "one")
    DatasetDict({"train": part, "test": part}).save_to_disk(tmp_path / "two")

    def load(name: str) -> Examples:
        made = recipe(data=str(tmp_path / name))
        return load_examples(
            made, "path", hub=lambda place, data: from_splits(place, data, made, lambda rows: {"path": rows["path"]})
        )

    assert load("one").classes == load("two").classes == ("elm", "oak")
    assert load("two").counts()["test"].tolist() == [4, 4]
    (tmp_path / "one" / "dataset_info.json").write_text("{")
    with pytest.raises(DataError, match="is a saved dataset that cannot be opened") as caught:
        load("one")
    complaint(caught)
