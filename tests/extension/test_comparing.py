"""What a comparison leaves out is said, and values are in a person's words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook.storage import read_json, write_json

from .conftest import write_run

sys.path.insert(0, str(Path(__file__).parents[1]))
from sweep_files import write_sweep

if TYPE_CHECKING:
    from .conftest import Ask


def change(file: Path, **values: Any) -> None:
    write_json(file, {**read_json(file), **values})


def gap(path: Path, attribute: str, value: float) -> None:
    models = {"tuned": {"difference": {"value": value}}}
    row = {"gap": "accuracy", "split": "test", "attribute": attribute, "models": models}
    (path / "report").mkdir(exist_ok=True)
    write_json(path / "report" / "bias.json", {"models": ["tuned"], "splits": ["test"], "gaps": [row]})


async def test_runs_on_other_examples_or_classes_have_no_best(ask: Ask, root: Path) -> None:
    for name in "abc":
        write_run(root / name)
    change(root / "b" / "recipe.json", data={"sha256": "1" * 64, "classes": ["cat", "dog"]})
    change(root / "c" / "metrics.json", classes=["owl", "dog"])
    found = (await ask("compare", path=["a", "b", "c"])).json
    assert not found["comparable"]
    said = {tuple(line["runs"]): line["why"] for line in found["left_out"]}
    assert "fingerprints differ" in said[("b",)]
    assert "classes are not those of a" in said[("c",)]


async def test_attributes_that_only_some_compare_are_named(ask: Ask, root: Path) -> None:
    for name, attribute in (("a", "age"), ("b", "age"), ("c", "<b>region")):
        gap(write_run(root / name), attribute, 0.25)
    found = (await ask("compare", path=["a", "b", "c"])).json
    assert {"name": "gap in accuracy by age", "split": "test", "values": [0.25, 0.25, None]} in found["results"]
    lacking = {line["what"]: line["runs"] for line in found["left_out"]}
    assert lacking == {"the gap by age": ["c"], "the gap by <b>region": ["a", "b"]}


async def test_searches_and_unreadable_results_are_said(ask: Ask, root: Path) -> None:
    write_run(root / "a")
    write_sweep(root / "sweep")
    write_run(root / "broken")
    (root / "broken" / "metrics.json").write_text("{", encoding="utf-8")
    found = (await ask("compare", path=["a", "sweep", "broken"])).json
    said = {line["runs"][0]: (line["what"], line["why"]) for line in found["left_out"]}
    assert said["sweep"][0] == "curves and results"
    assert "metrics.json is not valid JSON" in said["broken"][1]
    detail = (await ask("run", path="broken")).json
    assert len(detail["remarks"]) == 1
    assert "metrics.json is not valid JSON" in detail["remarks"][0]


async def test_parameter_that_a_run_lacks_is_not_none(ask: Ask, root: Path) -> None:
    write_run(root / "a", parameters={"freeze": -3})
    write_run(root / "b", task="text-classification")
    found = (await ask("compare", path=["a", "b"])).json
    rows = {row["name"]: row["words"] for row in found["differences"]}
    assert rows["image_size"] == ["128", ""]
    assert rows["adapter"] == ["", "none"]
    detail = (await ask("run", path="a")).json
    assert detail["words"]["freeze"] == "all but the last 3 stages"
    assert detail["words"]["sensitive"] == "those that the demo declares"


async def test_mistakes_of_many_classes_are_pairs(ask: Ask, root: Path) -> None:
    classes = [f"class {k}" for k in range(300)]
    path = write_run(root / "many")
    metrics = read_json(path / "metrics.json")
    counts = [[3 if row == column else 0 for column in range(300)] for row in range(300)]
    counts[7][9], counts[299][0] = 5, 2
    metrics["tuned"]["test"]["confusion"] = counts
    write_json(path / "metrics.json", {**metrics, "classes": classes})
    found = (await ask("run", path="many")).json
    assert found["confusion"] is None
    assert found["class_count"] == 300
    assert found["mistakes"] == {
        "split": "test", "total": 2, "pairs": [
            {"truth": "class 7", "prediction": "class 9", "count": 5, "of": 8},
            {"truth": "class 299", "prediction": "class 0", "count": 2, "of": 5},
        ],
    }  # fmt: skip


async def test_whole_run_is_one_page_to_be_saved(ask: Ask, root: Path) -> None:
    write_run(root / "runs" / "<b>a")
    found = await ask("run/handout", path="runs/<b>a")
    assert found.status == 200
    assert found.headers["Content-Disposition"] == "attachment"
    assert "sandbox" in found.headers["Content-Security-Policy"]
    page = found.raw.decode()
    assert "<h1>&lt;b&gt;a</h1>" in page
    assert "polyline" in page
    assert (await ask("run/handout", path="runs/none")).status == 404
