"""Where the frozen part of a model ends, and how the rest is run on what that part gave."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from tunebook.errors import TunebookError
from tunebook.predicting import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor

    from tunebook.dropout import DropoutSites
    from tunebook.stages import Stages

    Inputs = Mapping[str, Tensor]
    Logits = Callable[[nn.Module, dict[str, Tensor]], Tensor]

#: Largest difference, relative to the largest logit, that running the rest on kept activations may make.
_SAME = 1e-5
#: Modules that are tried as the last one of the trunk.
_MOST_TRIED = 6
#: Share of a model's work below which its frozen part is not worth keeping.
_LEAST_SHARE = 0.1


class NoCut(TunebookError):  # noqa: N818 - it is an answer, not a failure
    """A model cannot be cut behind its frozen part; the message says why."""


class _Stopped(Exception):  # noqa: N818
    """The forward pass has reached the last module that is asked for."""


class Sizes(NamedTuple):
    """
    What the shapes of a forward pass depend on.

    Attributes
    ----------
    examples
        Number of examples.
    length
        Number of positions of the longest one; 0 for inputs that all have one shape.
    """

    examples: int
    length: int


def sizes_of(inputs: Inputs) -> Sizes:
    """Return the sizes of a batch: sequences are matrices of whole numbers."""
    first = next(iter(inputs.values()))
    is_sequence = first.ndim == 2 and not first.is_floating_point()  # noqa: PLR2004
    return Sizes(len(first), first.shape[1] if is_sequence else 0)


class _Dim(NamedTuple):
    """One dimension of a tensor: ``fixed + counts * examples + lengths * length + both * examples * length``."""

    fixed: int = 0
    counts: int = 0
    lengths: int = 0
    both: int = 0

    def at(self, sizes: Sizes) -> int:
        return (
            self.fixed
            + self.counts * sizes.examples
            + self.lengths * sizes.length
            + self.both * sizes.examples * sizes.length
        )


def _dim(first: int, second: int, before: Sizes, after: Sizes, *, leads: bool) -> _Dim:
    """Explain a dimension that was seen with two sizes."""
    of_count = [_Dim(counts=first // before.examples)]
    of_length = [_Dim(fixed=first - before.length, lengths=1)] if before.length else []
    of_both = [_Dim(both=first // (before.examples * before.length))] if before.length else []
    tried = [_Dim(fixed=first), *(of_count + of_length if leads else of_length + of_count), *of_both]
    for dim in tried:
        if dim.at(before) == first and dim.at(after) == second:
            return dim
    raise NoCut("the shapes of what its frozen modules give do not follow from those of its inputs")


@dataclass
class _Call:
    """How a module was called: when it began and ended, how often, and what it gave."""

    begin: int = 0
    end: int = 0
    times: int = 0
    spec: TreeSpec | None = None
    leaves: list[Any] = field(default_factory=list)


class Trace:
    """
    One forward pass of a model, seen from outside: which modules ran in which order and what shapes they gave.

    Parameters
    ----------
    module
        The model; it is not changed.
    logits
        Runs it, as the task does.
    inputs
        A few examples.

    Raises
    ------
    NoCut
        The model does not run on some of the examples alone.
    """

    def __init__(self, module: nn.Module, logits: Logits, inputs: Inputs) -> None:
        self.module, self.logits = module, logits
        self.inputs = dict(inputs)
        self.before = sizes_of(inputs)
        other = _other_sizes(inputs)
        self.after = sizes_of(other)
        self.calls, self.order = self._run(self.inputs)
        self._second, _ = self._run(other)

    def _run(self, inputs: Inputs) -> tuple[dict[str, _Call], list[str]]:
        calls: dict[str, _Call] = {}
        order: list[str] = []
        clock = iter(range(10_000_000))
        handles = []

        def begin(name: str) -> None:
            call = calls.setdefault(name, _Call(begin=next(clock)))
            call.times += 1
            if call.times == 1:
                order.append(name)

        def end(name: str, output: Any) -> None:  # noqa: ANN401
            call = calls[name]
            call.end = next(clock)
            leaves, call.spec = tree_flatten(output)
            # Shapes are enough, and activations of a large model would not all fit.
            call.leaves = [
                (tuple(leaf.shape), leaf.dtype) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves
            ]

        for name, part in self.module.named_modules():
            handles.append(part.register_forward_pre_hook(lambda _m, _a, name=name: begin(name)))
            handles.append(part.register_forward_hook(lambda _m, _a, out, name=name: end(name, out)))
        try:
            with evaluating(self.module), torch.inference_mode():
                self.logits(self.module, dict(inputs))
        except (RuntimeError, ValueError, IndexError) as error:
            raise NoCut(f"it does not run on {sizes_of(inputs)} ({' '.join(str(error).split())[:120]})") from None
        finally:
            for handle in handles:
                handle.remove()
        return calls, order

    @property
    def largest_bytes(self) -> int:
        """Bytes of the largest tensor that one example makes in the model."""
        tensors = [leaf for call in self.calls.values() for leaf in call.leaves if isinstance(leaf, tuple)]
        sizes = [int(np.prod(shape)) * dtype.itemsize for shape, dtype in tensors]
        return max(sizes, default=0) // self.before.examples

    def shapes(self, name: str) -> list[Any]:
        """
        Return the rule for each part of what a module gives: (dimensions, dtype), or the part itself.

        Raises
        ------
        NoCut
            A part is neither a tensor nor a plain constant, or its shape follows no rule.
        """
        first, second = self.calls[name], self._second[name]
        found: list[Any] = []
        for one, two in zip(first.leaves, second.leaves, strict=True):
            if not isinstance(one, tuple):
                if one is not None and not isinstance(one, (bool, int, float, str)):
                    raise NoCut(f"its module {name} gives a {type(one).__name__}")
                found.append(one)
                continue
            shape, dtype = one
            dims = zip(shape, two[0], strict=True)
            rules = [_dim(a, b, self.before, self.after, leads=k == 0) for k, (a, b) in enumerate(dims)]
            found.append((tuple(rules), dtype))
        return found


def _other_sizes(inputs: Inputs) -> dict[str, Tensor]:
    """Return the same examples in other sizes: half as many again, and sequences of another length."""
    count, length = sizes_of(inputs)
    rows = torch.arange(count + max(1, count // 2)) % count
    found = {name: tensor[rows.to(tensor.device)] for name, tensor in inputs.items()}
    if length > 2:  # noqa: PLR2004
        # What is second is neither a mark of the beginning nor one of the end, which some models count.
        return {name: torch.cat([tensor[:, :1], tensor[:, 2:]], dim=1) for name, tensor in found.items()}
    if length:
        return {name: torch.cat([tensor, tensor], dim=1) for name, tensor in found.items()}
    return found


class _StandIn(nn.Module):
    """Takes the place of a frozen module: gives what is kept, or nothing but the right shape."""

    def __init__(self, original: nn.Module, spec: TreeSpec, rules: Sequence[Any]) -> None:
        super().__init__()
        # Not as a submodule: the original's parameters are not part of what is run.
        object.__setattr__(self, "original", original)
        self._spec, self._rules = spec, rules
        self.fill = 0.0
        self.is_dense = False
        self.kept: Tensor | None = None
        self.sizes = Sizes(0, 0)
        self.device = torch.device("cpu")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        # Models ask their layers for settings, such as the kind of attention.
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["original"], name)

    def forward(self, *_: object, **__: object) -> Any:  # noqa: ANN401
        leaves = []
        for rule in self._rules:
            if not isinstance(rule, tuple):
                leaves.append(rule)
            elif self.kept is not None:
                leaves.append(self.kept)
            else:
                dims, dtype = rule
                fill = self.fill if dtype.is_floating_point else 0
                shape = [dim.at(self.sizes) for dim in dims]
                # One number seen through strides of zero: nothing is computed and nothing takes memory.
                size = shape if self.is_dense else []
                leaves.append(torch.full(size, fill, dtype=dtype, device=self.device).expand(shape))
        return tree_unflatten(leaves, self._spec)


class Cut:
    """
    A model in two parts: the frozen trunk, which ends with what one module gives, and the rest.

    Parameters
    ----------
    trace
        A forward pass of the model.
    boundary
        Name of the last module of the trunk.
    replaced
        Names of the trunk's outermost modules other than it.

    Attributes
    ----------
    boundary
        As given.
    is_ragged
        Whether an example has as many positions as its sequence is long.
    position
        Which positions the rest looks at: ``"all"``, ``"first"`` or ``"last"``.
    largest
        Largest absolute number in the activation of the trace's examples.
    share
        Share of the whole model's multiply-adds that the rest does not do, from 0 to 1.
    """

    def __init__(self, trace: Trace, boundary: str, replaced: Sequence[str]) -> None:
        self.trace, self.boundary = trace, boundary
        self.module = trace.module
        rules = trace.shapes(boundary)
        tensors = [rule for rule in rules if isinstance(rule, tuple)]
        if len(tensors) != 1 or not tensors[0][1].is_floating_point:
            raise NoCut(f"its module {boundary} gives no single tensor")
        self._dims: tuple[_Dim, ...] = tensors[0][0]
        self._axes = _axes(self._dims, boundary)
        self.is_ragged = any(dim == _Dim(lengths=1) for dim in self._dims)
        self.position = "all"
        self.share = 0.0
        self.largest = 0.0
        self._order = list(range(len(self._axes)))
        self._places = {name: self._stand_in(name) for name in (*replaced, boundary)}

    def _stand_in(self, name: str) -> tuple[nn.Module, str, _StandIn]:
        parent, _, last = name.rpartition(".")
        call = self.trace.calls[name]
        assert call.spec is not None  # noqa: S101 - it has run to its end
        original = self.module.get_submodule(name)
        return self.module.get_submodule(parent), last, _StandIn(original, call.spec, self.trace.shapes(name))

    @property
    def replaced(self) -> list[str]:
        """Names of the modules that stand-ins take the place of, the boundary last."""
        return list(self._places)

    def keep_real(self, name: str) -> None:
        """Let a frozen module run as it is, since what follows the boundary uses what it gives."""
        del self._places[name]

    def fill_memory(self) -> None:
        """Let stand-ins give tensors with memory of their own, for models that write into them."""
        for _, _, place in self._places.values():
            place.is_dense = True

    def shape(self) -> tuple[int, ...]:
        """Return the shape of one example's part of the activation; 0 stands for its number of positions."""
        sizes = Sizes(1, 0)
        return tuple(self._dims[axis].at(sizes) for axis in self._axes[1:])

    def activation(self, output: Any) -> Tensor:  # noqa: ANN401
        """Return what the boundary gave with examples first and positions second."""
        tensor: Tensor = next(leaf for leaf in tree_flatten(output)[0] if isinstance(leaf, torch.Tensor))
        return tensor.permute(self._axes)

    def remember_layout(self, activation: Tensor) -> None:
        """Note how an activation lies in memory: what follows gives other bits, and takes other times, otherwise."""
        self._order = sorted(range(activation.ndim), key=lambda axis: activation.stride()[axis], reverse=True)

    def _laid_out(self, activation: Tensor) -> Tensor:
        # Not by contiguous(), which leaves the strides of dimensions of size 1, and libraries choose kernels by them.
        found = torch.empty_permuted(activation.shape, self._order, dtype=activation.dtype, device=activation.device)
        return activation if found.stride() == activation.stride() else found.copy_(activation)

    def example(self) -> tuple[dict[str, Tensor], Tensor]:
        """Return the trace's examples and their activation, cut to the one position where the rest reads one alone."""
        with evaluating(self.module), torch.no_grad():
            _, activation = _whole(self)
        inputs = self.trace.inputs
        if not self.is_ragged or self.position == "all":
            return inputs, activation
        place = _read_place(inputs, activation, self.position)
        rows = np.arange(len(place))
        one = {name: tensor[rows, place].unsqueeze(1) for name, tensor in inputs.items()}
        return one, activation[rows, place].unsqueeze(1)

    def run(self, activation: Tensor, inputs: dict[str, Tensor], fill: Mapping[str, float] | None = None) -> Tensor:
        """
        Run the rest of the model.

        Parameters
        ----------
        activation
            What the trunk gave, shape (n, ...), examples first; positions second.
        inputs
            The model's inputs; of those that only the trunk reads, the shape alone counts.
        fill
            Numbers that stand-ins give, by name; 0 elsewhere. For tests of what the rest reads.

        Returns
        -------
        torch.Tensor
            Logits, shape (n, classes).
        """
        sizes = sizes_of(inputs)
        back = np.argsort(self._axes).tolist()
        with self._installed():
            for name, (_, _, place) in self._places.items():
                place.sizes, place.device = sizes, activation.device
                place.fill = (fill or {}).get(name, 0.0)
                place.kept = self._laid_out(activation).permute(back) if name == self.boundary else None
            try:
                return self.trace.logits(self.module, inputs)
            finally:
                self._places[self.boundary][2].kept = None

    @contextmanager
    def _installed(self) -> Iterator[None]:
        # In place and not in a copy: whatever is set on the model between two steps, a dropout rate, a mode, holds.
        for parent, last, place in self._places.values():
            parent._modules[last] = place  # noqa: SLF001
        try:
            yield
        finally:
            for parent, last, place in self._places.values():
                parent._modules[last] = place.original  # noqa: SLF001

    def fingerprint(self) -> str:
        """
        Return a SHA-256 over all that decides the activation but the inputs: weights, buffers, kinds and settings.

        Whatever ran before the boundary ended counts; rates of dropout do not, since a frozen trunk drops nothing.
        """
        digest = hashlib.sha256(self.boundary.encode())
        end = self.trace.calls[self.boundary].end
        for name in self.trace.order:
            if self.trace.calls[name].begin >= end:
                continue
            part = self.module.get_submodule(name)
            if _is_random(part):
                continue
            digest.update(f"{name}:{type(part).__qualname__}:{_settings(part)}".encode())
            own = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
            for key, tensor in own:
                digest.update(f"{key}{tuple(tensor.shape)}{tensor.dtype}".encode())
                raw = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
                digest.update(raw.numpy().data)
        return digest.hexdigest()


