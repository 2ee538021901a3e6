"""A model is cut behind its frozen part, and the rest gives the same bits on what that part gave."""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tunebook.dropout import DropoutSite, DropoutSites
from tunebook.errors import RecipeError
from tunebook.predicting import evaluating
from tunebook.stages import Stages
from tunebook.tasks import get_task, recipe_class
from tunebook.trunk import Cut, NoCut, Sizes, Trace, Trunk, _dim, find_cut, spread_head
from tunebook.weights import fingerprint

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_models import CONFIGS, make_tiny

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook.tasks.base import Model

FREEZES = ("backbone", -2, 2)
#: timm models, one a family, and the side of the smallest pictures that they take.
FAMILIES = {
    "test_efficientnet": 32, "test_resnet": 32, "test_vit": 32, "test_convnext": 32, "test_byobnet": 32,
    "test_nfnet": 32, "test_mambaout": 32, "test_coatnet": 32, "test_vit_relpos": 32, "test_efficientnet_gn": 32,
    "mobilenetv3_small_050": 32, "resnet10t": 32,
}  # fmt: skip
LARGER = {
    "test_maxvit": 32, "convnext_atto": 32, "regnety_002": 32, "mobilenetv4_conv_small_035": 32,
    "vit_tiny_patch16_224": 32, "deit_tiny_patch16_224": 32, "eva02_tiny_patch14_224": 28,
    "swin_tiny_patch4_window7_224": 224, "densenet121": 32, "mixer_s32_224": 224, "cait_xxs24_224": 32,
    "ghostnet_050": 32, "pvt_v2_b0": 32, "levit_128s": 224,
}  # fmt: skip
PICTURE_MODELS = [*FAMILIES.items(), *(pytest.param(*item, marks=pytest.mark.long) for item in LARGER.items())]
#: XLM gives its layers as lists of parts side by side, and CANINE reads characters.
KINDS = [kind for kind in CONFIGS if kind not in ("xlm", "canine")]
PICTURES, TEXTS = get_task("image-classification"), get_task("text-classification")


@cache
def _picture_model(name: str, size: int) -> Model:
    recipe = recipe_class("image-classification")(model=name, weights="none", image_size=size)
    return PICTURES.load_model(recipe, ("a", "b", "c"))


