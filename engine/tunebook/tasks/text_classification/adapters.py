"""LoRA: small matrices beside a layer's own, trained in its place and added to it in the end."""

from __future__ import annotations

import copy
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from torch import nn

from tunebook.checkpoints import save_tensors
from tunebook.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tunebook.tasks.text_classification.recipe import TextClassification

#: What adapted modules have in their parameters' names.
MARK = ".lora_"
_NAME = "default"


def add_lora(module: nn.Module, layers: Sequence[str], recipe: TextClassification) -> None:
    """
    Put LoRA's matrices [1]_ beside every linear module of the layers, in place.

    Parameters
    ----------
    module
        A model of transformers.
    layers
        Names of the parameters of its layers.
    recipe
        Its ``lora_rank``, ``lora_alpha`` and ``seed``.

    Raises
    ------
    ModelError
        The package peft is not installed, or there is no linear module.

    References
    ----------
    .. [1] Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022.
    """
    if find_spec("peft") is None:
        raise ModelError("adapter='lora' needs the package peft: pip install 'tunebook[lora]', or set adapter='none'")
    from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415 - heavy, and an extra
    from transformers.pytorch_utils import Conv1D  # noqa: PLC0415

    owners = {name.rpartition(".")[0] for name in layers}
    targets = sorted(name for name in owners if isinstance(module.get_submodule(name), (nn.Linear, Conv1D)))
    if not targets:
        raise ModelError("adapter='lora': this model's layers have no linear module; set adapter='none'")
    transposed = any(isinstance(module.get_submodule(name), Conv1D) for name in targets)
    # A rate above 0 makes the place for dropout; the recipe's own is set with the other rates.
    config = LoraConfig(
        r=recipe.lora_rank, lora_alpha=recipe.lora_alpha, lora_dropout=0.1, target_modules=targets,
        fan_in_fan_out=transposed, task_type="SEQ_CLS",
    )  # fmt: skip
    inject_adapter_in_model(config, module, adapter_name=_NAME)


def adapter_places(module: nn.Module) -> list[str]:
    """Return the names of LoRA's dropout modules."""
    return [name for name, part in module.named_modules() if isinstance(part, nn.Dropout) and ".lora_dropout." in name]


def merge_lora(module: nn.Module) -> None:
    """Add LoRA's matrices to the weights that they stand beside, and take them away."""
    from peft.tuners.lora import LoraLayer  # noqa: PLC0415

    for name, part in [(n, p) for n, p in module.named_modules() if isinstance(p, LoraLayer)]:
        merged: Any = part
        merged.merge()
        parent, _, last = name.rpartition(".")
        setattr(module.get_submodule(parent), last, merged.get_base_layer())
    if hasattr(module, "peft_config"):
        del module.peft_config


def save_lora(module: nn.Module, folder: Path, base: str, head: Sequence[str]) -> None:
    """
    Write the adapter as peft does: ``adapter_model.safetensors`` and ``adapter_config.json``.

    Parameters
    ----------
    module
        A model with LoRA.
    folder
        Where to; made here.
    base
        Name of the model that the adapter stands beside.
    head
        Names of the head's parameters, which are trained and saved whole.
    """
    from peft import get_peft_model_state_dict  # noqa: PLC0415

    folder.mkdir()
    configs: Any = module.peft_config
    config = copy.deepcopy(configs[_NAME])
    config.base_model_name_or_path = base
    config.modules_to_save = _outermost(module, head)
    config.inference_mode = True
    state = get_peft_model_state_dict(module, adapter_name=_NAME, save_embedding_layers=False)
    state |= {name: module.get_parameter(name).detach() for name in head}
    whole = {f"base_model.model.{name}": value for name, value in state.items()}
    save_tensors(whole, folder / "adapter_model.safetensors")
    config.save_pretrained(folder)


def _outermost(module: nn.Module, parameters: Sequence[str]) -> list[str]:
    """Return the names of the outermost modules that have none but the given parameters."""
    given = set(parameters)
    found: list[str] = []
    for name, part in module.named_modules():
        own = {f"{name}.{inner}" for inner, _ in part.named_parameters()}
        if name and own and own <= given and not any(name.startswith(f"{outer}.") for outer in found):
            found.append(name)
    return found


def with_lora(module: nn.Module, groups: Sequence[Sequence[str]]) -> tuple[list[list[str]], list[str], dict[str, str]]:
    """
    Return the stages' parameters as they are called beside LoRA.

    Parameters
    ----------
    module
        After :func:`add_lora`.
    groups
        Names of the parameters of each stage before it; the last one is the head.

    Returns
    -------
    tuple
        The groups, those of their parameters that never train, and for each renamed or new parameter
        the name of the one that it is or stands beside, by which patterns find it.
    """
    names = [name for name, _ in module.named_parameters()]
    aliases = {name: name.replace(".base_layer.", ".") for name in names if ".base_layer." in name}
    aliases |= {name: f"{name.partition(MARK)[0]}.weight" for name in names if MARK in name}
    stage = {name: k for k, group in enumerate(groups) for name in group}
    found: list[list[str]] = [[] for _ in groups]
    for name in names:
        found[stage[aliases.get(name, name)]].append(name)
    return found, [name for group in found[:-1] for name in group if MARK not in name], aliases
