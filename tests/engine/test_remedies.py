"""Remedies are compared on the test set, which decides nothing; the chosen one is exported and applied."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import tunebook
from tunebook import remedies
from tunebook.errors import DataError, StorageError
from tunebook.remedies import AS_TUNED, Remedies, compare_remedies
from tunebook.remedy_page import write_section
from tunebook.storage import write_json

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny_models
from made_runs import make_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook.runs import Run

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module", params=[2, 3])
def compared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Remedies:
    run = make_run(tmp_path_factory.mktemp("runs"), request.param)
    return compare_remedies(run, attribute="tone", gap="accuracy" if request.param > 2 else "equal_opportunity")


def test_rules_on_scores_narrow_the_gap_on_the_test_set(compared: Remedies) -> None:
    table = compared.table()
    rule = next(name for name in compared.names if name.startswith("offsets"))
    assert compared.suggested != AS_TUNED
    assert f"speaks for “{compared.suggested}”" in compared.advice()
    assert table.loc[AS_TUNED, "gap"] > 0.1
    assert table.loc[rule, "gap"] < table.loc[AS_TUNED, "gap"] / 2
    assert table.loc[rule, "gap change high"] < 0.0
    assert table.loc[rule, "accuracy"] > table.loc[AS_TUNED, "accuracy"]
    assert ("thresholds, true positive rate parity" in compared.names) == (compared.gap == "equal_opportunity")


def test_figures_are_those_of_the_bias_report(compared: Remedies) -> None:
    report = compared._setting.report
    table = compared.table()
    gap = report.gap("tone", compared.gap)
    assert table.loc[AS_TUNED, ["gap", "gap low"]].tolist() == pytest.approx([gap.difference, gap.low])
    by_group = report.table("tone")["tuned"]
    assert table.attrs["best-off group"] == by_group.idxmax()
    assert table.loc[AS_TUNED, "best-off group"] == pytest.approx(by_group.max())
    assert table.loc[AS_TUNED, "worst-off group"] == pytest.approx(by_group.min())
    change = table["best-off group"] - table.loc[AS_TUNED, "best-off group"]
    assert table["best-off change"].tolist() == pytest.approx(change.tolist())
    for low, value, high in (("accuracy low", "accuracy", "accuracy high"), ("gap low", "gap", "gap high")):
        assert (table[low] <= table[value]).all()
        assert (table[value] <= table[high]).all()


def test_the_test_set_decides_nothing(tmp_path: Path) -> None:
    def scramble(table: pd.DataFrame) -> None:
        of_test = table["split"] == "test"
        rng = np.random.default_rng(8)
        table.loc[of_test, "truth"] = rng.choice(["c0", "c1", "c2"], of_test.sum())
        table.loc[of_test, "group_tone"] = rng.choice(["light", "dark"], of_test.sum())

    one = compare_remedies(make_run(tmp_path / "a", 3), attribute="tone")
    two = compare_remedies(make_run(tmp_path / "b", 3, change=scramble), attribute="tone")
    assert one.names == two.names
    assert one.suggested == two.suggested
    for name in one.names[1:]:
        rules = [found.remedy(name).rule for found in (one, two)]
        assert rules[0] is not None
        assert rules[1] is not None
        assert rules[0].to_json() == rules[1].to_json()
    assert not np.allclose(one.table()["accuracy"], two.table()["accuracy"])


def test_a_rule_is_exported_read_again_and_applied_to_new_values(compared: Remedies) -> None:
    run, of = compared._setting.run, compared._setting.splits["test"]
    tones = compared._setting.report.predictions["group_tone"].iloc[of.rows]
    for name in compared.names[1:]:
        compared.export(name)
        found = remedies.load(run.path)
        assert found.name == name
        wanted = np.array(compared._setting.report.classes)[compared.remedy(name).predicted["test"]]
        assert (found.predict(of.scores, tones) == wanted).all()
        assert (found.predict(of.scores, tones.tolist()) == wanted).all()
        assert found.scores(of.scores, tones).sum(axis=1) == pytest.approx(np.ones(len(wanted)))
        plain = np.array(found.classes)[of.scores.argmax(axis=1)]
        assert (found.predict(of.scores) == plain).all()
        assert (found.predict(of.scores, ["unheard of"] * len(plain)) == plain).all()
    written = json.loads((run.path / "model" / "remedy.json").read_text())
    assert written["schema"] == "tunebook-remedy/1"
    assert set(written) >= {"how", "fallback", "effect", "fitted", "attribute", "rule", "classes"}
    compared.export(AS_TUNED)
    with pytest.raises(StorageError, match="exported as tuned"):
        remedies.load(run.path)


def test_what_is_applied_wrongly_is_said_in_one_line(compared: Remedies, tmp_path: Path) -> None:
    found = compared.application(compared.names[1])
    width = len(found.classes)
    good = np.full((2, width), 1.0 / width)
    for scores, groups, words in (
        (good[:, :1], None, "give \\(n, "), (4.0 * good, None, "not logits"), ([["x"] * width], None, "no numbers"),
        (good, ["light"], "give one for each"), (good * np.nan, None, "between 0 and 1"),
        (good, {"tint": ["light"] * 2}, "no column 'tone'"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            found.predict(scores, groups)
    path = found.save(tmp_path)
    whole = json.loads(path.read_text())
    for broken in (
        [], {}, {**whole, "kind": "x"}, {**whole, "rule": None}, {**whole, "attribute": None},
        {**whole, "classes": ["a"]}, {**whole, "attribute": {**whole["attribute"], "groups": ["a"], "parts": [["a"]]}},
    ):  # fmt: skip
        path.write_text(json.dumps(broken))
        with pytest.raises(StorageError, match="again"):
            remedies.load(path)


def test_an_intersection_and_bins_of_numbers_can_be_mended_too(tmp_path: Path) -> None:
    run = make_run(tmp_path, count=2000)
    found = compare_remedies(run, attribute="tone × age")
    found.export("calibration by group")
    of = found._setting.splits["test"]
    table = found._setting.report.predictions.iloc[of.rows]
    columns = {"tone": table["group_tone"], "age": table["group_age"]}
    said = remedies.load(run.path).predict(of.scores, columns)
    assert (
        said == np.array(found._setting.report.classes)[found.remedy("calibration by group").predicted["test"]]
    ).all()


def test_words_tables_and_figures_say_what_it_costs(compared: Remedies, tmp_path: Path) -> None:
    sentences = compared.sentences()
    assert len(sentences) == len(compared.names)
    assert any("narrows the gap" in said and "the group that was best off, “light”" in said for said in sentences)
    picture = compared.frontier()
    assert picture.png.startswith(b"\x89PNG")
    assert all(name in picture.text for name in compared.names)
    assert compared.suggested in repr(compared)
    compared.save(tmp_path)
    written = json.loads((tmp_path / "remedies.json").read_text())
    assert [one["name"] for one in written["remedies"]] == compared.names
    assert len(pd.read_csv(tmp_path / "remedies.csv")) == len(compared.names)
    assert (tmp_path / "remedies.png").is_file()


def test_names_from_the_data_are_shown_and_not_run(tmp_path: Path) -> None:
    def rename(table: pd.DataFrame) -> None:
        table["group_tone"] = table["group_tone"].replace("light", EVIL)

    found = compare_remedies(make_run(tmp_path, change=rename), attribute="tone")
    shown = found._repr_mimebundle_()
    page = shown["text/html"]
    assert page.count("<img") == 1  # the frontier itself
    assert "&lt;img src=x" in page
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")
    section = write_section(found.to_json())
    assert "<img" not in section
    assert "&lt;img src=x" in section
    assert "<img" in found.frontier().text or found.frontier().png


def test_small_groups_and_groups_of_one_class_keep_the_model_as_it_is(tmp_path: Path) -> None:
    def change(table: pd.DataFrame) -> None:
        table.loc[:29, "group_tone"] = "rare"
        table.loc[30:109, "group_tone"] = "alike"
        table.loc[30:109, "truth"] = "c1"

    found = compare_remedies(make_run(tmp_path, change=change), attribute="tone")
    assert "Too small on validation, so no rule of their own: “rare”." in found.notes
    assert "All of one class on validation, so no thresholds: “alike”." in found.notes
    rule = found.remedy("thresholds, equalised odds").rule
    assert rule is not None
    names = found._setting.groups
    kept = [name for name, one in zip(names, rule.to_json()["groups"], strict=True) if one is None]
    assert kept == ["alike", "rare"]


def _drop_scores(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="scores")


def _one_group(table: pd.DataFrame) -> None:
    table["group_tone"] = "light"


def _not_finite(table: pd.DataFrame) -> None:
    table["scores"] = [np.array([np.nan, 1.0], np.float32), *table["scores"].iloc[1:]]


def _no_validation(table: pd.DataFrame) -> None:
    table["split"] = "test"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_drop_scores, "has no scores"), (_one_group, "fewer than two groups"), (_not_finite, "not finite"),
        (_no_validation, "no predictions of the validation set"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(tmp_path: Path, change: Callable[[pd.DataFrame], Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        compare_remedies(make_run(tmp_path, change=change), attribute="tone")


def test_wrong_names_are_refused_with_the_right_ones(compared: Remedies) -> None:
    run = compared._setting.run
    with pytest.raises(DataError, match="no sensitive attribute 'ton'; did you mean 'tone'"):
        compare_remedies(run, attribute="ton")
    with pytest.raises(DataError, match="did you mean 'accuracy'"):
        compare_remedies(run, gap="acuracy")
    with pytest.raises(DataError, match="no remedy 'offset'"):
        compared.export("offset")
    with pytest.raises(DataError, match="no split 'train'"):
        compared.table("train")


def test_several_classes_an_example_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_json(run.path / "metrics.json", {"classes": ["c0", "c1"], "multi_label": True})
    with pytest.raises(DataError, match="mitigate='reweight'"):
        compare_remedies(run, attribute="tone")


def test_another_run_is_compared_on_the_same_examples_and_not_exported(tmp_path: Path) -> None:
    def better(table: pd.DataFrame) -> None:
        table["prediction"] = table["truth"]

    run, other = make_run(tmp_path / "a"), make_run(tmp_path / "b", change=better)
    found = compare_remedies(run, attribute="tone", others={"whole model, reweighted": other})
    assert found.table().loc["whole model, reweighted", "accuracy"] == 1.0
    with pytest.raises(DataError, match="a run of its own"):
        found.export("whole model, reweighted")
    short = make_run(tmp_path / "c", change=lambda table: table.iloc[:100])
    with pytest.raises(DataError, match=r"other (validation|test) examples"):
        compare_remedies(run, attribute="tone", others={"short": short})


# With a model.


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Any, Run]:
    """Tune a small model on sentences of two opinions, most of the bad ones from one site."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(1)
    rows = []
    for number in range(420):
        label = ("good", "bad")[number % 2]
        site = "b" if rng.random() < (0.25 if label == "good" else 0.5) else "a"
        words = {"good": ["good", "great"], "bad": ["bad", "dull"]}[label] if rng.random() < 0.8 else ["end", "scene"]
        filler = rng.choice(["the", "film", "plot", "is", "was", "it"], rng.integers(2, 8)).tolist()
        rows.append((" ".join([*filler, str(rng.choice(words)), str(number)]), label, site))
    pd.DataFrame(rows, columns=["text", "label", "site"]).to_csv(folder / "texts.csv", index=False)
    tiny_models.make_tiny(folder / "model", "bert")
    from tunebook.tasks import recipe_class

    recipe = recipe_class("text-classification")(
        data=str(folder / "texts.csv"), model=str(folder / "model"), sensitive=["site"], runs_dir=str(folder / "runs"),
        run="small", epochs=2, freeze="backbone", unfreeze=[], max_length=24, onnx=False, device="cpu", lr=1e-2,
        precision="fp32",  # the features of this model are so small that bf16 would hide what heads see in them
    )  # fmt: skip
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    return recipe, examples, model, tunebook.tune(recipe, examples, model).result()


