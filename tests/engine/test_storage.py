"""A file appears whole under its name or not at all, and a full disk is one line."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from tunebook.errors import StorageError
from tunebook.storage import (
    read_json,
    replacing,
    replacing_folder,
    scratch,
    storage_error,
    write_json,
    write_text,
    write_texts,
)


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("durable", [True, False])
def test_a_written_text_is_read_back(tmp_path: Path, durable: bool) -> None:  # noqa: FBT001
    path = tmp_path / "new" / "ü n.txt"
    write_text(path, "größer\n", durable=durable)
    assert path.read_text(encoding="utf-8") == "größer\n"
    assert names(path.parent) == ["ü n.txt"]


def test_files_have_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "f", "x")
        with replacing_folder(tmp_path / "d"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o750


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "f", "old")
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match=r"cannot write .*f: No space left on device; free some space") as caught:
        write_text(tmp_path / "f", "new")
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["f"]
    assert (tmp_path / "f").read_text() == "old"


def test_a_disk_that_is_full_at_the_last_moment_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"), replacing(tmp_path / "f") as temporary:
        temporary.write_text("new")
    with pytest.raises(StorageError, match="No space left"), replacing_folder(tmp_path / "d") as temporary:
        (temporary / "x").write_text("new")
    assert names(tmp_path) == []


def test_a_real_full_device_is_one_line(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with (
        pytest.raises(StorageError, match="No space left on device"),
        replacing(tmp_path / "f"),
        Path("/dev/full").open("w") as device,
    ):
        device.write("x")
    assert names(tmp_path) == []


def test_an_error_in_the_block_passes_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "f"):
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "d"):
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with replacing_folder(tmp_path / "d") as temporary:
            (temporary / text).write_text(text)
        assert names(tmp_path / "d") == [text]
    assert names(tmp_path) == ["d"]


def test_an_old_folder_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "d") as temporary:
        (temporary / "one").touch()
    with pytest.raises(StorageError), replacing_folder(tmp_path / "d") as temporary:
        full()
    assert names(tmp_path / "d") == ["one"]
    assert names(tmp_path) == ["d"]


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(StorageError, match="cannot write"):
        write_text(tmp_path / "f" / "g", "x")


def test_json_round_trips_and_refuses_what_is_no_number(tmp_path: Path) -> None:
    value = {"ä": [1, 2.5, None, True], "b": {"c": "x"}}
    write_json(tmp_path / "f.json", value)
    assert read_json(tmp_path / "f.json") == value
    assert "ä" in (tmp_path / "f.json").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "f.json", {"x": float("nan")})
    assert json.loads((tmp_path / "f.json").read_text(encoding="utf-8")) == value


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000], ids=["empty", "half", "not text", "deep"])
def test_a_damaged_json_file_is_one_line(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "f.json").write_bytes(raw)
    with pytest.raises(StorageError, match="is not valid JSON"):
        read_json(tmp_path / "f.json")


def test_a_missing_json_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*: No such file"):
        read_json(tmp_path / "f.json")


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EACCES, "choose a folder"),
        (errno.EROFS, "choose a folder"),
        (errno.EIO, "check the path and the disk"),
    ],
)
def test_errors_of_the_system_name_the_fix(number: int, fix: str) -> None:
    assert fix in str(storage_error("p", OSError(number, os.strerror(number))))


def test_texts_that_belong_together_are_replaced_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write_texts({first: "1", second: "1"})
    own = Path.write_text

    def fails_at_the_second(path: Path, text: str, **keywords: str) -> int:
        if path.name.startswith(".second"):
            full()
        return own(path, text, **keywords)

    monkeypatch.setattr(Path, "write_text", fails_at_the_second)
    with pytest.raises(StorageError, match=f"cannot write {second}"):
        write_texts({first: "2", second: "2"})
    assert (first.read_text(), second.read_text()) == ("1", "1")
    assert names(tmp_path) == ["first", "second"]


def test_a_scratch_folder_is_empty_and_gone_afterwards(tmp_path: Path) -> None:
    left = tmp_path / ".workers"
    (left / "of a killed process").mkdir(parents=True)
    with scratch(left) as folder:
        assert list(folder.iterdir()) == []
        (folder / "handed on").touch()
    assert not left.exists()
    with pytest.raises(StorageError, match="workers"), scratch(tmp_path / "nowhere" / ".workers"):
        pass
