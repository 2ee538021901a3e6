"""What this machine gives us: cores and memory as the container allows, and a thread pool that does not spin."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING

from tunebook import cgroup
from tunebook.errors import TunebookError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A kernel with torch, its sockets and a run's files has some 90 open.
_OPEN_FILES = 256


def cores() -> int:
    """Return how many cores this process may use: the cgroup's quota, the affinity mask, or all; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup.cores()
    return max(1, allowed if quota is None else min(allowed, round(quota)))


def memory_limit() -> int:
    """Return the bytes of memory that this process may use: the cgroup's limit, or what the machine has."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = cgroup.memory_limit()
    return total if limit is None else min(total, limit)


def memory_available() -> int:
    """Return the bytes of memory that are free to use now, within the cgroup's limit."""
    import psutil  # noqa: PLC0415

    free = int(psutil.virtual_memory().available)
    within = cgroup.memory_free()
    return free if within is None else min(free, within)


def trim_memory() -> None:
    """
    Give freed memory that the C library keeps back to the system; does nothing where it cannot be asked to.

    glibc keeps what small blocks were in: after an epoch of training hundreds of megabytes of activations, which a
    process in a container holds together with what it needs next.
    """
    import ctypes  # noqa: PLC0415 - for those who train alone

    with suppress(OSError):  # a Python that is linked statically
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def allow_open_files(least: int = _OPEN_FILES) -> None:
    """
    Let this process and those that it starts have enough files open at a time.

    Raises
    ------
    TunebookError
        The session's hard limit is lower.
    """
    import resource  # noqa: PLC0415 - for those who start processes

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    if soft == endless or soft >= least:
        return
    if hard != endless and hard < least:
        raise TunebookError(
            f"this session may have {hard} files open at a time, and a run needs {least}; allow more: ulimit -n {least}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (least, hard))


def calm_threads() -> None:
    """
    Set OpenMP up for shared cores; does nothing useful once torch is imported.

    Waiting threads that spin made two threads two to eight times slower than one on a machine
    whose cores are shared, which is what Binder and most containers are.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OMP_NUM_THREADS", str(cores()))


def threads_of(count: int) -> int:
    """Return the threads of each of ``count`` processes that share this machine's cores; at least 1."""
    return max(1, cores() // count)


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment variables that give a process so many threads, which do not spin."""
    return {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a run's numbers."""
    found = {"python": platform.python_version(), "platform": platform.platform(terse=True)}
    for name in (
        "tunebook", "torch", "torchvision", "timm", "transformers", "accelerate", "numpy", "pandas", "scikit-learn",
        "pillow", "fairlearn", "openvino", "onnxruntime",
    ):  # fmt: skip
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def changed_versions(before: Mapping[str, str]) -> str:
    """
    Say which of the packages that decide a run's numbers have another version now.

    Parameters
    ----------
    before
        As :func:`versions` gave it then.

    Returns
    -------
    str
        ``torch 2.14.1 then, 2.15.0 now``, several with commas between them; empty where none has.
    """
    now = versions()
    return ", ".join(
        f"{name} {old} then, {now.get(name, 'not installed')} now"
        for name, old in before.items()
        if now.get(name) != old
    )


def plain_bars() -> None:
    """
    Make libraries in a kernel use tqdm's text bars, unless the notebook has imported ipywidgets itself.

    ``tqdm.auto`` would import ipywidgets in every kernel, and leave widgets in the output of a
    batch run that nothing can show.
    """
    if "ipywidgets" in sys.modules or "tqdm.autonotebook" in sys.modules:
        return
    from tqdm import std  # noqa: PLC0415

    stand_in = ModuleType("tqdm.autonotebook")
    stand_in.tqdm, stand_in.trange = std.tqdm, std.trange  # type: ignore[attr-defined]
    sys.modules["tqdm.autonotebook"] = stand_in
