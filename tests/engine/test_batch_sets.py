"""Sets of parameters: read from files that people write, refused with the line that is wrong, and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.batch_sets import Entry, read_sets, settle_sets
from tunebook.errors import TunebookError

PICTURES: dict[str, Any] = {"metadata": {"tunebook": {"task": "image-classification"}}, "cells": []}
CELL = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "n = 1\nname = 'a'"}
FOREIGN: dict[str, Any] = {"metadata": {}, "cells": [CELL]}


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> Path:
    Path(name).write_text(text, encoding="utf-8")
    return Path(name)


# Reading


def test_csv_leaves_empty_cells_at_their_defaults() -> None:
    text = '\ufefflr,run, freeze\n0.1,one,"[""a*"", ""b""]"\n\n,two,-2\n0.2,,\n'
    assert read_sets(write("s.csv", text)) == [
        Entry("s.csv, line 2", "one", {"lr": "0.1", "freeze": '["a*", "b"]'}),
        Entry("s.csv, line 4", "two", {"freeze": "-2"}),
        Entry("s.csv, line 5", "", {"lr": "0.2"}),
    ]


def test_yaml_is_a_list_or_a_mapping_of_names() -> None:
    assert read_sets(write("s.yaml", "# many\n- lr: 0.1\n  epochs: 2\n- {run: two, lr: 0.2}\n-\n")) == [
        Entry("s.yaml, line 2", "", {"lr": 0.1, "epochs": 2}),
        Entry("s.yaml, line 4", "two", {"lr": 0.2}),
        Entry("s.yaml, line 5", "", {}),
    ]
    assert read_sets(write("s.yml", "one: &one {lr: 0.1}\ntwo:\n  <<: *one\n  epochs: 3\n")) == [
        Entry("s.yml, line 1", "one", {"lr": 0.1}),
        Entry("s.yml, line 2", "two", {"lr": 0.1, "epochs": 3}),
    ]
    assert read_sets(write("s.json", '{"one": {"lr": 1}}')) == [Entry("s.json, line 1", "one", {"lr": 1})]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("s.txt", "", "must end in .csv, .yaml, .yml, .json"),
        ("s.csv", "", "holds no sets"),
        ("s.csv", "lr\n", "holds no sets"),
        ("s.csv", "lr,\n1,2\n", "line 1: column 2 has no title"),
        ("s.csv", "lr,lr\n1,2\n", "line 1: the column 'lr' is there twice"),
        ("s.csv", "lr\n1\n[1,2]\n", "line 3: 2 cells under 1 titles; quote a value"),
        ("s.csv", 'lr\n"1\n', "is not CSV"),
        ("s.yaml", "", "holds no sets"),
        ("s.yaml", "[]", "holds no sets"),
        ("s.yaml", "a: [1", "is not YAML in line 1"),
        ("s.yaml", "lr: [0.1, 0.2]", "line 1: lr: got [0.1, 0.2] (list) where a set"),
        ("s.yaml", "- lr: 1\n- 5", "line 2: got 5 (int) where a set"),
        ("s.yaml", "just text", "(str); write a list of sets"),
        ("s.yaml", "a: {}\na: {}", "line 2: 'a' is there twice, in line 1 too"),
        ("s.yaml", "- lr: 1\n  lr: 2", "line 2: 'lr' is there twice"),
        ("s.yaml", "1: {}", "a run's name is text: got 1 (int)"),
        ("s.yaml", "a: {run: b}", "the run is named 'a' already"),
        ("s.yaml", "- {run: 3}", "parameter run: got 3; a run's name is text"),
        ("s.yaml", "!!python/object/apply:os.system ['touch made']", "is not YAML"),
    ],
)
def test_a_file_that_holds_no_sets_is_a_line(name: str, text: str, words: str) -> None:
    with pytest.raises(TunebookError) as caught:
        read_sets(write(name, text))
    assert words in str(caught.value)
    assert not Path("made").exists()


def test_a_missing_file_and_a_wrong_encoding() -> None:
    with pytest.raises(TunebookError, match=r"cannot read none.csv: No such file"):
        read_sets(Path("none.csv"))
    Path("s.csv").write_bytes("lr\ngr\xf6\xdfe\n".encode("latin-1"))
    with pytest.raises(TunebookError, match="is not CSV in UTF-8"):
        read_sets(Path("s.csv"))


# Checking


def settle(*values: dict[Any, Any], notebook: dict[str, Any] = PICTURES, **common: Any) -> list[Any]:
    entries = [Entry(f"s, line {n}", each.pop("run", ""), each) for n, each in enumerate(values, start=1)]
    return settle_sets(notebook, entries, common, {})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lrr": 1}, "s, line 2: unknown parameter 'lrr'; did you mean 'lr'?"),
        ({"lr": "fast"}, "s, line 2: parameter lr: got 'fast'"),
        ({"lr": 100}, "s, line 2: parameter lr: got 100"),
        ({True: 1}, "s, line 2: a parameter's name is text"),
        ({"resume": "runs/a"}, "s, line 2: resume cannot be set"),
        ({"runs_dir": "there"}, "s, line 2: runs_dir cannot be set"),
        ({"lr": 0.5}, "s, line 2: is the same set as s, line 1"),
        ({"run": "../up", "lr": 1}, "s, line 2: parameter run"),
        ({"run": ".hidden", "lr": 1}, "s, line 2: parameter run"),
        ({"run": "x" * 200, "lr": 1}, "s, line 2: parameter run"),
    ],
)
def test_one_bad_set_refuses_all(values: dict[Any, Any], words: str) -> None:
    with pytest.raises(TunebookError) as caught:
        settle({"lr": 0.5}, values)
    assert str(caught.value).startswith(words)


def test_a_name_is_given_once() -> None:
    with pytest.raises(TunebookError, match="s, line 2: has the name 'a' of s, line 1"):
        settle({"run": "a"}, {"run": "a", "lr": 0.5})


def test_common_parameters_give_way_to_a_set_and_fixed_ones_do_not() -> None:
    (one,) = settle_sets(PICTURES, [Entry("s, line 1", "", {"lr": "0.1"})], {"lr": "0.2", "epochs": "3"}, {"seed": "7"})
    assert one.parameters == {"lr": 0.1, "epochs": 3, "seed": 7}
    assert one.own == ("lr",)
    with pytest.raises(TunebookError, match="s, line 1: parameter lr is set here and with -p"):
        settle_sets(PICTURES, [Entry("s, line 1", "", {"lr": "0.1"})], {}, {"lr": "0.2"})
    for name in ("run", "resume", "runs_dir"):
        with pytest.raises(TunebookError, match=f"{name} is not a parameter of many runs"):
            settle_sets(PICTURES, [Entry("s, line 1", "", {})], {}, {name: "a"})
    with pytest.raises(TunebookError, match=r"^unknown parameter 'lrr'"):
        settle({"lr": 1}, lrr=1)


def test_names_follow_from_the_set_alone() -> None:
    first = settle({"lr": 0.1}, {"freeze": ["a/*", "../b"], "lr": 0.1}, {"run": "mine"}, {})
    names = [each.name for each in first]
    assert names[0].startswith("lr-0.1-")
    assert names[1].startswith("freeze-a-..-b-_lr-0.1-")
    assert names[2] == "mine"
    assert names[3].startswith("image-classification-")
    # The order, other sets and the way it is written change nothing; a common parameter makes it another run.
    assert settle({"freeze": '["a/*", "../b"]', "lr": "1e-1"}, {"lr": "0.1"})[1].name == names[0]
    assert settle({"lr": 0.1}, epochs=3)[0].name != names[0]


@given(st.text(max_size=200))
def test_any_text_gives_a_name_for_a_folder(text: str) -> None:
    from tunebook.recipe import Recipe

    (one,) = settle({"data": text})
    assert Recipe.settle("run", one.name) == one.name


def test_a_notebook_of_the_users_own() -> None:
    (one,) = settle({"n": "3", "name": "5"}, notebook=FOREIGN)
    assert one.parameters == {"n": 3, "name": "5"}
    with pytest.raises(TunebookError, match="s, line 1: unknown parameter 'm'"):
        settle({"m": 1}, notebook=FOREIGN)
