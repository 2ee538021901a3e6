"""A log is read whoever wrote it, while it grows, and whatever became of it on the disk."""

from __future__ import annotations

import os
import struct
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
import event_files as files

from tunebook import event_reader
from tunebook.errors import StorageError
from tunebook.event_reader import EventReader
from tunebook.event_records import Headers, find_headers


def read(reader: EventReader) -> dict[str, np.ndarray]:
    """Return the scalars that are new; a start of the run is none."""
    found: dict[str, list[np.ndarray]] = {}
    for piece in reader.poll():
        for tag, rows in piece.scalars:
            found.setdefault(tag, []).append(rows)
    return {tag: np.concatenate(rows) for tag, rows in found.items()}


def values(folder: Path, raw: bytes, tag: str = "a") -> tuple[list[float], int]:
    """Return the values of a tag in a file of these bytes, and how many records were skipped."""
    reader = EventReader(files.write(folder, raw))
    found = read(reader)
    return (found[tag][:, 1].tolist() if tag in found else []), reader.damaged


def numbered(count: int, tag: str = "a") -> list[files.Point]:
    return [(tag, number, float(number), 1.5e9 + number) for number in range(count)]


def records(count: int) -> list[bytes]:
    return [files.scalars([point]) for point in numbered(count)]


# What is read


POINTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "loss/train", "loss/test!", "ö", "", "<img src=x>"]),
        st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300),
        st.floats(width=32),
        st.floats(0, 2e9),
    ),
    max_size=40,
)


@settings(max_examples=100)
@given(POINTS, st.integers(1, 4))
def test_scalars_are_those_that_protobuf_wrote(
    tmp_path_factory: pytest.TempPathFactory, points: list[files.Point], times: int
) -> None:
    path = files.write(tmp_path_factory.mktemp("log"), files.version(), files.scalars(points * times))
    reader = EventReader(path)
    assert files.same(read(reader), files.expected(points * times))
    assert reader.damaged == 0


