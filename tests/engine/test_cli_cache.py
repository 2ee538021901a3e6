"""The command that lists and clears kept features: what it prints, what it refuses and what it keeps."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tunebook import cli
from tunebook.feature_store import FeatureStore, FeatureTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[object, str, str]]

ADDRESS = {
    "format": 1,
    "task": "image-classification",
    "model": "resnet18",
    "weights": "ab" * 32,
    "boundary": "layer4",
    "transform": {"size": 128, "crop": "centre"},
    "view": 0,
    "precision": "float16",
    "computed in": "bf16",
    "extractor": "openvino",
    "versions": {"torch": "2"},
}


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command with a cache of its own."""
    monkeypatch.setenv("TUNEBOOK_CACHE", str(tmp_path))
    monkeypatch.setenv("TUNEBOOK_CACHE_GB", "2")

    def run(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main(["cache", *arguments])
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return run


def keep(examples: int = 3, days: float = 0.0, **address: Any) -> FeatureTable:
    """Keep features of 400 bytes an example under an address."""
    store = FeatureStore()
    table = store.table(ADDRESS | address)
    keys = [bytes([number] * 16) for number in range(examples)]
    store.fill([table], keys, lambda at: iter([(at, [[np.zeros(100, np.float32)] * len(at)])]))
    moment = time.time() - days * 86_400 - 5
    os.utime(table.path, (moment, moment))
    return table


def test_an_empty_cache_says_where_it_would_be(call: Call, tmp_path: Path) -> None:
    code, out, _ = call()
    assert (code, out.splitlines()) == (
        0,
        ["0 tables, 0 B of at most 2.0 GB (TUNEBOOK_CACHE_GB)", str(tmp_path / "features")],
    )
    assert list(tmp_path.iterdir()) == []


def test_tables_are_listed_with_what_decides_them(call: Call) -> None:
    old = keep(days=3, model="vit")
    new = keep(examples=7, view=1)
    code, out, err = call()
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0].split() == ["name", "used", "size", "examples", "model", "boundary", "input", "extractor"]
    cells = [re.split(r" {2,}", line) for line in lines[1:3]]
    assert cells[0][:2] == [new.name[:10], "5 s ago"]
    assert cells[0][3:] == ["7", "resnet18", "layer4", "size 128, crop centre, view 1", "openvino, bf16, float16"]
    assert cells[1][:2] == [old.name[:10], "3 d ago"]
    assert cells[1][4] == "vit"
    assert re.fullmatch(r"2 tables, \d\.\d kB of at most 2\.0 GB \(TUNEBOOK_CACHE_GB\)", lines[3])


def test_what_is_odd_in_an_address_cannot_move_the_cursor(call: Call) -> None:
    table = keep()
    odd = {"model": "a\x1b[2Jb\nc", "boundary": ["x"] * 99, "view": {"deep": {"er": None}}, "transform": 5}
    (table.path / "address.json").write_text(json.dumps(odd))
    code, out, _ = call()
    assert code == 0
    assert "\x1b" not in out
    assert len(out.splitlines()) == 4
    (table.path / "address.json").write_text("no JSON")
    assert "unknown" in call()[1]


def test_clear_removes_all_and_says_what_was_freed(call: Call) -> None:
    keep()
    keep(view=1)
    code, out, _ = call("clear")
    assert code == 0
    assert re.fullmatch(r"removed 2 tables, \d\.\d kB freed\n", out)
    assert call("clear")[1] == "removed 0 tables, 0 B freed\n"


def test_clear_takes_what_is_old_or_one_by_its_name(call: Call) -> None:
    tables = [keep(days=days, view=days) for days in (0, 3, 9)]
    assert call("clear", "--older-than", "5")[1].startswith("removed 1 table,")
    assert [table.path.exists() for table in tables] == [True, True, False]
    assert call("clear", tables[1].name[:10])[1].startswith("removed 1 table,")
    assert [table.path.exists() for table in tables] == [True, False, False]


def test_what_is_in_use_is_kept_and_said(call: Call) -> None:
    table, other = keep(), keep(view=1)
    with table.rows([bytes(16)]):
        assert " now " in call()[1]
        code, out, _ = call("clear")
    assert code == 0
    assert out.splitlines()[1] == f"kept 1 table in use: {table.name[:10]}"
    assert [table.path.exists(), other.path.exists()] == [True, False]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("clear", "zzz"), 1, "no table of features begins with 'zzz'"),
        (("clear", "--older-than", "-1"), 2, "--older-than"),
        (("clear", "--older-than", "long"), 2, "--older-than"),
        (("clean",), 2, "No such command"),
    ],
)
def test_mistakes_are_told_in_a_line(call: Call, arguments: tuple[str, ...], code: int, words: str) -> None:
    found, out, err = call(*arguments)
    assert (found, out) == (code, "")
    assert err.startswith("error: ")
    assert words in err.splitlines()[0]


def test_a_limit_that_is_no_number_is_told_in_a_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOOK_CACHE_GB", "lots")
    code, _, err = call()
    assert (code, len(err.splitlines())) == (1, 1)
    assert "TUNEBOOK_CACHE_GB='lots' is no number of gigabytes" in err


def test_the_group_is_in_the_help_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, tunebook.cli_cache, tunebook.cli\n"
        "print([name for name in ('numpy', 'torch', 'pandas', 'rich') if name in sys.modules])\n"
        "tunebook.cli.main(['--help'])"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[]\n")
    assert "  cache " in done.stdout
