"""The command: what it prints, what it refuses in a line, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tunebook import cli
from tunebook.run_notes import change_notes
from tunebook.runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    WriteNotebook = Callable[..., Path]

TASK = {"task": "image-classification"}
COMMAND = (sys.executable, "-m", "tunebook.cli")


class Answer:
    """What a command printed, and its exit code."""

    def __init__(self, code: object, captured: tuple[str, str]) -> None:
        self.code = code
        self.out, self.err = captured


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], write_notebook: WriteNotebook) -> Callable[..., Answer]:  # noqa: ARG001
    """Call the command in a folder of its own."""

    def run(*arguments: str) -> Answer:
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        return Answer(caught.value.code, capsys.readouterr())

    return run


def refused(answer: Answer, words: str, code: int = 1) -> None:
    """Check that there is an exit code and a line, two at most for a mistake on the command line."""
    lines = answer.err.splitlines()
    assert (answer.code, len(lines)) == (code, code)
    assert lines[0].startswith("error: ")
    assert words in lines[0]


# Speed and shape


def test_help_loads_nothing_heavy() -> None:
    heavy = ("torch", "papermill", "nbclient", "pandas", "numpy", "pydantic", "IPython", "rich")
    code = f"import sys, tunebook.cli; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True).stdout == "[]\n"


def test_version_and_help() -> None:
    version = subprocess.run((*COMMAND, "--version"), capture_output=True, text=True, check=True).stdout
    assert version.startswith("tunebook ")
    text = subprocess.run((*COMMAND, "--help"), capture_output=True, text=True, check=True).stdout
    assert all(name in text for name in ("templates", "new", "run", "runs", "show"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Missing command"),
        (("rum",), "No such command"),
        (("run",), "--resume RUN"),
        (("run", "a.ipynb", "--resume", "b"), "leave the other out"),
        (("run", "--resume", "b", "-p", "x", "1"), "leave -p and -f out"),
        (("run", "a.ipynb", "-p", "x"), "requires 2 arguments"),
        (("run", "--colour", "\x1b[31m"), "No such option"),
        (("new", "one"), "FILE"),
    ],
)
def test_mistakes_on_the_command_line(call: Callable[..., Answer], arguments: tuple[str, ...], words: str) -> None:
    refused(call(*arguments), words, code=2)


# Templates


def test_templates_and_new(
    call: Callable[..., Answer], write_notebook: WriteNotebook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    folder = "jupyter/tunebook/templates"
    about = {"title": "T", "summary": "A [red]summary\x1b[31m"}
    write_notebook("1", name=f"{folder}/mine.ipynb", tunebook=about)
    write_notebook("1", name=f"{folder}/broken.ipynb").write_text("{", encoding="utf-8")
    lines = call("templates").out.splitlines()
    assert [line.split() for line in lines if line.startswith("mine ")] == [["mine", "A", "[red]summary\\x1b[31m"]]
    assert any(line.startswith("broken ") and "cannot be used: it is not JSON" in line for line in lines)

    assert call("new", "mine", "copy.ipynb").out == "copy.ipynb\n"
    Path("copy.ipynb").write_text("my work", encoding="utf-8")
    refused(call("new", "mine", "copy.ipynb"), "is there already")
    refused(call("new", "mime", "other.ipynb"), "did you mean 'mine'?")
    assert Path("copy.ipynb").read_text(encoding="utf-8") == "my work"


# Parameters


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-p", "lrr", "1"), "did you mean 'lr'?"),
        (("-p", "x=1;import os", "1"), "unknown parameter 'x=1;import os'"),
        (("-p", "a\nb", "1"), "unknown parameter 'a\\nb'"),
        (("-p", "lr", "-1"), "a number above 0"),
        (("-p", "lr", "nan"), "parameter lr"),
        (("-p", "resume", "runs/x"), "tunebook run --resume"),
        (("-p", "lr", "0.1", "--out", "out.txt"), "ends in .ipynb"),
    ],
)
def test_bad_parameters_start_nothing(
    call: Callable[..., Answer], write_notebook: WriteNotebook, arguments: tuple[str, ...], words: str
) -> None:
    write_notebook("1", tunebook=TASK)
    refused(call("run", "work.ipynb", *arguments), words)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "is not YAML in line 1"),
        ("- 1\n- 2", "(list)"),
        ("just text", "(str)"),
        ("!!python/object/apply:os.system ['touch made']", "is not YAML"),
        ("lrr: 1", "did you mean 'lr'?"),
        ("on: 1", "a parameter's name is text"),
        ("lr: .nan", "must be finite"),
        ("data: 2020-01-01", "parameter data"),
        ("? [a]\n: 1", "not YAML"),
        ("class_weights: &a {x: *a}", "within what it refers to"),
        ("[" * 5000, "is not YAML"),
        ("\x00", "is not YAML"),
    ],
)
def test_a_bad_parameters_file_is_a_line(
    call: Callable[..., Answer], write_notebook: WriteNotebook, text: str, words: str
) -> None:
    write_notebook("1", tunebook=TASK)
    Path("p.yaml").write_text(text, encoding="utf-8")
    refused(call("run", "work.ipynb", "-f", "p.yaml"), words)
    assert not Path("runs").exists()
    assert not Path("made").exists()


def test_a_missing_parameters_file(call: Callable[..., Answer], write_notebook: WriteNotebook) -> None:
    write_notebook("1", tunebook=TASK)
    refused(call("run", "work.ipynb", "-f", "none.yaml"), "cannot read none.yaml: No such file")


# Running


def test_run_prints_three_lines_at_its_end(call: Callable[..., Answer], write_notebook: WriteNotebook) -> None:
    measure = (
        "from tunebook.runs import Run\n"
        "Run.open(run, runs_dir).update(baseline=0.612, metric=0.7134, state='finished')\nprint(epochs, lr)"
    )
    cell = "epochs = 6\nlr = 0.1\nrun = ''\nruns_dir = 'runs'"
    write_notebook("# Train", measure, parameters=cell, tunebook=TASK)
    Path("p.yaml").write_text("epochs: 2\nlr: 1e-4\n", encoding="utf-8")
    options = ("-f", "p.yaml", "-p", "epochs", "3", "-p", "run", "mine")
    answer = call("run", "work.ipynb", *options, "--out", "out.ipynb", "--runs-dir", "all")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-3:] == [
        f"notebook  {Path.cwd() / 'out.ipynb'}",
        "run       all/mine",
        "test accuracy  baseline 0.612 -> tuned 0.713",
    ]
    assert "3 0.0001" in Path("out.ipynb").read_text(encoding="utf-8")
    refused(call("run", "--resume", "mine", "--runs-dir", "all"), "is finished")
    refused(call("run", "--resume", "mime", "--runs-dir", "all"), "did you mean 'mine'?")


def test_a_failed_cell_is_one_line_and_the_output_stays(
    call: Callable[..., Answer], write_notebook: WriteNotebook
) -> None:
    write_notebook("# Sums", "1 / 0")
    Path("out.ipynb").write_text("mine", encoding="utf-8")
    answer = call("run", "work.ipynb", "--out", "out.ipynb")
    refused(answer, "cell 2 (Sums): ZeroDivisionError: division by zero")
    assert f"notebook  {Path.cwd() / 'out.failed.ipynb'}" in answer.out
    assert Path("out.failed.ipynb").is_file()
    assert Path("out.ipynb").read_text(encoding="utf-8") == "mine"


def test_ctrl_c_leaves_130_and_what_there_is(write_notebook: WriteNotebook) -> None:
    write_notebook("import time\nopen('on', 'w').close()\ntime.sleep(60)")
    with subprocess.Popen(
        (*COMMAND, "run", "work.ipynb", "--out", "out.ipynb"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for _ in range(300):
            if Path("on").exists():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.startswith("error: stopped by SIGINT in cell 1")
    assert len(err.splitlines()) == 1
    assert Path("out.stopped.ipynb").is_file()
    assert not Path("out.ipynb").exists()


# Looking at runs

HOSTILE = "[red]x\x1b[2J\ny"


@pytest.fixture
def runs(write_notebook: WriteNotebook) -> Path:  # noqa: ARG001  # it goes to the test's folder
    """Two runs and one whose state is broken."""
    root = Path("runs")
    old = Run.create(root, "old", "image-classification")
    old.update(state="finished", epoch=6, epochs=6, baseline=0.612, metric=0.713)
    hostile = Run.create(root, HOSTILE, "image-classification")
    hostile.update(state="failed", message=f"no {HOSTILE}")
    broken = Run.create(root, "broken", "")
    (broken.path / "state.json").write_text('{"heartbeat": "x"}', encoding="utf-8")
    now = time.time()
    for age, run in enumerate((broken, hostile, old)):
        os.utime(run.path, (now - age, now - age))
    return root


@pytest.mark.usefixtures("runs")
def test_runs_are_a_table_the_newest_first(call: Callable[..., Answer]) -> None:
    answer = call("runs")
    assert answer.code == 0
    assert [line.split() for line in answer.out.splitlines()] == [
        ["name", "state", "epoch", "baseline", "tuned", "age"],
        ["broken", "unreadable"],
        ["[red]x\\x1b[2J", "y", "failed", "0", "s"],
        ["old", "finished", "6/6", "0.612", "0.713", "0", "s"],
    ]
    assert "no runs in nowhere" in call("runs", "--runs-dir", "nowhere").out


def test_runs_and_show_tell_what_was_written_beside_a_run(call: Callable[..., Answer], runs: Path) -> None:
    change_notes(runs / "old", star=True, tags=["paper", "for Ann"], note="two\nlines")
    lines = [line.split() for line in call("runs").out.splitlines()]
    assert lines[0][-2:] == ["star", "tags"]
    assert [line[0] for line in lines[1:]] == ["broken", "[red]x\\x1b[2J", "old"]  # it is no newer for that
    assert lines[-1][-4:] == ["*", "paper,", "for", "Ann"]
    shown = [" ".join(line.split()) for line in call("show", "old").out.splitlines()]
    assert {"star yes", "tags paper, for Ann", "note two lines"} <= set(shown)


def test_a_model_below_its_baseline_is_called_so(call: Callable[..., Answer], runs: Path) -> None:
    Run.open("old", runs).update(metric=0.6119)
    assert "finished, below baseline  6/6" in call("runs").out
    assert "baseline 0.6120 -> tuned 0.6119 test accuracy, below its baseline" in call("show", "old").out


@pytest.mark.usefixtures("runs")
def test_a_terminal_s_table_shows_names_as_they_are(
    call: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    out = call("runs").out
    assert "[red]x\\x1b[2J y" in out
    assert "\x1b[2J" not in out


def test_show(call: Callable[..., Answer], runs: Path) -> None:
    def write(name: str, value: Any) -> None:
        (runs / "old" / name).write_text(json.dumps(value), encoding="utf-8")

    write("recipe.json", {"task": "image-classification", "parameters": {"lr": 0.5, "epochs": 5, "odd": HOSTILE}})
    scores = {"n": 3, "accuracy": 0.713, "loss": 0.5, "recall": {"a": 1.0}}
    write("metrics.json", {"tuned": {"test": scores}, "counts": {"a": 1}})
    (runs / "old" / "model").mkdir()
    (runs / "old" / HOSTILE.replace("/", "")).touch()
    answer = call("show", "old")
    assert answer.code == 0
    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert "state finished: epoch 6/6; baseline 0.612 -> tuned 0.713 test accuracy" in lines
    assert "lr 0.5" in lines
    assert not any(line.startswith("epochs") for line in lines)
    assert "tuned, test accuracy 0.713, loss 0.500" in lines
    assert "model/" in lines
    assert "\x1b" not in answer.out

    hostile = call("show", HOSTILE)
    assert "state failed: no [red]x\\x1b[2J y" in " ".join(hostile.out.split())
    assert "\x1b" not in hostile.out
    refused(call("show", "odl"), "did you mean 'old'?")
    refused(call("show", "\x1b[31m"), "no run '\\x1b[31m'")
    refused(call("show", "broken"), "is not a run's state: heartbeat is 'x'")
    write("recipe.json", "text")
    assert call("show", "old").code == 0


def test_a_reader_that_leaves_is_no_error(runs: Path) -> None:
    code = f"{sys.executable} -m tunebook.cli runs --runs-dir '{runs.absolute()}' | true"
    done = subprocess.run(("bash", "-c", code), capture_output=True, text=True, check=True)
    assert done.stderr == ""
