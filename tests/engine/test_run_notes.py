"""Star, tags and note of a run."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.run_notes import (
    FILE,
    LONGEST_NOTE,
    LONGEST_TAG,
    MOST_TAGS,
    NoteError,
    Notes,
    change_notes,
    clean_note,
    clean_tags,
    read_notes,
)

if TYPE_CHECKING:
    from pathlib import Path

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.sampled_from(["star", "tags", "note"]), inner),
    max_leaves=40,
)


def test_what_is_written_is_read_and_the_rest_stays(tmp_path: Path) -> None:
    assert read_notes(tmp_path) == Notes()
    change_notes(tmp_path, star=True)
    change_notes(tmp_path, tags=[" paper ", "for  Ann", "Paper", ""])
    found = change_notes(tmp_path, note=" a line \n\x1b[31mred\n\n")
    assert found == Notes(star=True, tags=("paper", "for Ann"), note="a line\n[31mred")
    assert read_notes(tmp_path) == found
    assert change_notes(tmp_path, star=False).tags == ("paper", "for Ann")
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_note_makes_no_old_run_new(tmp_path: Path) -> None:
    os.utime(tmp_path, (1, 1))
    change_notes(tmp_path, star=True)
    assert tmp_path.stat().st_mtime == 1


@pytest.mark.parametrize("tag", ["a,b", "a;b", "#a", "a\x00b", "\u202ea", "x" * (LONGEST_TAG + 1)])
def test_what_is_no_tag_is_refused_and_nothing_written(tmp_path: Path, tag: str) -> None:
    with pytest.raises(NoteError, match=r"tag .* allowed"):
        change_notes(tmp_path, tags=["good", tag])
    assert not (tmp_path / FILE).exists()


def test_too_much_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoteError, match=f"allowed: {MOST_TAGS}"):
        clean_tags(map(str, range(MOST_TAGS + 1)))
    with pytest.raises(NoteError, match=f"allowed: {LONGEST_NOTE}"):
        change_notes(tmp_path, note="x" * (LONGEST_NOTE + 1))


def test_names_that_look_alike_are_one_tag() -> None:
    assert clean_tags(["caf\u00e9", "cafe\u0301", "CAF\u00c9"]) == ("caf\u00e9",)


@given(JUNK)
def test_a_damaged_file_is_empty_and_written_anew(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    folder = tmp_path_factory.mktemp("run")
    (folder / FILE).write_text(json.dumps(value), encoding="utf-8")
    found = read_notes(folder)
    assert clean_tags(found.tags) == found.tags
    assert change_notes(folder, star=True) == Notes(star=True, tags=found.tags, note=found.note)


def test_what_is_no_regular_small_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({"star": True, "note": "x" * (200 << 10)}), encoding="utf-8")
    assert read_notes(tmp_path) == Notes()
    (tmp_path / FILE).unlink()
    os.mkfifo(tmp_path / FILE)
    assert read_notes(tmp_path) == Notes()


@given(st.text(max_size=50))
def test_a_kept_note_stays_as_it_is(text: str) -> None:
    assert clean_note(clean_note(text)) == clean_note(text)
