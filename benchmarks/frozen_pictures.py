"""A frozen EfficientNet-Lite0: the head alone trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.benchmark import Benchmark, Plan
from benchmarks.picture_contestants import OWN, PEERS, TUNEBOOK
from benchmarks.pictures import PLAN, QUICK

if TYPE_CHECKING:
    from collections.abc import Mapping


def bound(plan: Plan, machine: Mapping[str, Any], medians: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """
    Say how near Tunebook is to what the machine allows.

    The bound is the CPU time of the trunk's multiply-adds for each training and validation picture once, at
    the rate at which this machine multiplies large matrices, in bf16 where it has it.
    """
    own = medians.get(TUNEBOOK)
    if own is None:
        return []
    kind = "bf16" if machine.get("bf16_rate") else "fp32"
    pictures = own["train"] + own["validation"]
    seconds = plan["trunk_macs"] * 2.0 * pictures / machine[f"{kind}_rate"]
    return [
        f"Bound: {plan['trunk_macs'] / 1e6:.1f} million multiply-adds of the trunk x {pictures:.0f} pictures x 2 at "
        f"{machine[f'{kind}_rate'] / 1e9:.1f} x 10^9 {kind} operations a CPU second = {seconds:.2f} CPU s; {TUNEBOOK} "
        f"takes {own['work_cpu'] / seconds:.2f} times that without set-up, {own['cpu'] / seconds:.2f} times with it."
    ]


BENCHMARK = Benchmark(
    name="frozen-pictures",
    summary="EfficientNet-Lite0 with ImageNet weights, everything but the classifier frozen, 5 epochs",
    contestants=(*PEERS, *OWN),
    base=TUNEBOOK,
    prepare="benchmarks.pictures:prepare",
    plan={**PLAN, "boundary": "classifier"},
    quick=QUICK,
    notes=bound,
)