def test_heads_are_fitted_again_and_exported_in_the_weights(tuned: tuple[Any, Any, Any, Run]) -> None:
    from safetensors.numpy import load_file

    recipe, examples, model, run = tuned
    found = compare_remedies(run, recipe, examples, model, "site", gap="equalized_odds")
    assert {
        "reweighting",
        "group-balanced sampling",
        "reduction, exponentiated gradient",
        "reduction, grid search",
    } <= set(found.names)
    assert not [note for note in found.notes if note.startswith("No head")]
    file = run.path / "model" / "model.safetensors"
    before = load_file(file)
    found.export("reduction, grid search")
    after = load_file(file)
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert changed == ["classifier.bias", "classifier.weight"]
    said = remedies.load(run.path)
    assert said.rule is None
    uniform = np.full((1, 2), 0.5)
    assert (said.scores(uniform) == uniform).all()
    # What was reported is what a user gets who opens the folder.
    again = recipe.changed(model=str(run.path / "model"))
    opened = tunebook.load_model(again, examples)
    baseline = tunebook.measure_baseline(again, examples, opened)
    accuracy = baseline.metrics["model as it starts"]["test"]["accuracy"]
    assert accuracy == pytest.approx(found.table().loc["reduction, grid search", "accuracy"])
    # A rule needs the model's own head back, and so does the model as it was tuned.
    found.export("calibration by group")
    assert all(np.array_equal(before[name], value) for name, value in load_file(file).items())
    assert remedies.load(run.path).rule is not None
    found.export("reweighting")
    with pytest.raises(DataError, match="to put back its own"):
        compare_remedies(run, attribute="site").export(AS_TUNED)
    found.export(AS_TUNED)
    assert all(np.array_equal(before[name], value) for name, value in load_file(file).items())
    assert not (run.path / "model" / "remedy.json").exists()


