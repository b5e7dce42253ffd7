"""Delimited text as people send it: its encoding, delimiter, header and broken rows."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from paceline.core.errors import DataError
from paceline.core.extras import need
from paceline.data.base.packed import content_of

_DELIMITERS = "\t;|,"
_SAMPLE_ROWS = 200
_MARKS = ("?", "-", "--", "NAN", "missing", "Missing", "MISSING")
_NUMBER = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?%?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?|\d{1,2}:\d{2}(:\d{2})?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_NAMES_OF_BOM = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How a text is to be cut into rows and columns.

    Attributes:
        delimiter: One character.
        quoted: Whether a double quote at the beginning of a field encloses it.
        columns: Their names; ``column_1`` and so on where there is no header.
        header: Whether the first row has the names.
        decimal: Decimal point or comma.
    """

    delimiter: str
    quoted: bool
    columns: tuple[str, ...]
    header: bool
    decimal: str = "."


@dataclass(frozen=True, kw_only=True, slots=True)
class Delimited:
    """A table that was text.

    Attributes:
        frame: pandas DataFrame.
        layout: How it was cut.
        content: The bytes it was made of, unpacked.
        encoding: Python's name of it.
        lines: Line number of each row.
        notes: Warnings for a person.
    """

    frame: Any
    layout: Layout
    content: bytes
    encoding: str
    lines: list[int]
    notes: tuple[str, ...]


def read_delimited(
    path: Path,
    *,
    target: str | None = None,
    skip_bad: bool = False,
    like: Delimited | None = None,
) -> Delimited:
    """Reads a CSV file or one of its relatives.

    Args:
        path: A text file, gzipped if its name says so.
        target: A name that, if it stands in the first row, makes that row a header.
        skip_bad: Leave out rows with too many or too few fields.
        like: A table that this one continues: it decides about the header and text columns.

    Raises:
        DataError: The text is empty, in no known encoding, or ragged.
    """
    notes: list[str] = []
    content = content_of(path)
    text, encoding = _text(content, path, notes)
    if not text.strip():
        raise DataError(f"{path} is empty; a header and rows are needed")
    text, layout = _layout(text, path, target, like)
    text, lines = _even(text, layout, path, skip_bad, notes)
    if not lines:
        raise DataError(f"{path} has a header but no rows")
    frame = _frame(text, layout, path, like)
    if len(frame) != len(lines):
        # pandas and csv differ on what a blank line is, as with one that holds "" alone.
        frame = _frame(_rewritten(text, layout), layout, path, like)
    return Delimited(
        frame=frame,
        layout=layout,
        content=content,
        encoding=encoding,
        lines=lines,
        notes=tuple(notes),
    )


def _text(content: bytes, path: Path, notes: list[str]) -> tuple[str, str]:
    encoding = next((name for bom, name in _NAMES_OF_BOM if content.startswith(bom)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise DataError(f"{path} begins like {encoding} but is not: {error.reason}") from None
        text, encoding = _windows(content, path, error.start, notes), "cp1252"
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path} has a NUL byte in line {line}; it is no text, or damaged")
    return text, encoding


def _windows(content: bytes, path: Path, start: int, notes: list[str]) -> str:
    line = content.count(b"\n", 0, start) + 1
    where = f"byte {content[start]:#04x} in line {line}"
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        raise DataError(
            f"{path}: {where} is neither UTF-8 nor Windows-1252; save it as UTF-8"
        ) from None
    notes.append(f"{path}: {where} is not UTF-8; the file is read as Windows-1252")
    return text


def _rows(text: str, delimiter: str, *, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line it begins in."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        skipinitialspace=True,
    )
    begin = 1
    try:
        for row in reader:
            if any(row) or len(row) > 1:
                yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"line {begin}: {error}; is a quote never closed?") from None


def _layout(
    text: str, path: Path, target: str | None, like: Delimited | None
) -> tuple[str, Layout]:
    delimiter = _delimiter(text)
    if delimiter is None and _spaced(text):
        text, delimiter = _tabbed(text), "\t"
    delimiter = delimiter or ","
    quoted = _is_quoted(text, delimiter)
    sample = [row for _, row in islice(_rows(text, delimiter, quoted=quoted), _SAMPLE_ROWS)]
    first = [cell.strip() for cell in sample[0]]
    header = _has_header(first, sample[1:], target) if like is None else like.layout.header
    columns = _names(first, path) if header else [f"column_{i + 1}" for i in range(len(first))]
    comma = delimiter == ";" and _has_decimal_comma(sample)
    layout = Layout(delimiter=delimiter, quoted=quoted, columns=tuple(columns), header=header)
    return text, replace(layout, decimal="," if comma else ".")


