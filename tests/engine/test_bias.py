"""The bias report: its figures are Fairlearn's, its words fit them, and bad input is said in plain words."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, selection_rate, true_positive_rate
from sklearn.metrics import accuracy_score

from tunebook.bias import BiasReport, Settings
from tunebook.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_runs import make_run

CLASSES = ("no", "yes")


def make_predictions(
    count: int = 400, seed: int = 0, *, models: tuple[str, ...] = ("baseline", "tuned")
) -> pd.DataFrame:
    """Make predictions that are worse for "dark", the baseline's much worse."""
    rng = np.random.default_rng(seed)
    tables = []
    truth = rng.integers(0, 2, count)
    tone, age = rng.choice(["light", "dark"], count), rng.integers(18, 90, count).astype(str)
    split = np.where(np.arange(count) % 4 == 0, "validation", "test")
    for model in models:
        accuracy = np.where(tone == "dark", 0.6 if model == "baseline" else 0.75, 0.92)
        said = np.where(rng.random(count) < accuracy, truth, 1 - truth)
        sure = rng.uniform(0.5, 1.0, count).astype(np.float32)
        tables.append(pd.DataFrame({
            "model": model, "id": [f"e{k}" for k in range(count)], "split": split,
            "truth": np.array(CLASSES)[truth], "prediction": np.array(CLASSES)[said], "confidence": sure,
            "scores": [np.array([s, 1 - s] if k == 0 else [1 - s, s]) for k, s in zip(said, sure, strict=True)],
            "group_tone": tone, "group_age": age,
        }))  # fmt: skip
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    return make_predictions()


@pytest.fixture(scope="module")
def report(predictions: pd.DataFrame) -> BiasReport:
    return BiasReport(predictions, settings=Settings(draws=300, notes=("It is made up.",), source="made"))


def test_every_attribute_and_their_intersection_are_compared(report: BiasReport) -> None:
    assert report.attributes == ["tone", "age", "tone × age"]
    assert report.splits == ["test", "validation"]
    assert report.models == ["baseline", "tuned"]
    assert (report.classes, report.positive) == (CLASSES, "yes")


def test_the_figures_are_those_that_fairlearn_alone_makes_of_the_table(
    report: BiasReport, predictions: pd.DataFrame
) -> None:
    for split in report.splits:
        for model in report.models:
            rows = predictions[(predictions["split"] == split) & (predictions["model"] == model)]
            frame = MetricFrame(
                metrics={"accuracy": accuracy_score, "selection_rate": selection_rate, "tpr": true_positive_rate},
                y_true=(rows["truth"] == "yes").astype(int), y_pred=(rows["prediction"] == "yes").astype(int),
                sensitive_features=rows["group_tone"],
            )  # fmt: skip
            for ours, theirs in (("accuracy",) * 2, ("selection_rate",) * 2, ("true_positive_rate", "tpr")):
                table = report.table("tone", ours, split)
                assert table[model].to_dict() == pytest.approx(frame.by_group[theirs].to_dict())
            if model == "tuned":
                assert report.gap("tone", "accuracy", split).difference == pytest.approx(frame.difference()["accuracy"])


def test_a_table_has_counts_values_and_intervals(report: BiasReport) -> None:
    table = report.table("tone", "accuracy")
    assert list(table) == [
        "n", "counted", "baseline", "baseline low", "baseline high", "tuned", "tuned low", "tuned high"
    ]  # fmt: skip
    assert table["n"].sum() == 300
    assert (table["tuned low"] < table["tuned"]).all()
    assert report.table("tone", "recall", label="no").equals(report.table("tone", "true_positive_rate", label="no"))


def test_the_words_name_the_group_the_gap_and_what_chance_makes(report: BiasReport) -> None:
    gap = report.gap("tone")
    assert gap.p < 0.01
    said = report.sentences("tone")[0]
    points = round(100 * gap.difference)
    assert said.startswith(f"Accuracy is {points} points lower for “dark”")
    assert "chance alone would rarely make such a gap" in said
    assert report.headline().startswith("The model is worse for “dark”, by tone")
    assert any("up to " in remark for remark in report.remarks("age"))
    assert "Accuracy is" in repr(report)


