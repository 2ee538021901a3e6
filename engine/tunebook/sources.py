"""Reading examples from a folder, a table or a Hugging Face dataset."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from tunebook.cells import CellError, id_of, is_list, is_missing, name_of, read_cells, text_of
from tunebook.data_place import is_dataset_id, require_place
from tunebook.errors import DataError, did_you_mean, shown
from tunebook.examples import Examples, make_splits
from tunebook.file_cells import file_of
from tunebook.folders import read_layout
from tunebook.label_lists import list_in_text, read_label_lists, several_in_one
from tunebook.labels import split_label
from tunebook.names import plain_name
from tunebook.opening import from_home, is_file, is_folder
from tunebook.split_names import split_of
from tunebook.table_file import TABLE_SUFFIXES, read_table
from tunebook.vocabularies import alike

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from tunebook.recipe import Recipe

    Remarks = list[tuple[str, str]]

#: Columns that are read if they are there.
_OWN = ("id", "split", "Split", "SPLIT", "subset", "partition", "fold", "set")
#: Different words in a column that names splits, at most.
_MOST_WORDS = 20
#: Rows among which names of columns are looked for where the first line has none of them.
_MOST_LINES_ABOVE = 20
#: Of more different names none are compared with others.
_MOST_COMPARED = 2_000


def read_folder(
    root: Path, suffixes: Collection[str], is_example: Callable[[str], bool] = lambda _: False
) -> pd.DataFrame:
    """
    List a folder with a sub-folder a class, or with train/ val/ test/ of those, see :mod:`tunebook.folders`.

    Parameters
    ----------
    root
        The folder.
    suffixes
        File endings to take, lower case with the dot.
    is_example
        Tells of a file without an ending, by its path, whether it is to be taken.

    Returns
    -------
    pandas.DataFrame
        ``id`` (path below ``root``), ``content`` (whole path), ``label``, and ``split`` where given;
        ``attrs["remarks"]`` says what was left out.

    Raises
    ------
    DataError
        The folder has no layout that is known, or a class folder holds no example.
    """
    source = f"data {shown(root)}"
    try:
        layout = read_layout(str(root), suffixes, is_example)
    except OSError as error:
        msg = f"{source}: {shown(str(error.filename))} cannot be read: {error.strerror or error}"
        raise DataError(msg) from None
    if layout.bound:
        msg = f"{source}: it holds {layout.bound}; give a folder that holds the examples alone, or a table"
        raise DataError(msg)
    if layout.problem:
        raise DataError(f"{source}: {layout.problem}")
    odd = next((file.path for file in layout.files if not _is_text(file.path)), None)
    if odd is not None:
        msg = f"{source}: the name of {shown(odd)} is not UTF-8; rename it"
        raise DataError(msg)
    if not layout.classes:
        msg = f"{source}: found no class folders; put the files of each class in a sub-folder of its name"
        raise DataError(f"{msg}{_tables_in(root)}")
    if len(layout.classes) == 1 and not layout.splits and (tables := _tables_in(root)):
        msg = f"{source}: its one folder, {shown(layout.classes[0])}, would be the only class"
        raise DataError(f"{msg}; put the files of each class in a sub-folder of its name{tables}")
    if layout.empty:
        other = next((f"; {text}" for kind, text in layout.remarks if kind == "left out"), "")
        msg = (
            f"{source}: class folder {shown(layout.empty[0])} holds no file that can be read{other}; fill or remove it"
        )
        raise DataError(msg)
    columns = ["id", "content", "label", "split"] if layout.splits else ["id", "content", "label"]
    frame = pd.DataFrame([file[: len(columns)] for file in layout.files], columns=columns)
    frame.attrs["remarks"] = layout.remarks
    return frame


def _tables_in(folder: Path) -> str:
    """Name a table that lies in a folder, as what to give instead; nothing where none does."""
    tables = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in TABLE_SUFFIXES and path.is_file())
    return f", or give data as the path of the table {shown(tables[0])} in it" if tables else ""


def _is_text(name: str) -> bool:
    # Linux allows any bytes in a name; Python keeps those that are not UTF-8 as lone surrogates, which tables refuse.
    return not any("\ud800" <= character <= "\udfff" for character in name)


def tidy(
    frame: pd.DataFrame,
    recipe: Recipe,
    content: str,
    source: str,
    read: Callable[[object], str | None] = text_of,
) -> pd.DataFrame:
    """
    Bring a raw table into the form of :class:`~tunebook.examples.Examples`.

    Parameters
    ----------
    frame
        Raw table.
    recipe
        Names the label and sensitive columns.
    content
        Name of the column with the path or the text.
    source
        What to call the data in an error.
    read
        Turns a value of that column into text; raises :class:`~tunebook.cells.CellError` where it cannot.

    Returns
    -------
    pandas.DataFrame
        ``attrs`` has the table's ``notes`` and ``remarks``, and what is to be said of its names.

    Raises
    ------
    DataError
        A column is missing, a label is missing, a value is not of a kind that can be read, a split has an unknown name,
        or ids repeat.
    """
    sensitive = recipe.sensitive or []
    frame = _with_columns(frame, [content, recipe.label, *sensitive], source)
    _refuse_names(recipe)
    try:
        ids = read_cells(frame["id"], id_of, "id") if "id" in frame else [f"row-{k + 1}" for k in range(len(frame))]
        labels, said = _labels(frame[recipe.label], recipe)
        contents = read_cells(frame[content], read, content)
        groups = {column: read_cells(frame[column], name_of, column) for column in sensitive}
    except CellError as error:
        raise DataError(f"{source}: {error}") from None
    remarks = list(said)
    gone = [row for row, label in enumerate(labels, 1) if label is None]
    if gone:
        msg = (
            f"{source}: {len(gone)} rows have no label in column {recipe.label!r} (first: row {gone[0]}); fill them or "
            "remove the rows"
        )
        raise DataError(msg)
    tidied = pd.DataFrame({"id": ids, "content": contents, "label": labels})
    if tidied["id"].duplicated().any():
        twice = tidied.loc[tidied["id"].duplicated(), "id"].iloc[0]
        msg = f"{source}: the id {shown(twice)} is there more than once; ids must be unique (or leave the column out)"
        raise DataError(msg)
    for column, values in groups.items():
        remarks += _merged(frame[column], values, f"values of column {shown(column)}")
        # A missing attribute is a group of its own: dropping it would hide whom the model fails.
        tidied[column] = ["(missing)" if value is None else value for value in values]
        remarks += _alike(set(tidied[column]), f"values of column {shown(column)}")
    split = _split_column(frame)
    if split is not None:
        tidied["split"], said = _splits(frame[split], split, source)
        remarks += said
        _refuse_mixed_names(tidied, source)
    else:
        remarks += _other_splits(frame, {content, recipe.label, *sensitive})
    tidied.attrs["remarks"] = [*frame.attrs.get("remarks", ()), *remarks]
    tidied.attrs["notes"] = frame.attrs.get("notes", ())
    return tidied


def _with_columns(frame: pd.DataFrame, wanted: Iterable[str], source: str) -> pd.DataFrame:
    """Return a table that has the wanted columns by these names, whatever the spaces and the form of Unicode."""
    present = list(frame)
    for column in dict.fromkeys(wanted):
        if column in frame:
            continue
        fits = [name for name in present if plain_name(str(name)) == plain_name(column)]
        if len(fits) != 1:
            names = list(frame.attrs.get("columns", frame.columns))
            have = ", ".join(shown(str(name), 40) for name in names[:12])
            hint = did_you_mean(column, map(str, names))
            raise DataError(f"{source}: no column {shown(column)}{hint}; it has {have}{_below(frame, column)}")
        frame = frame.assign(**{column: frame[fits[0]]})
    return frame


def _below(frame: pd.DataFrame, column: str) -> str:
    """Say that the names of the columns stand below other lines, if they do."""
    rows = frame.iloc[:_MOST_LINES_ABOVE].itertuples(index=False)
    found = next((k for k, row in enumerate(rows, 1) if any(plain_name(str(cell)) == column for cell in row)), 0)
    return f", and row {found} has {shown(column)}: remove what stands above the names of the columns" if found else ""


def _split_column(frame: pd.DataFrame) -> str | None:
    """Return the name of the column of splits; one in capitals counts if it holds nothing but names of splits."""
    if "split" in frame:
        return "split"
    others = (str(name) for name in frame if str(name).lower() == "split")
    return next((name for name in others if frame[name].astype(str).map(split_of).notna().all()), None)


def _splits(values: pd.Series, column: str, source: str) -> tuple[list[str], Remarks]:
    """Return the split of each row, and say which of them several words were read as."""
    written = ["" if is_missing(value) else str(value) for value in values]
    blank = [row for row, word in enumerate(written, 1) if not plain_name(word)]
    if blank:
        raise DataError(
            f"{source}: {len(blank):,} rows have no split in column {shown(column)} (first: row {blank[0]:,}); fill "
            "them, remove the rows, or leave the column out"
        )
    known = {word: split_of(word) for word in dict.fromkeys(written)}
    bad = next((word for word, split in known.items() if split is None), None)
    if bad is not None:
        raise DataError(f"{source}: split {shown(bad)} is not known; use train, validation or test")
    words: dict[str, set[str]] = {}
    for word, split in known.items():
        words.setdefault(str(split), set()).add(plain_name(word).casefold())
    said = [
        ("splits", f"{' and '.join(shown(word) for word in sorted(several))} were all read as the split {split}")
        for split, several in words.items()
        if len(several) > 1
    ]
    return [str(known[word]) for word in written], said


def _other_splits(frame: pd.DataFrame, used: Collection[str]) -> Remarks:
    """Remark on a column that names splits under another name: it was not used, and the splits are cut anew."""
    for column in frame:
        first = next(iter(frame[column]), None)
        if column in used or not isinstance(first, str) or split_of(first) is None:
            continue
        words = {word for word in frame[column] if isinstance(word, str)}
        if len(words) <= _MOST_WORDS and len(set(map(split_of, words)) - {None}) > 1:
            text = f"column {shown(str(column))} names splits and was not used; call it 'split' to keep them"
            return [("splits", text)]
    return []


def _labels(values: pd.Series, recipe: Recipe) -> tuple[Sequence[str | None], Remarks]:
    """Read the labels of a column, ``None`` where there is none, and say what was done with them."""
    if recipe.multi_label:
        return read_label_lists(values.tolist(), recipe.label)
    if any(map(is_list, values)):
        msg = f"labels in column {recipe.label!r} are lists; set multi_label=True, or give one class each"
        raise CellError(msg)
    labels = read_cells(values, name_of, recipe.label)
    several = several_in_one({label for label in labels if label is not None})
    if several and list_in_text(several) is not None:
        msg = (
            f"labels in column {recipe.label!r} such as {shown(several)} are lists; set multi_label=True, or give one "
            "class each"
        )
        raise CellError(msg)
    remarks = _merged(values, labels, "labels")
    if several:
        said = f"labels such as {shown(several)} look like several classes and were read as one; see multi_label"
        remarks.append(("labels", said))
    return labels, remarks


def _merged(values: Iterable[object], names: Iterable[str | None], what: str) -> Remarks:
    """Say which names were written in several ways that show alike, and read as one."""
    written: dict[str, set[str]] = {}
    for value, name in zip(values, names, strict=True):
        if isinstance(value, str) and name is not None:
            written.setdefault(name, set()).add(value)
    several = {name: sorted(ways) for name, ways in written.items() if len(ways) > 1}
    if not several:
        return []
    ways = " and ".join(ascii(way) for way in next(iter(several.values()))[:3])
    return [("spelling", f"{len(several)} {what} are written in ways that look the same and were read as one: {ways}")]


def _alike(names: Collection[str], what: str) -> list[tuple[str, str]]:
    """Remark on names that differ in case, in the form of a number or in signs between words only."""
    found = alike(names) if len(names) <= _MOST_COMPARED else []
    if not found:
        return []
    examples = "; ".join(" and ".join(map(shown, several[:3])) for several in found[:3])
    return [("names alike", f"{len(found)} {what} are written in several ways and were kept apart: {examples}")]


def _refuse_names(recipe: Recipe) -> None:
    """Refuse sensitive columns that would take the place of another."""
    sensitive, label = [plain_name(name) for name in recipe.sensitive or ()], plain_name(recipe.label)
    reserved = {"id", "content", "label", "split"} - {label}
    wrong = next((c for c in sensitive if c in reserved or sensitive.count(c) > 1), None)
    if wrong is not None:
        why = "is named twice" if sensitive.count(wrong) > 1 else "has a name that Tunebook needs; rename the column"
        raise DataError(f"sensitive={recipe.sensitive!r}: {wrong!r} {why}")
    if label in sensitive:
        msg = f"sensitive={recipe.sensitive!r}: {recipe.label!r} is the label itself; name another column"
        raise DataError(msg)


def _refuse_mixed_names(frame: pd.DataFrame, source: str) -> None:
    """Refuse labels that are numbers in one split and words in another: they would be taken for different classes."""
    kinds = {split: {_is_number(label) for label in rows.unique()} for split, rows in frame.groupby("split")["label"]}
    numbers = [str(split) for split, kind in kinds.items() if kind == {True}]
    words = [str(split) for split, kind in kinds.items() if kind == {False}]
    if numbers and words:
        example = [frame.loc[frame["split"] == split, "label"].iloc[0] for split in (numbers[0], words[0])]
        msg = (
            f"{source}: labels are numbers in {numbers[0]} ({shown(example[0])}) and words in {words[0]} "
            f"({shown(example[1])}); give the classes the same names in every split"
        )
        raise DataError(msg)


def _is_number(label: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d*)?", label) is not None


def _strata(frame: pd.DataFrame) -> pd.Series:
    """Name for each example the rarest of its classes: splits made by it have some of every class."""
    names = frame["label"].map(split_label)
    counts = names.explode().value_counts()
    return names.map(lambda several: min(several, key=lambda name: (counts[name], name), default=""))


def load_examples(
    recipe: Recipe,
    content: str,
    *,
    suffixes: Collection[str] = (),
    is_example: Callable[[str], bool] = lambda _: False,
    demo: Callable[[Recipe], Examples] | None = None,
    hub: Callable[[str, Any], pd.DataFrame] | None = None,
    keep: Callable[[bytes], str] | None = None,
) -> Examples:
    """
    Read the examples that a recipe asks for.

    Parameters
    ----------
    recipe
        Its ``data`` is ``demo``, a folder, a table file, a folder made by ``datasets``, or a Hugging Face dataset id.
    content
        Name of the column with the path or the text.
    suffixes
        File endings that a folder is searched for; empty where folders make no sense for the task.
    is_example
        Tells of a file without an ending, by its path, whether it is an example.
    demo
        Makes the demo set of the task.
    hub
        Turns a loaded Hugging Face dataset into a raw table.
    keep
        Writes an example that a table holds as bytes to a file and returns its path.

    Returns
    -------
    Examples
        With every split filled, seeded and stratified where the data did not give it.

    Raises
    ------
    DataError
        The data cannot be found or read.
    """
    if recipe.data == "demo" and demo is not None:
        examples = demo(recipe)
        wanted = examples.sensitive if recipe.sensitive is None else tuple(recipe.sensitive)
        unknown = [c for c in wanted if c not in examples.sensitive]
        if unknown:
            hint = did_you_mean(unknown[0], examples.sensitive)
            msg = f"data 'demo': no column {shown(unknown[0])}{hint}; it has {', '.join(examples.sensitive)}"
            raise DataError(msg)
        return replace(examples, sensitive=wanted).sample(recipe.max_examples, recipe.seed)
    path = from_home(recipe.data)
    source = f"data {shown(recipe.data)}"
    if hub is not None and _is_saved_dataset(path):
        raw = _from_disk(path, source, hub)
    elif is_folder(path) and suffixes:
        raw = read_folder(path, suffixes, is_example)
        raw = raw.rename(columns={"content": content, "label": recipe.label})
    elif is_file(path):
        raw = read_table(path, [content, recipe.label, *(recipe.sensitive or ()), *_OWN])
    elif hub is not None and is_dataset_id(recipe.data):
        raw = _from_hub(recipe.data.removeprefix("hf:"), hub)
    else:
        require_place(recipe.data)
        what = "a folder" if is_folder(path) else "no file"
        raise DataError(
            f"{source} is {what}; give a table file ({', '.join(TABLE_SUFFIXES)}) or a dataset id: owner/name"
        )
    read: Callable[[object], str | None] = text_of
    if suffixes:
        # Only a table names its files from where it lies: those of a folder were found, those of the hub written.
        read = partial(file_of, folder=path.parent, keep=keep) if is_file(path) else _as_found
    frame = tidy(raw, recipe, content, source, read)
    notes, remarks = (tuple(frame.attrs.get(kind, ())) for kind in ("notes", "remarks"))
    if not len(frame):
        msg = f"{source}: the table has no rows"
        raise DataError(msg)
    if "split" in frame and not (frame["split"] == "train").any():
        counts = ", ".join(f"{count:,} of {split}" for split, count in frame["split"].value_counts().items())
        msg = (
            f"{source}: no example is for training: there are {counts}; name some of them train, or leave the split out"
        )
        raise DataError(msg)
    strata = _strata(frame) if recipe.multi_label else frame["label"]
    frame["split"] = make_splits(
        frame.assign(stratum=strata), recipe.validation_fraction, recipe.test_fraction, recipe.seed
    )
    columns = ["id", "content", "label", "split", *(recipe.sensitive or ())]
    labels = frame["label"].map(split_label).explode().dropna() if recipe.multi_label else frame["label"]
    classes = tuple(sorted(labels.unique(), key=_natural))
    sensitive = tuple(recipe.sensitive or ())
    remarks = (*remarks, *_alike(classes, "classes"))
    examples = Examples(
        frame[columns], classes, source, sensitive, notes, multi_label=recipe.multi_label, remarks=remarks
    )
    return examples.sample(recipe.max_examples, recipe.seed)


def _as_found(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key that puts class 10 after class 9."""
    parts = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
    # The name itself orders "1" and "01", whatever the order of the rows.
    return parts, name


