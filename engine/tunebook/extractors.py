"""
Engines that run a frozen trunk fast: torch, ONNX Runtime and OpenVINO, behind one face.

What they took on one thread of an AVX2 processor without bf16, ms of CPU time a picture in batches of 32 with
EfficientNet-Lite0 up to its head, 128 and 224 pixels: eager torch 15.5 and 71; torch folded, channels last, in small
parts 5.7 and 16.4; ONNX Runtime 3.8 and 11.3; OpenVINO 3.5 and 11.4. Without bf16 it is depthwise convolutions that
gain: MobileNetV4 6.7 to 4.8, ConvNeXt 30 to 19; but ResNet18 42 to 41, ViT 38 to 35, MiniLM (128 tokens) 43 to 35.
"""

from __future__ import annotations

import copy
import io
import logging
import math
import os
import sys
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils import _pytree as trees
from torch.utils._python_dispatch import TorchDispatchMode

from tunebook.errors import ModelError, RecipeError, TunebookError
from tunebook.folding import count_folded, first_rows, fold_batch_norms
from tunebook.predicting import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Run = Callable[[dict[str, Tensor]], list[Tensor]]

Engine = Literal["torch", "onnxruntime", "openvino"]
Precision = Literal["fp32", "bf16"]

#: Largest difference from the eager fp32 trunk with which an engine is used: its norm, relative to that of how the
#: examples' features differ from their mean. In bf16 torch itself is off by 0.08 to 0.12 with EfficientNet-Lite0, and
#: a classifier on 2,062 photographs of signs, or on the demo, was right as often: 0.912 and 0.651 of them on features
#: in bf16, 0.908 and 0.640 in fp32.
TOLERANCES: dict[str, float] = {"fp32": 2e-3, "bf16": 0.2}
#: Multiply-adds from which converting pays. To import, convert, compile and compare took OpenVINO 1.3 to 2 s of CPU
#: time more than torch, ONNX Runtime 0.5 to 1 s; both saved 10 to 25 ms in 1e9 multiply-adds, where they saved at all.
#: In bf16 OpenVINO took 1 s more, and saved 22 ms (9 against torch's 31).
PAYS_FROM: dict[str, float] = {"openvino": 2e11, "onnxruntime": 1e11}
PAYS_FROM_IN_BF16: dict[str, float] = {"openvino": 5e10}
#: Rows on which an engine is compared; more than are traced, so that a number of rows that was baked in shows.
COMPARED_ROWS = 16
_TRACED_ROWS = 2
#: ONNX Runtime joins padding to convolutions only if every length is known, and then takes a quarter less time.
_ONNX_ROWS = 8
#: Texts that are longer are traced one token shorter than they are compared.
_SHORTEST = 3
#: Pictures are run so many together, or as many as fit, and fewer are filled up: processors with AVX-512 take another
#: way through small batches, and a picture's features would have other bits beside fewer others.
_ROWS_TOGETHER = 32
#: Batches are run in parts whose activations stay below. glibc gives a block above 32 MiB back to the system when it
#: is freed, and taking its pages again took half of the CPU time of eager torch; other engines take less memory so.
_LARGEST_ACTIVATION = 24 * 2**20
_REASON_LENGTH = 120
#: Share of the features' norm that differences between rows have at least, for them to be the measure of an engine.
_LEAST_VARIED = 0.05
_OPENVINO_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}


@dataclass(frozen=True)
class Extractor:
    """
    A trunk that is ready to be run, by one thread at a time.

    Attributes
    ----------
    name
        Its engine: ``"torch"``, ``"onnxruntime"`` or ``"openvino"``.
    precision
        ``"fp32"`` or ``"bf16"``, in which it computes.
    words
        A line for people: which engine, and why not another.
    folded
        Whether BatchNorms were folded into convolutions.
    """

    name: Engine
    precision: Precision
    words: str
    folded: bool
    _run: Run = field(repr=False)

    def __call__(self, inputs: dict[str, Tensor]) -> list[Tensor]:
        """
        Run the trunk.

        Parameters
        ----------
        inputs
            By name, n rows each, as the example was that the extractor was made with; n may differ, and the length of
            texts.

        Returns
        -------
        list of Tensor
            What the trunk returns, float32, n rows each; on the accelerator if torch runs there, else on the CPU.
        """
        return self._run(inputs)


