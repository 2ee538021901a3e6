"""Models are tried before they are trained, and exports opened after they are written."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
import transformers

import tunebook
from tunebook import trying
from tunebook.devices import Devices
from tunebook.errors import ModelError
from tunebook.export_check import Known
from tunebook.progress import read_state
from tunebook.runs import Run
from tunebook.tasks import get_task, recipe_class
from tunebook.trying import first_problem, try_model
from tunebook.weights import fingerprint

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
sys.path.insert(0, str(Path(__file__).parents[1]))
import small_run
import tiny_models

IMAGES = get_task("image-classification")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "_worked", set())


def _pictures(name: str, size: int, **values: Any) -> tuple[Any, Any]:
    wanted = {"model": name, "weights": "none", "image_size": size, "device": "cpu", "precision": "fp32", "onnx": False}
    recipe = recipe_class("image-classification")(**{**wanted, **values})
    model = IMAGES.load_model(recipe, ("a", "b"))
    try_model(IMAGES, recipe, model, Devices(recipe, model.module))
    return recipe, model


# Pictures.


@pytest.mark.parametrize("name", ["test_vit", "levit_128s", "pit_ti_224", "mobilenetv4_conv_small_050"])
def test_an_export_opens_as_its_card_says_and_says_the_same(name: str, tmp_path: Path) -> None:
    recipe, model = _pictures(name, 64 if name == "test_vit" else 96 if name.startswith("m") else 128)
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.add_(0.01)
    inputs = IMAGES.sample(model, recipe, 3)
    known = Known.of(IMAGES, model, ["", "", ""], [inputs])
    (said,) = IMAGES.export(model, ("a", "b"), recipe, tmp_path)
    assert IMAGES.check_export(model, tmp_path, known) == ""
    call = said.split("`")[5].replace("model/model.safetensors", str(tmp_path / "model.safetensors"))
    module = eval(call, {"timm": timm})  # noqa: S307 - as the card says it
    with torch.inference_mode():
        assert known.differs(module.eval()(inputs["x"])) == ""
    changed = json.loads((tmp_path / "config.json").read_text())
    assert changed["model_args"] == ({} if name.startswith("m") else {"img_size": recipe.image_size})


def test_an_export_of_one_size_is_tuned_on_at_that_size(tmp_path: Path) -> None:
    recipe, model = _pictures("test_vit", 64)
    IMAGES.export(model, ("a", "b"), recipe, tmp_path)
    _, again = _pictures(str(tmp_path), 64, weights="pretrained")
    assert again.fingerprint == model.fingerprint
    with pytest.raises(ModelError, match=r"its weights are for image_size=64 \(got 96\); set image_size=64"):
        _pictures(str(tmp_path), 96, weights="pretrained")


@pytest.mark.parametrize(
    ("name", "size", "fits"),
    [("efficientformer_l1", 128, "224"), ("levit_128s", 100, "224")],
)
def test_a_size_that_a_model_cannot_read_is_one_line_with_those_that_fit(name: str, size: int, fits: str) -> None:
    with pytest.raises(
        ModelError, match=f"{name}' cannot read pictures of image_size={size} .*; sizes that fit: "
    ) as e:
        _pictures(name, size)
    assert fits in str(e.value).rpartition(": ")[2].split(", ")
    _pictures(name, int(fits))


def test_trying_changes_neither_model_nor_random_numbers() -> None:
    recipe, model = _pictures("test_efficientnet", 64)
    trying._worked.clear()
    before, modes = fingerprint(model.module), [part.training for part in model.module.modules()]
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    try_model(IMAGES, recipe, model, Devices(recipe, model.module))
    assert torch.equal(torch.rand(2), wanted)
    assert fingerprint(model.module) == before
    assert [part.training for part in model.module.modules()] == modes
    assert all(parameter.grad is None for parameter in model.module.parameters())


def test_a_problem_is_the_first_line_of_an_error() -> None:
    def fail(error: Exception) -> None:
        raise error

    assert first_problem(lambda: None) == ""
    assert first_problem(lambda: fail(ValueError("one\ntwo"))) == "ValueError: one"
    assert first_problem(lambda: fail(AssertionError())) == "AssertionError"
    with pytest.raises(ModelError):
        first_problem(lambda: fail(ModelError("said on purpose")))
    with pytest.raises(MemoryError):
        first_problem(lambda: fail(MemoryError()))


# Texts.


def _texts(folder: Path, kind: str, **values: Any) -> tuple[Any, Any, Any]:
    path = folder / kind
    if kind == "funnel":  # its two base models do not let transformers choose one
        sizes = {"block_sizes": [1, 1], "d_model": 32, "n_head": 2, "d_head": 16, "d_inner": 37}
        transformers.FunnelConfig(vocab_size=23, pad_token_id=0, **sizes).save_pretrained(path)
        tiny_models.tiny_tokenizer(typed=False).save_pretrained(path)
        values["weights"] = "none"
    else:
        tiny_models.make_tiny(path, kind)
    rows = [(f"the film is {'good' if k % 2 else 'bad'} {'very ' * (k % 5)}{k}", "ab"[k % 2]) for k in range(40)]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(folder / "t.csv", index=False)
    wanted = {"data": str(folder / "t.csv"), "model": str(path), "max_length": 16, "device": "cpu", "onnx": False}
    recipe = tunebook.TextClassification(**{**wanted, **values})
    examples = tunebook.load_examples(recipe)
    return recipe, examples, tunebook.load_model(recipe, examples)


@pytest.mark.parametrize("kind", ["xlnet", "funnel", "bert"])
def test_a_model_of_texts_is_measured_and_its_export_says_the_same(kind: str, tmp_path: Path) -> None:
    recipe, examples, model = _texts(tmp_path, kind)
    found = tunebook.measure_baseline(recipe, examples, model)
    assert "linear probe" in found.metrics
    task, rows = get_task(recipe.task), examples.rows("validation")[:4]
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(4)))
    contents = examples.frame["content"].iloc[rows].tolist()
    reader = task.reader(examples, recipe, model)
    known = Known.of(task, model, contents, [reader.inputs(rows[k : k + 1]) for k in range(4)])
    out = tmp_path / "out"
    out.mkdir()
    task.export(model, examples.classes, recipe, out)
    assert task.check_export(model, out, known) == ""
    other = Known(contents, known.inputs, known.logits + torch.tensor([0.0, 1.0]), 0.0)
    assert "its scores differ by" in task.check_export(model, out, other)


def test_a_model_that_draws_at_random_is_held_to_its_own_noise() -> None:
    known = Known([], {}, torch.zeros(2, 2), 0.1)
    assert known.differs(torch.full((2, 2), 0.2)) == ""
    assert known.differs(torch.full((2, 2), 0.5)) == "its logits differ by 0.5"
    assert "shape (2, 3)" in known.differs(torch.zeros(2, 3))


# The end of a run.


@pytest.mark.parametrize("how", ["differs", "does not open"])
def test_an_export_that_is_not_the_model_is_told_and_kept_apart(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def spoil(_self: object, _model: object, folder: Path, known: Known) -> str:
        if how == "differs":
            return known.differs(known.logits + 1.0)
        (folder / "config.json").write_text("{")
        return str(timm.create_model(f"local-dir:{folder}", pretrained=True))

    monkeypatch.setattr(type(IMAGES), "check_export", spoil)
    data = small_run.make_pictures(tmp_path / "data", count=10)
    small_run.train(data, tmp_path / "runs", run="spoilt", onnx=False, epochs=1, unfreeze=[])
    assert "Error" not in capsys.readouterr().out
    run = Run.open("spoilt", str(tmp_path / "runs"))
    state = read_state(run)
    assert state.state == "finished"
    assert state.message.startswith("no model/: it")
    assert ("its logits differ by 1" if how == "differs" else "it does not open") in state.message
    assert not (run.path / "model").exists()
    assert (run.path / "model-unopened" / "model.safetensors").is_file()
    assert (run.path / "predictions.parquet").is_file()
    assert (run.path / "checkpoints" / "best").is_dir()
    assert "no model/" in (run.path / "README.md").read_text()
    assert not [path for path in run.path.iterdir() if path.name.startswith(".model")]
    assert np.isfinite(state.metric or np.nan)
