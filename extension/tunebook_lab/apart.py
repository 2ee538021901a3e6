"""
Work on what others wrote, in a process that can be ended.

Parsers of tables and of Python may take minutes and gigabytes for a small file, and hold the interpreter meanwhile. So
they work in a process beside the server, within bounds of time and memory; when one is met, that process ends, the
request is answered with a line that says so, and the next request gets a new one. No model is ever loaded there.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunebook_lab.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds of processor time for one request, and seconds until it is given up, as where a disk does not answer.
CPU_SECONDS, SECONDS = 4, 15.0
#: Seconds until a new process is ready.
_START_SECONDS = 60.0
#: Bytes of memory beyond those of a process that is ready.
MEMORY = 1 << 30
#: Bytes of an answer.
_LARGEST = 32 << 20
#: Requests that wait at once; more are refused.
_MOST_WAITING = 32
_PRIVATE = ("JUPYTER_TOKEN", "JPY_API_TOKEN", "JUPYTERHUB_API_TOKEN")
# Allocators and threads that would take address space for nothing.
_FRUGAL = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
_END = "; the look at it was ended"


class _Gone(Exception):  # noqa: N818 - a state of the process, told from errors of what it reads
    """The process ended before it answered."""

    def __str__(self) -> str:
        return "it ended at once"


class _Child:
    """One process, which answers one request after the other."""

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in _PRIVATE}
        theirs, self._requests = os.pipe()
        self._answers, to_us = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tunebook_lab.apart_child"],
                stdin=theirs, stdout=to_us, stderr=subprocess.DEVNULL, env={**environment, **_FRUGAL}, cwd="/",
                start_new_session=True,
            )  # fmt: skip
        except OSError:
            self._close()
            raise
        finally:
            os.close(theirs)
            os.close(to_us)
        try:
            self._read_line(time.monotonic() + _START_SECONDS)
        except BaseException:
            self.kill()
            raise

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return head and body of the answer; raise ``_Gone`` or ``TimeoutError``."""
        end = time.monotonic() + SECONDS
        left = memoryview(json.dumps(request).encode() + b"\n")
        try:
            while left:
                left = left[os.write(self._requests, left) :]
        except OSError:
            raise _Gone from None
        head = json.loads(self._read_line(end))
        return head, self._read(int(head["size"]), end)

    def kill(self) -> int:
        """End it, and return its exit code, which is a signal's number below 0."""
        self.interrupt()
        self._close()
        return self._process.wait()

    def _close(self) -> None:
        for descriptor in (self._requests, self._answers):
            os.close(descriptor)

    def exit_code(self) -> int:
        """Return the exit code of a process that is gone."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1.0)
        return self.kill()

    def interrupt(self) -> None:
        """End it while another thread waits for its answer."""
        with suppress(OSError):
            self._process.kill()

    def _read_line(self, end: float) -> bytes:
        found = b""
        while not found.endswith(b"\n"):
            found += self._read(1, end)
        return found

    def _read(self, size: int, end: float) -> bytes:
        # select() knows no descriptors beyond 1,024.
        waiting = select.poll()
        waiting.register(self._answers, select.POLLIN | select.POLLHUP)
        parts: list[bytes] = []
        while size > 0:
            left = end - time.monotonic()
            if left <= 0 or not waiting.poll(left * 1000):
                raise TimeoutError
            part = os.read(self._answers, min(size, 1 << 16))
            if not part:
                raise _Gone
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


_lock = threading.Lock()
#: Processes that wait for work, of all servers in this process.
_idle: list[_Child] = []


@atexit.register
def _end_all() -> None:
    with _lock:
        for child in _idle:
            child.kill()
        _idle.clear()


class Reader:
    """
    Answers requests one after the other in a process beside the server.

    Parameters
    ----------
    root
        The server's root.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._busy: _Child | None = None
        self._waiting = 0
        self._is_closed = False
        self.threads = ThreadPoolExecutor(1, thread_name_prefix="tunebook-reader")

    def call(self, job: str, arguments: dict[str, Any]) -> bytes:
        """
        Do a job of :mod:`tunebook_lab.apart_child`.

        Parameters
        ----------
        job
            Its name.
        arguments
            What it takes, as JSON holds it.

        Returns
        -------
        bytes
            Its result as JSON.

        Raises
        ------
        RequestError
            That of the job; or 422: a bound of time or memory was met.
        """
        request = {"job": job, "root": self._root, "arguments": arguments}
        try:
            head, body = self._ask(request)
        except _Gone:  # it went while it waited, as after a while without work
            if self._is_closed:
                raise RequestError(503, "the server ends") from None
            head, body = self._ask(request, is_last=True)
        if "status" in head:
            raise RequestError(int(head["status"]), str(head["message"]))
        return body

    def admit(self) -> None:
        """Count a request that comes; 503 where too many wait already."""
        if self._waiting >= _MOST_WAITING:
            raise RequestError(503, f"{_MOST_WAITING} requests of this kind wait already; try again in a moment")
        self._waiting += 1

    def dismiss(self) -> None:
        """Count a request that goes."""
        self._waiting -= 1

    def close(self) -> None:
        """Let the thread go, and end what it waits for."""
        self._is_closed = True
        with _lock:
            if self._busy is not None:
                self._busy.interrupt()
        self.threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, request: dict[str, Any], *, is_last: bool = False) -> tuple[dict[str, Any], bytes]:
        with _lock:
            child = _idle.pop() if _idle and not is_last else None
        was_idle = child is not None
        try:
            child = child or _Child()
        except (OSError, _Gone) as error:
            raise RequestError(503, f"no process can be started that reads it: {error}; try again") from None
        with _lock:
            self._busy = child
        try:
            head, body = child.ask(request)
        except TimeoutError:
            child.kill()
            raise RequestError(422, f"it takes more than {SECONDS:g} seconds{_END}") from None
        except _Gone:
            code = child.exit_code()
            if was_idle and code in {0, -signal.SIGKILL}:
                raise
            raise RequestError(422, _why(code)) from None
        except BaseException:
            child.kill()
            raise
        finally:
            with _lock:
                self._busy = None
        if head.get("last") or self._is_closed:
            child.kill()
        else:
            with _lock:
                _idle.append(child)
        return head, body


def _why(code: int) -> str:
    if code == -signal.SIGXCPU:
        return f"it takes more than {CPU_SECONDS} seconds of a processor{_END}"
    what = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"its reader broke down ({what}), as where it takes more than {MEMORY >> 30} GiB of memory{_END}"
