"""The CSV tables of `numbers`: users and tariff. Their faults carry the CSV's own name and line.

A table's first line names its columns, in any order; the separator is a comma or a semicolon.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from vipex_bridge.config.settings import TariffLine, User
from vipex_bridge.config.values import any_of, ascii_quoted, line, suggestion
from vipex_bridge.config.yaml_reader import read_text
from vipex_bridge.errors import Fault

_USER_COLUMNS = ("extension", "user_id", "user_number", "cost_location")
_TARIFF_COLUMNS = ("prefix", "connection_fee", "per_minute", "increment", "currency")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_MONEY = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_PREFIX = re.compile(r"\+?[0-9]{1,30}")
_INCREMENT = re.compile(r"([1-9][0-9]{0,4})/([1-9][0-9]{0,4})")

Row = Mapping[str, str]
T = TypeVar("T")


class TableError(ValueError):
    """A table that cannot be used; each fault has its own place."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Users:
    """Users by extension; `file` is None when they are written in place."""

    rows: Mapping[str, User] = field(default_factory=dict)
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Tariff:
    """Tariff lines in the file's order, each prefix once."""

    lines: tuple[TariffLine, ...] = ()
    file: Path | None = None


def read_users(file: Path) -> Users:
    """The users of a CSV file. Raises TableError."""
    return Users(_read(file, _USER_COLUMNS, ("extension",), _user), file)


def read_tariff(file: Path) -> Tariff:
    """The tariff of a CSV file. Raises TableError."""
    return Tariff(tuple(_read(file, _TARIFF_COLUMNS, ("prefix", "per_minute"), _tariff_line).values()), file)


def user_id(written: str) -> int | str | None:
    """A number when it is one (`007` is not), else the text; None when empty."""
    return int(written) if _NUMBER.fullmatch(written) else written or None


def _read(
    file: Path, columns: tuple[str, ...], needed: tuple[str, ...], make: Callable[[Row], T]
) -> dict[str, T]:
    """The rows by the first column. Raises TableError with every fault of the file."""
    faults: list[Fault] = []

    def note(number: int, column: str, what: str) -> None:
        faults.append(Fault(str(file), number, column, what))

    found: dict[str, tuple[int, T]] = {}
    header: list[str] | None = None
    for number, cells in _lines(file, note):
        if header is None:
            header = cells
            if not _header_is_good(header, columns, needed, lambda what: note(1, "(header)", what)):
                break
        elif len(cells) > len(header):
            note(number, "(row)", f"has {len(cells)} values for {len(header)} columns")
        else:
            row = dict.fromkeys(columns, "") | dict(zip(header, cells, strict=False))
            key = row[columns[0]]
            try:
                if key in found:
                    first = found[key][0]
                    raise _CellError(
                        columns[0], f"{ascii_quoted(key)} stands here twice (first on line {first})"
                    )
                found[key] = (number, make(row))
            except _CellError as error:
                note(number, error.column, error.what)
    if header is None and not faults:
        note(1, "(header)", f"the file is empty: its first line must name the columns {', '.join(columns)}")
    if faults:
        raise TableError(faults)
    return {key: made for key, (_, made) in found.items()}


def _lines(file: Path, note: Callable[[int, str, str], None]) -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped cells of each row that is not blank."""
    try:
        text = read_text(file)
    except ValueError as error:
        note(1, "(file)", str(error))
        return
    first_line = text.partition("\n")[0]
    separator = ";" if ";" in first_line and "," not in first_line else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    start = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield start, [cell.strip() for cell in cells]
            start = reader.line_num + 1
    except csv.Error as error:
        note(start, "(row)", f"cannot be read as CSV: {error}")


def _header_is_good(
    header: list[str], columns: tuple[str, ...], needed: tuple[str, ...], note: Callable[[str], None]
) -> bool:
    unknown = [name for name in header if name not in columns]
    lacking = [name for name in needed if name not in header]
    if unknown:
        hint = suggestion(unknown[0], columns) or f": the first line names {any_of(columns)}"
        note(f"unknown column {ascii_quoted(unknown[0])}{hint}")
    elif lacking:
        note(f"lacks the column {lacking[0]}")
    elif len(set(header)) < len(header):
        note("names a column twice")
    else:
        return True
    return False


class _CellError(Exception):
    """One value of a row that cannot be used."""

    def __init__(self, column: str, what: str) -> None:
        super().__init__(what)
        self.column = column
        self.what = what


def _user(row: Row) -> User:
    return User(
        extension=_text(row, "extension"),
        user_id=user_id(row["user_id"]),
        user_number=row["user_number"] or None,
        cost_location=row["cost_location"] or None,
    )


def _tariff_line(row: Row) -> TariffLine:
    prefix = _text(row, "prefix")
    if not _PREFIX.fullmatch(prefix):
        raise _CellError("prefix", f"{ascii_quoted(prefix)} is no number prefix: digits only")
    increment = row["increment"] or "60/60"
    steps = _INCREMENT.fullmatch(increment)
    if steps is None:
        raise _CellError("increment", f'{ascii_quoted(increment)} is no increment: write "60/60" or "1/1"')
    return TariffLine(
        prefix=prefix,
        connection_fee=_money(row, "connection_fee") if row["connection_fee"] else Decimal(0),
        per_minute=_money(row, "per_minute"),
        first_increment_s=int(steps[1]),
        next_increment_s=int(steps[2]),
        currency=row["currency"],
    )


def _text(row: Row, column: str) -> str:
    try:
        return line(row[column])
    except ValueError as error:
        raise _CellError(column, str(error)) from None


def _money(row: Row, column: str) -> Decimal:
    written = _text(row, column)
    if not _MONEY.fullmatch(written):
        raise _CellError(column, f"{ascii_quoted(written)} is no amount, such as 12.5")
    return Decimal(written)
