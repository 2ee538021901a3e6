"""How long the command takes to answer, and what a first import costs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.benchmark import Benchmark, Column, Contestant, Plan
from benchmarks.errors import BenchmarkError
from benchmarks.process import run_measured

if TYPE_CHECKING:
    from collections.abc import Callable

_STEPS = (
    "import tunebook; (tunebook.{recipe}, tunebook.load_examples, tunebook.check, tunebook.load_model, "
    "tunebook.measure_baseline, tunebook.tune); from tunebook.tasks import get_task; get_task('{task}')"
)
_HELP = "tunebook --help"
_PICTURES, _TEXTS = "what the template of pictures needs", "what the template of texts needs"
_COUNT = "; import sys; print(len(sys.modules))"


def answer(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:
    """Start a program with nothing but the command or the import, and measure exactly that process."""
    mark()
    python = Path(sys.executable)
    command = (
        [str(python), "-c", plan["code"] + _COUNT] if plan["code"] else [str(python.with_name("tunebook")), "--help"]
    )
    # Once unmeasured: files that are not in the machine's memory yet are not what is compared.
    for _ in range(2 if plan["round"] == 1 else 1):
        usage = run_measured(command, {}, Path.cwd())
        if usage.code != 0:
            raise BenchmarkError(f"exit code {usage.code}: {usage.errors[-200:]}")
    modules = {"modules": int(usage.output.split()[-1])} if plan["code"] else {}
    return {"cpu": usage.cpu, "wall": usage.wall, "peak_mb": usage.peak_mb, **modules}


def _importing(name: str, code: str, *needs: str) -> Contestant:
    return Contestant(name, "benchmarks.start:answer", needs, plan={"code": code})


BENCHMARK = Benchmark(
    name="start",
    summary="the time until `tunebook --help` answers, and of the imports that a template needs",
    contestants=(
        _importing(_HELP, ""),
        _importing(_PICTURES, _STEPS.format(recipe="ImageClassification", task="image-classification")),
        _importing(_TEXTS, _STEPS.format(recipe="TextClassification", task="text-classification")),
        _importing("import torch alone", "import torch", "torch"),
        _importing("import fastai.vision.all", "import fastai.vision.all", "fastai"),
        _importing("from transformers import Trainer", "from transformers import Trainer", "transformers"),
        _importing("import lightning", "import lightning", "lightning"),
    ),
    base=_PICTURES,
    columns=(
        Column("wall", "seconds", 2),
        Column("cpu", "CPU s", 2),
        Column("cpu", "of Tunebook's for pictures", 2, ratio=True),
        Column("modules", "modules", 0),
        Column("peak_mb", "peak memory, MB", 0),
    ),
    plan={},
    quick={},
    repeats=10,
)
