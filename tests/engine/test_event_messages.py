"""Texts, histograms and tensors are read in every form in which they are written."""

from __future__ import annotations

import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
import event_files as files

from tunebook.event_messages import Event, EventDecoder, TagList
from tunebook.protobuf import WireError


def decode(*values: Any) -> Event:
    return EventDecoder(TagList()).decode(files.summary(4, *values)[12:-4])


def test_texts_are_read_under_their_own_tag() -> None:
    from tensorboardX.summary import text

    event = decode(*text("marks", "dropout head 0.2 → 0.4").value)
    assert event.texts == [("marks", "dropout head 0.2 → 0.4")]
    assert event.step == 4
    lines = files.tensor("notes", "text", dtype=7, string_val=[b"one", b"t\xffwo"], shape=(2,))
    assert decode(lines).texts == [("notes", "one\nt\\xffwo")]


def test_histograms_of_tensorboardx_have_no_empty_ends() -> None:
    from tensorboardX.summary import histogram

    values = np.array([0.0, 1.0, 1.0, 4.0])
    ((tag, (edges, counts)),) = decode(*histogram("weights", values, bins=4).value).histograms
    assert tag == "weights"
    assert edges.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert counts.tolist() == [1, 2, 0, 1]


def test_histograms_in_the_form_of_tensors_are_read() -> None:
    rows = np.array([[0.0, 1.0, 5.0], [1.0, 3.0, 2.0]])
    value = files.tensor("weights", "histograms", dtype=2, shape=(2, 3), tensor_content=rows.tobytes())
    ((_, (edges, counts)),) = decode(value).histograms
    assert (edges.tolist(), counts.tolist()) == ([0.0, 1.0, 3.0], [5.0, 2.0])
    assert decode(files.tensor("weights", "histograms", dtype=2, shape=(0, 3))).histograms == []


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        ({"dtype": 3, "int_val": [-1, 2]}, [-1, 2]),
        ({"dtype": 9, "int64_val": [-(2**63), 2]}, [-(2**63), 2]),
        ({"dtype": 10, "bool_val": [True, False]}, [True, False]),
        ({"dtype": 10, "tensor_content": b"\x02\x00"}, [True, False]),
        ({"dtype": 1, "float_val": [1.5, 2]}, [1.5, 2]),
        ({"dtype": 19, "half_val": [0x3E00, 0x4000]}, [1.5, 2]),
        ({"dtype": 4, "tensor_content": b"\xff\x01"}, [255, 1]),
    ],
)
def test_numbers_of_a_tensor_are_read_in_every_form(what: dict[str, Any], wanted: list[Any]) -> None:
    for plugin in ("", "tunebook"):
        ((_, array),) = decode(files.tensor("t", plugin, shape=(2,), **what)).tensors
        assert array.tolist() == wanted


@pytest.mark.parametrize("shape", [(3,), (2, 2), (2**62, 2**62), (-1, -2), (1,) * 40, ()])
def test_a_shape_that_the_numbers_do_not_fill_makes_nothing(shape: tuple[int, ...]) -> None:
    assert decode(files.tensor("t", "", dtype=1, float_val=[1.0, 2.0], shape=shape)).tensors == []


def test_tensors_of_other_plugins_and_types_are_passed_over() -> None:
    values = [files.tensor("t", "pr_curves", dtype=1, float_val=[1.0], shape=(1,)),
              files.tensor("u", "", dtype=8, tensor_content=bytes(8), shape=(1,)),
              files.tensor("v", "text", dtype=1, float_val=[1.0])]  # fmt: skip
    assert decode(*values) == Event(wall=1.0, step=4)


def test_contents_that_contradict_themselves_are_damage() -> None:
    from tensorboardX.proto.summary_pb2 import HistogramProto, Summary

    with pytest.raises(WireError):
        decode(files.tensor("t", "", dtype=1, tensor_content=b"123", shape=(1,)))
    with pytest.raises(WireError):
        decode(Summary.Value(tag="t", histo=HistogramProto(bucket=[1.0], bucket_limit=[])))


def test_only_a_start_purges() -> None:
    from tensorboardX.proto.event_pb2 import Event as Message
    from tensorboardX.proto.event_pb2 import SessionLog

    assert EventDecoder(TagList()).decode(files.start(9)[12:-4]).is_start
    stop = Message(session_log=SessionLog(status=SessionLog.STOP)).SerializeToString()
    assert not EventDecoder(TagList()).decode(stop).is_start


@given(st.binary(max_size=60), st.integers(0, 200))
def test_any_bytes_are_read_or_refused(raw: bytes, place: int) -> None:
    whole = files.summary(
        1, files.tensor("t", "histograms", dtype=2, shape=(1, 3), tensor_content=struct.pack("<3d", 0, 1, 2))
    )[12:-4]
    for message in (raw, whole[:place] + raw + whole[place:]):
        with suppress(WireError):
            EventDecoder(TagList()).decode(message)
