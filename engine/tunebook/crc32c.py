"""
CRC-32C of many records at once, which is how event files protect what they hold.

A CRC is affine: that of a message is the XOR of what each byte contributes at its distance from the end, and of
a constant for the length. So a column of bytes of many records costs one look-up in a table, and long messages are
cut into rows whose CRCs are joined by pairs. Castagnoli's polynomial and the mask are those of TFRecord files.
"""

from __future__ import annotations

import struct
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

_POLYNOMIAL = 0x82F63B78  # reflected
_ONES = 0xFFFFFFFF
_MASK = 0xA282EAD8
#: Longest record whose bytes all have tables of their own (1 kB each).
LONGEST_ROW = 1024
#: Below this many bytes, a message's first four, which hold the initial value, are not all there.
_SHORT = 4

Tables = np.ndarray


@cache
def _byte_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ np.where(table & np.uint32(1), np.uint32(_POLYNOMIAL), np.uint32(0))
    return table


@cache
def _position_tables(count: int) -> Tables:
    """Return (count, 256): what a byte contributes that ``row`` bytes follow."""
    table = _byte_table()
    found = np.empty((count, 256), np.uint32)
    found[0] = table
    for row in range(1, count):
        found[row] = table[found[row - 1] & np.uint32(255)] ^ (found[row - 1] >> np.uint32(8))
    return found


@cache
def _of_zeros() -> np.ndarray:
    """Return the CRC of 0 to ``LONGEST_ROW`` zero bytes: the constant of each length."""
    table = _byte_table().tolist()
    state, found = _ONES, []
    for _ in range(LONGEST_ROW + 1):
        found.append(state ^ _ONES)
        state = table[state & 255] ^ (state >> 8)
    return np.array(found, np.uint32)


@cache
def _flat() -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return the tables as one, the place of each position in it for the longest row, and the constants."""
    tables = _position_tables(LONGEST_ROW)
    return tables.ravel(), np.arange(LONGEST_ROW - 1, -1, -1, dtype=np.intp) * 256, _of_zeros().tolist()


def tables_of(length: int) -> Tables:
    """
    Return what each byte of a message contributes to its CRC.

    Parameters
    ----------
    length
        Of the message, 0 to ``LONGEST_ROW`` bytes.

    Returns
    -------
    numpy.ndarray
        Shape (length, 256), uint32: row i is for the byte i.
    """
    return _position_tables(LONGEST_ROW)[:length][::-1]


def constant_of(length: int) -> int:
    """Return what the length, 0 to ``LONGEST_ROW`` bytes, contributes to a CRC."""
    return _flat()[2][length]


def contribution(rows: np.ndarray, columns: Iterable[int], length: int) -> np.ndarray:
    """
    Add up (XOR) what some columns of many messages of one length contribute to their CRCs.

    Parameters
    ----------
    rows
        Shape (n, at least length), uint8.
    columns
        Which bytes, counted from the beginning.
    length
        Of the messages, 0 to ``LONGEST_ROW`` bytes.

    Returns
    -------
    numpy.ndarray
        Shape (n,), uint32.
    """
    tables = tables_of(length)
    found = np.zeros(len(rows), np.uint32)
    for column in columns:
        found ^= tables[column].take(rows[:, column])
    return found


def masked(crc: np.ndarray) -> np.ndarray:
    """Return CRCs, uint32, as event files store them: rotated and moved, so that a CRC of a CRC says something."""
    found: np.ndarray = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK)
    return found


def masked_crc32c(data: bytes | memoryview) -> int:
    """Return the masked CRC-32C of a message of any length."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + _MASK) & _ONES


def crc32c(data: bytes | memoryview) -> int:
    """Return the CRC-32C of a message of any length."""
    length = len(data)
    if length > LONGEST_ROW:
        return _long(np.frombuffer(data, np.uint8))
    flat, places, zeros = _flat()
    parts = flat.take(places[LONGEST_ROW - length :] + np.frombuffer(data, np.uint8))
    return int(np.bitwise_xor.reduce(parts)) ^ zeros[length]


def _long(data: np.ndarray) -> int:
    # Zero bytes in front of a message change nothing once the initial value is in its first bytes.
    count = -(-len(data) // LONGEST_ROW)
    whole = np.zeros(count * LONGEST_ROW, np.uint8)
    start = len(whole) - len(data)
    whole[start:] = data
    whole[start : start + _SHORT] ^= np.uint8(255)
    found = contribution(whole.reshape(count, LONGEST_ROW), range(LONGEST_ROW), LONGEST_ROW)
    power = LONGEST_ROW.bit_length() - 1
    while len(found) > 1:
        if len(found) % 2:
            found = np.concatenate([np.zeros(1, np.uint32), found])
        found = _shifted(_shift_tables(power), found[::2]) ^ found[1::2]
        power += 1
    return int(found[0]) ^ _ONES


def _shifted(tables: Tables, crc: np.ndarray) -> np.ndarray:
    parts = [tables[place][(crc >> np.uint32(8 * place)) & np.uint32(255)] for place in range(4)]
    found: np.ndarray = parts[0] ^ parts[1] ^ parts[2] ^ parts[3]
    return found


@cache
def _shift_tables(power: int) -> Tables:
    """Return (4, 256): what each byte of a CRC becomes when ``2 ** power`` zero bytes follow."""
    single = np.arange(256, dtype=np.uint32)[None] << (8 * np.arange(4, dtype=np.uint32))[:, None]
    if power == 0:
        shifted: np.ndarray = _byte_table()[single & np.uint32(255)] ^ (single >> np.uint32(8))
        return shifted
    half = _shift_tables(power - 1)
    return _shifted(half, _shifted(half, single))


def framed(message: bytes) -> bytes:
    """Return a record of an event file: length, its masked CRC, message, its masked CRC."""
    return b"".join((_header(len(message)), message, struct.pack("<I", masked_crc32c(message))))


@lru_cache(maxsize=1024)
def _header(length: int) -> bytes:
    header = struct.pack("<Q", length)
    return header + struct.pack("<I", masked_crc32c(header))
