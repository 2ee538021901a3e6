"""
Tables of lines with a separator: which separator and which quotes a file is written with, and its rows by them.

A parser that is lenient reads anything: a stray quote swallows rows, and no error says so. Here a file is read
strictly, under the standard's rules (RFC 4180) first. Where these do not fit, other rules are tried, and one is taken
if the whole file fits it. What was taken is said; a file that fits none is refused with the line that does not fit.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from tunebook.errors import shown
from tunebook.names import plain_name
from tunebook.table_bounds import TableBounds, TableError, Watch
from tunebook.text_lines import encoding_of, read_head, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

#: What may stand between two cells.
SEPARATORS = (",", ";", "\t", "|")
#: By the ending of a file: the separator that is expected.
EXPECTED = {".csv": ",", ".tsv": "\t"}

Quoting = Literal["double", "padded", "backslash", "none"]
_WORDS: dict[Quoting, str] = {
    "double": "quotes as CSV has them",
    "padded": "spaces left out before a quote",
    "backslash": 'a quote within a text written as \\"',
    "none": "quotes as signs of the text like any other",
}
#: Stands for an escaped quote while a line is cut into cells: no character, by Unicode's definition.
_ESCAPED = "\ufdd0"
_ESCAPE = re.compile(r'\\([\\"])')
_ADVICE = "double the quotes within texts, and put texts that hold separators or line ends in quotes"
_TOLD = re.compile(r"sep=([,;\t|])\s*", re.IGNORECASE)
#: Rows between two looks at the clock.
_PULSE = 4_096
#: Lines of a text that may have swallowed one row.
_PAIR = 2
#: Texts over several lines that are looked at for rows that they may have swallowed.
_MOST_SUSPECTS = 1_000


@dataclass(frozen=True)
class Dialect:
    r"""
    How a file is written.

    Attributes
    ----------
    separator
        Stands between two cells.
    quoting
        ``"double"``: cells may be in double quotes, and a quote within them is doubled, as RFC 4180 has it.
        ``"padded"``: the same with spaces after the separator. ``"backslash"``: a quote within is written ``\"``.
        ``"none"``: a quote is a character like any other.
    encoding
        As Python calls it.
    """

    separator: str
    quoting: Quoting = "double"
    encoding: str = "utf-8"


@dataclass
class SeparatedRows:
    """
    The rows of a file.

    Attributes
    ----------
    columns
        Names from the first row, as :func:`tunebook.names.plain_name` gives them; one may be there twice or be empty.
    rows
        One list of cells a row, at most as many as there are columns. Empty rows are left out.
    dialect
        How the file was read.
    remarks
        What a reader of the data has to know of it: a kind such as ``"quotes"``, and a sentence.
    short
        Rows with fewer cells than there are named columns: place in ``rows`` to line of the file, from 1.
    """

    columns: list[str]
    rows: list[list[str]]
    dialect: Dialect
    remarks: list[tuple[str, str]] = field(default_factory=list)
    short: dict[int, int] = field(default_factory=dict)


class _MisfitError(Exception):
    """A file does not fit a dialect, in this line and for this reason; what mends it, in words."""

    def __init__(
        self, line: int, reason: str, advice: str = "", *, is_end: bool = False, is_weak: bool = False
    ) -> None:
        super().__init__(line, reason, advice)
        self.line, self.reason, self.advice = line, reason, advice
        #: Whether the file may have lost its end.
        self.is_end = is_end
        #: Whether it may be chance: one row at most could have been swallowed.
        self.is_weak = is_weak


@dataclass(frozen=True)
class _Source:
    """
    Where lines come from.

    Attributes
    ----------
    lines
        Gives the lines from the beginning, whenever it is called.
    encoding
        They were in.
    expected
        The separator that is likely.
    watch
        Watches the bounds.
    is_cut
        Whether the file goes on after the last line: a text in quotes that does not end is then no fault.
    skipped
        Lines before the one with the names.
    """

    lines: Callable[[], Iterator[str]]
    encoding: str
    expected: str
    watch: Watch
    is_cut: bool = False
    skipped: int = 0

    def body(self) -> Iterator[str]:
        """Give the lines from that with the names on."""
        return islice(self.lines(), self.skipped, None)


def read_separated(path: Path, bounds: TableBounds | None = None) -> SeparatedRows:
    """
    Read a file of lines with separators.

    Parameters
    ----------
    path
        A regular file; its ending says which separator is expected, see :data:`EXPECTED`.
    bounds
        How much of it is read at most; a file beyond that is refused.

    Raises
    ------
    TableError
        It fits no dialect, is no text in a known encoding, or meets a bound.
    OSError
        It cannot be opened, or is no regular file.
    """
    bounds = bounds or TableBounds()
    encoding = encoding_of(path, bounds)

    def lines() -> Iterator[str]:
        return read_lines(path, encoding, bounds, newline="")

    return _read(_Source(lines, encoding, _expected(path), Watch(bounds)))


def preview_separated(path: Path, bounds: TableBounds | None = None) -> SeparatedRows:
    """
    Read the rows in the first 256 kB of a file, in some milliseconds however large it is.

    Parameters
    ----------
    path
        A regular file.
    bounds
        As in :func:`read_separated`, but for the size of the file.

    Raises
    ------
    TableError, OSError
        As :func:`read_separated`.
    """
    text, encoding, is_cut = read_head(path)
    found = list(io.StringIO(text, newline=""))
    if is_cut and len(found) > 1:
        found.pop()
    return _read(_Source(lambda: iter(found), encoding, _expected(path), Watch(bounds or TableBounds()), is_cut))


def _expected(path: Path) -> str:
    return EXPECTED.get(path.suffix.lower(), ",")


def _read(source: _Source) -> SeparatedRows:
    """Read rows by the first separator and quotes that fit."""
    first = next(source.lines(), "")
    source.watch.line(len(first), "line 1")
    told = _TOLD.fullmatch(first)
    if told:
        source = _Source(source.lines, source.encoding, told[1], source.watch, source.is_cut, 1)
    separators = [told[1]] if told else _likely_separators(source)
    misfits: list[_MisfitError] = []
    for separator in separators:
        try:
            read = _by_quotes(source, separator)
        except _MisfitError as misfit:
            misfits.append(misfit)
            continue
        if separator != source.expected:
            said = f"cells are separated by {separator!r}, not by {source.expected!r} as the file's ending lets expect"
            read.remarks.insert(0, ("separator", said))
        return read
    first_misfit = misfits[0]
    raise TableError(f"line {first_misfit.line:,}: {first_misfit.reason}; {first_misfit.advice}")


def _likely_separators(source: _Source) -> list[str]:
    """Return the separators that the first row has, the expected one first; that one alone where it has none."""
    head = next((line for line in source.body() if line.strip()), "")
    source.watch.line(len(head), "the first line")
    counts = {separator: head.count(separator) for separator in SEPARATORS}
    counts[source.expected] *= len(head)
    return sorted(filter(counts.get, counts), key=lambda separator: -counts[separator]) or [source.expected]


def _by_quotes(source: _Source, separator: str) -> SeparatedRows:
    """
    Read rows with one separator: by the standard's quotes, or by others that the whole file fits better.

    Raises
    ------
    _MisfitError
        It fits none; the error is that of the standard's.
    """
    reading = _Reading(source, Dialect(separator, "double", source.encoding))
    standard: SeparatedRows | None = None
    misfit = _MisfitError(0, "")
    try:
        standard = reading.read()
    except _MisfitError as error:
        if error.is_end:
            raise
        misfit = error
    if standard is not None and not standard.short and not reading.padded:
        return standard
    others: list[Quoting] = []
    if reading.padded:
        others.append("padded")
    others += ["backslash", "none"]
    for quoting in others:
        try:
            other = _Reading(source, Dialect(separator, quoting, source.encoding)).read()
        except _MisfitError:
            continue
        is_better = standard is None or len(other.short) < len(standard.short) or quoting == "padded"
        if is_better and not other.short:
            why = f"line {misfit.line:,}: {misfit.reason}; " if standard is None else ""
            text = f"{why}the table was read with {_WORDS[quoting]}, which all of its lines fit"
            other.remarks.insert(0, ("quotes", text))
            return other
    if standard is None and misfit.is_weak:
        return _Reading(source, Dialect(separator, "double", source.encoding), is_trusting=True).read()
    if standard is None:
        raise misfit
    return standard


class _Reading:
    """One attempt at the rows of a file."""

    def __init__(self, source: _Source, dialect: Dialect, *, is_trusting: bool = False) -> None:
        self._source, self._dialect = source, dialect
        #: Whether texts over several lines are taken for what they are, however much they look like rows.
        self._is_trusting = is_trusting
        #: Lines of the file that belong to the row that is read.
        self._raw: list[str] = []
        self._columns = 0
        self._names: list[str] = []
        self._suspects: list[tuple[int, list[list[str]]]] = []
        self._suspected = self._bare = self._empty = self._repeated = 0
        self._needless: dict[int, int] = {}
        #: Whether a cell begins with spaces and a quote.
        self.padded = False

    def read(self) -> SeparatedRows:
        """
        Return the rows.

        Raises
        ------
        _MisfitError
            The file does not fit the dialect.
        """
        watch = self._source.watch
        if csv.field_size_limit() < watch.bounds.line:
            csv.field_size_limit(watch.bounds.line)
        found = SeparatedRows([], [], self._dialect)
        named = 0
        for line, row in self._rows():
            if not self._columns:
                found.columns = [plain_name(cell) for cell in self._unwrapped_names(row)]
                self._columns, self._names = len(row), row
                watch.columns(self._columns, f"line {line:,}")
                named = max((k + 1 for k, name in enumerate(found.columns) if name), default=0)
                continue
            cells = self._cells(row, line)
            if cells is None:
                continue
            if len(cells) < named:
                found.short[len(found.rows)] = line
            found.rows.append(cells)
            if len(found.rows) % _PULSE == 0:
                watch.rows(len(found.rows))
        watch.rows(len(found.rows))
        if not self._columns:
            raise TableError("it is empty")
        if not self._is_trusting:
            self._require_whole(found.rows)
        if self._dialect.quoting == "none":
            _unwrap(found.rows, self._columns)
        found.remarks = self._remarks(found)
        return found

    def _cells(self, row: list[str], line: int) -> list[str] | None:
        """Return the cells of a row, ``None`` for one that says nothing, and look at its quotes if there are any."""
        has_quotes = len(self._raw) > 1 or '"' in self._raw[0]
        if has_quotes and not self.padded:
            self._look_for_padding(row)
        cells = row if len(row) <= self._columns else self._fitted(row, line)
        if not any(cells):
            self._empty += 1
            return None
        if row == self._names:
            self._repeated += 1
            return None
        if has_quotes:
            self._look(cells, line)
        else:
            self._bare += 1
        return cells

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Give each row that is not blank, with the line in which it begins."""
        dialect = self._dialect
        how: dict[str, Any] = {"quoting": csv.QUOTE_NONE, "quotechar": None} if dialect.quoting == "none" else {}
        reader = csv.reader(
            self._lines(), delimiter=dialect.separator, strict=True,
            skipinitialspace=dialect.quoting == "padded", **how,
        )  # fmt: skip
        while True:
            line = self._source.skipped + reader.line_num + 1
            self._raw = []
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if self._source.is_cut and "end of data" in str(error):
                    return
                raise self._misfit(str(error), line) from None
            if not row:
                continue
            if dialect.quoting == "backslash":
                row = [cell.replace(_ESCAPED, '"') if _ESCAPED in cell else cell for cell in row]
            yield line, row

    def _lines(self) -> Iterator[str]:
        watch, is_escaped = self._source.watch, self._dialect.quoting == "backslash"
        for number, line in enumerate(self._source.body(), 1 + self._source.skipped):
            watch.line(len(line), f"line {number:,}")
            self._raw.append(line)
            if is_escaped and "\\" in line:
                if _ESCAPED in line:
                    raise _MisfitError(number, "it holds a sign that is no character")
                yield _ESCAPE.sub(lambda found: _ESCAPED if found[1] == '"' else "\\", line)
            else:
                yield line

    def _misfit(self, message: str, line: int) -> _MisfitError:
        last = line + len(self._raw) - 1
        over = f" that goes on to line {last:,}" if last > line else ""
        if "end of data" in message:
            # A last line of this kind is what a file has that was cut off.
            is_end = len(self._raw) == 1
            advice = "look whether the file is whole" if is_end else _ADVICE
            return _MisfitError(line, "a quote opens a text that does not end", advice, is_end=is_end)
        if "limit" in message:
            limit = self._source.watch.bounds.line
            reason = f"it has a cell of more than {limit:,} characters, the most that are read of one"
            return _MisfitError(line, reason, _ADVICE)
        return _MisfitError(line, f"a text in quotes{over} is followed by letters", _ADVICE)

    def _unwrapped_names(self, row: list[str]) -> list[str]:
        if self._dialect.quoting != "none":
            return row
        return [cell[1:-1] if _is_wrapped(cell) else cell for cell in row]

    def _look_for_padding(self, row: Sequence[str]) -> None:
        if any(' "' in line for line in self._raw):
            self.padded = any(cell[:1] == " " and cell.lstrip(" ")[:1] == '"' for cell in row)

    def _fitted(self, row: list[str], line: int) -> list[str]:
        """Return the cells of a row that has too many, if those beyond the columns are empty; refuse others."""
        if any(cell.strip() for cell in row[self._columns :]):
            reason = f"it has {len(row):,} cells, and the first line has {self._columns:,}"
            advice = f"quote texts that hold {self._dialect.separator!r}"
            if self._columns == 1:
                advice = "remove what stands above the line with the names of the columns"
            raise _MisfitError(line, reason, advice)
        return row[: self._columns]

    def _look(self, cells: list[str], line: int) -> None:
        """Look whether a row's quotes may have swallowed other rows, and whether they were needed."""
        raw = self._raw
        if self._dialect.quoting == "none":
            return
        if len(raw) > 1:
            parts = [part.rstrip("\r\n").split(self._dialect.separator) for part in raw]
            if self._columns > 1 and all(len(part) == self._columns for part in parts):
                self._suspected += 1
                if len(self._suspects) < _MOST_SUSPECTS:
                    self._suspects.append((line, parts))
            return
        for place, (cell, read) in enumerate(zip(raw[0].rstrip("\r\n").split(self._dialect.separator), cells)):  # noqa: B905
            if cell[:1] == '"' and cell[1:-1] == read and '"' not in read:
                self._needless[place] = self._needless.get(place, 0) + 1

    def _require_whole(self, rows: Sequence[Sequence[str]]) -> None:
        """Refuse texts over several lines each of which would be a row of its own, with a value known elsewhere."""
        if not self._suspects:
            return
        known = [{row[place].strip() for row in rows if len(row) > place} - {""} for place in range(self._columns)]
        like_rows = [
            (line, len(parts))
            for line, parts in self._suspects
            if any(
                all(part[place].strip().strip('"') in known[place] for part in parts) for place in range(self._columns)
            )
        ]
        if like_rows:
            line, count = like_rows[0]
            last, is_weak = line + count - 1, len(like_rows) == 1 and count == _PAIR
            reason = f"a text in quotes goes on to line {last:,}, and each of its lines looks like a row of its own"
            raise _MisfitError(line, reason, _ADVICE, is_weak=is_weak)

    def _remarks(self, found: SeparatedRows) -> list[tuple[str, str]]:
        said = []
        if self._suspects:
            line, parts = self._suspects[0]
            text = (
                f"lines {line:,} to {line + len(parts) - 1:,} were read as one text in quotes that holds line ends and "
                f"separators; there are {self._suspected:,} such texts"
            )
            said.append(("quotes", text))
        mixed = [place for place, count in self._needless.items() if count and self._bare]
        if mixed:
            count, name = self._needless[mixed[0]], found.columns[mixed[0]]
            text = (
                f"of column {shown(name)} {count:,} cells are in quotes without need and others are not; the quotes "
                "were taken off (a quote that belongs to a text is doubled, and the text put in quotes)"
            )
            said.append(("quotes", text))
        if self._empty:
            said.append(("empty rows", f"rows without any value were left out: {self._empty:,}"))
        if self._repeated:
            said.append(
                ("repeated names", f"rows that repeat the names of the columns were left out: {self._repeated:,}")
            )
        return said


def _is_wrapped(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'


def _unwrap(rows: Sequence[list[str]], columns: int) -> None:
    """Take the quotes off around cells, in columns where most cells have them."""
    for place in range(columns):
        filled = [row for row in rows if len(row) > place and row[place]]
        wrapped = [row for row in filled if _is_wrapped(row[place])]
        if 2 * len(wrapped) > len(filled):
            for row in wrapped:
                row[place] = row[place][1:-1].replace('""', '"')
