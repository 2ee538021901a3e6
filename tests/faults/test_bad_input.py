"""Bad input ends in one line that names the thing and the fix, before a run directory is made."""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
import small_run
import tiny_models

from tunebook.errors import DataError, ModelError, RecipeError, TunebookError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of good and of bad data sets."""
    root = tmp_path_factory.mktemp("bad")
    small_run.make_pictures(root / "good", count=10)
    small_run.make_pictures(root / "empty-class", count=4)
    (root / "empty-class" / "yellow").mkdir()
    small_run.make_pictures(root / "one", count=10)
    for name in ("red", "green"):
        for file in (root / "one" / name).iterdir():
            file.unlink()
        (root / "one" / name).rmdir()
    small_run.make_pictures(root / "unreadable", count=6)
    (root / "unreadable" / "red" / "0.png").write_bytes(b"no picture")
    small_run.make_pictures(root / "huge", count=6)
    Image.new("1", (13_000, 13_000)).save(root / "huge" / "red" / "0.png")
    rows = [f"good/{c}/{k}.png,{c}" for c in small_run.CLASSES for k in range(10)]
    (root / "good.csv").write_text("\n".join(["path,label", *rows]))
    (root / "gaps.csv").write_text("\n".join(["path,label", *rows, "good/red/0.png,"]))
    (root / "pickled.pth").write_bytes(b"\x80\x04cos\nsystem\n(S'touch /tmp/tunebook-was-here'\ntR.")
    (root / "damaged.safetensors").write_bytes(b"\xff" * 64)
    return root


BAD: dict[str, tuple[dict[str, Any], type[TunebookError], list[str]]] = {
    "unknown parameter": ({"learning_rate": 0.1}, RecipeError, ["learning_rate"]),
    "misspelt parameter": ({"epoch": 1}, RecipeError, ["'epoch'", "did you mean 'epochs'"]),
    "hostile parameter name": ({"x=1\nimport os": 1}, RecipeError, ["unknown parameter"]),
    "wrong type": ({"epochs": "three"}, RecipeError, ["epochs", "whole number"]),
    "not a number": ({"lr": math.nan}, RecipeError, ["lr", "finite"]),
    "out of range": ({"dropout": 1.5}, RecipeError, ["dropout", "below 1"]),
    "missing folder": ({"data": "{}/nowhere"}, DataError, ["nowhere", "no such folder"]),
    "empty class": ({"data": "{}/empty-class"}, DataError, ["yellow", "empty"]),
    "one class": ({"data": "{}/one"}, DataError, ["only one class", "blue"]),
    "unreadable picture": ({"data": "{}/unreadable", "on_problem": "stop"}, DataError, ["unreadable", "red/0.png"]),
    "huge picture": ({"data": "{}/huge", "on_problem": "stop"}, DataError, ["too large", "red/0.png"]),
    "missing column": ({"data": "{}/good.csv", "label": "lable"}, DataError, ["'lable'", "did you mean 'label'"]),
    "missing labels": ({"data": "{}/gaps.csv"}, DataError, ["no label", "row 31"]),
    "unknown model": ({"data": "{}/good", "model": "resnet5o"}, ModelError, ["resnet5o", "did you mean"]),
    "no network": ({"data": "{}/good", "model": "hf-hub:timm/none-such", "weights": "pretrained"}, ModelError, ["hub"]),
    "damaged weights": ({"data": "{}/good", "weights": "{}/damaged.safetensors"}, ModelError, ["damaged.safetensors"]),
    "pickled weights": ({"data": "{}/good", "weights": "{}/pickled.pth"}, ModelError, ["pickled", "safetensors"]),
    "unknown class weight": ({"data": "{}/good", "class_weights": {"rde": 2.0}}, RecipeError, ["'rde'", "'red'"]),
    "freeze beyond the model": ({"data": "{}/good", "freeze": 99}, RecipeError, ["freeze=99", "stages"]),
}


def _rows(*rows: tuple[str, str], split: str = "") -> str:
    head = "text,label,split" if split else "text,label"
    return "\n".join([head, *(",".join([*row, *([split] if split else [])]) for row in rows)]) + "\n"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of good and of bad tables of texts, and of models."""
    root = tmp_path_factory.mktemp("texts") / "made"
    table = small_run.make_texts(root, count=10)
    good = table.read_text()
    (root / "one.csv").write_text(_rows(*[(f"the film {k}", "good") for k in range(9)]))
    (root / "empty.csv").write_text(good + '" ",good\n')
    (root / "latin.csv").write_bytes(good.encode() + "café,good\n".encode("latin-1"))
    words = [(f"the film {k} is good", "good" if k % 2 else "bad") for k in range(20)]
    numbers = [(f"a plot {k} is good", str(k % 2)) for k in range(20)]
    (root / "mixed.csv").write_text(_rows(*words, split="train") + _rows(*numbers, split="test").partition("\n")[2])
    (root / "stray.csv").write_text(good + '"well, so",good\n"stray,good\nto "the" end,bad\n')
    (root / "workbook.csv").write_bytes(b"PK\x03\x04" + b"\0" * 99)
    (root / "words.jsonl").write_text('{"text": ["a", "film"], "label": "good"}\n')
    (root / "mapping.jsonl").write_text('{"text": "a film", "label": {"good": 1}}\n')
    (root / "numbers.csv").write_text(_rows(*[(f"the film {k} is rated", f"{k / 8:.3f}") for k in range(1, 60, 2)]))
    hidden = [(f"an actor {k} is good", "-1") for k in range(9)]
    (root / "hidden.csv").write_text(_rows(*numbers, split="train") + _rows(*hidden, split="test").partition("\n")[2])
    (root / "testing.csv").write_text(_rows(*words, split="test"))
    (root / "twice.csv").write_text(good + "the film is very good,good\nthe film is very good,bad\n")
    tiny_models.make_tiny(root / "own-code", "bert")
    config = json.loads((root / "own-code" / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (root / "own-code" / "config.json").write_text(json.dumps(config))
    tiny_models.make_tiny(root / "other-words", "bert")
    tiny_models.tiny_tokenizer([f"w{k}" for k in range(99)]).save_pretrained(root / "other-words")
    (root / "pickled").mkdir()
    shutil.copytree(root / "model", root / "pickled", dirs_exist_ok=True)
    (root / "pickled" / "model.safetensors").unlink()
    (root / "pickled" / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'touch /tmp/tunebook-was-here'\ntR.")
    return root


BAD_TEXTS: dict[str, tuple[dict[str, Any], type[TunebookError], list[str]]] = {
    "parameter of pictures": ({"image_size": 64}, RecipeError, ["unknown parameter 'image_size'"]),
    "missing table": ({"data": "{}/nowhere.csv"}, DataError, ["nowhere.csv", "no such"]),
    "a folder": ({"data": "{}"}, DataError, ["is a folder; give a table file (.csv"]),
    "missing column": ({"text": "txet"}, DataError, ["'txet'", "did you mean 'text'"]),
    "one class": ({"data": "{}/one.csv"}, DataError, ["only one class", "good"]),
    "empty text": ({"data": "{}/empty.csv", "on_problem": "stop"}, DataError, ["empty", "row-31"]),
    "two labels": ({"data": "{}/twice.csv", "on_problem": "stop"}, DataError, ["two labels", "row-31", "row-32"]),
    "not UTF-8": ({"data": "{}/latin.csv"}, DataError, ["latin.csv", "line 32 is not UTF-8", "iconv"]),
    "stray quote": ({"data": "{}/stray.csv"}, DataError, ["line 33", "followed by letters", "double the quotes"]),
    "a workbook": ({"data": "{}/workbook.csv"}, DataError, ["Excel workbook; unpack it, or save the sheet as CSV"]),
    "lists of words": ({"data": "{}/words.jsonl"}, DataError, ["column 'text', row 1: it is a list"]),
    "a mapping": ({"data": "{}/mapping.jsonl"}, DataError, ["column 'label', row 1: it is a mapping"]),
    "numbers to predict": ({"data": "{}/numbers.csv"}, DataError, ["numbers to be predicted", "cut the numbers"]),
    "hidden labels": ({"data": "{}/hidden.csv"}, DataError, ["the test split is empty", "as if it were hidden"]),
    "no training": ({"data": "{}/testing.csv"}, DataError, ["no example is for training"]),
    "numbers and words": ({"data": "{}/mixed.csv"}, DataError, ["numbers in test", "words in train"]),
    "unknown model": ({"model": "bert-bsae"}, ModelError, ["'bert-bsae'", "cannot be opened"]),
    "no network": ({"model": "owner/none-such"}, ModelError, ["'owner/none-such'", "cannot be opened"]),
    "own code": ({"model": "{}/own-code"}, ModelError, ["code of its own"]),
    "other tokenizer": ({"model": "{}/other-words"}, ModelError, ["tokenizer does not match"]),
    "pickled weights": ({"model": "{}/pickled"}, ModelError, ["pickled"]),
    "too long": ({"max_length": 4_000}, RecipeError, ["max_length", "at most 64"]),
    "no such dropout": ({"model": "{}/model", "lora_dropout": 2.0}, RecipeError, ["lora_dropout", "below 1"]),
    "freeze beyond the model": ({"freeze": 99}, RecipeError, ["freeze=99", "layer.2"]),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_bad_texts_are_refused_in_one_line(
    name: str, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, kind, words = BAD_TEXTS[name]
    given = {k: v.format(texts) if isinstance(v, str) else v for k, v in changes.items()}
    _check_refused("text-classification", texts / "texts.csv", tmp_path / "runs", given, kind, words, monkeypatch)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, kind, words = BAD[name]
    given = {k: v.format(data) if isinstance(v, str) else v for k, v in changes.items()}
    _check_refused("image-classification", data / "good", tmp_path / "runs", given, kind, words, monkeypatch)


def _check_refused(
    task: str, good: Path, runs: Path, changes: dict[str, Any], kind: type[TunebookError], words: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import socket

    import tunebook

    def no_network(*_: object, **__: object) -> None:
        msg = "Temporary failure in name resolution"
        raise socket.gaierror(msg)

    def no_question(*_: object) -> str:
        raise AssertionError

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr("builtins.input", no_question)

    def attempt() -> None:
        recipe = small_run.recipe(good, runs, task, **changes)
        examples = tunebook.load_examples(recipe)
        examples = tunebook.check(examples, recipe).resolve(recipe.on_problem)
        model = tunebook.load_model(recipe, examples)
        tunebook.tune(recipe, examples, model).result()

    with pytest.raises(kind) as caught:
        attempt()
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in words), text
    assert not Path("/tmp/tunebook-was-here").exists()  # noqa: S108
    # What is found out only when training begins is told by the run itself.
    for run in runs.glob("*"):
        from tunebook.runs import Run

        assert Run(run).state().state == "failed"
        assert Run(run).state().message == text


def test_odd_texts_are_trained_on_and_hurt_nothing(texts: Path, tmp_path: Path) -> None:
    import pandas as pd

    import tunebook

    rows = pd.read_csv(texts / "texts.csv")
    odd = ["film " * 200_000, "x" * 1_000_000, "\u202etxet\u202c good", "zero\u200bwidth", "\x00"]
    odd.append("<script>alert(1)</script>")
    frame = pd.concat([rows, pd.DataFrame({"text": [*odd, "", "\u200b"], "label": ["good"] * 8})], ignore_index=True)
    frame.to_parquet(tmp_path / "odd.parquet")
    changes = {"data": str(tmp_path / "odd.parquet"), "model": str(texts / "model"), "epochs": 1, "unfreeze": []}
    recipe = small_run.recipe(texts / "texts.csv", tmp_path / "runs", "text-classification", **changes)
    findings = tunebook.check(tunebook.load_examples(recipe), recipe)
    assert findings.dropped() == {"empty": 3}
    kinds = {finding.kind for finding in findings.items}
    assert {"extremely long", "invisible characters"} <= kinds
    examples = findings.resolve("drop")
    page = tunebook.preview(examples, recipe, count=len(examples))
    assert "<script" not in page._repr_mimebundle_()["text/html"]
    run = tunebook.tune(recipe, examples, tunebook.load_model(recipe, examples)).result()
    assert run.state().state == "finished"
    assert "<script" not in (run.path / "README.md").read_text()


def test_bad_pictures_are_dropped_and_counted(data: Path, tmp_path: Path) -> None:
    import tunebook

    for folder, kind in (("unreadable", "unreadable"), ("huge", "too large")):
        recipe = small_run.recipe(data / folder, tmp_path)
        findings = tunebook.check(tunebook.load_examples(recipe), recipe)
        assert findings.dropped() == {kind: 1}
        assert len(findings.resolve("drop")) == 17