@given(POINTS, st.integers(13, 400))
def test_pieces_of_any_size_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, points: list[files.Point], size: int
) -> None:
    path = files.write(tmp_path_factory.mktemp("log"), files.version(), files.scalars(points * 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_reader, "PIECE", size)
        reader = EventReader(path)
        found = read(reader)
    assert {tag: rows.tolist() for tag, rows in found.items()}.keys() == {point[0] for point in points}
    wanted = files.expected(points * 3)
    assert all(np.array_equal(found[tag], wanted[tag], equal_nan=True) for tag in wanted)


def test_a_long_log_whose_steps_grow_longer_keeps_its_order(tmp_path: Path) -> None:
    tags = ["a", "b", "loss", "lr/head", "lr/blocks.5"]
    points = [(tag, step, step / 7, 1e9 + step) for step in range(0, 40_000, 13) for tag in tags[: 1 + step % 5]]
    reader = EventReader(files.write(tmp_path, files.version(), files.scalars(points)))
    assert files.same(read(reader), files.expected(points))
    assert reader.began == 1.0


def test_several_scalars_in_an_event_are_read(tmp_path: Path) -> None:
    events = [
        files.summary(step, files.scalar("a", step), files.scalar("b", -step), files.scalar("a", step + 0.5))
        for step in range(200)
    ]
    found = read(EventReader(files.write(tmp_path, files.version(), *events)))
    assert found["a"][:4, 1].tolist() == [0, 0.5, 1, 1.5]
    assert found["b"][:, 1].tolist() == [-step for step in range(200)]


@pytest.mark.parametrize("count", [3, 50])
@pytest.mark.parametrize(
    "what",
    [
        {"dtype": 1, "float_val": [2.5]},
        {"dtype": 1, "tensor_content": struct.pack("<f", 2.5)},
        {"dtype": 2, "double_val": [2.5]},
        {"dtype": 2, "tensor_content": struct.pack("<d", 2.5)},
        {"dtype": 19, "half_val": [int(np.float16(2.5).view(np.uint16))]},
        {"dtype": 1, "float_val": [2.5], "shape": (1,)},
    ],
)
def test_scalars_in_the_form_of_tensors_are_scalars(tmp_path: Path, count: int, what: dict[str, Any]) -> None:
    events = [files.summary(step, files.tensor("a", "scalars", **what)) for step in range(count)]
    # Later events need not name the plugin again.
    events.append(files.summary(count, files.tensor("a", "", **what)))
    found = read(EventReader(files.write(tmp_path, files.version(), *events)))
    assert found["a"][:, :2].tolist() == [[step, 2.5] for step in range(count + 1)]


def test_pytorch_and_tensorboardx_write_what_is_read(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch_writer = pytest.importorskip("torch.utils.tensorboard").SummaryWriter(str(tmp_path / "torch"))
        from tensorboardX import SummaryWriter
    other = SummaryWriter(str(tmp_path / "x"))
    for step in range(30):
        torch_writer.add_scalar("old", step / 3, step)
        torch_writer.add_scalar("new", step / 3, step, new_style=True)
        torch_writer.add_scalar("double", step / 3, step, new_style=True, double_precision=True)
        other.add_scalar("old", step / 3, step)
    torch_writer.close()
    other.close()
    (file,) = (tmp_path / "torch").iterdir()
    found = read(EventReader(file))
    assert list(found) == ["old", "new", "double"]
    assert found["old"][:, :2].tolist() == found["new"][:, :2].tolist()
    assert found["double"][:, 1].tolist() == [step / 3 for step in range(30)]
    (file,) = (tmp_path / "x").iterdir()
    assert read(EventReader(file))["old"][:, :2].tolist() == found["old"][:, :2].tolist()


def test_tags_that_differ_in_a_byte_are_told_apart(tmp_path: Path) -> None:
    points = [(f"recall/{name:04d}", 5, float(name), 1.0) for name in range(1000)] * 2
    found = read(EventReader(files.write(tmp_path, files.version(), files.scalars(points))))
    assert files.same(found, files.expected(points))


def test_tags_with_the_same_checksum_are_told_apart(tmp_path: Path) -> None:
    # The XOR of the polynomial's 33 bits onto a message leaves its CRC as it is.
    first = b"aaaaaaaa"
    pattern = int(f"{0x11EDC6F41:033b}"[::-1], 2) << 2
    second = (int.from_bytes(first, "little") ^ pattern).to_bytes(8, "little")
    from tunebook.crc32c import crc32c

    assert crc32c(first) == crc32c(second)
    events = []
    for number in range(40):
        for tag in (first, second):
            raw = files.scalars([("aaaaaaaa", number, number, 1.0)])[12:-4].replace(first, tag)
            events.append(files.record(raw))
    found = read(EventReader(files.write(tmp_path, files.version(), *events)))
    assert [len(rows) for rows in found.values()] == [40, 40]


def test_other_events_are_passed_over(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event, LogMessage, TaggedRunMetadata
    from tensorboardX.summary import hparams, image

    others = [
        Event(graph_def=b"graph"), Event(log_message=LogMessage(message="words")), Event(step=3),
        Event(tagged_run_metadata=TaggedRunMetadata(tag="a", run_metadata=b"data")), Event(meta_graph_def=b"meta"),
        *(Event(summary=part) for part in hparams({"lr": 0.5}, {"accuracy": 1.0})),
        Event(summary=image("picture", np.zeros((3, 4, 4)))),
    ]  # fmt: skip
    unknown = files.record(b"\x7a\x03abc\xa0\x06\x07")
    raw = b"".join(files.record(event.SerializeToString()) for event in others) + unknown + records(1)[0]
    assert values(tmp_path, files.version() + raw + files.record(b"")) == ([0.0], 0)


def test_a_field_that_comes_twice_counts_as_protobuf_counts(tmp_path: Path) -> None:
    (event,) = (record[12:-4] for record in records(1))
    events = [files.record(event + b"\x10\x05\x10\x07") for _ in range(20)]
    reader = EventReader(files.write(tmp_path, *events))
    assert read(reader)["a"][:, 0].tolist() == [7.0] * 20


# What is damaged


def test_a_file_cut_at_any_byte_gives_what_is_whole_and_later_the_rest(tmp_path: Path) -> None:
    parts = [files.version(), *records(12)]
    raw = b"".join(parts)
    ends = np.cumsum([len(part) for part in parts])
    for end in range(len(raw)):
        path = files.write(tmp_path, raw[:end])
        reader = EventReader(path)
        whole = max(0, int((ends <= end).sum()) - 1)
        assert len(read(reader).get("a", [])) == whole
        assert reader.damaged == 0
        with path.open("ab") as stream:
            stream.write(raw[end:])
        assert len(read(reader).get("a", [])) == 12 - whole
        assert reader.damaged == 0


def test_a_file_that_grows_by_single_bytes_is_read_as_it_is_whole(tmp_path: Path) -> None:
    raw = files.version() + b"".join(records(10))
    path = files.write(tmp_path)
    reader = EventReader(path)
    found: list[float] = []
    with path.open("ab", buffering=0) as stream:
        for place in range(len(raw)):
            stream.write(raw[place : place + 1])
            found += [row[1] for row in read(reader).get("a", [])]
    assert found == [float(number) for number in range(10)]
    assert reader.damaged == 0


@pytest.mark.parametrize("count", [4, 12])
def test_a_flipped_bit_at_any_byte_costs_one_record(tmp_path: Path, count: int) -> None:
    parts = [files.version(), *records(count)]
    raw = b"".join(parts)
    owner = np.repeat(np.arange(-1, count), [len(part) for part in parts])
    for place in range(len(raw)):
        broken = bytearray(raw)
        broken[place] ^= 1 << place % 8
        found, damaged = values(tmp_path, bytes(broken))
        assert found == [float(number) for number in range(count) if number != owner[place]], place
        assert damaged == 1


@given(st.integers(0, 700), st.integers(1, 300))
def test_a_hole_of_zeros_costs_what_it_touches(tmp_path_factory: pytest.TempPathFactory, place: int, size: int) -> None:
    parts = records(12)
    raw = b"".join(parts)
    holed = (raw[:place] + bytes(size) + raw[place + size :])[: len(raw)]
    found, damaged = values(tmp_path_factory.mktemp("log"), holed)
    ends = np.cumsum([len(part) for part in parts])
    kept = [n for n, end in enumerate(ends.tolist()) if holed[end - len(parts[n]) : end] == parts[n]]
    assert found == [float(number) for number in kept]
    assert (damaged > 0) == (len(kept) < 12)


@given(st.integers(0, 600), st.binary(min_size=1, max_size=60), st.integers(0, 60))
def test_what_is_put_in_or_taken_out_costs_what_it_touches(
    tmp_path_factory: pytest.TempPathFactory, place: int, added: bytes, taken: int
) -> None:
    parts = records(12)
    raw = b"".join(parts)
    found, _ = values(tmp_path_factory.mktemp("log"), raw[:place] + added + raw[place + taken :])
    ends = np.cumsum([len(part) for part in parts])
    before = [n for n, end in enumerate(ends.tolist()) if end <= place]
    after = [n for n, end in enumerate(ends.tolist()) if end - len(parts[n]) >= place + taken]
    assert set(map(float, before + after)) <= set(found)
    assert found == sorted(found)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    folder = tmp_path_factory.mktemp("log")
    assert values(folder, raw)[0] == []
    assert values(folder, raw + records(1)[0] + files.record(raw))[0] == [0.0]


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**40, 2**63, 2**64 - 1])
def test_a_huge_length_takes_no_memory_and_hides_nothing_behind(tmp_path: Path, length: int) -> None:
    import tracemalloc

    from tensorboardX.record_writer import masked_crc32c

    header = struct.pack("<Q", length)
    header += struct.pack("<I", masked_crc32c(header))
    tracemalloc.start()
    found = values(tmp_path, records(1)[0] + header + b"".join(records(12)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == ([0.0, *map(float, range(12))], 1)
    assert peak < 20_000_000


def test_a_damaged_last_record_is_counted_once_and_read_if_it_arrives_late(tmp_path: Path) -> None:
    first, last = records(2)
    path = files.write(tmp_path, first, last[:12], bytes(len(last) - 12))
    reader = EventReader(path)
    assert len(read(reader)["a"]) == 1
    assert reader.damaged == 1
    with path.open("rb+") as stream:
        stream.seek(len(first))
        stream.write(last + first)
    assert read(reader)["a"][:, 1].tolist() == [1.0, 0.0]
    assert reader.damaged == 0


def test_damage_at_the_end_that_goes_on_is_counted_once(tmp_path: Path) -> None:
    one, other = records(2)
    path = files.write(tmp_path, one, bytes(100))
    reader = EventReader(path)
    for _ in range(3):
        read(reader)
        assert reader.damaged == 1
        with path.open("ab") as stream:
            stream.write(bytes(50))
    with path.open("ab") as stream:
        stream.write(other[:20])
    assert read(reader) == {}
    with path.open("ab") as stream:
        stream.write(other[20:])
    assert read(reader)["a"][:, 1].tolist() == [1.0]
    assert reader.damaged == 1


def test_a_message_that_is_not_protobuf_is_counted(tmp_path: Path) -> None:
    one, other = records(2)
    assert values(tmp_path, one + files.record(b"\x0a\x50") + other) == ([0.0, 1.0], 1)
    assert values(tmp_path, b"".join([files.record(b"\x0a\x50")] * 30) + one) == ([0.0], 30)


def test_a_message_too_long_to_hold_curves_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_reader, "LARGEST", 1000)
    monkeypatch.setattr(event_reader, "PIECE", 400)
    one, other = records(2)
    assert values(tmp_path, one + files.record(b"\x22\x8f\x4e" + bytes(9999)) + other) == ([0.0, 1.0], 0)


def test_a_long_hole_is_searched_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_reader, "PIECE", 1000)
    one, *others = records(12)
    noise = np.random.default_rng(0).integers(0, 256, 20_000, np.uint8).tobytes()
    found = values(tmp_path, one + bytes(5000) + others[0] + noise + b"".join(others[1:]))
    assert found == ([float(number) for number in range(12)], 2)


def test_headers_are_found_at_any_place() -> None:
    raw = bytes(7) + records(1)[0] + b"xyz" + files.record(b"")
    assert find_headers(raw).tolist() == [7, 10 + len(records(1)[0])]
    assert find_headers(b"short").tolist() == []


def test_headers_that_were_seen_are_forgotten_before_they_are_many() -> None:
    headers = Headers()
    for length in range(5000):
        assert headers.length(files.record(b"x" * (length % 50))[:12]) == length % 50
    assert len(headers._known) <= 4096


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(0, 200), st.integers(0, 8))
def test_records_that_repeat_are_laid_ahead_as_one_by_one(cycle: list[int], rounds: int, torn: int) -> None:
    lengths = cycle * rounds + [9, 1]
    raw = b"".join(files.record(b"x" * length) for length in lengths)
    walk = Headers().walk(raw[: len(raw) - torn])
    count = len(lengths) - (torn > 0)
    starts = np.cumsum([0, *(length + 16 for length in lengths)])
    assert walk.count == count
    assert (walk.end, walk.last) == (starts[count], starts[count - 1])
    places = {int(n): (int(s), length) for length, (ss, ns) in walk.groups.items() for s, n in zip(ss, ns, strict=True)}
    assert places == {n: (int(starts[n]), lengths[n]) for n in range(count)}
    assert all((np.diff(starts) > 0).all() for starts, _ in walk.groups.values())


