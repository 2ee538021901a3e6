"""All about one run but its curves: recipe, stages, scores, files."""

from __future__ import annotations

import stat
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook import monitors, opening, tasks
from tunebook.errors import RecipeError, StorageError
from tunebook.opening import SMALL, is_file, names_in, read_text
from tunebook_lab.chosen import PLACES, differing
from tunebook_lab.errors import RequestError
from tunebook_lab.run_rows import one_line, read_bounded, read_trials, recipe_parameters

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from tunebook_lab.paths import Root
    from tunebook_lab.run_rows import Curves

#: Most classes whose confusion is sent, and most files that are listed.
MOST_CLASSES, MOST_FILES = 200, 500
#: Names that are looked at for that, and bytes of the words beside a figure.
_MOST_LOOKED, _LONGEST_WORDS = 20_000, 64 << 10
#: No number of a trial or an epoch is that large.
_MOST_WHOLE = 2**53
_CONFUSION = "confusion/validation"
_SPLITS = ("train", "validation", "test")
_SCORES = ("n", *monitors.WORDS)
_WHAT = {
    "README.md": "model card",
    "best.json": "the best trial",
    "bias.html": "bias report",
    "bias.json": "figures of the bias report",
    "cache.json": "what of the frozen trunk was computed and what was found",
    "control.jsonl": "live commands",
    "job.json": "how it was started",
    "kernel.log": "what the kernel printed",
    "metrics.json": "all metrics",
    "notebook.ipynb": "the finished notebook",
    "notebook.failed.ipynb": "the notebook as far as it got",
    "notebook.stopped.ipynb": "the notebook as far as it got",
    "notes.json": "star, tags and note",
    "parameters.py": "the best trial as a parameters cell",
    "predictions.parquet": "every validation and test prediction",
    "recipe.json": "parameters, versions and fingerprints",
    "source.ipynb": "the notebook as it was started",
    "state.json": "where it stands",
    "sweep.json": "the plan of the search",
    "trials.csv": "all trials",
}


def read_detail(path: Path, root: Root, row: Mapping[str, Any], curves: Curves) -> dict[str, Any]:
    """
    Read a run.

    Parameters
    ----------
    path
        The run directory.
    root
        The server's root.
    row
        Its row.
    curves
        Opens its log.

    Returns
    -------
    dict
        As the OpenAPI file's ``RunDetail``. What is not there yet, or damaged, is empty.
    """
    recipe, metrics = _mapping(path / "recipe.json"), _mapping(path / "metrics.json")
    parameters = recipe_parameters(path)
    classes = _names(metrics.get("classes") or _inner(recipe, "data").get("classes"))
    confusion = _confusion(metrics) or _logged_confusion(path, curves, len(classes))
    too_many = len(classes) > MOST_CLASSES
    card = path / "README.md"
    return {
        "row": dict(row),
        "recipe": parameters,
        "differs": differing(row["task"], parameters),
        "metrics": _scores(metrics),
        "stages": list(_stages(metrics)),
        "verdicts": list(_verdicts(metrics)),
        "confusion": None if too_many else confusion,
        "classes": classes[:MOST_CLASSES],
        "figures": _figures(path, root),
        "files": _files(path, root),
        "versions": {str(key): one_line(str(value)) for key, value in _inner(recipe, "versions").items()},
        "card": root.name(card) if is_file(card) else "",
        "cell": _cell(row["task"], parameters),
        "parts": _parts(recipe),
    }


