"""Rows of one call that only their contents, or nothing at all, tell apart: each is kept once."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest
from cdr_file import COLUMNS, make_table, write_row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_table import EPOCH, ServerTable
from sql_servers import SqlServer
from stored import NOW, open_in

from vipex_bridge.calls import testimony
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.poller import Poller
from vipex_bridge.config.presets import CDR_PRESETS
from vipex_bridge.config.settings import Cdr, Secret
from vipex_bridge.store.store import Store

START = "2026-11-23 00:00:00"
ALIKE: tuple[dict[str, Any], ...] = (
    {"lastapp": "Dial", "lastdata": "PJSIP/200", "billsec": 0},
    {"lastapp": "Dial", "lastdata": "PJSIP/201", "billsec": 0},
    {"lastapp": "Dial", "lastdata": "PJSIP/200", "billsec": 1},
    {"lastapp": "Queue", "lastdata": "18", "billsec": 0},
)
"""What rows of one channel, one second and no called channel may differ in."""

STEPS = st.lists(
    st.one_of(st.integers(0, len(ALIKE) - 1), st.sampled_from(["look", "lose", "restart", "restore"])),
    max_size=14,
)


class Table(Protocol):
    """A CDR source without the column `sequence`."""

    settings: Cdr

    def add(self, row: dict[str, Any]) -> None:
        """Writes a row."""


class Csv:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "Master.csv"
        self.path.touch()
        shape = CDR_PRESETS["csv"]
        columns = {ours: at for ours, at in shape.columns.items() if ours != "sequence"}
        self.settings = Cdr(Secret(f"csv://{self.path}"), "csv", shape.table, columns, shape.time_format)

    def add(self, row: dict[str, Any]) -> None:
        places = {ours: int(at) for ours, at in self.settings.columns.items()}
        fields = [""] * max(places.values())
        for name, value in row.items():
            fields[places[name] - 1] = str(value)
        with self.path.open("a") as file:
            file.write(",".join(f'"{field}"' for field in fields) + "\n")


class Sqlite:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "master.db"
        make_table(self.path, COLUMNS.replace(" sequence,", ""))
        shape = CDR_PRESETS["sqlite3_custom"]
        source = Secret(f"sqlite:///{self.path}")
        self.settings = Cdr(source, "sqlite3_custom", shape.table, shape.columns, shape.time_format)

    def add(self, row: dict[str, Any]) -> None:
        write_row(self.path, row)


class Server:
    """As FreePBX has it."""

    def __init__(self, table: ServerTable) -> None:
        self._table = table
        self.settings = table.settings

    def add(self, row: dict[str, Any]) -> None:
        own = {name: value for name, value in row.items() if name not in ("start", "answer", "end")}
        self._table.write(0, **own)


def row(alike: int) -> dict[str, Any]:
    ident = f"{EPOCH}.0"
    return {
        "start": START, "answer": "", "end": "2026-11-23 00:00:09", "channel": "PJSIP/trunk-00000000",
        "dstchannel": "", "duration": 9, "disposition": "NO ANSWER", "uniqueid": ident, "linkedid": ident,
        **ALIKE[alike],
    }  # fmt: skip


class Bridge:
    """Looks at a source and keeps what it gives, as the bridge does, restarts included."""

    def __init__(self, table: Table, store: Store) -> None:
        self._table = table
        self._store = store
        self._poller = Poller(table.settings, ZoneInfo("UTC"), None)
        self._first: dict[str, Any] = {}
        self.look()
        self._first = store.cursor() or {}

    def look(self) -> None:
        """One look, its rows kept in one transaction with the cursor behind them."""
        polled = self._poller.poll()
        with self._store.write(NOW) as writer:
            for group in testimony.groups(polled.rows):
                writer.add_rows(group, writer.identify(testimony.keys(group), NOW))
            writer.move_cursor(polled.cursor)

    def lose(self) -> None:
        """A look whose rows could not be kept."""
        self._poller.poll()
        self._poller.again()

    def restart(self) -> None:
        """From the cursor that was kept."""
        self._poller = Poller(self._table.settings, ZoneInfo("UTC"), self._store.cursor())

    def restore(self) -> None:
        """From a cursor of long ago: all rows come again."""
        self._poller = Poller(self._table.settings, ZoneInfo("UTC"), json.loads(json.dumps(self._first)))

    def kept(self) -> Counter[tuple[str, str, int]]:
        call = self._store.call_id(f"{EPOCH}.0")
        rows = self._store.rows_of(call) if call is not None else []
        return Counter((row.lastapp, row.lastdata, row.billsec) for row in rows)

    def not_kept(self) -> list[CdrRow]:
        """What a comparison, and a replay, would find that is not there."""
        source, cursor = self._poller.source, self._poller.cursor
        assert cursor is not None
        passed = source.passed(cursor, EPOCH - 1.0, lambda uniqueids: uniqueids)
        return self._store.not_kept([*passed, *source.since(EPOCH - 1.0, None)])


def check(table: Table, folder: Path, steps: list[int | str]) -> None:
    written: Counter[tuple[str, str, int]] = Counter()
    with open_in(folder) as store:
        bridge = Bridge(table, store)
        for step in steps:
            if isinstance(step, int):
                table.add(row(step))
                written[ALIKE[step]["lastapp"], ALIKE[step]["lastdata"], ALIKE[step]["billsec"]] += 1
            else:
                getattr(bridge, step)()
        bridge.look()
        bridge.restart()
        bridge.look()
        assert bridge.kept() == written
        assert bridge.not_kept() == []


@pytest.mark.parametrize("kind", [Csv, Sqlite])
@settings(max_examples=50, deadline=None)
@given(steps=STEPS)
def test_each_row_of_a_file_is_kept_once(
    tmp_path_factory: pytest.TempPathFactory, kind: Callable[[Path], Table], steps: list[int | str]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    check(kind(folder), folder, steps)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_each_row_of_a_table_on_a_server_is_kept_once(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    sql_server: SqlServer,
    steps: list[int | str],
) -> None:
    monkeypatch.setattr(time, "time", lambda: EPOCH + 3600.0)
    check(Server(ServerTable(sql_server, "freepbx")), tmp_path_factory.mktemp("rows"), steps)


def test_a_row_that_an_earlier_version_kept_is_known(tmp_path: Path) -> None:
    """It kept every row without a sequence as -1."""
    table = Sqlite(tmp_path)
    with open_in(tmp_path) as store:
        bridge = Bridge(table, store)
        table.add(row(0))
        bridge.look()
        bridge.restore()
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        assert database.execute("UPDATE cdr_rows SET sequence = -1").rowcount == 1
        database.commit()
    with open_in(tmp_path) as store:
        again = Bridge(table, store)
        again.restore()
        again.look()
        assert sum(again.kept().values()) == 1
        assert again.not_kept() == []
