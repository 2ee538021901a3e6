"""Labels of several classes, as tables hold them: lists, lists written as text, or names with a sign between them."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from tunebook.cells import CellError, is_list, is_missing, name_of
from tunebook.errors import shown
from tunebook.labels import SEPARATOR, join_label, split_label
from tunebook.names import plain_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

#: Signs that may stand between names where the documented one is not used.
_OTHERS = (";", ",")
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
#: An item of a list written as text: in quotes, or a word.
_ITEM = re.compile(r"""\s*(?:u?'((?:[^'\\]|\\.)*)'|u?"((?:[^"\\]|\\.)*)"|([^\s,'"\[\](){}:]+))\s*""", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
#: How a list has what is missing, without quotes.
_MISSING = frozenset({"None", "nan", "NaN", "null", "<NA>"})
_DECIMAL = re.compile(r"[+-]?\d+,\d+")
_LONGEST = 100_000
#: What vectors hold that say of each class whether an example has it.
_YES_AND_NO = ({"0", "1"}, {"True", "False"})


def read_label_lists(values: Sequence[object], column: str) -> tuple[list[str], list[tuple[str, str]]]:
    """
    Read a column of labels of several classes.

    Parameters
    ----------
    values
        A list of names each, such a list as Python, JSON or NumPy write it, or text with ``|`` between the names.
        Commas and semicolons stand between names as well if the column has no ``|`` and most of the parts so found
        are there in other labels too.
    column
        Its name, for errors.

    Returns
    -------
    labels
        One a row, see :mod:`tunebook.labels`; empty for none.
    remarks
        What was done that needs saying: a kind and a sentence.

    Raises
    ------
    CellError
        A label is no such thing; the line names column and row.
    """
    found: list[list[str] | str] = []
    for row, value in enumerate(values, 1):
        try:
            found.append(_names_or_text(value))
        except CellError as error:
            raise CellError(f"column {shown(column)}, row {row:,}: {error}") from None
    _refuse_vectors(found, column)
    sign, remarks = _sign(found)
    labels = []
    for row, names in enumerate(found, 1):
        several = names if isinstance(names, list) else _parts(names, sign)
        if sign != SEPARATOR and any(map(_is_torn, several)):
            msg = f"column {shown(column)}, row {row:,}: {shown(names, 40)} is no list of names"
            raise CellError(f"{msg}; write them with {SEPARATOR!r} between them")
        odd = next((name for name in several if SEPARATOR in name), None)
        if odd is not None:
            msg = f"column {shown(column)}, row {row:,}: class {shown(odd)} must not hold {SEPARATOR!r}; rename it"
            raise CellError(msg)
        labels.append(join_label(several))
    if not remarks and labels and not any(SEPARATOR in label for label in labels):
        example = next(filter(None, labels), "")
        said = f"no example has more than one class, such as {shown(example)}; names are told apart by {SEPARATOR!r}"
        remarks = [("labels", said)]
    return labels, remarks


def list_in_text(text: str) -> list[str] | None:
    """
    Read a list that is written as text, such as ``['a', 'b']``, ``["a"]``, ``{a,b}`` or ``['a' 'b']``.

    Returns
    -------
    list of str
        Its items; ``None`` if the text is no list of names.
    """
    text = text.strip()
    if not _has_brackets(text) or len(text) > _LONGEST:
        return None
    # Words in parentheses may be the name itself.
    if text[0] == "(" and not re.search(r"""['"]""", text):
        return None
    try:
        read: Any = json.loads(text)
    except (ValueError, RecursionError):
        return _items(text[1:-1])
    if not isinstance(read, list) or any(isinstance(item, (list, dict)) for item in read):
        return None
    return [name for item in read if (name := name_of(item))]


def _has_brackets(text: str) -> bool:
    return len(text) > 1 and _BRACKETS.get(text[0]) == text[-1]