def test_the_change_from_baseline_to_tuned_is_told_with_its_interval(report: BiasReport) -> None:
    change = report.change("tone")
    assert change is not None
    assert change.change == pytest.approx(change.after - change.before)
    assert change.low < change.change < change.high
    assert "uning narrowed the gap" in report.sentences("tone")[0]


def test_it_is_json_without_anything_that_json_lacks(report: BiasReport) -> None:
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert found["schema"] == "tunebook-bias/1"
    assert found["notes"] == ["It is made up."]
    row = next(r for r in found["groups"] if (r["attribute"], r["split"], r["model"]) == ("tone", "test", "tuned"))
    accuracy = row["metrics"]["accuracy"]
    assert accuracy["value"] == pytest.approx(accuracy["count"] / accuracy["of"], abs=1e-6)
    assert set(row["metrics"]["true_positive_rate"]) == set(CLASSES)
    gap = next(r for r in found["gaps"] if r["gap"] == "accuracy")
    assert gap["models"]["tuned"]["widest"]["lowest"]["group"] == "dark"
    assert gap["change"]["low"] <= gap["change"]["value"] <= gap["change"]["high"]


def test_the_same_seed_gives_the_same_report(predictions: pd.DataFrame) -> None:
    one, two = (BiasReport(predictions, settings=Settings(draws=200, seed=7)) for _ in range(2))
    # In another order: what was looked at before must not decide what is drawn.
    two.gap("tone × age", "equalized_odds")
    assert one.to_json() == two.to_json()


def test_without_sensitive_attributes_it_says_so() -> None:
    bare = make_predictions(40).drop(columns=["group_tone", "group_age"])
    report = BiasReport(bare)
    assert report.headline() == "No sensitive attribute was named, so no groups were compared."
    assert report.by_group().empty
    assert report.to_json()["gaps"] == []
    assert report.worst_mistakes().empty


def test_without_scores_calibration_is_undefined_and_everything_else_is_there() -> None:
    report = BiasReport(make_predictions().drop(columns=["scores", "confidence"]), settings=Settings(draws=200))
    assert "calibration_error" not in report.gap_names("tone")
    assert report.table("tone", "calibration_error")["tuned"].isna().all()
    assert any("no scores" in remark for remark in report.general_remarks())


def test_one_class_in_the_truth_leaves_the_rest_undefined() -> None:
    table = make_predictions(models=("tuned",))
    table["truth"] = "no"
    report = BiasReport(table, settings=Settings(draws=200))
    assert math.isnan(report.gap("tone", "equal_opportunity").difference)
    assert math.isfinite(report.gap("tone", "equalized_odds").difference)
    assert any("All examples are 'no'" in remark for remark in report.general_remarks())


def test_groups_that_differ_between_splits_are_named() -> None:
    table = make_predictions(models=("tuned",))
    table.loc[(table["split"] == "validation") & (table["group_tone"] == "dark"), "group_tone"] = "olive"
    report = BiasReport(table, settings=Settings(draws=200))
    remarks = report.remarks("tone")
    assert "Not in the test set: “olive”." in remarks
    assert "Not in the validation set: “dark”." in remarks


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["same"] * 400, "one group (same)"),
        ([""] * 400, "empty"),
        ([f"id{k}x" for k in range(400)], "identifier"),
        ([f"g{k % 40}" for k in range(400)], "no two groups large enough"),
    ],
)
def test_columns_that_divide_nothing_are_said_to(values: list[str], words: str) -> None:
    table = make_predictions(models=("tuned",))
    table["group_tone"] = values
    report = BiasReport(table.drop(columns="group_age"), settings=Settings(draws=200))
    assert any(words in remark for remark in report.remarks("tone"))
    assert math.isnan(report.gap("tone").difference)
    assert report.headline() == "No two groups are large enough to be compared."