def read_all_trials(path: Path) -> dict[str, Any]:
    """
    Return the trials of a sweep as the OpenAPI file's ``Trials``.

    Raises
    ------
    RequestError
        404: the run is no sweep.
    """
    plan = _mapping(path / "sweep.json")
    if not plan:
        raise RequestError(404, f"{path.name} is no sweep")
    objectives, names = _names(plan.get("objectives")), list(_inner(plan, "spaces"))
    best = _inner(_mapping(path / "best.json"), "best").get("number")
    return {
        "objectives": objectives,
        "parameters": names,
        "trials": [_trial(row, objectives, names) for row in read_trials(path)],
        "best": best if type(best) is int else None,
        "cell": _text(path / "parameters.py"),
    }


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
    recipes = [_mapping(path / "recipe.json") for path in paths]
    parameters = [recipe_parameters(path) for path in paths]
    groups = _groups({row["task"] for row in rows})
    found: list[dict[str, Any]] = []
    same = 0
    for name in dict.fromkeys(name for each in parameters for name in each if name not in PLACES):
        values = [each.get(name) for each in parameters]
        if all(value == values[0] for value in values):
            same += 1
        else:
            found.append({"name": name, "group": groups.get(name, "Parameters"), "values": values})
    order = list(dict.fromkeys(groups.values()))
    found.sort(key=lambda row: order.index(str(row["group"])) if row["group"] in order else len(order))
    parts = [_parts(recipe) for recipe in recipes]
    versions = [_inner(recipe, "versions") for recipe in recipes]
    for group, sides in (("Setting", parts), ("Versions", versions)):
        for name in dict.fromkeys(name for each in sides for name in each):
            values = [each.get(name) for each in sides]
            if any(value != values[0] for value in values):
                found.append({"name": name, "group": group, "values": values})
    return {"runs": rows, "differences": found, "same": same, "results": list(_results(paths))}


def _results(paths: list[Path]) -> Iterator[dict[str, Any]]:
    scores = [_scores(_mapping(path / "metrics.json")).get("tuned", {}) for path in paths]
    for split in _SPLITS:
        for name in _SCORES[1:]:
            values = [each.get(split, {}).get(name) for each in scores]
            if any(value is not None for value in values):
                yield {"name": name, "split": split, "values": values}


