"""The README's badges open the repository that they are in."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

badges: Any = importlib.import_module("binder.badges")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("https://github.com/a/b.git", "gh/a/b"),
        ("git@github.com:a/b.git", "gh/a/b"),
        ("ssh://git@github.com/a/b", "gh/a/b"),
        ("https://name@github.com/a/b/", "gh/a/b"),
        ("https://gitlab.com/group/sub/b.git", "gl/group%2Fsub%2Fb"),
        ("https://git.example.org:8443/a/b.git", "git/https%3A%2F%2Fgit.example.org%2Fa%2Fb"),
    ],
)
def test_address_of_git_becomes_binders(address: str, place: str) -> None:
    assert badges.place_of(address) == place


@pytest.mark.parametrize("address", ["", "/srv/git/b", "b", "file:///a/b", "https://github.com/a"])
def test_address_that_binder_cannot_reach_is_refused_in_one_line(address: str) -> None:
    with pytest.raises(SystemExit, match="allowed"):
        badges.place_of(address)


def test_one_command_changes_every_badge_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    before = (ROOT / "README.md").read_text(encoding="utf-8")
    file.write_text(before, encoding="utf-8")
    assert badges.rewrite(file, "git@github.com:me/mine.git")
    after = file.read_text(encoding="utf-8")
    links = re.findall(r"https://mybinder\.org/v2/(\S+?)/HEAD", after)
    assert links == ["gh/me/mine"] * 3
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    assert all(line.startswith("[binder-") for line in changed)
    assert not badges.rewrite(file, "https://github.com/me/mine")
    assert badges.rewrite(file, "https://gitlab.com/me/mine")


def test_every_badge_has_its_link_and_its_notebook() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    used = set(re.findall(r"badge_logo\.svg\)\]\[([\w-]+)\]", text))
    links = dict(re.findall(r"^\[(binder-[\w-]+)\]: \S+urlpath=lab/tree/(\S+)$", text, re.MULTILINE))
    assert used == set(links)
    assert len(links) == 3
    assert all((ROOT / path).is_file() for path in links.values())


def test_file_without_badges_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(SystemExit, match="has no lines"):
        badges.rewrite(tmp_path / "x.md", "https://github.com/a/b")