def make_extractor(
    trunk: nn.Module,
    example: Mapping[str, Tensor],
    *,
    wanted: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto",
    work: float,
    device: torch.device | str = "cpu",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    exact: bool = False,
) -> Extractor:
    """
    Choose an engine for a frozen trunk and make it ready.

    ``"auto"`` takes OpenVINO if it is installed, else ONNX Runtime, where that is faster than torch: on a CPU, for
    depthwise convolutions or where the processor has bf16, and for so much work that converting pays. The choice
    depends on the machine and the arguments alone, never on a clock. What an engine computes is compared with the trunk
    as it is.

    Parameters
    ----------
    trunk
        A frozen module in evaluation mode, called as ``trunk(**inputs)``, that returns a tensor or a tuple of tensors
        with a row for each row of the inputs. It is not changed; see :func:`tunebook.folding.fold_batch_norms` for what
        copying asks of it.
    example
        Inputs by name, on the CPU or the trunk's device. Pictures are floating, shape (n, 3, side, side); texts are
        integers, shape (n, length), and should show padding of different lengths.
    wanted
        The engine, or ``"auto"``.
    work
        Multiply-adds of the whole job: examples times :func:`multiply_adds`.
    device
        Where torch computes.
    precision
        ``"auto"`` takes bf16 where the processor multiplies matrices in it.
    exact
        Give the bits of the trunk as it is: torch, fp32, nothing folded, nothing split.

    Raises
    ------
    RecipeError
        The engine that is wanted is not installed, or cannot compute on this device, in this precision or exactly.
    ModelError
        The engine that is wanted cannot run this trunk, or disagrees with it.
    """
    job = _Job(trunk, example, torch.device(device), precision)
    if wanted not in ("auto", "torch", "onnxruntime", "openvino"):
        raise RecipeError(f"engine={wanted!r}: choose auto, torch, onnxruntime or openvino")
    if wanted in ("auto", "torch"):
        if exact:
            run = _TorchRun(job.on_device(trunk), job.device, channels_last=False)
            return _extractor("torch", "fp32", ["exact"], run, folded=False)
        engines, reasons = (list[Engine](), ["as wanted"]) if wanted == "torch" else _candidates(job, work)
        found, reasons = _first_that_works(engines, job, reasons)
        return found or _torch_extractor(job, reasons)
    if exact:
        raise RecipeError(f"engine={wanted!r} gives no exact bits; use engine='torch' or 'auto'")
    engine = cast("Engine", wanted)
    _require_possible(engine, job)
    found, reasons = _first_that_works([engine], job, [])
    if found is None:
        raise ModelError(f"{'; '.join(reasons)}; use engine='torch' or 'auto'")
    return found


def candidates(
    trunk: nn.Module,
    example: Mapping[str, Tensor],
    *,
    wanted: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto",
    work: float,
    device: torch.device | str = "cpu",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    exact: bool = False,
) -> list[tuple[Engine, Precision]]:
    """
    Return the engines and precisions that :func:`make_extractor` tries for the same arguments, the best first.

    What one of them left in a cache can so be found without making it again.
    """
    job = _Job(trunk, example, torch.device(device), precision)
    if exact:
        return [("torch", "fp32")]
    engines = _candidates(job, work)[0] if wanted == "auto" else [wanted]
    several: list[Engine] = [*engines, "torch"] if wanted == "auto" else engines
    return [(engine, each) for engine in several for each in job.precisions(engine)]


def multiply_adds(trunk: nn.Module, example: Mapping[str, Tensor]) -> float:
    """
    Return how many multiply-adds a trunk takes for one row of an example, counted by running two rows.

    Parameters
    ----------
    trunk
        In evaluation mode, called as ``trunk(**inputs)``.
    example
        Inputs by name, on the trunk's device.

    Returns
    -------
    float
        Multiplications of matrices and convolutions, each with an addition.
    """
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415

    few = first_rows(example, _TRACED_ROWS)
    with evaluating(trunk), torch.no_grad(), FlopCounterMode(display=False) as counter:
        trunk(**few)
    return float(counter.get_total_flops()) / 2 / _row_count(few)


class _NotUsed(TunebookError):  # noqa: N818 - another engine takes over
    """Why an engine is not used."""


