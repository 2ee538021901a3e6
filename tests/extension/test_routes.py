"""Every route: the right use, held against the OpenAPI file."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.storage import write_json
from tunebook_lab.app import ROUTES

from .conftest import SPEC, Log, schema_validator, write_run

sys.path.insert(0, str(Path(__file__).parents[1]))
from sweep_files import write_sweep

if TYPE_CHECKING:
    from .conftest import Ask


def unpack(raw: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read packed curves as the front end does."""
    (length,) = struct.unpack("<I", raw[:4])
    header = json.loads(raw[4 : 4 + length])
    schema_validator("ScalarsHeader").validate(header)
    start = 4 + length
    assert start % 8 == 0
    found = {}
    for series in header["series"]:
        block = np.frombuffer(raw, "<f8", 3 * series["count"], start + series["offset"])
        found[series["tag"]] = block.reshape(3, -1)
    return header, found


def test_openapi_file_and_routes_name_the_same() -> None:
    verbs = {"get", "post", "patch", "put", "delete"}
    described = {(path.lstrip("/"), verb) for path, node in SPEC["paths"].items() for verb in verbs & set(node)}
    made = {(path, verb) for path, handler in ROUTES.items() for verb in verbs if verb in vars(handler)}
    assert made == described


async def test_status(ask: Ask) -> None:
    answer = await ask("status")
    assert answer.status == 200
    assert answer.json["max_running"] == 1
    assert answer.json["memory_limit"] > 0


async def test_templates(ask: Ask) -> None:
    answer = await ask("templates")
    found = {entry["name"]: entry for entry in answer.json["templates"]}
    assert found["image-classification"]["icon"] == "image"
    assert found["text-classification"]["task"] == "text-classification"


async def test_form_of_a_template(ask: Ask) -> None:
    form = (await ask("templates/form", name="image-classification")).json
    assert form["values"]["epochs"] == form["defaults"]["epochs"] == form["schema"]["properties"]["epochs"]["default"]
    assert form["schema"]["properties"]["epochs"]["minimum"] == 1
    assert [m["fits"] for m in form["models"]] == sorted((m["fits"] for m in form["models"]), reverse=True)
    assert form["models"]
    assert (await ask("templates/form", name="none such")).status == 404


async def test_notebook_is_made_filled_and_never_over_another(ask: Ask, root: Path) -> None:
    (root / "work").mkdir()
    body = {"template": "image-classification", "folder": "work", "name": "mine", "values": {"epochs": 7, "lr": 0.5}}
    first, second = await ask("notebooks", "POST", body), await ask("notebooks", "POST", body)
    assert (first.status, second.status) == (201, 201)
    assert (first.json["path"], second.json["path"]) == ("work/mine.ipynb", "work/mine-1.ipynb")
    form = (await ask("notebooks/form", path="work/mine.ipynb")).json
    assert form["values"]["epochs"] == 7
    assert form["values"]["lr"] == 0.5
    refused = await ask("notebooks", "POST", {**body, "values": {"epochs": 0}})
    assert refused.status == 400
    assert "epochs" in refused.message
    assert sorted(p.name for p in (root / "work").iterdir()) == ["mine-1.ipynb", "mine.ipynb"]


async def test_cell_of_an_open_notebook_goes_there_and_back(ask: Ask) -> None:
    source = "# mine\nlr = 1e-3  # small\nepochs: int = 2\nextra = 5"
    body = {"task": "image-classification", "source": source}
    form = (await ask("notebooks/form", "POST", body)).json
    assert form["values"] == {"lr": 1e-3, "epochs": 2}
    written = await ask("notebooks/parameters", "POST", {**body, "values": {"lr": 0.25, "epochs": 2, "dropout": 0.1}})
    assert written.json["source"].splitlines()[:4] == ["# mine", "lr = 0.25  # small", "epochs: int = 2", "extra = 5"]
    again = (await ask("notebooks/form", "POST", {**body, "source": written.json["source"]})).json
    assert again["values"] == {"lr": 0.25, "epochs": 2, "dropout": 0.1}
    broken = await ask("notebooks/form", "POST", {**body, "source": "lr = ("})
    assert broken.status == 400


async def test_parameters_are_checked_while_they_are_typed(ask: Ask) -> None:
    body = {"task": "image-classification", "values": {"lr": "1e-2", "epochs": 0, "nonsense": 1}}
    found = (await ask("parameters/check", "POST", body)).json
    assert found["values"] == {"lr": 0.01}
    assert set(found["problems"]) == {"epochs", "nonsense"}


