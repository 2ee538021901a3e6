"""All about one run but its curves: recipe, stages, scores, files."""

from __future__ import annotations

import stat
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook import opening, tasks
from tunebook.decision import in_words
from tunebook.errors import RecipeError, StorageError
from tunebook.opening import SMALL, is_file, names_in, read_text
from tunebook.recipe_words import all_in_words
from tunebook.threshold_rule import PLAIN
from tunebook_lab.chosen import differing
from tunebook_lab.errors import RequestError
from tunebook_lab.mistakes import most_mistaken
from tunebook_lab.run_json import inner, mapping, names_of, parts_of, score_of, scores_of, unread
from tunebook_lab.run_rows import one_line, read_trials, recipe_parameters

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
    recipe, metrics = mapping(path / "recipe.json"), mapping(path / "metrics.json")
    remarks = [line for name in ("recipe.json", "metrics.json") if (line := unread(path / name))]
    parameters = recipe_parameters(path)
    classes = names_of(metrics.get("classes") or inner(recipe, "data").get("classes"))
    confusion = _confusion(metrics) or _logged_confusion(path, curves, len(classes))
    is_small = confusion is not None and len(confusion["counts"]) <= MOST_CLASSES
    card = path / "README.md"
    return {
        "row": dict(row),
        "recipe": parameters,
        "words": {name: one_line(words, 2000) for name, words in all_in_words(parameters).items()},
        "differs": differing(row["task"], parameters),
        "metrics": scores_of(metrics),
        "stages": list(_stages(metrics)),
        "verdicts": [*_verdicts(metrics), *_decision(metrics)],
        "confusion": confusion if is_small else None,
        "mistakes": most_mistaken(confusion, classes) if confusion is not None else None,
        "classes": classes[:MOST_CLASSES],
        "class_count": len(classes),
        "remarks": remarks,
        "figures": _figures(path, root),
        "files": _files(path, root),
        "versions": {str(key): one_line(str(value)) for key, value in inner(recipe, "versions").items()},
        "card": root.name(card) if is_file(card) else "",
        "cell": _cell(row["task"], parameters),
        "parts": parts_of(recipe),
    }


def read_all_trials(path: Path) -> dict[str, Any]:
    """
    Return the trials of a sweep as the OpenAPI file's ``Trials``.

    Raises
    ------
    RequestError
        404: the run is no sweep.
    """
    plan = mapping(path / "sweep.json")
    if not plan:
        raise RequestError(404, f"{path.name} is no sweep")
    objectives, names = names_of(plan.get("objectives")), list(inner(plan, "spaces"))
    best = inner(mapping(path / "best.json"), "best").get("number")
    return {
        "objectives": objectives,
        "parameters": names,
        "trials": [_trial(row, objectives, names) for row in read_trials(path)],
        "best": best if type(best) is int else None,
        "cell": _text(path / "parameters.py"),
    }


def _stages(metrics: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    stages = metrics.get("stages")
    for number, stage in enumerate(stages if isinstance(stages, list) else [], start=1):
        score = score_of(stage.get("validation")) if isinstance(stage, dict) else None
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


def _decision(metrics: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield how the tuned model decides between two classes, where that is not for the more probable one."""
    found = inner(metrics, "decision")
    if not found or found.get("threshold") == PLAIN:
        return
    try:
        said = in_words(found, inner(inner(metrics, "tuned"), "validation"))
    except (AttributeError, KeyError, TypeError, ValueError):
        return
    yield {"name": "decision", "reason": one_line(said, 1000), "advice": ""}


def _confusion(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the tuned model's on the test set; that of several classes an example is not one matrix."""
    counts = inner(inner(metrics, "tuned"), "test").get("confusion")
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
    if not isinstance(counts, list) or not counts or (side and side != len(counts)):
        return False
    return all(isinstance(row, list) and len(row) == len(counts) and set(map(type, row)) == {int} for row in counts)


def _cell(task: str, parameters: Mapping[str, Any]) -> str:
    if task not in tasks.TASKS or not parameters:
        return ""
    try:
        recipe = tasks.recipe_class(task)
        known = {name: value for name, value in parameters.items() if name in recipe.model_fields}
        return recipe.parameters_cell({**known, "run": "", "resume": ""})
    except RecipeError:
        return ""


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