class _Job:
    """
    A trunk to be run, with what depends on the machine looked up.

    Attributes
    ----------
    is_text
        Whether the inputs are integers, whose length varies.
    has_bf16
        Whether torch may and can compute in bf16.
    """

    def __init__(self, trunk: nn.Module, example: Mapping[str, Tensor], device: torch.device, precision: str) -> None:
        if precision not in ("auto", "fp32", "bf16"):
            raise RecipeError(f"precision={precision!r}: choose auto, fp32 or bf16")
        self.trunk, self.device, self.wanted_precision = trunk, device, precision
        self.example = {name: tensor.to(_device_of(trunk)) for name, tensor in example.items()}
        self.is_text = not any(tensor.is_floating_point() for tensor in example.values())
        self.has_bf16 = precision != "fp32" and _has_bf16(device.type)
        if precision == "bf16" and not self.has_bf16:
            msg = f"precision='bf16': this {device.type} has no bf16 arithmetic; use precision='auto' or 'fp32'"
            raise RecipeError(msg)
        self._reference: list[Tensor] | None = None
        self._prepared: tuple[nn.Module, bool, str] | None = None

    def precisions(self, engine: str) -> list[Precision]:
        """Return the precisions in which an engine is tried, in order; a wish for bf16 is kept."""
        if engine == "onnxruntime" or self.wanted_precision == "fp32" or not self.has_bf16:
            return ["fp32"]
        return ["bf16"] if self.wanted_precision == "bf16" else ["bf16", "fp32"]

    def traced(self, rows: int = _TRACED_ROWS) -> list[Tensor]:
        """Return inputs to trace with: other rows and another length than are compared, where these may vary."""
        return [
            t[:, :-1] if 1 in _free(t) and t.shape[1] > _SHORTEST else t
            for t in _some_rows(self.example, rows or _TRACED_ROWS).values()
        ]

    @property
    def compared(self) -> dict[str, Tensor]:
        """The rows on which engines are compared with the trunk."""
        return _some_rows(self.example, min(max(_row_count(self.example), _TRACED_ROWS + 1), COMPARED_ROWS))

    @property
    def together(self) -> int:
        """How many rows an engine is always given; 0 is as many as there are."""
        return 0 if self.is_text or self.device.type != "cpu" else _ROWS_TOGETHER

    def difference(self, run: Run) -> float:
        """Return the largest difference of an output from the eager fp32 trunk's, as :data:`TOLERANCES` has it."""
        if self._reference is None:
            with evaluating(self.trunk), torch.inference_mode():
                self._reference = [part.float().cpu() for part in _tensors(self.trunk(**self.compared))]
        found = [part.cpu() for part in run(self.compared)]
        if [part.shape for part in found] != [part.shape for part in self._reference]:
            return math.inf
        return max((_relative(*pair) for pair in zip(found, self._reference, strict=True)), default=0.0)

    def on_device(self, module: nn.Module) -> nn.Module:
        """Return a module on the device; a copy if it is elsewhere, since it shares its parts with the model."""
        if _device_of(module).type == self.device.type:
            return module
        return copy.deepcopy(module).to(self.device)

    def bytes_an_element(self) -> float:
        """Return the bytes of the largest activation for each element of the first input; 0 on an accelerator."""
        if self.device.type != "cpu":
            return 0.0
        few = first_rows(self.example, _TRACED_ROWS)
        with evaluating(self.trunk), torch.no_grad(), _Largest() as largest:
            self.trunk(**few)
        return float(largest.bytes) / next(iter(few.values())).numel()

    def prepared(self) -> tuple[nn.Module, bool, str]:
        """
        Return the trunk as torch runs it fastest and converters read it, whether it is folded, and why not.

        A trunk in which there is nothing to fold is not copied: two sets of weights would be in memory.
        """
        if self._prepared is None:
            self._prepared = self._prepare()
        return self._prepared

    def _prepare(self) -> tuple[nn.Module, bool, str]:
        if not any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in self.trunk.modules()):  # noqa: SLF001
            return self.trunk, False, ""
        try:
            folded = fold_batch_norms(self.trunk, self.example)
            off = self.difference(_TorchRun(folded, _device_of(self.trunk)))
        except Exception as error:  # noqa: BLE001 - a model's own code raises anything, and the trunk runs as it is
            return self.trunk, False, f"not folded ({_first_line(error)})"
        if off > TOLERANCES["fp32"]:
            return self.trunk, False, f"not folded, since that differed by {off:.2g}"
        if count_folded(self.trunk, folded) == 0:
            return self.trunk, False, ""
        return folded.to(memory_format=torch.channels_last), True, ""


