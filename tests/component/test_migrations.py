"""Stores that earlier versions made, brought up to date; and every step in itself, on both systems."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pages import ROOT
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine.interfaces import ReflectedIndex
from stored import NOW, claimed, open_in, url_of

from vipex_bridge.store import migrating, schema
from vipex_bridge.store.engine import WRITING
from vipex_bridge.store.schema import SCHEMA_VERSION

MADE_BY = sorted((ROOT / "tests" / "stores").glob("v*.sql"))
"""Dumps of stores as the versions themselves made and filled them."""


def test_there_is_a_store_of_every_earlier_version() -> None:
    assert [path.stem for path in MADE_BY] == [f"v{version}" for version in range(1, SCHEMA_VERSION)]


@pytest.mark.parametrize("dump", MADE_BY, ids=lambda path: path.stem)
def test_a_store_of_an_earlier_version_is_taken_over_with_all_that_is_in_it(
    tmp_path: Path, dump: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.executescript(dump.read_text("utf-8"))
    for _ in range(2):
        with open_in(tmp_path) as store:
            [ringing, ended] = store.deliveries()
            assert (ringing.client, ringing.status, ringing.call_id) == ("crm", "queued", 2)
            assert (ended.client, ended.status, ended.attempts, ended.next_attempt_at) == (
                "billing", "queued", 1, NOW + 60,
            )  # fmt: skip
            assert [attempt.outcome for attempt in store.attempts(ended.id)] == ["retry"]
            assert store.call_id("1700000000.2") == ended.call_id == 1
            assert store.cursor() == {"rowid": 7}
            assert [row.dstchannel for row in store.rows_of(1)] == ["Local/3642999425@outside-00000002;1"]
            with store.write(NOW) as writer:
                assert writer.identify(["1700000099.1"], NOW) >= 3
    with open_in(tmp_path) as store:
        assert [delivery.id for delivery in claimed(store, now=NOW + 60)] == [ended.id]
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        assert database.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchall() == [
            (str(SCHEMA_VERSION),)
        ]
        # No number that was dialled stays in a row's key: it outlives the row's data.
        [(key,)] = database.execute("SELECT dstchannel FROM cdr_rows").fetchall()
        assert "3642999425" not in key
    assert _shape(f"sqlite:///{tmp_path / 'state.db'}") == _shape(_fresh(tmp_path / "fresh"))


def test_a_step_that_fails_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the machine loses power in the middle: the next start does all of it."""
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.executescript(MADE_BY[0].read_text("utf-8"))
        before = "\n".join(database.iterdump())
    monkeypatch.setattr(migrating.log, "info", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_in(tmp_path)
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        assert "\n".join(database.iterdump()) == before
    monkeypatch.undo()
    with open_in(tmp_path) as store:
        assert len(store.deliveries()) == 2


def test_all_steps_make_what_an_empty_store_is_given_at_once(tmp_path: Path, store_system: str) -> None:
    url = url_of(tmp_path).replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    with engine.begin() as connection:
        migrating.upgrade(connection, 0)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, schema.metadata)
        assert [str(difference) for difference in found] == []
        if store_system == "postgresql":
            assert inspect(connection).has_sequence("vipex_call_ids")
            connection.execute(text("SELECT nextval('vipex_call_ids')"))
    engine.dispose()


def _fresh(folder: Path) -> str:
    folder.mkdir()
    with open_in(folder):
        return url_of(folder)


def _shape(url: str) -> str:
    """Tables, columns and indexes, in no order."""
    engine = create_engine(url).execution_options(**{WRITING: False})
    seen = inspect(engine)
    tables = {
        name: {
            "columns": sorted(
                str((c["name"], str(c["type"]), c["nullable"])) for c in seen.get_columns(name)
            ),
            "indexes": sorted(
                str((index["name"], index["column_names"], index["unique"], _options(index)))
                for index in seen.get_indexes(name)
            ),
        }
        for name in seen.get_table_names()
        if name != "alembic_version"
    }
    engine.dispose()
    return json.dumps(tables, indent=1, sort_keys=True, default=str)


def _options(index: ReflectedIndex) -> list[tuple[str, str]]:
    return sorted((name, str(value)) for name, value in index.get("dialect_options", {}).items())
