"""Standard streams that a shell closed, or whose reader left: neither changes the command's work or exit code."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress


class _Patient(io.TextIOWrapper):
    """Text for a pipe; what is written after its reader left is dropped, as `tunebook run | head -1` wants it."""

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            self._forget()

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            self._forget()
            return len(text)

    def _forget(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        with suppress(OSError):  # what is left in the buffer
            super().flush()


def open_standard_streams() -> None:
    """
    Open those of the three streams that are closed, and let output outlast its reader.

    A file that is opened while a stream is closed would get its number, and then what others print.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # the lowest free number, since those below are open
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = _outlasting(sys.stdout, 1)
    sys.stderr = _outlasting(sys.stderr, 2)


def _outlasting(stream: object, number: int) -> io.TextIOBase:
    """Return a stream of this process in a patient form; one that a test put there stays."""
    if stream is None:
        return _Patient(io.BufferedWriter(io.FileIO(number, "w", closefd=False)), encoding="utf-8", line_buffering=True)
    if type(stream) is not io.TextIOWrapper or stream.fileno() != number:
        return stream  # type: ignore[return-value]
    encoding, errors, line_buffering = stream.encoding, stream.errors, stream.line_buffering
    return _Patient(stream.detach(), encoding, errors, line_buffering=line_buffering)
