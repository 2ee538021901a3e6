"""Sets of parameters for many runs of one notebook: read, checked before anything starts, and named."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunebook.errors import NotebookError, RecipeError, TunebookError, shown
from tunebook.opening import open_stream
from tunebook.parameters import settle_parameters
from tunebook.recipe import Recipe
from tunebook.templates import task_of
from tunebook.yaml_file import lines_of_keys, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

#: The column, or the parameter of a set, that names its run.
NAME = "run"
_SHAPE = "write a list of sets, each `- {name: value, ...}`, or a mapping of a run's name to its set"
#: Parameters that say where a run is kept: Tunebook sets them for each run.
PLACES = (NAME, "runs_dir", "resume")
_LONGEST_WORDS = 80
#: Bytes of a CSV file, its columns, and the sets of any file.
_LARGEST, _MOST_COLUMNS, _MOST_SETS = 16 << 20, 1_000, 20_000


@dataclass(frozen=True)
class Entry:
    """
    A set as it is written.

    Attributes
    ----------
    place
        Where, for errors: ``"sets.csv, line 3"``.
    name
        Name of its run; empty where none is given.
    values
        Parameters by name.
    """

    place: str
    name: str
    values: dict[Any, Any]


@dataclass(frozen=True)
class RunSet:
    """
    A set that was checked.

    Attributes
    ----------
    name
        Name of its run directory, which depends on the set alone.
    own
        Names of the parameters that the set gives itself, in its order.
    parameters
        All parameters of the run, common ones too, but for :data:`PLACES`; JSON can hold them.
    """

    name: str
    own: tuple[str, ...]
    parameters: dict[str, Any]


def read_sets(path: Path) -> list[Entry]:
    """
    Read a file of sets, at least one.

    Parameters
    ----------
    path
        ``.csv``: a column a parameter, an empty cell leaves it at its default, and the column ``run``, if there is one,
        names the runs. ``.yaml``, ``.yml`` or ``.json``: a list of mappings, or a mapping of names to mappings.

    Raises
    ------
    NotebookError
        It cannot be read.
    RecipeError
        It does not hold sets.
    """
    readers = {".csv": _read_csv, ".yaml": _read_yaml, ".yml": _read_yaml, ".json": _read_yaml}
    if path.suffix.lower() not in readers:
        msg = f"sets {shown(path)}: the name must end in {', '.join(readers)}"
        raise NotebookError(msg)
    entries = readers[path.suffix.lower()](path)
    if len(entries) > _MOST_SETS:
        raise RecipeError(f"{path} holds {len(entries)} sets; allowed: {_MOST_SETS} in one file")
    if not entries:
        msg = f"{path} holds no sets; {_SHAPE}, or in CSV a header and a line a set"
        raise RecipeError(msg)
    return entries


def settle_sets(
    notebook: Mapping[str, Any], entries: Sequence[Entry], common: Mapping[str, Any], fixed: Mapping[str, Any]
) -> list[RunSet]:
    """
    Check sets for a notebook, and give each its name.

    Parameters
    ----------
    notebook
        The notebook.
    entries
        Sets, as :func:`read_sets` gives them.
    common
        Parameters of all runs in whose sets they are not.
    fixed
        Parameters of all runs; no set may have them too.

    Returns
    -------
    list of RunSet
        In the order of ``entries``.

    Raises
    ------
    RecipeError, NotebookError
        A parameter is unknown or its value is not allowed, or two sets are one run. The line says where.
    """
    task = task_of(notebook)
    for name in PLACES if task else (NAME,):
        if name in {**common, **fixed}:
            msg = f"{name} is not a parameter of many runs: name each in the sets, and their folder with --runs-dir"
            raise RecipeError(msg)
    settle_parameters(notebook, {**common, **fixed})
    sets: list[RunSet] = []
    places: dict[str, str] = {}
    for entry in entries:
        try:
            settled = _settle(notebook, task, entry, common, fixed)
        except TunebookError as error:
            raise type(error)(f"{entry.place}: {error}") from None
        if settled.name in places:
            what = f"has the name {shown(entry.name)} of" if entry.name else "is the same set as"
            msg = f"{entry.place}: {what} {places[settled.name]}; a run is made once: change one or leave it out"
            raise RecipeError(msg)
        places[settled.name] = entry.place
        sets.append(settled)
    return sets


def _settle(
    notebook: Mapping[str, Any], task: str, entry: Entry, common: Mapping[str, Any], fixed: Mapping[str, Any]
) -> RunSet:
    for name in PLACES[1:] if task else ():
        if name in entry.values:
            msg = f"{name} cannot be set for one of many runs: use --runs-dir, or `tunebook run --resume`"
            raise RecipeError(msg)
    both = next((name for name in entry.values if name in fixed), None)
    if both is not None:
        msg = f"parameter {both} is set here and with -p for all runs; leave one out, or give the common value with -f"
        raise RecipeError(msg)
    parameters = settle_parameters(notebook, {**common, **fixed, **entry.values})
    own = tuple(map(str, entry.values))
    if entry.name:
        Recipe.settle(NAME, entry.name)
    return RunSet(entry.name or _name(task, own, parameters), own, parameters)


def _name(task: str, own: Iterable[str], parameters: Mapping[str, Any]) -> str:
    """Name a run by what its set says, and by a hash that tells apart what the words do not."""
    text = json.dumps([task, parameters], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    words = "_".join(f"{name}-{parameters[name]}" for name in own) or task or "run"
    return f"{re.sub(r'[^A-Za-z0-9_.]+', '-', words)[:_LONGEST_WORDS].strip('-.')}-{digest}"


def _read_csv(path: Path) -> list[Entry]:
    try:
        with io.TextIOWrapper(open_stream(path, largest=_LARGEST), encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            _check_header(path, header)
            entries = []
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                place = f"{path}, line {reader.line_num}"
                if len(cells) != len(header):
                    msg = f"{place}: {len(cells)} cells under {len(header)} titles; quote a value that holds a comma"
                    raise RecipeError(msg)
                values = {key: cell for key, cell in zip(header, cells, strict=True) if cell.strip()}
                entries.append(Entry(place, values.pop(NAME, "").strip(), values))
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}"
        raise NotebookError(msg) from None
    except (csv.Error, ValueError) as error:
        msg = f"{path} is not CSV in UTF-8: {error}; write a header and a line a set, with commas between the cells"
        raise RecipeError(msg) from None
    return entries


def _check_header(path: Path, header: Sequence[str]) -> None:
    if len(header) > _MOST_COLUMNS:
        raise RecipeError(f"{path}, line 1: {len(header)} columns; allowed: {_MOST_COLUMNS}, one a parameter")
    if not all(header):
        msg = f"{path}, line 1: column {header.index('') + 1} has no title; give each column a parameter's name"
        raise RecipeError(msg)
    twice = next((name for at, name in enumerate(header) if name in header[:at]), None)
    if twice is not None:
        msg = f"{path}, line 1: the column {shown(twice)} is there twice; leave one out"
        raise RecipeError(msg)


def _read_yaml(path: Path) -> list[Entry]:
    content, node = read_yaml(path, _SHAPE)
    if node is None:
        return []
    if isinstance(content, dict):
        lines = lines_of_keys(path, node)
        return [_entry(f"{path}, line {lines.get(name, 1)}", name, values) for name, values in content.items()]
    if isinstance(content, list):
        lines_of_items = [item.start_mark.line + 1 for item in node.value]
        for item in node.value:
            lines_of_keys(path, item)
        return [
            _entry(f"{path}, line {line}", "", values) for line, values in zip(lines_of_items, content, strict=True)
        ]
    msg = f"{path} holds {shown(content, 40)} ({type(content).__name__}); {_SHAPE}"
    raise RecipeError(msg)


def _entry(place: str, name: object, values: object) -> Entry:
    if not isinstance(name, str):
        msg = f"{place}: a run's name is text: got {shown(name)} ({type(name).__name__}); put it in quotes"
        raise RecipeError(msg)
    values = {} if values is None else values
    if not isinstance(values, dict):
        what = f"{name}: " if name else ""
        msg = f"{place}: {what}got {shown(values, 40)} ({type(values).__name__}) where a set of parameters is wanted; "
        raise RecipeError(msg + _SHAPE)
    values = dict(values)
    inner = values.pop(NAME, None)
    if inner is None:
        return Entry(place, name, values)
    if name or not isinstance(inner, str) or not inner:
        what = f"the run is named {shown(name)} already" if name else "a run's name is text"
        msg = f"{place}: parameter {NAME}: got {shown(inner)}; {what}"
        raise RecipeError(msg)
    return Entry(place, inner, values)
