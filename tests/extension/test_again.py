"""What a person does with runs that are there: notes beside them, once more with changes, and going on."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tunebook.storage import write_json
from tunebook.tasks import recipe_class
from tunebook.templates import find_template, load_notebook, parameters_of
from tunebook_lab.again import describe_again
from tunebook_lab.chosen import MOST, chosen_texts
from tunebook_lab.paths import Root
from tunebook_lab.run_rows import obstacle, read_row

from .conftest import write_run

sys.path.insert(0, str(Path(__file__).parents[1]))
from sweep_files import write_sweep

if TYPE_CHECKING:
    from .conftest import Ask

TASK = "image-classification"


async def test_notes_are_written_listed_and_kept(ask: Ask, root: Path) -> None:
    write_run(root / "one")
    token = (await ask("runs")).json["token"]
    answer = await ask("run/notes", "PATCH", {"star": True, "tags": ["for Ann", "paper"]}, path="one")
    assert answer.json == {"star": True, "tags": ["for Ann", "paper"], "note": ""}
    (row,) = (await ask("runs", since=token)).json["runs"]
    assert (row["star"], row["tags"]) == (True, ["for Ann", "paper"])
    await ask("run/notes", "PATCH", {"note": "best so far"}, path="one")
    await ask("run", "PATCH", {"name": "two"}, path="one")
    row = (await ask("run", path="two")).json["row"]
    assert (row["star"], row["tags"], row["note"]) == (True, ["for Ann", "paper"], "best so far")


async def test_notes_that_are_none_are_refused(ask: Ask, root: Path) -> None:
    write_run(root / "one")
    for body in ({}, {"tags": ["a,b"]}, {"note": "x" * 5000}, {"star": 1}, {"tags": ["x"] * 200}, {"other": 1}):
        answer = await ask("run/notes", "PATCH", body, path="one")
        assert answer.status == 400
        assert answer.message
    assert (await ask("run/notes", "PATCH", {"star": True}, path="none")).status == 404
    assert not (root / "one" / "notes.json").exists()


async def test_notes_that_lead_elsewhere_are_neither_read_nor_written(ask: Ask, root: Path, tmp_path: Path) -> None:
    path = write_run(root / "one")
    outside = tmp_path / "outside.json"
    outside.write_text('{"star": true}', encoding="utf-8")
    (path / "notes.json").symlink_to(outside)
    await ask("run/notes", "PATCH", {"note": "mine"}, path="one")
    assert outside.read_text(encoding="utf-8") == '{"star": true}'


def test_a_row_names_what_was_chosen_and_not_where_it_is_kept() -> None:
    recipe = recipe_class(TASK)(lr=0.02, epochs=9, run="x", model="resnet18", data="pictures", sensitive=["tone"])
    found = chosen_texts(TASK, recipe.model_dump(mode="json"))
    assert found == {"sensitive": '["tone"]', "epochs": "9", "lr": "0.02"}
    assert chosen_texts("unknown", {"a": 1}) == {}
    many = chosen_texts(TASK, {f"p{k}": "x" * 500 for k in range(50)})
    assert len(many) == MOST
    assert max(map(len, many.values())) == 60


@pytest.mark.parametrize(
    ("state", "kind", "names", "words"),
    [
        ("stopped", "run", {"recipe.json"}, ""),
        ("died", "run", {"source.ipynb", "job.json"}, ""),
        ("failed", "sweep", set(), ""),
        ("finished", "run", {"recipe.json"}, "it is finished"),
        ("running", "run", {"recipe.json"}, "it is running"),
        ("unreadable", "run", {"recipe.json"}, "it is unreadable"),
        ("failed", "notebook", {"source.ipynb", "job.json"}, "names no task"),
        ("failed", "run", {"state.json"}, "before it had a recipe"),
    ],
)
def test_what_can_go_on_and_why_not(state: str, kind: str, names: set[str], words: str) -> None:
    found = obstacle(state, kind, names)
    assert (words in found) if words else found == ""


def again(path: Path, root: Path) -> dict[str, Any]:
    return describe_again(path, read_row(path, Root(root)), Root(root))


def test_a_run_of_a_notebook_begins_again_in_its_folder_by_the_template(tmp_path: Path) -> None:
    (tmp_path / "book" / "pictures").mkdir(parents=True)
    path = write_run(tmp_path / "book" / "runs" / "one", parameters={"lr": 0.02, "data": "pictures", "run": "one"})
    found = again(path, tmp_path)
    assert (found["template"], found["notebook"], found["folder"]) == (TASK, "", "book")
    assert (found["values"]["lr"], found["values"]["data"], found["values"]["runs_dir"]) == (0.02, "pictures", "runs")
    assert not {"run", "resume"} & set(found["values"])


def test_a_run_of_the_command_begins_again_by_its_own_notebook(tmp_path: Path) -> None:
    path = write_run(tmp_path / "runs" / "one", parameters={"lr": 0.02})
    shutil.copy(find_template(TASK).path, path / "source.ipynb")
    job = {"notebook": "/books/mine.ipynb", "output": None, "folder": str(tmp_path), "parameters": {}}
    write_json(path / "job.json", job)
    found = again(path, tmp_path)
    assert (found["template"], found["notebook"], found["name"]) == ("", "runs/one/source.ipynb", "mine")
    assert found["folder"] == ""


def test_paths_stay_what_they_were_where_the_folder_is_not_shown(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    (outside / "pictures").mkdir(parents=True)
    path = write_run(root / "kept" / "one", parameters={"data": "pictures"})
    shutil.copy(find_template(TASK).path, path / "source.ipynb")
    write_json(path / "job.json", {"notebook": "x.ipynb", "output": None, "folder": str(outside), "parameters": {}})
    found = again(path, root)
    assert found["folder"] == "kept"
    assert (found["values"]["data"], found["values"]["runs_dir"]) == (str(outside / "pictures"), str(path.parent))


def test_a_parameter_that_there_is_no_longer_is_named(tmp_path: Path) -> None:
    path = write_run(tmp_path / "one")
    recipe = json.loads((path / "recipe.json").read_text(encoding="utf-8"))
    recipe["parameters"]["old_name"] = 3
    write_json(path / "recipe.json", recipe)
    found = again(path, tmp_path)
    assert found["left_out"] == ["old_name"]
    assert "old_name" not in found["values"]


def test_a_search_begins_again_as_a_search(tmp_path: Path) -> None:
    found = again(write_sweep(tmp_path / "search"), tmp_path)
    assert found["sweep"] == {
        "space": {"lr": "log(1e-4,1e-1)"}, "trials": 5, "method": "random", "objectives": ["macro_f1"],
    }  # fmt: skip
    assert found["values"]["model"] == "resnet18"


async def test_the_route_says_what_it_cannot_know(ask: Ask, root: Path) -> None:
    path = write_run(root / "one", state="failed", metrics=False)
    assert (await ask("run/again", path="one")).status == 200
    (path / "recipe.json").unlink()
    answer = await ask("run/again", path="one")
    assert answer.status == 409
    assert "nothing" not in answer.message
    assert "open its notebook" in answer.message


async def test_a_notebook_of_a_run_is_copied_without_outputs(ask: Ask, root: Path) -> None:
    path = write_run(root / "one")
    notebook = load_notebook(find_template(TASK).path)
    notebook["cells"][-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "old"}]
    (path / "source.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    body = {"notebook": "one/source.ipynb", "name": "mine", "values": {"lr": 0.02}}
    made = (await ask("notebooks", "POST", body)).json["path"]
    assert made == "mine.ipynb"
    new = load_notebook(root / made)
    assert parameters_of(new)["lr"] == 0.02
    assert all(not cell.get("outputs") for cell in new["cells"])
    assert (await ask("notebooks", "POST", {"template": TASK, "notebook": "one/source.ipynb"})).status == 400
    assert (await ask("notebooks", "POST", {})).status == 404


async def test_a_killed_run_of_a_notebook_is_resumed_in_the_background(ask: Ask, root: Path) -> None:
    await ask("queue", "PATCH", {"held": True})
    write_run(root / "runs" / "one", state="stopped", metrics=False)
    job = (await ask("jobs", "POST", {"resume": "runs/one"})).json
    assert (job["kind"], job["run"], job["state"]) == ("resume", "runs/one", "queued")
    row = (await ask("run", path="runs/one")).json["row"]
    assert (row["resumable"], row["obstacle"]) == (False, "it waits in the queue")
    write_run(root / "runs" / "two")
    answer = await ask("jobs", "POST", {"resume": "runs/two"})
    assert answer.status == 409
    assert "finished" in answer.message
