"""The outline of a model holds every parameter once, in the stage that freezes it, and is small."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from torch import nn

from tunebook.dropout import DropoutSite, DropoutSites
from tunebook.stages import Stages
from tunebook.structure import CONTAINER, PARAMETER, ModelOutline, outline
from tunebook.tasks import get_task, recipe_class
from tunebook.tasks.base import Model

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny_models

if TYPE_CHECKING:
    from collections.abc import Sequence

PICTURES = ("test_efficientnet", "test_resnet", "test_vit", "test_convnext", "test_byobnet")
TEXTS = ("bert", "distilbert", "deberta-v2", "albert", "gpt2", "t5")
LORA = {"adapter": "lora"}


def load(tmp_path: Path, name: str, **changes: Any) -> Model:
    """Load a small model of either task with random weights."""
    if name in TEXTS:
        recipe = recipe_class("text-classification")(
            model=str(tiny_models.make_tiny(tmp_path, name)), weights="none", max_length=16, **changes
        )
    else:
        recipe = recipe_class("image-classification")(model=name, weights="none", image_size=32, **changes)
    found: Model = get_task(recipe.task).load_model(recipe, ["a", "b", "c"])
    return found


def plain_model(module: nn.Module, groups: Sequence[Sequence[str]], sites: Sequence[DropoutSite] = ()) -> Model:
    """Wrap a torch module whose stages are given."""
    return Model(module, "", "", Stages(module, groups), DropoutSites(module, list(sites)), "", None)  # type: ignore[arg-type]


def children(nodes: ModelOutline, node: int) -> list[int]:
    """Return the numbers of the nodes right below one."""
    found = []
    for other in range(node + 1, len(nodes)):
        if nodes.depths[other] <= nodes.depths[node]:
            break
        if nodes.depths[other] == nodes.depths[node] + 1:
            found.append(other)
    return found


def rebuilt_paths(data: dict[str, Any]) -> list[str]:
    """Make the paths from what the JSON holds, as a front end does."""
    above: list[str] = []
    found = []
    for place, depth in zip(data["names"], data["depths"], strict=True):
        above = [*above[:depth], data["words"][place]]
        found.append(".".join(above[1:]))
    return found


@pytest.mark.parametrize("name", [*PICTURES, *TEXTS])
def test_every_parameter_is_counted_once_and_in_its_stage(tmp_path: Path, name: str) -> None:
    model = load(tmp_path, name)
    nodes = outline(model)
    assert nodes.parameters[0] == sum(p.numel() for p in model.module.parameters())
    by_stage = [0] * len(model.stages)
    for node, stage in enumerate(nodes.stages):
        below = children(nodes, node)
        if stage == CONTAINER:
            # Nothing of a container is outside of the nodes below it.
            assert nodes.parameters[node] == sum(nodes.parameters[other] for other in below)
            assert below
        else:
            assert {nodes.stages[other] for other in below} <= {stage}
            parent = max((k for k in range(node) if nodes.depths[k] == nodes.depths[node] - 1), default=-1)
            by_stage[stage] += nodes.parameters[node] if parent < 0 or nodes.stages[parent] == CONTAINER else 0
    assert by_stage == [stage.size for stage in model.stages.items]


@pytest.mark.parametrize("name", [*PICTURES, *TEXTS])
def test_every_dropout_site_is_there_with_the_stage_it_is_frozen_with(tmp_path: Path, name: str) -> None:
    model = load(tmp_path, name)
    nodes = outline(model)
    found = {(path, kind) for path, kinds in zip(nodes.paths, nodes.sites, strict=True) for kind in kinds}
    assert found == {(site.module_name, site.kind) for site in model.dropout.sites}
    for path, stage, kinds in zip(nodes.paths, nodes.stages, nodes.sites, strict=True):
        if kinds and stage != CONTAINER:
            assert stage == model.stages.stage_of(path)


@pytest.mark.parametrize(("name", "changes"), [("test_vit", {}), ("test_efficientnet", {}), ("bert", LORA)])
def test_paths_name_what_is_there_and_follow_from_the_json(tmp_path: Path, name: str, changes: dict[str, Any]) -> None:
    model = load(tmp_path, name, **changes)
    nodes = outline(model)
    data = json.loads(json.dumps(nodes.to_json()))
    assert rebuilt_paths(data) == list(nodes.paths)
    assert [data["words"][place] for place in data["kinds"]] == list(nodes.kinds)
    assert [data["words"][place] for place in data["stage_names"]] == model.stages.names
    assert [(node, data["words"][place]) for node, place in data["sites"]] == [
        (node, kind) for node, kinds in enumerate(nodes.sites) for kind in kinds
    ]
    assert len(set(data["words"])) == len(data["words"])
    for path, kind in zip(nodes.paths, nodes.kinds, strict=True):
        if kind != PARAMETER:
            assert type(model.module.get_submodule(path)).__name__ == kind


def test_what_a_container_has_itself_is_a_node_that_a_glob_can_freeze(tmp_path: Path) -> None:
    model = load(tmp_path, "test_vit")
    nodes = outline(model)
    own = [path for path, kind in zip(nodes.paths, nodes.kinds, strict=True) if kind == PARAMETER]
    assert set(own) == {name for name, _ in model.module.named_parameters(recurse=False)}
    assert own
    assert set(own) <= model.stages.frozen_by(own)


def test_parts_with_nothing_to_set_are_left_out_and_those_above_a_site_are_not() -> None:
    drops = nn.ModuleDict({"drop": nn.Dropout(0.5)})
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), drops, nn.Linear(3, 2))
    sites = [DropoutSite("2.drop", "p", "inner")]
    nodes = outline(plain_model(module, [["0.weight", "0.bias"], ["3.weight", "3.bias"]], sites))
    assert nodes.paths == ("", "0", "2", "2.drop", "3")
    assert nodes.stages == (CONTAINER, 0, 1, 1, 1)  # what drops after the last backbone parameter belongs to the head
    assert nodes.sites == ((), (), (), ("inner",), ())
    assert nodes.parameters == (17, 9, 0, 0, 8)


def test_a_weight_that_modules_share_counts_in_the_first() -> None:
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False), nn.Linear(3, 2, bias=False))
    module[1].weight = module[0].weight
    nodes = outline(plain_model(module, [["0.weight"], ["2.weight"]]))
    assert dict(zip(nodes.paths, nodes.parameters, strict=True)) == {"": 15, "0": 9, "2": 6}


def test_1500_modules_take_little_time_and_room() -> None:
    blocks = [
        nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Dropout(0.1), nn.Linear(4, 4), nn.LayerNorm(4))
        for _ in range(250)
    ]
    module = nn.Sequential(*blocks, nn.Linear(4, 2))
    groups = [[f"{k}.{name}" for name, _ in block.named_parameters()] for k, block in enumerate(blocks)]
    sites = [DropoutSite(f"{k}.2", "p", "inner") for k in range(len(blocks))]
    model = plain_model(module, [*groups, ["250.weight", "250.bias"]], sites)
    seconds = []
    for _ in range(5):
        started = time.process_time()
        nodes = outline(model)
        seconds.append(time.process_time() - started)
    assert len(nodes) == 1_502
    assert min(seconds) < 0.05
    assert len(json.dumps(nodes.to_json())) < 100_000
