"""Processes and threads that share a store compute once, wait for each other, and keep what they use."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tunebook.errors import StorageError
from tunebook.feature_store import FeatureStore, FeatureTable

sys.path.insert(0, str(Path(__file__).parents[1]))
from kept_features import ADDRESS, Computing, array_of, filled, keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunebook.feature_store import Part


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features", limit=10**9)


@pytest.fixture
def table(store: FeatureStore) -> FeatureTable:
    return store.table(ADDRESS)


WORKER = """
import sys, time
from pathlib import Path
import numpy as np
from tunebook.feature_store import FeatureStore

folder, mark, pause = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
names = [bytes([n] * 16) for n in range(40)]

def compute(positions):
    with mark.open("a") as stream:
        stream.write(f"{len(positions)}\\n")
    for at in range(0, len(positions), 4):
        time.sleep(pause)
        chosen = positions[at : at + 4]
        yield chosen, [[np.full((2, 3), names[p][0] + t, np.float32) for p in chosen] for t in (0, 100)]

store = FeatureStore(folder, limit=10**9)
tables = [store.table({"view": n}) for n in (0, 1)]
if len(sys.argv) > 4:
    tables.reverse()
print("ready", flush=True)
sys.stdin.readline()
rows, done = store.load(tables, names, compute, on_wait=lambda line: print(line, flush=True))
for each in rows:
    assert each.stack(range(40)).shape == (40, 2, 3)
print(done.found, done.computed, flush=True)
"""


def start(folder: Path, mark: Path, pause: float, *more: str) -> subprocess.Popen[str]:
    command = (sys.executable, "-c", WORKER, str(folder), str(mark), str(pause), *more)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_processes_that_start_together_compute_once(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    # One names the tables the other way round, which must not lock both up.
    both = [start(tmp_path / "f", mark, 0.1), start(tmp_path / "f", mark, 0.1, "reversed")]
    for process in both:
        go(process)
    said = [process.communicate(timeout=60)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert mark.read_text() == "40\n"
    first, second = sorted(said, key=len)
    assert first == ["0 40"]
    pid = next(process.pid for process, lines in zip(both, said, strict=True) if lines is first)
    assert second == [f"features are being computed by process {pid}; waiting for it", "40 0"]


def test_a_process_killed_while_filling_leaves_nothing_damaged(tmp_path: Path) -> None:
    mark, folder = tmp_path / "mark", tmp_path / "f"
    killed = start(folder, mark, 0.2)
    go(killed)
    waits = start(folder, mark, 0.0)
    deadline = time.monotonic() + 30
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    go(waits)
    time.sleep(0.5)
    assert list(folder.glob("*/.*.part"))
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    answer = waits.communicate(timeout=60)[0].splitlines()
    assert answer[-1] == "0 40"
    assert mark.read_text() == "40\n40\n"
    assert not list(folder.glob("*/.*.part"))
    table = FeatureStore(folder, limit=10**9).table({"view": 1})
    with table.rows([bytes([n] * 16) for n in range(40)]) as rows:
        assert rows.stack(range(40))[:, 0, 0].tolist() == [100.0 + n for n in range(40)]
    assert table.problems == []


def test_what_a_killed_process_left_counts_until_it_is_swept(store: FeatureStore) -> None:
    left, other = store.table(ADDRESS), store.table({})
    filled(left, keys(2))
    part = left.path / ".000002-00000000.abc.part"
    part.mkdir()
    (part / "data.bin").write_bytes(b"x" * 100_000)
    (store.folder / ".gone-1").mkdir()
    filled(other, keys(2))
    assert [path.name for path in store.folder.iterdir() if path.name.startswith(".")] == []
    assert store.size() > 100_000
    filled(left, keys(3))
    assert not part.exists()
    assert left.missing(keys(3)).tolist() == []


def test_waiting_can_be_given_up(table: FeatureTable) -> None:
    names = keys(4)
    inside, leave = threading.Event(), threading.Event()

    def slow(positions: np.ndarray) -> Iterator[Part]:
        inside.set()
        leave.wait(20)
        yield from Computing(names)(positions)

    thread = threading.Thread(target=lambda: table.store.fill([table], names, slow))
    thread.start()
    assert inside.wait(20)

    def give_up(_: str) -> None:
        raise KeyboardInterrupt

    other = FeatureStore(table.store.folder).table(ADDRESS)
    with pytest.raises(KeyboardInterrupt):
        other.store.fill([other], names, Computing(names), on_wait=give_up)
    leave.set()
    thread.join()
    assert other.missing(names).tolist() == []


def test_eviction_in_one_thread_and_use_in_others_never_fails(tmp_path: Path) -> None:
    names = keys(6)
    stop = threading.Event()
    wrong: list[BaseException] = []

    def use() -> None:
        store = FeatureStore(tmp_path, limit=10**9)
        try:
            for _ in range(15):
                [rows], _ = store.load([store.table(ADDRESS)], names, Computing(names))
                with rows:
                    assert np.array_equal(rows.stack([5])[0], array_of(names[5]))
        except BaseException as error:  # noqa: BLE001 - a thread's error would be lost
            wrong.append(error)

    def evict() -> None:
        while not stop.is_set():
            FeatureStore(tmp_path, limit=10**9).evict(0)
            time.sleep(0.001)

    threads = [threading.Thread(target=use) for _ in range(3)]
    evictor = threading.Thread(target=evict)
    for thread in (evictor, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    evictor.join()
    assert wrong == []


def test_an_error_of_writing_the_lock_names_the_folder(table: FeatureTable, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(StorageError, match="No locks available"):
        filled(table, keys(1))


def test_a_table_that_is_being_filled_is_not_evicted(table: FeatureTable) -> None:
    names = keys(8)
    kept = []

    def compute(positions: np.ndarray) -> Iterator[Part]:
        kept.append(table.store.clear().kept)
        yield from Computing(names)(positions)

    table.store.fill([table], names, compute)
    assert kept == [(table.name,)]
    assert table.missing(names).tolist() == []


def test_rows_that_are_open_do_not_keep_others_from_adding(table: FeatureTable) -> None:
    filled(table, keys(5))
    with table.rows(keys(5)) as rows:
        assert filled(table, keys(9)).computed == 4
        assert len(rows.take([4])) == 1
