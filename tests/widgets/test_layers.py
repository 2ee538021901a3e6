"""Rows of the layer view, and freezes written as short as they can be."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.errors import RecipeError
from tunebook.structure import outline
from tunebook_widgets.freezing import Plan, named
from tunebook_widgets.layers import LayerTable

sys.path.insert(0, str(Path(__file__).parent))
from panel_parts import small_model, small_recipe

MODEL = small_model()
STAGES = MODEL.stages
TABLE = LayerTable(outline(MODEL), STAGES)
NAMES = [name for stage in STAGES.items for name in stage.parameters]


def test_stages_are_the_outermost_rows_in_order() -> None:
    tops = [label for label, depth in zip(TABLE.labels, TABLE.depths, strict=True) if depth == 0]
    assert tops == STAGES.names
    assert [size for size, depth in zip(TABLE.sizes, TABLE.depths, strict=True) if depth == 0] == [
        stage.size for stage in STAGES.items
    ]


def test_a_stage_of_several_modules_shows_each_by_its_path() -> None:
    stem = TABLE.paths.index("norm")
    assert (TABLE.labels[stem], TABLE.depths[stem], TABLE.stage_of[stem]) == ("norm", 1, 0)


def test_places_that_drop_have_a_row_and_follow_what_is_around_them() -> None:
    site = TABLE.paths.index("blocks.1.0.2")
    assert TABLE.sites[site] == ["depth"]
    assert TABLE.states(STAGES.frozen_by(3))[site] == "0"
    assert TABLE.states(STAGES.frozen_by(1))[TABLE.paths.index("blocks.0.0.2")] == "2"


def test_a_row_in_part_frozen_says_so() -> None:
    states = TABLE.states(STAGES.frozen_by(["blocks.1.0"]))
    assert states[TABLE.paths.index("blocks.1")] == "1"
    assert states[TABLE.paths.index("blocks.1.0")] == "0"
    assert states[TABLE.paths.index("blocks.1.1")] == "2"


def test_every_parameter_belongs_to_one_stage_row_and_rows_beyond_the_table_to_none() -> None:
    tops = [row for row, depth in enumerate(TABLE.depths) if depth == 0]
    found = [name for row in tops for name in TABLE.parameters([row])]
    assert sorted(found) == sorted(NAMES)
    assert TABLE.parameters([-1, 10_000]) == frozenset()


def test_fifteen_hundred_modules_are_few_bytes_and_quick() -> None:
    model = small_model(blocks=25, layers=20)
    table = LayerTable(outline(model), model.stages)
    assert len(table) > 1500
    began = time.perf_counter()
    state = table.state(Plan.of(model.stages, small_recipe(unfreeze=[])), small_recipe())
    text = json.dumps([table.columns(), state], separators=(",", ":"))
    assert time.perf_counter() - began < 0.5
    assert len(text) < 40_000


@pytest.mark.parametrize(
    ("freeze", "short"),
    [
        ("none", "none"),
        (["stem"], 1),
        (2, 2),
        (3, -2),
        (["stem", "blocks.*"], "backbone"),
        (["blocks.1"], ["blocks.1"]),
        (["blocks.0.?"], ["blocks.0"]),
        (["blocks.0.1", "blocks.2.0.0.weight"], ["blocks.0.1", "blocks.2.0.0.weight"]),
    ],
)
def test_a_freeze_is_written_as_short_as_it_can_be(freeze: object, short: object) -> None:
    assert named(STAGES, STAGES.frozen_by(freeze)) == short


def test_nothing_left_to_train_has_no_name() -> None:
    with pytest.raises(RecipeError, match="at least the head"):
        named(STAGES, frozenset(NAMES))


@given(st.sets(st.sampled_from(NAMES), max_size=len(NAMES) - 1))
def test_any_choice_is_written_so_that_the_stages_read_the_same(chosen: set[str]) -> None:
    assert STAGES.frozen_by(named(STAGES, frozenset(chosen))) == chosen


@given(st.sampled_from(range(5)), st.sampled_from([None, 0, 1, 2, 3]), st.sampled_from(range(5)), st.integers(0, 3))
def test_a_plan_changed_by_hand_says_what_was_meant(stage: int, epoch: int | None, other: int, phase: int) -> None:
    plan = Plan.of(STAGES, small_recipe())
    try:
        plan = plan.started(STAGES.items[stage].parameters, epoch)
        plan = plan.trained(STAGES.items[other].parameters, min(phase, len(plan.phases) - 1), trains=True)
    except RecipeError as error:
        assert "at least the head" in str(error)
        return
    recipe = small_recipe(**plan.values())
    assert [p.epoch for p in Plan.of(STAGES, recipe).phases] == [p.epoch for p in plan.phases]
    begins = next(
        e for e in range(4) if not STAGES.frozen_by(recipe.freeze_at(e)) >= set(STAGES.items[other].parameters)
    )
    assert begins <= plan.phases[-1].epoch
    if stage != other:
        for e in range(4):
            frozen = set(STAGES.items[stage].parameters) <= STAGES.frozen_by(recipe.freeze_at(e))
            assert frozen == (epoch is None or e < epoch)
