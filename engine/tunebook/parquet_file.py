"""Parquet: columns as Python values, within bounds that hold for what is packed in a small file as well."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tunebook.errors import shown
from tunebook.names import plain_name
from tunebook.opening import open_stream
from tunebook.table_bounds import TableBounds, TableError, Watch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from pyarrow import Array
    from pyarrow.parquet import FileMetaData

#: Rows that are unpacked at once.
_BATCH = 1_024
#: Bytes that a value takes at least once it is unpacked, however it is packed.
_VALUE = 8
#: Metadata of a column of a file, in bytes and in lists, at most.
_MOST_METADATA = 64 << 20


@dataclass
class ParquetColumns:
    """
    Columns of a file.

    Attributes
    ----------
    names
        Of all columns of the file, as :func:`tunebook.names.plain_name` gives them; one may be there twice.
    values
        Of those that were wanted: name to a Python value a row, ``None`` for what is missing.
    kinds
        Type of each of these columns, in Arrow's words.
    """

    names: list[str]
    values: dict[str, list[Any]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)


def read_parquet(
    path: Path, wanted: Collection[str] | None = None, bounds: TableBounds | None = None, most: int | None = None
) -> ParquetColumns:
    """
    Read columns of a Parquet file.

    Numbers of classes become the names that the Hugging Face library wrote into the file's metadata.

    Parameters
    ----------
    path
        A regular file.
    wanted
        Names of columns, plain; those that are not there do not count. ``None`` takes all.
    bounds
        How much of it is read at most.
    most
        Read no more rows than this; the file may then be of any size.

    Raises
    ------
    TableError
        It is no Parquet file, is damaged, or meets a bound.
    OSError
        It cannot be opened, or is no regular file.
    """
    import pyarrow as pa  # noqa: PLC0415 - slow to import
    from pyarrow import parquet  # noqa: PLC0415

    watch = Watch(bounds or TableBounds())
    with open_stream(path, largest=watch.bounds.bytes if most is None else None) as stream:
        try:
            opened = parquet.ParquetFile(
                stream, thrift_string_size_limit=_MOST_METADATA, thrift_container_size_limit=_MOST_METADATA
            )
            schema = opened.schema_arrow
            names = [plain_name(str(name)) for name in schema.names]
            watch.columns(max(len(names), opened.metadata.num_columns), "it")
            taken = [k for k, name in enumerate(names) if (wanted is None or name in wanted) and name not in names[:k]]
            _require_small(opened.metadata, {schema.names[k] for k in taken}, watch, most)
            # A text that is there in every row is packed once. It is unpacked once, too.
            shared = [schema.names[k] for k in taken if _is_text(schema.types[k])]
            stream.seek(0)
            opened = parquet.ParquetFile(stream, read_dictionary=shared)
            found = ParquetColumns(
                names, {names[k]: [] for k in taken}, {names[k]: str(schema.types[k]) for k in taken}
            )
            size = rows = 0
            for batch in opened.iter_batches(_BATCH, columns=[schema.names[k] for k in taken], use_threads=False):
                for k in taken:
                    column = batch.column(batch.schema.get_field_index(schema.names[k]))
                    size += _size(column, watch, names[k])
                    watch.size(size)
                    found.values[names[k]] += _values(column)
                rows += len(batch)
                watch.rows(rows)
                if most is not None and rows >= most:
                    break
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            # Arrow cites what it cannot read, whatever signs that has.
            raise TableError(ascii(str(error).partition("\n")[0].rstrip(".: "))[1:-1]) from None
    classes = _class_names(schema.metadata or {})
    for k in taken:
        values, known = found.values[names[k]][:most], classes.get(schema.names[k])
        found.values[names[k]] = _named(values, known, names[k]) if known else values
    return found


def _is_text(kind: Any) -> bool:  # noqa: ANN401
    import pyarrow as pa  # noqa: PLC0415

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))


def _require_small(metadata: FileMetaData, wanted: Collection[str], watch: Watch, most: int | None) -> None:
    """Refuse what the file itself says is too large, of the columns that are wanted."""
    if most is None:
        watch.rows(metadata.num_rows)
    size = rows = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            if chunk.path_in_schema.partition(".")[0] in wanted or chunk.path_in_schema in wanted:
                size += max(chunk.total_uncompressed_size, _VALUE * chunk.num_values)
        watch.size(size)
        rows += group.num_rows
        if most is not None and rows >= most:
            return


def _size(column: Array, watch: Watch, name: str) -> int:
    """Return the bytes that a part of a column takes when each of its values is written out."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    if not isinstance(column, pa.DictionaryArray):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary)
    if not pa.types.is_binary(column.dictionary.type):  # a picture may be large
        watch.line(pc.max(lengths).as_py() or 0, f"a cell of column {shown(name)}")
    return int(pc.sum(pc.take(lengths, column.indices)).as_py() or 0)


def _values(column: Array) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415

    if not isinstance(column, pa.DictionaryArray):
        return list(column.to_pylist())
    # The rows share one object for a value, where Arrow would make one for each row.
    known = column.dictionary.to_pylist()
    return [None if place is None else known[place] for place in column.indices.to_pylist()]


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Return column -> names of classes, as the Hugging Face library writes them into a file."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        found = {str(name): _names_of(feature) for name, feature in features.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return {name: names for name, names in found.items() if names}


def _names_of(feature: Any) -> list[str]:  # noqa: ANN401
    """Return the names that a feature has; a list of them, or a sequence, has those of its inner feature."""
    while isinstance(feature, list) or (isinstance(feature, dict) and isinstance(feature.get("feature"), dict)):
        feature = feature[0] if isinstance(feature, list) else feature["feature"]
    if feature.get("_type") != "ClassLabel":
        return []
    return [str(name) for name in feature.get("names") or ()]


def _named(values: Iterable[Any], names: list[str], column: str) -> list[Any]:
    found: list[Any] = []
    for row, value in enumerate(values, 1):
        several = value if isinstance(value, list) else [value]
        wrong = next((v for v in several if isinstance(v, int) and v >= len(names)), None)
        if wrong is not None:
            msg = f"column {shown(column)}, row {row:,}: class {wrong} is none of the {len(names)} that the file names"
            raise TableError(msg)
        # Below 0 is a label that was left out.
        named = [names[v] if isinstance(v, int) and v >= 0 else None if isinstance(v, int) else v for v in several]
        found.append(named if isinstance(value, list) else named[0])
    return found