def _axes(dims: Sequence[_Dim], name: str) -> list[int]:
    """Return the order of axes that puts examples first and positions second."""
    counts = [axis for axis, dim in enumerate(dims) if dim == _Dim(counts=1)]
    lengths = [axis for axis, dim in enumerate(dims) if dim == _Dim(lengths=1)]
    rest = [axis for axis, dim in enumerate(dims) if dim == _Dim(fixed=dim.fixed)]
    if len(counts) != 1 or len(lengths) > 1 or len(rest) + len(counts) + len(lengths) != len(dims):
        raise NoCut(f"what its module {name} gives is not one part an example")
    return [*counts, *lengths, *rest]


def _settings(part: nn.Module) -> list[tuple[str, Any]]:
    """Return a module's plain attributes, such as its number of heads, without its mode and its dropout."""
    return sorted(
        (key, value)
        for key, value in vars(part).items()
        if isinstance(value, (bool, int, float, str))
        and not key.startswith("_")
        and key != "training"
        and "drop" not in key
    )


def _is_random(part: nn.Module) -> bool:
    return "drop" in type(part).__name__.lower() or isinstance(part, nn.RReLU)


def find_cut(trace: Trace, stages: Stages, dropout: DropoutSites, frozen: frozenset[str]) -> Cut:
    """
    Find where the frozen part of a model ends.

    The boundary is the module that ends last before the first one begins that trains or drops. All
    frozen modules before it are replaced, the outermost ones, but those that later ones read from.

    Parameters
    ----------
    trace
        A forward pass of the model.
    stages, dropout
        Its stages and dropout sites.
    frozen
        Names of the parameters that are frozen.

    Raises
    ------
    NoCut
        Nothing is frozen from the input on, or the model gives its frozen part's results in a way that cannot be
        kept; the message says which.
    """
    module, calls = trace.module, trace.calls
    # By identity: a weight that several modules share has one name only.
    still = {id(parameter) for name, parameter in module.named_parameters() if name in frozen}
    live = {
        name
        for name, part in module.named_modules()
        if any(id(parameter) not in still for parameter in part.parameters(recurse=False))
        or (_is_random(part) and stages.trains(name, frozen))
    }
    drops = {site.module_name for site in dropout.sites if stages.trains(site.module_name, frozen)}
    start = min((calls[name].begin for name in live if name in calls), default=0)
    done = [name for name, call in calls.items() if call.times == 1 and call.end < start and name]
    pure = [name for name in done if not any(_is_within(other, name) for other in live | drops)]
    weighed = [calls[name].end for name in pure if any(True for _ in module.get_submodule(name).parameters())]
    tried = [name for name in sorted(pure, key=lambda name: -calls[name].end)
             if calls[name].end >= min(weighed, default=start) and _can_end(trace, name)]  # fmt: skip
    reasons: list[NoCut] = []
    # Where two branches begin before the boundary, one alone is not enough; what ends before both is.
    for boundary in tried[:_MOST_TRIED]:
        try:
            return _cut_at(trace, boundary, pure, frozen)
        except NoCut as error:
            reasons.append(error)
    raise reasons[0] if reasons else NoCut("nothing of it is frozen from the input on")