def _items(inner: str) -> list[str] | None:
    """Read items with commas or spaces between them."""
    found: list[str] = []
    place = 0
    while place < len(inner) and inner[place:].strip():
        item = _ITEM.match(inner, place)
        if item is None:
            return None
        quoted = item[1] if item[1] is not None else item[2]
        if quoted is not None:
            found.append(_ESCAPE.sub(r"\1", quoted))
        elif item[3] not in _MISSING:
            found.append(item[3])
        place = item.end()
        if inner[place : place + 1] == ",":
            place += 1
    return [name for item in found if (name := plain_name(item))]


def _names_or_text(value: object) -> list[str] | str:
    """Return the names of a list, however it is written; a text that is none stays as it is."""
    if is_list(value):
        items: Iterable[object] = value.tolist() if hasattr(value, "tolist") else value  # type: ignore[assignment]
        return [name for item in items if not is_missing(item) and (name := name_of(item))]
    text = name_of(value) or ""
    names = list_in_text(text)
    if names is None and _has_brackets(text) and text[0] != "(":
        raise CellError(f"{shown(text, 40)} is no list of names; write them with {SEPARATOR!r} between them")
    return text if names is None else names


def _refuse_vectors(found: Sequence[list[str] | str], column: str) -> None:
    """Refuse ones and zeros for all classes, which would be taken for classes of these names."""
    lists = [names for names in found if isinstance(names, list)]
    is_even = len(lists) == len(found) and len({len(names) for names in lists}) == 1 and len(lists[0]) > 1
    if is_even and any(all(set(names) <= kind for names in lists) for kind in _YES_AND_NO):
        msg = (
            f"column {shown(column)}, row 1: {shown(lists[0], 40)} says yes or no to each class; give the names of "
            "those that an example has"
        )
        raise CellError(msg)


def _is_torn(name: str) -> bool:
    """Whether a name has a bracket without the other one, or a quote: it was cut out of something else."""
    return any(name.count(a) != name.count(b) for a, b in _BRACKETS.items()) or name.count('"') % 2 == 1


def _parts(text: str, sign: str) -> list[str]:
    return [plain_name(part) for part in (split_label(text) if sign == SEPARATOR else text.split(sign)) if part.strip()]


def _sign(found: Sequence[list[str] | str]) -> tuple[str, list[tuple[str, str]]]:
    """Say which sign stands between names, and what is to be said of it."""
    texts = {text for text in found if isinstance(text, str) and text}
    if any(SEPARATOR in text for text in texts):
        return SEPARATOR, []
    sign, example, is_plain = _between(texts, _OTHERS)
    if not sign:
        return SEPARATOR, []
    if is_plain:
        said = f"labels such as {shown(example)} were read as several classes with {sign!r} between them"
        return sign, [("labels", said)]
    said = (
        f"labels such as {shown(example)} were read as one class each; if they are several, write {SEPARATOR!r} "
        "between them"
    )
    return SEPARATOR, [("labels", said)]


def _between(texts: Collection[str], signs: Sequence[str]) -> tuple[str, str, bool]:
    """Return the first sign that some texts have between words, one of them, and whether most words recur in others."""
    for sign in signs:
        several = [text for text in texts if len(_parts(text, sign)) > 1 and not _DECIMAL.fullmatch(text)]
        if several:
            counts = Counter(part for text in texts for part in set(_parts(text, sign)))
            parts = [part for text in several for part in set(_parts(text, sign))]
            return sign, min(several), 2 * sum(counts[part] > 1 for part in parts) > len(parts)
    return "", "", False


def several_in_one(names: Collection[str]) -> str:
    """
    Return an example of names that look like several classes each; empty if none do.

    Parameters
    ----------
    names
        The different labels of a column of one class each.
    """
    listed = [name for name in names if name[:1] in _BRACKETS and list_in_text(name) is not None]
    if 2 * len(listed) > len(names):
        return min(listed)
    sign, example, is_plain = _between(names, (SEPARATOR, *_OTHERS))
    return example if sign and is_plain else ""