class _ByPosition(nn.Module):
    """Takes tensors by position and returns a tuple: converters want to know the shape of each by its place."""

    def __init__(self, trunk: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.trunk, self.names = trunk, tuple(names)
        # Converters put what they are given into evaluation mode and back, which would reach the trunk's parts.
        self.training = False

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(_tensors(self.trunk(**dict(zip(self.names, inputs, strict=True)))))


# Torch.


class _TorchRun:
    """Runs a module in torch, in parts whose activations are small enough where ``bytes_an_element`` is given."""

    def __init__(
        self, module: nn.Module, device: torch.device, *, bf16: bool = False, bytes_an_element: float = 0.0,
        together: int = 0, channels_last: bool = True,
    ) -> None:  # fmt: skip
        self._module, self._device, self._bf16 = module, device, bf16
        self._bytes_an_element, self._together, self._channels_last = bytes_an_element, together, channels_last

    def __call__(self, inputs: dict[str, Tensor]) -> list[Tensor]:
        moved = {name: self._laid_out(tensor.to(self._device, non_blocking=True)) for name, tensor in inputs.items()}
        cast = torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._bf16)
        with evaluating(self._module), torch.inference_mode(), cast:
            parts = [_tensors(self._module(**part)) for part in _parts(moved, self._bytes_an_element, self._together)]
        # Outside of inference mode, so that what is returned may be trained on.
        return _joined(parts, _row_count(inputs))

    def _laid_out(self, tensor: Tensor) -> Tensor:
        if not self._channels_last or tensor.ndim != 4 or not tensor.is_floating_point():  # noqa: PLR2004
            return tensor
        return tensor.contiguous(memory_format=torch.channels_last)


