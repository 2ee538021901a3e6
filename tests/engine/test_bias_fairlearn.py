"""Every number of the bias report comes out again of predictions.parquet with nothing but pandas and Fairlearn."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as fairlearn

from tunebook.bias import BiasReport, Settings
from tunebook.storage import write_json

Figures = dict[tuple[str, ...], float]
GAPS = {
    "accuracy": ("accuracy",),
    "macro_f1": ("macro_f1",),
    "calibration_error": ("calibration_error",),
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("true_positive_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
}
#: bias.json keeps six digits.
ROUNDED = 6e-7


def make_predictions(classes: int, count: int = 500, seed: int = 0) -> pd.DataFrame:
    """Make predictions with a group that is missing, one that is small and a class that the small one lacks."""
    rng = np.random.default_rng([seed, classes])
    names = np.array([f"class {k}" for k in range(classes)])
    tone = rng.choice(np.array(["light", "medium", "dark", None]), count, p=[0.5, 0.25, 0.15, 0.1])
    tone[:7] = "blue"
    age = np.where(rng.random(count) < 0.5, "old", "young")
    truth = rng.integers(0, classes, count)
    truth[:7] = classes - 1
    split = np.where(np.arange(count) % 3 == 0, "validation", "test")
    tables = []
    for model, most in (("baseline", 0.6), ("tuned", 0.85)):
        right = rng.random(count) < np.where(tone == "dark", most - 0.2, most)
        said = np.where(right, truth, rng.integers(0, classes, count))
        tables.append(pd.DataFrame({
            "model": model, "id": [f"e{k}" for k in range(count)], "split": split, "truth": names[truth],
            "prediction": names[said], "confidence": rng.uniform(1.0 / classes, 1.0, count).astype(np.float32),
            "group_skin tone": tone, "group_age": age,
        }))  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def accuracy(truth: np.ndarray, said: np.ndarray) -> float:
    return float((truth == said).mean())


def macro_f1(truth: np.ndarray, said: np.ndarray) -> float:
    pairs = [((truth == c) & (said == c), (truth == c).sum() + (said == c).sum()) for c in {*truth, *said}]
    return sum(2.0 * both.sum() / size for both, size in pairs) / len(pairs)


def calibration_error(truth: np.ndarray, said: np.ndarray, sure: np.ndarray) -> float:
    excess = pd.Series(np.asarray(sure, float) - (truth == said))
    bins = (pd.Series(np.asarray(sure, float)) * 15).astype(int).clip(upper=14)
    return float(excess.groupby(bins).sum().abs().sum() / len(excess))


def precision(truth: np.ndarray, said: np.ndarray) -> float:
    # As scikit-learn's with its default: 0 where nothing is said to be of the class.
    return float((truth * said).sum() / said.sum()) if said.sum() else 0.0


def measure(table: pd.DataFrame, attributes: list[dict[str, Any]], classes: list[str]) -> Figures:
    """Measure every group with MetricFrame: (split, model, attribute, group, metric, class) -> value."""
    whole = {"accuracy": accuracy, "macro_f1": macro_f1, "calibration_error": calibration_error}
    names = ("selection_rate", "true_positive_rate", "false_positive_rate")
    rates = {**{name: getattr(fairlearn, name) for name in names}, "precision": precision}
    found: Figures = {}
    for attribute in attributes:
        columns = [table[f"group_{name}"].fillna("(missing)").astype(str) for name in attribute["columns"]]
        groups = columns[0].str.cat(columns[1:], sep=" × ")
        for (split, model), part in table.groupby(["split", "model"]):
            for label in ["", *classes]:
                truth, said = part["truth"], part["prediction"]
                if label:
                    truth, said = (truth == label).astype(int), (said == label).astype(int)
                by_group = fairlearn.MetricFrame(
                    metrics=rates if label else whole, y_true=truth, y_pred=said,
                    sensitive_features=groups[part.index].rename("group"),
                    sample_params=None if label else {"calibration_error": {"sure": part["confidence"]}},
                ).by_group  # fmt: skip
                for metric in by_group.columns:
                    for group, value in by_group[metric].items():
                        key = (str(split), str(model), attribute["name"], str(group), str(metric), label)
                        found[key] = float(value)
    return found


def read_figures(report: dict[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
    """Read the figures of bias.json under the keys of :func:`measure`."""
    found = {}
    for row in report["groups"]:
        for metric, entry in row["metrics"].items():
            for label, figure in ({"": entry} if "value" in entry else entry).items():
                found[row["split"], row["model"], row["attribute"], row["group"], metric, label] = figure
    return found


def widest(figures: Figures, counted: set[tuple[str, ...]], gap: dict[str, Any], model: str, positive: str) -> float:
    """Return the largest difference of two groups that count; NaN where no metric has two."""
    label = gap["class"] or positive
    values: dict[tuple[str, str], list[float]] = {}
    for key in counted:
        split, of, attribute, _, metric, of_class = key
        if (split, of, attribute) == (gap["split"], model, gap["attribute"]) and metric in GAPS[gap["gap"]]:
            if of_class and label and of_class != label:
                continue
            values.setdefault((metric, of_class), []).append(figures[key])
    return max((max(some) - min(some) for some in values.values() if len(some) > 1), default=np.nan)


class Written:
    """A run directory as far as the report goes, and Fairlearn's figures of the predictions in it."""

    def __init__(self, folder: Path, classes: int) -> None:
        table = make_predictions(classes)
        table.to_parquet(folder / "predictions.parquet")
        write_json(folder / "bias.json", BiasReport(table, settings=Settings(draws=200)).to_json(), durable=False)
        self.report: dict[str, Any] = json.loads((folder / "bias.json").read_text(encoding="utf-8"))
        self.table = pd.read_parquet(folder / "predictions.parquet")
        self.ours = read_figures(self.report)
        self.theirs = measure(self.table, self.report["attributes"], self.report["classes"])


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("two"), 2)