def _cut_at(trace: Trace, boundary: str, pure: Sequence[str], frozen: frozenset[str]) -> Cut:
    calls = trace.calls
    end = calls[boundary].end
    inside = [n for n in pure if calls[n].end < end and not _is_within(boundary, n) and not _is_within(n, boundary)]
    outermost = [n for n in inside if not any(n != other and _is_within(n, other) for other in inside)]
    cut = Cut(trace, boundary, [name for name in outermost if _has_shapes(trace, name)])
    _check(cut, trace.module, frozen)
    return cut


def _is_within(name: str, outer: str) -> bool:
    return name == outer or not outer or name.startswith(f"{outer}.")


def _has_shapes(trace: Trace, name: str) -> bool:
    try:
        trace.shapes(name)
    except NoCut:
        return False
    return True


def _can_end(trace: Trace, name: str) -> bool:
    try:
        Cut(trace, name, [])
    except NoCut:
        return False
    return True


def _check(cut: Cut, module: nn.Module, frozen: frozenset[str]) -> None:
    """Compare the cut model with the whole one on the trace's examples, and find which modules have to stay."""
    # Not in inference mode: torch's counter of operations asks weights for their gradients' functions.
    with evaluating(module), torch.no_grad(), without_gradients(module), spread_head(module, frozen):
        whole, activation = _whole(cut)
        cut.remember_layout(activation)
        try:
            try:
                found = _run_blind(cut, activation)
            except RuntimeError:  # the model writes into what a frozen module gave
                cut.fill_memory()
                found = _run_blind(cut, activation)
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
            first = " ".join(str(error).split())[:120]
            raise NoCut(f"what follows its module {cut.boundary} does not run alone ({first})") from None
        apart = float((found - whole).abs().max())
        if not apart <= _SAME * max(1.0, float(whole.abs().max())):
            raise NoCut(f"what follows its module {cut.boundary} gives other results alone, by {apart:.2g}")
        cut.largest = float(activation.abs().max())
        if cut.is_ragged:
            cut.position = _positions_read(cut, activation, whole)
        inputs = cut.trace.inputs
        all_of_it = _operations(lambda: cut.trace.logits(module, inputs))
        cut.share = 1.0 - _operations(lambda: cut.run(activation, inputs)) / max(1, all_of_it)
    if cut.share < _LEAST_SHARE:
        raise NoCut(f"its frozen part is {max(0.0, cut.share):.0%} of its work, too little to be kept")


