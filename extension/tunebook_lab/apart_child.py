"""
The process in which a server reads what others wrote: see :mod:`tunebook_lab.apart`, which starts it.

A request is a line of JSON; its answer is a line of JSON with the size of the body, and the body.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tunebook.errors import TunebookError
from tunebook_lab.answers import dump
from tunebook_lab.apart import CPU_SECONDS, MEMORY
from tunebook_lab.datasets import look
from tunebook_lab.errors import status_of
from tunebook_lab.forms import cell_form, check, rewrite
from tunebook_lab.notebooks import notebook_form
from tunebook_lab.paths import Root

#: Seconds without work after which it ends.
_IDLE_SECONDS = 300
#: Kibibytes that it may have taken; with more it ends after its answer.
_MOST_KIBIBYTES = 400 << 10


def do(root: Root, job: str, arguments: dict[str, Any]) -> Any:  # noqa: ANN401
    """Do a job, below the root without following links."""
    with root.confined():
        match job:
            case "data":
                return look(root, **arguments)
            case "notebook form":
                return notebook_form(root, **arguments)
            case "cell form":
                return cell_form(**arguments)
            case "rewrite":
                return {"source": rewrite(**arguments)}
            case _:
                return check(**arguments)


def answer(line: bytes) -> tuple[dict[str, Any], bytes]:
    """Return head and body of the answer to a request."""
    try:
        request = json.loads(line)
        body = dump(do(Root(Path(request["root"])), request["job"], request["arguments"]))
    except TunebookError as error:
        return {"size": 0, "status": status_of(error), "message": str(error)}, b""
    except MemoryError:
        return {"size": 0, "status": 422, "message": f"it takes more than {MEMORY >> 30} GiB of memory"}, b""
    except RecursionError:
        return {"size": 0, "status": 422, "message": "it is nested too deeply to be read"}, b""
    return {"size": len(body)}, body


def main() -> None:
    """Answer requests until there are none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a library prints must not get between the answers.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _limit_memory()
    output.write(b"ready\n")
    output.flush()
    waiting = select.poll()
    waiting.register(0, select.POLLIN | select.POLLHUP)
    while waiting.poll(_IDLE_SECONDS * 1000):
        line = sys.stdin.buffer.readline()
        if not line:
            return
        _limit_time()
        head, body = answer(line)
        if _kibibytes() > _MOST_KIBIBYTES:
            head["last"] = True
        output.write(json.dumps(head).encode() + b"\n" + body)
        output.flush()
        if "last" in head:
            return


def _limit_time() -> None:
    """Let the system end this process when one request takes too long."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU_SECONDS, most))


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:  # no Linux; macOS bounds no address space
        return
    with suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        wanted = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def _kibibytes() -> int:
    """Return the most memory that this process held; what getrusage says on Linux counts its parent's, too."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most >> 10 if sys.platform == "darwin" else most


if __name__ == "__main__":
    main()
