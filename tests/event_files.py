"""Event files for tests, in the messages of tensorboardX, and a plain reader to compare with."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: One scalar: tag, step, value, wall time.
Point = tuple[str, int, float, float]

NAME = "events.out.tfevents.1700000000.host"


def record(message: bytes) -> bytes:
    header = struct.pack("<Q", len(message))
    crcs = [struct.pack("<I", masked_crc32c(part)) for part in (header, message)]
    return header + crcs[0] + message + crcs[1]


def version(wall: float = 1.0) -> bytes:
    return record(Event(wall_time=wall, file_version="brain.Event:2").SerializeToString())


def start(step: int, wall: float = 1.0) -> bytes:
    return record(Event(wall_time=wall, step=step, session_log=SessionLog(status=SessionLog.START)).SerializeToString())


def summary(step: int, *values: Any, wall: float = 1.0) -> bytes:
    return record(Event(wall_time=wall, step=step, summary=Summary(value=values)).SerializeToString())


def scalar(tag: str, value: float) -> Any:
    return Summary.Value(tag=tag, simple_value=value)


def tensor(tag: str, plugin: str, **what: Any) -> Any:
    value = Summary.Value(tag=tag)
    if plugin:
        value.metadata.plugin_data.plugin_name = plugin
    for side in what.pop("shape", ()):
        value.tensor.tensor_shape.dim.add(size=side)
    for name, content in what.items():
        if isinstance(content, list):
            getattr(value.tensor, name).extend(content)
        else:
            setattr(value.tensor, name, content)
    return value


def scalars(points: Iterable[Point]) -> bytes:
    return b"".join(summary(step, scalar(tag, value), wall=wall) for tag, step, value, wall in points)


def write(folder: Path, *parts: bytes, name: str = NAME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"".join(parts))
    return path


def expected(points: Iterable[Point]) -> dict[str, np.ndarray]:
    """Return what a reader must find."""
    found: dict[str, list[tuple[float, ...]]] = {}
    with np.errstate(over="ignore"):
        for tag, step, value, wall in points:
            found.setdefault(tag, []).append((float(step), float(np.float32(value)), wall))
    return {tag: np.array(rows) for tag, rows in found.items()}


def same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    """Return whether two readings agree, NaN and order of tags included."""
    return list(left) == list(right) and all(np.array_equal(left[t], right[t], equal_nan=True) for t in left)
