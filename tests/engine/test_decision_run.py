"""A run with a chosen threshold says the same number, and the same matrix, wherever it is looked at."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pandas as pd
import pytest

import tunebook
from tunebook.decision_files import note_decision
from tunebook.labels import decide
from tunebook.remedies import load
from tunebook.reports import Report
from tunebook.storage import read_json, write_json

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import small_run

if TYPE_CHECKING:
    from tunebook.runs import Run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, tuple[Any, ...]]:
    folder = tmp_path_factory.mktemp("decided")
    pictures = small_run.make_pictures(folder / "colours", count=60)
    rng = np.random.default_rng(4)
    lines = ["path,label,tone"]
    for file in sorted(pictures.rglob("*.png")):
        # Some labels are wrong, so that no threshold is right for all.
        label = "rare" if (file.parent.name == "red") != (rng.random() < 0.15) else "common"
        lines.append(f"{file},{label},{'dark' if rng.random() < 0.5 else 'light'}")
    (folder / "table.csv").write_text("\n".join(lines))
    recipe = small_run.recipe(
        folder / "table.csv", folder, threshold="recall:0.9", positive="rare", sensitive=["tone"], epochs=2,
        unfreeze=[], mixup=0.0, validation_fraction=0.3, test_fraction=0.3, monitor="average_precision",
    )  # fmt: skip
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    baseline = tunebook.measure_baseline(recipe, examples, model)
    run = tunebook.tune(recipe, examples, model, baseline).result()
    return run, (recipe, examples, model)


def test_predictions_metrics_and_report_are_of_one_threshold(finished: tuple[Run, Any]) -> None:
    run, _ = finished
    metrics, table = read_json(run.path / "metrics.json"), pd.read_parquet(run.path / "predictions.parquet")
    found = metrics["decision"]
    assert found["chosen_by"] == "recall:0.9"
    assert found["threshold"] != 0.5
    place = metrics["classes"].index(found["positive"])
    for model, threshold, of in (
        ("tuned", found["threshold"], metrics["tuned"]),
        ("baseline", found["baseline"], metrics["baselines"][metrics["baseline"]]),
    ):
        assert of["validation"]["of_positive"]["recall"] >= 0.9
        for split in ("validation", "test"):
            rows = table[(table["model"] == model) & (table["split"] == split)]
            scores = np.stack(rows["scores"].to_list())
            said = np.where(scores[:, place].astype(float) >= threshold, "rare", "common")
            assert (rows["prediction"] == said).all()
            sure = np.where(said == "rare", scores[:, place], scores[:, 1 - place])
            assert rows["confidence"].tolist() == sure.tolist()
            counts = pd.crosstab(rows["truth"], rows["prediction"]).reindex(
                index=metrics["classes"], columns=metrics["classes"], fill_value=0
            )
            assert of[split]["confusion"] == counts.to_numpy().tolist()
            assert of[split]["threshold"] == threshold


def test_groups_add_up_to_the_matrix_and_the_page_tells_the_threshold(finished: tuple[Run, Any]) -> None:
    run, _ = finished
    metrics, bias = read_json(run.path / "metrics.json"), read_json(run.path / "report" / "bias.json")
    place = metrics["classes"].index("rare")
    rows = [row for row in bias["groups"] if (row["split"], row["model"]) == ("test", "tuned")]
    hits, alarms = (
        sum(row["metrics"][rate]["rare"]["count"] for row in rows)
        for rate in ("true_positive_rate", "false_positive_rate")
    )
    counts = metrics["tuned"]["test"]["confusion"]
    assert [hits, alarms] == [counts[place][place], counts[1 - place][place]]
    assert bias["positive"] == "rare"
    said = f"from a score of {metrics['decision']['threshold']},"
    for text in (
        bias["decided"],
        (run.path / "report" / "bias.html").read_text(),
        (run.path / "README.md").read_text(),
    ):
        assert said in text
    report = Report(run)
    assert said in report.decided()
    assert report.stages()["threshold"].iloc[-1] == str(metrics["decision"]["threshold"])
    assert str(metrics["decision"]["threshold"]) in report.confusion().text


def test_remedies_start_from_the_threshold_and_keep_it_where_they_have_no_own(finished: tuple[Run, Any]) -> None:
    run, parts = finished
    remedies = tunebook.mend(run, *parts)
    metrics = read_json(run.path / "metrics.json")
    accuracy = metrics["tuned"]["test"]["accuracy"]
    assert remedies.table().loc["as tuned", "accuracy"] == pytest.approx(accuracy)
    table = run.report().predictions
    rows = table[(table["model"] == "tuned") & (table["split"] == "test")]
    scores = np.stack(rows["scores"].to_list())
    exported = [name for name in remedies.names if name != "as tuned"]
    assert any(name.startswith("thresholds") for name in exported)
    for name in exported:
        if remedies.remedy(name).rule is None:
            continue
        remedies.export(name)
        # Of no group, so by the model's own threshold.
        assert load(run.path).predict(scores).tolist() == rows["prediction"].tolist()
    remedies.export("as tuned")


def test_a_run_from_before_there_were_thresholds_opens(finished: tuple[Run, Any], tmp_path: Path) -> None:
    run, _ = finished
    old = tmp_path / "old"
    old.mkdir()
    metrics = read_json(run.path / "metrics.json")
    del metrics["decision"]
    parts = [*metrics["baselines"].values(), metrics["tuned"]]
    for scores in [one[split] for one in parts for split in ("validation", "test")]:
        for name in ("threshold", "of_positive", "by_class", "roc_auc", "average_precision", "specificity"):
            del scores[name]
    for row in (*metrics["history"], *metrics["stages"]):
        for name in ("threshold", "of_positive", "roc_auc", "average_precision", "specificity"):
            row["validation"].pop(name, None)
    metrics["monitor"] = "macro_f1"
    write_json(old / "metrics.json", metrics)
    for name in ("predictions.parquet", "state.json", "recipe.json"):
        (old / name).write_bytes((run.path / name).read_bytes())
    report = Report(tunebook.Run(old))
    assert report.decision is None
    assert "validation ROC AUC" not in report.stages()
    assert len(report.classes_table()) == 2
    assert report.bias().positive == "rare"  # the last of two, as before
    assert "epoch 1" in report.curves().text


def test_the_onnx_files_metadata_and_the_configuration_tell_it(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Identity", ["x"], ["logits"])
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in ("x", "logits")]
    onnx.save(
        onnx.helper.make_model(onnx.helper.make_graph([node], "g", value[:1], value[1:])), tmp_path / "model.onnx"
    )
    write_json(tmp_path / "config.json", {"architecture": "a", "tunebook": {"base": "b"}})
    decision = {"positive": "ja|né", "threshold": 0.37, "chosen_by": "f1", "baseline": 0.2}
    assert note_decision(tmp_path, ["nee", "ja|né"], decision)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model)
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(found.pop("classes")) == ["nee", "ja|né"]
    assert found == {"positive": "ja|né", "threshold": "0.37", "chosen_by": "f1"}
    assert read_json(tmp_path / "config.json")["tunebook"] == {
        "base": "b", "decision": {"positive": "ja|né", "threshold": 0.37, "chosen_by": "f1"},
    }  # fmt: skip


def test_more_classes_have_their_names_in_the_onnx_file_alone(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"architecture": "a"})
    assert note_decision(tmp_path, ["a", "b", "c"], None) == []
    assert read_json(tmp_path / "config.json") == {"architecture": "a"}


def test_scores_without_a_decision_are_decided_as_before() -> None:
    scores = np.array([[0.5, 0.5], [0.2, 0.8]], np.float32)
    assert decide(scores, multi_label=False).tolist() == [0, 1]
