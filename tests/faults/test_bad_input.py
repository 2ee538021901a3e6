"""Bad input ends in one line that names the thing and the fix, before a run directory is made."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
import small_run

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


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    import tunebook

    def no_network(*_: object, **__: object) -> None:
        msg = "Temporary failure in name resolution"
        raise socket.gaierror(msg)

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    changes, kind, words = BAD[name]
    changes = {k: v.format(data) if isinstance(v, str) else v for k, v in changes.items()}

    def attempt() -> None:
        recipe = small_run.recipe(data / "good", tmp_path / "runs", **changes)
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
    for run in (tmp_path / "runs").glob("*"):
        from tunebook.runs import Run

        assert Run(run).state().state == "failed"
        assert Run(run).state().message == text


def test_bad_pictures_are_dropped_and_counted(data: Path, tmp_path: Path) -> None:
    import tunebook

    for folder, kind in (("unreadable", "unreadable"), ("huge", "too large")):
        recipe = small_run.recipe(data / folder, tmp_path)
        findings = tunebook.check(tunebook.load_examples(recipe), recipe)
        assert findings.dropped() == {kind: 1}
        assert len(findings.resolve("drop")) == 17
