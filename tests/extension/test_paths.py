"""Paths of requests stay below the root, whatever they say."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tunebook_lab.errors import RequestError
from tunebook_lab.paths import Root

PARTS = st.sampled_from(
    ["..", ".", "", "a", "link", "up", "~", "~root", "\0", "\\", "..\\", "%2e%2e", "x" * 300, "é", "."]
)


@given(st.lists(PARTS | st.text(max_size=6), max_size=8).map("/".join) | st.text())
def test_no_text_leads_out(path: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder).resolve() / "root"
        (top / "a").mkdir(parents=True)
        (top / "link").symlink_to(top / "a")
        (top / "up").symlink_to(top.parent)
        root = Root(top)
        try:
            place = root.resolve(path)
        except RequestError as error:
            assert error.status in {400, 404}
            assert "\n" not in str(error)
        else:
            assert place.is_relative_to(top)
            assert not any(part.startswith(".") for part in place.relative_to(top).parts)


def test_name_is_what_resolves(tmp_path: Path) -> None:
    root = Root(tmp_path)
    for name in ("", "a", "a/b c", "a/é/<b>"):
        assert root.name(root.resolve(name)) == name


def test_root_that_is_a_link_works(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert Root(tmp_path / "root").resolve("x") == tmp_path / "real" / "x"
