"""The CSV tables of `numbers`: users and tariff. Their faults carry the CSV's own name and line.

A table's first line names its columns, in any order; the separator is a comma or a semicolon.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from vipex_bridge.calls.price import Times
from vipex_bridge.config.settings import TariffLine, User, UsersQuery
from vipex_bridge.config.values import any_of, ascii_quoted, line, suggestion
from vipex_bridge.config.yaml_reader import read_text
from vipex_bridge.errors import Fault

_USER_COLUMNS = ("extension", "user_id", "user_number", "cost_location")
_TIMES_COLUMNS = ("valid_from", "valid_until", "days", "hours")
_TARIFF_COLUMNS = ("prefix", "connection_fee", "per_minute", "increment", "currency", *_TIMES_COLUMNS)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_MONEY = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_PREFIX = re.compile(r"\+?[0-9]{1,30}")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])-([01]?[0-9]|2[0-4]):([0-5][0-9])")
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
    """Users by extension; without `file` and `query` they are written in place."""

    rows: Mapping[str, User] = field(default_factory=dict)
    file: Path | None = None
    query: UsersQuery | None = None
    """Where they are to be asked for; `rows` is empty then."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """Tariff lines in the file's order, each prefix once for the same times."""

    lines: tuple[TariffLine, ...] = ()
    file: Path | None = None


def read_users(file: Path) -> Users:
    """The users of a CSV file. Raises TableError."""
    return Users(_read(file, _USER_COLUMNS, ("extension",), ("extension",), _user), file)


def read_tariff(file: Path) -> Tariff:
    """The tariff of a CSV file. Raises TableError."""
    one = ("prefix", *_TIMES_COLUMNS)
    lines = _read(file, _TARIFF_COLUMNS, ("prefix", "per_minute"), one, _tariff_line)
    return Tariff(tuple(lines.values()), file)


def users_of(header: list[str], rows: Iterable[Sequence[object]]) -> dict[str, User]:
    """The users that a query gave, by the columns of a users file. Raises ValueError with what is wrong."""
    wrong: list[str] = []
    if not _header_is_good(header, _USER_COLUMNS, ("extension",), wrong.append):
        raise ValueError(wrong[0])
    found: dict[str, User] = {}
    for row in rows:
        cells = ("" if cell is None else str(cell).strip() for cell in row)
        try:
            user = _user(dict.fromkeys(_USER_COLUMNS, "") | dict(zip(header, cells, strict=True)))
        except _CellError as error:
            raise ValueError(f"{error.column}: {error.what}") from None
        if user.extension in found:
            raise ValueError(f"the extension {ascii_quoted(user.extension)} is given twice")
        found[user.extension] = user
    return found


def user_id(written: str) -> int | str | None:
    """A number when it is one (`007` is not), else the text; None when empty."""
    return int(written) if _NUMBER.fullmatch(written) else written or None


def _read(
    file: Path,
    columns: tuple[str, ...],
    needed: tuple[str, ...],
    one: tuple[str, ...],
    make: Callable[[Row], T],
) -> dict[str, T]:
    """The rows by their first column, and by the others of `one` where they have some.

    Raises TableError with every fault of the file.
    """
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
            key = " ".join(row[column] for column in one).rstrip()
            try:
                if key in found:
                    first = found[key][0]
                    raise _CellError(
                        columns[0],
                        f"{ascii_quoted(row[columns[0]])} stands here twice (first on line {first})",
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
        times=_times(row),
    )


def _times(row: Row) -> Times | None:
    """When the line holds; None when it says nothing of that."""
    if not any(row[column] for column in _TIMES_COLUMNS):
        return None
    since, until = _date(row, "valid_from"), _date(row, "valid_until")
    if since is not None and until is not None and until < since:
        raise _CellError("valid_until", "is before valid_from")
    return Times(since, until, _days(row["days"]), _minutes(row["hours"]))


def _date(row: Row, column: str) -> date | None:
    try:
        return datetime.strptime(row[column], "%Y-%m-%d").date() if row[column] else None
    except ValueError:
        raise _CellError(column, f"{ascii_quoted(row[column])} is no day, such as 2026-11-24") from None


def _days(written: str) -> frozenset[int]:
    """`mon-fri`, `sat sun`, `fri-mon`: days of the week, Monday is 0."""
    days: set[int] = set()
    for part in written.lower().split():
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise _CellError("days", f"{ascii_quoted(part)} is no day of the week: write mon-fri, or sat sun")
        begin, end = _DAYS.index(first), _DAYS.index(last) if dash else _DAYS.index(first)
        days |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(days)


def _minutes(written: str) -> tuple[int, int] | None:
    if not written:
        return None
    found = _HOURS.fullmatch(written)
    begin, end = (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])) if found else (0, 0)
    if begin == end or begin >= 24 * 60 or end > 24 * 60:
        raise _CellError("hours", f"{ascii_quoted(written)} are no hours, such as 08:00-18:00 or 22:00-06:00")
    return begin, end


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
