"""How fast the scalars of a log are read: a million of them, and what is left of a damaged file."""

from __future__ import annotations

import importlib
import logging
import struct
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.benchmark import Benchmark, Column, Contestant, Plan
from benchmarks.hardware import installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_OWN, _TENSORBOARD = "Tunebook", "TensorBoard's EventAccumulator"
_TAGS = (
    "train/loss", "train/grad_norm", "lr/head", "lr/blocks.6", "lr/blocks.5", "loss/train", "loss/validation",
    "accuracy/validation", "macro_f1/validation", "speed/examples_per_second",
)  # fmt: skip
_FILE = "events.out.tfevents.1700000000.benchmark"
_WHOLE, _DAMAGED = "whole", "damaged"
#: The damaged file is this part of the whole one, and this long at least.
_PART, _LEAST = 10, 1000
_LIBRARIES = ("tensorboard", "tensorboardX", "protobuf")


def prepare(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:  # noqa: ARG001 - as all contestants
    """Write the two files: one event a scalar, as SummaryWriter does."""
    folder = Path(plan["folder"])
    count = plan["events"]
    for name in (_WHOLE, _DAMAGED):
        (folder / name).mkdir()
    with (folder / _WHOLE / _FILE).open("wb") as stream:
        stream.writelines(_records(count))
    raw = bytearray(b"".join(_records(max(_LEAST, count // _PART))))
    size = len(raw)
    # A flipped bit in the middle, noise that hides headers, zeros that the file system left, and a torn end.
    raw[size // 2] ^= 8
    raw[size * 3 // 5 : size * 3 // 5 + 40] = bytes(range(40))
    raw[size * 4 // 5 : size * 4 // 5 + 4096] = bytes(4096)
    (folder / _DAMAGED / _FILE).write_bytes(raw[:-5])
    return {"folder": str(folder)}


def _records(count: int) -> Iterator[bytes]:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary

    from tunebook.crc32c import framed

    yield framed(Event(wall_time=1.7e9, file_version="brain.Event:2").SerializeToString())
    for number in range(count):
        step, tag = divmod(number, len(_TAGS))
        value = Summary.Value(tag=_TAGS[tag], simple_value=1.0 / (number + 1))
        event = Event(wall_time=1.7e9 + number / 100, step=step, summary=Summary(value=[value]))
        yield framed(event.SerializeToString())


def _measured(plan: Plan, mark: Callable[[], None], read: Callable[[Path], int]) -> dict[str, Any]:
    folder = Path(plan["folder"])
    mark()
    before = time.process_time()
    points = read(folder / _WHOLE)
    seconds = time.process_time() - before
    return {
        "points": points, "seconds": seconds, "rate": points / seconds / 1000, "left": read(folder / _DAMAGED),
    }  # fmt: skip


def own(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Read with RunCurves, which checks both checksums of every record."""
    from tunebook.run_curves import RunCurves

    def read(folder: Path) -> int:
        curves = RunCurves(folder)
        curves.poll()
        return sum(len(curves.points(tag)) for tag in curves.tags)

    return _measured(plan, mark, read)


def accumulator(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Read with TensorBoard's reader in Python, told to keep every point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    logging.disable(logging.CRITICAL)

    def read(folder: Path) -> int:
        found = module.EventAccumulator(str(folder), size_guidance={module.SCALARS: 0, module.TENSORS: 0})
        found.Reload()
        return sum(len(found.Scalars(tag)) for tag in found.Tags()["scalars"])

    return _measured(plan, mark, read)


def messages(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Read record by record into tensorboardX's messages, and check no checksum: the least that protobuf can do."""
    from google.protobuf.message import DecodeError
    from tensorboardX.proto.event_pb2 import Event

    def events(folder: Path) -> Iterator[Any]:
        with (folder / _FILE).open("rb") as stream:
            while len(header := stream.read(12)) == 12:  # noqa: PLR2004 - length and checksum
                (length,) = struct.unpack_from("<Q", header)
                if length > 2**31 or len(message := stream.read(length)) < length:
                    return
                stream.read(4)
                try:
                    yield Event.FromString(message)
                except DecodeError:
                    return

    def read(folder: Path) -> int:
        found: dict[str, list[tuple[int, float, float]]] = {}
        for event in events(folder):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value, event.wall_time))
        return sum(map(len, found.values()))

    return _measured(plan, mark, read)


def _notes(plan: Plan, machine: Mapping[str, Any], medians: Mapping[str, Mapping[str, Any]]) -> list[str]:  # noqa: ARG001 - as all notes
    versions = ", ".join(f"{name} {version}" for name in _LIBRARIES if (version := installed(name)))
    notes = [f"CPU time is that of reading alone, without imports. Libraries: {versions}."]
    counts = {name: row["points"] for name, row in medians.items()}
    if set(counts.values()) - {plan["events"]}:
        notes.append(f"Not the same work: of {plan['events']} points, {counts} were read.")
    if {_OWN, _TENSORBOARD} <= set(medians):
        ratio = medians[_TENSORBOARD]["seconds"] / medians[_OWN]["seconds"]
        more = medians[_OWN]["left"] - medians[_TENSORBOARD]["left"]
        notes.append(
            f"{_OWN} reads {ratio:.0f} times as fast as {_TENSORBOARD}, and {more:.0f} points more of the damaged file."
        )
    return notes


BENCHMARK = Benchmark(
    name="event-files",
    summary="reading a log of 1,000,000 scalars of 10 tags, and what is left of a damaged one",
    contestants=(
        Contestant(_OWN, "benchmarks.event_files:own"),
        Contestant(_TENSORBOARD, "benchmarks.event_files:accumulator", ("tensorboard",)),
        Contestant("tensorboardX's messages, one by one", "benchmarks.event_files:messages", ("tensorboardX",)),
    ),
    base=_OWN,
    plan={"events": 1_000_000},
    quick={"events": 2000},
    prepare="benchmarks.event_files:prepare",
    columns=(
        Column("rate", "thousand events a CPU second", 1),
        Column("seconds", "CPU s", 2),
        Column("seconds", "of Tunebook's", 1, ratio=True),
        Column("points", "points", 0),
        Column("left", "points of the damaged file", 0),
        Column("peak_mb", "peak memory, MB", 0),
    ),
    notes=_notes,
)