async def test_data_is_looked_at(ask: Ask, root: Path) -> None:
    for label in ("cat", "dog"):
        (root / "pets" / label).mkdir(parents=True)
        (root / "pets" / label / "a.png").write_bytes(b"")
    found = (await ask("data", path="pets", folder="")).json
    assert found["kind"] == "pictures"
    assert found["suggestions"][0] == {"template": "image-classification", "values": {"data": "pets"}}
    rows = "".join(f"a sentence about things number {k},{k % 2}\n" for k in range(20))
    (root / "texts.csv").write_text("review,sentiment\n" + rows, encoding="utf-8")
    found = (await ask("data", path="texts.csv", folder="pets")).json
    values = {"data": "../texts.csv", "label": "sentiment", "text": "review"}
    assert {"template": "text-classification", "values": values} in found["suggestions"]
    assert [column["type"] for column in found["preview"]] == ["text", "whole numbers"]
    assert (found["rows"], found["preview"][1]["examples"]) == (20, ["0", "1", "0"])
    assert found["choices"]["label"]["column"] == "sentiment"


async def test_label_that_is_not_clear_is_not_suggested(ask: Ask, root: Path) -> None:
    rows = "".join(f"{k},a sentence about things number {k},{'ns'[k % 2]},{k % 3}\n" for k in range(20))
    (root / "table.csv").write_text("id,words,region,stars\n" + rows, encoding="utf-8")
    found = (await ask("data", path="table.csv", folder="")).json
    assert found["choices"]["label"]["column"] == ""
    text = next(one for one in found["suggestions"] if one["template"] == "text-classification")
    assert text["values"] == {"data": "table.csv", "text": "words"}


async def test_runs_are_listed_and_then_what_changed(ask: Ask, root: Path) -> None:
    write_run(root / "runs" / "first")
    write_run(root / "deep" / "er" / "runs" / "second", state="stopped")
    write_sweep(root / "runs" / "sweep")
    found = (await ask("runs")).json
    assert found["full"]
    rows = {row["path"]: row for row in found["runs"]}
    assert set(rows) == {"runs/first", "deep/er/runs/second", "runs/sweep"}
    assert rows["runs/first"]["best"] == {"name": "macro_f1", "value": 0.8, "epoch": 4}
    assert rows["runs/first"]["sparkline"] == [0.5, 0.6, 0.7, 0.8]
    assert rows["deep/er/runs/second"]["sparkline"] == [0.6, 0.7, 0.8, 0.9]
    assert rows["runs/sweep"]["kind"] == "sweep"
    assert rows["runs/sweep"]["trials"] == {"done": 5, "total": 5}
    assert rows["runs/sweep"]["best"]["trial"] == 3
    nothing = (await ask("runs", since=found["token"])).json
    assert (nothing["full"], nothing["runs"], nothing["removed"]) == (False, [], [])
    write_run(root / "runs" / "third", state="failed", message="it\nbroke")
    more = (await ask("runs", since=nothing["token"])).json
    assert [row["path"] for row in more["runs"]] == ["runs/third"]
    assert more["runs"][0]["message"] == "it broke"
    assert (await ask("runs", since="made up")).json["full"]


async def test_run_is_told_in_full(ask: Ask, root: Path) -> None:
    write_run(root / "runs" / "one", parameters={"epochs": 4, "lr": 0.1})
    found = (await ask("run", path="runs/one")).json
    assert set(found["differs"]) == {"epochs", "lr"}
    assert found["confusion"] == {"split": "test", "step": 0, "counts": [[8, 2], [2, 8]]}
    assert found["metrics"]["tuned"]["test"]["accuracy"] == 0.8
    assert found["stages"][0]["epochs"] == [1, 4]
    assert "lr: float = 0.1" in found["cell"]
    assert {file["name"] for file in found["files"]} >= {"metrics.json", "recipe.json", "state.json"}


async def test_damaged_run_is_listed_as_such(ask: Ask, root: Path) -> None:
    path = write_run(root / "runs" / "broken")
    (path / "state.json").write_text("[1, 2", encoding="utf-8")
    (path / "recipe.json").write_text('"text"', encoding="utf-8")
    (path / "metrics.json").write_text("{}", encoding="utf-8")
    (row,) = (await ask("runs")).json["runs"]
    assert (row["state"], row["damaged"]) == ("unreadable", True)
    assert (await ask("run", path="runs/broken")).status == 200


async def test_run_is_renamed(ask: Ask, root: Path) -> None:
    write_run(root / "runs" / "old")
    write_run(root / "runs" / "other")
    assert (await ask("run", "PATCH", {"name": "new"}, path="runs/old")).json == {"path": "runs/new"}
    assert (await ask("run", "PATCH", {"name": "other"}, path="runs/new")).status == 409
    for name in ("../up", "a/b", ".hidden", "nul\0", "", "x" * 121, " "):
        assert (await ask("run", "PATCH", {"name": name}, path="runs/new")).status == 400, name
    assert (root / "runs" / "new" / "metrics.json").is_file()


