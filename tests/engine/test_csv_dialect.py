"""A table of lines is read as it was written, with what was done said, or refused with the line that does not fit."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunebook.csv_dialect import SeparatedRows, preview_separated, read_separated
from tunebook.table_bounds import TableBounds, TableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Read = Callable[..., SeparatedRows]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a text to a file and read it."""

    def read(text: str | bytes, name: str = "t.csv", encoding: str = "utf-8", **bounds: float) -> SeparatedRows:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        found = read_separated(path, TableBounds(**bounds))  # type: ignore[arg-type]
        assert preview_separated(path) == found
        return found

    return read


def kinds(found: SeparatedRows) -> list[str]:
    return [kind for kind, _ in found.remarks]


def sixty(separator: str, opened: tuple[int, ...], closed: tuple[int, ...] = ()) -> str:
    rows = [f"sentence number {k} about trees{separator}{'ab'[k % 2]}" for k in range(60)]
    for k in opened:
        rows[k] = '"' + rows[k]
    for k in closed:
        rows[k] = rows[k].replace(separator, f'"{separator}')
    return "\n".join([f"text{separator}label", *rows]) + "\n"


# Quotes.


@pytest.mark.parametrize(("separator", "name"), [("\t", "t.tsv"), (",", "t.csv")])
@pytest.mark.parametrize(("opened", "closed"), [((5, 16, 27, 38), ()), ((5,), ()), ((5, 27), (16, 38)), ((5,), (6,))])
def test_stray_quotes_swallow_no_row(
    read: Read, separator: str, name: str, opened: tuple[int, ...], closed: tuple[int, ...]
) -> None:
    found = read(sixty(separator, opened, closed), name)
    assert len(found.rows) == 60
    assert [row[1] for row in found.rows] == ["a", "b"] * 30
    assert found.rows[5][0] == '"sentence number 5 about trees'
    assert found.dialect.quoting == "none"
    assert kinds(found) == ["quotes"]
    assert found.remarks[0][1].startswith("line 7: ")


def test_a_stray_quote_among_needed_quotes_is_refused(read: Read) -> None:
    with pytest.raises(TableError, match="line 3: a text in quotes that goes on to line 5 is followed by letters"):
        read('text,label\n"well, yes",a\n"stray,b\nfoo,a\nbar "end",b\n')
    swallowed = 'text,label\n"well, yes",a\n"stray,b\nfoo,a\nbar",b\nx,a\n'
    with pytest.raises(TableError, match=r"line 3: .* goes on to line 5, and each of its lines looks like a row"):
        read(swallowed)


def test_a_file_that_lost_its_end_is_refused(read: Read) -> None:
    with pytest.raises(TableError, match="line 3: a quote opens a text that does not end; look whether the file is wh"):
        read('text,label\n"well",a\n"or, b\n')


def test_one_text_of_two_lines_that_look_like_rows_stays_one_and_is_remarked_on(read: Read) -> None:
    found = read('text,label\n"well, yes, so",a\n"it is, a\nfine film",b\nx,a\n')
    assert [row[1] for row in found.rows] == ["a", "b", "a"]
    assert found.remarks[0][1].startswith("lines 3 to 4 were read as one text in quotes")


def test_quotes_of_the_standard_are_read_without_a_word(read: Read) -> None:
    found = read('text,label\n"a ""b"", c",x\n"two\nlines",y\n5" wide,x\n')
    assert found.rows == [['a "b", c', "x"], ["two\nlines", "y"], ['5" wide', "x"]]
    assert found.remarks == []


def test_a_text_of_several_lines_with_separators_stays_one_and_is_remarked_on(read: Read) -> None:
    found = read('text,label\n"Good film, really\nnice",pos\nbad,neg\n')
    assert [row[1] for row in found.rows] == ["pos", "neg"]
    assert found.remarks == [
        (
            "quotes",
            "lines 2 to 3 were read as one text in quotes that holds line ends and separators; there are 1 such texts",
        )
    ]


def test_backslashes_before_quotes_are_taken_off_and_others_stay(read: Read) -> None:
    found = read('text,label\n"he said \\"hi, you\\" ok",a\n"x\\\\",b\nC:\\new,a\n')
    assert found.rows == [['he said "hi, you" ok', "a"], ["x\\", "b"], ["C:\\new", "a"]]
    assert found.dialect.quoting == "backslash"
    assert kinds(found) == ["quotes"]


def test_spaces_before_quotes_are_left_out(read: Read) -> None:
    for text in ('label, text\npos, "hello, there"\nneg, "bah"\n', 'label, text\npos, "hello"\nneg, "bah"\n'):
        found = read(text)
        assert found.columns == ["label", "text"]
        assert found.rows[1] == ["neg", "bah"]
        assert kinds(found) == ["quotes"]


def test_quotes_around_most_cells_are_no_part_of_them_where_others_are_stray(read: Read) -> None:
    found = read('"text","label"\n"Good film","pos"\n"he "said" it","neg"\n"or ""so""","neg"\n')
    assert found.columns == ["text", "label"]
    assert found.rows == [["Good film", "pos"], ['he "said" it', "neg"], ['or "so"', "neg"]]


def test_quotes_without_need_in_some_rows_are_remarked_on(read: Read) -> None:
    found = read('text\tlabel\n"Great film"\tpos\nbad\tneg\n', "t.tsv")
    assert found.rows[0][0] == "Great film"
    assert "of column 'text' 1 cells are in quotes without need" in found.remarks[0][1]
    assert read('"text"\t"label"\n"Great film"\t"pos"\n', "t.tsv").remarks == []


