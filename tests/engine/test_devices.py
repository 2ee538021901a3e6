"""One process on a CPU needs no exchange; what the machine cannot do is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from tunebook.devices import Devices, threads
from tunebook.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeRecipe = Callable[..., Any]


def test_one_process_is_the_main_one_and_has_every_part(recipe: MakeRecipe) -> None:
    devices = Devices(recipe(device="cpu", precision="fp32"), nn.Linear(2, 2))
    assert (devices.is_main, devices.count, devices.rank, devices.device.type) == (True, 1, 0, "cpu")
    assert devices.part(7) == slice(0, 7)
    assert devices.describe().startswith("cpu, ")
    assert devices.describe().endswith("fp32")
    value = torch.ones(2)
    assert devices.add_up(value) is value
    assert devices.gather([1]) == [1]
    assert devices.agree("x") == "x"
    assert devices.move({"x": value})["x"].device.type == "cpu"


@pytest.mark.parametrize(("count", "size"), [(1, 5), (3, 7), (3, 2), (4, 8), (8, 3), (2, 0)])
def test_parts_make_up_the_whole_batch(
    recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch, count: int, size: int
) -> None:
    devices = Devices(recipe(device="cpu", precision="fp32"), nn.Linear(2, 2))
    seen: list[int] = []
    for rank in range(count):
        monkeypatch.setattr(Devices, "count", count)
        monkeypatch.setattr(Devices, "rank", rank)
        seen += range(size)[devices.part(size)]
    assert seen == list(range(size))


def test_runs_of_one_kernel_may_differ_in_precision(recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    for precision in ("fp32", "bf16", "fp32"):
        assert Devices(recipe(device="cpu", precision=precision), nn.Linear(2, 2)).precision == precision


def test_auto_takes_bf16_where_it_helps(recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    assert Devices(recipe(device="cpu"), nn.Conv2d(4, 4, 1)).precision == "bf16"
    assert Devices(recipe(device="cpu"), nn.Conv2d(4, 4, 1, groups=4)).precision == "fp32"


def test_bf16_is_refused_where_there_is_none(recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False, raising=False)
    assert Devices(recipe(device="cpu"), nn.Linear(2, 2)).precision == "fp32"
    with pytest.raises(RecipeError, match="this cpu has no bf16 arithmetic"):
        Devices(recipe(device="cpu", precision="bf16"), nn.Linear(2, 2))


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(
    recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(RecipeError, match=f"device='{device}' is not there; this machine has cpu"):
        Devices(recipe(device=device), nn.Linear(2, 2))


def test_threads_are_as_before_after_the_block() -> None:
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
    with pytest.raises(KeyboardInterrupt), threads(1):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == before
