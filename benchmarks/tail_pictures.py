"""EfficientNet-Lite0 of which everything from ``blocks.4`` on trains."""

from __future__ import annotations

from benchmarks.benchmark import Benchmark
from benchmarks.picture_contestants import OWN, PEERS, TUNEBOOK
from benchmarks.pictures import PLAN, QUICK

BENCHMARK = Benchmark(
    name="tail-pictures",
    summary="EfficientNet-Lite0 with ImageNet weights, frozen up to blocks.4, 5 epochs",
    contestants=(*PEERS, *OWN),
    base=TUNEBOOK,
    prepare="benchmarks.pictures:prepare",
    plan={**PLAN, "lr": 1e-3, "own_lr": 1e-3, "boundary": "blocks.4"},
    quick={**QUICK, "boundary": "blocks.2"},
)