async def test_run_goes_to_the_trash(ask: Ask, root: Path, monkeypatch: Any, tmp_path: Path) -> None:
    write_run(root / "runs" / "old")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    answer = await ask("run", "DELETE", path="runs/old")
    assert answer.status == 204
    assert not (root / "runs" / "old").exists()
    assert (await ask("run", path="runs/old")).status == 404


async def test_running_run_is_not_moved_and_takes_commands(ask: Ask, root: Path) -> None:
    path = write_run(root / "runs" / "live", state="running")
    from tunebook.runs import Run

    assert (await ask("run/commands", "POST", {"command": "pause"}, path="runs/live")).status == 409
    with Run(path).owned():
        assert (await ask("run", "PATCH", {"name": "new"}, path="runs/live")).status == 409
        assert (await ask("run", "DELETE", path="runs/live")).status == 409
        sent = await ask("run/commands", "POST", {"command": "lr", "value": 0.01}, path="runs/live")
        assert sent.status == 202
        refused = await ask("run/commands", "POST", {"command": "lr", "value": -1}, path="runs/live")
        assert refused.status == 400
        (command,) = (await ask("run/commands", path="runs/live")).json["commands"]
    assert command["id"] == sent.json["id"]
    assert (command["by"], command["outcome"]) == ("lab", "waiting")
    (row,) = (await ask("runs")).json["runs"]
    assert (row["state"], row["controllable"]) == ("died", False)


async def test_trials_of_a_sweep(ask: Ask, root: Path) -> None:
    write_sweep(root / "runs" / "sweep")
    write_run(root / "runs" / "run")
    found = (await ask("run/trials", path="runs/sweep")).json
    assert (found["best"], len(found["trials"])) == (3, 5)
    assert found["trials"][4]["message"] == "it broke, badly"
    assert found["trials"][4]["values"] == [None]
    assert (await ask("run", path="runs/sweep")).status == 200
    assert (await ask("run/trials", path="runs/run")).status == 404


async def test_report_is_shown_without_scripts(ask: Ask, root: Path) -> None:
    path = write_run(root / "runs" / "one")
    assert (await ask("run/report", path="runs/one")).status == 404
    (path / "report").mkdir()
    (path / "report" / "bias.html").write_text("<p>fair", encoding="utf-8")
    write_json(path / "report" / "bias.json", {"schema": 1})
    answer = await ask("run/report", path="runs/one")
    assert answer.raw == b"<p>fair"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert policy.endswith("sandbox")
    assert "script-src" not in policy
    assert (await ask("run/report", path="runs/one", format="json")).json == {"schema": 1}
    assert (await ask("run/report", path="runs/one", format="exe")).status == 400


async def test_curves_come_packed_and_then_what_is_new(ask: Ask, root: Path) -> None:
    path = write_run(root / "runs" / "one", steps=1000)
    header, found = unpack((await ask("scalars", path="runs/one", width=20)).raw)
    assert header["tags"] == ["train/loss", "lr/head", "macro_f1/validation", "loss/validation"]
    assert [text["text"] for text in header["texts"] if text["tag"] == "marks"] == ["stage: head train"]
    assert 20 <= found["train/loss"].shape[1] <= 80
    assert found["train/loss"][0, 0] == 1
    assert found["train/loss"][0, -1] == 1000
    assert found["train/loss"][1].max() == 1.0
    again, none = unpack((await ask("scalars", path="runs/one", since=header["token"])).raw)
    assert none == {}
    log = Log(path)
    log.scalars({"train/loss": 7.0}, 1001)
    log.close()
    header, found = unpack((await ask("scalars", path="runs/one", since=again["token"])).raw)
    assert [(s["tag"], s["append"], s["total"]) for s in header["series"]] == [("train/loss", True, 1001)]
    assert found["train/loss"][:2].tolist() == [[1001.0], [7.0]]
    resumed = Log(path, purge_step=500)
    resumed.scalars({"train/loss": 8.0}, 500)
    resumed.close()
    header, found = unpack((await ask("scalars", path="runs/one", since=header["token"])).raw)
    assert {s["tag"]: (s["append"], s["total"]) for s in header["series"]}["train/loss"] == (False, 500)


async def test_curves_of_a_file_and_of_a_stretch(ask: Ask, root: Path) -> None:
    path = write_run(root / "runs" / "one", steps=100)
    (file,) = path.glob("events.out.tfevents.*")
    name = file.relative_to(root).as_posix()
    header, found = unpack((await ask("scalars", path=name, tag=["train/loss"], start=10, end=20)).raw)
    assert header["token"] == ""
    assert list(found) == ["train/loss"]
    assert found["train/loss"][0].tolist() == list(range(9, 22))
    assert (await ask("scalars", path=name, width=0)).status == 400
    assert (await ask("scalars", path=name, width="wide")).status == 400
    assert (await ask("scalars", path="runs/none")).status == 404


