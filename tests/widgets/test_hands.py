"""A hand on one control changes what that control says and nothing else, and can be taken back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunebook.runs import Run
from tunebook_widgets import ControlPanel
from tunebook_widgets.form import MASTER, Form
from tunebook_widgets.hands import Hands
from tunebook_widgets.history import changed_names

sys.path.insert(0, str(Path(__file__).parent))
from panel_parts import small_examples, small_model, small_recipe

if TYPE_CHECKING:
    from tunebook.recipe import Recipe
    from tunebook_widgets.fields import Field


class Costs:
    """A batch of more than 16 does not fit."""

    def estimate(self, recipe: Recipe) -> Any:
        from types import SimpleNamespace

        fits = recipe.batch_size <= 16
        return SimpleNamespace(fits=fits, change={} if fits else {"batch_size": 16})


#: A panel changes nothing of them.
MODEL, EXAMPLES = small_model(), small_examples()


def make_panel(**values: Any) -> ControlPanel:
    return ControlPanel(small_recipe(**values), MODEL, EXAMPLES, Costs())  # type: ignore[arg-type]


def fields_of_the_pages() -> list[Field]:
    return [field for page in Form(make_panel()).pages.values() for field in page]


FIELDS = {field.name: field for field in fields_of_the_pages()}


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """Draw what a control can send: what its slider gives, what is typed, and what nobody should."""
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "number": st.one_of(st.floats(0.0, 1.2), st.sampled_from([0.3, 0, 1, -1.0, 1e30, "0,3", None])),
        "integer": st.one_of(st.integers(-1, 40), st.sampled_from([2.5, "3", None])),
        "choice": st.sampled_from([*field.choices, "nonsense"]),
        "flag": st.booleans(),
        "text": st.sampled_from(["macro_f1", "loss", "gap", "no such", ""]),
    }
    return kinds[field.kind]


def one(do: str, **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"do": st.just(do), **parts})


ROWS = st.lists(st.integers(0, 32), min_size=1, max_size=3)
PHASE = st.integers(0, 3)
WEIGHED = st.sampled_from(["class_weights", "sampler"])
MESSAGES = st.one_of(
    st.sampled_from(sorted(FIELDS)).flatmap(
        lambda name: one("set", name=st.just(name), value=values_of(FIELDS[name]), drags=st.booleans())
    ),
    one("reset", name=st.sampled_from(sorted(FIELDS))),
    one(MASTER.name, name=st.just(MASTER.name), value=st.one_of(st.none(), st.floats(0.0, 0.95))),
    one("train", rows=ROWS, phase=PHASE, trains=st.booleans()),
    one("start", rows=ROWS, epoch=st.one_of(st.none(), st.integers(0, 5))),
    one("depth", stages=st.integers(0, 5), phase=PHASE),
    one("glob", text=st.sampled_from(["blocks.*", "none", "-2", "stem", "no.such"]), phase=PHASE),
    one("preset", name=st.sampled_from(["gradual", "backbone", "none"])),
    one("add", epoch=st.integers(1, 5)),
    one("move", phase=PHASE, epoch=st.integers(1, 5)),
    one("remove", phase=PHASE),
    one("decay", value=st.floats(0.3, 1.0)),
    one("strategy", parameter=WEIGHED, name=st.sampled_from(["none", "balanced", "effective", "by hand"])),
    one("weight", parameter=WEIGHED, **{"class": st.integers(0, 3), "value": st.floats(-1.0, 4.0)}),
    one("fit"),
    one("defaults"),
)
TURNS = st.one_of(MESSAGES, MESSAGES, MESSAGES, one("undo"), one("redo"))


@settings(max_examples=50, deadline=None)
@given(st.lists(TURNS, min_size=1, max_size=12))
def test_a_hand_on_one_control_changes_what_that_control_is_of_and_nothing_else(turns: list[dict[str, Any]]) -> None:
    panel = make_panel()
    hands, form = Hands(panel), Form(panel)
    for message in turns:
        before = panel.recipe
        may = hands.touches(message)
        answer = hands.act(message)
        assert answer is not None
        changed = changed_names(before, panel.recipe)
        assert changed <= may
        assert not (changed and answer["refused"])
        if message["do"] in ("set", "reset"):
            assert changed <= {message["name"]}
        if changed:
            assert panel.said
        # What is shown is a function of the recipe: showing it asks for nothing.
        shown = panel.recipe
        form.state()
        assert panel.recipe is shown


@settings(max_examples=25, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=8))
def test_undo_goes_all_the_way_back_and_redo_all_the_way_forward(messages: list[dict[str, Any]]) -> None:
    panel = make_panel()
    hands = Hands(panel)
    first = panel.recipe
    for message in messages:
        hands.act(message)
    last = panel.recipe
    while hands.act({"do": "undo"}) == {"refused": ""}:
        pass
    assert panel.recipe == first
    while hands.act({"do": "redo"}) == {"refused": ""}:
        pass
    assert panel.recipe == last


@pytest.mark.parametrize(
    "message",
    [
        {"do": "train", "rows": [0], "phase": 0, "trains": True},
        {"do": "train", "rows": [24], "phase": 1, "trains": False},
        {"do": "preset", "name": "gradual"},
        {"do": "preset", "name": "none"},
        {"do": "strategy", "parameter": "class_weights", "name": "balanced"},
        {"do": "strategy", "parameter": "sampler", "name": "by hand"},
        {"do": "reset", "name": "dropout"},
        {"do": "reset", "name": "epochs"},
        {"do": "all_dropout", "name": "all_dropout", "value": None},
        {"do": "defaults"},
    ],
)
def test_a_second_click_takes_back_the_first(message: dict[str, Any]) -> None:
    panel = make_panel(dropout=0.2, epochs=9, unfreeze=[[1, -2], [2, 1]])
    hands = Hands(panel)
    before = panel.recipe
    hands.act(message)
    assert panel.recipe != before
    # A second click on a circle asks for the opposite, or, before the first was shown, for the same again.
    hands.act({**message, **({"trains": not message["trains"]} if "trains" in message else {})})
    assert panel.recipe == before
    hands.act(message)
    assert panel.recipe != before


def test_typing_a_rate_for_one_kind_of_dropout_leaves_the_others() -> None:
    panel = make_panel()
    Hands(panel).act({"do": "set", "name": "dropout", "value": 0.3})
    assert (panel.recipe.dropout, panel.recipe.dropout_rates()["depth"]) == (0.3, None)
    assert panel.said == "dropout None \N{RIGHTWARDS ARROW} 0.3"


def test_what_a_slider_passes_on_its_way_is_one_change() -> None:
    panel = make_panel()
    hands = Hands(panel)
    for value, drags in ((0.1, True), (0.2, True), (0.35, True), (0.4, False)):
        hands.act({"do": "set", "name": "label_smoothing", "value": value, "drags": drags})
    hands.act({"do": "set", "name": "label_smoothing", "value": 0.5})
    hands.act({"do": "undo"})
    assert panel.recipe.model_dump()["label_smoothing"] == 0.4
    hands.act({"do": "undo"})
    assert panel.recipe == small_recipe()


def test_a_control_that_would_change_another_one_changes_nothing() -> None:
    panel = make_panel()
    before = panel.recipe
    with panel.by_hand("a control", frozenset({"lr"})), pytest.raises(Exception, match="would change epochs too"):
        panel.change(lr=0.5, epochs=9)
    assert panel.recipe is before


def test_all_defaults_leaves_what_the_panel_has_no_control_of() -> None:
    panel = make_panel(data="mine", seed=7, lr=0.5, class_weights={"ape": 2.0})
    Hands(panel).act({"do": "defaults"})
    assert panel.recipe == type(panel.recipe)(data="mine", seed=7)


def test_a_run_under_way_keeps_its_recipe_and_a_second_click_gives_back_what_was_frozen(tmp_path: Path) -> None:
    panel = make_panel()
    run = Run.create(tmp_path, "live", "image-classification")
    run.update(state="running", epochs=4)
    panel.change(lr=0.5)
    panel.attach(run)
    hands = Hands(panel)
    for do in ("undo", "defaults"):
        answer = hands.act({"do": do})
        assert answer is not None
        assert "under way" in answer["refused"]
    click = {"do": "train", "rows": [panel.layers.paths.index("blocks.1.0")], "phase": 0}
    hands.act({**click, "trains": True})
    hands.act({**click, "trains": False})
    assert [request.value for request in run.control.requests()][1] == "backbone"