# Separators and shape.


def test_a_semicolon_is_found_and_decimal_commas_stay(read: Read) -> None:
    found = read("text;score;label\na;1,5;x\nb, c;2,5;y\n")
    assert found.rows == [["a", "1,5", "x"], ["b, c", "2,5", "y"]]
    assert found.remarks == [
        ("separator", "cells are separated by ';', not by ',' as the file's ending lets expect"),
    ]
    assert read("sep=;\r\ntext;label\r\na;b\r\n").rows == [["a", "b"]]
    assert read("text,label\na,b\n", "t.tsv").rows == [["a", "b"]]


def test_every_kind_of_line_end_ends_a_row(read: Read) -> None:
    assert read("text,label\rhello,a\r\nworld,b\n\n\nend,c").rows == [["hello", "a"], ["world", "b"], ["end", "c"]]


def test_separators_at_the_end_of_rows_and_empty_rows_are_nothing(read: Read) -> None:
    found = read("text,label\na,b,\nc,d,,\n,,\n,\n")
    assert found.rows == [["a", "b"], ["c", "d"]]
    assert found.remarks == [("empty rows", "rows without any value were left out: 2")]


def test_names_of_columns_that_come_again_are_no_row(read: Read) -> None:
    found = read("text,label\na,b\ntext,label\nc,d\n")
    assert found.rows == [["a", "b"], ["c", "d"]]
    assert found.remarks == [("repeated names", "rows that repeat the names of the columns were left out: 1")]


def test_more_cells_than_names_are_refused_and_fewer_are_counted(read: Read) -> None:
    with pytest.raises(TableError, match="line 2: it has 3 cells, and the first line has 2; quote texts that hold ','"):
        read("text,label\na,b,c\n")
    assert read("text,label\na,b\nc\n").short == {1: 3}
    assert read("text,label,\na,b\nc,d\n").short == {}


def test_names_are_plain(read: Read) -> None:
    assert read("\ufeff text , la\u00a0bel,\na,b,c\n").columns == ["text", "la bel", ""]


# Encodings.


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_read_in_every_encoding(read: Read, encoding: str) -> None:
    found = read("text,label\n" + "caf\u00e9,a\n" * 20, encoding=encoding)
    assert found.columns == ["text", "label"]
    assert found.rows == [["caf\u00e9", "a"]] * 20


@pytest.mark.parametrize("before", [0, 10_000])
def test_other_encodings_are_refused_with_the_line(read: Read, before: int) -> None:
    text = "text,label\n" + "plain,a\n" * before + "caf\u00e9,a\n"
    with pytest.raises(TableError, match=rf"line {before + 2:,} is not UTF-8 \(byte 0xe9, '\u00e9' in Windows-1252\)"):
        read(text, encoding="latin-1")


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"PK\x03\x04....", "a zip archive or an Excel workbook"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"PAR1....", "Parquet"),
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
        (b"a\x00b\x01\x00\x00c\x02", "it is no text"),
        (b"\xff\xfe\x00broken", "not UTF-16"),
    ],
)
def test_what_is_no_table_is_named(read: Read, raw: bytes, what: str) -> None:
    with pytest.raises(TableError, match=what):
        read(raw)


# Bounds.


def test_every_bound_is_named(read: Read) -> None:
    with pytest.raises(TableError, match="line 1 has 5 columns; at most 4 are read"):
        read("a,b,c,d,e\n", columns=4)
    with pytest.raises(TableError, match="line 2 has more than 10 characters"):
        read("text,b\nlonger than that,b\n", line=10)
    with pytest.raises(TableError, match="it has more than 2 rows, the most that are read"):
        read("a,b\n" + "c,d\n" * 3, rows=2)
    with pytest.raises(OSError, match="it has 16 bytes, and at most 10 are read"):
        read("a,b\n" + "c,d\n" * 3, bytes=10)
    with pytest.raises(TableError, match="reading took more than 0 s, with 3 rows read"):
        read("a,b\n" + "c,d\n" * 3, seconds=0)


def test_texts_may_be_longer_than_the_csv_module_takes_by_itself(read: Read) -> None:
    assert read(f'text,label\n"{"x" * 140_000}, y",a\n').rows[0][0].endswith("xx, y") is True


def test_a_preview_of_a_large_file_takes_its_head_only(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + 'word "x",a\n' * 100_000 + 'never",read,"\n')
    found = preview_separated(path)
    assert 1_000 < len(found.rows) < 100_000
    assert found.rows[-1] == ['word "x"', "a"]


# Whatever is written is read.

cells = st.text(alphabet='ab ,;\t|"\\\n\u00e9', max_size=6).map(str.strip)


@given(st.lists(st.tuples(cells, cells, st.sampled_from("xyz")), min_size=1, max_size=12), st.sampled_from(",;\t|"))
def test_what_the_csv_module_writes_is_read_back_or_said(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], separator: str
) -> None:
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([("one", "two", "three"), *rows])
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_text(stream.getvalue(), encoding="utf-8", newline="")
    try:
        found = read_separated(path)
    except TableError:
        return
    assert found.remarks or found.rows == [list(row) for row in rows]


@given(st.text(alphabet='ab,\t;"\\\n\r \x00\ufeff', max_size=60))
def test_any_text_is_rows_of_one_width_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        found = read_separated(path)
    except TableError as error:
        assert "\n" not in str(error)
        return
    assert all(len(row) <= len(found.columns) for row in found.rows)
