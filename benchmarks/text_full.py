"""MiniLM, all of which trains."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, Contestant
from benchmarks.text_contestants import PADDED, TRAINER
from benchmarks.texts import PLAN, QUICK

BENCHMARK = Benchmark(
    name="text-full",
    summary="MiniLM, all of it training, 1 epoch: each library's way with texts of different lengths",
    contestants=(PADDED, TRAINER, Contestant("Tunebook", "benchmarks.text_contestants:tunebook")),
    base="Tunebook",
    prepare="benchmarks.texts:prepare",
    plan={**PLAN, "frozen": False},
    quick=QUICK,
)
