"""MiniLM with all layers frozen: pooler and classifier train."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark, Contestant
from benchmarks.text_contestants import PADDED, TRAINER
from benchmarks.texts import PLAN, QUICK

_TUNEBOOK = "Tunebook, empty cache"

BENCHMARK = Benchmark(
    name="text-frozen",
    summary="MiniLM with embeddings and all layers frozen, pooler and classifier training, 5 epochs",
    contestants=(
        PADDED,
        TRAINER,
        Contestant(_TUNEBOOK, "benchmarks.text_contestants:tunebook"),
        Contestant("Tunebook, its cache there", "benchmarks.text_contestants:tunebook", after=_TUNEBOOK),
    ),
    base=_TUNEBOOK,
    prepare="benchmarks.texts:prepare",
    plan={**PLAN, "epochs": 5, "lr": 3e-3, "own_lr": 3e-3, "frozen": True},
    quick=QUICK,
)
