"""What a release is made of fits together: the version and the changelog, the front end and its stamp."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
import hatch_build

ROOT = Path(__file__).parents[2]


def _tree(root: Path, version: str, heading: str) -> Path:
    (root / "extension").mkdir()
    (root / "extension/package.json").write_text(json.dumps({"version": version}), encoding="utf-8")
    (root / "CHANGELOG.md").write_text(
        f"# Changelog\n\nWords.\n\n{heading}\n\n## [0.0.1] - 2020-01-01\n", encoding="utf-8"
    )
    return root


def test_the_version_and_the_changelog_of_this_tree_agree() -> None:
    assert hatch_build.disagreement(ROOT) is None


@pytest.mark.parametrize(
    ("version", "heading"), [("1.2.0-dev.0", "## [Unreleased]"), ("1.2.0", "## [1.2.0] - 2031-02-03")]
)
def test_a_version_agrees_with_its_heading(version: str, heading: str, tmp_path: Path) -> None:
    assert hatch_build.disagreement(_tree(tmp_path, version, heading)) is None


@pytest.mark.parametrize(
    ("version", "heading"),
    [
        ("1.2.0", "## [Unreleased]"),
        ("1.2.0-dev.0", "## [1.2.0] - 2031-02-03"),
        ("1.2.0", "## [1.1.0] - 2031-02-03"),
        ("1.2.0", "## [1.2.0]"),
        ("1.2.0", "## [1x2.0] - 2031-02-03"),
    ],
)
def test_a_version_under_another_heading_is_refused_in_one_line(version: str, heading: str, tmp_path: Path) -> None:
    said = hatch_build.disagreement(_tree(tmp_path, version, heading))
    assert said is not None
    assert version in said
    assert heading in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "path",
    ["extension/src/index.ts", "extension/yarn.lock", f"{hatch_build.LAB}/static/a.js", f"{hatch_build.WIDGETS}/b.js"],
)
def test_a_changed_a_lost_and_an_added_file_each_change_the_fingerprint(path: str, tmp_path: Path) -> None:
    for name in (*(f"extension/{source}" for source in hatch_build.SOURCES), hatch_build.LAB, hatch_build.WIDGETS):
        folder = tmp_path / name
        if folder.suffix:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.write_text("{}", encoding="utf-8")
        else:
            folder.mkdir(parents=True)
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("one", encoding="utf-8")
    first = hatch_build.fingerprint(tmp_path)
    assert hatch_build.fingerprint(tmp_path) == first
    file.write_text("two", encoding="utf-8")
    changed = hatch_build.fingerprint(tmp_path)
    file.with_name("more.ts").write_text("two", encoding="utf-8")
    if path.endswith("yarn.lock"):  # its neighbours are no sources
        assert hatch_build.fingerprint(tmp_path) == changed
    else:
        assert hatch_build.fingerprint(tmp_path) not in (first, changed)
        file.unlink()
    assert changed != first
