"""The last step of a notebook: remedies compared, written into report and card, and the chosen one exported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pandas as pd
import pytest

from tunebook import remedies
from tunebook.errors import DataError
from tunebook.examples import Examples
from tunebook.figures import Page
from tunebook.mending import NAMES, mend
from tunebook.recipe import Remedy
from tunebook.remedies import AS_TUNED, Remedies, compare_remedies
from tunebook.storage import write_text
from tunebook.tasks import recipe_class
from tunebook.tasks.base import Model

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_runs import make_run

if TYPE_CHECKING:
    from tunebook.runs import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Make a run with a report and a model card."""
    made = make_run(tmp_path)
    made.report().bias().save(made.path / "report")
    write_text(made.path / "README.md", "# made\n\n## Limits\n\n- none\n\n## Versions\n\n1\n")
    return made


def call(run: Run, **parameters: Any) -> Remedies | Page:
    """Mend without a model: rules on scores are compared."""
    frame = pd.DataFrame(columns=["id", "content", "label", "split"])
    nothing: Any = None
    model = Model(nothing, "made", "made", nothing, nothing, "", nothing)
    return mend(run, recipe_class("text-classification")(**parameters), Examples(frame, ("c0", "c1"), "made"), model)


def test_every_remedy_of_the_recipe_has_a_name() -> None:
    assert set(NAMES) == set(get_args(Remedy)) - {"none", "auto", "compare", "suggested"}


def test_what_was_compared_stands_in_page_and_card_once(run: Run) -> None:
    for _ in range(2):
        found = call(run, remedy_by="tone")
        assert isinstance(found, Remedies)
        page, card = ((run.path / name).read_text() for name in ("report/bias.html", "README.md"))
        for text in (page, card):
            assert text.count("without any of them") == 1
            assert "calibration by group" in text
        assert page.count("What would mend") == 1
        assert card.count("## Mitigation") == 1
        assert card.index("## Mitigation") < card.index("## Limits") < card.index("- none")
    assert (run.path / "report" / "remedies.png").is_file()
    assert not (run.path / "model" / "remedy.json").exists()


@pytest.mark.parametrize(("remedy", "start"), [("calibration", "calibration by group"), ("thresholds", "thresholds,")])
def test_the_remedy_that_a_recipe_names_is_exported_and_the_card_says_so(run: Run, remedy: str, start: str) -> None:
    found = call(run, remedy=remedy, remedy_by="tone", remedy_gap="equal_opportunity")
    assert isinstance(found, Remedies)
    name = remedies.load(run.path).name
    assert name.startswith(start)
    line = f"Exported with the model: “{name}”, by tone"
    assert line in (run.path / "report" / "bias.html").read_text()
    assert line in (run.path / "README.md").read_text()
    found.export(AS_TUNED)
    assert not (run.path / "model" / "remedy.json").exists()
    assert line not in (run.path / "README.md").read_text()


def test_what_validation_speaks_for_can_be_exported_without_a_name(run: Run) -> None:
    found = call(run, remedy="suggested", remedy_by="tone", remedy_gap="equal_opportunity")
    assert isinstance(found, Remedies)
    assert found.suggested != AS_TUNED
    assert remedies.load(run.path).name == found.suggested


def test_an_intersection_is_named_in_any_order(run: Run) -> None:
    found = call(run, remedy_by="age|tone")
    assert isinstance(found, Remedies)
    assert found.attribute == "tone × age"
    with pytest.raises(DataError, match="did you mean 'tone'"):
        call(run, remedy_by="tne")


def test_what_does_not_suit_is_refused_with_what_does(run: Run) -> None:
    with pytest.raises(DataError, match=r"choose one of: thresholds, calibration, offsets, suggested, compare$"):
        call(run, remedy="grid_search", remedy_by="tone")


def test_auto_is_content_where_nothing_can_be_compared_and_compare_is_not(tmp_path: Path) -> None:
    bare = make_run(tmp_path, change=lambda table: table.drop(columns=["group_tone", "group_age"]))
    found = call(bare)
    assert isinstance(found, Page)
    assert "name a sensitive column" in found.text
    assert "'none'" in str(call(bare, remedy="none"))
    with pytest.raises(DataError, match="name a sensitive column"):
        call(bare, remedy="compare")


def test_heads_are_left_out_where_they_would_take_long(run: Run) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "content": "", "label": "c0", "split": "train"})
    anything: Any = object()
    found = compare_remedies(run, anything, Examples(frame, ("c0", "c1"), "made"), anything, "tone", most=1)
    assert any("more than 1 training examples" in note for note in found.notes)
