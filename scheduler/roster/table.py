"""A CSV file as rows, each with its line, whoever wrote it.

1. The encoding: a byte order mark says UTF-8 or UTF-16; else UTF-8 where all of it is, else
   Windows-1252. The whole file is decoded once before a row is believed.
2. The delimiter: the one of , ; tab | that cuts the first row into most cells, or Excel's `sep=`.
3. The header: the first row that is not blank. Columns are known by their words alone, so that
   `patient_number` and `Patient Number` are one.
4. Rows are read one at a time, never the file at once. Excel's `="0012"` is unwrapped.

A file lies on the disk, or in the memory: then a browser has sent it.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

from scheduler.findings import WrongInput, private, wrong

LARGEST = 200_000_000  # bytes
LONGEST_LINE = 1_000_000  # characters; a cell has at most csv's 131,072
DELIMITERS = ",;\t|"
BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a cell that begins so


@dataclass(frozen=True)
class Sheet:
    """A file by its name; with `content`, one that is on no disk."""

    path: Path
    content: bytes | None = field(default=None, repr=False)

    def text(self, encoding: str) -> TextIOWrapper:
        """Open it."""
        raw = self.path.open("rb") if self.content is None else BytesIO(self.content)
        return TextIOWrapper(raw, encoding=encoding, newline="")


@dataclass(frozen=True)
class Table:
    """Where the rows are, how they are written, and what their columns are called."""

    sheet: Sheet
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    header_line: int

    @property
    def path(self) -> Path:
        """The file's name."""
        return self.sheet.path

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Where each column stands, by its key."""
        found: dict[str, list[int]] = {}
        for place, name in enumerate(self.header):
            found.setdefault(key(name), []).append(place)
        return found

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Every row after the header that is not blank, with the line that it begins on.

        Raises:
            WrongInput: the quotes do not close, a cell or a line is too long.

        """
        for line, cells in _rows(self.sheet, self.encoding, self.delimiter):
            if line > self.header_line:
                yield line, cells + [""] * (len(self.header) - len(cells))


def key(name: str) -> str:
    """What a column is known by: its words, in small letters."""
    return " ".join(re.findall(r"[^\W_]+", name.casefold()))


def unwrapped(cell: str) -> str:
    """The cell without Excel's `="…"`, or the quote that `guarded` put before it."""
    cell = cell.strip()
    if cell[:1] not in ("=", "'"):
        return cell
    if excel := re.fullmatch(r'="(.+)"', cell, re.DOTALL):
        return excel[1].strip()
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def guarded(cell: str) -> str:
    """The cell as text that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def read_table(sheet: Sheet) -> Table:
    """Find out how a file is written, and read its header.

    Raises:
        WrongInput: no such file, too large, not text, no header.

    """
    path, encoding = sheet.path, _encoding(sheet)
    said = re.fullmatch(r'"?sep=([,;\t|])"?\s*', next(_lines(sheet, encoding), ""))
    tries: list[tuple[int, tuple[str, ...], str]] = []
    for delimiter in said[1] if said else DELIMITERS:
        rows = _rows(sheet, encoding, delimiter)
        try:
            line, cells = next(row for row in rows if row[0] > (said is not None))
        except (StopIteration, WrongInput):
            continue
        tries.append((line, tuple(unwrapped(cell) for cell in cells), delimiter))
    if not tries:
        cure = "export it again, with the names of the columns in the first row"
        raise wrong(path, 1, "has no row of column names", cure)
    line, header, delimiter = max(tries, key=lambda found: len(found[1]))
    if any("@" in name or re.fullmatch(r"[\d/.: -]{6,}", name) for name in header):
        cure = "write a row with the names of the columns above it"
        raise wrong(path, line, "the first row looks like a person and not like a header", cure)
    return Table(sheet, encoding, delimiter, header, line)


def _encoding(sheet: Sheet) -> str:
    path = sheet.path
    try:
        if sheet.content is None and not path.is_file():
            words = "is not a file" if path.exists() else "there is no such file"
            raise wrong(path, None, words, "check the path")
        if sheet.content is None and path.stat().st_size > LARGEST:
            raise wrong(path, None, "is larger than 200 MB", "export fewer weeks at a time")
        with sheet.text("latin-1") as file:
            start = file.read(3).encode("latin-1")
        marked = [encoding for bom, encoding in BOMS.items() if start.startswith(bom)]
        return next(name for name in marked or ("utf-8", "cp1252") if _decodes(sheet, name))
    except StopIteration:
        words = "is not text in UTF-8, UTF-16 or Windows-1252"
        raise wrong(path, None, words, "in Excel, choose Save As and CSV UTF-8") from None
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "cannot be read").lower()
        raise wrong(path, None, reason, "check the path and its permissions") from None


def _decodes(sheet: Sheet, encoding: str) -> bool:
    try:
        with sheet.text(encoding) as file:
            return not any("\0" in part for part in iter(lambda: file.read(1 << 20), ""))
    except UnicodeError:
        return False


def _lines(sheet: Sheet, encoding: str) -> Iterator[str]:
    with sheet.text(encoding) as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), ""), start=1):
            if len(line) == LONGEST_LINE:
                raise wrong(sheet.path, number, "the line is too long", "export the file again")
            yield line


def _rows(sheet: Sheet, encoding: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    begins = 1
    reader = csv.reader(_lines(sheet, encoding), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield begins, cells
            begins = reader.line_num + 1
    except (csv.Error, OSError, UnicodeError) as error:
        cure = "check the quotes in this row"
        raise wrong(sheet.path, begins, f"the row cannot be read ({error})", cure) from None


def as_text(rows: Iterable[Iterable[str]], delimiter: str = ",") -> str:
    """A table whose cells no spreadsheet runs."""
    text = StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([guarded(cell) for cell in row] for row in rows)
    return text.getvalue()


def write_file(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read.

    Raises:
        WrongInput: it cannot be written there, or is there already.

    """
    with private(path, "name another file") as file:
        file.write(content)
