"""
What an event of a log says: scalars, texts, histograms and tensors; all else is passed over.

The messages are TensorFlow's ``Event`` and ``Summary``; numbers of fields are those of its event.proto, summary.proto
and tensor.proto. Scalars, texts and histograms come in two ways: in fields of their own (tensorboardX, PyTorch), and as
tensors that name a plugin (TensorFlow 2, PyTorch's new style).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tunebook.protobuf import FIXED32, FIXED64, LENGTH, VARINT, WireError, fields, numbers, signed, varints

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunebook.protobuf import Field

#: The plugin that our own tensors name: TensorBoard has none of this name and passes them over.
PLUGIN = "tunebook"
_PLUGINS = ("scalars", "text", "histograms", PLUGIN, "")
#: What tensorboardX and PyTorch put behind the tag of a text.
TEXT_SUFFIX = "/text_summary"
_START = 1  # SessionLog.SessionStatus
_STRING, _BOOL, _HALF = 7, 10, 19
#: numpy's types by TensorFlow's numbers of them.
DTYPES = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "|u1", 5: "<i2", 6: "|i1", 9: "<i8", _BOOL: "|b1", 17: "<u2", _HALF: "<f2",
    22: "<u4", 23: "<u8",
}  # fmt: skip
#: Fields of a tensor that hold its numbers one by one: those of fixed size, and varints.
_FIXED_VALUES = {5: "<f4", 6: "<f8"}
_VARINT_VALUES = {7, 10, 11, 13, 16, 17}
#: More axes than numpy has are no tensor's.
_MOST_AXES = 32

Histogram = tuple[np.ndarray, np.ndarray]


@dataclass(slots=True)
class Event:
    """
    What one event says of the kinds that Tunebook shows.

    Attributes
    ----------
    wall
        Seconds since 1970 at which it was logged.
    step
        At which it was logged, an int64.
    is_start
        Whether a run begins or goes on here, so that what was logged at this step and later is void.
    scalars, texts, histograms, tensors
        Tags and what was logged; a histogram is its edges, (k + 1,), and its counts, (k,), both float64.
    """

    wall: float = 0.0
    step: int = 0
    is_start: bool = False
    scalars: list[tuple[str, float]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    histograms: list[tuple[str, Histogram]] = field(default_factory=list)
    tensors: list[tuple[str, np.ndarray]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing but when."""
        return not (self.is_start or self.scalars or self.texts or self.histograms or self.tensors)


@dataclass(slots=True)
class _Value:
    """One value of a summary, its fields found but not yet read."""

    tag: str = ""
    plugin: str | None = None
    simple: float | None = None
    tensor: Field | None = None
    histogram: Field | None = None


@dataclass(slots=True)
class _Tensor:
    kind: int = 0
    shape: tuple[int, ...] = ()
    content: Field | None = None
    values: list[np.ndarray] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)