def _operations(run: Callable[[], object]) -> int:
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415

    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def _run_blind(cut: Cut, activation: Tensor) -> Tensor:
    """Run the rest; a module whose results show in the logits is not replaced any more."""
    nothing, inputs = torch.nan, cut.trace.inputs
    # Copies: what follows may write into what it is given.
    found = cut.run(activation.clone(), inputs, dict.fromkeys(cut.replaced, nothing))
    if bool(found.isfinite().all()):
        return found
    for name in cut.replaced[:-1]:
        if not bool(cut.run(activation.clone(), inputs, {name: nothing}).isfinite().all()):
            cut.keep_real(name)
    return cut.run(activation.clone(), inputs)


def _whole(cut: Cut) -> tuple[Tensor, Tensor]:
    """Run the whole model on the trace's examples; return logits and what the boundary gave."""
    kept: list[Tensor] = []
    handle = cut.module.get_submodule(cut.boundary).register_forward_hook(
        lambda _m, _a, output: kept.append(cut.activation(output).clone())
    )
    try:
        logits = cut.trace.logits(cut.module, cut.trace.inputs)
    finally:
        handle.remove()
    return logits, kept[0]


def _positions_read(cut: Cut, activation: Tensor, whole: Tensor) -> str:
    """Find out whether the rest looks at the first or the last position alone."""
    inputs = cut.trace.inputs
    for position in ("first", "last"):
        place = _read_place(inputs, activation, position)
        rows = np.arange(len(place))
        only = torch.full_like(activation, torch.nan)
        only[rows, place] = activation[rows, place]
        if not bool(cut.run(only, inputs).isfinite().all()):
            continue
        small = {name: tensor[rows, place].unsqueeze(1) for name, tensor in inputs.items()}
        found = cut.run(activation[rows, place].unsqueeze(1), small)
        if float((found - whole).abs().max()) <= _SAME * max(1.0, float(whole.abs().max())):
            return position
    return "all"


