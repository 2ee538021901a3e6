"""timm models are had without running anything from their files, and a saved folder gives the same model."""

from __future__ import annotations

import json
import os
import pickle
import socket
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tunebook.checkpoints import save_tensors
from tunebook.errors import ModelError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tunebook.hub import hub_or_cache
    from tunebook.tasks.image_classification.models import load_model
    from tunebook.weights import fingerprint, read_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakeRecipe = Callable[..., Any]

CLASSES = ("a", "b", "c")
TINY = ("test_efficientnet", "test_vit", "test_resnet")


@pytest.fixture
def tiny(recipe: MakeRecipe) -> Callable[..., Any]:
    """Make a recipe of a tiny model with random weights."""

    def make(model: str = "test_efficientnet", **values: Any) -> Any:
        return recipe(**{"model": model, "weights": "none", "image_size": 64, **values})

    return make


def save(folder: Path, module: Any, **config: Any) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps({"architecture": "test_efficientnet", "num_classes": 3, "label_names": list(CLASSES), **config})
    )
    save_tensors(module.state_dict(), folder / "model.safetensors")
    return folder


class Trap:
    """What a pickle does when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os.mkdir, (self.path,)


# By name.


@pytest.mark.parametrize("name", TINY)
def test_a_model_has_a_head_for_the_classes(tiny: MakeRecipe, name: str) -> None:
    model = load_model(tiny(name), CLASSES)
    assert (model.name, model.origin, model.head_is_trained) == (name, "random weights", False)
    with torch.no_grad():
        assert model.module.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 3)
    assert model.settings["image_size"] == 64
    assert len(model.settings["mean"]) == len(model.settings["std"]) == 3
    json.dumps(model.settings, allow_nan=False)


def test_the_seed_makes_the_weights(tiny: MakeRecipe) -> None:
    prints = [load_model(tiny(seed=seed), CLASSES).fingerprint for seed in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 64


def test_a_fingerprint_sees_every_tensor(tiny: MakeRecipe) -> None:
    module = load_model(tiny(), CLASSES).module
    before = fingerprint(module)
    next(b for n, b in module.named_buffers() if n.endswith("running_var")).view(-1)[0] += 1e-3
    assert fingerprint(module) != before


@pytest.mark.parametrize("name", TINY)
def test_dropout_sites_follow_the_recipe(tiny: MakeRecipe, name: str) -> None:
    model = load_model(tiny(name, dropout=0.3, stochastic_depth=0.2), CLASSES)
    rates = model.dropout.rates()
    assert rates["head"] == 0.3
    assert rates["depth"] == pytest.approx(0.2)
    depths = [s.factor for s in model.dropout.sites if s.kind == "depth"]
    assert depths == sorted(depths)
    assert depths[-1] == 1.0


def test_without_a_wish_there_is_no_stochastic_depth(tiny: MakeRecipe) -> None:
    assert load_model(tiny(), CLASSES).dropout.rates()["depth"] == 0.0


def test_an_unknown_model_gets_a_suggestion(tiny: MakeRecipe) -> None:
    with pytest.raises(ModelError, match="'resnet5O' is no timm model and no folder here; did you mean 'resnet50'"):
        load_model(tiny("resnet5O"), CLASSES)


# The hub.


@pytest.mark.parametrize("name", ["test_efficientnet", "hf-hub:someone/something", "someone/something"])
def test_without_a_network_the_hub_is_refused_quickly(
    tiny: MakeRecipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    def offline(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"its weights cannot be had from the hub: .*; go online once") as caught:
        load_model(tiny(name, weights="pretrained"), CLASSES)
    assert time.monotonic() - start < 5
    assert "\n" not in str(caught.value)


def test_the_hub_s_settings_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    before = constants.HF_HUB_OFFLINE
    with pytest.raises(ZeroDivisionError), hub_or_cache():
        raise ZeroDivisionError
    assert before == constants.HF_HUB_OFFLINE


# Folders.


def test_a_folder_gives_the_same_model(tiny: MakeRecipe, tmp_path: Path) -> None:
    model = load_model(tiny(), CLASSES)
    folder = save(tmp_path / "saved model ü", model.module)
    again = load_model(tiny(str(folder), weights="pretrained"), CLASSES)
    assert again.fingerprint == model.fingerprint
    assert again.head_is_trained
    assert again.name == "test_efficientnet"
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(again.module.eval()(pixels), model.module.eval()(pixels))


@pytest.mark.parametrize(("classes", "kept"), [(CLASSES, True), (("c", "b", "a"), False), (("a", "b"), False)])
def test_the_head_counts_as_trained_for_the_same_classes_only(
    tiny: MakeRecipe,
    tmp_path: Path,
    classes: tuple[str, ...],
    kept: bool,  # noqa: FBT001
) -> None:
    folder = save(tmp_path / "m", load_model(tiny(), CLASSES).module)
    model = load_model(tiny(str(folder), weights="pretrained"), classes)
    assert model.head_is_trained == kept
    assert model.module.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, len(classes))


def test_a_folder_may_be_taken_without_its_weights(tiny: MakeRecipe, tmp_path: Path) -> None:
    folder = save(tmp_path / "m", load_model(tiny(seed=3), CLASSES).module)
    model = load_model(tiny(str(folder)), CLASSES)
    assert model.origin == "random weights"
    assert not model.head_is_trained


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (None, "no config.json there"),
        ("{", "is not valid JSON"),
        ("[]", "names no architecture that timm has"),
        ('{"architecture": "nonsense"}', r"names no architecture that timm has \(got 'nonsense'\)"),
        ('{"architecture": 3}', r"\(got 3\)"),
        ('{"architecture": "test_resnet"}', "do not fit the model"),
        ('{"architecture": "test_efficientnet", "pretrained_cfg": 3}', "pretrained_cfg"),
        ('{"architecture": "test_efficientnet", "label_names": 3}', "label_names"),
    ],
)
def test_a_damaged_config_is_one_line(tiny: MakeRecipe, tmp_path: Path, config: str | None, words: str) -> None:
    folder = save(tmp_path / "m", load_model(tiny(), CLASSES).module)
    (folder / "config.json").unlink()
    if config is not None:
        (folder / "config.json").write_text(config)
    with pytest.raises(ModelError, match=words) as caught:
        load_model(tiny(str(folder), weights="pretrained"), CLASSES)
    assert "\n" not in str(caught.value)


def test_a_folder_without_weights_is_refused(tiny: MakeRecipe, tmp_path: Path) -> None:
    folder = save(tmp_path / "m", load_model(tiny(), CLASSES).module)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no model\.safetensors there"):
        load_model(tiny(str(folder), weights="pretrained"), CLASSES)


# Checkpoint files.


@pytest.mark.parametrize("wrap", [None, "state_dict", "model", "state_dict_ema"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_plain_pth_file_is_read(tiny: MakeRecipe, tmp_path: Path, wrap: str | None, prefix: str) -> None:
    model = load_model(tiny(seed=5), CLASSES)
    state = {f"{prefix}{k}": v for k, v in model.module.state_dict().items()}
    torch.save(state if wrap is None else {wrap: state, "epoch": 3}, tmp_path / "w.pth")
    again = load_model(tiny(weights=str(tmp_path / "w.pth")), CLASSES)
    assert again.fingerprint == model.fingerprint
    assert again.origin.startswith("checkpoint ")


@pytest.mark.parametrize("how", ["torch", "pickle", "in a dict"])
@pytest.mark.parametrize("name", ["w.pth", "w.bin", "w.safetensors"])
def test_a_pickle_is_not_opened(tiny: MakeRecipe, tmp_path: Path, how: str, name: str) -> None:
    trap = Trap(tmp_path / "sprung")
    file = tmp_path / name
    if how == "pickle":
        file.write_bytes(pickle.dumps(trap))
    else:
        torch.save(trap if how == "torch" else {"state_dict": {"w": torch.ones(1)}, "x": trap}, file)
    with pytest.raises(ModelError, match=r"w\.(pth|bin|safetensors)") as caught:
        load_model(tiny(weights=str(file)), CLASSES)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()
    # The trap is a real one.
    if how == "pickle":
        pickle.loads(file.read_bytes())  # noqa: S301
        assert (tmp_path / "sprung").is_dir()


def test_a_pickle_in_a_model_folder_is_not_opened(tiny: MakeRecipe, tmp_path: Path) -> None:
    folder = save(tmp_path / "m", load_model(tiny(), CLASSES).module)
    (folder / "model.safetensors").unlink()
    torch.save({"w": Trap(tmp_path / "sprung")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="holds pickled objects or is damaged, and is not opened"):
        load_model(tiny(str(folder), weights="pretrained"), CLASSES)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.99])
def test_a_damaged_file_is_one_line(tiny: MakeRecipe, tmp_path: Path, name: str, part: float) -> None:
    state = load_model(tiny(), CLASSES).module.state_dict()
    file = tmp_path / name
    if name.endswith("pth"):
        torch.save(state, file)
    else:
        save_tensors(state, file)
    raw = file.read_bytes()
    file.write_bytes(raw[: int(part * len(raw))])
    with pytest.raises(ModelError) as caught:
        read_weights(file)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("value", [{}, {"a": 1}, [torch.ones(1)], torch.ones(1), {"model": {"a": "x"}}])
def test_a_file_without_a_table_of_tensors_is_refused(tmp_path: Path, value: Any) -> None:
    torch.save(value, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="holds no plain table of tensors"):
        read_weights(tmp_path / "w.pth")


def test_a_file_that_is_not_there_is_refused(tiny: MakeRecipe) -> None:
    with pytest.raises(ModelError, match=r"no such file; give a .safetensors or .pth file"):
        load_model(tiny(weights="nowhere.pth"), CLASSES)


def test_weights_of_another_model_are_refused(tiny: MakeRecipe, tmp_path: Path) -> None:
    save_tensors({"x": torch.ones(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"do not fit the model: 'conv_stem.weight' is missing or has another shape"):
        load_model(tiny(weights=str(tmp_path / "w.safetensors")), CLASSES)
