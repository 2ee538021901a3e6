"""Every engine gives the trunk's own features, and one that does not is not used."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import AutoConfig, AutoModel

from tunebook import extractors
from tunebook.errors import ModelError, RecipeError
from tunebook.extractors import candidates, make_extractor, multiply_adds

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_models import CONFIGS

MUCH = 1e15
OTHERS = ["onnxruntime", "openvino"]


class Stop(Exception):  # noqa: N818 - it ends a forward pass that has done its work
    """The wrapper has what it wants."""


class Cut(nn.Module):
    """A model up to a part of it: a hook takes what that part gives, and ends the forward pass."""

    def __init__(self, model: nn.Module, last: str) -> None:
        super().__init__()
        self.model, self.last = model, last

    def forward(self, **inputs: torch.Tensor) -> tuple[torch.Tensor]:
        kept: list[torch.Tensor] = []

        def stop(_part: nn.Module, _given: Any, found: Any) -> None:
            kept.append(found[0] if isinstance(found, tuple) else found)
            raise Stop

        hook = self.model.get_submodule(self.last).register_forward_hook(stop)
        try:
            self.model(**inputs)
        except Stop:
            pass
        finally:
            hook.remove()
        return (kept[0],)


@cache
def model(kind: str) -> nn.Module:
    """Make a small random model once for all tests."""
    torch.manual_seed(0)
    if kind == "bert":
        small = AutoConfig.for_model("bert", vocab_size=30, **{**CONFIGS["bert"], "num_hidden_layers": 2})
        made = AutoModel.from_config(small)
    else:
        made = timm.create_model(kind, pretrained=False, num_classes=3)
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            nn.init.uniform_(part.running_mean, -0.5, 0.5)
    return made.eval().requires_grad_(requires_grad=False)


LAST = {"test_efficientnet": "blocks.2", "test_vit": "blocks.3", "bert": "encoder.layer.1"}


def trunk(kind: str) -> nn.Module:
    return Cut(model(kind), LAST[kind]).eval()


def inputs(kind: str, rows: int, length: int = 12) -> dict[str, torch.Tensor]:
    """Make inputs; texts are padded to different lengths."""
    if kind != "bert":
        side = {"test_efficientnet": 64, "test_vit": 160}[kind]
        x = torch.randn(rows, 3, side, side, generator=torch.Generator().manual_seed(rows))
        return {"x": x.contiguous(memory_format=torch.channels_last)}
    ids = torch.randint(4, 30, (rows, length), generator=torch.Generator().manual_seed(rows))
    mask = (torch.arange(length) < torch.arange(length, length - rows, -1).clamp(min=2)[:, None]).long()
    return {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}


def difference(found: torch.Tensor, wanted: torch.Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max())


def need(engine: str) -> None:
    """Skip a test where its engine is missing; importing it here would let it send its telemetry."""
    if find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(extractors, "_is_installed", lambda engine: engine in names)


def with_bf16(monkeypatch: pytest.MonkeyPatch, *, has: bool) -> None:
    monkeypatch.setattr(extractors, "_has_bf16", lambda _kind: has)


@pytest.fixture(autouse=True)
def _fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine that runs the tests make no difference."""
    with_bf16(monkeypatch, has=False)


@pytest.mark.parametrize("kind", LAST)
@pytest.mark.parametrize("engine", ["torch", *OTHERS])
def test_an_engine_gives_the_trunks_features_for_any_number_and_length(engine: Any, kind: str) -> None:
    need(engine)
    cut = trunk(kind)
    extract = make_extractor(cut, inputs(kind, 4), wanted=engine, work=MUCH)
    assert (extract.name, extract.precision, extract.folded) == (engine, "fp32", kind == "test_efficientnet")
    assert extract.words.startswith(f"{engine} fp32")
    for rows, length in ((1, 5), (4, 12), (11, 12), (3, 20)):
        given_inputs = inputs(kind, rows, length)
        with torch.inference_mode():
            (wanted,) = cut(**given_inputs)
        (found,) = extract(given_inputs)
        assert difference(found, wanted) < 2e-3
        assert found.dtype == torch.float32
        assert not found.is_inference(), "it could not be trained on"


