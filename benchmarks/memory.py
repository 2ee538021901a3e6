"""Peak memory of the templates' kernels, alone and beside a Jupyter server, in 2 GB and on one core."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.benchmark import Benchmark, Column, Contestant, Plan
from benchmarks.control_group import limited
from benchmarks.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.control_group import ControlGroup

_LIMIT = 2_000_000_000
#: Seconds between two looks at the processes, and the longest that a server may take to answer.
_PAUSE, _PATIENCE = 0.05, 90.0


class _Watch:
    """The largest memory seen: of the kernel alone, and of all processes together."""

    def __init__(self, group: ControlGroup | None, roots: list[int]) -> None:
        self._group, self._roots = group, roots
        self.kernel = self.kernel_own = self.together = 0

    def look(self) -> None:
        resident = {pid: _status(pid) for pid in self._processes()}
        for pid, sizes in resident.items():
            if "ipykernel" in _words(pid):
                self.kernel = max(self.kernel, sizes.get("VmHWM", 0))
                self.kernel_own = max(self.kernel_own, _anonymous(sizes))
        anonymous = sum(map(_anonymous, resident.values()))
        self.together = max(self.together, self._group.anonymous() if self._group else anonymous)

    def _processes(self) -> list[int]:
        if self._group:
            return self._group.processes()
        import psutil

        found = list(self._roots)
        for root in self._roots:
            with suppress(psutil.Error):
                found += [child.pid for child in psutil.Process(root).children(recursive=True)]
        return found


def measure(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """
    Run a template as the command does and watch its kernel.

    Returns
    -------
    dict
        ``kernel_mb`` (largest resident memory of the kernel, as the system keeps it), ``kernel_own_mb`` (of that,
        what no file backs, looked at 20 times a second), ``together_mb`` (the same of all processes at one time),
        ``charged_mb`` (most that was charged to the group, files' pages among them), ``limit`` (which limit was in
        force), ``passed``, ``killed``.
    """
    mark()
    with limited(_LIMIT) as group, _server(group, wanted=plan["server"]) as server:
        command = [str(Path(sys.executable).with_name("tunebook")), "run", plan["template"], "--runs-dir", "runs"]
        command += [word for pair in plan["parameters"].items() for word in ("-p", *map(str, pair))]
        process = _start(command, group)
        watch = _Watch(group, [process.pid, *server])
        while process.poll() is None:
            watch.look()
            time.sleep(_PAUSE)
        found = {
            "kernel_mb": watch.kernel / 1e6, "kernel_own_mb": watch.kernel_own / 1e6,
            "together_mb": watch.together / 1e6, "passed": process.returncode == 0,
            "limit": f"cgroup v{group.version}, 2 GB, 1 core" if group else "none",
        }  # fmt: skip
        if group:
            found |= {"charged_mb": group.peak() / 1e6, "killed": group.kills()}
    if process.returncode != 0 and not found.get("killed"):
        raise BenchmarkError(f"tunebook run {plan['template']} ended with {process.returncode}: {_last_line()}")
    return found


def _start(command: list[str], group: ControlGroup | None) -> subprocess.Popen[bytes]:
    if group:
        command = ["sh", "-c", f'{group.joining}; exec "$@"', "sh", *command]
    with Path("output.txt").open("ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def _last_line() -> str:
    lines = Path("output.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "no message")


@contextmanager
def _server(group: ControlGroup | None, *, wanted: bool) -> Iterator[list[int]]:
    """Keep JupyterLab's server running in the group while the block lasts; gives its process, if any."""
    if not wanted:
        yield []
        return
    runtime = Path("runtime").absolute()
    os.environ["JUPYTER_RUNTIME_DIR"] = str(runtime)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root"]
    process = _start([*command, f"--IdentityProvider.token={secrets.token_hex(16)}"], group)
    try:
        started = time.monotonic()
        while not list(runtime.glob("jpserver-*.json")):
            if process.poll() is not None or time.monotonic() - started > _PATIENCE:
                raise BenchmarkError(f"the Jupyter server did not start: {_last_line()}")
            time.sleep(0.2)
        time.sleep(1.0)  # its extensions load after it says that it is there
        yield [process.pid]
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def _anonymous(sizes: Mapping[str, int]) -> int:
    return sizes.get("RssAnon", 0) + sizes.get("RssShmem", 0)


def _status(pid: int) -> dict[str, int]:
    """Return the sizes in /proc/PID/status in bytes; nothing of a process that has ended."""
    with suppress(OSError, ValueError):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        fields = [line.split() for line in lines if line.endswith(" kB")]
        return {words[0].rstrip(":"): int(words[1]) * 1024 for words in fields}
    return {}


def _words(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")
    return ""


def _limits(plan: Plan, machine: Mapping[str, Any], medians: Mapping[str, Mapping[str, Any]]) -> list[str]:  # noqa: ARG001 - as all notes
    limits = sorted({row["limit"] for row in medians.values()})
    how = {"none": "No control group could be made here, so nothing was limited: sizes are those that /proc tells."}
    return [how.get(limit, f"Limit: {limit}, no swap; JupyterLab's server, the command and the kernel are in it.")
            for limit in limits]  # fmt: skip


def _contestants() -> Iterator[Contestant]:
    for template in ("image-classification", "text-classification"):
        for server in (False, True):
            name = f"{template}, {'with a Jupyter server' if server else 'alone'}"
            needs = ("jupyterlab",) if server else ()
            yield Contestant(
                name, "benchmarks.memory:measure", needs, plan={"template": template, "server": server}
            )  # fmt: skip


BENCHMARK = Benchmark(
    name="memory",
    summary="peak memory of the kernel of each default template, alone and with a Jupyter server, in 2 GB",
    contestants=tuple(_contestants()),
    base="image-classification, alone",
    columns=(
        Column("kernel_mb", "kernel's peak, MB", 0),
        Column("kernel_own_mb", "without files' pages, MB", 0),
        Column("together_mb", "all processes without files' pages, MB", 0),
        Column("charged_mb", "charged to the group, MB", 0),
        Column("passed", "passed"),
        Column("killed", "killed", 0),
        Column("wall", "seconds", 0),
        Column("cpu", "CPU s"),
    ),
    plan={"parameters": {}},
    quick={"parameters": {"epochs": 1, "max_examples": 100}},
    notes=_limits,
)