async def test_histograms(ask: Ask, root: Path) -> None:
    path = write_run(root / "runs" / "one")
    log = Log(path)
    log.histogram("weights/head", [-0.5, 0.0, 0.5], [20.0, 30.0, 50.0], 5)
    log.close()
    found = (await ask("histograms", path="runs/one", tag="weights/head")).json
    assert found["histograms"][0]["step"] == 5
    assert sum(found["histograms"][0]["counts"]) == 100
    assert (await ask("histograms", path="runs/one", tag="none")).status == 404


async def test_runs_are_compared(ask: Ask, root: Path) -> None:
    write_run(root / "runs" / "a", parameters={"lr": 0.1})
    write_run(root / "runs" / "b", parameters={"lr": 0.2}, state="failed")
    found = (await ask("compare", path=["runs/a", "runs/b"])).json
    row = {"name": "lr", "group": "Schedule", "values": [0.1, 0.2], "words": ["0.1", "0.2"]}
    assert found["differences"] == [row]
    assert {"name": "accuracy", "split": "test", "values": [0.8, None]} in found["results"]
    assert found["comparable"]
    assert found["left_out"] == [{"what": "results", "runs": ["runs/b"], "why": "there are none yet: it is failed"}]
    assert (await ask("compare", path=["runs/a"])).status == 400


async def test_queue_is_set_and_kept(ask: Ask, services: Any) -> None:
    assert (await ask("queue")).json == {"max_running": 1, "held": False, "running": 0, "queued": 0}
    assert (await ask("queue", "PATCH", {"max_running": 3, "held": True})).json["max_running"] == 3
    assert services.queue.settings().held
    for body in ({}, {"max_running": 0}, {"max_running": True}, {"held": "yes"}, {"other": 1}):
        assert (await ask("queue", "PATCH", body)).status == 400, body


async def test_jobs_are_queued_moved_and_cancelled(ask: Ask) -> None:
    await ask("queue", "PATCH", {"held": True})
    made = [
        (await ask("jobs", "POST", {"template": "image-classification", "name": name, "values": {"epochs": 1}})).json
        for name in ("a", "b", "c")
    ]
    assert [job["position"] for job in made] == [0, 1, 2]
    assert made[0]["run"] == "runs/a"
    assert (await ask("jobs", "PATCH", {"position": 0}, id=made[2]["id"])).json["position"] == 0
    listed = (await ask("jobs")).json["jobs"]
    assert [job["title"] for job in listed] == ["c", "a", "b"]
    rows = {row["path"]: row for row in (await ask("runs")).json["runs"]}
    assert {path: row["position"] for path, row in rows.items()} == {"runs/c": 0, "runs/a": 1, "runs/b": 2}
    assert (await ask("jobs", "DELETE", id=made[0]["id"])).json["state"] == "cancelled"
    assert (await ask("jobs", "PATCH", {"position": 0}, id=made[0]["id"])).status == 409
    assert (await ask("jobs/log", id=made[1]["id"])).json == {"text": ""}
    assert (await ask("jobs", "DELETE", id="none")).status == 404


async def test_job_is_checked_before_it_is_queued(ask: Ask, root: Path) -> None:
    await ask("queue", "PATCH", {"held": True})
    write_run(root / "runs" / "taken")
    template = {"template": "image-classification"}
    for body, status in [
        ({}, 400),
        ({**template, "resume": "runs/taken"}, 400),
        ({"template": "none such"}, 404),
        ({"notebook": "none.ipynb"}, 404),
        ({"resume": "runs/none"}, 404),
        ({"resume": "runs/taken"}, 409),
        ({**template, "values": {"epochs": 0}}, 400),
        ({**template, "values": {"import os; os.x": 1}}, 400),
        ({**template, "values": {"runs_dir": "/somewhere"}}, 400),
        ({**template, "values": {"runs_dir": "../up"}}, 400),
        ({**template, "values": {"resume": "x"}}, 400),
        ({**template, "name": "taken"}, 409),
        ({**template, "name": "a/b"}, 400),
        ({**template, "folder": "none"}, 404),
        ({**template, "sweep": {"space": {"lr": "nonsense"}}}, 400),
        ({**template, "sweep": {"space": {"nonsense": "0..1"}}}, 400),
        ({**template, "sweep": {"space": {"lr": "0.1..0.2"}, "objectives": ["beauty"]}}, 400),
    ]:
        answer = await ask("jobs", "POST", body)
        assert answer.status == status, (body, answer.raw)
    assert (await ask("jobs")).json["jobs"] == []