@pytest.mark.parametrize("engine", ["torch", *OTHERS])
def test_a_trunk_is_as_it_was_after_it_was_converted_and_run(engine: Any, capfd: pytest.CaptureFixture[str]) -> None:
    need(engine)
    cut = trunk("test_efficientnet")
    tail = model("test_efficientnet").get_submodule("blocks.4")
    tail.train()  # the part of the model that is trained shares it with the trunk
    before = {name: value.clone() for name, value in cut.state_dict().items()}
    modes = {name: part.training for name, part in cut.named_modules()}
    try:
        make_extractor(cut, inputs("test_efficientnet", 3), wanted=engine, work=MUCH)(inputs("test_efficientnet", 2))
        assert {name: part.training for name, part in cut.named_modules()} == modes
        assert all(torch.equal(value, before[name]) for name, value in cut.state_dict().items())
        assert not any(part._forward_hooks for part in cut.modules())
    finally:
        tail.eval()
    assert capfd.readouterr() == ("", "")


def test_exact_gives_the_bits_of_the_trunk() -> None:
    cut, given_inputs = trunk("test_efficientnet"), inputs("test_efficientnet", 5)
    extract = make_extractor(cut, given_inputs, work=MUCH, exact=True)
    assert (extract.name, extract.precision, extract.folded) == ("torch", "fp32", False)
    with torch.inference_mode():
        assert torch.equal(extract(given_inputs)[0], cut(**given_inputs)[0])
    with pytest.raises(RecipeError, match="gives no exact bits"):
        make_extractor(cut, given_inputs, work=MUCH, wanted="openvino", exact=True)


@pytest.mark.parametrize(
    ("there", "kind", "work", "bf16", "tried"),
    [
        (OTHERS, "test_efficientnet", MUCH, False, ["openvino"]),
        (["onnxruntime"], "test_efficientnet", MUCH, False, ["onnxruntime"]),
        ([], "test_efficientnet", MUCH, False, []),
        (OTHERS, "test_efficientnet", 1e9, False, []),
        (OTHERS, "test_efficientnet", MUCH, True, ["openvino"]),
        (["onnxruntime"], "test_efficientnet", MUCH, True, []),
        (OTHERS, "test_vit", MUCH, False, []),  # nothing is depthwise
        (OTHERS, "bert", MUCH, False, []),
        (OTHERS, "bert", MUCH, True, ["openvino"]),
    ],
)
def test_auto_tries_what_pays(
    monkeypatch: pytest.MonkeyPatch, *, there: list[str], kind: str, work: float, bf16: bool, tried: list[str]
) -> None:
    installed(monkeypatch, *there)
    with_bf16(monkeypatch, has=bf16)
    asked: list[str] = []

    def convert(engine: Any, *_: Any) -> Any:
        asked.append(engine)
        raise extractors._NotUsed("is not what this test is about")

    monkeypatch.setattr(extractors, "_converted", convert)
    extract = make_extractor(trunk(kind), inputs(kind, 2), work=work)
    assert list(dict.fromkeys(asked)) == tried
    assert extract.name == "torch"
    assert extract.words.count(":") == 1, "it says why"
    named = [engine for engine, _ in candidates(trunk(kind), inputs(kind, 2), work=work)]
    assert list(dict.fromkeys(named)) == [*tried, "torch"]


def test_auto_takes_what_agrees() -> None:
    need("openvino")
    extract = make_extractor(trunk("test_efficientnet"), inputs("test_efficientnet", 2), work=MUCH)
    assert extract.words == "openvino fp32, BatchNorms folded"


