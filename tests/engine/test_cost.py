"""What a recipe will cost is told beforehand, for any batch size and freeze, and measuring it changes nothing."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tunebook
from tunebook import cost as cost_module
from tunebook import cost_probe, machine
from tunebook.checkpoints import save_tensors
from tunebook.cost import CostModel, measure
from tunebook.cost_probe import Probe, untouched
from tunebook.cost_tables import Layout, Line
from tunebook.cost_watch import Watch
from tunebook.devices import Devices
from tunebook.errors import RecipeError
from tunebook.tasks import get_task
from tunebook.training import Trainer

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
sys.path.insert(0, str(Path(__file__).parents[1]))
import small_run

if TYPE_CHECKING:
    from collections.abc import Callable

PLAN: dict[str, Any] = {"freeze": "backbone", "unfreeze": [[1, -2], [2, "none"]]}
TASKS = ("image-classification", "text-classification")


@dataclass(frozen=True)
class Measured:
    """One small task and what was measured of it."""

    recipe: Any
    examples: Any
    model: Any
    reader: Any
    cost: CostModel

    def changed(self, **values: Any) -> Any:
        return self.recipe.changed(**values)


@pytest.fixture(scope="module", params=TASKS)
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Measure a small random model on small data."""
    folder = tmp_path_factory.mktemp("cost")
    data = small_run.TASKS[request.param](folder / "data", count=16)
    recipe = small_run.recipe(data, folder / "runs", request.param, mixup=0.0, views=2, augment="light") if (
        request.param == TASKS[0]
    ) else small_run.recipe(data, folder / "runs", request.param)  # fmt: skip
    recipe = recipe.changed(class_weights="none", sampler="none", **PLAN)
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    task = get_task(recipe.task)
    reader = task.reader(examples, recipe, model)
    found = measure(task, recipe, examples, model, reader, Devices(recipe, model.module))
    return Measured(recipe, examples, model, reader, found)


def altered(measured: Measured, **tables: Any) -> CostModel:
    """Return a model of the cost with other measurements."""
    return replace(measured.cost, tables=replace(measured.cost.tables, **tables), _parts={}, _readers={})


def snapshot(model: Any) -> dict[str, Any]:
    """Return all of a model, and of torch, that measuring could change."""
    return {
        "state": {name: value.detach().numpy().tobytes() for name, value in model.module.state_dict().items()},
        "buffers": {name: value.detach().numpy().tobytes() for name, value in model.module.named_buffers()},
        "modes": [part.training for part in model.module.modules()],
        "asked": [p.requires_grad for p in model.module.parameters()],
        "gradients": [None if p.grad is None else p.grad.numpy().tobytes() for p in model.module.parameters()],
        "same": [id(p) for p in model.module.parameters()],
        "hooks": [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.module.modules()],
        "frozen": model.stages.frozen,
        "rates": model.dropout.rates(),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": np.random.get_state()[1].tobytes(),  # type: ignore[index,union-attr]  # noqa: NPY002
    }


# Measuring.


def test_measuring_leaves_everything_as_it_was(measured: Measured) -> None:
    recipe, model = measured.recipe, measured.model
    model.stages.apply(-2)
    generator = torch.Generator().manual_seed(5)
    for parameter in model.module.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.rand(parameter.shape, generator=generator)
    torch.manual_seed(11)
    before = snapshot(model)
    measure(get_task(recipe.task), recipe, measured.examples, model, measured.reader, Devices(recipe, model.module))
    assert snapshot(model) == before
    for parameter in model.module.parameters():
        parameter.grad = None