def _logits(module: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    found: Tensor = module(inputs["x"])
    return found


def _same_bits(model: Model, task: Any, inputs: dict[str, Tensor], freeze: Any) -> str:
    """Cut a model; compare its rest on the true activation with the whole, and say where it was cut."""
    frozen = model.stages.frozen_by(freeze)
    before = fingerprint(model.module), list(model.module.state_dict()), dict(model.module.named_modules())
    cut = find_cut(Trace(model.module, task.logits, inputs), model.stages, model.dropout, frozen)
    trunk = Trunk(model.module, task.logits, [cut])
    with evaluating(model.module), torch.inference_mode(), spread_head(model.module, frozen):
        whole = task.logits(model.module, inputs)
        (activation,) = trunk(**inputs)
        rest = cut.run(activation.contiguous(), dict(inputs))
    assert bool(whole.any()), "all zero hides every difference"
    torch.testing.assert_close(rest, whole, rtol=0, atol=0)
    after = fingerprint(model.module), list(model.module.state_dict()), dict(model.module.named_modules())
    assert after == before
    return cut.boundary


@pytest.mark.parametrize(("name", "size"), PICTURE_MODELS)
def test_the_rest_of_a_timm_model_gives_the_whole_s_bits(name: str, size: int) -> None:
    model = _picture_model(name, size)
    inputs = {"x": torch.randn(3, 3, size, size).contiguous(memory_format=torch.channels_last)}
    found = {}
    for freeze in FREEZES:
        try:
            found[freeze] = _same_bits(model, PICTURES, inputs, freeze)
        except NoCut as reason:
            # Of the early stages alone; what is nearly all of the model is always worth it.
            assert freeze == 2, reason
            assert "too little" in str(reason)
    assert {"backbone", -2} <= found.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_of_a_transformers_model_gives_the_whole_s_bits(kind: str, tmp_path: Path) -> None:
    model = _text_model(make_tiny(tmp_path / kind, kind))
    inputs = _text_inputs(model)
    for freeze in FREEZES:
        try:
            _same_bits(model, TEXTS, inputs, freeze)
        except NoCut:
            # ALBERT's layers share their weights, and T5's hand a bias on beside what they give.
            assert (kind, freeze) in {("albert", -2), ("albert", 2), ("t5", 2)}


def _text_model(folder: Path) -> Model:
    recipe = recipe_class("text-classification")(model=str(folder), max_length=24)
    return TEXTS.load_model(recipe, ("a", "b"))


def _text_inputs(model: Model) -> dict[str, Tensor]:
    from tunebook.tasks.text_classification.texts import pad_tokens, tokenize

    texts = ["the film is good and not bad", "a plot", "dull actor scene"]
    return pad_tokens(tokenize(model.processor, texts, 24), model)


def test_a_trained_layer_below_the_head_moves_the_cut(tmp_path: Path) -> None:
    model = _text_model(make_tiny(tmp_path / "m", "bert"))
    found = [_same_bits(model, TEXTS, _text_inputs(model), freeze) for freeze in ("backbone", -2, -3)]
    assert found == ["bert.encoder", "bert.encoder.layer.1", "bert.encoder.layer.0"]


@pytest.mark.parametrize(("kind", "position"), [("bert", "first"), ("gpt2", "last"), ("distilbert", "first")])
def test_a_head_that_reads_one_place_is_found_out(kind: str, position: str, tmp_path: Path) -> None:
    model = _text_model(make_tiny(tmp_path / "m", kind))
    trace = Trace(model.module, TEXTS.logits, _text_inputs(model))
    assert find_cut(trace, model.stages, model.dropout, model.stages.frozen_by("backbone")).position == position
    assert find_cut(trace, model.stages, model.dropout, model.stages.frozen_by(-2)).position == "all"


# Models made for one thing each: ``first`` is frozen, then ``second``, and ``head`` trains.


@dataclass
class Made:
    """A model with its stages, as :func:`find_cut` takes them."""

    module: nn.Module
    sites: tuple[DropoutSite, ...] = ()

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        for parameter in self.module.parameters():
            nn.init.normal_(parameter, std=0.3)
        names = [name for name, _ in self.module.named_parameters()]
        stages = [[n for n in names if n.startswith(part)] for part in ("first", "second", "head")]
        self.stages = Stages(self.module, stages)
        self.dropout = DropoutSites(self.module, list(self.sites))
        self.inputs = {"x": torch.randn(4, 6)}

    def cut(self, freeze: Any = "backbone", logits: Callable[..., Tensor] = _logits) -> Cut:
        trace = Trace(self.module, logits, self.inputs)
        return find_cut(trace, self.stages, self.dropout, self.stages.frozen_by(freeze))

    def compare(self, cut: Cut) -> None:
        with evaluating(self.module), torch.no_grad():
            (activation,) = Trunk(self.module, _logits, [cut])(**self.inputs)
            expected = _logits(self.module, self.inputs)
            torch.testing.assert_close(cut.run(activation, self.inputs), expected, rtol=0, atol=0)


class Chain(nn.Module):
    """Three linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.second(self.first(x)).tanh())
        return found


def test_where_all_trains_there_is_nothing_to_keep() -> None:
    with pytest.raises(NoCut, match="nothing of it is frozen"):
        Made(Chain()).cut("none")
    with pytest.raises(NoCut, match="nothing of it is frozen"):
        Made(Chain()).cut(["second"])


def test_a_part_that_is_no_work_is_not_kept() -> None:
    module = Chain()
    module.second = nn.Sequential(nn.Linear(6, 400), nn.Linear(400, 6))  # type: ignore[assignment]
    with pytest.raises(NoCut, match="too little to be kept"):
        Made(module).cut(1)


def test_what_is_no_tensor_cannot_be_kept() -> None:
    class Thing:
        def __init__(self, value: Tensor) -> None:
            self.value = value

    class Wrapping(nn.Linear):
        def forward(self, x: Tensor) -> Any:  # type: ignore[override]
            return Thing(super().forward(x))

    class Unwrapping(nn.Linear):
        def forward(self, x: Any) -> Any:  # type: ignore[override]
            return super().forward(x.value)

    module = Chain()
    module.first, module.second = Wrapping(6, 6), Unwrapping(6, 6)
    made = Made(module)
    made.compare(made.cut("backbone"))  # what lies inside is not looked at
    with pytest.raises(NoCut):
        made.cut(1)


def test_two_tensors_cannot_be_kept() -> None:
    class Pair(nn.Linear):
        def forward(self, x: Tensor) -> Any:  # type: ignore[override]
            found = super().forward(x)
            return found, found + 1.0

    class Joined(nn.Linear):
        def forward(self, pair: Any) -> Any:  # type: ignore[override]
            return super().forward(pair[0] * pair[1])

    module = Chain()
    module.first, module.second = Pair(6, 6), Joined(6, 6)
    with pytest.raises(NoCut):
        Made(module).cut(1)


def test_what_is_not_one_part_an_example_cannot_be_kept() -> None:
    class Summary(Chain):
        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.head(self.second(self.first(x).mean(0))) + x[:, :3]
            return found

    class Pooled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).mean(0)

    module = Summary()
    module.first, module.second = nn.Linear(6, 6), Pooled(6, 6)
    with pytest.raises(NoCut):
        Made(module).cut()


def test_inputs_that_the_rest_reads_stay() -> None:
    class Skip(Chain):
        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.head(self.second(self.first(x)) + x)
            return found

    made = Made(Skip())
    made.compare(made.cut())


def test_a_frozen_module_that_the_rest_reads_from_stays_real() -> None:
    class Skip(Chain):
        def forward(self, x: Tensor) -> Tensor:
            early = self.first(x)
            found: Tensor = self.head(self.second(early) + early)
            return found

    made = Made(Skip())
    cut = made.cut()
    assert cut.boundary == "second"
    assert cut.replaced == ["second"]
    made.compare(cut)
    assert Made(Chain()).cut().replaced == ["first", "second"]


def test_a_model_that_writes_into_what_a_frozen_module_gave_can_be_cut() -> None:
    class Writing(Chain):
        def forward(self, x: Tensor) -> Tensor:
            early = self.first(x)
            early += 1.0
            late = self.second(early)
            late += 1.0
            found: Tensor = self.head(late)
            return found

    made = Made(Writing())
    made.compare(made.cut())


def test_what_comes_later_does_not_write_into_an_earlier_activation() -> None:
    class Writing(Chain):
        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.head(self.second(self.first(x).relu_()))
            return found

    made = Made(Writing())
    cuts = [made.cut(1), made.cut("backbone")]
    with evaluating(made.module), torch.no_grad():
        (alone,) = Trunk(made.module, _logits, cuts[:1])(**made.inputs)
        both = Trunk(made.module, _logits, cuts)(**made.inputs)
        with_features = Trunk(made.module, _logits, cuts[:1], features=_logits)(**made.inputs)
    assert bool((alone < 0).any())
    assert torch.equal(both[0], alone)
    assert torch.equal(with_features[0], alone)
    assert torch.equal(with_features[1], made.module(made.inputs["x"]))


def test_a_module_that_runs_twice_is_no_boundary() -> None:
    class Twice(Chain):
        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.head(self.second(self.second(self.first(x))))
            return found

    made = Made(Twice())
    cut = made.cut()
    assert cut.boundary == "first"
    made.compare(cut)


def test_dropout_in_the_trunk_of_a_stage_that_trains_is_not_kept() -> None:
    module = Chain()
    module.second = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5))  # type: ignore[assignment]
    made = Made(module, (DropoutSite("second.1", "p", "inner"),))
    assert made.cut("backbone").boundary == "second"
    assert made.cut(1).boundary == "first"


def test_dropout_after_the_cut_drops_as_it_does_in_the_whole_model() -> None:
    module = Chain()
    module.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 3))  # type: ignore[assignment]
    made = Made(module, (DropoutSite("head.0", "p", "head"),))
    cut = made.cut()
    made.stages.apply("backbone")
    with torch.no_grad():
        (activation,) = Trunk(made.module, _logits, [cut])(**made.inputs)

        def once(run: Callable[[], Tensor], seed: int) -> Tensor:
            torch.manual_seed(seed)
            return run()

        def rest() -> Tensor:
            return cut.run(activation, made.inputs)

        assert torch.equal(once(rest, 1), once(lambda: _logits(module, made.inputs), 1))
        assert not torch.equal(once(rest, 1), once(rest, 2))
        made.dropout.apply({"head": 0.0})
        assert torch.equal(once(rest, 1), once(rest, 2))


def test_the_model_has_its_own_modules_back_whatever_happens() -> None:
    made = Made(Chain())
    cut = made.cut()
    parts = dict(made.module.named_modules())
    keys = list(made.module.state_dict())
    with pytest.raises(RuntimeError):
        cut.run(torch.zeros(4, 7), made.inputs)  # it has another width
    assert dict(made.module.named_modules()) == parts
    assert list(made.module.state_dict()) == keys
    made.compare(cut)


def test_a_stand_in_answers_for_the_module_it_stands_for() -> None:
    class Asking(Chain):
        def forward(self, x: Tensor) -> Tensor:
            scale = self.first.in_features * self.second.weight.shape[0]
            found: Tensor = self.head(self.second(self.first(x))) * scale
            return found

    made = Made(Asking())
    cut = made.cut()
    assert cut.replaced == ["first", "second"]
    made.compare(cut)
    stand_in = cut._places["first"][2]
    assert stand_in.out_features == 6
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = stand_in.nothing_such
    assert list(stand_in.parameters()) == []


@pytest.mark.parametrize("shape", [(4, 6, 3, 3), (4, 6, 1, 1), (4, 5, 6)])
def test_an_activation_lies_in_memory_as_the_trunk_left_it(shape: tuple[int, ...]) -> None:
    cut = Made(Chain()).cut()
    lasting = torch.randn(shape)
    if len(shape) == 4:
        lasting = torch.empty_permuted(shape, (0, 2, 3, 1)).copy_(lasting)
    cut.remember_layout(lasting)
    for kept in (lasting, lasting.contiguous().clone(memory_format=torch.contiguous_format), lasting.flip(0)):
        found = cut._laid_out(kept)
        assert found.stride() == lasting.stride()
        assert torch.equal(found, kept)
    assert cut._laid_out(lasting) is lasting


def test_gradients_of_the_rest_are_the_whole_model_s() -> None:
    made = Made(Chain())
    cut = made.cut(1)
    made.stages.apply(1)
    _logits(made.module, made.inputs).square().sum().backward()
    expected = [p.grad for p in made.module.parameters()]
    made.module.zero_grad(set_to_none=True)
    with torch.no_grad():
        (activation,) = Trunk(made.module, _logits, [cut])(**made.inputs)
    cut.run(activation, made.inputs).square().sum().backward()
    for parameter, gradient in zip(made.module.parameters(), expected, strict=True):
        assert (parameter.grad is None) == (gradient is None)
        assert gradient is None or torch.equal(parameter.grad, gradient)  # type: ignore[arg-type]


def test_looking_changes_neither_modes_nor_weights() -> None:
    made = Made(Chain())
    nn.init.zeros_(made.module.head.weight)  # type: ignore[arg-type]
    made.stages.apply("backbone")
    modes = [part.training for part in made.module.modules()]
    before = copy.deepcopy(made.module.state_dict())
    made.cut()
    assert [part.training for part in made.module.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in made.module.state_dict().items())


def test_a_fingerprint_is_of_all_that_decides_the_activation_and_of_nothing_else() -> None:
    module = Chain()
    module.second = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 6), nn.Dropout(0.1))  # type: ignore[assignment]
    made = Made(module, (DropoutSite("second.2", "p", "inner"),))
    cut = made.cut()
    prints = [cut.fingerprint()]
    made.dropout.apply({"inner": 0.7})
    module.head.weight.data += 1.0
    made.stages.apply("none")
    assert cut.fingerprint() == prints[0]
    norm: Any = module.second[0]  # type: ignore[index]
    for change in (
        lambda: module.first.weight.data.add_(1e-6),
        lambda: norm.running_mean.add_(1e-6),
        lambda: setattr(norm, "eps", 1e-3),
        lambda: module.second.append(nn.Tanh()),  # type: ignore[operator]
    ):
        change()
        prints.append(made.cut().fingerprint())
    assert len(set(prints)) == len(prints)


def test_a_model_that_takes_no_other_number_of_examples_says_so() -> None:
    class Fixed(Chain):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.view(4, 6))

    with pytest.raises(NoCut, match="does not run on"):
        Made(Fixed()).cut()


@given(
    st.integers(1, 5), st.integers(2, 40), st.sampled_from(["fixed", "counts", "lengths", "both"]),
    st.integers(1, 9),
)  # fmt: skip
def test_a_dimension_is_explained_by_what_was_seen_or_not_at_all(
    examples: int, length: int, kind: str, factor: int
) -> None:
    def size(at: Sizes) -> int:
        return {
            "fixed": factor,
            "counts": factor * at.examples,
            "lengths": factor + at.length,
            "both": factor * at.examples * at.length,
        }[kind]

    before, after = Sizes(examples, length), Sizes(examples + max(1, examples // 2), length - 1)
    for leads in (True, False):
        rule = _dim(size(before), size(after), before, after, leads=leads)
        assert rule.at(before) == size(before)
        assert rule.at(after) == size(after)


def test_a_dimension_without_a_rule_is_refused() -> None:
    with pytest.raises(NoCut, match="shapes"):
        _dim(7, 11, Sizes(2, 5), Sizes(3, 4), leads=True)


def test_no_freeze_of_everything_reaches_the_cut() -> None:
    with pytest.raises(RecipeError):
        Made(Chain()).cut(["*"])