class Baked(nn.Module):
    """Computes with the number of its rows in plain Python, which tracing takes for a constant."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (x * float(x.shape[0]),)


class Untraceable(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        if torch.jit.is_tracing():
            raise ValueError("no tracing please\nfor a reason")
        return (x + 1,)


@pytest.mark.parametrize(
    ("cut", "reason"), [(Baked(), r"openvino in fp32 disagreed by 0\.\d+"), (Untraceable(), "openvino cannot run it")]
)
def test_an_engine_that_does_not_give_the_features_is_not_used(
    monkeypatch: pytest.MonkeyPatch, cut: nn.Module, reason: str
) -> None:
    need("openvino")
    monkeypatch.setattr(extractors, "_has_depthwise", lambda _cut: True)
    given_inputs = {"x": torch.ones(extractors._ROWS_TOGETHER, 2)}
    extract = make_extractor(cut.eval(), given_inputs, work=MUCH)
    assert extract.name == "torch"
    assert re.search(reason, extract.words)
    assert torch.equal(extract(given_inputs)[0], cut(**given_inputs)[0])
    with pytest.raises(ModelError, match=reason):
        make_extractor(cut.eval(), given_inputs, wanted="openvino", work=MUCH)


def test_the_reason_is_one_short_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise ValueError("x" * 500 + "\nsecond") from KeyError("first cause")

    installed(monkeypatch, "onnxruntime")
    monkeypatch.setattr(extractors, "_onnx_run", fail)
    words = make_extractor(trunk("test_efficientnet"), inputs("test_efficientnet", 2), work=MUCH).words
    assert words == "torch fp32, BatchNorms folded: onnxruntime cannot run it (KeyError: 'first cause')"


def test_folding_that_changes_the_features_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractors, "fold_batch_norms", lambda *_: Baked())
    cut = trunk("test_efficientnet")
    extract = make_extractor(cut, inputs("test_efficientnet", 2), wanted="torch", work=MUCH)
    assert not extract.folded
    assert "not folded" in extract.words
    with torch.inference_mode():
        assert difference(extract(inputs("test_efficientnet", 2))[0], cut(**inputs("test_efficientnet", 2))[0]) < 1e-4


@pytest.mark.parametrize(
    ("there", "options", "message"),
    [
        ([], {"wanted": "openvino"}, r"pip install 'tunebook\[fast\]'"),
        ([], {"wanted": "onnxruntime"}, "pip install onnxruntime"),
        (OTHERS, {"wanted": "onnxruntime", "device": "cuda"}, "computes on a CPU only"),
        (OTHERS, {"precision": "bf16"}, "this cpu has no bf16 arithmetic"),
        (OTHERS, {"wanted": "tvm"}, "choose auto, torch, onnxruntime or openvino"),
        (OTHERS, {"precision": "fp16"}, "choose auto, fp32 or bf16"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    monkeypatch: pytest.MonkeyPatch, there: list[str], options: dict[str, Any], message: str
) -> None:
    installed(monkeypatch, *there)
    with pytest.raises(RecipeError, match=message):
        make_extractor(trunk("test_efficientnet"), inputs("test_efficientnet", 2), work=MUCH, **options)


def test_torch_computes_in_bf16_where_there_is_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    with_bf16(monkeypatch, has=True)
    cut, given_inputs = trunk("test_efficientnet"), inputs("test_efficientnet", 4)
    with torch.inference_mode():
        (wanted,) = cut(**given_inputs)
    extract = make_extractor(cut, given_inputs, wanted="torch", work=MUCH)
    (found,) = extract(given_inputs)
    assert (extract.precision, found.dtype) == ("bf16", torch.float32)
    assert 1e-4 < difference(found, wanted) < 6e-2, "it is bf16, and near enough"
    exact = make_extractor(cut, given_inputs, wanted="torch", precision="fp32", work=MUCH)
    assert difference(exact(given_inputs)[0], wanted) < 1e-4


def test_bf16_that_disagrees_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with_bf16(monkeypatch, has=True)
    monkeypatch.setitem(extractors.TOLERANCES, "bf16", 1e-6)
    cut, given_inputs = trunk("test_efficientnet"), inputs("test_efficientnet", 4)
    extract = make_extractor(cut, given_inputs, wanted="torch", work=MUCH)
    assert (extract.precision, "bf16 differed by" in extract.words) == ("fp32", True)
    with pytest.raises(ModelError, match="use precision='fp32'"):
        make_extractor(cut, given_inputs, wanted="torch", precision="bf16", work=MUCH)


@pytest.mark.parametrize(
    ("module", "example", "wanted"),
    [
        (nn.Linear(5, 7), {"input": torch.randn(4, 5)}, 35),
        (nn.Conv2d(4, 8, 3, padding=1), {"input": torch.randn(3, 4, 6, 5)}, 30 * 8 * 4 * 9),
        (nn.Conv2d(4, 8, 3, padding=1, groups=4), {"input": torch.randn(1, 4, 6, 5)}, 30 * 8 * 9),
    ],
)
def test_multiply_adds_are_counted(module: nn.Module, example: dict[str, torch.Tensor], wanted: float) -> None:
    assert multiply_adds(module, example) == wanted


@given(rows=st.integers(0, 70), elements=st.integers(1, 10**7), size=st.floats(0, 1e4))
def test_parts_make_up_the_batch_and_are_small(rows: int, elements: int, size: float) -> None:
    batch = {"x": torch.arange(rows).reshape(rows, 1).expand(rows, elements)}
    parts = [part["x"][:, :1] for part in extractors._parts(batch, size, 0)]
    assert torch.equal(torch.cat(parts), batch["x"][:, :1])
    counts = [len(part) for part in parts]
    assert max(counts) - min(counts) <= 1
    assert max(counts) <= max(1, extractors._LARGEST_ACTIVATION / (size * elements or 1e-9))


@given(rows=st.integers(0, 70), together=st.integers(1, 40), fit=st.integers(1, 50))
def test_parts_that_belong_together_have_one_size_whatever_the_batch(rows: int, together: int, fit: int) -> None:
    batch = {"x": torch.arange(rows, dtype=torch.float32).reshape(rows, 1)}
    parts = [part["x"] for part in extractors._parts(batch, extractors._LARGEST_ACTIVATION / fit, together)]
    assert {len(part) for part in parts} <= {min(together, fit)}
    assert torch.equal(torch.cat([*parts, batch["x"][:0]])[:rows], batch["x"])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("engine", ["torch", "openvino", "onnxruntime"])
def test_a_picture_has_the_same_bits_beside_any_others(engine: Any, precision: Any) -> None:
    need(engine)
    if precision == "bf16" and (engine == "onnxruntime" or not extractors._has_bf16("cpu")):
        pytest.skip("no bf16 here")
    cut, given_inputs = trunk("test_efficientnet"), inputs("test_efficientnet", 70)
    extract = make_extractor(cut, given_inputs, wanted=engine, precision=precision, work=MUCH)
    (whole,) = extract(given_inputs)
    for rows in ([5], [69, 0, 3], list(range(40)), list(range(69, -1, -1))):
        (some,) = extract({"x": given_inputs["x"][rows]})
        assert torch.equal(some, whole[rows])


def test_a_batch_in_parts_gives_the_same_features(monkeypatch: pytest.MonkeyPatch) -> None:
    cut, given_inputs = trunk("test_efficientnet"), inputs("test_efficientnet", 7)
    whole = make_extractor(cut, given_inputs, wanted="torch", work=MUCH)(given_inputs)[0]
    monkeypatch.setattr(extractors, "_LARGEST_ACTIVATION", 1)
    assert difference(make_extractor(cut, given_inputs, wanted="torch", work=MUCH)(given_inputs)[0], whole) < 1e-5


@pytest.mark.parametrize("engine", OTHERS)
def test_an_engine_tells_nobody_and_writes_nothing(engine: str, tmp_path: Path) -> None:
    need(engine)
    # In a process of its own: whether it is told is decided when the engine is imported.
    code = f"""
import socket, sys
def refuse(*_): raise SystemExit("it wants the network")
socket.getaddrinfo = refuse
import torch
from tunebook.extractors import make_extractor
early = [name for name in ("openvino", "onnxruntime") if name in sys.modules]
found = make_extractor(torch.nn.Linear(3, 2).eval(), {{"input": torch.randn(4, 3)}}, wanted="{engine}", work=0)
print(found.name, found({{"input": torch.ones(1, 3)}})[0].shape, "openvino_telemetry" in sys.modules, early)
"""
    clean = {"HOME": str(tmp_path), "PATH": "", "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (f"{engine} torch.Size([1, 2]) False []", "")
    assert list(tmp_path.iterdir()) == []