def test_a_failure_while_measuring_leaves_the_model_as_it_was(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, model = measured.recipe, measured.model
    before = snapshot(model)
    monkeypatch.setattr(cost_probe, "find_cut", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        measure(get_task(recipe.task), recipe, measured.examples, model, measured.reader, Devices(recipe, model.module))
    assert snapshot(model) == before


def test_the_function_of_the_notebook_gives_the_same(measured: Measured) -> None:
    found = tunebook.measure_cost(measured.recipe, measured.examples, measured.model).estimate(measured.recipe)
    known = measured.cost.estimate(measured.recipe)
    assert (found.trainable, found.frozen) == (known.trainable, known.frozen)


class Clocked(nn.Module):
    """Takes a known time forwards and backwards, and keeps its input."""

    def __init__(self, clock: list[float], forward: float, backward: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self._clock, self._forward, self._backward = clock, forward, backward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        clock, late = self._clock, self._backward

        class Slow(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, value: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
                ctx.save_for_backward(value, weight)
                return value * weight

            @staticmethod
            def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
                clock[0] += late
                value, weight = ctx.saved_tensors
                return gradient * weight, (gradient * value).sum()

        clock[0] += self._forward
        return Slow.apply(x, self.weight)  # type: ignore[no-untyped-call,no-any-return]


def test_time_and_bytes_of_a_pass_are_told_apart_by_stage() -> None:
    clock = [0.0]
    module = nn.Sequential(Clocked(clock, 1.0, 10.0), nn.ReLU(), Clocked(clock, 2.0, 20.0), Clocked(clock, 4.0, 40.0))
    watch = Watch(module, {"0": 0, "2": 1, "3": 2}, 3, lambda: clock[0])
    x = torch.rand(5, 8, requires_grad=True)
    with watch.watching():
        watch.begin(0)
        loss = module(x).sum()
        assert watch.end().tolist() == [1.0, 2.0, 4.0]
        watch.begin(2)
        loss.backward()
        assert watch.end().tolist() == [10.0, 20.0, 40.0]
    # Each keeps its input; what the ReLU keeps is the input of the second, and counts once, to what ran before.
    assert watch.kept.tolist() == [2 * 160.0, 0.0, 160.0]


def test_what_is_kept_of_a_batch_that_was_not_run_follows_from_those_that_were(measured: Measured) -> None:
    task = get_task(measured.recipe.task)
    devices = Devices(measured.recipe, measured.model.module)
    clock = time.process_time
    reader, model = measured.reader, measured.model
    with untouched(model.module):
        probe = Probe(task, measured.recipe, measured.examples, model, reader, devices, clock)
        rows = measured.examples.rows("train")
        lengths = reader.lengths(rows)
        rows = rows[:16] if lengths is None else rows[np.argsort(lengths)][-16:]
        found = probe._run(rows, frozenset())
        units = cost_probe._units(reader.inputs(rows))
    expected = measured.cost.tables.training.kept.fixed + measured.cost.tables.peak[0] * units
    assert expected.sum() == pytest.approx(found.kept.sum(), rel=0.05)


def test_a_checkpoint_is_timed_and_leaves_no_file(
    measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    probe = object.__new__(Probe)
    probe._devices = Devices(measured.recipe, measured.model.module)
    probe._clock = time.thread_time
    # From a gigabyte in 30 s to one in 30 ms.
    assert 3e-11 < probe._saving_seconds() < 3e-8
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert probe._saving_seconds() == 0.0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a moment")
def test_a_checkpoint_is_written_without_a_copy_as_no_estimate_has_one(tmp_path: Path) -> None:
    def peak() -> int:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1_024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

    tensors = {str(number): torch.ones(1_000_000) for number in range(16)}
    save_tensors({"first": tensors["0"]}, tmp_path / "first.safetensors")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = peak()
    save_tensors(tensors, tmp_path / "all.safetensors")
    assert peak() - before < 16_000_000


@given(
    st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), min_size=1, max_size=5),
    st.integers(1, 100),
    st.integers(0, 100),
)
def test_a_line_is_never_negative_and_meets_the_larger_measurement(
    points: list[tuple[float, float]], few: int, more: int
) -> None:
    small, large = (np.array(values) for values in zip(*points, strict=True))
    line = Line.through(small, large, (few, few + more))
    assert (line.fixed >= 0).all()
    assert (line.each >= 0).all()
    assert line.at(1, few + more) == pytest.approx(large, rel=1e-6, abs=1e-6)


# Estimating.


def test_an_estimate_takes_less_than_5_ms(measured: Measured) -> None:
    recipes = [measured.recipe, measured.changed(batch_size=5), measured.changed(epochs=100_000)]
    for recipe in recipes:
        measured.cost.estimate(recipe)
        seconds = []
        for _ in range(5):
            started = time.thread_time()
            measured.cost.estimate(recipe)
            seconds.append(time.thread_time() - started)
        assert min(seconds) < 0.005


def test_trainable_parameters_are_those_of_the_plan(measured: Measured) -> None:
    found = measured.cost.estimate(measured.recipe)
    stages = measured.model.stages
    wanted = []
    for epoch in range(measured.recipe.epochs):
        frozen = stages.frozen_by(measured.recipe.freeze_at(epoch))
        wanted.append(sum(p.numel() for name, p in measured.model.module.named_parameters() if name not in frozen))
    assert list(found.trainable_by_epoch) == wanted
    assert found.trainable == max(wanted)
    assert found.trainable + found.frozen == sum(p.numel() for p in measured.model.module.parameters())


def test_a_freeze_by_globs_counts_what_it_leaves(measured: Measured) -> None:
    names = measured.model.stages.names
    found = measured.cost.estimate(measured.changed(freeze=[names[1]], unfreeze=[]))
    assert found.frozen == measured.model.stages.items[1].size


def test_a_freeze_that_does_not_fit_the_model_is_refused(measured: Measured) -> None:
    with pytest.raises(RecipeError, match="matches no stage"):
        measured.cost.estimate(measured.changed(freeze=["nothing.*"]))


def test_more_that_trains_takes_more_memory_and_time(measured: Measured) -> None:
    count = len(measured.model.stages)
    known = [Line(np.zeros(count), np.full(count, each)) for each in (1.0, 2.0, 3.0)]
    # Seconds that no noise can put in another order.
    model = altered(
        measured,
        evaluated=known[0],
        passing=measured.cost.tables.passing._replace(forward=known[1], backward=known[1]),
        training=measured.cost.tables.training._replace(forward=known[2], backward=known[2]),
    )
    several = [
        model.estimate(measured.changed(freeze=freeze, unfreeze=[], cache="off")) for freeze in ("backbone", -2, "none")
    ]
    # With so small a model it may be evaluating that takes the most.
    assert [cost.memory for cost in several] == sorted(cost.memory for cost in several)
    assert several[0].memory < several[-1].memory
    assert [cost.seconds for cost in several] == sorted({cost.seconds for cost in several})


def test_larger_batches_take_more_memory_in_proportion() -> None:
    layout = Layout(*(np.array(v) for v in ([1.0, 2.0, 4.0], [1.0] * 3, [1.0, 0.5, 0.25], [1.0, 2.0, 4.0])))
    assert layout.at(3) == pytest.approx((1.0, 1 / 3, 3.0))


def test_groups_of_other_lengths_leave_blocks_that_do_not_fit(measured: Measured) -> None:
    recipe = measured.changed(freeze="none", unfreeze=[])
    kept = measured.cost.tables.training.kept
    here = altered(measured, memory=replace(measured.cost.tables.memory, reader=0))
    elsewhere = replace(here, device="cuda", _parts={}, _readers={})
    more = here.estimate(recipe).memory - elsewhere.estimate(recipe).memory
    if measured.recipe.task == TASKS[0]:
        assert more == 0
        return
    _, _, units = measured.cost.tables.layout.at(recipe.batch_size)
    assert more == pytest.approx((kept.fixed + measured.cost.tables.peak[0] * units).sum(), rel=1e-3)
    # Large blocks go back to the system at once.
    large = replace(here.tables.memory, largest=np.full(len(kept.each), 2**40))
    here, elsewhere = (replace(each, tables=replace(each.tables, memory=large)) for each in (here, elsewhere))
    assert here.estimate(recipe).memory == pytest.approx(elsewhere.estimate(recipe).memory, rel=1e-4)


def test_every_picture_of_a_batch_takes_at_least_what_is_kept_of_it(measured: Measured) -> None:
    if measured.recipe.task != TASKS[0]:
        pytest.skip("texts are run in groups of so many tokens")
    recipe = measured.changed(freeze="none", unfreeze=[])
    one, two, four = (measured.cost.estimate(recipe.changed(batch_size=size)).memory for size in (5, 10, 20))
    # The peak is the largest of several that grow by the example: what it grows by never shrinks.
    assert 0 < 2 * (two - one) <= (four - two) * 1.01
    per_example = measured.cost.tables.training.kept.each.sum()
    assert four - two >= 10 * per_example * 0.99


def test_seconds_add_up_over_the_epochs(measured: Measured) -> None:
    found = measured.cost.estimate(measured.recipe)
    assert len(found.seconds_by_epoch) == measured.recipe.epochs
    assert found.seconds_epoch == pytest.approx(sum(found.seconds_by_epoch) / measured.recipe.epochs)
    assert found.seconds > sum(found.seconds_by_epoch)  # and what is measured after them


def test_epochs_beyond_those_that_are_gone_through_take_what_the_last_of_them_takes(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = measured.changed(epochs=40)
    whole = measured.cost.estimate(recipe)
    monkeypatch.setattr(cost_module, "_MOST_EPOCHS", 8)
    part = measured.cost.estimate(recipe)
    assert len(part.seconds_by_epoch) == 8
    assert part.seconds == pytest.approx(whole.seconds)


def test_the_cache_computes_each_view_once(measured: Measured) -> None:
    model = altered(measured, borders=np.full(len(measured.model.stages), 100.0))
    recipe = measured.changed(freeze="backbone", unfreeze=[], epochs=6)
    plan = model._plan(recipe)
    views = [model._reader(recipe).training_view(epoch, repeats=True) for epoch in range(6)]
    passes = [epoch for epoch, _ in model._extractions(plan, views, mixes=False)]
    # Making the engine, what is evaluated, and each view in the first epoch that has it.
    assert sorted(passes) == ([0, 0, 0, 1] if measured.recipe.task == TASKS[0] else [0, 0])


def test_boundaries_of_one_view_share_a_pass(measured: Measured) -> None:
    model = altered(measured, borders=np.full(len(measured.model.stages), 100.0))
    recipe = measured.changed(freeze="backbone", unfreeze=[[2, -2]], epochs=6)
    views: list[int | None] = [0, 1, 0, 1, 0, 1]
    passes = [epoch for epoch, _ in model._extractions(model._plan(recipe), views, mixes=False)]
    assert sorted(passes) == [0, 0, 0, 1]


def test_the_cache_saves_what_the_trunk_takes_and_nothing_where_it_is_off(measured: Measured) -> None:
    # Where the trunk's work is all that counts.
    slow = Line(np.zeros(len(measured.model.stages)), np.ones(len(measured.model.stages)))
    borders = np.full(len(measured.model.stages), 100.0)
    times = replace(measured.cost.tables.times, extract=0.5)
    model = altered(measured, evaluated=slow, borders=borders, times=times)
    recipe = measured.changed(freeze="backbone", unfreeze=[], epochs=20)
    saving, without = model.estimate(recipe), model.estimate(recipe.changed(cache="off"))
    assert without.saved_seconds == 0.0
    assert saving.saved_seconds == pytest.approx(without.seconds - saving.seconds)
    assert saving.saved_seconds > 0.5 * without.seconds


def test_blended_pictures_go_through_the_whole_model(measured: Measured) -> None:
    if measured.recipe.task != TASKS[0]:
        pytest.skip("texts are not blended")
    model = altered(measured, borders=np.full(len(measured.model.stages), 100.0))
    recipe = measured.changed(freeze="backbone", unfreeze=[], epochs=20, cache="auto")
    assert model.estimate(recipe.changed(mixup=0.2)).seconds > model.estimate(recipe).seconds


def test_it_covers_what_does_not_change_the_model_or_the_data(measured: Measured) -> None:
    assert measured.cost.covers(measured.changed(batch_size=3, lr=0.1, freeze="none", unfreeze=[]))
    assert not measured.cost.covers(measured.changed(max_examples=7))
    assert "measure again" in measured.cost.estimate(measured.changed(max_examples=7)).advice


# What would fit.


@pytest.fixture
def limits(measured: Measured) -> Callable[[int], CostModel]:
    """Return a model of the cost with another limit of the memory."""

    def limited(limit: int) -> CostModel:
        return altered(measured, memory=replace(measured.cost.tables.memory, limit=limit))

    return limited


def test_the_limit_is_that_of_the_machine(measured: Measured) -> None:
    assert measured.cost.estimate(measured.recipe).memory_limit == machine.memory_limit()


def test_a_change_that_fits_is_advised_and_does_fit(measured: Measured, limits: Callable[[int], CostModel]) -> None:
    recipe = measured.changed(freeze="none", unfreeze=[], batch_size=64)
    whole, least = (
        measured.cost.estimate(each).memory for each in (recipe, measured.changed(freeze="backbone", unfreeze=[]))
    )
    for share in (0.1, 0.5, 0.9):
        model = limits(round(least + share * (whole - least)))
        found = model.estimate(recipe)
        assert not found.fits
        assert found.change
        assert all(f"{name}={value!r}" in found.advice for name, value in found.change.items())
        after = model.estimate(recipe.changed(**found.change))
        assert after.fits
        assert not after.change
        assert not after.advice


def test_where_nothing_fits_it_says_so(measured: Measured, limits: Callable[[int], CostModel]) -> None:
    found = limits(1_000).estimate(measured.recipe)
    assert not found.fits
    assert found.change == {}
    assert "choose a smaller model" in found.advice


def test_an_advice_takes_less_than_5_ms(measured: Measured, limits: Callable[[int], CostModel]) -> None:
    model = limits(1_000)
    model.estimate(measured.recipe)
    seconds = []
    for _ in range(5):
        started = time.thread_time()
        model.estimate(measured.recipe)
        seconds.append(time.thread_time() - started)
    assert min(seconds) < 0.005


# Against training itself.


def test_it_expects_the_steps_and_the_moments_that_training_has(measured: Measured, tmp_path: Path) -> None:
    recipe = measured.changed(freeze=-2, unfreeze=[], epochs=1, cache="off", runs_dir=str(tmp_path))
    model = tunebook.load_model(recipe, measured.examples)
    devices = Devices(recipe, model.module)
    trainer = Trainer(get_task(recipe.task), recipe, measured.examples, model, measured.reader, devices)
    trainer.fit()
    held = sum(
        value.numel() * value.element_size()
        for entries in trainer.optimizer.state.values()
        for value in entries.values()
        if value.ndim
    )
    found = measured.cost.estimate(recipe)
    assert trainer.steps_per_epoch == cost_module._steps(len(measured.examples.rows("train")), recipe.batch_size)
    assert held == pytest.approx(4 * cost_module._MOMENTS * found.trainable, rel=0.01)


def test_texts_are_measured_by_their_lengths(tmp_path: Path) -> None:
    data = small_run.make_texts(tmp_path / "data", count=16)
    table = pd.read_csv(data)
    table["text"] = ["the film was very good " * 4 if k == 0 else "good film" for k in range(len(table))]
    table["text"] += [f" {k}" for k in range(len(table))]
    table["split"] = ["train"] * 30 + ["validation"] * 9 + ["test"] * (len(table) - 39)
    table.to_csv(data, index=False)
    recipe = small_run.recipe(data, tmp_path / "runs", TASKS[1], sampler="none", **PLAN)
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    found = tunebook.measure_cost(recipe, examples, model)
    reader = get_task(recipe.task).reader(examples, recipe, model)
    lengths = reader.lengths(examples.rows("train"))
    assert lengths is not None
    units, _, largest = found.tables.layout.at(4)
    # One long text pads those beside it, in one batch of many.
    assert largest >= lengths.max()
    assert np.mean(lengths) <= units < np.mean(lengths) * 1.7


def test_an_accelerator_tells_its_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 5)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3, 7))
    probe = object.__new__(Probe)
    probe._devices = SimpleNamespace(device=torch.device("cuda"))  # type: ignore[assignment]
    assert (probe._resident(), probe._limit()) == (5, 7)