def _is_saved_dataset(path: Path) -> bool:
    """Whether a folder is one that ``save_to_disk`` of the Hugging Face library has made."""
    names = ("dataset_dict.json",), ("state.json", "dataset_info.json")
    return is_folder(path) and any(all(is_file(path / name) for name in several) for several in names)


def _from_disk(path: Path, source: str, to_table: Callable[[str, Any], pd.DataFrame]) -> pd.DataFrame:
    try:
        from datasets import load_from_disk  # noqa: PLC0415 - heavy, and an extra
    except ImportError:
        msg = f"{source} is a saved dataset, and reading it needs `pip install 'tunebook[hub]'`"
        raise DataError(msg) from None
    try:
        loaded = load_from_disk(str(path))
    except Exception as error:  # noqa: BLE001 - the library raises almost anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{source} is a saved dataset that cannot be opened: {reason}") from None
    return to_table(str(path), loaded if isinstance(loaded, dict) else {"train": loaded})


def _from_hub(name: str, to_table: Callable[[str, Any], pd.DataFrame]) -> pd.DataFrame:
    try:
        from datasets import load_dataset  # noqa: PLC0415 - heavy, and an extra
    except ImportError:
        msg = f"data {shown(name)} is no file here, and reading the hub needs `pip install 'tunebook[hub]'`"
        raise DataError(msg) from None
    try:
        loaded = load_dataset(name)
    except Exception as error:  # noqa: BLE001 - the library raises almost anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = f"data {shown(name)}: no such file or folder here, and the hub does not give it: {reason}"
        raise DataError(msg) from None
    return to_table(name, loaded)


