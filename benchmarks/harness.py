"""Runs the contestants of a benchmark in turns, each in a process of its own, and gathers their figures."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import hardware
from benchmarks.errors import BenchmarkError
from benchmarks.process import environment, run_measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.benchmark import Benchmark, Contestant, Plan

#: Fewest rounds whose medians mean something.
ENOUGH = 3


@dataclass
class Report:
    """
    What a benchmark found. Plain JSON.

    Attributes
    ----------
    benchmark, base
        Its name, and the contestant with whom the others are compared.
    command
        How it was started.
    plan, environment
        What all contestants were told, and the variables that they were started with.
    machine, versions
        Where it ran, see :mod:`benchmarks.hardware`.
    repeats
        Rounds.
    runs
        For each contestant the figures of each round.
    medians
        For each contestant the median of each figure.
    unable
        Contestants that could not take part, or not to the end, and why.
    notes
        Sentences below the table.
    """

    benchmark: str
    base: str
    command: str
    plan: Plan
    environment: dict[str, str]
    machine: dict[str, Any]
    versions: dict[str, str]
    repeats: int
    runs: dict[str, list[dict[str, Any]]]
    medians: dict[str, dict[str, Any]]
    unable: dict[str, str]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return asdict(self)


def run_benchmark(
    benchmark: Benchmark,
    plan: Plan,
    *,
    only: Sequence[str] = (),
    repeats: int = 0,
    threads: int = 1,
    command: str = "",
) -> Report:
    """
    Run a benchmark.

    Parameters
    ----------
    benchmark
        What to run.
    plan
        Its settled plan.
    only
        Names of contestants; none are all.
    repeats
        Rounds; 0 takes the benchmark's own number.
    threads
        Threads of every contestant.
    command
        How it was started, for the report.

    Raises
    ------
    BenchmarkError
        There is no such contestant, or the data cannot be prepared.
    """
    contestants = benchmark.chosen(only)
    repeats = repeats or benchmark.repeats
    variables = environment(threads)
    with tempfile.TemporaryDirectory(prefix="tunebook-benchmark-") as name:
        rounds = _Rounds(Path(name), variables)
        machine = {**hardware.describe(), **rounds.aside("benchmarks.hardware:measure_rates", plan), "threads": threads}
        if benchmark.prepare:
            plan = {**plan, **rounds.aside(benchmark.prepare, {**plan, "folder": name})}
        for number in range(1, repeats + 1):
            for contestant in contestants:
                rounds.turn(contestant, plan, number, repeats)
    medians = {name: _medians(runs) for name, runs in rounds.runs.items() if runs}
    notes = benchmark.notes(plan, machine, medians) if benchmark.notes else []
    notes += _differences(medians)
    return Report(
        benchmark.name, benchmark.base, command, plan, variables, machine, hardware.versions(), repeats,
        rounds.runs, medians, rounds.unable, notes,
    )  # fmt: skip


class _Rounds:
    """The turns of the contestants, in one scratch folder that all of them may read."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder, self._variables = folder, variables
        self._count = 0
        self.runs: dict[str, list[dict[str, Any]]] = {}
        self.unable: dict[str, str] = {}

    def aside(self, function: str, plan: Plan) -> dict[str, Any]:
        """Do something that is not measured, in a process of its own so that this one stays small."""
        # What is made once, such as the demo's pictures, must not be in the cache that is measured.
        found, reason = self._work(function, plan, {"TUNEBOOK_CACHE": str(self._folder / "aside")})
        if found is None:
            raise BenchmarkError(f"{function}: {reason}")
        for figure in ("cpu", "wall", "peak_mb"):
            found.pop(figure)
        return found

    def turn(self, contestant: Contestant, plan: Plan, number: int, repeats: int) -> None:
        """Let one contestant work, and keep what it took or why it could not."""
        name = contestant.name
        runs = self.runs.setdefault(name, [])
        if name in self.unable:
            return
        missing = [needed for needed in contestant.needs if hardware.installed(needed) is None]
        if missing:
            self.unable[name] = f"not installed: {', '.join(missing)}; pip install -e '.[bench]'"
            return
        if contestant.after in self.unable:
            self.unable[name] = f"{contestant.after} did not run"
            return
        print(f"{time.strftime('%H:%M:%S')} round {number} of {repeats}: {name} ...", file=sys.stderr, flush=True)
        # One cache a round: it is empty for the first who uses it, and the next finds what that one left.
        cache = {"TUNEBOOK_CACHE": str(self._folder / f"cache-{number}")}
        found, reason = self._work(contestant.function, {**plan, **contestant.plan, "round": number}, cache)
        if found is None:
            self.unable[name] = reason
            print(f"  {reason}", file=sys.stderr, flush=True)
            return
        runs.append(found)

    def _work(self, function: str, plan: Plan, extra: Mapping[str, str]) -> tuple[dict[str, Any] | None, str]:
        self._count += 1
        folder = self._folder / f"turn-{self._count}"
        folder.mkdir()
        plan_file, result_file = folder / "plan.json", folder / "result.json"
        plan_file.write_text(json.dumps(plan), encoding="utf-8")
        usage = run_measured(
            [sys.executable, "-m", "benchmarks", "contestant", function, str(plan_file), str(result_file)],
            {**self._variables, **extra},
            folder,
        )
        if usage.code != 0 or not result_file.is_file():
            lines = [line.strip() for line in usage.errors.splitlines() if line.strip()]
            return None, f"exit code {usage.code}: {lines[-1][:300] if lines else 'no message'}"
        found: dict[str, Any] = json.loads(result_file.read_text(encoding="utf-8"))
        measured = {"cpu": usage.cpu, "wall": usage.wall, "peak_mb": usage.peak_mb, **found}
        if "setup_cpu" in measured:
            measured["work_cpu"] = measured["cpu"] - measured["setup_cpu"]
        return measured, ""


def _medians(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the median of what is a number in all runs, and of the rest what the last run had."""
    found = {}
    for key, last in runs[-1].items():
        values = [run.get(key) for run in runs]
        numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
        found[key] = median(numbers) if len(numbers) == len(values) else last
    return found


def _differences(medians: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say what contestants saw or trained that others did not: the comparison would not be one."""
    notes = []
    for key, words in (("train", "training examples"), ("validation", "validation examples"), ("trains", "weights")):
        seen = {name: row[key] for name, row in medians.items() if key in row}
        if len(set(seen.values())) > 1:
            listed = ", ".join(f"{name} {value:,.0f}" for name, value in seen.items())
            notes.append(f"Not the same work: the number of {words} differs: {listed}.")
    return notes
