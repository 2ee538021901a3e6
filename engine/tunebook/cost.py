"""
What a recipe will cost, before it is run: memory, time, and what the cache of frozen layers saves.

The model is run a few times on a handful of examples, forwards and backwards, with a clock at the border of every
stage. All else is arithmetic: whatever is frozen, and however large a batch is, the cost is a sum over stages.
"""

from __future__ import annotations

import gc
import math
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tunebook.cost_probe import Probe, untouched
from tunebook.quantities import amount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pydantic.fields import FieldInfo

    from tunebook.cost_tables import Tables
    from tunebook.cost_watch import Clock
    from tunebook.devices import Devices
    from tunebook.examples import Examples
    from tunebook.recipe import Freeze, Recipe
    from tunebook.tasks.base import Model, Reader, Task

#: Epochs of a plan that are gone through one by one; the later ones take what the last of them takes.
_MOST_EPOCHS = 200
#: Examples evaluated together on a kept vector, how many of the largest tensors of a pass are alive at a time, and
#: largest bytes of an example that are kept for one epoch alone; as the cache has them.
_TOGETHER, _ALIVE, _SMALL = 1_024, 3, 65_536
#: Freezes that are remembered, and examples of the reader that tells a recipe's views.
_REMEMBERED, _LOOKED_AT = 256, 2
#: Smallest batch that is advised, and most freezes that are tried for an advice.
_LEAST_BATCH, _MOST_FREEZES = 4, 12
#: Bytes from which on glibc always gives a block back when it is freed.
_HEAP_BLOCK = 32 * 2**20
#: AdamW's moments, for each trainable number.
_MOMENTS = 2
#: Parameters outside of these groups change what is done, not what an example costs.
_MEASURED_GROUPS = ("Data", "Model")
_MEASURED_BESIDE = ("device", "precision", "extractor", "feature_precision")
_PLANNED = ("freeze", "unfreeze")


@dataclass(frozen=True)
class Cost:
    """
    What a recipe is expected to cost.

    Attributes
    ----------
    trainable, frozen
        Scalars that train in the epoch in which most do, and the rest of the model.
    memory
        Bytes that the process, or the accelerator, holds at its peak.
    memory_limit
        Bytes that it may hold.
    seconds_epoch
        Seconds an epoch, on average, with what is computed for the cache.
    seconds
        Seconds of all epochs and of the measuring after them, if nothing was in the cache before; not of exporting.
    saved_seconds
        Seconds that the cache saves of those that all epochs would take without it; below 0 where it costs more.
    fits
        Whether the memory is enough.
    advice
        A sentence on what would fit, or on why the figures are rough; often empty.
    change
        Parameters that would fit, as :meth:`tunebook.recipe.Recipe.changed` takes them; often empty.
    trainable_by_epoch, seconds_by_epoch
        The same for each epoch, up to the two hundredth.
    """

    trainable: int
    frozen: int
    memory: int
    memory_limit: int
    seconds_epoch: float
    seconds: float
    saved_seconds: float
    fits: bool
    advice: str
    change: dict[str, Any]
    trainable_by_epoch: tuple[int, ...]
    seconds_by_epoch: tuple[float, ...]


@dataclass(frozen=True)
class _Part:
    """
    A model under a freeze.

    Attributes
    ----------
    share
        Share of each stage that trains, shape (stages,).
    scalars, tensors
        Number of both that train.
    first
        The first stage that trains.
    """

    share: np.ndarray
    scalars: int
    tensors: int
    first: int


class _Stretch(NamedTuple):
    """Epochs with one freeze, from ``begin`` to before ``end``; ``cut`` stages are cached, 0 for none."""

    begin: int
    end: int
    part: _Part
    cut: int


