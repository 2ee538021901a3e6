"""Where data is, before anything heavy is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tunebook import batch, templates
from tunebook.data_place import is_dataset_id, require_place
from tunebook.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_there_or_may_be_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "table.csv").touch()
    for data in ("demo", "photos", "photos/", str(tmp_path / "table.csv"), "owner/name", "hf:owner/name"):
        require_place(data)
    assert is_dataset_id("owner/name")
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert not is_dataset_id("owner/name")


@pytest.mark.parametrize(
    ("data", "meant"), [("photo", "photos"), ("tabel.csv", "table.csv"), ("./Photos", "photos"), ("xyz", "")]
)
def test_what_is_nowhere_is_refused_with_what_was_meant(
    data: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "table.csv").touch()
    with pytest.raises(DataError) as refused:
        require_place(data)
    assert (
        f"data '{data}': no such folder or file{f'; did you mean {meant!r}?' if meant else ''}; data is demo, "
        in str(refused.value)
    )


def test_a_batch_run_is_refused_before_it_has_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="no such folder or file"):
        batch.execute(templates.find_template("image-classification").path, {"data": "nowhere", "run": "mine"})
    assert not (tmp_path / "runs").exists()
