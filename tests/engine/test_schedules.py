"""The learning rate over the steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.schedules import lr_factor


@given(
    st.sampled_from(["cosine", "linear", "constant"]), st.integers(1, 500), st.floats(0.0, 0.99), st.integers(0, 499)
)
def test_the_factor_is_above_zero_and_at_most_one(kind: str, steps: int, warmup: float, step: int) -> None:
    assert 0.0 < lr_factor(kind, min(step, steps - 1), steps, warmup) <= 1.0


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_it_rises_and_then_falls(kind: str) -> None:
    factors = [lr_factor(kind, step, 100, 0.2) for step in range(100)]
    assert factors[:20] == sorted(factors[:20])
    assert factors[20] == 1.0
    assert factors[20:] == sorted(factors[20:], reverse=True)
    assert factors[-1] < 0.05
