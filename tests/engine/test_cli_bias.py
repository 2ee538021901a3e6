"""``tunebook audit`` and ``tunebook report``: what they print, what they write, and what they refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer

from tunebook.cli_bias import Several, audit_command, report_command
from tunebook.errors import TunebookError
from tunebook.remedies import compare_remedies
from tunebook.runs import Run
from tunebook.storage import write_json

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_runs import make_run


@pytest.fixture
def call() -> Any:
    app = typer.Typer()
    app.command("report")(report_command)
    app.command("audit", cls=Several)(audit_command)

    def run(*words: str) -> None:
        app([*words, "--draws", "200"], standalone_mode=False)

    return run


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [(k % 2, k % 2 if k % 3 else 1 - k % 2, "=evil" if k % 3 == 0 else "kind", k % 4) for k in range(120)]
    pd.DataFrame(rows, columns=["y", "p", "a", "b"]).to_csv(tmp_path / "predictions.csv", index=False)
    return tmp_path / "predictions.csv"


def test_an_audit_takes_several_columns_after_one_option(table: Path, call: Any, capsys: Any) -> None:
    call("audit", str(table), "--truth", "y", "--sensitive", "a", "b", "--prediction", "p")
    printed = capsys.readouterr().out
    assert "The model is worse for “=evil”" in printed
    assert "b, whole set" in printed
    folder = table.parent / "predictions-bias"
    assert {p.name for p in folder.iterdir()} == {"bias.html", "bias.json", "bias.csv"}
    assert "predictions-bias/bias.html" in printed
    assert json.loads((folder / "bias.json").read_text())["attributes"][0]["name"] == "a"
    assert ",'=evil," in (folder / "bias.csv").read_text()


def test_an_option_may_be_given_more_than_once(table: Path, call: Any) -> None:
    words = ["audit", str(table), "--truth", "y", "--prediction", "p", "--sensitive", "a", "--sensitive", "b"]
    call(*words, "--out", str(table.parent / "there"))
    found = json.loads((table.parent / "there" / "bias.json").read_text())
    assert [a["name"] for a in found["attributes"]] == ["a", "b", "a × b"]


def test_an_audit_of_the_wrong_column_is_refused(table: Path, call: Any) -> None:
    with pytest.raises(TunebookError, match="no column 'c'"):
        call("audit", str(table), "--truth", "y", "--prediction", "p", "--sensitive", "c")
    assert not (table.parent / "predictions-bias").exists()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Make what the report needs of a finished run."""
    made = Run.create(tmp_path / "runs", "done", "image-classification")
    write_json(made.path / "metrics.json", {"classes": ["no", "yes"], "multi_label": False})
    rows = [
        (model, f"e{k}", "test", "yes" if k % 2 else "no", "no" if k % 3 == 0 else "yes" if k % 2 else "no", 0.9,
         "light" if k % 3 else "dark")
        for model in ("baseline", "tuned")
        for k in range(90)
    ]  # fmt: skip
    columns = ["model", "id", "split", "truth", "prediction", "confidence", "group_tone"]
    pd.DataFrame(rows, columns=columns).to_parquet(made.path / "predictions.parquet")
    return made


def test_a_run_gets_its_report_in_its_own_folder(run: Run, call: Any, capsys: Any) -> None:
    call("report", "done", "--runs-dir", str(run.path.parent), "--no-examples")
    assert "tone, test set" in capsys.readouterr().out
    report = json.loads((run.path / "report" / "bias.json").read_text())
    assert report["models"] == ["baseline", "tuned"]
    assert report["source"] == "Run done"


def test_notes_on_the_data_are_kept_when_a_report_is_made_again(run: Run, call: Any) -> None:
    bias = run.report().bias(["Generated on purpose."])
    bias.save(run.path / "report")
    call("report", str(run.path), "--no-examples", "--min-n", "5")
    report = json.loads((run.path / "report" / "bias.json").read_text())
    assert report["notes"] == ["Generated on purpose."]
    assert report["minimum"] == 5


def test_a_run_whose_data_is_gone_gets_its_report_without_examples(run: Run, call: Any, capsys: Any) -> None:
    write_json(run.path / "recipe.json", {"task": "image-classification", "parameters": {"data": "gone/"}})
    call("report", str(run.path))
    assert "without examples" in capsys.readouterr().err
    assert (run.path / "report" / "bias.html").is_file()


def test_remedies_stay_in_a_report_that_is_made_again_the_same_way(tmp_path: Path, call: Any, capsys: Any) -> None:
    made = make_run(tmp_path)
    compare_remedies(made, attribute="tone").record()
    page = made.path / "report" / "bias.html"
    call("report", str(made.path), "--no-examples")
    assert "What would mend" in page.read_text()
    call("report", str(made.path), "--no-examples", "--min-n", "30")
    assert "What would mend" not in page.read_text()
    assert "another --min-n" in capsys.readouterr().err


def test_a_run_without_predictions_is_one_line(tmp_path: Path, call: Any) -> None:
    Run.create(tmp_path, "young", "t")
    with pytest.raises(TunebookError, match="has no predictions yet"):
        call("report", "young", "--runs-dir", str(tmp_path))


def test_accuracy_by_group_of_a_run_is_in_its_report(run: Run) -> None:
    table = run.report().by_group()
    assert list(table.columns) == ["n", "baseline accuracy", "tuned accuracy", "low", "high", "change"]
    assert table.loc[("tone", "light"), "tuned accuracy"] == 1.0
    assert table.loc[("tone", "dark"), "change"] == 0.0
