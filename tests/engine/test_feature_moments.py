"""
Whoever uses, fills or evicts a table comes through every moment at which another process can come between.

The moments are found and not hoped for: each call of the system is one, and another process acts just before it.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tunebook.feature_locks import USE, alone, hold
from tunebook.feature_store import FeatureStore

sys.path.insert(0, str(Path(__file__).parents[1]))
from kept_features import ADDRESS, Computing, array_of, filled, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    #: What another process does meanwhile; what it opens it holds until the stack ends.
    Other = Callable[[FeatureStore, ExitStack], None]

NAMES = keys(3)
CALLS = ("open", "mkdir", "stat", "lstat", "unlink", "rename", "replace", "scandir", "listdir", "utime", "fstat")


class Moments:
    """Counts the calls of the system, and lets another process act just before one of them."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.count, self._at, self._act, self._acting = 0, at, act, False

    def before_call(self) -> None:
        if self._acting:
            return
        self.count += 1
        if self.count == self._at:
            self._acting = True
            try:
                self._act()
            finally:
                self._acting = False


@contextmanager
def watched(moments: Moments) -> Iterator[None]:
    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **keywords: Any) -> Any:
            moments.before_call()
            return call(*args, **keywords)

        return counting

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, counted(getattr(os, name)))
        patch.setattr(fcntl, "flock", counted(fcntl.flock))
        patch.setattr(os, "fsync", str)  # nothing here outlives the test
        yield


def evicts(store: FeatureStore, _: ExitStack) -> None:
    store.clear()


def makes_it_and_holds_it(store: FeatureStore, held: ExitStack) -> None:
    table = store.table(ADDRESS)
    if not would_wait(table.path / USE):
        held.enter_context(table.using())


def would_wait(lock: Path) -> bool:
    """Say whether who is in the middle of it has the lock alone: another process would wait until that one goes on."""
    with suppress(OSError), lock.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def evicts_and_makes_it_anew(store: FeatureStore, _: ExitStack) -> None:
    if not store.clear().kept:  # else it would wait for who is in the middle of it here
        filled(store.table(ADDRESS), NAMES)


def evicts_makes_it_anew_and_holds_it(store: FeatureStore, held: ExitStack) -> None:
    evicts_and_makes_it_anew(store, held)
    makes_it_and_holds_it(store, held)


def asks_whether_it_is_in_use(store: FeatureStore, held: ExitStack) -> None:
    path = store.table(ADDRESS).path
    if path.is_dir():  # and lets go of its locks after the moment, as a process that was ended there
        with alone(path, make=False):
            pass
    held.callback(store.tables)


def puts_a_file_there(store: FeatureStore, _: ExitStack) -> None:
    store.clear()
    path = store.table(ADDRESS).path
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not a table")


OTHERS: list[Other] = [
    evicts,
    makes_it_and_holds_it,
    evicts_and_makes_it_anew,
    evicts_makes_it_anew_and_holds_it,
    asks_whether_it_is_in_use,
]


def at_every_moment(
    folder: Path, other: Other, do: Callable[[FeatureStore], None], *, there: bool, then: Callable[[Path], object] = str
) -> None:
    """Do something again and again, while another process acts before its first, second, ... call of the system."""
    at = 0
    while True:
        at += 1
        place = folder / str(at)
        store = FeatureStore(place, limit=10**9)
        if there:
            filled(store.table(ADDRESS), NAMES)
        with ExitStack() as held:
            moments = Moments(at, partial(other, FeatureStore(place, limit=10**9), held))
            with watched(moments):
                do(store)
            if moments.count < at:
                assert at > 5, "nothing was watched"
                return
            then(store.table(ADDRESS).path)


def is_held(path: Path) -> None:
    """Fail unless nobody could evict the table; the lock that is there is held."""
    with alone(path, make=True) as free:
        assert not free


def is_shared(path: Path) -> bool:
    """Say whether somebody holds the lock that is there in common with others."""
    with (path / USE).open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return not would_wait(path / USE)
    return False


def uses(store: FeatureStore) -> None:
    [rows], _ = store.load([store.table(ADDRESS)], NAMES, Computing(NAMES))
    with rows:
        assert np.array_equal(rows.stack([2])[0], array_of(NAMES[2]))
        is_held(store.table(ADDRESS).path)


def holds(store: FeatureStore) -> None:
    path = store.table(ADDRESS).path
    lock = hold(path, make=True)
    try:
        assert os.path.samestat(os.fstat(lock), (path / USE).stat())
        is_held(path)
    finally:
        os.close(lock)


def looks(store: FeatureStore) -> None:
    assert all(info.examples in {0, len(NAMES)} for info in store.tables())
    assert store.size() >= 0


@pytest.mark.parametrize("there", [True, False], ids=["of a table", "of none"])
@pytest.mark.parametrize("other", [*OTHERS, puts_a_file_there], ids=lambda other: other.__name__)
@pytest.mark.parametrize("do", [uses, holds], ids=lambda do: do.__name__)
def test_use_comes_through_every_moment(
    tmp_path: Path, do: Callable[[FeatureStore], None], other: Other, *, there: bool
) -> None:
    at_every_moment(tmp_path, other, do, there=there)


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.__name__)
def test_looking_at_tables_comes_through_every_moment(tmp_path: Path, other: Other) -> None:
    at_every_moment(tmp_path, other, looks, there=True)


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.__name__)
@pytest.mark.parametrize("limit", [None, 0], ids=["clear", "evict"])
def test_eviction_comes_through_every_moment_and_says_what_is_gone(
    tmp_path: Path, other: Other, limit: int | None
) -> None:
    said: list[tuple[str, ...]] = []

    def evict(store: FeatureStore) -> None:
        cleared = store.clear() if limit is None else store.evict(limit)
        assert not set(cleared.removed) & set(cleared.kept)
        said.append(cleared.kept)

    def is_as_it_was_said(path: Path) -> None:
        if said[-1]:
            assert path.is_dir()

    at_every_moment(tmp_path, other, evict, there=True, then=is_as_it_was_said)


@pytest.mark.parametrize(
    "other", [makes_it_and_holds_it, evicts_makes_it_anew_and_holds_it], ids=lambda do: do.__name__
)
def test_eviction_leaves_what_another_holds_whenever_it_came(tmp_path: Path, other: Other) -> None:
    held_by_other: list[bool] = []

    def comes(store: FeatureStore, held: ExitStack) -> None:
        other(store, held)
        path = store.table(ADDRESS).path
        held_by_other.append(path.is_dir() and is_shared(path))

    def is_still_held(path: Path) -> None:
        assert not held_by_other[-1] or is_shared(path)

    at_every_moment(tmp_path, comes, FeatureStore.clear, there=True, then=is_still_held)
    assert any(held_by_other)
