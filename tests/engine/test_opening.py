"""Files of a foreign hand: regular ones only, of a bounded size, and below a folder without following links."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tunebook import opening
from tunebook.errors import StorageError
from tunebook.runs import Run, list_runs
from tunebook.storage import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _socket(path: Path) -> None:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "a pipe"),
        (_socket, "a socket"),
        (os.mkdir, "a folder"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
    ids=["pipe", "socket", "folder", "device"],
)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    path = tmp_path / "x"
    make(path)
    with pytest.raises(OSError, match=words):
        opening.read_bytes(path)
    with pytest.raises(StorageError, match=words):
        read_json(path)
    assert not opening.is_file(path)


def test_a_bound_in_bytes_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 1025)
    with pytest.raises(OSError, match="1,025 bytes, and at most 1,024"):
        opening.read_bytes(tmp_path / "x", 1024)
    assert len(opening.read_bytes(tmp_path / "x", 1025)) == 1025


def test_a_name_that_is_none_is_an_error_of_the_system(tmp_path: Path) -> None:
    for name in ("a\0b", "x" * 300):
        with pytest.raises(OSError, match=r"."):
            opening.open_plain(tmp_path / name)
        assert not opening.is_file(tmp_path / name)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret", encoding="utf-8")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("mine", encoding="utf-8")
    return folder


def test_no_link_is_followed_below_the_folder(root: Path, outside: Path) -> None:
    (root / "a" / "link").symlink_to(outside)
    (root / "a" / "secret").symlink_to(outside / "secret")
    (root / "a" / "new").symlink_to(outside / "new")
    with opening.confined(root):
        assert opening.read_text(root / "a" / "b" / "file") == "mine"
        for place in (root / "a" / "link" / "secret", root / "a" / "secret"):
            with pytest.raises(OSError, match=r"."):
                opening.read_bytes(place)
            assert not opening.is_file(place)
        for flags in (os.O_WRONLY | os.O_CREAT, os.O_RDWR | os.O_APPEND | os.O_CREAT):
            for place in (root / "a" / "new", root / "a" / "link" / "new"):
                with pytest.raises(OSError, match=r"."):
                    opening.open_plain(place, flags)
        with pytest.raises(OSError, match=r"."):
            opening.names_in(root / "a" / "link")
        write_json(root / "a" / "new", {"x": 1})
        with pytest.raises(StorageError):
            write_json(root / "a" / "link" / "new", {"x": 1})
        assert opening.names_in(root / "a" / "b") == ["file"]
    assert opening.names_in(outside) == ["secret"]
    # The link was replaced by the file, and not written through.
    assert not (root / "a" / "new").is_symlink()
    assert read_json(root / "a" / "new") == {"x": 1}


def test_links_are_followed_where_nothing_is_confined(root: Path, outside: Path) -> None:
    (root / "link").symlink_to(outside)
    assert opening.read_text(root / "link" / "secret") == "secret"
    with opening.confined(root):
        assert opening.read_text(outside / "secret") == "secret"


def test_the_folder_itself_may_be_reached_by_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(root)
    with opening.confined(tmp_path / "linked"):
        assert opening.read_text(tmp_path / "linked" / "a" / "b" / "file") == "mine"


def test_a_path_upwards_is_refused(root: Path, outside: Path) -> None:
    with opening.confined(root), pytest.raises(OSError, match="upwards"):
        opening.read_bytes(root / "a" / ".." / ".." / outside.name / "secret")


def test_a_folder_that_is_swapped_for_a_link_at_any_moment_leads_nowhere(root: Path, outside: Path) -> None:
    (outside / "b").mkdir()
    (outside / "b" / "file").write_text("secret", encoding="utf-8")
    (root / "evil").symlink_to(outside)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (root / "a").rename(root / "kept")
            (root / "evil").rename(root / "a")
            (root / "a").rename(root / "evil")
            (root / "kept").rename(root / "a")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        found = set()
        with opening.confined(root):
            for _ in range(3000):
                try:
                    found.add(opening.read_text(root / "a" / "b" / "file"))
                except OSError:
                    found.add("nothing")
    finally:
        done.set()
        thread.join()
    assert "secret" not in found
    assert found <= {"mine", "nothing"}


def test_what_is_confined_in_one_thread_is_not_in_another(root: Path, outside: Path) -> None:
    (root / "link").symlink_to(outside)
    found: list[str] = []
    with opening.confined(root):
        thread = threading.Thread(target=lambda: found.append(opening.read_text(root / "link" / "secret")))
        thread.start()
        thread.join()
    assert found == ["secret"]


STATES = {
    "digits": '{"step": ' + "1" * 401 + "}",
    "many digits": '{"step": ' + "1" * 5001 + "}",
    "infinite": '{"loss": 1e999}',
    "nan": '{"metric": NaN}',
    "text": '{"epoch": "3"}',
    "list": "[]",
    "deep": "[" * 10_000,
    "nothing": "",
    "bytes": "\udcff",
    "large": '{"step": 1' + "0" * 30 + "}",
    "twins": '{"state": ["running"]}',
    "null": '{"heartbeat": null}',
}


@pytest.mark.parametrize("text", STATES.values(), ids=list(STATES))
def test_a_damaged_state_is_one_line_and_the_others_are_listed(tmp_path: Path, text: str) -> None:
    Run.create(tmp_path, "good", "image-classification")
    broken = Run.create(tmp_path, "broken", "image-classification")
    (broken.path / "state.json").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(StorageError):
        broken.state()
    assert {run.name for run in list_runs(tmp_path)} == {"good", "broken"}


def test_a_lock_that_is_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "one", "image-classification")
    os.mkfifo(run.path / ".lock")
    run.update(state="running", host=socket.gethostname())
    assert Run(run.path).state().state == "died"
    with pytest.raises(StorageError, match="pipe"), run.owned():
        pass
