"""A small file holds nothing up: what others wrote is read in a process that ends in time, and the server goes on."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tunebook.table_bounds import TableBounds
from tunebook_lab import apart, datasets
from tunebook_lab.apart import Reader
from tunebook_lab.apart_child import answer
from tunebook_lab.errors import RequestError
from tunebook_lab.paths import Root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.extension.conftest import Ask

CHECK = {"task": "image-classification", "values": {"lr": 0.1}}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    made = Reader(tmp_path)
    yield made
    made.close()


def test_a_process_answers_again_and_again(reader: Reader) -> None:
    for _ in range(3):
        assert json.loads(reader.call("check", CHECK)) == {"values": {"lr": 0.1}, "problems": {}}
    with pytest.raises(RequestError, match="nothing at") as caught:
        reader.call("data", {"path": "none", "folder": ""})
    assert caught.value.status == 404
    assert json.loads(reader.call("check", CHECK))["problems"] == {}


def test_one_that_was_killed_meanwhile_is_replaced(reader: Reader) -> None:
    apart._end_all()  # one that other tests used may be at the end of its life
    reader.call("check", CHECK)
    with apart._lock:
        apart._idle[-1].interrupt()
        apart._idle[-1]._process.wait()
    assert json.loads(reader.call("check", CHECK))["problems"] == {}


def test_too_long_and_too_much_are_a_line_each(reader: Reader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(apart, "SECONDS", 0.3)
    apart._end_all()
    child = apart._Child()
    # Stopped, it answers to nothing.
    os.kill(child._process.pid, 19)
    apart._idle.append(child)
    with pytest.raises(RequestError, match=r"more than 0.3 seconds; the look at it was ended") as caught:
        reader.call("check", CHECK)
    assert caught.value.status == 422
    assert "seconds of a processor" in apart._why(-24)
    assert "SIGSEGV" in apart._why(-11)


def test_too_many_that_wait_are_refused(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_MOST_WAITING", 2)
    reader.admit()
    reader.admit()
    with pytest.raises(RequestError, match="2 requests of this kind wait already") as caught:
        reader.admit()
    assert caught.value.status == 503
    reader.dismiss()
    reader.admit()


def test_closing_ends_what_is_waited_for(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    child = apart._Child()
    os.kill(child._process.pid, 19)
    with apart._lock:
        apart._idle.append(child)
    waiting = reader.threads.submit(reader.call, "check", CHECK)
    while reader._busy is None:
        time.sleep(0.01)
    reader.close()
    with pytest.raises(RequestError):
        waiting.result(timeout=10)


def test_what_a_job_raises_is_told(tmp_path: Path) -> None:
    def ask(job: str, **arguments: Any) -> tuple[dict[str, Any], bytes]:
        return answer(json.dumps({"job": job, "root": str(tmp_path), "arguments": arguments}).encode())

    head, body = ask("check", **CHECK)
    assert head["size"] == len(body)
    assert ask("notebook form", path="none.ipynb")[0]["status"] == 404
    assert ask("cell form", task="", source="a =")[0]["status"] == 400
    assert json.loads(ask("rewrite", task="", source="a = 1", values={"a": 2})[1]) == {"source": "a = 2"}


def _wide(path: Path) -> None:
    parquet.write_table(pa.table({f"c{k}": [1] for k in range(5000)}), path)


TABLES = {
    "wide.parquet": (_wide, "it has 5,000 columns; at most 4,096 are read"),
    "pipe.parquet": (os.mkfifo, "it is a pipe"),
    "pipe.csv": (os.mkfifo, "it is a pipe"),
    "quotes.csv": (lambda p: p.write_text("'" + ",'" * 135, encoding="utf-8"), ""),
    "wide.csv": (lambda p: p.write_text("c," * 37_000, encoding="utf-8"), "37,001 columns"),
    "wide.jsonl": (lambda p: p.write_text(json.dumps(dict.fromkeys(map(str, range(9000)))), encoding="utf-8"), "9,000"),
    "deep.jsonl": (lambda p: p.write_text("[" * 100_000, encoding="utf-8"), ""),
    "device.csv": (lambda p: p.symlink_to("/dev/zero"), ""),
}


async def test_a_small_table_holds_nothing_up(ask: Ask, root: Path) -> None:
    for name, (make, words) in TABLES.items():
        make(root / name)
        answered = await ask("data", path=name)
        assert answered.status in {200, 404}, name
        assert words in answered.raw.decode(), name


def test_a_table_that_is_large_once_unpacked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.parquet"
    table = pa.table({"text": pa.array(["a" * (4 << 20)] * 2), "label": ["x", "y"]})
    parquet.write_table(table, path, compression="brotli", use_dictionary=False)
    assert path.stat().st_size < 4096
    monkeypatch.setattr(datasets, "_TABLE_BOUNDS", TableBounds(bytes=1 << 20))
    answered = datasets.look(Root(tmp_path), "bomb.parquet", "")
    assert "unpacked it takes more than 1,048,576 bytes, the most that are read" in answered["summary"]


CELLS = {
    "many names on a line": (";".join(f"a{k}=1" for k in range(22_000)), "assigns more than 1000 names"),
    "the same name on a line": ("é=1;" * 22_000, ""),
    "a number of 90,000 digits": ("a = 0x" + "f" * 90_000, ""),
    "a number of 5,000 digits": ("a = " + "9" * 5000, "not plain Python"),
    "a sum of 90,000": ("a = 1" + "+1" * 90_000, "not plain Python"),
    "signs": ("a = " + "-" * 90_000 + "1", "not plain Python"),
    "brackets": ("a = " + "[" * 90_000, "not plain Python"),
    "a long cell": ("#" * 200_001, "200001 characters"),
}


async def test_a_small_cell_holds_nothing_up(ask: Ask, root: Path) -> None:
    for name, (source, words) in CELLS.items():
        cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": source}
        notebook = {"cells": [cell], "metadata": {"tunebook": {"task": "image-classification"}}}
        (root / "x.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        for answered in (
            await ask("notebooks/form", path="x.ipynb"),
            await ask("notebooks/form", "POST", {"source": source, "task": ""}),
        ):
            assert answered.status == (400 if words else 200), name
            assert words in answered.raw.decode(), name
        written = await ask("notebooks/parameters", "POST", {"source": source, "task": "", "values": {"a": 2}})
        assert written.status in {200, 400}, name
        if words:
            assert (await ask("jobs", "POST", {"notebook": "x.ipynb", "values": {"lr": 0.1}})).status == 400, name


async def test_many_values_are_refused(ask: Ask) -> None:
    values = {f"unknown{k}": 1 for k in range(1001)}
    for route, more in (
        ("parameters/check", {"task": "image-classification"}),
        ("notebooks/parameters", {"source": "", "task": "image-classification"}),
        ("notebooks", {"template": "image-classification"}),
        ("jobs", {"template": "image-classification"}),
    ):
        answered = await ask(route, "POST", {"values": values, **more})
        assert answered.status == 400
        assert "values" in answered.message


async def test_other_routes_answer_while_one_reads(ask: Ask, root: Path) -> None:
    (root / "cell.csv").write_text("text,label\n" + "x,y\n" * 500_000, encoding="utf-8")
    looks = [asyncio.ensure_future(ask("data", path="cell.csv")) for _ in range(4)]
    assert (await ask("runs")).status == 200
    assert (await ask("parameters/check", "POST", CHECK)).status == 200
    for look in looks:
        assert (await look).status == 200
