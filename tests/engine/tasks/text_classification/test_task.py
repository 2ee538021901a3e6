"""From texts to a model folder: tuned, measured, exported, opened by others, and resumed to the same bits."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import tunebook
from tunebook.errors import DataError
from tunebook.labels import join_label
from tunebook.storage import read_json
from tunebook.tasks.text_classification.models import locate
from tunebook.tasks.text_classification.task import TASK, _to_table
from tunebook.training import TrainingStopped

sys.path.insert(0, str(Path(__file__).parents[3]))

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook.examples import Examples
    from tunebook.runs import Run


def _recipe(tiny: Callable[..., Any], runs: Path, kind: str = "bert", **values: Any) -> Any:
    plan: dict[str, Any] = {
        "freeze": "backbone",
        "unfreeze": [[1, "none"]],
        "epochs": 8,
        "lr": 3e-3,
        "batch_size": 8,
        "layer_decay": 1.0,
    }
    return tiny(kind, **{"runs_dir": str(runs), "device": "cpu", **plan, **values})


def _tune(recipe: Any, examples: Examples) -> tuple[Run, Any]:
    model = tunebook.load_model(recipe, examples)
    baseline = tunebook.measure_baseline(recipe, examples, model)
    return tunebook.tune(recipe, examples, model, baseline).result(), model


def test_a_run_learns_and_leaves_what_pictures_leave(
    tiny: Callable[..., Any], sentences: Callable[..., Examples], tmp_path: Path
) -> None:
    examples = sentences(240)
    run, model = _tune(_recipe(tiny, tmp_path, onnx=True, run="words"), examples)
    metrics = read_json(run.path / "metrics.json")
    assert set(metrics["baselines"]) == {"majority class", "linear probe"}
    assert metrics["tuned"]["test"]["accuracy"] >= 0.9
    assert [stage["trains"] for stage in metrics["stages"]] == ["head", "whole model"]
    report = run.report()
    assert report.curves().png
    assert report.confusion().png
    card = (run.path / "README.md").read_text(encoding="utf-8")
    assert "pipeline('text-classification'" in card
    predictions = report.predictions
    assert set(predictions["model"]) == {"baseline", "tuned"}

    from transformers import pipeline

    classify = pipeline("text-classification", model=str(run.path / "model"), device=-1)
    rows = examples.rows("test")
    texts = examples.frame["content"].iloc[rows].tolist()
    said = [entry["label"] for entry in classify(texts)]
    tuned = predictions[(predictions["model"] == "tuned") & (predictions["split"] == "test")]
    assert said == tuned["prediction"].tolist()

    import onnxruntime

    session = onnxruntime.InferenceSession(run.path / "model" / "model.onnx", providers=["CPUExecutionProvider"])
    reader = TASK.reader(examples, _recipe(tiny, tmp_path), model)
    for some in (rows[:1], rows[:7]):
        inputs = reader.inputs(some)
        (logits,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        scores = torch.from_numpy(logits).softmax(dim=1).numpy()
        expected = np.stack(tuned.set_index("id").loc[examples.frame["id"].iloc[some], "scores"].to_list())
        np.testing.assert_allclose(scores, expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["gpt2", "modernbert", "albert", "deberta-v2", "llama"])
def test_other_architectures_learn_too(
    kind: str, tiny: Callable[..., Any], sentences: Callable[..., Examples], tmp_path: Path
) -> None:
    run, _ = _tune(_recipe(tiny, tmp_path, kind, epochs=8), sentences(240))
    assert read_json(run.path / "metrics.json")["tuned"]["test"]["accuracy"] >= 0.8

    from transformers import pipeline

    classify = pipeline("text-classification", model=str(run.path / "model"), device=-1)
    assert classify("the film was great")[0]["label"] in {"bad", "good"}


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft still asks for it
def test_lora_is_merged_and_kept_beside_the_model(
    tiny: Callable[..., Any], sentences: Callable[..., Examples], tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    model, _ = locate(tunebook.TextClassification().model)
    examples = sentences(120)
    plan = {"adapter": "lora", "lora_dropout": 0.1, "lr": 2e-3, "epochs": 2}
    run, _ = _tune(_recipe(tiny, tmp_path, model=model, **plan), examples)
    metrics = read_json(run.path / "metrics.json")
    assert metrics["tuned"]["test"]["accuracy"] >= 0.9
    assert [stage["trains"] for stage in metrics["stages"]] == ["head", "all adapters"]
    texts = examples.frame["content"].iloc[examples.rows("test")].tolist()
    merged = pipeline("text-classification", model=str(run.path / "model"), device=-1)
    expected = [entry["score"] for entry in merged(texts)]
    base = AutoModelForSequenceClassification.from_pretrained(
        model, num_labels=2, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1}
    )
    adapted = PeftModel.from_pretrained(base, run.path / "model" / "adapter").eval()
    tokenizer = AutoTokenizer.from_pretrained(run.path / "model")
    with torch.no_grad():
        logits = [adapted(**tokenizer(text, return_tensors="pt")).logits.softmax(1).max().item() for text in texts]
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_an_example_may_have_several_classes(
    tiny: Callable[..., Any], sentences: Callable[..., Examples], tmp_path: Path
) -> None:
    made = sentences(200)
    texts = made.frame["content"]
    said = {word: [word in text for text in texts] for word in ("film", "plot")}
    labels = [
        join_label([label, *(word for word, hits in said.items() if hits[row])])
        for row, label in enumerate(made.frame["label"])
    ]
    frame = made.frame.assign(label=labels, group=made.frame["label"])
    examples = replace(
        made, frame=frame, classes=("bad", "film", "good", "plot"), multi_label=True, sensitive=("group",)
    )
    recipe = _recipe(tiny, tmp_path, multi_label=True, class_weights="balanced", sampler="balanced", epochs=10)
    run, _ = _tune(recipe, examples)
    metrics = read_json(run.path / "metrics.json")
    assert set(metrics["baselines"]) == {"frequent classes", "linear probe"}
    assert metrics["tuned"]["test"]["macro_f1"] > 0.8
    assert metrics["tuned"]["test"]["macro_f1"] > metrics["baselines"]["frequent classes"]["test"]["macro_f1"]
    report = run.report()
    assert "film: " in report.confusion().text
    assert report.calibration().png
    assert "Most confident mistakes" in report.mistakes(examples).text
    assert (
        report.classes_table()["test examples"].tolist()
        == examples.targets()[examples.rows("test")].sum(axis=0).tolist()
    )
    assert len(report.by_group()) == 2
    from transformers import pipeline

    config = json.loads((run.path / "model" / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    classify = pipeline("text-classification", model=str(run.path / "model"), top_k=None, device=-1)
    found = {entry["label"]: entry["score"] for entry in classify("the film was good 1")[0]}
    assert set(found) == set(examples.classes)
    assert not math.isclose(sum(found.values()), 1.0, abs_tol=0.02)


@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_a_stopped_run_resumes_to_the_same_bits(
    adapter: str, tiny: Callable[..., Any], sentences: Callable[..., Examples], tmp_path: Path
) -> None:
    import threading

    from tunebook.tuning import Session

    examples = sentences()
    values = {"adapter": adapter, "dropout": 0.2, "hidden_dropout": 0.2, "sampler": "balanced", "lora_dropout": 0.1}
    whole, _ = _tune(_recipe(tiny, tmp_path, run="whole", **values), examples)
    recipe = _recipe(tiny, tmp_path, run="parts", checkpoint_seconds=0.0, **values)
    stop = threading.Event()
    model = tunebook.load_model(recipe, examples)
    session = Session(TASK, recipe, examples, model, TASK.reader(examples, recipe, model), None, {})
    say = session._on_step

    def on_step(trainer: Any) -> None:
        say(trainer)
        if trainer.progress.step == 11:
            stop.set()

    session._on_step = on_step  # type: ignore[method-assign]
    with pytest.raises(TrainingStopped):
        session.work(stop)
    again, _ = _tune(recipe.changed(resume=str(tmp_path / "parts")), examples)
    weights = [run.path / "model" / "model.safetensors" for run in (again, whole)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert read_json(again.path / "metrics.json") == read_json(whole.path / "metrics.json")


def test_texts_are_shown_with_their_odd_signs_and_do_no_harm(sentences: Callable[..., Examples]) -> None:
    made = sentences(6)
    odd = ["<script>alert(1)</script>", "\u202eevil", "x" * 5000, "a|b `c`", "مرحبا", "\x1b[31mred"]
    examples = replace(made, frame=made.frame.assign(content=odd))
    page = TASK.gallery(examples, list(range(6)), [f"<b>{n}</b>\nis x" for n in range(6)], "Mistakes")
    assert "<script" not in page.html
    assert "<b>0" not in page.html
    assert "⟨U+202E⟩evil" in page.html
    assert 'dir="auto"' in page.html
    assert "\x1b" not in page.text
    assert len(page.html) < 6_000
    assert "nothing to show" in TASK.gallery(examples, [], [], "Mistakes").text


def test_a_page_is_saved_as_a_whole_document(sentences: Callable[..., Examples], tmp_path: Path) -> None:
    page = TASK.gallery(sentences(4), [0], ["good"], "Mistakes")
    page.save(tmp_path / "page.html")
    saved = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert saved.startswith("<!doctype html>")
    assert page.html in saved


def test_lengths_are_shown_with_where_they_are_cut(
    tiny: Callable[..., Any], sentences: Callable[..., Examples]
) -> None:
    recipe, examples = tiny(max_length=8), sentences()
    picture = tunebook.overview(recipe, examples, tunebook.load_model(recipe, examples))
    assert "max_length 8" in picture.text
    assert "lose their end" in picture.text


def test_tables_of_a_hub_dataset_have_class_names_and_only_known_splits() -> None:
    class Names:
        def int2str(self, number: int) -> str:
            return ("no", "yes")[number]

    class Part(dict[str, list[Any]]):
        def __init__(self, **columns: list[Any]) -> None:
            super().__init__(columns)
            self.features = {"text": None, "label": Names(), "other": None}

    part = Part(text=["a", "b"], label=[1, -1], other=[0, 0])
    recipe = tunebook.TextClassification()
    table = _to_table("owner/name", {"train": part, "unsupervised": part}, recipe)
    assert table.to_dict("records") == [{"label": "yes", "text": "a", "id": "train-0", "split": "train"}]
    assert "'unsupervised' was left out" in table.attrs["notes"][1]
    assert "1 examples" in table.attrs["notes"][0]
    with pytest.raises(DataError, match="did you mean 'text'"):
        _to_table("owner/name", {"train": part}, recipe.changed(text="texts"))
    with pytest.raises(DataError, match="none of its splits"):
        _to_table("owner/name", {"odd": part}, recipe)
