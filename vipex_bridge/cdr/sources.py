"""Where CDR rows come from: a SQLite file so far; other databases and CSV fit the same `Source`.

A source is opened for each look and closed again: the file may not exist yet, may be replaced, and must
never be kept locked, for Asterisk waits only its own `busy_timeout` and then drops the row. It is read
only, in short pieces.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    column,
    create_engine,
    literal_column,
    select,
)
from sqlalchemy import table as table_clause
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.elements import quoted_name

from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.columns import to_row
from vipex_bridge.cdr.watermark import OVERLAP, Watermark, from_json
from vipex_bridge.config.settings import Cdr
from vipex_bridge.errors import SourceError

log = structlog.get_logger()

BUSY_TIMEOUT_S = 2.0
_REPLAY_ROWS = 1000

_REQUIRED = ("uniqueid", "channel")
_WITHOUT = {
    "linkedid": "calls are put together by uniqueid and channel names alone",
    "sequence": "rows of one channel are told apart by their times",
    "dstchannel": "who was called is not known without AMI",
    "start": "start times are end - duration, a second off",
    "answer": "answer times are end - billsec, a second off",
    "end": "end times are start + duration, a second off",
    "ivr_digits": "the CDR gives no IVR digits",
    "custom_field": "the CDR gives no labels",
    "pincode": "the CDR gives no PIN kind",
    "cost_location": "the CDR gives no cost centre",
    "cc_call": "the CDR gives no call-centre mark",
    "recordingfile": "recordings are known by AMI alone",
}

Cursor = dict[str, Any]
"""How far a source has been read, as JSON-able values; `source` in it names the source it belongs to."""

_rowid: ColumnElement[int] = literal_column("rowid", Integer)
"""Unquoted on purpose: SQLite takes a quoted name that it does not know for a text."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be a call's."""

    uniqueid: str
    why: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What one look at a source gave. `cursor` is where the next look begins."""

    cursor: Cursor
    rows: list[CdrRow]
    bad: list[BadRow]
    more: bool = False
    """Whether there may be more rows at once."""
    restarted: bool = False
    """Whether the source's ids began anew, so that it was read from its beginning."""


class Source(Protocol):
    """A CDR source. Each method raises SourceError when the source cannot be read."""

    @property
    def name(self) -> str:
        """Which source this is: without secrets, the same after a restart."""

    def check(self) -> list[str]:
        """One line for each thing that the source lacks, and what follows; empty when it has all."""

    def newest(self) -> Cursor:
        """The cursor behind all that is there now; the very beginning while nothing is there."""

    def after(self, cursor: Cursor, limit: int) -> Batch:
        """The next rows, about `limit` of them, and those that were committed late."""

    def since(self, start: float, until: float | None) -> Iterator[CdrRow]:
        """The rows that span some time from `start` up to `until` (epoch seconds; None: no end)."""


def open_source(cdr: Cdr, timezone: ZoneInfo) -> Source:
    """Give the source that the configuration names; nothing is opened yet.

    Raises SourceError for a kind of source that is not supported.
    """
    try:
        url = make_url(cdr.source.reveal())
    except ArgumentError:
        raise SourceError("asterisk.cdr.source is no URL: write sqlite:////path/to/master.db") from None
    if url.get_backend_name() != "sqlite" or not url.database:
        raise SourceError(
            f"CDR sources of the kind {url.get_backend_name()} are not supported yet: "
            "use sqlite:////path/to/master.db"
        )
    return SqliteSource(Path(url.database), cdr, timezone)