def _read_place(inputs: Inputs, activation: Tensor, position: str) -> np.ndarray:
    mask = inputs.get("attention_mask")
    if mask is None:
        mask = torch.ones(activation.shape[:2], dtype=torch.int64)
    return edge(mask.cpu().numpy().astype(bool), position)


def edge(mask: np.ndarray, position: str) -> np.ndarray:
    """Return the first or last place of each row of a mask that is set, shape (n,)."""
    if position == "first":
        return np.asarray(mask.argmax(axis=1))
    return np.asarray(mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1))


@contextmanager
def without_gradients(module: nn.Module) -> Iterator[None]:
    """
    Let no weight ask for a gradient while the block lasts.

    torch's counter of operations fails where a model hands on a part of a weight that does, as DeBERTa does.
    """
    asked = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in asked:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in asked:
            parameter.requires_grad = True


@contextmanager
def spread_head(module: nn.Module, frozen: frozenset[str]) -> Iterator[None]:
    """Give trainable weights that are all zero others while the block lasts: zeros would hide every difference."""
    changed = []
    generator = torch.Generator().manual_seed(0)
    for name, parameter in module.named_parameters():
        if name not in frozen and parameter.ndim > 1 and not bool(parameter.detach().any()):
            changed.append((parameter, parameter.detach().clone()))
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * parameter.shape[1] ** -0.5)
    try:
        yield
    finally:
        for parameter, before in changed:
            parameter.data.copy_(before)


