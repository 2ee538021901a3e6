"""Rows: what damaged and unusual runs look like."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunebook.run_curves import RunCurves
from tunebook.storage import write_json
from tunebook_lab.handlers import dump
from tunebook_lab.paths import Root
from tunebook_lab.run_details import read_detail
from tunebook_lab.run_rows import empty_row, largest_gap, read_figures, read_row, thin, with_figures

from .conftest import Log, schema_validator, write_run

if TYPE_CHECKING:
    from pathlib import Path

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def curves(path: Path) -> Any:
    log = RunCurves(path)
    log.poll()
    return nullcontext(log)


@given(st.lists(st.floats(), max_size=200), st.integers(2, 40))
def test_thinned_numbers_keep_their_ends(values: list[float], most: int) -> None:
    found = thin(values, most)
    assert len(found) == min(len(values), most)
    for place in (0, -1) if values else ():
        expected = round(values[place], 6) if math.isfinite(values[place]) else None
        assert found[place] == expected


@given(JUNK)
def test_gap_of_what_is_no_report_is_unknown(value: Any) -> None:
    assert largest_gap(value) is None


def test_largest_gap_is_that_of_the_tuned_model_on_the_last_split() -> None:
    def row(split: str, gap: str, value: float | None) -> dict[str, Any]:
        models = {"baseline": {"difference": {"value": 0.9}}, "tuned": {"difference": {"value": value}}}
        return {"split": split, "gap": gap, "models": models}

    gaps = [row("test", "accuracy", 0.1), row("test", "accuracy", 0.2), row("test", "accuracy", None)]
    others = [row("validation", "accuracy", 0.7), row("test", "selection_rate", 0.8)]
    report = {"models": ["baseline", "tuned"], "splits": ["validation", "test"], "gaps": [*gaps, *others]}
    assert largest_gap(report) == 0.2


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one run that is whole."""
    path = write_run(tmp_path_factory.mktemp("root") / "run")
    (path / "report").mkdir()
    entry = {"split": "test", "gap": "accuracy", "models": {"tuned": {"difference": {"value": 0.2}}}}
    write_json(path / "report" / "bias.json", {"models": ["tuned"], "splits": ["test"], "gaps": [entry]})
    return path


def test_the_threshold_between_two_classes_stands_with_the_verdicts(whole: Path) -> None:
    root = Root(whole.parent)
    verdicts = read_detail(whole, root, read_row(whole, root), curves)["verdicts"]
    assert [verdict["name"] for verdict in verdicts] == ["fine", "decision"]
    assert "“dog” is said from a score of 0.3" in verdicts[1]["reason"]


def places(value: Any, so_far: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each value within nested lists and mappings."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [so_far, *(place for key, each in inner for place in places(each, (*so_far, key)))]


@pytest.mark.parametrize("name", ["state.json", "recipe.json", "metrics.json", "report/bias.json"])
@given(value=JUNK, number=st.integers(0, 10_000))
@example(value=False, number=4)
@example(value="", number=1)
@example(value=[], number=1249)
@example(value={"": None}, number=1249)
def test_any_value_of_a_file_may_be_anything(whole: Path, name: str, value: Any, number: int) -> None:
    text = (whole / name).read_text(encoding="utf-8")
    content = json.loads(text)
    ways = places(content)
    way = ways[number % len(ways)]
    holder = {(): content}
    at: Any = holder
    for key in ((), *way[:-1]) if way else ():
        at = at[key]
    at[way[-1] if way else ()] = value
    try:
        (whole / name).write_text(json.dumps(holder[()]), encoding="utf-8")
        root = Root(whole.parent)
        base = read_row(whole, root)
        row = with_figures(base, read_figures(whole, base, curves))
        schema_validator("RunRow").validate(json.loads(dump(row)))
        schema_validator("RunDetail").validate(json.loads(dump(read_detail(whole, root, row, curves))))
    finally:
        (whole / name).write_text(text, encoding="utf-8")


def test_run_under_way_is_told_from_its_log(tmp_path: Path) -> None:
    path = write_run(tmp_path / "live", state="running", log=False)
    log = Log(path)
    for epoch, value in enumerate([0.2, 0.6, math.nan, 0.5], start=1):
        log.scalars({"macro_f1/validation": value, "gap/tone": 0.3 / epoch, "gap/age": 0.01}, epoch)
    log.close()
    figures = read_figures(path, read_row(path, Root(tmp_path)), curves)
    assert figures.best is not None
    assert figures.best["epoch"] == 2
    assert figures.best["value"] == pytest.approx(0.6)
    assert figures.gap == pytest.approx(0.075)
    assert figures.sparkline == [pytest.approx(0.2), pytest.approx(0.6), None, pytest.approx(0.5)]


def test_row_without_a_directory_has_all_fields(tmp_path: Path) -> None:
    schema_validator("RunRow").validate(empty_row(tmp_path / "new", Root(tmp_path)))


@given(JUNK)
def test_json_has_no_numbers_that_readers_do_not_know(value: Any) -> None:
    assert json.loads(dump({"runs": [value] * 30, "x": value})) == {"runs": [value] * 30, "x": value}
    assert json.loads(dump({"a": [math.nan, 1.0, math.inf]})) == {"a": [None, 1.0, None]}
