"""How an example that a report has never seen is put into one of the report's groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tunebook.errors import DataError, StorageError, shown
from tunebook.groups import MISSING, make_groups
from tunebook.written_numbers import PLAIN, Reading, is_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.bias import BiasReport

#: Stands for an example that is in none of the groups.
UNKNOWN = -1


@dataclass(frozen=True)
class Column:
    """
    How one column is divided.

    Attributes
    ----------
    name
        Name of the column.
    groups
        Names of its groups.
    edges
        Limits between them, for numbers that are binned; a value on a limit is below it.
    reading
        How numbers that are binned are written.
    """

    name: str
    groups: tuple[str, ...]
    edges: tuple[float, ...] = ()
    reading: Reading = PLAIN

    def codes(self, values: Sequence[object] | pd.Series) -> np.ndarray:
        """Return the group number of each value, shape (n,), int64; :data:`UNKNOWN` for one that is in no group."""
        found, kinds = pd.factorize(pd.Series(values).reset_index(drop=True), use_na_sentinel=True)
        # Alone, a value is named as among others: there are too few of them for bins.
        names = [make_groups(self.name, [kind]).names[0] for kind in kinds.tolist()]
        place = {name: k for k, name in enumerate(self.groups)}
        codes = [self._bin(name, place) if self.edges else place.get(name, UNKNOWN) for name in names]
        return np.array([*codes, place.get(MISSING, UNKNOWN)], np.int64)[found]

    def _bin(self, name: str, place: Mapping[str, int]) -> int:
        number = self.reading.number(name)
        # A number of another source may be written plainly: as a number in the table it is.
        number = PLAIN.number(name) if number is None and name not in place else number
        if number is None:
            return place.get(MISSING if is_nothing(name) else name, UNKNOWN)
        return int(np.searchsorted(self.edges, number, side="left"))


@dataclass(frozen=True)
class Assignment:
    """
    How examples are put into the groups of an attribute, or of an intersection.

    Attributes
    ----------
    attribute
        Name of the attribute.
    columns
        The columns that it comes from.
    groups
        Names of its groups.
    parts
        For each group its group in each of the columns.
    """

    attribute: str
    columns: tuple[Column, ...]
    groups: tuple[str, ...]
    parts: tuple[tuple[str, ...], ...]

    @classmethod
    def of_report(cls, report: BiasReport, attribute: str) -> Assignment:
        """
        Return how a bias report divides examples by one of its attributes.

        Raises
        ------
        DataError
            There is no such attribute.
        """
        groups = report.groups(attribute)
        single = [report.groups(name) for name in groups.columns]
        columns = tuple(Column(one.name, one.names, one.edges, one.reading) for one in single)
        return cls(attribute, columns, groups.names, groups.parts or tuple((name,) for name in groups.names))

    def codes(self, values: Sequence[object] | pd.Series | pd.DataFrame | Mapping[str, Sequence[object]]) -> np.ndarray:
        """
        Return the group number of each example, shape (n,), int64; :data:`UNKNOWN` for one that is in no group.

        Parameters
        ----------
        values
            The column's value of each example; or a table that has the columns by name, which an intersection needs.

        Raises
        ------
        DataError
            A column is not there.
        """
        if isinstance(values, pd.DataFrame | Mapping):
            missing = [column.name for column in self.columns if column.name not in values]
            if missing:
                raise DataError(f"groups: no column {shown(missing[0])}; give {self._wanted()}")
            several = [column.codes(values[column.name]) for column in self.columns]
        elif len(self.columns) == 1:
            several = [self.columns[0].codes(values)]
        else:
            raise DataError(
                f"groups: {shown(self.attribute)} is of several columns; give a table with {self._wanted()}"
            )
        sizes = tuple(len(column.groups) for column in self.columns)
        lookup = np.full(sizes, UNKNOWN, np.int64)
        for code, part in enumerate(self.parts):
            place = tuple(
                column.groups.index(name) if name in column.groups else None
                for column, name in zip(self.columns, part, strict=True)
            )
            if None not in place:
                lookup[place] = code
        found: np.ndarray = lookup[tuple(np.maximum(codes, 0) for codes in several)]
        known = np.all([codes >= 0 for codes in several], axis=0)
        return np.where(known, found, UNKNOWN)

    def _wanted(self) -> str:
        return ", ".join(shown(column.name) for column in self.columns)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "name": self.attribute,
            "columns": [
                {"name": c.name, "groups": list(c.groups), "edges": list(c.edges), "reading": asdict(c.reading)}
                for c in self.columns
            ],
            "groups": list(self.groups),
            "parts": [list(part) for part in self.parts],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Assignment:
        """
        Read what :meth:`to_json` gave.

        Raises
        ------
        StorageError
            Something is missing or of a wrong form.
        """
        try:
            columns = tuple(
                Column(
                    str(c["name"]),
                    tuple(map(str, c["groups"])),
                    tuple(map(float, c["edges"])),
                    Reading(**{name: str(value) for name, value in c.get("reading", {}).items()}),
                )
                for c in found["columns"]
            )
            groups = tuple(map(str, found["groups"]))
            parts = tuple(tuple(map(str, part)) for part in found["parts"])
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"remedy: its attribute is damaged ({error}); export it again") from None
        if not columns or len(parts) != len(groups) or any(len(part) != len(columns) for part in parts):
            raise StorageError("remedy: its attribute is damaged (groups and columns do not fit); export it again")
        return cls(str(found.get("name", "")), columns, groups, parts)
