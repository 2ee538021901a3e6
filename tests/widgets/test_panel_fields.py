"""Controls come from the recipe's schema, refuse in words and go back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.errors import RecipeError
from tunebook.recipe import Recipe
from tunebook.tasks import TASKS, recipe_class
from tunebook_widgets import ControlPanel
from tunebook_widgets.fields import Field, fields
from tunebook_widgets.hands import read_freeze
from tunebook_widgets.regularisation import DropoutTable
from tunebook_widgets.schedule import lr_curve, lr_drawing

sys.path.insert(0, str(Path(__file__).parent))
from panel_parts import small_examples, small_model, small_recipe

if TYPE_CHECKING:
    from tunebook_widgets.view import PanelView


class NoCost:
    def estimate(self, recipe: Recipe) -> Any:
        raise NotImplementedError


def make_view(**values: Any) -> PanelView:
    panel = ControlPanel(small_recipe(**values), small_model(), small_examples(), NoCost())  # type: ignore[arg-type]
    panel._cost = None
    return panel._view


@pytest.mark.parametrize("task", TASKS)
def test_every_field_of_the_pages_has_a_control_with_bounds_and_help(task: str) -> None:
    found = fields(recipe_class(task))
    names = {f.name for group in ("Regularisation", "Schedule") for f in found[group]}
    schema = recipe_class(task).model_json_schema()["properties"]
    assert names == {n for n, node in schema.items() if node["group"] in ("Regularisation", "Schedule")}
    assert all(f.help for group in found.values() for f in group)
    lr = next(f for f in found["Schedule"] if f.name == "lr")
    assert (lr.kind, lr.low, lr.low_is_open, lr.high, lr.is_logarithmic) == ("number", 0.0, True, 10.0, True)
    assert next(f for f in found["Schedule"] if f.name == "schedule").choices == ("cosine", "linear", "constant")


@given(st.sampled_from([f for t in TASKS for g in fields(recipe_class(t)).values() for f in g]), st.data())
def test_a_slider_shows_every_value_that_is_allowed(field: Field, data: st.DataObject) -> None:
    if field.kind not in ("number", "integer"):
        return
    low = max(field.low, -1e9) + (1e-6 if field.low_is_open else 0.0)
    high = min(field.high, 1e9) - (1e-6 if field.high_is_open else 0.0)
    value = data.draw(st.floats(low, high))
    ends = field.slider_range(value)
    assert ends[0] < ends[1]
    assert ends[2] > 0
    assert field.is_logarithmic or ends[1] <= field.high


def test_parameters_of_dropout_are_found_by_what_they_set() -> None:
    table = DropoutTable(small_recipe(), small_model())
    assert table.kinds == {"dropout": "head", "inner_dropout": "inner", "stochastic_depth": "depth"}
    assert table.parameters == ("dropout", "stochastic_depth")
    assert not table.has_place("inner_dropout")
    assert table.has_place("lr")
    assert table.rate(small_recipe(), "head") == 0.1
    rates = {site.path: site.rate for site in table.sites(small_recipe(stochastic_depth=0.3))}
    assert rates["blocks.2.0.2"] == pytest.approx(0.2)
    assert table.everywhere(0.4) == {"dropout": 0.4, "stochastic_depth": 0.4}
    assert table.common(small_recipe(dropout=0.4, stochastic_depth=0.4)) == 0.4
    assert table.common(small_recipe(dropout=0.4)) is None


def hand(view: PanelView, **message: Any) -> dict[str, Any]:
    """Do what a hand does in the front end, and return what it gets to hear."""
    sent: list[dict[str, Any]] = []
    view.widget.send = sent.append
    view.widget._handle_custom_msg(message, [])
    return sent[-1] if sent else {}


def row(view: PanelView, name: str) -> dict[str, Any]:
    found: dict[str, Any] = view.widget.form["rows"][name]
    return found


def test_a_refused_value_is_told_beside_the_control_which_shows_what_is_in_force() -> None:
    view = make_view()
    heard = hand(view, part="form", do="set", name="epochs", value=-3)
    assert (heard["part"], heard["of"]) == ("form", "epochs")
    assert "epochs" in heard["refused"]
    assert row(view, "epochs")["value"] == view.panel.recipe.epochs == 4
    assert hand(view, part="form", do="set", name="epochs", value=7)["refused"] == ""
    assert row(view, "epochs")["value"] == view.panel.recipe.epochs == 7


@pytest.mark.parametrize("value", ["0,3", "abc", "", "1e999", True, [0.3], {"rate": 0.3}])
def test_what_is_no_number_is_refused_in_one_line(value: object) -> None:
    view = make_view()
    before = view.panel.recipe
    heard = hand(view, part="form", do="set", name="dropout", value=value)
    assert heard["refused"]
    assert "\n" not in heard["refused"]
    assert view.panel.recipe is before


def test_one_rate_for_all_sets_every_kind_that_the_model_has_and_its_default_gives_back_the_model_s_own() -> None:
    view = make_view()
    hand(view, part="form", do="all_dropout", name="all_dropout", value=0.3)
    recipe = view.panel.recipe
    assert (recipe.dropout, recipe.stochastic_depth, recipe.inner_dropout) == (0.3, 0.3, None)
    hand(view, part="form", do="all_dropout", name="all_dropout", value=None)
    recipe = view.panel.recipe
    assert (recipe.dropout, recipe.stochastic_depth, recipe.inner_dropout) == (None, None, None)
    shown = row(view, "dropout")
    assert (shown["value"], shown["shown"], shown["note"]) == (None, pytest.approx(0.1), "the model's own")
    assert row(view, "inner_dropout")["off"]


def test_a_rate_that_the_model_was_loaded_with_is_not_taken_for_its_own() -> None:
    model = small_model()
    model.dropout.apply({"head": 0.6})
    panel = ControlPanel(small_recipe(dropout=0.6), model, small_examples(), NoCost())  # type: ignore[arg-type]
    panel.change(dropout=None)
    assert panel.dropout.rate(panel.recipe, "head") == 0.1


def test_messages_of_the_parts_change_the_recipe_and_nonsense_is_answered() -> None:
    view = make_view()
    hand(view, part="layers", do="preset", name="none")
    assert view.panel.recipe.freeze == "none"
    assert "blokcs" in hand(view, part="layers", do="glob", text="blokcs.*", phase=0)["refused"]
    hand(view, part="classes", do="weight", parameter="sampler", **{"class": 2}, value=3)
    assert view.panel.recipe.sampler == {"ape": 1.0, "bee": 1.0, "cat": 3.0}
    assert (
        "sampler" in hand(view, part="classes", do="weight", parameter="sampler", **{"class": 2}, value=-3)["refused"]
    )
    for nonsense in (
        {"do": "train"},
        {"do": "train", "rows": 3, "phase": 0, "trains": True},
        {"do": "decay", "value": []},
        {"do": "set", "name": "runs_dir", "value": "/"},
        {"do": "strategy", "parameter": "lr", "name": "none"},
    ):
        assert hand(view, **nonsense)["refused"]
    assert hand(view, do="format the disk") == {}
    assert hand(view, part="layers", do="preview", text="blocks.*")["preview"] == "stem + head would train"


@pytest.mark.parametrize(
    ("text", "freeze"),
    [(" none ", "none"), ("backbone", "backbone"), ("-2", -2), ("3", 3), ("a.*, b.c d", ["a.*", "b.c", "d"])],
)
def test_what_is_typed_is_read_as_a_freeze(text: str, freeze: object) -> None:
    assert read_freeze(text) == freeze


@given(st.text(max_size=30))
def test_any_text_is_a_freeze_or_refused(text: str) -> None:
    try:
        Recipe(freeze=read_freeze(text))
    except RecipeError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_curve_is_that_of_training(schedule: str) -> None:
    recipe = small_recipe(schedule=schedule, batch_size=2, epochs=50, warmup=0.2, lr=0.01)
    curve = lr_curve(recipe, 14)
    assert curve[0, 0] == 0.0
    assert curve[-1, 0] == pytest.approx(50 - 1 / 7)
    assert curve[:, 1].max() == pytest.approx(0.01)
    assert len(curve) <= 161
    assert (curve[:, 1] > 0).all()


@pytest.mark.parametrize("marks", [[], [(1, "blocks.2 + head")], [(k, f"stage {k}") for k in range(1, 40)]])
def test_every_phase_has_its_mark_and_words_where_there_is_room(marks: list[tuple[int, str]]) -> None:
    drawing = lr_drawing(small_recipe(epochs=40), 14, marks)
    assert drawing.count("tunebook-lr-mark") == len(marks)
    assert ">blocks.2 + head</text>" in drawing or len(marks) != 1
    assert drawing.endswith("</svg>")


def test_a_plan_of_one_phase_is_shown_and_reached() -> None:
    assert make_view(unfreeze=[]).panel.recipe.unfreeze == []
    view = make_view()
    hand(view, part="layers", do="remove", phase=1)
    assert len(view.widget.layers["phases"]) == 1
    assert "tunebook-lr-mark" not in view.widget.form["curve"]


def test_drawings_escape_what_comes_from_a_model() -> None:
    assert "<img" not in lr_drawing(small_recipe(), 14, [(1, "<img src=x onerror=alert(1)>")])