def _parts(inputs: dict[str, Tensor], bytes_an_element: float, together: int) -> Iterator[dict[str, Tensor]]:
    """
    Give the rows of a batch in parts whose activations are small enough.

    They have nearly the same size; or, where some belong ``together``, that many or as many as fit, the last part
    filled up with rows that are to be left out again.
    """
    count = _row_count(inputs)
    activation = bytes_an_element * next(iter(inputs.values()))[:1].numel()
    most = together or max(1, count)
    rows = max(1, int(min(_LARGEST_ACTIVATION / activation, most))) if activation else most
    if together:
        for start in range(0, count, rows):
            yield _some_rows({name: tensor[start : start + rows] for name, tensor in inputs.items()}, rows)
        return
    pieces = max(1, math.ceil(count / max(1, rows)))
    for part in range(pieces):
        chosen = slice(count * part // pieces, count * (part + 1) // pieces)
        yield {name: tensor[chosen] for name, tensor in inputs.items()}


def _joined(parts: Sequence[Sequence[Tensor]], count: int) -> list[Tensor]:
    """Return the first ``count`` rows of what the parts of a batch gave, in float32."""
    return [torch.cat(list(part))[:count].float() for part in zip(*parts, strict=True)]


def _torch_extractor(job: _Job, reasons: list[str]) -> Extractor:
    module, folded, why = job.prepared()
    reasons = [*reasons, why] if why else reasons
    module = job.on_device(module)
    size = job.bytes_an_element()
    if job.has_bf16:
        run = _TorchRun(module, job.device, bf16=True, bytes_an_element=size, together=job.together)
        off = job.difference(run)
        if off <= TOLERANCES["bf16"]:
            return _extractor("torch", "bf16", reasons, run, folded=folded)
        if job.wanted_precision == "bf16":
            raise ModelError(f"torch in bf16 differs from fp32 by {off:.2g}; use precision='fp32'")
        reasons = [*reasons, f"bf16 differed by {off:.2g}"]
    run = _TorchRun(module, job.device, bytes_an_element=size, together=job.together)
    return _extractor("torch", "fp32", reasons, run, folded=folded)


class _Largest(TorchDispatchMode):
    """Notes the bytes of the largest tensor that a model computes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        found = func(*args, **dict(kwargs or {}))
        if not func.is_view:
            sizes = (leaf.nbytes for leaf in trees.tree_leaves(found) if isinstance(leaf, Tensor))
            self.bytes = max(self.bytes, *sizes, 0)
        return found


# OpenVINO and ONNX Runtime.


def _candidates(job: _Job, work: float) -> tuple[list[Engine], list[str]]:
    """Return the engines to try before torch, best first, and why there are none."""
    if job.device.type != "cpu":
        return [], ["the others compute on a CPU only"]
    if not job.has_bf16 and not _has_depthwise(job.trunk):
        return [], ["the others are hardly faster without bf16 or depthwise convolutions"]
    # ONNX Runtime computes in fp32, in which it is no faster than torch in bf16.
    useful: tuple[Engine, ...] = ("openvino",) if job.has_bf16 else ("openvino", "onnxruntime")
    there: list[Engine] = [engine for engine in useful if _is_installed(engine)]
    if not there:
        return [], ["openvino is not installed (pip install 'tunebook[fast]')"]
    least = PAYS_FROM_IN_BF16 if job.has_bf16 else PAYS_FROM
    paying = [engine for engine in there if work >= least[engine]]
    return paying[:1], [] if paying else ["converting does not pay for so little work"]


def _first_that_works(
    engines: Sequence[Engine], job: _Job, reasons: Sequence[str]
) -> tuple[Extractor | None, list[str]]:
    """Return the first engine that agrees with the trunk, or ``None``, and why those before it are not used."""
    reasons = list(reasons)
    for engine in engines:
        for precision in job.precisions(engine):
            try:
                return _converted(engine, precision, job, reasons), reasons
            except _NotUsed as reason:
                reasons = [*reasons, f"{engine} {reason}"]
    return None, reasons


def _require_possible(wanted: Engine, job: _Job) -> None:
    if job.device.type != "cpu":
        raise RecipeError(
            f"engine={wanted!r} computes on a CPU only; use engine='torch' with device={job.device.type!r}"
        )
    if not _is_installed(wanted):
        extra = "'tunebook[fast]'" if wanted == "openvino" else wanted
        raise RecipeError(f"engine={wanted!r} is not installed: pip install {extra}, or use engine='torch' or 'auto'")
    if wanted == "onnxruntime" and job.wanted_precision == "bf16":
        raise RecipeError("engine='onnxruntime' computes in fp32 only; use precision='auto' or engine='openvino'")


def _is_installed(engine: Engine) -> bool:
    try:
        return find_spec(engine) is not None
    except ValueError:  # a module that stands in for it has no spec
        return False


def _converted(engine: Engine, precision: Precision, job: _Job, reasons: list[str]) -> Extractor:
    """Convert the trunk and compare what comes out of it."""
    module, folded, why = job.prepared()
    convert = _openvino_run if engine == "openvino" else _onnx_run
    try:
        with evaluating(module), _silently():
            run = convert(job, module, precision)
        off = job.difference(run)
    except _NotUsed:
        raise
    except Exception as error:  # noqa: BLE001 - converters raise anything
        raise _NotUsed(f"cannot run it ({_first_line(error)})") from None
    if off > TOLERANCES[precision]:
        raise _NotUsed(f"in {precision} disagreed by {off:.2g}")
    return _extractor(engine, precision, [*reasons, why] if why else reasons, run, folded=folded)


def _openvino_run(job: _Job, module: nn.Module, precision: Precision) -> Run:
    with _untold():
        import openvino  # noqa: PLC0415
    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise _NotUsed("has no bf16 here")
    names, traced = list(job.example), job.traced()
    shapes = [openvino.PartialShape([-1 if k in _free(t) else n for k, n in enumerate(t.shape)]) for t in traced]
    model = openvino.convert_model(_ByPosition(module, names), example_input=tuple(traced), input=shapes)
    if len(model.inputs) != len(names):
        raise _NotUsed("lost an input that the model does not use")
    settings = {
        "INFERENCE_PRECISION_HINT": _OPENVINO_PRECISIONS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    size = job.bytes_an_element()

    def run(inputs: dict[str, Tensor]) -> list[Tensor]:
        parts = []
        for part in _parts(inputs, size, job.together):
            arrays = [part[name].contiguous().numpy() for name in names]
            # The arrays that go in are lent; those that come out are copies, since the request writes over its own.
            found = request.infer(arrays, share_inputs=True)
            parts.append([torch.from_numpy(found[k]) for k in range(len(found))])
        return _joined(parts, _row_count(inputs))

    return run


@contextmanager
def _untold() -> Iterator[None]:
    """
    Import an engine without its telemetry: both tell a server of every use and write to the home folder.

    ONNX Runtime looks at a variable when it is loaded. OpenVINO takes a stand-in that does nothing where a package is
    missing. Both hold as long as the process lives; where somebody has imported an engine before, their choice stays.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    name = "openvino_telemetry"
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


def _onnx_run(job: _Job, module: nn.Module, precision: Precision) -> Run:
    with _untold():
        import onnxruntime  # noqa: PLC0415
    del precision  # always fp32
    file = io.BytesIO()
    names = list(job.example)
    rows = 0 if job.is_text else _ONNX_ROWS
    # The exporter that is not "dynamo" takes 0.4 to 1 s in place of 7 to 10.
    torch.onnx.export(
        _ByPosition(module, names), tuple(job.traced(rows)), file, input_names=names, dynamo=False,  # type: ignore[arg-type]
        verbose=False,
        dynamic_axes={name: {0: "rows", 1: "length"} for name in names} if job.is_text else None,
    )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    taken = [given.name for given in session.get_inputs()]

    def run(inputs: dict[str, Tensor]) -> list[Tensor]:
        count = _row_count(inputs)
        parts = []
        for start in range(0, count, rows or count):
            part = {name: inputs[name][start : start + (rows or count)] for name in taken}
            arrays = {name: tensor.contiguous().numpy() for name, tensor in _some_rows(part, rows).items()}
            parts.append([torch.from_numpy(array) for array in session.run(None, arrays)])
        return _joined(parts, count)

    return run


@contextmanager
def _silently() -> Iterator[None]:
    """Keep converters from printing, warning and logging while the block lasts."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "openvino")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


# Small things.


def _extractor(engine: Engine, precision: Precision, reasons: Sequence[str], run: Run, *, folded: bool) -> Extractor:
    words = f"{engine} {precision}" + (", BatchNorms folded" if folded else "")
    return Extractor(engine, precision, ": ".join([words, *(["; ".join(reasons)] if reasons else [])]), folded, run)


def _has_bf16(kind: str) -> bool:
    """Whether a kind of device multiplies matrices in bf16."""
    if kind == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001
    return kind == "cuda" and bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _has_depthwise(module: nn.Module) -> bool:
    convolutions = (part for part in module.modules() if isinstance(part, nn.Conv2d))
    return any(part.groups == part.in_channels > 1 for part in convolutions)


def _device_of(module: nn.Module) -> torch.device:
    for tensors in (module.parameters(), module.buffers()):
        for tensor in tensors:
            return tensor.device
    return torch.device("cpu")


def _tensors(found: Any) -> list[Tensor]:  # noqa: ANN401 - a tensor or a nest of them
    return [leaf for leaf in trees.tree_leaves(found) if isinstance(leaf, Tensor)]


def _row_count(inputs: Mapping[str, Tensor]) -> int:
    return len(next(iter(inputs.values())))


def _some_rows(inputs: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Return ``count`` rows of every input, from the first on and round again; all as they are for 0."""
    there = _row_count(inputs)
    if count in (0, there):
        return dict(inputs)
    chosen = torch.arange(count) % there
    return {name: tensor[chosen.to(tensor.device)] for name, tensor in inputs.items()}


def _free(tensor: Tensor) -> tuple[int, ...]:
    """Return the axes of an input whose length varies: the rows, and the length of texts."""
    return (0,) if tensor.is_floating_point() else (0, 1)


def _relative(found: Tensor, wanted: Tensor) -> float:
    """Return the norm of a difference relative to how much the rows differ, or to them where they are all the same."""
    if not wanted.numel():
        return 0.0
    wanted, found = wanted.double(), found.double()
    size = float(wanted.norm())
    varied = float((wanted - wanted.mean(0)).norm())
    # Beside rows that are all but the same their rounding errors are no measure.
    scale = varied if varied > _LEAST_VARIED * size else size
    off = float((found - wanted).norm()) / max(scale, torch.finfo(torch.float32).tiny)
    return off if math.isfinite(off) else math.inf


def _first_line(error: BaseException) -> str:
    """Return the first line of the error at the bottom of a chain of them."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {line}"[:_REASON_LENGTH]
