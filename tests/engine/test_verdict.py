"""Each verdict from curves that show it."""

from __future__ import annotations

from typing import Any

import pytest

from tunebook.verdict import judge

COUNTS = {"a": 100, "b": 100, "rare": 10}


def _row(epoch: int, train: tuple[float, float], validation: tuple[float, float], rare: float = 0.8) -> dict[str, Any]:
    recall = {"a": 0.85, "b": 0.85, "rare": rare}
    return {
        "epoch": epoch,
        "train": {"loss": train[0], "accuracy": train[1]},
        "validation": {"loss": validation[0], "accuracy": validation[1], "n": 400, "recall": recall},
    }


@pytest.mark.parametrize(
    ("name", "history", "best"),
    [
        ("over-fitting", [_row(1, (0.5, 0.8), (0.6, 0.78)), _row(2, (0.1, 0.9), (0.9, 0.8))], 2),
        ("over-fitting", [_row(1, (0.5, 0.8), (0.6, 0.78)), _row(2, (0.1, 1.0), (0.6, 0.8))], 2),
        ("under-fitting", [_row(1, (1.5, 0.5), (1.6, 0.45)), _row(2, (1.0, 0.6), (1.1, 0.58))], 2),
        ("unbalanced", [_row(1, (0.3, 0.9), (0.4, 0.87)), _row(2, (0.3, 0.9), (0.39, 0.88), rare=0.3)], 2),
        ("fine", [_row(1, (0.3, 0.9), (0.4, 0.87)), _row(2, (0.3, 0.9), (0.39, 0.88))], 2),
    ],
)
def test_the_curves_decide(name: str, history: list[dict[str, Any]], best: int) -> None:
    verdict = judge(history, best, COUNTS)[0]
    assert verdict.name == name
    assert verdict.curve
    assert bool(verdict.advice) == (name != "fine")


def test_below_the_baseline_is_under_fitting() -> None:
    history = [_row(1, (0.3, 0.9), (0.4, 0.87)), _row(2, (0.3, 0.9), (0.39, 0.88))]
    assert judge(history, 2, COUNTS, baseline_accuracy=0.95)[0].name == "under-fitting"
