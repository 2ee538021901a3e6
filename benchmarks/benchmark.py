"""What a benchmark is: contestants that do the same work, and what is told of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.errors import BenchmarkError
from tunebook.errors import did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: What a contestant is told: plain JSON.
Plan = dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """
    One of those who do the same work.

    Attributes
    ----------
    name
        What it is called in the table.
    function
        ``"module:name"`` of what does the work, given the plan and a function to call when the set-up is over.
    needs
        Distributions that must be installed.
    after
        A contestant that must have run before in the same round, whose cache this one finds.
    plan
        Values that replace those of the plan for this one.
    """

    name: str
    function: str
    needs: tuple[str, ...] = ()
    after: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """
    One column of the table.

    Attributes
    ----------
    key
        Which figure of a contestant.
    title
        Its head.
    digits
        Digits after the point.
    ratio
        Show how many times the figure of the benchmark's base it is.
    """

    key: str
    title: str
    digits: int = 1
    ratio: bool = False


#: CPU time, and accuracy and memory beside it.
COLUMNS = (
    Column("cpu", "CPU s"),
    Column("cpu", "of Tunebook's", 2, ratio=True),
    Column("work_cpu", "CPU s without set-up"),
    Column("work_cpu", "of Tunebook's", 2, ratio=True),
    Column("accuracy", "accuracy", 3),
    Column("peak_mb", "peak memory, MB", 0),
)


@dataclass(frozen=True)
class Benchmark:
    """
    A comparison.

    Attributes
    ----------
    name, summary
        What it is called and what it measures.
    contestants
        Who takes part, in the order of a round.
    base
        The contestant with whose figures the others' are compared.
    plan
        Default of everything that can be chosen, by the name of the option.
    quick
        What replaces it for a trial of a few seconds, whose figures say nothing.
    prepare
        ``"module:name"`` of what brings the data into the form that all contestants read, in a process of its own.
    columns
        What the table shows.
    repeats
        Rounds, if nothing else is asked for.
    notes
        Sentences below the table, made from the plan, the machine and the medians.
    """

    name: str
    summary: str
    contestants: tuple[Contestant, ...]
    base: str
    plan: Mapping[str, Any]
    quick: Mapping[str, Any]
    prepare: str = ""
    columns: tuple[Column, ...] = COLUMNS
    repeats: int = 3
    notes: Callable[[Plan, Mapping[str, Any], Mapping[str, Mapping[str, Any]]], list[str]] | None = None

    def chosen(self, names: Sequence[str]) -> list[Contestant]:
        """
        Return the contestants of some names, or all, with those that must run before them.

        Raises
        ------
        BenchmarkError
            There is no such contestant.
        """
        known = {contestant.name: contestant for contestant in self.contestants}
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known)
                raise BenchmarkError(f"{self.name} has no contestant {shown(name)}{hint}; it has {', '.join(known)}")
        wanted = set(names or known)
        wanted |= {known[name].after for name in wanted}
        return [contestant for name, contestant in known.items() if name in wanted]

    def settled(self, options: Mapping[str, Any], *, quick: bool) -> Plan:
        """
        Return the plan with what was asked for.

        Raises
        ------
        BenchmarkError
            The benchmark does not have one of the options.
        """
        for name in options:
            if name not in self.plan:
                have = ", ".join(f"--{key.replace('_', '-')}" for key in self.plan)
                raise BenchmarkError(f"{self.name} has no --{name.replace('_', '-')}; it has {have or 'no options'}")
        return {**self.plan, **(self.quick if quick else {}), **options}
