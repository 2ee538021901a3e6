"""Values of a user in an error's line: one line, short, and still told apart."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tunebook.errors import shown


def test_a_long_text_is_cut_at_its_end_and_a_path_in_front() -> None:
    assert shown("a" * 100 + "z") == "'" + "a" * 78 + "…"
    found = shown(Path("/folder" * 40) / "bad.png")
    assert found.endswith("/folder/bad.png'")
    assert found.startswith("'…")
    assert len(found) == 160
    assert shown(Path("photos/bad.png")) == "'photos/bad.png'"


@given(st.text(), st.integers(10, 200))
def test_it_is_one_line_within_its_limit(text: str, limit: int) -> None:
    assert len(shown(text, limit)) <= limit
    assert shown(text, limit).isprintable()
    path = shown(Path(text.replace("\x00", "")), limit)
    assert len(path) <= 2 * limit
    assert path.isprintable()
