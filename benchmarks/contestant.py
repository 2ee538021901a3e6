"""The inside of a contestant's process: it reads the plan, does its work, and writes what it found."""

from __future__ import annotations

import importlib
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.benchmark import Plan


def load(function: str) -> Callable[..., Any]:
    """Import what ``"module:name"`` names."""
    module, _, name = function.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def cpu_seconds() -> float:
    """Return the CPU time of this process and its children until now."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def work(function: str, plan_file: Path, result_file: Path) -> None:
    """
    Do the work and write the figures beside which its CPU time will stand.

    Parameters
    ----------
    function
        ``"module:name"``; called with the plan and ``mark``, which it calls when its set-up is over.
    plan_file, result_file
        JSON.
    """
    plan: Plan = json.loads(plan_file.read_text(encoding="utf-8"))
    set_up: list[float] = []
    found = load(function)(plan, lambda: set_up.append(cpu_seconds()))
    if set_up:
        found["setup_cpu"] = set_up[0]
    result_file.write_text(json.dumps(found), encoding="utf-8")
