"""Columns of a table as a person chooses among them: what they hold, and which of them could be what."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tunebook.picture_kinds import has_picture_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Columns that are described, rows that are shown of each, and signs of a value that is shown.
MOST_COLUMNS, MOST_SHOWN, LONGEST = 200, 3, 120
#: Names that say what a column is, in lower case.
LABELS = ("label", "labels", "class", "category", "target", "sentiment", "y")
TEXTS = ("text", "sentence", "review", "content", "comment", "document", "tweet", "message", "title")
PATHS = ("path", "file", "filename", "file_name", "image", "image_path", "picture")

_DATE = re.compile(r"\d{4}-\d\d?-\d\d?(?:[ T]\d\d?:\d\d.*)?|\d\d?[./]\d\d?[./]\d{2,4}")
_WHOLE = re.compile(r"[+-]?\d{1,30}")
_REAL = re.compile(r"[+-]?(?:\d+[.,]\d*|[.,]?\d+)(?:[eE][+-]?\d+)?")
_BOOLEAN = frozenset({"true", "false", "yes", "no"})
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
#: A text has more letters than a name, as a mean.
_TEXT_LETTERS = 20


@dataclass(frozen=True)
class Column:
    """
    What is known of a column.

    Attributes
    ----------
    name
        As the table has it.
    type
        In a word or two: ``"text"``, ``"words"``, ``"whole numbers"``, ``"numbers"``, ``"yes or no"``, ``"dates"``,
        ``"picture files"``, ``"lists"`` or ``"nothing"``.
    distinct
        Different values among the rows that were read.
    missing
        Rows that were read without a value.
    examples
        The values of the first rows, cut to :data:`LONGEST` signs.
    """

    name: str
    type: str
    distinct: int
    missing: int
    examples: list[str]


@dataclass(frozen=True)
class Choice:
    """
    The column for a parameter.

    Attributes
    ----------
    column
        Its name; empty where it is not clear, and a person has to say.
    why
        Why it is that one, or why it is not clear, in words.
    """

    column: str
    why: str


def describe(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Column]:
    """
    Describe the columns of a table.

    Parameters
    ----------
    names
        Of all columns; the first :data:`MOST_COLUMNS` are described.
    rows
        The first rows, as texts; one that is shorter lacks its last values.
    """
    return [
        _column(name, [row[k] if k < len(row) else "" for row in rows]) for k, name in enumerate(names[:MOST_COLUMNS])
    ]


def listed(columns: Iterable[Column]) -> list[dict[str, Any]]:
    """Return columns as the OpenAPI file's ``Column``."""
    return [asdict(column) for column in columns]


def label_of(columns: Sequence[Column]) -> Choice:
    """
    Say which column holds the class.

    Only a name says so. Values never do: a region has as few of them as a class.
    """
    named = _named(columns, LABELS)
    exact = next((column for column in named if column.name == "label"), None)
    found = [exact] if exact else named
    if len(found) == 1:
        return Choice(found[0].name, "its name says so")
    if found:
        return Choice("", f"{_and(found)} could all be the class")
    return Choice("", "no column is named as a class is")


def text_of(columns: Sequence[Column], label: str) -> Choice:
    """Say which column holds the text: one that is named so, or the only one that holds texts."""
    free = [column for column in columns if column.name != label]
    named = [column for column in _named(free, TEXTS) if column.type in {"text", "words"}]
    exact = next((column for column in named if column.name == "text"), None)
    texts = [column for column in free if column.type == "text"]
    if exact or len(named) == 1:
        return Choice((exact or named[0]).name, "its name says so")
    if len(texts) == 1:
        return Choice(texts[0].name, "the only column with texts")
    several = named or texts
    return Choice("", f"{_and(several)} could all be the text" if several else "no column holds texts")


def path_of(columns: Sequence[Column]) -> Choice:
    """Say which column names picture files."""
    found = [column for column in columns if column.type == "picture files"]
    named = _named(found, PATHS)
    exact = next((column for column in named if column.name == "path"), None)
    if exact or len(named) == 1:
        return Choice((exact or named[0]).name, "its name and its values say so")
    if len(found) == 1:
        return Choice(found[0].name, "the only column with picture files")
    return Choice("", f"{_and(found)} could all be the picture" if found else "no column names picture files")


def _named(columns: Sequence[Column], names: Sequence[str]) -> list[Column]:
    return [column for column in columns if column.name.strip().lower() in names]


def _and(columns: Sequence[Column]) -> str:
    shown = [repr(column.name[:40]) for column in columns[:4]]
    return f"{', '.join(shown[:-1])} and {shown[-1]}" + (", ..." if len(columns) > len(shown) else "")


def _column(name: str, values: Sequence[str]) -> Column:
    known = [value for value in values if value.strip().lower() not in _MISSING]
    examples = [_cut(value) for value in values[:MOST_SHOWN]]
    return Column(name, _type(known), len({value.strip() for value in known}), len(values) - len(known), examples)


def _cut(value: str) -> str:
    line = " ".join(value[: 4 * LONGEST].split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _type(known: Sequence[str]) -> str:
    if not known:
        return "nothing"
    texts = [value.strip() for value in known]
    if all(text.lower() in _BOOLEAN for text in texts):
        return "yes or no"
    for pattern, word in ((_WHOLE, "whole numbers"), (_REAL, "numbers"), (_DATE, "dates")):
        if all(pattern.fullmatch(text) for text in texts):
            return word
    if sum(has_picture_name(text[-40:]) for text in texts) > len(texts) / 2:
        return "picture files"
    if all(text[0] in "[({" and text[-1] in "])}" for text in texts):
        return "lists"
    return "text" if sum(map(len, texts)) / len(texts) > _TEXT_LETTERS else "words"
