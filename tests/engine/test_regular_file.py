"""Only regular files are opened, and no reader waits for what never comes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tunebook.regular_file import open_regular


def test_a_file_and_a_link_to_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    (tmp_path / "b").symlink_to("a")
    for name in "ab":
        with open_regular(tmp_path / name, 4) as stream:
            assert stream.read() == b"text"


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
    kinds = {tmp_path / "pipe": "a pipe", tmp_path / "folder": "a folder", tmp_path / "s": "a socket"}
    for path, kind in {**kinds, Path("/dev/zero"): "a device"}.items():
        with pytest.raises(OSError, match="regular file") as caught:
            open_regular(path)
        assert caught.value.strerror == f"it is {kind} and not a regular file"


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    with pytest.raises(OSError, match="it has 4 bytes, and at most 3 are read"):
        open_regular(tmp_path / "a", 3)