class TagList:
    """The tags of the scalars of a file, each with an index."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._indices: dict[str, int] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._indices

    def index(self, name: str) -> int:
        """Return the index of a tag, a new one for a new tag."""
        found = self._indices.setdefault(name, len(self.names))
        if found == len(self.names):
            self.names.append(name)
        return found


class EventDecoder:
    """
    Reads the events of one file.

    It remembers which plugin a tag named, since writers may name it only at first.

    Parameters
    ----------
    tags
        Scalars of the file that others read.
    """

    def __init__(self, tags: TagList) -> None:
        self._tags = tags
        self._plugins: dict[str, str] = {}

    def decode(self, data: bytes) -> Event:
        """
        Read an event.

        Raises
        ------
        WireError
            The message is not whole, or contradicts itself.
        """
        event = Event()
        values: list[_Value] = []
        for part in fields(data):
            match part.number, part.kind:
                case 1, 1:
                    event.wall = struct.unpack_from("<d", data, part.start)[0]
                case 2, 0:
                    event.step = signed(part.value)
                case 5, 2:
                    values += (_value(data, v) for v in fields(data, part.start, part.end) if _is_message(v, 1))
                case 7, 2:
                    event.is_start = _last(data, part, 1) == _START
                case _:
                    pass
        for value in values:
            self._add(event, data, value)
        return event

    def _add(self, event: Event, data: bytes, value: _Value) -> None:
        if value.plugin:
            self._plugins.setdefault(value.tag, value.plugin)
        if value.simple is not None:
            event.scalars.append((value.tag, value.simple))
        elif value.histogram is not None:
            event.histograms.append((value.tag, _old_histogram(data, value.histogram)))
        elif value.tensor is not None:
            known = "scalars" if value.tag in self._tags else ""
            plugin = value.plugin or self._plugins.get(value.tag, known)
            if plugin in _PLUGINS:
                _add_tensor(event, value.tag, plugin, data, _tensor(data, value.tensor))


def _is_message(part: Field, number: int) -> bool:
    return part.number == number and part.kind == LENGTH


def _text(data: bytes, part: Field) -> str:
    return data[part.start : part.end].decode("utf-8", "backslashreplace")


def _last(data: bytes, message: Field, number: int) -> int:
    """Return the value of a varint in a message: the last one counts, as in protobuf."""
    found = 0
    for part in fields(data, message.start, message.end):
        if part.number == number and part.kind == VARINT:
            found = part.value
    return found


def _value(data: bytes, message: Field) -> _Value:
    found = _Value()
    for part in fields(data, message.start, message.end):
        match part.number, part.kind:
            case 1, 2:
                found.tag = _text(data, part)
            case 2, 5:
                found.simple = struct.unpack_from("<f", data, part.start)[0]
            case 5, 2:
                found.histogram = part
            case 8, 2:
                found.tensor = part
            case 9, 2:
                found.plugin = plugin_of(data, part) or found.plugin
            case _:
                pass
    return found


def plugin_of(data: bytes, metadata: Field) -> str:
    """
    Return the name of the plugin in a summary's metadata, or an empty string.

    Raises
    ------
    WireError
        The message is not whole.
    """
    name = ""
    for part in fields(data, metadata.start, metadata.end):
        if _is_message(part, 1):
            for inner in fields(data, part.start, part.end):
                if _is_message(inner, 1):
                    name = _text(data, inner)
    return name


def _doubles(data: bytes, part: Field) -> np.ndarray:
    return numbers(data, part, "<f8").astype(np.float64)


def _old_histogram(data: bytes, message: Field) -> Histogram:
    ends = {1: 0.0, 2: 0.0}
    limits: list[np.ndarray] = []
    counts: list[np.ndarray] = []
    for part in fields(data, message.start, message.end):
        if part.number in ends and part.kind == FIXED64:
            ends[part.number] = struct.unpack_from("<d", data, part.start)[0]
        elif part.number == 6:  # noqa: PLR2004 - bucket_limit
            limits.append(_doubles(data, part))
        elif part.number == 7:  # noqa: PLR2004 - bucket
            counts.append(_doubles(data, part))
    found = np.concatenate([np.empty(0), *counts])
    right = np.concatenate([np.empty(0), *limits])
    if len(found) != len(right):
        raise WireError("a histogram with other limits than buckets")
    # As TensorBoard does: empty buckets at both ends go, since their limits may be the largest of all numbers,
    # and smallest and largest value are the outer edges.
    full = np.flatnonzero(found > 0)
    if not len(full):
        return np.array([ends[1], ends[2]]), np.zeros(1)
    first, last = int(full[0]), int(full[-1])
    return np.concatenate([[ends[1]], right[first:last], [ends[2]]]), found[first : last + 1]


def _tensor(data: bytes, message: Field) -> _Tensor:
    found = _Tensor()
    for part in fields(data, message.start, message.end):
        if part.number == 1 and part.kind == VARINT:
            found.kind = part.value
        elif _is_message(part, 2):
            found.shape = tuple(_shape(data, part))
        elif _is_message(part, 4):
            found.content = part
        elif part.number in _FIXED_VALUES and part.kind in (LENGTH, FIXED32, FIXED64):
            found.values.append(numbers(data, part, _FIXED_VALUES[part.number]))
        elif part.number in _VARINT_VALUES:
            found.values.append(varints(data, part))
        elif _is_message(part, 8):
            found.strings.append(_text(data, part))
    return found


def _shape(data: bytes, message: Field) -> Iterator[int]:
    for part in fields(data, message.start, message.end):
        if _is_message(part, 2):
            yield signed(_last(data, part, 1))


def _array(data: bytes, tensor: _Tensor) -> np.ndarray | None:
    """Return the numbers of a tensor in its shape, or None where it has none, or not as many as it says."""
    kind = DTYPES.get(tensor.kind)
    if kind is None:
        return None
    if tensor.content is not None and tensor.content.end > tensor.content.start:
        stored = "|u1" if tensor.kind == _BOOL else kind
        flat = _cast(numbers(data, tensor.content, stored), kind)
    else:
        flat = np.concatenate([np.empty(0, kind), *(_unpacked(part, kind) for part in tensor.values)])
    # A shape is a claim: nothing is made from it that the numbers do not fill.
    size = math.prod(tensor.shape)
    if len(tensor.shape) > _MOST_AXES or min(tensor.shape, default=0) < 0 or size != len(flat):
        return None
    return flat.reshape(tensor.shape)


def _cast(flat: np.ndarray, kind: str) -> np.ndarray:
    # Signalling NaNs become quiet ones, which numpy would warn of.
    with np.errstate(invalid="ignore"):
        return flat.astype(kind)


def _unpacked(part: np.ndarray, kind: str) -> np.ndarray:
    # half_val holds the bits of its numbers.
    return part.astype(np.uint16).view(kind) if kind == "<f2" else _cast(part, kind)


def _add_tensor(event: Event, tag: str, plugin: str, data: bytes, tensor: _Tensor) -> None:
    if plugin == "text":
        if tensor.kind == _STRING:
            event.texts.append((tag.removesuffix(TEXT_SUFFIX), "\n".join(tensor.strings)))
        return
    found = _array(data, tensor)
    if found is None:
        return
    if plugin == "scalars":
        if found.size == 1:
            event.scalars.append((tag, float(_cast(found, "<f8").item())))
    elif plugin == "histograms":
        if found.ndim == 2 and found.shape[0] and found.shape[1] == 3:  # noqa: PLR2004 - left, right, count
            left, right, counts = _cast(found, "<f8").T
            event.histograms.append((tag, (np.append(left, right[-1]), counts.copy())))
    else:
        # Stored in the smallest type, in which differences would wrap around.
        event.tensors.append((tag, found.astype(np.int64) if found.dtype.kind in "iu" else found))