# What becomes of the file


def test_an_unchanged_file_is_told_by_its_state(tmp_path: Path) -> None:
    path = files.write(tmp_path, *records(3))
    reader = EventReader(path)
    assert not reader.is_unchanged(path.stat())
    read(reader)
    assert reader.is_unchanged(path.stat())
    with path.open("ab") as stream:
        stream.write(records(1)[0])
    assert not reader.is_unchanged(path.stat())
    assert not reader.is_replaced(path.stat())


@pytest.mark.parametrize("how", ["shorter", "other bytes", "longer with other bytes", "another file"])
def test_another_file_of_the_same_name_is_noticed(tmp_path: Path, how: str) -> None:
    path = files.write(tmp_path, *records(3))
    reader = EventReader(path)
    read(reader)
    others = files.scalars([("b", n, 1.0, 2.0) for n in range(3)])
    if how == "another file":
        files.write(tmp_path, *records(3), name="new").replace(path)
    else:
        path.write_bytes({"shorter": records(1)[0], "other bytes": others}.get(how, others + others))
        os.utime(path, (5, 5))
    assert reader.is_replaced(path.stat())


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    reader = EventReader(tmp_path / "nowhere")
    with pytest.raises(StorageError, match=r"cannot read .*nowhere: No such file or directory; check"):
        list(reader.poll())
