"""A damaged run is one row that says so, and no argument or body of a request ends in an error of the server's."""

from __future__ import annotations

import csv
import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.extension.conftest import SPEC, write_run
from tunebook.runs import Run
from tunebook.storage import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from tests.extension.conftest import Ask

STATES = {
    "401 digits": '{"step": ' + "1" * 401 + "}",
    "infinite": '{"state": "running", "host": "elsewhere", "heartbeat": 1e999}',
    "nan": '{"started": NaN}',
    "unknown": '{"state": "zzz\\u0000"}',
    "deep": "[" * 10_000,
}
TRIALS = {
    "huge cell": b"number,state,macro_f1\n0,complete," + b"1" * 200_000 + b"\n",
    "wide": b"," * 5000,
    "no text": b"\xff\xfe\x00",
}
METRICS = {
    "a list": "[]",
    "an infinite epoch": '{"monitor": "loss", "history": [], "tuned": {"epoch": 1e999}}',
    "many digits": '{"monitor": ' + "1" * 5000 + "}",
}


def _damage(folder: Path) -> None:
    for name, text in STATES.items():
        (write_run(folder / name) / "state.json").write_text(text, encoding="utf-8")
    for name, raw in TRIALS.items():
        path = write_run(folder / name)
        write_json(path / "sweep.json", {"objectives": ["macro_f1"], "spaces": {"lr": "0..1"}, "parameters": {}})
        (path / "trials.csv").write_bytes(raw)
    for name, text in METRICS.items():
        (write_run(folder / name) / "metrics.json").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("limit", [131_072, 10_000_000], ids=["csv's own bound", "raised by a reader of tables"])
async def test_each_damaged_run_is_a_row_that_says_so(
    ask: Ask, root: Path, limit: int, request: pytest.FixtureRequest
) -> None:
    before = csv.field_size_limit(limit)
    request.addfinalizer(lambda: csv.field_size_limit(before))
    _damage(root / "runs")
    write_run(root / "runs" / "whole")
    rows = {row["name"]: row for row in (await ask("runs")).json["runs"]}
    assert set(rows) == {*STATES, *TRIALS, *METRICS, "whole"}
    assert rows["whole"]["best"] is not None
    assert not rows["whole"]["damaged"]
    for name in (*STATES, *TRIALS, *METRICS):
        assert rows[name]["damaged"], name
        assert rows[name]["message"], name
        assert "\n" not in rows[name]["message"]
    for name in rows:
        for route in ("run", "run/commands", "run/trials", "run/report", "scalars"):
            assert (await ask(route, path=f"runs/{name}")).status < 500, (name, route)
        compared = await ask("compare", path=[f"runs/{name}", "runs/whole"])
        assert compared.status < 500, name
    too_large = await ask("run/trials", path="runs/huge cell")
    assert too_large.status == 409
    assert "field larger than field limit" in too_large.message


def _put(file: Path, kind: str) -> None:
    file.unlink(missing_ok=True)
    file.parent.mkdir(exist_ok=True)
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "link":
        file.symlink_to("/nowhere")
    else:
        file.write_text(kind, encoding="utf-8")


@pytest.mark.parametrize("name", ["state.json", "recipe.json", "metrics.json", "notes.json", "report/bias.json"])
async def test_a_file_that_is_none_is_said_in_the_row_of_its_run_alone(ask: Ask, root: Path, name: str) -> None:
    kinds = ["pipe", "folder", "link", "[]", '{"a": "\\ud800"}']
    for number, kind in enumerate(kinds):
        _put(write_run(root / "runs" / str(number)) / name, kind)
    write_run(root / "runs" / "whole")
    rows = {row["name"]: row for row in (await ask("runs")).json["runs"]}
    assert set(rows) == {*map(str, range(len(kinds))), "whole"}
    assert not rows.pop("whole")["damaged"]
    for row in rows.values():
        assert row["damaged"]
        assert name.partition("/")[2] or name in row["message"]
        assert (row["best"] is None) is (name in {"state.json", "metrics.json"})
        for route in ("run", "run/again", "run/commands", "run/handout", "scalars"):
            assert (await ask(route, path=row["path"])).status in {200, 409}
        assert (await ask("run/report", path=row["path"], format="json")).status in {404, 409}
        compared = await ask("compare", path=[row["path"], "runs/whole"])
        assert compared.status == 200


@pytest.mark.parametrize("text", ["", "[]", "5", "[" * 5000, '{"a": ' + "1" * 5000 + "}", '{"a": "\\udfff"}'])
async def test_damaged_figures_of_a_report_are_no_answer(ask: Ask, root: Path, text: str) -> None:
    path = write_run(root / "runs" / "one")
    (path / "report").mkdir()
    (path / "report" / "bias.json").write_text(text, encoding="utf-8")
    answer = await ask("run/report", path="runs/one", format="json")
    assert answer.status == 409
    assert "damaged" in answer.message