def test_ten_thousand_groups_take_seconds() -> None:
    count = 12_000
    table = make_predictions(count, models=("tuned",)).drop(columns="group_age")
    table["group_tone"] = [f"g{k % 10_000}" if k < 9_900 else "big" for k in range(count)]
    report = BiasReport(table, settings=Settings(draws=200))
    assert len(report.table("tone")) <= 50
    assert any("different values" in remark for remark in report.remarks("tone"))


def test_several_classes_are_held_against_the_rest_and_the_worst_counts() -> None:
    rng = np.random.default_rng(0)
    truth, tone = rng.integers(0, 3, 600), rng.choice(["light", "dark"], 600)
    wrong = (tone == "dark") & (truth == 2) & (rng.random(600) < 0.7)
    said = np.where(wrong, 0, truth)
    names = np.array(["a", "b", "c"])
    table = pd.DataFrame({"model": "tuned", "id": range(600), "split": "test", "truth": names[truth]})
    table["prediction"], table["group_tone"] = names[said], tone
    report = BiasReport(table, settings=Settings(draws=200))
    gap = report.gap("tone", "equal_opportunity")
    assert gap.widest is not None
    assert (gap.widest.metric.label, gap.widest.lowest, gap.widest.highest) == ("c", "dark", "light")
    assert gap.difference == report.gap("tone", "equal_opportunity", label="c").difference
    assert report.gap("tone", "equal_opportunity", label="b").difference == 0.0
    assert gap.p < 0.01


def test_any_of_several_classes_can_be_compared() -> None:
    rng = np.random.default_rng(0)
    rows = [("a|b", "a|b"), ("a", "a"), ("", "b"), ("b", "")]
    picked = rng.integers(0, 4, 200)
    table = pd.DataFrame({"model": "tuned", "id": range(200), "split": "test"})
    table["truth"], table["prediction"] = [rows[k][0] for k in picked], [rows[k][1] for k in picked]
    table["group_tone"] = np.where(picked < 2, "light", "dark")
    report = BiasReport(table, multi_label=True, settings=Settings(draws=200))
    assert report.classes == ("a", "b")
    assert report.gap("tone").difference == 1.0
    assert report.positive == ""