class SqliteSource:
    """A SQLite file as `cdr_sqlite3_custom` writes it: a `Source`."""

    def __init__(self, path: Path, cdr: Cdr, timezone: ZoneInfo) -> None:
        self._path = path
        self._cdr = cdr
        self._timezone = timezone
        self._engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)

    @property
    def name(self) -> str:
        """The file and the table."""
        return f"sqlite:{self._path}#{self._cdr.table}"

    def check(self) -> list[str]:
        """One line for each column that the table lacks."""
        with self._open() as connection:
            have = self._columns(connection)
        return [
            f"CDR source {self._path} has no column {ours}: {effect}"
            for ours, effect in _WITHOUT.items()
            if ours not in have
        ]

    def newest(self) -> Cursor:
        """The cursor behind the newest row."""
        try:
            with self._open() as connection:
                records = self._read(connection, self._columns(connection), newest=True)
        except _NothingYet:
            return self._cursor(Watermark())
        return self._cursor(self._behind(Watermark().advanced(record.id for record in records), records))

    def after(self, cursor: Cursor, limit: int) -> Batch:
        """The rows behind the cursor, in order of their ids."""
        watermark = from_json(cursor)
        with self._open() as connection:
            have = self._columns(connection)
            records = self._read(connection, have, low=watermark.low(), limit=limit + OVERLAP)
            restarted = watermark.restarted({record.id: record.mark for record in records})
            if restarted:
                watermark = watermark.over()
                records = self._read(connection, have, low=0, limit=limit + OVERLAP)
        rows: list[CdrRow] = []
        bad: list[BadRow] = []
        for record in records:
            row = self._row(record) if watermark.is_new(record.id) else None
            if isinstance(row, BadRow):
                bad.append(row)
            elif row is not None and (watermark.floor is None or _end(row) >= watermark.floor):
                rows.append(row)
        ahead = self._behind(watermark.advanced(record.id for record in records), records)
        return Batch(self._cursor(ahead), rows, bad, len(records) == limit + OVERLAP, restarted)

    def since(self, start: float, until: float | None) -> Iterator[CdrRow]:
        """The rows of that time in order of their ids; the impossible ones are logged."""
        low = 0
        while True:
            with self._open() as connection:
                records = self._read(connection, self._columns(connection), low=low, limit=_REPLAY_ROWS)
            for record in records:
                row = self._row(record)
                if isinstance(row, BadRow):
                    log.warning("cdr.bad_row", uniqueid=row.uniqueid, error=row.why)
                elif _end(row) >= start and (until is None or _start(row) < until):
                    yield row
            if len(records) < _REPLAY_ROWS:
                return
            low = records[-1].id

    # -- reading ----------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        address = f"file:{quote(str(self._path))}?mode=ro"
        connection = sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S)
        # A caller's name need not be UTF-8; one such row must not hold up all that follow.
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        return connection

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        try:
            if not self._path.exists():
                raise _NothingYet(
                    f"CDR source {self._path} does not exist (yet): "
                    "load cdr_sqlite3_custom in Asterisk, or correct asterisk.cdr.source"
                )
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise self._told(error) from None
        except OSError as error:
            raise SourceError(
                f"CDR source {self._path} cannot be reached ({error.strerror}): let the bridge's user read it"
            ) from None

    def _told(self, error: DBAPIError) -> SourceError:
        """The error in the operator's words."""
        name = getattr(error.orig, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return SourceError(
                f"CDR source {self._path} has been locked for more than {BUSY_TIMEOUT_S:g} s: "
                "find the program that holds it; Asterisk loses rows meanwhile"
            )
        if "no such table" in str(error.orig):
            return _NothingYet(
                f"CDR source {self._path} has no table {self._cdr.table} (yet): "
                "correct asterisk.cdr.table, or cdr_sqlite3_custom.conf"
            )
        if "no such column: rowid" in str(error.orig):
            return self._no_rowids()
        if name.startswith("SQLITE_CANTOPEN"):
            return SourceError(
                f"CDR source {self._path} cannot be opened: let the bridge's user read it and its folder"
            )
        return SourceError(
            f"CDR source {self._path} cannot be read ({error.orig}): see that it is a sound SQLite database"
        )

    def _no_rowids(self) -> SourceError:
        return SourceError(
            f"CDR source {self._path}: {self._cdr.table} gives its rows no ids: "
            "name an ordinary table in asterisk.cdr.table"
        )

    def _columns(self, connection: Connection) -> dict[str, str]:
        """Our name -> theirs, of the columns that the table has now."""
        everything: Select[Any] = select(literal_column("*")).select_from(self._table()).limit(0)
        have = {name.lower(): name for name in connection.execute(everything).keys()}  # noqa: SIM118
        found = {
            ours: have[theirs.lower()] for ours, theirs in self._cdr.columns.items() if theirs.lower() in have
        }
        for ours in [*_REQUIRED, *(() if "end" in found else ("start",))]:
            if ours not in found:
                theirs = self._cdr.columns.get(ours, ours)
                raise SourceError(
                    f"CDR source {self._path}: table {self._cdr.table} has no column {theirs}, which the "
                    f"bridge cannot do without: add it, or say in asterisk.cdr.columns what {ours} is called"
                )
        return found

    def _read(
        self,
        connection: Connection,
        have: Mapping[str, str],
        *,
        low: int = 0,
        limit: int = OVERLAP,
        newest: bool = False,
    ) -> list[_Record]:
        """Rows above the id `low` in order of id, `limit` at most; or the newest ones."""
        columns: list[ColumnElement[Any]] = [column(quoted_name(theirs, True)) for theirs in have.values()]
        query = select(_rowid, *columns).select_from(self._table()).limit(limit)
        if newest:
            found: Sequence[Any] = connection.execute(query.order_by(_rowid.desc())).all()[::-1]
        else:
            found = connection.execute(query.where(_rowid > low).order_by(_rowid)).all()
        if found and found[0][0] is None:
            raise self._no_rowids()
        return [_Record(row[0], dict(zip(have, row[1:], strict=True))) for row in found]

    def _table(self) -> Any:
        return table_clause(quoted_name(self._cdr.table, True))

    # -- records ----------------------------------------------------------------------------

    def _row(self, record: _Record) -> CdrRow | BadRow:
        try:
            return to_row(record.values, self._timezone, self._cdr.time_format)
        except SourceError as error:
            return BadRow(str(record.values.get("uniqueid") or ""), str(error))

    def _behind(self, watermark: Watermark, records: list[_Record]) -> Watermark:
        """The watermark with what the newest row read says of itself."""
        if not records or records[-1].id != watermark.last_id:
            return watermark
        newest = self._row(records[-1])
        ended = watermark.ended if isinstance(newest, BadRow) else _end(newest)
        return replace(watermark, mark=records[-1].mark, ended=ended)

    def _cursor(self, watermark: Watermark) -> Cursor:
        return {"source": self.name, **watermark.as_json()}


class _NothingYet(SourceError):
    """The file or the table is not there: nothing of the past can be in it."""


@dataclass(frozen=True, slots=True)
class _Record:
    id: int
    values: dict[str, object]

    @property
    def mark(self) -> str:
        return f"{self.values.get('uniqueid')} {self.values.get('sequence')}"


def _start(row: CdrRow) -> float:
    return row.start if row.start is not None else (row.end or 0.0) - row.duration


def _end(row: CdrRow) -> float:
    return row.end if row.end is not None else _start(row) + row.duration