def _widths(text: str, delimiter: str, *, quoted: bool = True) -> Counter[int]:
    try:
        rows = islice(_rows(text, delimiter, quoted=quoted), _SAMPLE_ROWS)
        return Counter(len(row) for _, row in rows)
    except DataError:
        return Counter()


def _delimiter(text: str) -> str | None:
    """The one that cuts every row alike, or else the most rows alike."""
    best, best_share = None, 0.5
    for delimiter in _DELIMITERS:
        for quoted in (True, False):
            widths = _widths(text, delimiter, quoted=quoted)
            width, count = widths.most_common(1)[0] if widths else (1, 0)
            share = count / max(widths.total(), 1)
            if width > 1 and share > best_share:
                best, best_share = delimiter, share
    return best


def _is_quoted(text: str, delimiter: str) -> bool:
    """Whether double quotes enclose fields; not so if they would swallow whole rows."""
    if '"' not in text:
        return True
    plain = Counter(len(row) for _, row in _rows(text, delimiter, quoted=False))
    if len(plain) != 1:
        return True
    try:
        enclosed = Counter(len(row) for _, row in _rows(text, delimiter, quoted=True))
    except DataError:
        return False
    return enclosed == plain


def _spaced(text: str) -> bool:
    lines = [line for line in islice(io.StringIO(text), _SAMPLE_ROWS) if line.strip()]
    widths = {len(line.split()) for line in lines}
    return len(widths) == 1 and widths != {1} and '"' not in text


def _tabbed(text: str) -> str:
    return "\n".join("\t".join(line.split()) for line in text.splitlines())


def _is_value(cell: str) -> bool:
    """Whether a cell can only be a value, never a column's name."""
    plain = cell.strip()
    return bool(_NUMBER.fullmatch(plain) or _DATE.fullmatch(plain)) or plain in _MARKS


def _has_header(first: list[str], rest: list[list[str]], target: str | None) -> bool:
    if target is not None and target in first:
        return True
    if any(_is_value(cell) for cell in first):
        return False
    for position, cell in enumerate(first):
        below = [row[position].strip() for row in rest if len(row) > position]
        if cell and cell in below and not any(map(_is_value, below)):
            return False
    return True


def _names(first: list[str], path: Path) -> list[str]:
    names = [name or f"column_{position + 1}" for position, name in enumerate(first)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{path} has {len(twice)} column name(s) twice: {twice[0]!r}; rename one")
    return names


def _has_decimal_comma(sample: list[list[str]]) -> bool:
    cells = [cell.strip() for row in sample for cell in row]
    return any(map(_DECIMAL_COMMA.fullmatch, cells)) and not any(
        "." in cell and _NUMBER.fullmatch(cell) for cell in cells
    )


def _even(
    text: str, layout: Layout, path: Path, skip_bad: bool, notes: list[str]
) -> tuple[str, list[int]]:
    """The text without rows of another width, and the line of every row that is left."""
    width, lines, bad = len(layout.columns), list[int](), list[tuple[int, int]]()
    try:
        for line, row in _rows(text, layout.delimiter, quoted=layout.quoted):
            if len(row) == width:
                lines.append(line)
            else:
                bad.append((line, len(row)))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    if bad:
        what = f"line {bad[0][0]} has {bad[0][1]} fields where {width} are needed"
        if not skip_bad:
            raise DataError(
                f"{path}: {what} ({len(bad)} such rows); mend them, or leave them out with"
                " --skip-bad"
            )
        notes.append(f"{path}: {len(bad)} rows were left out; the first: {what}")
        text = _rewritten(text, layout)
    return text, lines[1:] if layout.header else lines


def _rewritten(text: str, layout: Layout) -> str:
    kept, width = io.StringIO(), len(layout.columns)
    writer = csv.writer(
        kept,
        delimiter=layout.delimiter,
        quoting=csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE,
        quotechar='"' if layout.quoted else None,
    )
    for _, row in _rows(text, layout.delimiter, quoted=layout.quoted):
        if len(row) == width:
            writer.writerow(row)
    return kept.getvalue()


def _frame(text: str, layout: Layout, path: Path, like: Delimited | None) -> Any:
    pandas = need("pandas", extra="tables", purpose=f"reading {path.name}")
    texts = {}
    if like is not None:
        plain = pandas.api.types.is_numeric_dtype
        texts = {
            name: "str"
            for name in layout.columns
            if name in like.frame and not plain(like.frame[name])
        }
    try:
        return pandas.read_csv(
            io.StringIO(text),
            sep=layout.delimiter,
            header=0 if layout.header else None,
            names=list(layout.columns),
            index_col=False,
            dtype=texts,
            skipinitialspace=True,
            na_values=["?"],
            quoting=csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE,
            decimal=layout.decimal,
            low_memory=False,
        )
    except (pandas.errors.ParserError, ValueError, OverflowError) as error:
        raise DataError(f"{path} cannot be read as a table: {str(error).strip()}") from None
