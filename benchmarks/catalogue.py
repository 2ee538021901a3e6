"""Which benchmarks there are. Their modules are light: contestants import their libraries when they run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks.errors import BenchmarkError
from tunebook.errors import did_you_mean, shown

if TYPE_CHECKING:
    from benchmarks.benchmark import Benchmark

NAMES = (
    "frozen-pictures",
    "tail-pictures",
    "text-full",
    "text-frozen",
    "search",
    "memory",
    "start",
    "event-files",
    "live-curves",
    "bias",
)


def get_benchmark(name: str) -> Benchmark:
    """
    Return a benchmark by its name.

    Raises
    ------
    BenchmarkError
        There is none of that name.
    """
    if name not in NAMES:
        raise BenchmarkError(f"no benchmark {shown(name)}{did_you_mean(name, NAMES)}; there are {', '.join(NAMES)}")
    found: Benchmark = import_module(f"benchmarks.{name.replace('-', '_')}").BENCHMARK
    return found
