"""Runs beside each other: what differs, what was reached, and what cannot be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunebook import tasks
from tunebook.recipe_words import in_words
from tunebook_lab.chosen import PLACES
from tunebook_lab.run_json import SCORES, SPLITS, inner, mapping, names_of, parts_of, scores_of, unread
from tunebook_lab.run_rows import one_line, recipe_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: Attributes whose gaps are compared.
_MOST_ATTRIBUTES = 100


def compare(paths: list[Path], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """
    Return what differs between runs.

    Parameters
    ----------
    paths, rows
        Their directories, and their rows in the same order.

    Returns
    -------
    dict
        As the OpenAPI file's ``Comparison``.
    """
    recipes = [mapping(path / "recipe.json") for path in paths]
    metrics = [mapping(path / "metrics.json") for path in paths]
    gaps = [_gaps(mapping(path / "report" / "bias.json")) for path in paths]
    found, same = _differences(paths, rows, recipes)
    others = list(_other_examples(rows, recipes, metrics))
    return {
        "runs": rows,
        "differences": found,
        "same": same,
        "results": [*_results(metrics), *_compared_gaps(gaps)],
        "comparable": not others,
        "left_out": [*_without_results(paths, rows, metrics), *others, *_lacking(rows, metrics, gaps)],
    }


def _differences(
    paths: Sequence[Path], rows: Sequence[Mapping[str, Any]], recipes: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], int]:
    parameters = [recipe_parameters(path) for path in paths]
    groups = _groups({str(row["task"]) for row in rows})
    found: list[dict[str, Any]] = []
    same = 0
    for name in dict.fromkeys(name for each in parameters for name in each if name not in PLACES):
        values = [each.get(name, ...) for each in parameters]
        if all(value == values[0] for value in values):
            same += 1
        else:
            words = [
                "" if value is ... else one_line(in_words(name, value, each), 2000)
                for value, each in zip(values, parameters, strict=True)
            ]
            found.append(_row(name, groups.get(name, "Parameters"), values, words))
    order = list(dict.fromkeys(groups.values()))
    found.sort(key=lambda row: order.index(str(row["group"])) if row["group"] in order else len(order))
    parts = [parts_of(recipe) for recipe in recipes]
    versions = [inner(recipe, "versions") for recipe in recipes]
    for group, sides in (("Setting", parts), ("Versions", versions)):
        for name in dict.fromkeys(name for each in sides for name in each):
            values = [each.get(name, ...) for each in sides]
            if any(value != values[0] for value in values):
                words = ["" if value is ... else one_line(str(value), 2000) for value in values]
                found.append(_row(name, group, values, words))
    return found, same


def _row(name: str, group: str, values: Sequence[Any], words: Sequence[str]) -> dict[str, Any]:
    return {"name": name, "group": group, "values": [None if v is ... else v for v in values], "words": list(words)}


def _results(metrics: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    scores = [scores_of(each).get("tuned", {}) for each in metrics]
    for split in SPLITS:
        for name in SCORES[1:]:
            values = [each.get(split, {}).get(name) for each in scores]
            if any(value is not None for value in values):
                yield {"name": name, "split": split, "values": values}


def _compared_gaps(gaps: Sequence[Mapping[str, float]]) -> Iterator[dict[str, Any]]:
    for attribute in dict.fromkeys(name for each in gaps for name in each):
        values = [each.get(attribute) for each in gaps]
        yield {"name": f"gap in accuracy by {attribute}", "split": "test", "values": values}


def _gaps(report: Mapping[str, Any]) -> dict[str, float]:
    """Return the tuned model's gap in accuracy on the test set by attribute, as far as the report has it."""
    found: dict[str, float] = {}
    rows = report.get("gaps")
    for row in rows if isinstance(rows, list) else []:
        try:
            value = row["models"]["tuned"]["difference"]["value"]
            if (row["gap"], row["split"]) == ("accuracy", "test") and isinstance(value, (int, float)):
                found[one_line(str(row["attribute"]), 200)] = float(value)
        except (TypeError, KeyError):
            continue
        if len(found) >= _MOST_ATTRIBUTES:
            break
    return found


def _without_results(
    paths: Sequence[Path], rows: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    for path, row, found in zip(paths, rows, metrics, strict=True):
        if row["kind"] == "sweep":
            yield _left_out("curves and results", [row], "a search has none of its own; its page shows its trials")
        elif not found:
            why = unread(path / "metrics.json") or f"there are none yet: it is {row['state']}"
            yield _left_out("results", [row], why)


def _other_examples(
    rows: Sequence[Mapping[str, Any]], recipes: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Say whose scores are of other examples or classes than those of the first run that has any."""
    known = [k for k, found in enumerate(metrics) if found]
    if not known:
        return
    first = known[0]
    name = rows[first]["name"]
    classes = [names_of(found.get("classes")) for found in metrics]
    prints = [inner(recipe, "data").get("sha256") for recipe in recipes]
    other = [k for k in known if classes[k] != classes[first]]
    if other:
        yield _left_out("a best score", [rows[k] for k in other], f"the classes are not those of {name}")
    other = [k for k in known if prints[k] != prints[first]]
    if other:
        why = f"the examples, their split or their attributes are not those of {name}: their fingerprints differ"
        yield _left_out("a best score", [rows[k] for k in other], why)


def _lacking(
    rows: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]], gaps: Sequence[Mapping[str, float]]
) -> Iterator[dict[str, Any]]:
    for attribute in dict.fromkeys(name for each in gaps for name in each):
        other = [row for row, found, each in zip(rows, metrics, gaps, strict=True) if found and attribute not in each]
        if other:
            yield _left_out(f"the gap by {attribute}", other, "the bias report has no such attribute, or is not there")


def _left_out(what: str, rows: Sequence[Mapping[str, Any]], why: str) -> dict[str, Any]:
    return {"what": what, "runs": [row["path"] for row in rows], "why": why}


def _groups(names: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for task in sorted(names):
        if task in tasks.TASKS:
            nodes = tasks.recipe_class(task).model_json_schema()["properties"]
            found |= {name: str(node.get("group", "Parameters")) for name, node in nodes.items()}
    return found
