"""A probe of a model: it is run on a few examples, and put back as it was."""

from __future__ import annotations

import math
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch
from torch import Tensor

from tunebook import machine
from tunebook.checkpoints import save_tensors
from tunebook.cost_tables import Counts, Layout, Line, Memory, Mode, Pass, Tables, Times
from tunebook.cost_watch import Watch
from tunebook.errors import TunebookError
from tunebook.examples import examples_to_fit, hash_file
from tunebook.extractors import make_extractor, multiply_adds
from tunebook.predicting import evaluating
from tunebook.structure import CONTAINER, outline
from tunebook.trunk import NoCut, Trace, Trunk, find_cut, sizes_of, without_gradients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from torch import nn

    from tunebook.cost_watch import Clock
    from tunebook.devices import Devices
    from tunebook.examples import Examples
    from tunebook.recipe import Recipe
    from tunebook.tasks.base import Model, Reader, Task
    from tunebook.trunk import Cut

#: Examples of the two runs from which what a batch takes, and what each example adds, are told apart.
_FEW, _MORE = 2, 6
#: Seconds of the first run from which the second is left out: it would take too long, and nothing but examples counts.
_SLOW = 0.75
#: Training rows by whose lengths batches are laid out.
_LAID_OUT = 1_024
#: Least share of a model's work that is worth keeping, as the cache has it.
_LEAST_SHARE = 0.1
#: Numbers on which the optimizer, and the writing of checkpoints, are timed.
_TIMED_NUMBERS = 1_000_000


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Put a model, its modes and gradients, and torch's generators back as they were when the block ends."""
    parameters = list(module.parameters())
    before = [(p, p.requires_grad, p.grad, p.device) for p in parameters]
    modes = [(part, part.training) for part in module.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    device = before[0][3] if before else torch.device("cpu")
    generator = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    for parameter in parameters:
        parameter.grad = None
    try:
        yield
    finally:
        if any(p.device != device for p in parameters):
            module.to(device)
        for parameter, asked, gradient, _ in before:
            parameter.requires_grad_(asked)
            parameter.grad = gradient
        for part, training in modes:
            part.training = training
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
        torch.set_rng_state(generator)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


class Probe:
    """
    Runs a model on a few examples. It changes the model, so that :func:`untouched` belongs around it.

    Parameters
    ----------
    task, recipe, examples, model, reader, devices
        What is trained on what, and where.
    clock
        Gives the seconds that count.
    """

    def __init__(
        self, task: Task, recipe: Recipe, examples: Examples, model: Model, reader: Reader, devices: Devices,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._task, self._recipe, self._examples, self._model = task, recipe, examples, model
        self._reader, self._devices, self._clock = reader, devices, clock
        self._count = len(model.stages)
        nodes = outline(model)
        self._stages = {
            path: stage
            for path, stage in zip(nodes.paths, nodes.stages, strict=True)
            if stage != CONTAINER and (path or len(nodes) == 1)
        }
        self._rows = examples.rows("train")
        # Other ones at each time: those that were read before would be there already.
        self._chosen = np.random.default_rng().permutation(self._rows)
        self._lengths = reader.lengths(self._rows)

    def measure(self) -> Tables:
        """Measure everything, in a few seconds."""
        is_cpu = self._devices.device.type == "cpu"
        reading = self._reading()
        resident = self._resident()
        training, passing, evaluated = self._modes()
        peak = self._peaks(training, passing)
        trace = self._trace()
        borders, largest = self._borders(trace, evaluated)
        engine = self._engine(trace, evaluated)
        resident = max(resident, self._resident()) if is_cpu else resident
        number, tensor = self._optimizer_seconds()
        inputs = self._inputs(self._chosen[:_FEW])
        return Tables(
            counts=self._counts(),
            training=training,
            passing=passing,
            evaluated=evaluated,
            peak=peak,
            layout=self._layout(),
            evaluation=self._evaluation(),
            times=Times(
                **reading, **engine, number=number, tensor=tensor, saved=self._saving_seconds(),
                copied=self._copying_seconds(),
            ),
            memory=Memory(
                resident=resident,
                limit=self._limit(),
                reader=self._unfilled(reading) if is_cpu else 0,
                weights=sum(_size(t) for t in [*self._model.module.parameters(), *self._model.module.buffers()]),
                inputs=sum(_size(t) for t in inputs.values()) / _units(inputs),
                largest=largest,
            ),
            borders=borders,
            vector_from=self._count - 1,
        )  # fmt: skip

    def _counts(self) -> Counts:
        sample = examples_to_fit(self._rows, self._recipe.seed)
        return Counts(len(self._rows), len(sample), len(self._examples.rows("validation")), len(self._examples))

    # Running the model.

    def _modes(self) -> tuple[Mode, Mode, Line]:
        stages = self._model.stages
        everything = stages.frozen_by("none")
        first = next(i for i, s in enumerate(stages.items) if any(p not in everything for p in s.parameters))
        kept = set(stages.items[first].parameters) - everything
        beyond = frozenset(name for name, _ in self._model.module.named_parameters() if name not in kept)
        few, more = self._typical(_FEW), self._typical(_MORE)
        self._run(few, everything)  # the first time, libraries prepare themselves
        started = self._clock()
        runs: list[Callable[[], Pass]] = [
            lambda: self._run(few, everything), lambda: self._run(few, beyond), lambda: self._evaluate(few),
        ]  # fmt: skip
        small = [run().least(run()) for run in runs]
        sizes = [few]
        if self._clock() - started <= 2 * _SLOW and len(more) > len(few):
            sizes.append(more)
        large = [self._run(more, everything), self._run(more, beyond), self._evaluate(more)] if sizes[1:] else small
        units = _units(self._inputs(sizes[0])), _units(self._inputs(sizes[-1]))
        lines = [
            [Line.through(one, other, units) for one, other in zip(before, after, strict=True)]
            for before, after in zip(small, large, strict=True)
        ]
        return Mode(*lines[0]), Mode(*lines[1]), lines[2][0]

    def _typical(self, count: int) -> np.ndarray:
        """Return so many rows, of about the same length where they have one."""
        if self._lengths is None:
            return self._chosen[:count]
        lengths = self._reader.lengths(self._chosen)
        assert lengths is not None  # noqa: S101 - the training rows have them
        order = self._chosen[np.argsort(lengths, kind="stable")]
        middle = len(order) // 2
        start = max(0, min(middle - count // 2, len(order) - count))
        found: np.ndarray = order[start : start + count]
        return found

    def _peaks(self, training: Mode, passing: Mode) -> tuple[np.ndarray, np.ndarray]:
        """Return the bytes that a unit of the longest examples keeps in each stage, training and passing."""
        if self._lengths is None:
            return training.kept.each, passing.kept.each
        longest = self._rows[np.argsort(self._lengths, kind="stable")][-_FEW:]
        stages = self._model.stages
        units = _units(self._inputs(longest))
        kept = self._run(longest, stages.frozen_by("none")).kept
        own = np.maximum(training.kept.each, (kept - training.kept.fixed) / units)
        # Where nothing trains as much more is kept as where all does.
        more = np.divide(own, training.kept.each, out=np.ones_like(own), where=training.kept.each > 0)
        return own, passing.kept.each * more

    def _inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        return self._devices.move(self._reader.inputs(rows))

    def _settle(self, frozen: frozenset[str]) -> None:
        """Freeze as training would, without the stages' own record of it."""
        module = self._model.module
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name not in frozen)
            parameter.grad = None
        for name, part in module.named_modules():
            part.training = self._model.stages.trains(name, frozen)

    def _now(self) -> float:
        if self._devices.device.type == "cuda":
            torch.cuda.synchronize()
        elif self._devices.device.type == "mps":
            torch.mps.synchronize()
        return self._clock()

    def _run(self, rows: np.ndarray, frozen: frozenset[str]) -> Pass:
        """Run a training step without its end: forwards, the loss, and backwards."""
        self._settle(frozen)
        inputs, targets = self._inputs(rows), self._reader.targets(rows).to(self._devices.device)
        watch = Watch(self._model.module, self._stages, self._count, self._now)
        objective, smoothing = self._model.objective, self._recipe.label_smoothing
        weights = torch.ones(targets.shape[1], device=targets.device)
        with watch.watching():
            watch.begin(0)
            with self._devices.autocast():
                logits = self._task.logits(self._model.module, inputs)
            watch.switch(self._count - 1)
            loss = objective.loss(logits.float(), targets, weights, smoothing)
            loss = loss / objective.normaliser(targets, weights, smoothing)
            forward = watch.end()
            watch.begin(self._count - 1)
            loss.backward()
            backward = watch.end()
        for parameter in self._model.module.parameters():
            parameter.grad = None
        return Pass(forward, backward, watch.kept)

    def _evaluate(self, rows: np.ndarray) -> Pass:
        inputs = self._inputs(rows)
        watch = Watch(self._model.module, self._stages, self._count, self._now)
        # Not in inference mode: what a model makes once and keeps could not be trained with.
        with evaluating(self._model.module), torch.no_grad(), watch.watching():
            watch.begin(0)
            with self._devices.autocast():
                self._model.objective.scores(self._task.logits(self._model.module, inputs).float())
            forward = watch.end()
        return Pass(forward, np.zeros(self._count), np.zeros(self._count))

    # Where the frozen part may end.

    def _trace(self) -> Trace | None:
        rows = self._chosen[:_FEW]
        if self._lengths is not None:
            order = self._rows[np.argsort(self._lengths, kind="stable")]
            rows = order[[0, len(order) // 2]]
        try:
            return Trace(self._model.module, self._task.logits, self._inputs(rows))
        except NoCut:
            return None

    def _borders(self, trace: Trace | None, evaluated: Line) -> tuple[np.ndarray, np.ndarray]:
        """Return the bytes kept of an example before each stage, and of a unit's largest tensors, shape (stages,)."""
        borders, largest = np.full(self._count, np.inf), np.zeros(self._count)
        if trace is None:
            return borders, largest
        units = _units(trace.inputs)
        sizes = {name: _given_bytes(call.leaves) for name, call in trace.calls.items()}
        for name, size in sizes.items():
            stage = self._stages.get(name, 0)
            largest[stage] = max(largest[stage], size / units)
        seconds = evaluated.at(1.0, 1.0)
        share = np.cumsum(seconds) / max(float(seconds.sum()), 1e-12)
        mean = 1.0 if self._lengths is None else float(self._lengths.mean())
        begins = {
            stage: min(c.begin for n, c in trace.calls.items() if self._stages.get(n) == stage)
            for stage in {self._stages[n] for n in trace.calls if n in self._stages}
        }
        for stage in range(1, self._count):
            start = min((begin for at, begin in begins.items() if at >= stage), default=0)
            before = [n for n, c in trace.calls.items() if n and c.times == 1 and c.end < start and sizes[n]]
            if not before or share[stage - 1] < _LEAST_SHARE:
                continue
            last = max(before, key=lambda name: trace.calls[name].end)
            # Half of float32, as the cache keeps what is no vector.
            borders[stage] = sizes[last] / units * mean / 2
        return borders, largest

    def _engine(self, trace: Trace | None, evaluated: Line) -> dict[str, float]:
        """Return the seconds of the cache's engine for a second of the model's own, and for making it ready."""
        nothing = {"extract": 1.0, "prepare": 0.0}
        if trace is None:
            return nothing
        stages = self._model.stages
        try:
            cut = find_cut(trace, stages, self._model.dropout, stages.frozen_by("backbone"))
            return self._engine_seconds(cut, trace, evaluated)
        except TunebookError:  # no cut, or an engine that was asked for and is not there: training will say so
            return nothing

    def _engine_seconds(self, cut: Cut, trace: Trace, evaluated: Line) -> dict[str, float]:
        module, recipe = self._model.module, self._recipe
        trunk = Trunk(module, self._task.logits, [cut])
        with evaluating(module), without_gradients(module):
            started = self._now()
            work = multiply_adds(trunk, trace.inputs) * len(self._examples)
            extractor = make_extractor(
                trunk, trace.inputs, wanted=recipe.extractor, work=work, device=self._devices.device,
                precision=recipe.precision, exact=recipe.feature_precision == "exact",
            )  # fmt: skip
            prepare = self._now() - started
            inputs = self._reader.inputs(self._typical(_MORE))
            extractor(inputs)
            started = self._now()
            extractor(inputs)
            seconds = self._now() - started
        own = float(evaluated.at(1.0, _units(inputs))[:-1].sum())
        return {"extract": seconds / max(own, 1e-9), "prepare": prepare}

    # Beside the model.

    def _reading(self) -> dict[str, float]:
        """Return the seconds of reading a row: for the first time, again, in a view, and as an outline."""
        rows = self._chosen[:_MORE]
        view = self._reader.training_view(0, repeats=True)
        self._reader.inputs(self._chosen[-1:], view)
        ways: list[Callable[[], object]] = [
            lambda: self._reader.inputs(rows), lambda: self._reader.inputs(rows),
            lambda: self._reader.inputs(rows, view), lambda: self._reader.outline(rows),
        ]  # fmt: skip
        first, read, viewed, outlined = (self._timed(way) / len(rows) for way in ways)
        return {"decode": max(0.0, first - read), "read": read, "read_view": viewed, "outlined": outlined}

    def _timed(self, what: Callable[[], object]) -> float:
        started = self._now()
        what()
        return self._now() - started

    def _optimizer_seconds(self) -> tuple[float, float]:
        """Return the seconds of a step of clipping and AdamW for each number, and for each tensor."""
        count = min(_TIMED_NUMBERS, max(1, sum(stage.size for stage in self._model.stages.items)))
        whole = self._step_of([torch.zeros(count, device=self._devices.device)])
        many = 64
        small = self._step_of([torch.zeros(8, device=self._devices.device) for _ in range(many)])
        return whole / count, small / many

    def _step_of(self, values: list[Tensor]) -> float:
        parameters = [torch.nn.Parameter(value) for value in values]
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, fused=True)

        def step() -> None:
            for parameter in parameters:
                parameter.grad = torch.ones_like(parameter)
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()

        step()
        return min(self._timed(step) for _ in range(2))

    def _saving_seconds(self) -> float:
        """Return the seconds of a byte of a checkpoint; 0 where no file can be written, which training will say."""
        numbers = {"numbers": torch.zeros(_TIMED_NUMBERS)}

        def save(folder: str) -> None:
            file = Path(folder) / "numbers.safetensors"
            save_tensors(numbers, file)
            hash_file(file)

        try:
            with tempfile.TemporaryDirectory(prefix="tunebook-") as folder:
                save(folder)  # the first time, libraries are imported
                return self._timed(lambda: save(folder)) / (4 * _TIMED_NUMBERS)
        except OSError:
            return 0.0

    def _copying_seconds(self) -> float:
        """Return the seconds of a byte of a kept activation."""
        half = np.zeros(_TIMED_NUMBERS, np.float16)
        return self._timed(lambda: torch.tensor(half.astype(np.float32))) / half.nbytes

    # Batches.

    def _layout(self) -> Layout:
        if self._lengths is None:
            sizes = 2.0 ** np.arange(math.ceil(math.log2(max(2, len(self._rows)))) + 1)
            return Layout(sizes, np.ones(len(sizes)), 1.0 / sizes, sizes)
        order = np.argsort(self._lengths, kind="stable")
        some = self._rows[order[np.unique(np.linspace(0, len(order) - 1, _LAID_OUT).round().astype(int))]]
        longest = self._rows[order]
        found = []
        size = 1
        while True:
            groups = [g for k in range(0, len(some), size) for g in self._reader.training_groups(some[k : k + size])]
            largest = max(self._padded(self._reader.training_groups(longest[-size:])))
            found.append((size, sum(self._padded(groups)) / len(some), len(groups) / len(some), largest))
            if size >= len(some):
                return Layout(*np.array(found, dtype=np.float64).T)
            size *= 2

    def _padded(self, groups: Iterable[np.ndarray]) -> list[int]:
        """Return the units of groups of rows."""
        found = []
        for group in groups:
            lengths = self._reader.lengths(group)
            found.append(len(group) if lengths is None else len(group) * int(lengths.max()))
        return found

    def _evaluation(self) -> tuple[float, float, float]:
        """Return units and groups of a row that is evaluated, and the units of the largest group."""
        rows = self._rows[:: max(1, len(self._rows) // _LAID_OUT)]
        groups = self._reader.evaluation_batches(rows)
        units = self._padded(groups)
        return sum(units) / len(rows), len(groups) / len(rows), float(max(units))

    # Memory.

    def _resident(self) -> int:
        kind = self._devices.device.type
        if kind == "cuda":
            return int(torch.cuda.memory_allocated())
        if kind == "mps":
            return int(torch.mps.current_allocated_memory())
        return int(psutil.Process().memory_info().rss)

    def _limit(self) -> int:
        kind = self._devices.device.type
        if kind == "cuda":
            return int(torch.cuda.mem_get_info()[1])
        if kind == "mps":
            return int(torch.mps.recommended_max_memory())
        return machine.memory_limit()

    def _unfilled(self, reading: Mapping[str, float]) -> int:
        """Return the bytes of the reader's arrays, where reading showed that they are not filled yet."""
        arrays = [value for value in vars(self._reader).values() if isinstance(value, np.ndarray)]
        return sum(array.nbytes for array in arrays) if reading["decode"] > reading["read"] / 2 else 0


def _given_bytes(leaves: Sequence[Any]) -> int:
    """Return the bytes of what a module gave, as a trace has it."""
    return sum(int(np.prod(leaf[0])) * leaf[1].itemsize for leaf in leaves if isinstance(leaf, tuple))


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _units(inputs: Mapping[str, Tensor]) -> int:
    """Return the units of a batch: its examples, or its tokens with what is padded."""
    sizes = sizes_of(inputs)
    return sizes.examples * max(1, sizes.length)
