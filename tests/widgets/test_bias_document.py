"""The bias view's document: the report's own figures, bounded, and plain values only."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tunebook_widgets.bias_document import PARTS, document

sys.path.insert(0, str(Path(__file__).parent))
from bias_tables import make_report

if TYPE_CHECKING:
    from tunebook.bias import BiasReport

MANY = tuple(f"class {k}" for k in range(12))


@pytest.fixture(scope="module")
def report() -> BiasReport:
    return make_report()


@pytest.fixture(scope="module")
def shown(report: BiasReport) -> dict[str, Any]:
    return document(report)


def _view(shown: dict[str, Any], report: BiasReport, attribute: str, split: str) -> dict[str, Any]:
    found: dict[str, Any] = shown["attributes"][report.attributes.index(attribute)]["views"][report.splits.index(split)]
    return found


def test_it_is_json_without_anything_that_is_no_number(shown: dict[str, Any]) -> None:
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown


def test_every_figure_is_the_reports(shown: dict[str, Any], report: BiasReport) -> None:
    compared = 0
    for attribute in report.attributes:
        for split in report.splits:
            view = _view(shown, report, attribute, split)
            for k, metric in enumerate(shown["metrics"]):
                table = report.table(attribute, metric["name"], split, metric["label"])
                assert view["n"] == table["n"].tolist()
                assert [c == "1" for c in view["counted"][k]] == table["counted"].tolist()
                for m, model in enumerate(report.models):
                    for key, column in (("value", model), ("low", f"{model} low"), ("high", f"{model} high")):
                        wanted = np.where(table[column].isna(), -1, np.rint(table[column].fillna(0.0) * PARTS))
                        assert view[key][k][m] == wanted.astype(int).tolist()
                        compared += len(wanted)
    assert compared > 1000


def test_a_rate_of_all_groups_is_that_of_the_split(shown: dict[str, Any], report: BiasReport) -> None:
    rows = report.predictions
    rows = rows[(rows["split"] == "test") & (rows["model"] == "tuned")]
    share = float((rows["truth"] == rows["prediction"]).mean())
    view = _view(shown, report, "tone", "test")
    assert view["every"][0][-1] == round(share * PARTS)
    names = [metric["name"] for metric in shown["metrics"]]
    assert view["every"][names.index("macro_f1")] == [-1, -1]


def test_what_a_rate_is_of_is_counted(shown: dict[str, Any], report: BiasReport) -> None:
    rows = report.predictions
    rows = rows[(rows["split"] == "test") & (rows["model"] == "tuned") & (rows["truth"] == "yes")]
    k = [metric["name"] for metric in shown["metrics"]].index("true_positive_rate")
    view = _view(shown, report, "tone", "test")
    names = [shown["attributes"][0]["groups"][group] for group in view["groups"]]
    assert dict(zip(names, view["of"][k][-1], strict=True)) == rows["group_tone"].value_counts().to_dict()


def test_gaps_are_in_figures_and_words(shown: dict[str, Any], report: BiasReport) -> None:
    gaps = {gap["name"]: gap for gap in _view(shown, report, "tone", "test")["gaps"]}
    gap = report.gap("tone", "accuracy", "test")
    assert gap.widest is not None
    assert (gaps["accuracy"]["lowest"], gaps["accuracy"]["highest"]) == (gap.widest.lowest, gap.widest.highest)
    assert gaps["accuracy"]["difference"][0] == pytest.approx(gap.difference, abs=1e-4)
    assert gaps["accuracy"]["clear"] is True
    assert gaps["accuracy"]["said"] in report.sentences("tone", "test")
    assert shown["metrics"][gaps["accuracy"]["metric"]]["name"] == "accuracy"


def test_groups_of_an_intersection_have_their_places(shown: dict[str, Any], report: BiasReport) -> None:
    crossed = shown["attributes"][report.attributes.index("tone × gender")]
    assert crossed["columns"] == ["tone", "gender"]
    said = [f"{crossed['axes'][0][r]} × {crossed['axes'][1][c]}" for r, c in crossed["parts"]]
    assert said == crossed["groups"]


def test_one_model_has_no_change() -> None:
    shown = document(make_report(models=("tuned",), scores=False))
    gap = shown["attributes"][0]["views"][0]["gaps"][0]
    assert "change" not in gap
    assert "calibration_error" not in {metric["name"] for metric in shown["metrics"]}


def test_of_many_classes_those_with_the_largest_gaps_are_kept() -> None:
    report = make_report(600, classes=MANY)
    whole = document(report)
    assert whole["left_out"] == {"classes": 0, "attributes": 0}
    size = len(json.dumps([attribute["views"] for attribute in whole["attributes"]]))
    small = document(report, most=9000)
    labels = {metric["label"] for metric in small["metrics"]} - {""}
    assert 1 <= len(labels) < len(MANY)
    assert small["left_out"]["classes"] == len(MANY) - len(labels)
    assert len(json.dumps([attribute["views"] for attribute in small["attributes"]])) < size
    pairs = [
        pair
        for attribute in report.attributes
        for split in report.splits
        for name in report.gap_names(attribute, split)
        for pair in (report.gap(attribute, name, split).widest, report.gap(attribute, name, split).clearest)
    ]
    named = {pair.metric.label for pair in pairs if pair is not None} - {""}
    assert named <= labels or labels <= named


def test_where_there_is_no_room_the_first_attributes_are_kept() -> None:
    report = make_report(300)
    small = document(report, most=1)
    assert [attribute["name"] for attribute in small["attributes"]] == ["tone"]
    assert small["left_out"]["attributes"] == len(report.attributes) - 1


def test_without_attributes_there_is_nothing_to_choose() -> None:
    assert document(make_report(60, sensitive=False))["attributes"] == []
