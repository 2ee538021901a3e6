"""The panel holds one valid recipe: what a hand may change, what is refused, and what it shows without a front end."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tunebook.errors import RecipeError
from tunebook.runs import Run
from tunebook_widgets import ControlPanel, is_batch
from tunebook_widgets.cost_strip import duration
from tunebook_widgets.live import freeze_in_force

sys.path.insert(0, str(Path(__file__).parent))
from panel_parts import small_examples, small_model, small_recipe

if TYPE_CHECKING:
    from tunebook.recipe import Recipe


@dataclass
class FakeCost:
    """Costs that follow from the batch size alone."""

    asked: list[Any] = field(default_factory=list)

    def estimate(self, recipe: Recipe) -> SimpleNamespace:
        self.asked.append(recipe)
        fits = recipe.batch_size <= 16
        return SimpleNamespace(
            trainable=40, frozen=60, memory=recipe.batch_size * 10**8, memory_limit=2 * 10**9, seconds_epoch=12.0,
            seconds=48.0, saved_seconds=96.0, fits=fits, advice="" if fits else "a batch of 16 would fit",
            change={} if fits else {"batch_size": 16},
        )  # fmt: skip


def make_panel(cost: Any = None, **values: Any) -> ControlPanel:
    return ControlPanel(small_recipe(**values), small_model(), small_examples(), cost or FakeCost())


def row(panel: ControlPanel, path: str) -> int:
    return panel.layers.paths.index(path)


def test_a_change_gives_a_new_valid_recipe_and_tells_its_listeners() -> None:
    panel = make_panel()
    first, told = panel.recipe, []
    panel.listen(lambda: told.append(panel.recipe.lr))
    panel.change(lr=0.01, dropout=0.3)
    assert (panel.recipe.lr, panel.recipe.dropout) == (0.01, 0.3)
    assert first.lr != 0.01
    assert told == [0.01]


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"lr": -1.0}, "lr"),
        ({"leerning": 1}, "leerning"),
        ({"freeze": "block.*.norm"}, "freeze"),
        ({"freeze": ["stem", "blocks.*", "head"]}, "freezes everything"),
        ({"unfreeze": [[1, 99]]}, "99"),
        ({"class_weights": {"dog": 2.0}}, "dog"),
        ({"sampler": {"ape": 0.0, "bee": 0.0, "cat": 0.0}}, "sampler"),
        ({"inner_dropout": 0.2}, "inner_dropout"),
    ],
)
def test_an_impossible_change_is_refused_in_one_line_and_changes_nothing(values: dict[str, Any], word: str) -> None:
    panel = make_panel()
    before = panel.recipe
    with pytest.raises(RecipeError, match=word) as caught:
        panel.change(**values)
    assert "\n" not in str(caught.value)
    assert panel.recipe is before


def test_a_recipe_that_does_not_fit_is_refused_at_once() -> None:
    with pytest.raises(RecipeError, match="stochastic"):
        make_panel(freeze=["stochastic.*"])


def test_unfreezing_a_stage_in_the_first_phase_lets_it_train_in_all() -> None:
    panel = make_panel()
    panel.train([row(panel, "blocks.0")])
    assert panel.recipe.freeze == ["stem", "blocks.1", "blocks.2"]
    assert panel.recipe.unfreeze == [(1, ["stem", "blocks.1"])]


def test_freezing_a_stage_in_the_last_phase_freezes_it_in_all() -> None:
    panel = make_panel()
    panel.train([row(panel, "blocks.2")], 1, trains=False)
    assert (panel.recipe.freeze, panel.recipe.unfreeze) == ("backbone", [])


def test_a_stage_starts_in_the_epoch_that_it_is_given() -> None:
    panel = make_panel()
    panel.start([row(panel, "blocks.1")], 3)
    assert panel.recipe.unfreeze == [(1, -2), (3, 2)]
    panel.start([row(panel, "blocks.2")], None)
    frozen = panel.stages.frozen_by(panel.recipe.freeze_at(9))
    assert set(panel.stages.items[3].parameters) <= frozen
    assert not set(panel.stages.items[2].parameters) & frozen


def test_the_head_cannot_be_frozen_last() -> None:
    panel = make_panel(unfreeze=[])
    with pytest.raises(RecipeError, match="at least the head"):
        panel.train([row(panel, "head")], trains=False)


def test_gradual_begins_with_the_head_and_ends_with_the_whole_model() -> None:
    panel = make_panel()
    panel.preset("gradual")
    assert panel.recipe.freeze == "backbone"
    assert panel.recipe.unfreeze[-1] == (3, "none")
    with pytest.raises(RecipeError, match="two epochs"):
        make_panel(epochs=1, unfreeze=[]).preset("gradual")


def test_phases_are_added_moved_and_taken_out() -> None:
    panel = make_panel()
    panel.set_plan(panel.plan.extended(2))
    assert panel.recipe.unfreeze == [(1, -2), (2, 2)]
    panel.set_plan(panel.plan.moved(2, 3))
    assert panel.recipe.unfreeze == [(1, -2), (3, 2)]
    with pytest.raises(RecipeError, match="cannot begin"):
        panel.set_plan(panel.plan.moved(1, 3))
    panel.set_plan(panel.plan.without(1))
    assert panel.recipe.unfreeze == [(3, 2)]


def test_the_cell_gives_the_same_recipe() -> None:
    panel = make_panel()
    panel.change(class_weights={"ape": 0.5}, lr=0.004, freeze=["stem", "blocks.[01]"], unfreeze=[[2, "none"]])
    namespace: dict[str, Any] = {}
    exec(compile(ast.parse(panel.cell()), "cell", "exec"), namespace)  # noqa: S102 - what a notebook does
    assert type(panel.recipe).from_parameters(namespace) == panel.recipe


def test_costs_are_shown_with_the_change_that_would_fit_and_it_is_made() -> None:
    panel = make_panel()
    figures = panel.figures()
    assert not figures["fits"]
    assert figures["advice"] == "a batch of 16 would fit"
    assert figures["change"] == "batch_size=16"
    assert [figure["value"] for figure in figures["figures"]] == ["40", "3.2 of 2.0 GB", "0:48", "0:12", "3.0×"]
    panel.fit()
    assert panel.recipe.batch_size == 16
    assert panel.figures()["fits"]


@pytest.mark.parametrize(("seconds", "word"), [(0.25, "0.2 s"), (48.2, "0:48"), (3725, "1:02:05"), (60, "1:00")])
def test_durations_read_like_a_clock(seconds: float, word: str) -> None:
    assert duration(seconds) == word


def test_without_a_front_end_it_is_a_picture_and_a_text() -> None:
    panel = make_panel()
    bundle = panel._repr_mimebundle_()
    assert set(bundle) == {"image/png", "text/plain"}
    assert "blocks.2" in bundle["text/plain"]
    assert "from epoch 2" in bundle["text/plain"]
    assert "freeze='backbone'" not in bundle["text/plain"]
    assert "unfreeze=[(1, -2)]" in bundle["text/plain"]


def test_names_from_the_data_are_drawn_as_they_are() -> None:
    names = ("<img src=x onerror=alert(1)>", "$x^2_", "a\nb")
    panel = ControlPanel(small_recipe(), small_model(), small_examples(names=names), FakeCost())
    assert panel.picture().png.startswith(b"\x89PNG")


def test_a_batch_run_imports_no_widget_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOOK_BATCH", "1")
    assert is_batch()
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
        "from panel_parts import *; from tunebook_widgets import ControlPanel; "
        "panel = ControlPanel(small_recipe(), small_model(), small_examples()); bundle = panel._repr_mimebundle_(); "
        "print(sorted(bundle), [n for n in ('ipywidgets', 'anywidget', 'traitlets') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip() == "['image/png', 'text/plain'] []", done.stderr


# A run under way.


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run.create(tmp_path, "live", "image-classification")
    made.update(state="running", epochs=4)
    return made


def test_a_live_change_is_a_command_and_leaves_the_recipe(run: Run) -> None:
    panel = make_panel()
    before = panel.recipe
    panel.attach(run)
    panel.train([row(panel, "blocks.2")])
    panel.preset("none")
    asked = [(request.command, request.value, request.by) for request in run.control.requests()]
    assert asked == [("freeze", -2, "panel"), ("freeze", "none", "panel")]
    assert panel.recipe is before
    panel.detach()
    panel.preset("none")
    assert panel.recipe.freeze == "none"
    assert len(run.control.requests()) == 2


def test_a_live_change_that_leaves_nothing_to_train_is_refused_before_it_is_sent(run: Run) -> None:
    panel = make_panel()
    panel.attach(run)
    with pytest.raises(RecipeError, match="at least the head"):
        panel.train([row(panel, "head")], trains=False)
    with pytest.raises(RecipeError, match="under way"):
        panel.set_plan(panel.plan.without(1))
    assert run.control.requests() == []


def outcome(command: str, value: Any, epoch: int, refused: str = "") -> Any:
    return SimpleNamespace(command=command, value=value, epoch=epoch, refused=refused)


@pytest.mark.parametrize(
    ("outcomes", "epoch", "freeze"),
    [
        ([], 0, "backbone"),
        ([], 1, -2),
        ([], 3, "none"),
        ([outcome("freeze", 2, 0)], 0, 2),
        ([outcome("freeze", 2, 0)], 1, -2),
        ([outcome("freeze", 2, 1)], 2, 2),
        ([outcome("next_stage", -2, 0)], 1, -2),
        ([outcome("next_stage", -2, 0), outcome("freeze", 1, 0)], 1, 1),
        ([outcome("freeze", 2, 0, "refused")], 0, "backbone"),
        ([outcome("lr", 0.1, 0)], 0, "backbone"),
    ],
)
def test_the_freeze_in_force_follows_plan_and_commands(outcomes: list[Any], epoch: int, freeze: Any) -> None:
    recipe = small_recipe(unfreeze=[[1, -2], [3, "none"]])
    assert freeze_in_force(recipe, outcomes, epoch) == freeze