@pytest.fixture(scope="module")
def three_classes(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("three"), 3)


@pytest.fixture(params=["two_classes", "three_classes"])
def written(request: pytest.FixtureRequest) -> Written:
    found: Written = request.getfixturevalue(request.param)
    return found


def test_the_report_and_fairlearn_have_figures_of_the_same_groups(written: Written) -> None:
    assert {attribute["name"] for attribute in written.report["attributes"]} == {
        "skin tone", "age", "skin tone × age"
    }  # fmt: skip
    assert any(key[3] == "(missing)" for key in written.ours)
    assert written.ours.keys() == written.theirs.keys()


def test_every_figure_that_is_defined_is_fairlearns(written: Written) -> None:
    defined = {key: figure["value"] for key, figure in written.ours.items() if figure["value"] is not None}
    assert defined == pytest.approx({key: written.theirs[key] for key in defined}, abs=ROUNDED)


def test_what_is_undefined_has_nothing_to_divide_by_and_is_0_in_fairlearn(written: Written) -> None:
    undefined = {key: figure for key, figure in written.ours.items() if figure["value"] is None}
    assert any(key[3] == "blue" and key[4] == "true_positive_rate" for key in undefined)
    assert all(figure["of"] == 0 and written.theirs[key] == 0.0 for key, figure in undefined.items())


def test_every_gap_is_the_largest_difference_of_fairlearns_figures(written: Written) -> None:
    counted = {key for key, figure in written.ours.items() if figure["counted"]}
    assert not any(key[3] == "blue" for key in counted)  # seven examples are too few
    compared = 0
    for gap in written.report["gaps"]:
        for model, known in gap["models"].items():
            expected = widest(written.theirs, counted, gap, model, written.report["positive"] or "")
            value = known["difference"]["value"]
            assert (np.nan if value is None else value) == pytest.approx(expected, abs=ROUNDED, nan_ok=True), gap
            compared += value is not None
    assert compared > 2 * len(GAPS)


@pytest.mark.parametrize("model", ["baseline", "tuned"])
def test_of_two_classes_the_gaps_are_what_fairlearn_calls_them(two_classes: Written, model: str) -> None:
    table = two_classes.table
    part = table[(table["split"] == "test") & (table["model"] == model)]
    given: dict[str, Any] = {
        "y_true": (part["truth"] == "class 1").astype(int),
        "y_pred": (part["prediction"] == "class 1").astype(int),
        "sensitive_features": part["group_age"],
    }
    of_age = [gap for gap in two_classes.report["gaps"] if (gap["attribute"], gap["split"]) == ("age", "test")]
    gaps = {gap["gap"]: gap["models"][model] for gap in of_age}
    for name in ("demographic_parity", "equalized_odds", "equal_opportunity"):
        for kind in ("difference", "ratio"):
            expected = getattr(fairlearn, f"{name}_{kind}")(**given)
            assert gaps[name][kind]["value"] == pytest.approx(expected, abs=ROUNDED), (name, kind)


def test_another_prediction_is_noticed(two_classes: Written) -> None:
    table = two_classes.table[two_classes.table["split"] == "test"].copy()
    row = table.index[table["truth"] == table["prediction"]][0]
    table.loc[row, "prediction"] = "class 0" if table.loc[row, "truth"] == "class 1" else "class 1"
    changed = measure(table, [{"name": "age", "columns": ["age"]}], ["class 1"])
    assert changed != pytest.approx({key: two_classes.theirs[key] for key in changed}, abs=ROUNDED)


@pytest.fixture
def documented(tmp_path: Path) -> tuple[Path, str]:
    """Write a run directory with numbers that are binned, some missing; return it and the script of the docs."""
    table = make_predictions(3)
    income = np.random.default_rng(2).lognormal(10.0, 0.5, len(table) // 2).round(2)
    income[::9] = np.nan
    table["group_income"] = np.tile(income, 2)
    table.to_parquet(tmp_path / "predictions.parquet")
    report = BiasReport(table, settings=Settings(draws=200)).to_json()
    write_json(tmp_path / "report" / "bias.json", report, durable=False)
    page = (Path(__file__).parents[2] / "docs" / "bias.md").read_text(encoding="utf-8")
    (script,) = [
        block
        for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        if "MetricFrame" in block
    ]
    return tmp_path, script


def test_the_script_of_the_docs_finds_the_same_numbers_with_fairlearn_alone(
    documented: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, script = documented
    assert "tunebook" not in script
    names: dict[str, Any] = {"tuned": SimpleNamespace(path=folder)}
    exec(script, names)  # noqa: S102 - a person pastes it
    assert len(names["differences"]) > 1500
    assert np.abs(names["differences"]).max() < ROUNDED
    assert "figures, the largest difference is" in capsys.readouterr().out
    table = names["table"]
    table.loc[table.index[table["truth"] == table["prediction"]][:1], "prediction"] = "class 9"
    table.to_parquet(folder / "predictions.parquet")
    exec(script, names)  # noqa: S102
    assert np.abs(names["differences"]).max() > 1e-3
