"""Which encoding the bytes of a text file are in: UTF-8 or UTF-16, or something that has to be converted first."""

from __future__ import annotations

import codecs

from tunebook.table_bounds import TableError

#: Marks at the beginning of a text; the longer ones first, since one begins like another.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: How files begin that are no text, and what to do with them.
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook; unpack it, or save the sheet as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook; save the sheet as CSV (UTF-8)"),
    (b"\x1f\x8b", "gzip; unpack it with gunzip"),
    (b"BZh", "bzip2; unpack it with bunzip2"),
    (b"\xfd7zXZ\x00", "xz; unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "zstd; unpack it with unzstd"),
    (b"PAR1", "Parquet; let its name end in .parquet"),
    (b"ARROW1", "an Arrow file; save it as Parquet"),
    (b"SQLite format 3\x00", "an SQLite database; export the table as CSV"),
    (b"%PDF-", "a PDF; save the table as CSV"),
    (
        b"version https://git-lfs.github.com/spec/",
        "a pointer of Git LFS and not the file; fetch it with `git lfs pull`",
    ),
)
#: How a text begins that is no table, without spaces before it and in lower case; pages come in place of files.
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<error", b"<!--")
#: Share of NUL bytes, at even or at odd places, from which bytes are taken for UTF-16 that lacks its mark.
_WIDE = 0.25
#: Share of NUL bytes from which something is no text.
_BINARY = 0.05


def find_encoding(head: bytes) -> str:
    """
    Name the encoding of a text by its first bytes, as Python calls it; a mark of the byte order is no part of the text.

    Parameters
    ----------
    head
        The first bytes, some thousands if there are as many.

    Raises
    ------
    TableError
        It is no text; the line says what it is.
    """
    for mark, what in _FOREIGN:
        if head.startswith(mark):
            raise TableError(f"it is {what}")
    if head.removeprefix(codecs.BOM_UTF8).lstrip()[:16].lower().startswith(_PAGES):
        raise TableError(
            "it is a web page or XML and no table, as servers send in place of a file; get the file itself"
        )
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = max(len(head) // 2, 1)
    if odd / half > _WIDE and even == 0:
        return "utf-16-le"
    if even / half > _WIDE and odd == 0:
        return "utf-16-be"
    if (even + odd) / max(len(head), 1) > _BINARY:
        raise TableError("it is no text: one byte in twenty or more is NUL")
    return "utf-8"


def not_decoded(error: UnicodeDecodeError, encoding: str, lines: int) -> TableError:
    """
    Say what is wrong with bytes that are not in an encoding.

    Parameters
    ----------
    error
        From decoding them.
    encoding
        As from :func:`find_encoding`.
    lines
        Lines before the bytes that were decoded at once.
    """
    if not encoding.startswith("utf-8"):
        return TableError(f"it is not {encoding.upper()}, as its first bytes say; save it as UTF-8")
    line = lines + 1 + error.object[: error.start].count(b"\n")
    wrong = error.object[error.start : error.start + 1]
    guess = wrong.decode("cp1252", "replace")
    meant = f", {guess!r} in Windows-1252" if guess.isprintable() and guess != "\ufffd" else ""
    return TableError(
        f"line {line:,} is not UTF-8 (byte 0x{wrong.hex()}{meant}); save it as UTF-8, such as with "
        "`iconv -f WINDOWS-1252 -t UTF-8`"
    )