class Trunk(nn.Module):
    """
    The frozen part of a model as a module of its own, for extraction engines.

    Parameters
    ----------
    module
        The model. Its parts are found by their names, so that a deep copy of the trunk works on its own.
    logits
        Runs it, as the task does.
    cuts
        What is wanted: the activation at each of these boundaries.
    features
        Whether to give what the model's head sees as well, as the task defines it.

    Notes
    -----
    The forward pass ends with the last boundary, unless ``features`` are wanted, too.
    """

    def __init__(self, module: nn.Module, logits: Logits, cuts: Sequence[Cut], features: Logits | None = None) -> None:
        super().__init__()
        self.model = module
        self._logits, self._features = logits, features
        self._cuts = [(cut.boundary, cut._axes) for cut in cuts]  # noqa: SLF001

    def forward(self, **inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the activations in the order of the boundaries, examples first and positions second, then features."""
        kept: dict[str, Tensor] = {}
        handles = []

        def keep(output: Any, name: str, axes: list[int]) -> None:  # noqa: ANN401
            tensor = next(leaf for leaf in tree_flatten(output)[0] if isinstance(leaf, torch.Tensor))
            kept[name] = tensor.permute(axes)
            if self._features is None and len(kept) == len(self._cuts):
                raise _Stopped
            kept[name] = kept[name].clone()  # what follows may write into it

        for name, axes in self._cuts:
            part = self.model.get_submodule(name)
            handles.append(part.register_forward_hook(lambda _m, _a, out, name=name, axes=axes: keep(out, name, axes)))
        features: tuple[Tensor, ...] = ()
        try:
            run = self._features or self._logits
            features = (run(self.model, inputs),)
            if len(kept) < len(self._cuts):
                # What the task takes for features may end before the head begins, as below XLNet's summary.
                self._logits(self.model, inputs)
        except _Stopped:
            pass
        finally:
            for handle in handles:
                handle.remove()
        found = tuple(kept[name] for name, _ in self._cuts)
        return found + features if self._features is not None else found
