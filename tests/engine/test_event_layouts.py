"""A layout fits what differs from it where messages may differ, and nothing else."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import event_files as files

from tunebook.event_layouts import Layout, gather, learn, padded
from tunebook.event_messages import TagList

ROOM = bytes(16)


def message(tag: str = "loss", step: int = 300, value: float = 0.5, wall: float = 7.0) -> bytes:
    return files.scalars([(tag, step, value, wall)])[12:]


def layout_of(raw: bytes) -> Layout:
    found = learn(raw[:-4])
    assert found is not None
    return found


def rows_of(*messages: bytes) -> np.ndarray:
    width = padded(len(messages[0]) - 4)
    return np.concatenate([gather(raw + ROOM, np.array([0]), width) for raw in messages])


def test_time_step_tag_and_number_may_differ() -> None:
    layout = layout_of(message())
    rows = rows_of(message(tag="else"), message(step=16_383), message(value=-1.5), message(wall=1e9))
    assert layout.fits(rows).all()
    tags = TagList()
    scalars, unread = layout.read(rows, np.arange(4), tags)
    assert not unread.any()
    assert [tags.names[tag] for tag in scalars.tags] == ["else", "loss", "loss", "loss"]
    assert scalars.steps.tolist() == [300, 16_383, 300, 300]
    assert scalars.values.tolist() == [0.5, 0.5, -1.5, 0.5]
    assert scalars.walls.tolist() == [7.0, 7.0, 7.0, 1e9]


@pytest.mark.parametrize("place", [0, 9, 12, 13, 14, 15, 16, 17, 22])
def test_other_bytes_may_not(place: int) -> None:
    raw = bytearray(message())
    raw[place] ^= 1
    assert layout_of(message()).fits(rows_of(message(), bytes(raw))).tolist() == [True, False]


@pytest.mark.parametrize("step", [b"\x01\x01", b"\x81\x81"])
def test_a_step_has_as_many_bytes_as_the_layout_says(step: bytes) -> None:
    raw = message()
    assert raw[10:12] == b"\xac\x02"
    assert layout_of(raw).fits(rows_of(raw, raw[:10] + step + raw[12:])).tolist() == [True, False]


def test_what_fits_but_is_damaged_is_not_read() -> None:
    raw = message()
    broken = raw[:24] + bytes([raw[24] ^ 1]) + raw[25:]
    rows = rows_of(raw, broken, raw)
    scalars, unread = layout_of(raw).read(rows, np.array([4, 5, 6]), TagList())
    assert unread.tolist() == [False, True, False]
    assert scalars.numbers.tolist() == [4, 6]


OTHERS: tuple[Any, ...] = (
    files.version(), files.start(3), files.summary(1), files.scalars([("a", -1, 1.0, 1.0)]),
    files.summary(1, files.scalar("a", 1.0), files.tensor("b", "text", dtype=7, string_val=[b"words"])),
    files.summary(1, files.tensor("a", "", dtype=1, float_val=[1.0])),
    files.summary(1, files.tensor("a", "scalars", dtype=1, float_val=[1.0, 2.0])),
    files.summary(1, files.tensor("a", "scalars", dtype=9, tensor_content=struct.pack("<q", 1))),
    files.summary(1, *(files.scalar("a", 1.0) for _ in range(65))), files.summary(1, files.scalar("a" * 2000, 1.0)),
    files.record(message()[:-4] + b"\x10\x05"),
)  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_not_plain_scalars_has_no_layout(other: bytes) -> None:
    assert learn(other[12:-4]) is None
