"""What a frozen trunk makes of the examples: computed once, kept on the disk, and fed to what trains or measures."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tunebook import machine
from tunebook.errors import StorageError
from tunebook.examples import examples_to_fit
from tunebook.extractors import COMPARED_ROWS, candidates, make_extractor, multiply_adds
from tunebook.feature_store import FeatureStore
from tunebook.feeds import CachedFeed, DirectFeed, starts
from tunebook.predicting import evaluating
from tunebook.trunk import Cut, NoCut, Trace, Trunk, find_cut, spread_head, without_gradients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from tunebook.devices import Devices
    from tunebook.examples import Examples
    from tunebook.extractors import Extractor
    from tunebook.feature_store import FeatureRows, FeatureTable, Filled
    from tunebook.feeds import Feed
    from tunebook.recipe import Recipe
    from tunebook.tasks.base import Model, Reader, Task

#: Changes when features are computed or kept in another way; older ones are then not found.
_FORMAT = 2
#: Bytes of an example's activation up to which it is kept even if one epoch alone uses it.
_SMALL = 65_536
#: Largest activation that float16 keeps without coming near its end.
_HALF_LIMIT = 2e4
#: Share of the memory that the activations of one extraction batch may take, and how many of the largest are alive.
_MEMORY_SHARE, _ALIVE = 1 / 16, 3
#: What cached results may differ from others by, relative to the largest logit: exactly computed, in fp32, in bf16.
_EXACT, _CLOSE, _IN_BF16 = 1e-4, 5e-2, 0.2
#: Examples on which cached and uncached results are compared.
_COMPARED = 8


@dataclass
class Savings:
    """
    What the cache did in one run.

    Attributes
    ----------
    computed, found
        Passes of an example through a trunk that were computed, and that were there already.
    used
        Passes that training and measuring asked for.
    seconds
        Time that computing took, of the processor.
    pass_seconds
        Time of one pass of an example without the cache, as measured on a few examples.
    """

    computed: int = 0
    found: int = 0
    used: int = 0
    seconds: float = 0.0
    pass_seconds: float = 0.0

    @property
    def saved_seconds(self) -> float:
        """Estimate of the time that was saved; below 0 where the cache cost more than it gave."""
        return self.used * self.pass_seconds - self.seconds


@dataclass(frozen=True)
class HeadFeatures:
    """
    What a head sees.

    Attributes
    ----------
    head
        A copy of its modules, run one after the other.
    dropout_kind
        What the recipe calls the dropout in it.
    vectors
        For each list of rows that was asked for their features, shape (n, d), float32, on the CPU.
    """

    head: nn.Sequential
    dropout_kind: str
    vectors: list[Tensor]


class Features:
    """
    The cached features of one model on one set of examples.

    Parameters
    ----------
    task, recipe, examples, model, reader
        What is trained on what. Of the recipe ``cache``, ``extractor``, ``feature_precision`` and what freezes.
    store
        Where features are kept; the user's own cache when not given.

    Attributes
    ----------
    reader
        As given.
    words
        What happened, a line each: what was computed by what, or why nothing is cached.
    savings
        The same in numbers.
    heed
        Called before each batch that goes through a frozen trunk, and while another process is waited for, so that a
        first pass can be ended from outside: it may raise. What the pass had computed is then dropped.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        examples: Examples,
        model: Model,
        reader: Reader,
        store: FeatureStore | None = None,
    ) -> None:
        self._task, self._recipe, self._examples = task, recipe, examples
        self._model, self.reader = model, reader
        self._direct = DirectFeed(task, model, reader)
        self._store = store
        self._trace: Trace | None = None
        self._multiply_adds = 0.0
        self._in_bf16: set[str] = set()
        self._cuts: dict[frozenset[str], Cut | NoCut] = {}
        self._extractors: dict[tuple[Any, ...], Extractor] = {}
        self._open: dict[tuple[str, int | None], tuple[FeatureRows, np.ndarray]] = {}
        self.words: list[str] = []
        self.savings = Savings()
        self.heed: Callable[[], None] = lambda: None

    # What a freeze gives.

    def feed(self, frozen: frozenset[str], devices: Devices, epoch: int = 0) -> Feed:
        """
        Return what feeds the model from an epoch on, with the trunk's activations where that can be.

        Parameters
        ----------
        frozen
            Names of the parameters that are frozen.
        devices
            Where the model is.
        epoch
            The first epoch that is fed, from 0.
        """
        self.close()
        if self._recipe.cache == "off":
            return self._direct
        cut = self._cut(frozen, devices)
        if isinstance(cut, NoCut):
            self._say(f"uncached while {self._model.stages.describe_names(frozen)} trains: {cut}")
            return self._direct
        if not self._is_worth_it(cut, self._planned(devices, epoch).get(cut.boundary, 1)):
            self._say(f"uncached up to {cut.boundary}: it is used in one epoch only, and large")
            return self._direct
        lost: set[int | None] = set()

        def kept(view: int | None, rows: np.ndarray, uses: int) -> tuple[FeatureRows, np.ndarray] | None:
            if view in lost:
                return None
            try:
                found = self._kept(cut, devices, epoch, view, rows)
            except StorageError as error:
                # A disk that is full by now is no reason to end a run that can go on without it.
                self._say(f"uncached from here: {error}")
                lost.add(view)
                return None
            self.savings.used += uses
            return found

        cached = CachedFeed(self._direct, cut, self.reader, kept)
        try:
            apart = self._compare(cached, cut, frozen, devices, epoch)
        except StorageError as error:
            self._say(f"uncached: {error}")
            self.close()
            return self._direct
        limit = _EXACT if self._is_exact else _IN_BF16 if cut.boundary in self._in_bf16 else _CLOSE
        if not apart <= limit:
            self._say(f"uncached: kept features change the results by {apart:.2g} of the largest logit")
            self.close()
            return self._direct
        return cached

    def close(self) -> None:
        """Let go of the features that are open; they may then be evicted."""
        for rows, _ in self._open.values():
            rows.close()
        self._open = {}

    def pooled(self, rows: np.ndarray, devices: Devices) -> np.ndarray | None:
        """
        Return what the model's head sees of some rows as they are evaluated; ``None`` where that is not cached.

        What training will need of the same rows is computed on the way.

        Returns
        -------
        numpy.ndarray
            Shape (len(rows), features), float32.
        """
        if self._recipe.cache == "off":
            return None
        try:
            cuts = list(self._planned_cuts(devices, 0, None).values())
            head = self._cut(self._model.stages.frozen_by("backbone"), devices)
            wanted = head if isinstance(head, Cut) and self._is_what_the_head_sees(head, devices) else None
            found = self._load(cuts, wanted, None, rows, devices, features=wanted is None)
        except (NoCut, StorageError) as error:
            self._say(f"uncached: {error}")
            return None
        with found:
            self.savings.used += len(rows)
            seen = found.stack(np.arange(len(rows))).reshape(len(rows), -1)
            return np.asarray(seen, dtype=np.float32)

    def vectors(self, frozen: frozenset[str], devices: Devices, splits: Sequence[np.ndarray]) -> HeadFeatures | None:
        """
        Return what the head sees of some rows as they are evaluated, where the head is a chain of modules.

        Parameters
        ----------
        frozen
            Names of the parameters that are frozen.
        devices
            Where the model is.
        splits
            Rows, several times.

        Returns
        -------
        HeadFeatures or None
            ``None`` where there is no such head, or nothing is cached.
        """
        from tunebook.head_chain import head_chain  # noqa: PLC0415 - for searches alone

        cut = self._cut(frozen, devices) if self._recipe.cache != "off" else NoCut("off")
        chain = None if isinstance(cut, NoCut) else head_chain(cut, self._model.dropout, frozen)
        if isinstance(cut, NoCut) or chain is None:
            return None
        rows = np.unique(np.concatenate(splits))
        try:
            with self._load([], cut, None, rows, devices) as kept:
                several = [kept.stack(np.searchsorted(rows, part)) for part in splits]
        except StorageError as error:
            self._say(f"uncached: {error}")
            return None
        head, kind = chain
        vectors = [torch.from_numpy(part.reshape(len(part), -1)).float() for part in several]
        return HeadFeatures(head, kind, vectors)

    # Cuts.

    def _inspect(self, devices: Devices) -> Trace:
        if self._trace is None:
            inputs = devices.move(self.reader.inputs(self._probe(2)))
            self._trace = Trace(self._model.module, self._task.logits, inputs)
        return self._trace

    def _probe(self, count: int) -> np.ndarray:
        """Return a few training rows, short and long ones."""
        rows = self._examples.rows("train")[:64]
        lengths = self.reader.lengths(rows)
        if lengths is None:
            return rows[:count]
        order: np.ndarray = rows[np.argsort(lengths, kind="stable")]
        chosen: np.ndarray = order[
            np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
        ]
        return chosen

    def _work(self) -> float:
        """
        Return the multiply-adds of a pass of all examples through the whole model.

        Chosen by what one pass needs, the engine would depend on which passes were made before; so a run takes the same
        one, and has the same bits, whatever is in the cache.
        """
        if not self._multiply_adds:
            assert self._trace is not None  # noqa: S101 - its examples were looked at before
            whole = _Whole(self._model.module, self._task.logits)
            with without_gradients(self._model.module):
                self._multiply_adds = multiply_adds(whole, self._trace.inputs)
        return self._multiply_adds * len(self._examples)

    def _cut(self, frozen: frozenset[str], devices: Devices) -> Cut | NoCut:
        if frozen not in self._cuts:
            self._model.module.to(devices.device)
            try:
                self._cuts[frozen] = find_cut(self._inspect(devices), self._model.stages, self._model.dropout, frozen)
            except NoCut as reason:
                self._cuts[frozen] = reason
        return self._cuts[frozen]

    def _freezes(self, epoch: int) -> Iterator[tuple[int, frozenset[str]]]:
        for number in range(epoch, self._recipe.epochs):
            yield number, self._model.stages.frozen_by(self._recipe.freeze_at(number))

    def _planned(self, devices: Devices, epoch: int) -> dict[str, int]:
        """Return how many of the epochs to come use each boundary."""
        found: dict[str, int] = {}
        for _, frozen in self._freezes(epoch):
            cut = self._cut(frozen, devices)
            if not isinstance(cut, NoCut):
                found[cut.boundary] = found.get(cut.boundary, 0) + 1
        return found

    def _planned_cuts(self, devices: Devices, epoch: int, view: int | None) -> dict[str, Cut]:
        """Return the boundaries that the epochs to come will read a view at."""
        epochs = self._planned(devices, epoch)
        found: dict[str, Cut] = {}
        for number, frozen in self._freezes(epoch):
            cut = self._cut(frozen, devices)
            if isinstance(cut, NoCut) or not self._is_worth_it(cut, epochs[cut.boundary]):
                continue
            if view is None or self.reader.training_view(number, repeats=True) == view:
                found[cut.boundary] = cut
        return found

    def _is_worth_it(self, cut: Cut, epochs: int) -> bool:
        return epochs > 1 or self._bytes(cut) <= _SMALL

    def _bytes(self, cut: Cut) -> int:
        """Return the bytes of an example's activation, about."""
        numbers = int(np.prod([size or self._mean_length() for size in cut.shape()]))
        return numbers * np.dtype(self._dtype(cut)).itemsize if cut.position == "all" else 4 * cut.shape()[-1]

    def _mean_length(self) -> int:
        lengths = self.reader.lengths(self._examples.rows("train"))
        return 1 if lengths is None else max(1, round(float(lengths.mean())))

    @property
    def _is_exact(self) -> bool:
        return self._recipe.feature_precision == "exact"

    def _dtype(self, cut: Cut) -> str:
        is_vector = len(cut.shape()) == 1 or cut.position != "all"
        return "float32" if self._is_exact or is_vector or cut.largest > _HALF_LIMIT else "float16"

    # Rows of the store.

    def _kept(
        self, cut: Cut, devices: Devices, epoch: int, view: int | None, rows: np.ndarray
    ) -> tuple[FeatureRows, np.ndarray]:
        key = cut.boundary, view
        if key not in self._open or (self._open[key][1][rows] < 0).any():
            wanted = np.union1d(self._needed(view), rows)
            if key in self._open:
                kept, places = self._open.pop(key)
                wanted = np.union1d(wanted, np.flatnonzero(places >= 0))
                kept.close()
            cuts = [*self._planned_cuts(devices, epoch, view).values()]
            places = np.full(len(self._examples), -1, np.int64)
            places[wanted] = np.arange(len(wanted))
            self._open[key] = self._load(cuts, cut, view, wanted, devices), places
        return self._open[key]

    def _needed(self, view: int | None) -> np.ndarray:
        """Return the rows that training reads in a view."""
        train = self._examples.rows("train")
        if view is not None:
            return train
        sample = examples_to_fit(train, self._recipe.seed)
        clean = self.reader.training_view(0, repeats=True) is None and not self.reader.mixes()
        return np.union1d(train if clean else sample, self._examples.rows("validation"))

    def _load(
        self, cuts: Sequence[Cut], wanted: Cut | None, view: int | None, rows: np.ndarray, devices: Devices,
        *, features: bool = False,
    ) -> FeatureRows:  # fmt: skip
        """Return some rows of a boundary, or of the task's features, computing what is missing, for others as well."""
        several = {cut.boundary: cut for cut in [*cuts, *([wanted] if wanted else [])]}
        chosen = [several[name] for name in sorted(several)]
        store = self._store = self._store or FeatureStore()
        keys = self.reader.keys(rows)
        trunk = Trunk(self._model.module, self._task.logits, chosen, self._task.features if features else None)
        example = self._inspect(devices).inputs
        engine = self._engine(devices)
        prints = [cut.fingerprint() for cut in chosen]
        if features:
            prints.append(self._whole_fingerprint())
        options = [
            (option, self._tables(store, chosen, prints, view, option))
            for option in candidates(trunk, example, work=self._work(), **engine)
        ]
        # What one of them left there before serves without making it again.
        ready = next((pair for pair in options if not any(len(table.missing(keys)) for table in pair[1])), None)
        if ready is None:
            extractor = self._extractor(trunk, prints, engine)
            option = extractor.name, extractor.precision
            self._extractors = {(*prints, option[0], str(engine["device"])): extractor}
            ready = option, self._tables(store, chosen, prints, view, option)
        option, tables = ready
        if option[1] == "bf16":
            self._in_bf16 |= {cut.boundary for cut in chosen}

        def again() -> Extractor:
            # Also for features that are found damaged; they must come from what made them.
            extractor = self._extractor(trunk, prints, {**engine, "wanted": option[0]})
            if (extractor.name, extractor.precision) != option:
                raise StorageError(f"features of {option[0]} are damaged and cannot be made again: {extractor.words}")
            return extractor

        place = len(chosen) if wanted is None else sorted(several).index(wanted.boundary)
        found, filled = store.load(
            tables, keys, self._computing(again, chosen, rows, view, devices, features=features),
            expected_bytes=self._expected(chosen, len(rows), features=features),
            on_wait=self._wait,
        )  # fmt: skip
        for number, kept in enumerate(found):
            if number != place:
                kept.close()
        words = again().words if filled.computed else ""
        if filled.computed:
            machine.trim_memory()
        self._note(filled, [cut.boundary for cut in chosen] + ["the head"] * features, words, tables)
        return found[place]

    def _tables(
        self, store: FeatureStore, cuts: Sequence[Cut], prints: Sequence[str], view: int | None, option: tuple[str, str]
    ) -> list[FeatureTable]:
        common = {
            "format": _FORMAT, "task": self._task.name, "model": self._model.name, "view": view,
            "transform": self.reader.transform(view), "extractor": option[0], "computed in": option[1],
            "exact": self._is_exact, "rows together": self._recipe.batch_size if self._is_exact else 0,
            "versions": machine.versions(),
        }  # fmt: skip
        names = [*(cut.boundary for cut in cuts), "features"]
        kinds = [*(self._dtype(cut) for cut in cuts), "float32"]
        positions = [*(cut.position for cut in cuts), "all"]
        return [
            store.table({**common, "boundary": name, "weights": weights, "precision": kind, "position": position})
            for name, weights, kind, position in zip(names, prints, kinds, positions, strict=False)
        ]

    def _whole_fingerprint(self) -> str:
        from tunebook.weights import fingerprint  # noqa: PLC0415

        return fingerprint(self._model.module)

    def _expected(self, cuts: Sequence[Cut], count: int, *, features: bool) -> int:
        return count * (sum(self._bytes(cut) for cut in cuts) + (8_192 if features else 0))

    def _engine(self, devices: Devices) -> dict[str, Any]:
        recipe = self._recipe
        return {
            "wanted": recipe.extractor, "device": devices.device, "precision": recipe.precision,
            "exact": self._is_exact,
        }  # fmt: skip

    def _extractor(self, trunk: Trunk, prints: Sequence[str], engine: dict[str, Any]) -> Extractor:
        key = (*prints, engine["wanted"], str(engine["device"]))
        if key not in self._extractors:
            assert self._trace is not None  # noqa: S101 - its examples were looked at before
            with evaluating(self._model.module), without_gradients(self._model.module):
                # One at a time: each may hold a copy of the trunk. Two examples would say little of how engines differ.
                example = self.reader.inputs(self._probe(COMPARED_ROWS))
                self._extractors = {key: make_extractor(trunk, example, work=self._work(), **engine)}
        return self._extractors[key]

    def _computing(
        self,
        make: Callable[[], Extractor],
        cuts: Sequence[Cut],
        rows: np.ndarray,
        view: int | None,
        devices: Devices,
        *,
        features: bool,
    ) -> Callable[[np.ndarray], Iterator[tuple[np.ndarray, list[list[np.ndarray]]]]]:
        def compute(positions: np.ndarray) -> Iterator[tuple[np.ndarray, list[list[np.ndarray]]]]:
            extractor = make()
            wanted = rows[positions]
            place = {int(row): int(at) for row, at in zip(wanted, positions, strict=True)}
            for group in self._groups(wanted):
                # Ended here, a pass leaves nothing: in part, the rest would later run in other groups, with other bits.
                self.heed()
                started = _now(devices)
                with evaluating(self._model.module):
                    inputs = self.reader.inputs(group, view)
                    outputs = extractor(inputs)
                self.savings.seconds += _now(devices) - started
                kept = [
                    self._examples_of(cut, output, inputs, group) for cut, output in zip(cuts, outputs, strict=False)
                ]
                if features:
                    kept.append(list(_array(outputs[-1]).astype(np.float32, copy=False)))
                yield np.array([place[int(row)] for row in group], np.int64), kept

        return compute

    def _groups(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield rows in the reader's groups, in smaller ones where memory asks for it."""
        assert self._trace is not None  # noqa: S101 - made before anything is computed
        most = max(1, int(machine.memory_limit() * _MEMORY_SHARE / (_ALIVE * max(1, self._trace.largest_bytes))))
        groups = self._training_sized(rows) if self._is_exact else self.reader.evaluation_batches(rows)
        for group in groups:
            for start in range(0, len(group), most):
                yield group[start : start + most]

    def _training_sized(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield rows in groups as large as training's: the bits of a convolution depend on how many run together."""
        lengths, size = self.reader.lengths(rows), self._recipe.batch_size
        order = rows if lengths is None else rows[np.argsort(lengths, kind="stable")]
        ends = [*range(size, len(order) - 1, size), len(order)]  # one alone is joined to others, as in training
        for part in np.split(order, ends[:-1]):
            yield from self.reader.training_groups(part)

    def _examples_of(self, cut: Cut, output: Tensor, inputs: dict[str, Tensor], rows: np.ndarray) -> list[np.ndarray]:
        """Take a batch's activation apart into what is kept of each example."""
        values = _array(output).astype(self._dtype(cut), copy=False)
        lengths = self.reader.lengths(rows)
        if not cut.is_ragged or lengths is None:
            return list(values)
        first = starts(inputs, lengths)
        if cut.position == "all":
            return [row[a : a + n] for row, a, n in zip(values, first.tolist(), lengths.tolist(), strict=True)]
        at = first if cut.position == "first" else first + lengths - 1
        return list(values[np.arange(len(rows)), at])

    # Being sure.

    def _compare(self, cached: CachedFeed, cut: Cut, frozen: frozenset[str], devices: Devices, epoch: int) -> float:
        """Return by how much cached results differ from the whole model's, of the largest logit, on a few examples."""
        view = self.reader.training_view(epoch, repeats=True)
        view = None if self.reader.mixes() else view
        rows = self._probe(_COMPARED)
        module = self._model.module
        self._kept(cut, devices, epoch, view, rows)
        with evaluating(module), torch.inference_mode(), spread_head(module, frozen), devices.autocast():
            inputs = devices.move(self.reader.inputs(rows, view))
            whole = self._direct.logits(inputs).float()
            started = _now(devices)
            float(self._direct.logits(inputs).max())  # the first time, libraries prepare themselves
            per_pass = (_now(devices) - started) / len(rows) * cut.share
            found = cached.logits(devices.move(cached.view_inputs(rows, view))).float()
        self.savings.used -= len(rows)  # looking is no use of it
        self.savings.pass_seconds = max(self.savings.pass_seconds, per_pass)
        return float((found - whole).abs().max()) / max(float(whole.abs().max()), 1e-6)

    def _is_what_the_head_sees(self, cut: Cut, devices: Devices) -> bool:
        if cut.is_ragged:
            return False
        inputs = self._inspect(devices).inputs
        trunk = Trunk(self._model.module, self._task.logits, [cut], self._task.features)
        with evaluating(self._model.module), torch.inference_mode():
            activation, features = trunk(**inputs)
        return activation.flatten(1).shape == features.shape and torch.equal(activation.flatten(1), features)

    # Telling.

    def _note(self, filled: Filled, boundaries: Sequence[str], words: str, tables: Sequence[FeatureTable]) -> None:
        self.savings.computed += filled.computed
        self.savings.found += filled.found
        unit, place = self._task.unit, " and ".join(boundaries)
        for table in tables:
            for problem in table.problems:
                self._say(problem)
        if filled.computed:
            self._say(
                f"{filled.computed} {unit} went through the trunk up to {place} in {filled.seconds:.1f} s "
                f"({words}); {filled.found} were there"
            )
        else:
            self._say(f"{filled.found} {unit} up to {place} were there")

    def _wait(self, line: str) -> None:
        self.heed()
        self._say(line)

    def _say(self, line: str) -> None:
        if line not in self.words:
            self.words.append(line)

    def record(self) -> dict[str, Any]:
        """Return what happened as JSON: a summary, a line on each part, and the numbers of :class:`Savings`."""
        return {"summary": self.summary(), "words": self.words, **asdict(self.savings)}

    def summary(self) -> str:
        """Say in a line what the cache saved; nothing where it was not used."""
        s = self.savings
        if not s.used or not (s.computed or s.found):
            return ""
        saved = s.saved_seconds
        gain = f", about {saved:.0f} s saved" if saved >= 1.0 else ""
        return (
            f"cache: the trunk ran {s.computed} times for {s.used} uses of its results "
            f"({s.found} found from before){gain}"
        )


class _Whole(nn.Module):
    """A model as a module that takes its inputs by name and gives logits."""

    def __init__(self, module: nn.Module, logits: Callable[[Any, dict[str, Tensor]], Tensor]) -> None:
        super().__init__()
        self.model, self._logits = module, logits

    def forward(self, **inputs: Tensor) -> Tensor:
        return self._logits(self.model, inputs)


def _now(devices: Devices) -> float:
    """Return the seconds that count: a CPU's own, since others may use it, and an accelerator's on the clock."""
    return time.process_time() if devices.device.type == "cpu" else time.perf_counter()


def _array(tensor: Tensor) -> np.ndarray:
    found: np.ndarray = tensor.float().cpu().numpy()
    return found