def test_features_are_the_same_with_and_without_the_cache(tuned: tuple[Any, Any, Any, Run]) -> None:
    from tunebook.head_features import read_features

    recipe, examples, model, _ = tuned
    rows = [examples.rows(split) for split in ("train", "validation", "test")]
    found = []
    for cache in ("auto", "off"):
        known = read_features(recipe.changed(cache=cache), examples, model, rows, _said(tuned))
        found.append(known)
    for one, two in zip(found[0].rows, found[1].rows, strict=True):
        assert one == pytest.approx(two, abs=1e-2)


def _said(tuned: tuple[Any, Any, Any, Run]) -> np.ndarray:
    _, examples, _, run = tuned
    table = run.report().predictions
    table = table[(table["model"] == "tuned") & (table["split"] == "validation")].set_index("id")
    names = table.loc[examples.frame["id"].iloc[examples.rows("validation")], "prediction"]
    return np.array([examples.classes.index(name) for name in names])


def test_another_model_or_other_examples_leave_the_heads_out_and_say_so(tuned: tuple[Any, Any, Any, Run]) -> None:
    recipe, examples, model, run = tuned
    few = examples.sample(60, seed=0)
    found = compare_remedies(run, recipe, few, model, "site")
    assert any("some that it predicted are missing" in note for note in found.notes)
    assert "calibration by group" in found.names
    assert any("needs the recipe" in note for note in compare_remedies(run, attribute="site").notes)
