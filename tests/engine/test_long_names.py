"""A name that no file can have, of 5,000 letters or with a NUL, is refused in one line wherever a path is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tunebook import opening
from tunebook.cli import main
from tunebook.data_place import is_dataset_id, require_place
from tunebook.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = "x" * 5000
COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "show": lambda name: ["show", name],
    "runs": lambda name: ["runs", "--runs-dir", name],
    "handout": lambda name: ["handout", name],
    "new": lambda name: ["new", "text-classification", name + ".ipynb"],
    "run": lambda name: ["run", name + ".ipynb"],
    "data": lambda name: ["run", "text-classification", "-p", "data", name],
    "audit": lambda name: ["audit", name + ".csv", "--truth", "a", "--prediction", "b", "--sensitive", "c"],
    "report": lambda name: ["report", name],
    "control": lambda name: ["control", name, "pause"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", [LONG, "a/" * 3000 + "a", "a\0b"], ids=["long", "deep", "NUL"])
def test_a_name_that_is_none_is_one_line(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(COMMANDS[command](name))
    said = capsys.readouterr()
    if command == "runs":  # a folder that is not there yet has no runs
        assert said.out.count("\n") + said.err.count("\n") == 1
    else:
        # 2 where it is found on the command line already, with a second line that names the help.
        assert ended.value.code in {1, 2}
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == ended.value.code
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["show", "handout", "run", "data", "audit", "report", "control"])
def test_a_home_of_nobody_is_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(COMMANDS[command]("~nobody-of-that-name/x"))
    assert ended.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_page_is_not_written_under_a_name_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tunebook.runs import Run

    monkeypatch.chdir(tmp_path)
    Run.create("runs", "one", "text-classification")
    with pytest.raises(SystemExit) as ended:
        main(["handout", "one", "--out", LONG])
    assert ended.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_data_of_such_a_name_is_nowhere() -> None:
    assert not is_dataset_id(LONG)
    for name in (LONG, "a\0b"):
        assert not opening.is_there(Path(name))
        with pytest.raises(DataError, match="no such folder or file"):
            require_place(name)


def test_an_error_of_the_system_is_one_line_of_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device", "a\nb")

    monkeypatch.setattr("tunebook.templates.list_templates", full)
    with pytest.raises(SystemExit) as ended:
        main(["templates"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: 'a\\nb': No space left on device\n"
