"""One run of many, in a process of its own that ends with this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any, Literal

from tunebook import machine
from tunebook.progress import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds that a process has to end after its answer, or after it was told to stop a second time.
_LINGER = 10.0
AGAIN = "the same command goes on with it"


@dataclass(frozen=True)
class Job:
    """
    A run that is wanted.

    Attributes
    ----------
    name
        Name of its directory.
    notebook, folder
        Absolute paths of the notebook and of the folder in which it works.
    runs_dir
        Folder that holds the run directories, as seen from that folder.
    parameters
        JSON.
    """

    name: str
    notebook: str
    folder: str
    runs_dir: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """
    What became of a run in this attempt.

    Attributes
    ----------
    state
        A run that is ``stopped`` goes on when it is wanted again.
    message
        Why it did not finish, one line.
    seconds
        How long the attempt took.
    """

    state: Literal["finished", "stopped", "failed"]
    message: str = ""
    seconds: float = 0.0


class Child:
    """
    A process that carries out a job.

    It ends when its standard input does, which is when this process is gone, and ends its kernel before.

    Parameters
    ----------
    job
        What it does.
    count
        How many share this machine's cores.
    """

    def __init__(self, job: Job, count: int) -> None:
        self.job = job
        self._begin = time.monotonic()
        self._stops = 0
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it is open while the process lives
        self.process = subprocess.Popen(
            # -P: a file in the user's folder must not be taken for one of our modules.
            [sys.executable, "-P", "-m", "tunebook.batch_worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            # Ctrl-C is for this process: it stops its children itself.
            start_new_session=True,
            env={**os.environ, **machine.thread_variables(_threads(count))},
        )  # fmt: skip
        assert self.process.stdin is not None  # noqa: S101
        assert self.process.stdout is not None  # noqa: S101
        self._input, self.answer = self.process.stdin, self.process.stdout
        with suppress(BrokenPipeError):  # one that died at once is found out by its answer
            self._input.write(json.dumps(asdict(job)).encode() + b"\n")
            self._input.flush()

    def stop(self) -> None:
        """Have the run write its checkpoint and end; the second time its kernel is killed."""
        self._stops += 1
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now; its kernel sees that it is gone within a second."""
        self.process.kill()
        self.outcome()

    def outcome(self) -> Outcome:
        """Wait for the end, and say what became of it."""
        raw = self.answer.read()
        try:
            code = self.process.wait(_LINGER)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        with suppress(BrokenPipeError):
            self._input.close()
        self.answer.close()
        words = self._last_words()
        seconds = time.monotonic() - self._begin
        with suppress(ValueError):
            return Outcome(**json.loads(raw), seconds=seconds)
        if self._stops:
            return Outcome("stopped", f"stopped before its notebook ran; {AGAIN}", seconds)
        return Outcome("failed", _death(code, words), seconds)

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").splitlines()
        self._log.close()
        return next((safe(line, 300) for line in reversed(lines) if line.strip()), "it said nothing")


def _death(code: int, words: str) -> str:
    if code == -signal.SIGKILL:
        return f"its process was killed, probably because memory ran out; {AGAIN}"
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}; {AGAIN}"
    return f"its process ended with exit code {code}: {words}"


def _threads(count: int) -> int:
    """Return the threads of each of so many processes; a user who wants fewer has said so."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    share = machine.threads_of(count)
    return min(share, int(wanted)) if wanted.isdecimal() and int(wanted) else share