@dataclass(frozen=True)
class CostModel:
    """
    What a model costs on some examples; made by :func:`measure`.

    Attributes
    ----------
    recipe
        For which it was measured.
    device
        Kind of device, such as ``"cpu"``.
    tables
        What was measured.
    """

    recipe: Recipe
    device: str
    tables: Tables = field(repr=False)
    _model: Model = field(repr=False)
    _new_reader: Callable[[Recipe], Reader] = field(repr=False)
    #: Scalars of each parameter, by name.
    _sizes: dict[str, int] = field(repr=False)
    _parts: dict[str, _Part] = field(default_factory=dict, repr=False, compare=False)
    _readers: dict[tuple[str, ...], Reader] = field(default_factory=dict, repr=False, compare=False)

    def covers(self, recipe: Recipe) -> bool:
        """Whether a recipe has the data, the model and the device that were measured; else measure again."""
        return all(getattr(recipe, name) == getattr(self.recipe, name) for name in _measured_fields(recipe))

    def with_room(self, room: int) -> CostModel:
        """
        Return the same costs where the process may take so many bytes more than it held when it was measured.

        Parameters
        ----------
        room
            Bytes.
        """
        memory = replace(self.tables.memory, limit=self.tables.memory.resident + room)
        return replace(self, tables=replace(self.tables, memory=memory))

    def estimate(self, recipe: Recipe) -> Cost:
        """
        Return what a recipe will cost.

        Parameters
        ----------
        recipe
            Of the same data and model, see :meth:`covers`; everything else may differ from what was measured.

        Raises
        ------
        RecipeError
            A freeze does not fit the model.
        """
        reader = self._reader(recipe)
        plan = self._plan(recipe)
        memory = self._peak_memory(recipe, plan)
        by_epoch, rest = self._seconds(recipe, plan, reader)
        seconds, uncached = sum(by_epoch) + rest, 0.0
        if any(stretch.cut for stretch in plan):
            slow, slow_rest = self._seconds(recipe, [stretch._replace(cut=0) for stretch in plan], reader)
            uncached = sum(slow) + slow_rest
        measured = self._measuring_seconds()
        most = max(stretch.part.scalars for stretch in plan)
        fits = memory <= self.tables.memory.limit
        change: dict[str, Any] = {}
        advice = "" if self.covers(recipe) else "measured for other data or another model; measure again"
        if not fits:
            change = self._fitting(recipe)
            advice = self._advise(memory, change)
        return Cost(
            trainable=most,
            frozen=sum(stage.size for stage in self._model.stages.items) - most,
            memory=memory,
            memory_limit=self.tables.memory.limit,
            seconds_epoch=seconds / recipe.epochs,
            seconds=seconds + measured,
            saved_seconds=uncached - seconds if uncached else 0.0,
            fits=fits,
            advice=advice,
            change=change,
            trainable_by_epoch=tuple(self._trainable(plan)),
            seconds_by_epoch=tuple(by_epoch),
        )

    # What trains when.

    def _reader(self, recipe: Recipe) -> Reader:
        """Return a reader of two examples: which view an epoch has, and whether examples are blended, is up to it."""
        named = [(name, _group(info)) for name, info in type(recipe).model_fields.items()]
        key = tuple(repr(getattr(recipe, n)) for n, group in named if group != "Schedule" and n not in _PLANNED)
        if key not in self._readers:
            self._readers.clear()
            self._readers[key] = self._new_reader(recipe)
        return self._readers[key]

    def _part(self, freeze: Freeze) -> _Part:
        key = repr(freeze)
        if key not in self._parts:
            if len(self._parts) >= _REMEMBERED:
                self._parts.clear()
            frozen = self._model.stages.frozen_by(freeze)
            stages, sizes = self._model.stages.items, self._sizes
            scalars = [sum(sizes[name] for name in stage.parameters if name not in frozen) for stage in stages]
            share = np.array([count / max(1, stage.size) for count, stage in zip(scalars, stages, strict=True)])
            tensors = len(sizes) - len(frozen)
            self._parts[key] = _Part(share, sum(scalars), tensors, int(np.flatnonzero(share)[0]))
        return self._parts[key]

    def _plan(self, recipe: Recipe) -> list[_Stretch]:
        """Return the epochs of a recipe by freeze, and whether their trunk is cached."""
        starts = [0, *(epoch for epoch, _ in recipe.unfreeze if epoch < recipe.epochs), recipe.epochs]
        plain = [
            _Stretch(begin, end, self._part(recipe.freeze_at(begin)), 0)
            for begin, end in pairwise(starts)
            if end > begin
        ]
        if recipe.cache == "off":
            return plain
        epochs: dict[int, int] = {}
        for stretch in plain:
            epochs[stretch.part.first] = epochs.get(stretch.part.first, 0) + stretch.end - stretch.begin
        return [
            stretch._replace(cut=stretch.part.first if self._is_worth_it(stretch.part.first, epochs) else 0)
            for stretch in plain
        ]

    def _is_worth_it(self, cut: int, epochs: Mapping[int, int]) -> bool:
        kept = float(self.tables.borders[cut])
        return math.isfinite(kept) and (epochs[cut] > 1 or kept <= _SMALL)

    def _trainable(self, plan: Sequence[_Stretch]) -> Iterator[int]:
        for stretch in plan:
            for _ in range(stretch.begin, min(stretch.end, _MOST_EPOCHS)):
                yield stretch.part.scalars

    # Time.

    def _seconds(self, recipe: Recipe, plan: Sequence[_Stretch], reader: Reader) -> tuple[list[float], float]:
        """Return the seconds of each epoch, and of those after the last that is gone through one by one."""
        count = min(recipe.epochs, _MOST_EPOCHS)
        mixes = reader.mixes()
        views = [reader.training_view(epoch, repeats=True) for epoch in range(count)]
        lasting = [self._lasting_seconds(recipe, stretch, mixes=mixes, views=views) for stretch in plan]
        found = [
            seconds
            for stretch, seconds in zip(plan, lasting, strict=True)
            for _ in range(stretch.begin, min(stretch.end, count))
        ]
        found[0] += self.tables.times.decode * (self.tables.counts.train + self.tables.counts.validation)
        for epoch, seconds in self._extractions(plan, views, mixes=mixes):
            found[epoch] += seconds
        later = sum(
            seconds * max(0, stretch.end - max(stretch.begin, count))
            for stretch, seconds in zip(plan, lasting, strict=True)
        )
        return found, later

    def _lasting_seconds(self, recipe: Recipe, stretch: _Stretch, *, mixes: bool, views: Sequence[int | None]) -> float:
        """Return the seconds of an epoch of a stretch without what is computed for the cache in it."""
        counts, times, part, cut = self.tables.counts, self.tables.times, stretch.part, stretch.cut
        steps = _steps(counts.train, recipe.batch_size)
        units, groups, _ = self.tables.layout.at(min(recipe.batch_size, counts.train))
        # Blended examples go through the whole model even where those that are evaluated do not.
        skipped = 0 if mixes else cut
        work = self._step_seconds(part, skipped, max(groups * counts.train, steps), units * counts.train)
        work += steps * (times.number * part.scalars + times.tensor * part.tensors)
        each = self._read_seconds(skipped, is_view=views[0] is not None)
        work += each * counts.train
        looked = counts.sample + counts.validation
        units, groups, _ = self.tables.evaluation
        groups = 1 / _TOGETHER if cut and cut >= self.tables.vector_from else groups
        work += float(self.tables.evaluated.at(groups * looked, units * looked)[cut:].sum())
        work += self._read_seconds(cut, is_view=False) * looked
        held = self.tables.memory.weights + 4 * _MOMENTS * part.scalars
        return work + times.saved * (held + self.tables.memory.weights)

    def _step_seconds(self, part: _Part, skipped: int, groups: float, units: float) -> float:
        """Return the seconds of a pass forwards and backwards, of the stages from the first that is not skipped on."""
        forward = self.tables.passing.forward.mixed(self.tables.training.forward, part.share).at(groups, units)
        backward = self.tables.passing.backward.mixed(self.tables.training.backward, part.share).at(groups, units)
        still = self.tables.evaluated.at(groups, units)
        return float(still[skipped : part.first].sum() + (forward + backward)[part.first :].sum())

    def _read_seconds(self, cut: int, *, is_view: bool) -> float:
        if cut:
            return self.tables.times.outlined + self.tables.times.copied * float(self.tables.borders[cut])
        return self.tables.times.read_view if is_view else self.tables.times.read

    def _extractions(
        self, plan: Sequence[_Stretch], views: Sequence[int | None], *, mixes: bool
    ) -> Iterator[tuple[int, float]]:
        """Yield the epochs in which examples go through the frozen trunk, and the seconds that this takes."""
        cuts = [stretch.cut for stretch in plan for _ in range(stretch.begin, min(stretch.end, len(views)))]
        is_clean = views[0] is None and not mixes
        wanted: dict[int | None, list[tuple[int, int]]] = {None: []}
        for epoch, (cut, view) in enumerate(zip(cuts, views, strict=True)):
            wanted[None].append((epoch, cut))
            if view is not None:
                wanted.setdefault(view, []).append((epoch, cut))
        done: set[tuple[int, int | None]] = set()
        prepared = False
        for epoch, (cut, view) in enumerate(zip(cuts, views, strict=True)):
            for each in {None} if mixes or view is None else {None, view}:
                if not cut or (cut, each) in done:
                    continue
                # One pass gives what all later epochs read of the same view.
                together = {later for when, later in wanted[each] if when >= epoch and later}
                done |= {(later, each) for later in together}
                rows = self._rows_of(each, is_clean=is_clean)
                yield epoch, self._extraction_seconds(max(together), rows, is_view=each is not None)
                if not prepared:
                    prepared = True
                    yield epoch, self.tables.times.prepare

    def _rows_of(self, view: int | None, *, is_clean: bool) -> int:
        counts = self.tables.counts
        if view is not None:
            return counts.train
        return counts.validation + (counts.train if is_clean else counts.sample)

    def _extraction_seconds(self, cut: int, rows: int, *, is_view: bool) -> float:
        units, groups, _ = self.tables.evaluation
        whole = float(self.tables.evaluated.at(groups * rows, units * rows)[:cut].sum())
        return self.tables.times.extract * whole + self._read_seconds(0, is_view=is_view) * rows

    def _measuring_seconds(self) -> float:
        """Return the seconds of measuring the tuned model on all examples."""
        counts, (units, groups, _) = self.tables.counts, self.tables.evaluation
        whole = float(self.tables.evaluated.at(groups * counts.every, units * counts.every).sum())
        new = counts.every - counts.train - counts.validation
        return whole + self.tables.times.read * counts.every + self.tables.times.decode * new

    # Memory.

    def _peak_memory(self, recipe: Recipe, plan: Sequence[_Stretch]) -> int:
        memory, counts = self.tables.memory, self.tables.counts
        _, _, units = self.tables.layout.at(min(recipe.batch_size, counts.train))
        evaluated = self.tables.evaluation[2] * _ALIVE * float(memory.largest.max())
        moved = np.zeros(len(memory.largest))
        sizes = np.array([stage.size for stage in self._model.stages.items])
        peaks = []
        for stretch in plan:
            part = stretch.part
            # Moments stay when a stage is frozen again.
            moved = np.maximum(moved, part.share * sizes)
            moments = 4 * _MOMENTS * float(moved.sum())
            fixed, each = (line + (own - line) * part.share for line, own in self._kept_lines())
            kept = (fixed + each * units)[part.first :]
            held = float((kept * (1.0 + self._unused_share(units))[part.first :]).sum())
            alive = _ALIVE * float(memory.largest[stretch.cut :].max()) + memory.inputs
            peaks.append(moments + 4 * part.scalars + held + alive * units)
        return round(memory.resident + memory.reader + max(*peaks, evaluated))

    def _unused_share(self, units: float) -> np.ndarray:
        """
        Return how much the allocator holds unused beside what is kept, as a share of that, shape (stages,).

        Groups of other lengths leave blocks that do not fit, about as much again as is kept. Examples of one shape use
        each block again, an accelerator's allocator is asked for its own figures, and glibc maps large blocks alone.
        """
        largest = self.tables.memory.largest * units
        if self.device != "cpu" or self.tables.layout.largest[0] <= 1:
            return np.zeros(len(largest))
        share: np.ndarray = np.minimum(1.0, _HEAP_BLOCK / np.maximum(largest, 1.0))
        return share

    def _kept_lines(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield fixed bytes and bytes of each unit: where a gradient passes, and where weights train."""
        yield self.tables.passing.kept.fixed, self.tables.training.kept.fixed
        # The longest examples decide: what attention keeps of a token grows with them.
        yield self.tables.peak[1], self.tables.peak[0]

    def _fitting(self, recipe: Recipe) -> dict[str, Any]:
        """Return the smallest change with which a recipe would fit; nothing where there is none."""
        for change in self._changes(recipe):
            # Without validation, which takes longer than all the rest; the changes are valid by their making.
            other = recipe.model_copy(update=change)
            if self._peak_memory(other, self._plan(other)) <= self.tables.memory.limit:
                return change
        return {}

    def _changes(self, recipe: Recipe) -> Iterator[dict[str, Any]]:
        sizes = []
        size = recipe.batch_size
        while size > _LEAST_BATCH:
            size = max(_LEAST_BATCH, size // 2)
            sizes.append(size)
        yield from ({"batch_size": size} for size in sizes)
        # From the least that is frozen to all but the head.
        count = len(self._model.stages)
        first = min(self._part(freeze).first for freeze in (recipe.freeze, *(later for _, later in recipe.unfreeze)))
        steps = np.unique(np.linspace(first + 1, count - 1, _MOST_FREEZES).round().astype(int)).tolist()
        freezes: list[Freeze] = [*(step for step in steps if first < step < count - 1), "backbone"]
        plan: dict[str, Any] = {"unfreeze": []} if recipe.unfreeze else {}
        yield from ({"freeze": freeze, **plan} for freeze in freezes)
        for size in sizes:
            yield {"freeze": "backbone", **plan, "batch_size": size}

    def _advise(self, memory: int, change: Mapping[str, Any]) -> str:
        have = f"{amount(memory)} of memory expected and {amount(self.tables.memory.limit)} there"
        return f"{have}: {what_fits(change)}"


def what_fits(change: Mapping[str, Any]) -> str:
    """Say which change, as :attr:`Cost.change` has it, would let a recipe fit into memory."""
    if not change:
        return "no batch size and no freeze of this model would fit; choose a smaller model"
    return " and ".join(f"{name}={value!r}" for name, value in change.items()) + " would fit"


def _measured_fields(recipe: Recipe) -> Iterator[str]:
    """Yield the parameters that decide what an example costs."""
    for name, info in type(recipe).model_fields.items():
        if name in _MEASURED_BESIDE or (_group(info) in _MEASURED_GROUPS and name not in _PLANNED):
            yield name


def _group(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    return str(extra.get("group", "")) if isinstance(extra, dict) else ""


def _steps(rows: int, size: int) -> int:
    """Return the steps of an epoch; one example alone is joined to the batch before."""
    steps = math.ceil(rows / size)
    return steps - 1 if steps > 1 and rows % size == 1 else steps


def measure(
    task: Task,
    recipe: Recipe,
    examples: Examples,
    model: Model,
    reader: Reader,
    devices: Devices,
    clock: Clock = time.perf_counter,
) -> CostModel:
    """
    Measure what a model costs on some examples, in a few seconds; not while it trains.

    Parameters
    ----------
    task, recipe, examples, model, reader, devices
        What is trained on what, and where. The model is the same to the bit after as before, as are its modes, its
        gradients and torch's generators.
    clock
        Gives the seconds that count. ``time.process_time`` is steadier where others use the same processor, and adds
        up what several threads take.
    """
    rows = examples.rows("train")
    lengths = reader.lengths(rows)
    few = rows[:_LOOKED_AT] if lengths is None else rows[np.argsort(lengths, kind="stable")[:_LOOKED_AT]]
    tiny = replace(examples, frame=examples.frame.iloc[few].reset_index(drop=True))
    with untouched(model.module):
        model.module.to(devices.device)
        tables = Probe(task, recipe, examples, model, reader, devices, clock).measure()
    gc.collect()
    found = CostModel(
        recipe=recipe,
        device=devices.device.type,
        tables=tables,
        _model=model,
        _new_reader=lambda changed: task.reader(tiny, changed, model),
        _sizes={name: parameter.numel() for name, parameter in model.module.named_parameters()},
    )
    found.estimate(recipe)  # the first time, what depends on the recipe alone is looked up
    return found
