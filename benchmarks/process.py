"""One child process, and what it and its children took: CPU time, time on the clock, memory."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
#: Lines of a process's errors that are kept.
_KEPT_LINES = 40
#: Seconds that a process has to end by itself when the benchmark is stopped.
_GRACE = 10.0


@dataclass(frozen=True)
class Usage:
    """
    What a process took from its start to its end.

    Attributes
    ----------
    cpu
        CPU seconds, user and system, of the process and of all of its children that it waited for.
    wall
        Seconds on the clock.
    peak_mb
        Largest resident memory of any one of these processes, in 10^6 bytes.
    code
        Exit code; negative for a signal.
    output, errors
        What it wrote, the errors cut to their last lines.
    """

    cpu: float
    wall: float
    peak_mb: float
    code: int
    output: str
    errors: str


def environment(threads: int, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Return the variables that every contestant is started with, before it loads any library.

    Threads that spin while they wait burn CPU time on shared cores, and libraries differ in how many
    they start, so both are fixed here.

    Parameters
    ----------
    threads
        Threads of OpenMP, MKL and OpenBLAS.
    extra
        More variables.

    Returns
    -------
    dict
        Only what differs from the environment of this process, or must not differ between machines.
    """
    count = str(threads)
    return {
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "agg",
        **(extra or {}),
    }


def run_measured(command: Sequence[str], variables: Mapping[str, str], folder: Path, limit: float = 7200.0) -> Usage:
    """
    Run a command to its end and measure it.

    Parameters
    ----------
    command
        Program and arguments.
    variables
        Environment variables that replace those of this process.
    folder
        Where it works; libraries leave logs there.
    limit
        Seconds after which it is killed.

    Returns
    -------
    Usage
        Measured by the kernel for exactly this process and those below it, as wait4(2) says. A process begins
        with the peak memory of the one that starts it, so the caller should be small.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.monotonic()
        process = subprocess.Popen(
            command, env=_whole(variables), cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
            start_new_session=True,
        )  # fmt: skip
        signal.signal(signal.SIGALRM, lambda *_: _end(process.pid))
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            _ask_to_end(process)
            raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        wall = time.monotonic() - started
        # Popen must not wait for what is gone already.
        process.returncode = os.waitstatus_to_exitcode(status)
        written = [_read(stream) for stream in (output, errors)]
    tail = "\n".join(written[1].splitlines()[-_KEPT_LINES:])
    peak = usage.ru_maxrss * (1024 if os.uname().sysname == "Linux" else 1)
    return Usage(usage.ru_utime + usage.ru_stime, wall, peak / 1e6, process.returncode, written[0], tail)


def _whole(variables: Mapping[str, str]) -> dict[str, str]:
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    whole = {**os.environ, **variables, "PYTHONPATH": path}
    # Without its compiled files every import is measured as if it were the first ever.
    whole.pop("PYTHONDONTWRITEBYTECODE", None)
    return whole


def _ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """Let a process clean up after itself, such as a control group that it made, before it is killed."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    _end(process.pid)
    process.wait()


def _end(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _read(stream: object) -> str:
    stream.seek(0)  # type: ignore[attr-defined]
    return str(stream.read())  # type: ignore[attr-defined]
