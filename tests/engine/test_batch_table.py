"""The table of many runs, on the disk and while they go: whole rows, no formulas, no markup, no terminal codes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tunebook.batch_child import Outcome
from tunebook.batch_runs import Batch
from tunebook.batch_sets import Entry, settle_sets
from tunebook.batch_table import batch_table, check_place, write_table
from tunebook.cli_sets import Lines
from tunebook.errors import TunebookError
from tunebook.runs import Run

CELL = "rate = 0.5\nfreeze = None\nname = 'a'\nstate = 'b'"
HOSTILE = "=cmd|' /C calc'!A0 <script>alert(1)</script>\x1b[2J"


@pytest.fixture
def batch(write_notebook: Any) -> Batch:
    """Make a batch of four: finished before, failed, not begun, and one of hostile words."""
    path = write_notebook("1", parameters=CELL)
    entries = [
        Entry("s, line 1", "one", {"rate": 0.25, "freeze": "backbone"}),
        Entry("s, line 2", "two", {"freeze": -2}),
        Entry("s, line 3", "three", {"freeze": ["a*"]}),
        Entry("s, line 4", "<b>four", {"name": HOSTILE, "state": "x"}),
    ]
    sets = settle_sets(json.loads(path.read_text()), entries, {}, {})
    made = Batch(path, sets, Path("runs"))
    one = Run.create("runs", "one", "")
    one.update(state="finished", epoch=3, epochs=3, baseline=0.5, metric=0.75)
    (one.path / "metrics.json").write_text('{"tuned": {"test": {"macro_f1": 0.7, "loss": 0.5, "accuracy": 0.75}}}')
    (one.path / "job.json").write_text('{"seconds": 12.5}')
    Run.create("runs", "two", "").update(state="running", epoch=1, epochs=3)
    made.outcomes["two"] = Outcome("failed", HOSTILE, 3.0)
    return made


def test_a_row_a_set(batch: Batch) -> None:
    table = batch_table(batch)
    assert list(table.columns) == [
        "run", "state", "baseline_accuracy", "accuracy", "macro_f1", "roc_auc", "average_precision", "specificity",
        "loss", "epochs_done", "seconds",
        "rate", "freeze", "name", "parameter state", "message", "path",
    ]  # fmt: skip
    assert table["run"].tolist() == ["one", "two", "three", "<b>four"]
    assert table["state"].tolist() == ["finished", "failed", "waiting", "waiting"]
    first = table.iloc[0]
    assert first[["baseline_accuracy", "accuracy", "macro_f1", "loss", "seconds"]].tolist() == [
        0.5,
        0.75,
        0.7,
        0.5,
        12.5,
    ]
    assert first["path"] == "runs/one"
    assert table["freeze"].tolist()[:3] == ["backbone", -2, '["a*"]']
    assert table["message"].tolist()[1] == HOSTILE


def test_what_cannot_be_read_leaves_its_cells_empty(batch: Batch) -> None:
    for name in ("state.json", "metrics.json", "job.json"):
        Path("runs/one", name).write_text("[1", encoding="utf-8")
    first = batch_table(batch).iloc[0]
    assert first["state"] == "waiting"
    assert pd.isna(first["accuracy"])


def test_files_of_the_table_are_harmless(batch: Batch) -> None:
    table = batch_table(batch)
    for name in ("t.csv", "t.parquet", "t.html"):
        check_place(Path(name))
        write_table(table, Path("made", name))
    csv = pd.read_csv("made/t.csv")
    assert csv["message"][1].startswith("'=cmd")
    assert csv["accuracy"][0] == 0.75
    parquet = pd.read_parquet("made/t.parquet")
    assert parquet["freeze"].tolist()[:2] == ["backbone", "-2"]
    assert parquet["rate"][0] == 0.25
    page = Path("made/t.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>four" not in page
    assert "&#x27;=cmd" in page or "&#39;=cmd" in page or "'=cmd" in page
    assert {path.name for path in Path("made").iterdir()} == {"t.csv", "t.parquet", "t.html"}


@pytest.mark.parametrize(("name", "words"), [("t.xlsx", "must end in .csv, .parquet, .html"), ("d.csv", "is a folder")])
def test_a_bad_place_is_refused(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(TunebookError, match=words):
        check_place(tmp_path / name)


# While they go


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def tell(batch: Batch, stream: io.StringIO) -> list[str]:
    """Let three epochs of a run go by, looked at a hundred times each, and return the lines that were printed."""
    run = Run(Path("runs/two"))
    run.update(state="running", epoch=0, epochs=3)
    with Lines(batch, stream) as lines, run.owned():
        lines.begin("2 at a time")
        lines.began("two", "")
        for epoch in (1, 2, 3):
            run.update(state="running", epoch=epoch, epochs=3, loss=1 / epoch)
            for _ in range(100):
                lines._looked = 0.0
                lines.turn(["two", "three"], 1)
        run.update(state="finished", metric=0.75, baseline=0.5)
        lines.ended("two", Outcome("finished", "", 72.0))
        lines.ended("<b>four", Outcome("failed", HOSTILE, 2.0))
    return stream.getvalue().splitlines()


def test_a_file_gets_a_line_an_epoch(batch: Batch) -> None:
    assert tell(batch, io.StringIO()) == [
        "4 runs in runs; 4 to run, 2 at a time",
        "started   two",
        "          two  epoch 1/3 done  loss 1.000",
        "          two  epoch 2/3 done  loss 0.500",
        "          two  epoch 3/3 done  loss 0.333",
        "finished  two  baseline 0.500 -> tuned 0.750 test accuracy  1:12",
        "failed    <b>four  =cmd|' /C calc'!A0 <script>alert(1)</script>\\x1b[2J  0:02",
    ]


def test_a_terminal_gets_a_live_line_and_a_line_a_run(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    lines = tell(batch, stream)
    text = stream.getvalue()
    assert "epoch 1/3 done" not in text
    assert sum("finished  two  baseline" in line for line in lines) == 1
    assert "[2J" not in text.replace("\\x1b[2J", "")
    assert len(lines) < 40  # it is drawn a few times a second, each time over the last


def test_a_run_that_was_made_by_another_notebook_is_mentioned(batch: Batch) -> None:
    from tunebook.batch_standing import Standing

    batch.standings = {"one": Standing("finished", is_changed=True), "two": Standing("resume", is_changed=True)} | {
        name: Standing("new") for name in ("three", "<b>four")
    }
    stream = io.StringIO()
    with Lines(batch, stream) as lines:
        lines.begin("1 at a time")
        lines.began("two", "host")
    assert stream.getvalue().splitlines() == [
        "4 runs in runs, 1 of them finished before; 3 to run, 1 at a time",
        "note: the notebook's code is no longer what one and 1 more ran, which is kept as it is",
        "resumed   two  on host",
    ]