def from_splits(
    name: str,
    data: Any,  # noqa: ANN401
    recipe: Recipe,
    content: Callable[[Any], dict[str, Any]],
) -> pd.DataFrame:
    """
    Make a raw table of a Hugging Face dataset.

    Parameters
    ----------
    name
        Id of the dataset.
    data
        What ``datasets.load_dataset`` gave: a mapping of split to dataset.
    recipe
        Names the label and sensitive columns.
    content
        Called with a split's dataset; gives the column with the contents.

    Returns
    -------
    pandas.DataFrame
        Only the columns that are needed. Splits of other names than train, validation and test, and examples
        without a label, are left out; ``attrs["notes"]`` says so.

    Raises
    ------
    DataError
        No split has a known name.
    """
    tables: list[pd.DataFrame] = []
    notes: list[str] = []
    named: dict[str | None, list[str]] = {}
    for split in data:
        named.setdefault(split_of(str(split)), []).append(str(split))
    for known, several in named.items():
        if known and len(several) > 1:
            notes.append(f"The dataset's splits {', '.join(map(repr, several))} are read as one: {known}.")
    for split, part in data.items():
        if split_of(str(split)) is None:
            notes.append(f"The dataset's split {split!r} was left out: it is none of train, validation and test.")
            continue
        wanted = [c for c in dict.fromkeys([recipe.label, *(recipe.sensitive or ())]) if c in part.features]
        table = pd.DataFrame({c: class_names(part.features[c], part[c]) for c in wanted})
        table = table.assign(**content(part), id=[f"{split}-{k}" for k in range(len(table))], split=split)
        if recipe.label in table and not recipe.multi_label:
            labelled = table[recipe.label].notna()
            if not labelled.all():
                without = int((~labelled).sum())
                notes.append(f"{without} examples of the split {split!r} have no label and were left out.")
            table = table[labelled]
        tables.append(table)
    if not tables:
        msg = f"data {shown(name)}: none of its splits ({', '.join(map(str, data))}) is train, validation or test"
        raise DataError(msg)
    found = pd.concat(tables, ignore_index=True)
    found.attrs["notes"] = notes
    return found


def class_names(kind: Any, values: Iterable[Any]) -> list[Any]:  # noqa: ANN401
    """
    Turn the numbers of a Hugging Face dataset's column into the names of its classes, one or a list of them each.

    Parameters
    ----------
    kind
        The column's feature.
    values
        Its values; a number that no class has, such as -1, is a label that was left out.
    """
    inner: Any = getattr(kind, "feature", None)
    if hasattr(inner, "int2str"):
        return [[name for v in several or () if (name := _class_name(inner, v)) is not None] for several in values]
    if hasattr(kind, "int2str"):
        return [_class_name(kind, v) for v in values]
    return list(values)


def _class_name(kind: Any, number: Any) -> str | None:  # noqa: ANN401
    """Return the name of a class; ``None`` for a number that stands for none, such as -1."""
    try:
        return str(kind.int2str(int(number))) if int(number) >= 0 else None
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
