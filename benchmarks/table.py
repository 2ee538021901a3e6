"""A report as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.harness import ENOUGH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.benchmark import Benchmark, Column
    from benchmarks.harness import Report

#: Entries of a plan that are places on one machine.
_PLACES = {"data", "train", "dev", "folder", "table", "pictures", "weights"}


def markdown(benchmark: Benchmark, report: Report) -> str:
    """Write the table, what could not take part, and all that is needed to judge or repeat it."""
    columns = [c for c in benchmark.columns if any(c.key in row for row in report.medians.values())]
    lines = [
        f"| {benchmark.name} | {' | '.join(column.title for column in columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
    ]
    base = report.medians.get(report.base, {})
    for name, row in report.medians.items():
        lines.append(f"| {name} | {' | '.join(_cell(row, column, base) for column in columns)} |")
    lines.append("")
    lines += [f"{name} did not take part: {reason}" for name, reason in report.unable.items()]
    lines += [*report.notes, *_foot(report)]
    return "\n".join(lines)


def _cell(row: Mapping[str, Any], column: Column, base: Mapping[str, Any]) -> str:
    value = row.get(column.key)
    if value is None:
        return ""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    if column.ratio:
        whole = base.get(column.key)
        return f"{value / whole:.{column.digits}f}" if whole else ""
    return f"{value:.{column.digits}f}"


def _foot(report: Report) -> list[str]:
    machine, rate = report.machine, report.machine.get("fp32_rate")
    few = "" if report.repeats >= ENOUGH else f", fewer than {ENOUGH}: these figures are no medians to rely on"
    bf16 = f"bf16 {machine['bf16_rate'] / 1e9:.1f}" if machine.get("bf16_rate") else "no bf16"
    load = f"load {machine['load']:.1f} at the start" if machine.get("load") is not None else ""
    plan = {key: value for key, value in report.plan.items() if key not in _PLACES}
    return [
        "",
        f"- Medians of {report.repeats} interleaved rounds{few}; CPU time and peak memory of whole processes.",
        f"- Plan: {', '.join(f'{key}={value}' for key, value in plan.items())}.",
        f"- Environment: {' '.join(f'{key}={value}' for key, value in report.environment.items())}.",
        f"- Machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}, {load}; "
        f"matrix products in 10^9 operations a CPU second: fp32 {rate / 1e9 if rate else 0.0:.1f}, {bf16}.",
        f"- Versions: {', '.join(f'{name} {version}' for name, version in report.versions.items())}.",
        f"- Command: `{report.command}`.",
    ]