def test_baseline_rows_in_another_order_are_paired_by_id(predictions: pd.DataFrame, report: BiasReport) -> None:
    base = predictions[predictions["model"] == "baseline"].sample(frac=1.0, random_state=0).iloc[5:]
    mixed = BiasReport(pd.concat([base, predictions[predictions["model"] == "tuned"]]), settings=Settings(draws=200))
    comparison = mixed.comparison("tone")
    assert comparison.outcomes.left_out > 0
    assert any("were left out" in remark for remark in mixed.general_remarks())
    assert mixed.gap("tone").difference == pytest.approx(report.gap("tone").difference, abs=0.03)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: r.gap("tune"), "did you mean 'tone'"),
        (lambda r: r.gap("tone", "acuracy"), "did you mean 'accuracy'"),
        (lambda r: r.gap("tone", split="train"), "there are: test, validation"),
        (lambda r: r.gap("tone", "equalized_odds", label="yep"), "no class 'yep'"),
        (lambda r: r.table("tone", "precisoin"), "did you mean 'precision'"),
        (lambda r: r.heat_map("tone"), "no intersection"),
    ],
)
def test_what_is_not_there_is_one_line(report: BiasReport, call: Any, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        call(report)
    assert str(caught.value).isprintable()


def test_predictions_and_settings_that_make_no_sense_are_refused(predictions: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="at least one row"):
        BiasReport(predictions.iloc[:0])
    with pytest.raises(DataError, match="positive class 'maybe'"):
        BiasReport(predictions, settings=Settings(positive="maybe"))
    with pytest.raises(DataError, match="give one model, or baseline and tuned"):
        BiasReport(predictions.assign(model=["a", "b"] * (len(predictions) // 2)))


def test_the_worst_groups_most_confident_mistakes_come_first(report: BiasReport) -> None:
    rows = report.worst_mistakes(8)
    assert rows.attrs["group"] == "dark"
    assert (rows["group_tone"] == "dark").all()
    assert (rows["truth"] != rows["prediction"]).all()
    assert rows["confidence"].is_monotonic_decreasing
    assert (rows["model"] == "tuned").all()


def test_files_appear_whole_and_agree(report: BiasReport, tmp_path: Path) -> None:
    report.save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"bias.html", "bias.json", "bias.csv"}
    table = pd.read_csv(tmp_path / "bias.csv")
    picked = table[
        (table["split"] == "test") & (table["attribute"] == "tone") & (table["metric"] == "accuracy")
        & (table["model"] == "tuned")
    ]  # fmt: skip
    assert picked.set_index("group")["value"].to_dict() == pytest.approx(report.table("tone")["tuned"].to_dict())


def test_figures_say_in_text_what_they_show(report: BiasReport) -> None:
    for picture in (report.figure("tone"), report.figure("age", "precision", "validation"), report.arrows()):
        assert picture.png.startswith(b"\x89PNG")
    dots = report.figure("tone").text
    assert "dark 0." in dots
    assert "was 0." in dots
    assert "n " in report.heat_map("tone × age").text


def test_derived_attributes_and_bins_are_marked_wherever_they_are_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.report().bias(["a note"], {"tone": "from the pictures' light"}).save(run.path / "report")
    report = run.report().bias()  # made again: by what the run knows
    assert report.settings.notes == ("a note",)
    shown = [report._repr_mimebundle_()["text/html"], (run.path / "report" / "bias.html").read_text()]
    assert all("Derived, not recorded: from the pictures&#x27; light." in html for html in shown)
    # On both splits; of the intersection, too.
    assert shown[1].count('<span class="tag">derived</span>') == 4
    assert shown[1].count('<span class="tag">binned</span>') == 2
    kept = {one["name"]: one for one in json.loads((run.path / "report" / "bias.json").read_text())["attributes"]}
    assert (kept["tone"]["derived"], kept["age"]["derived"]) == ("from the pictures' light", None)
    assert kept["age"]["groups"] == [f"up to {kept['age']['edges'][0]:g}", *kept["age"]["groups"][1:]]
    assert "are put into bins of about equal size: up to " in " ".join(kept["age"]["remarks"]["test"])


@pytest.mark.parametrize("column", ["truth", "prediction"])
def test_labels_that_are_none_of_the_given_classes_are_refused_and_do_not_count_as_right(
    predictions: pd.DataFrame, column: str
) -> None:
    other = predictions.assign(**{column: predictions[column].replace("yes", "oui")})
    with pytest.raises(DataError, match=f"a {column} that is none of the classes \\(first: 'oui'\\)"):
        BiasReport(other, CLASSES)
    with pytest.raises(DataError, match="none of the classes"):
        BiasReport(other.assign(**{column: other[column] + "|no"}), CLASSES, multi_label=True)


def test_a_label_that_is_missing_is_no_class_of_its_own(predictions: pd.DataFrame) -> None:
    gone = predictions.assign(truth=predictions["truth"].where(predictions["id"] != "e3"))
    with pytest.raises(DataError, match="2 rows of the predictions have a truth that is none of the classes"):
        BiasReport(gone)
    assert BiasReport(gone, multi_label=True).classes == CLASSES


def test_examples_that_are_there_twice_or_have_two_truths_are_refused(predictions: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="1 predictions are of an example that its model has already"):
        BiasReport(pd.concat([predictions, predictions.iloc[:1]]))
    turned = predictions.assign(
        truth=predictions["truth"].where(predictions.index != 3, "no" if predictions["truth"][3] == "yes" else "yes")
    )
    with pytest.raises(DataError, match="1 examples have another truth for another model \\(first: id 'e3'\\)"):
        BiasReport(turned)


def test_a_table_without_a_column_of_predictions_is_one_line(predictions: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="no column 'split'"):
        BiasReport(predictions.drop(columns="split"))
