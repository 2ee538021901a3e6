"""A folder's layout is recognised whole or not at all, and what does not belong to it is counted and named."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.folders import Bounds, Layout, is_system, read_layout

if TYPE_CHECKING:
    from pathlib import Path


def fill(folder: Path, count: int = 2, ending: str = ".png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number}{ending}").touch()
    return folder


def splits(root: Path, *names: str) -> Path:
    for name in names:
        for label in ("elm", "oak"):
            fill(root / name / label)
    return root


def read(root: Path, **bounds: Any) -> Layout:
    return read_layout(str(root), {".png"}, lambda path: path.endswith("picture"), Bounds(**bounds))


def said(layout: Layout) -> str:
    return "\n".join(text for _, text in layout.remarks)


@pytest.mark.parametrize("beside", ["unlabelled", "raw", "extra/deeper", "test_notes"])
def test_splits_win_over_what_stands_beside_them(tmp_path: Path, beside: str) -> None:
    splits(tmp_path, "train", "val", "test")
    fill(tmp_path / beside, 3)
    layout = read(tmp_path)
    assert layout.classes == ["elm", "oak"]
    assert sorted(layout.splits) == ["test", "train", "validation"]
    assert len(layout.files) == 12
    assert f"'{beside.split('/', 1)[0]}' (3)" in said(layout)


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", ".ipynb_checkpoints", ".git", "$RECYCLE.BIN"])
def test_folders_of_systems_are_passed_over_at_every_depth(tmp_path: Path, name: str) -> None:
    splits(tmp_path, "train", "test")
    for place in (tmp_path, tmp_path / "train", tmp_path / "train" / "oak", fill(tmp_path / "test" / "oak" / "more")):
        fill(place / name / "deeper")
        fill(place / name)
    layout = read(tmp_path)
    assert layout.classes == ["elm", "oak"]
    assert len(layout.files) == 10
    assert not [file for file in layout.files if name in file.id]


@pytest.mark.parametrize("name", ["._0.png", "Thumbs.db", ".DS_Store", "desktop.ini", "~$a.png"])
def test_files_of_systems_are_passed_over_without_a_word(tmp_path: Path, name: str) -> None:
    fill(tmp_path / "oak")
    (fill(tmp_path / "elm") / name).touch()
    layout = read(tmp_path)
    assert len(layout.files) == 4
    assert layout.remarks == []
    assert is_system(name)


@pytest.mark.parametrize("pair", [("val", "validation"), ("val", "Validate"), ("val", "eval"), ("train", "Train")])
def test_two_folders_of_one_split_are_refused(tmp_path: Path, pair: tuple[str, str]) -> None:
    splits(tmp_path, *{"train", "test", *pair})
    assert "are both the" in read(tmp_path).problem
    assert all(name in read(tmp_path).problem for name in pair)


def test_a_test_folder_without_classes_is_named_and_has_no_label(tmp_path: Path) -> None:
    splits(tmp_path, "train", "val")
    fill(tmp_path / "test", 5)
    layout = read(tmp_path)
    assert layout.splits == ["train", "validation"]
    assert len(layout.files) == 8
    assert "'test' holds 5 files and no class folder of train" in said(layout)
    assert "the test split is cut from train" in said(layout)


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (["val/oak", "test/oak"], "no train/ stands beside"),
        (["photos/oak", "photos/elm", "test/oak"], "no train/ stands beside"),
        (["train", "test"], "have no class folders"),
        (["train", "test", "more"], "have no class folders"),
        (["oak/train", "oak/test", "elm/train", "elm/test"], "put splits above classes"),
        (["train/all/oak", "train/all/elm", "test/all/oak"], "the one folder in each split, 'all', holds the class"),
        (["all/oak", "all/elm"], "give data as the path of 'all'"),
        (["all/train/oak", "all/test/oak"], "give data as the path of 'all'"),
    ],
)
def test_what_is_half_a_layout_is_refused(tmp_path: Path, layout: list[str], words: str) -> None:
    for place in layout:
        fill(tmp_path / place)
    assert words in read(tmp_path).problem


@pytest.mark.parametrize("name", ["val", "test"])
def test_a_split_with_a_folder_that_is_no_class_has_no_label(tmp_path: Path, name: str) -> None:
    splits(tmp_path, "train")
    fill(tmp_path / name / "images", 4)
    layout = read(tmp_path)
    assert layout.classes == ["elm", "oak"]
    assert layout.splits == ["train"]
    assert f"'{name}' holds 4 files and no class folder of train" in said(layout)


def test_splits_of_other_classes_are_refused(tmp_path: Path) -> None:
    splits(tmp_path, "train")
    for label in ("0", "1"):
        fill(tmp_path / "test" / label)
    assert "'test' holds class folders such as '0' and '1', none of which train has" in read(tmp_path).problem


def test_names_of_classes_in_another_case_are_classes(tmp_path: Path) -> None:
    splits(tmp_path, "train")
    fill(tmp_path / "val" / "OAK")
    assert read(tmp_path).classes == ["elm", "oak", "OAK"]


@pytest.mark.parametrize("root", [".", "./", "data", "data/", "../data/../data"])
def test_ids_are_below_the_root_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    place = tmp_path / "data"
    fill(place / "oak", 1)
    fill(place / "elm", 1)
    monkeypatch.chdir(place if root.startswith("./") or root == "." else tmp_path)
    if root.startswith(".."):
        monkeypatch.chdir(place)
    layout = read_layout(root, {".png"}, lambda _: False)
    assert [file.id for file in layout.files] == ["elm/0.png", "oak/0.png"]
    assert all(os.path.exists(file.path) for file in layout.files)  # noqa: PTH110


def test_a_class_may_be_named_as_a_split(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    fill(tmp_path / "bus")
    layout = read(tmp_path)
    assert layout.classes == ["bus", "train"]
    assert "'train' is taken for a class" in said(layout)


def test_other_files_are_counted_by_kind_and_the_first_is_named(tmp_path: Path) -> None:
    fill(fill(tmp_path / "oak"), 3, ".heic")
    fill(fill(tmp_path / "elm"), 1, ".txt")
    for number in range(20):
        (tmp_path / "elm" / f"x.kind{number}").touch()
    fill(tmp_path)
    layout = read(tmp_path)
    assert "24 files of another kind left out: .heic (3), .kind0 (1), " in said(layout)
    assert "and 14 more kinds; the first is 'elm/0.txt'" in said(layout)
    assert "2 files in the folder itself, beside the class folders, left out: they have no label" in said(layout)


def test_files_without_an_ending_are_told_by_their_content(tmp_path: Path) -> None:
    fill(tmp_path / "oak")
    fill(tmp_path / "elm")
    for name in ("picture", "list"):
        (tmp_path / "elm" / name).touch()
    layout = read(tmp_path)
    assert "elm/picture" in {file.id for file in layout.files}
    assert "without an ending (1); the first is 'elm/list'" in said(layout)


def test_linked_folders_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    root, away = tmp_path / "data", fill(tmp_path / "away")
    fill(root / "oak")
    fill(root / "elm")
    (root / "oak" / "linked").symlink_to(away)
    (root / "oak" / "again").symlink_to(away)
    (root / "oak" / "up").symlink_to(root)
    (root / "oak" / "self").symlink_to(root / "oak")
    (root / "oak" / "round").symlink_to("round")
    (root / "oak" / "gone.png").symlink_to("nothing")
    layout = read(root)
    assert sum(file.label == "oak" for file in layout.files) == 4
    kinds = dict(layout.remarks)
    assert "oak/self" in kinds["link not followed"]
    assert "and" not in kinds["left out"] or "no file, or a link to nothing (2)" in kinds["left out"]


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path / "oak")
    fill(tmp_path / "elm")
    os.mkfifo(tmp_path / "elm" / "pipe.png")
    layout = read(tmp_path)
    assert len(layout.files) == 4
    assert "no file, or a link to nothing (1)" in said(layout)


def test_sub_folders_of_classes_are_read_and_named(tmp_path: Path) -> None:
    for label in ("flu", "none"):
        fill(tmp_path / label / "images")
        fill(tmp_path / label / "masks")
    layout = read(tmp_path)
    assert layout.classes == ["flu", "none"]
    assert "8 files in sub-folders of class folders, taken for the class above: 'images' (4), 'mas" in said(layout)
    assert "if those are the classes, put them at the top" in said(layout)
    fill(tmp_path / "flu" / "more")
    assert "put them at the top" not in said(read(tmp_path))


@pytest.mark.parametrize(("other", "is_said"), [("Masks", True), ("labels", True), ("drawings", False)])
def test_pictures_beside_their_masks_are_remarked_on(tmp_path: Path, other: str, *, is_said: bool) -> None:
    fill(tmp_path / "images")
    fill(tmp_path / other)
    assert ("are taken for classes" in said(read(tmp_path))) == is_said


def test_one_class_in_two_forms_of_unicode_is_one(tmp_path: Path) -> None:
    fill(tmp_path / "train" / unicodedata.normalize("NFC", "été"))
    fill(tmp_path / "test" / unicodedata.normalize("NFD", "été"))
    fill(tmp_path / "train" / "hiver ")
    assert read(tmp_path).classes == ["été", "hiver"]


@pytest.mark.parametrize(
    ("bounds", "words"),
    [({"entries": 5}, "more than 5 files"), ({"depth": 3}, "more than 3 folders"), ({"seconds": -1.0}, "seconds")],
)
def test_the_bound_that_was_met_is_named(tmp_path: Path, bounds: dict[str, Any], words: str) -> None:
    fill(tmp_path / "elm", 300)
    fill(tmp_path / "oak" / "a" / "b" / "c" / "d")
    assert words in read(tmp_path, **bounds).bound


NAMES = st.sampled_from(["train", "Val", "test", "oak", "elm", "raw", "__MACOSX", ".git", "eval"])


@given(st.sets(st.tuples(NAMES, NAMES), max_size=8))
def test_every_file_is_an_example_or_said_to_be_left_out(tmp_path_factory: Any, places: set[tuple[str, str]]) -> None:
    root = tmp_path_factory.mktemp("tree")
    for one, other in places:
        fill(root / one / other, 1)
    layout = read(root)
    # All of a folder of splits, or all of a folder of classes: never a part of either.
    if not layout.problem:
        assert not layout.splits or "train" in layout.splits
        assert {file.split for file in layout.files} <= {*layout.splits, ""}
        assert not ({file.label for file in layout.files} & {"__MACOSX", ".git"})
        seen = {file.id.split("/")[0] for file in layout.files}
        visible = {one for one, other in places if not is_system(one) and not is_system(other)}
        assert all(name in seen or name in said(layout) for name in visible)