async def test_a_notebook_that_holds_half_a_character_is_refused(ask: Ask, root: Path) -> None:
    cell = {"cell_type": "code", "source": "x = '\ud800'", "metadata": {}, "outputs": [], "execution_count": None}
    (root / "half.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}), encoding="utf-8")
    answer = await ask("notebooks", "POST", {"notebook": "half.ipynb", "name": "new"})
    assert answer.status == 400
    assert "half of a character" in answer.message
    assert not (root / "new.ipynb").exists()


async def test_a_verb_that_a_route_lacks_is_answered_with_those_that_it_has(ask: Ask) -> None:
    for verb, allowed in (("PUT", "GET, DELETE, PATCH, OPTIONS"), ("TRACE", "GET, DELETE, PATCH, OPTIONS")):
        answer = await ask("run", verb, is_checked=False)
        assert answer.status == 405
        assert answer.headers["Allow"] == allowed


async def test_a_whole_number_may_be_written_with_a_point(ask: Ask) -> None:
    assert (await ask("queue", "PATCH", raw=b'{"max_running": 2.0}')).json["max_running"] == 2
    assert (await ask("queue", "PATCH", raw=b'{"max_running": 2.5}')).status == 400


async def test_commands_of_others_are_told_or_skipped(ask: Ask, root: Path) -> None:
    path = write_run(root / "runs" / "one")
    lines = [
        '{"id": "a", "command": "lr", "value": 1e999, "time": 1e999}',
        '{"id": "b", "step": ' + "1" * 70 + ', "epoch": 1, "refused": "x"}',
        "x" * 100_000,
        "[" * 50_000,
    ]
    (path / "control.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (command,) = (await ask("run/commands", path="runs/one")).json["commands"]
    assert command["id"] == "a"


ODD = [
    "", "\0", "x" * 300, "x" * 5000, "é" * 200, "inf", "nan", "-1", "1" * 5000, "²", "1e400", "..", "/", "~", "%00",
    "\n", "runs/one/state.json", "a/" * 2000,
]  # fmt: skip
BODIES: list[Any] = [
    None, True, -1, 10**60, 1e308, "", "\0", "x" * 300, "../x", [], {}, [[]], {"a": {"b": []}}, "²", {"lr": 10**60},
    {"space": {"lr": "1" * 5000}}, {"space": {"lr": "log 1e-400..1e400"}, "trials": 10**18},
]  # fmt: skip
RAW = [
    b"", b"{", b"[]", b"null", b"\xff", b"1" * 5000, b'{"a":' * 200, b'"\\ud800"', b'{"name":"\\ud800"}',
    b'{"command":"lr","value":1e999}', b'{"command":"lr","value":NaN}',
    b'{"task":"","values":{"a":' + b"9" * 401 + b"}}",
]  # fmt: skip
ROUTES = [
    (route[1:], verb.upper(), operation)
    for route, verbs in SPEC["paths"].items()
    for verb, operation in verbs.items()
    if verb in {"get", "post", "patch", "put", "delete"}
]


def _parameters(operation: dict[str, Any]) -> list[dict[str, Any]]:
    shared = SPEC["components"].get("parameters", {})
    given = operation.get("parameters", [])
    return [shared[each["$ref"].rpartition("/")[2]] if "$ref" in each else each for each in given]


async def test_no_argument_of_a_query_ends_in_an_error_of_the_server(ask: Ask, root: Path) -> None:
    write_run(root / "runs" / "one")
    for route, verb, operation in ROUTES:
        known = _parameters(operation)
        for parameter in known:
            for odd in ODD:
                query = {each["name"]: "1" for each in known if each.get("required")} | {parameter["name"]: odd}
                answer = await ask(route, verb, None if verb in {"GET", "DELETE"} else {}, **query)
                assert answer.status < 500, (route, verb, parameter["name"], odd[:20], answer.raw[:200])


async def test_no_body_ends_in_an_error_of_the_server(ask: Ask, root: Path) -> None:
    write_run(root / "runs" / "one")
    await ask("queue", "PATCH", {"held": True})
    for route, verb, operation in ROUTES:
        if "requestBody" not in operation:
            continue
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        reference = schema.get("$ref", "").rpartition("/")[2]
        fields = (SPEC["components"]["schemas"][reference] if reference else schema)["properties"]
        bodies = [json.dumps({field: value}).encode() for field in fields for value in BODIES]
        for body in (*RAW, *bodies):
            answer = await ask(route, verb, raw=body, path="runs/one", id="1")
            assert answer.status < 500, (route, verb, body[:60], answer.raw[:200])


@pytest.mark.parametrize("length", ["²", "٣", "-1", "1e3", "0x10", "9" * 5000])
async def test_a_length_that_is_none_is_refused(length: str) -> None:
    from tunebook_lab.handlers import Route

    route = object.__new__(Route)
    route.request = SimpleNamespace(headers={"Content-Length": length})
    with pytest.raises(Exception, match=r"Content-Length|too long") as caught:
        await route.prepare()
    assert caught.value.status in {400, 413}


def test_a_damaged_run_keeps_no_other_from_being_listed_by_the_command(tmp_path: Path, capsys: Any) -> None:
    from tunebook.cli import main

    _damage(tmp_path / "runs")
    Run.create(tmp_path / "runs", "whole", "image-classification")
    with pytest.raises(SystemExit) as ended:
        main(["runs", "--runs-dir", str(tmp_path / "runs")])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "whole" in printed
    assert printed.count("unreadable") == len(STATES) - 1