def _groups(names: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for task in sorted(names):
        if task in tasks.TASKS:
            nodes = tasks.recipe_class(task).model_json_schema()["properties"]
            found |= {name: str(node.get("group", "Parameters")) for name, node in nodes.items()}
    return found


def _mapping(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds a mapping; empty if it is not there, damaged or too large."""
    try:
        raw = read_bounded(path)
    except StorageError:
        return {}
    return raw if isinstance(raw, dict) else {}


def _inner(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def _names(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _score(raw: object) -> dict[str, Any] | None:
    """Return the plain numbers of one evaluation; ``None`` if it is none."""
    if not isinstance(raw, dict) or type(raw.get("n")) is not int:
        return None
    return {name: raw[name] for name in _SCORES if type(raw.get(name)) in {int, float}}


def _scores(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for name, model in [*_inner(metrics, "baselines").items(), ("tuned", metrics.get("tuned"))]:
        if isinstance(model, dict):
            splits = {split: score for split in _SPLITS if (score := _score(model.get(split))) is not None}
            if splits:
                found[str(name)] = splits
    return found


def _stages(metrics: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    stages = metrics.get("stages")
    for number, stage in enumerate(stages if isinstance(stages, list) else [], start=1):
        score = _score(stage.get("validation")) if isinstance(stage, dict) else None
        epochs = stage.get("epochs") if score is not None else None
        if score is None or not isinstance(epochs, list) or [type(n) for n in epochs] != [int, int]:
            continue
        best = stage.get("epoch")
        yield {
            "name": f"stage {number}", "trains": one_line(str(stage.get("trains", ""))), "epochs": epochs,
            "epoch": best if type(best) is int else epochs[1], "scores": score,
        }  # fmt: skip


def _verdicts(metrics: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    verdicts = metrics.get("verdicts")
    for verdict in verdicts if isinstance(verdicts, list) else []:
        if isinstance(verdict, dict):
            yield {name: one_line(str(verdict.get(name, "")), 1000) for name in ("name", "reason", "advice")}


def _confusion(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the tuned model's on the test set; that of several classes an example is not one matrix."""
    counts = _inner(_inner(metrics, "tuned"), "test").get("confusion")
    if metrics.get("multi_label") or not _is_square(counts):
        return None
    return {"split": "test", "step": 0, "counts": counts}


def _logged_confusion(path: Path, curves: Curves, classes: int) -> dict[str, Any] | None:
    try:
        if not any(name.startswith("events.out.tfevents.") for name in names_in(path)):
            return None
        with curves(path) as log:
            found = log.tensors(_CONFUSION)
    except (StorageError, OSError, KeyError):
        return None
    if not found:
        return None
    step, counts = found[-1]
    matrix = counts.astype(int).tolist()
    return {"split": "validation", "step": int(step), "counts": matrix} if _is_square(matrix, classes) else None


def _is_square(counts: object, side: int = 0) -> bool:
    if not isinstance(counts, list) or not counts or len(counts) > MOST_CLASSES or (side and side != len(counts)):
        return False
    return all(isinstance(row, list) and len(row) == len(counts) and all(type(n) is int for n in row) for row in counts)


def _cell(task: str, parameters: Mapping[str, Any]) -> str:
    if task not in tasks.TASKS or not parameters:
        return ""
    try:
        recipe = tasks.recipe_class(task)
        known = {name: value for name, value in parameters.items() if name in recipe.model_fields}
        return recipe.parameters_cell({**known, "run": "", "resume": ""})
    except RecipeError:
        return ""


def _parts(recipe: Mapping[str, Any]) -> dict[str, str]:
    data, model = _inner(recipe, "data"), _inner(recipe, "model")
    found = {
        "device": recipe.get("device"), "data": data.get("source"), "examples": data.get("examples"),
        "classes": len(data["classes"]) if isinstance(data.get("classes"), list) else None,
        "data SHA-256": data.get("sha256"), "model": model.get("name"), "weights": model.get("origin"),
        "weights SHA-256": model.get("sha256"),
    }  # fmt: skip
    return {name: one_line(str(value)) for name, value in found.items() if value not in (None, "")}


def _figures(path: Path, root: Root) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for folder in (path / "report", path / "figures"):
        try:
            names = sorted(name for name in names_in(folder) if name.endswith(".png") and not name.startswith("."))
        except OSError:
            continue
        for name in names[: MOST_FILES - len(found)]:
            try:
                status = opening.status(folder / name)
            except OSError:  # it has gone since
                continue
            if stat.S_ISREG(status.st_mode):
                what = _text((folder / name).with_suffix(".txt"), _LONGEST_WORDS) or Path(name).stem
                found.append({**_file(folder / name, status, path, root), "what": one_line(what, 2000)})
    return found


def _text(path: Path, largest: int = SMALL) -> str:
    """Return a file's text; empty if it is not there, no regular file, or larger."""
    try:
        return read_text(path, largest, errors="replace")
    except OSError:
        return ""


def _files(path: Path, root: Root) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    waiting = deque([path])
    looked = 0
    while waiting and looked < _MOST_LOOKED:
        folder = waiting.popleft()
        folders: list[Path] = []
        try:
            names = sorted(names_in(folder))
        except OSError:  # it has gone since, or is a link
            continue
        for name in names[: _MOST_LOOKED - looked]:
            looked += 1
            if name.startswith(".") or not name.isprintable():
                continue
            try:
                status = opening.status(folder / name)
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode):
                folders.append(folder / name)
            elif stat.S_ISREG(status.st_mode):
                found.append(_file(folder / name, status, path, root))
                if len(found) >= MOST_FILES:
                    return found
        waiting.extendleft(reversed(folders))
    return found


def _file(file: Path, status: os.stat_result, run: Path, root: Root) -> dict[str, Any]:
    name = file.relative_to(run).as_posix()
    what = _WHAT.get(file.name, "")
    if name.startswith(("model/", "checkpoints/")):
        what = "the tuned model" if name.startswith("model/") else "a checkpoint"
    elif file.name.startswith("events.out.tfevents."):
        what = "curves"
    return {"path": root.name(file), "name": name, "size": status.st_size, "modified": status.st_mtime, "what": what}


def _trial(row: Mapping[str, str], objectives: list[str], names: list[str]) -> dict[str, Any]:
    return {
        "number": _whole(row.get("number")), "state": row.get("state") or "",
        "values": [_float(row.get(name)) for name in objectives],
        "parameters": {name: row.get(name) or "" for name in names}, "seconds": _float(row.get("seconds")),
        "epoch": _whole(row.get("epoch")), "message": one_line(row.get("message") or ""),
    }  # fmt: skip


def _whole(text: str | None) -> int:
    number = _float(text)
    return int(number) if number is not None and 0 <= number < _MOST_WHOLE else 0


def _float(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
