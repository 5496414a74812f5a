"""What the CDR source has and nobody was told of is found and told: once, and nothing besides."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from ending_bench import CONFIGURATION, START, Bench, body
from hypothesis import given, settings
from hypothesis import strategies as st

from vipex_bridge.bridge.reconciling import EVERY_S, Reconciling
from vipex_bridge.calls.rows import CdrRow
from vipex_bridge.cdr.sqlite_source import SqliteSource
from vipex_bridge.cli.main import main
from vipex_bridge.config.load import load_text

DAY = 86_400.0
LATER_ID = 5_000


class Comparing:
    """A bench, and the hourly comparison on it."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder)
        self.reconciling = Reconciling(
            self.bench.store,
            self.bench.poller,
            lambda: 30 * DAY,
            self.bench.ending.take_up,
            clock=self.bench.clock,
        )

    def compare(self) -> None:
        """Compares, and gives the calls found the time to be told."""
        assert asyncio.run(self.reconciling.step()) == EVERY_S
        self.bench.step(12)

    def passes_by(self, rows: int = 300) -> None:
        """So many rows are written and read that the poller looks back no further than at them."""
        for number in range(rows):
            self.call(f"200.{number}", AcctId=LATER_ID + number)
        self.bench.step(12)

    def call(self, uniqueid: str, at: float | None = None, **values: object) -> None:
        """The row of a call that ended at `at`, by itself now."""
        end = datetime.fromtimestamp(self.bench.now if at is None else at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        given = {"start": end, "answer": end, "end": end, "uniqueid": uniqueid, "linkedid": uniqueid}
        self.bench.row(**(given | values))


@pytest.fixture
def comparing(tmp_path: Path) -> Iterator[Comparing]:
    made = Comparing(tmp_path)
    made.compare()
    yield made
    made.bench.store.close()


def test_a_call_whose_row_the_poller_never_saw_is_told_once(comparing: Comparing) -> None:
    comparing.passes_by()
    before = len(comparing.bench.told())
    comparing.call("100.7", AcctId=7, src="36301112233")
    comparing.bench.step(60)
    assert len(comparing.bench.told()) == before
    comparing.compare()
    comparing.compare()
    told = comparing.bench.told()
    assert len(told) == before + 1
    assert '"src": "36301112233"' in body(told[0])


def test_an_extension_to_extension_call_is_found_once_and_told_to_nobody(comparing: Comparing) -> None:
    comparing.passes_by()
    before = len(comparing.bench.told())
    comparing.call("100.7", AcctId=7, channel="PJSIP/201-00000001", src="201", dst="202")
    comparing.compare()
    call_id = comparing.bench.store.call_id("100.7")
    assert call_id is not None
    stored = comparing.bench.store.call(call_id)
    assert stored is not None and stored.state == "ignored"
    assert len(comparing.bench.told()) == before


def test_what_was_there_before_the_first_start_is_no_gap(tmp_path: Path) -> None:
    comparing = Comparing(tmp_path)
    with closing(comparing.bench.store):
        comparing.passes_by()
        before = len(comparing.bench.told())
        # The first comparison of all: the bridge has told calls from this moment on.
        comparing.compare()
        comparing.call("100.7", at=START - 3600, AcctId=7)
        comparing.compare()
        assert len(comparing.bench.told()) == before


def test_a_late_row_of_a_call_that_was_told_is_no_call(comparing: Comparing) -> None:
    comparing.passes_by()
    before = len(comparing.bench.told())
    comparing.call("100.7", AcctId=7, linkedid="200.5", channel="PJSIP/201-00000001")
    comparing.compare()
    assert len(comparing.bench.told()) == before


def test_what_has_been_forgotten_is_not_told_again(comparing: Comparing) -> None:
    comparing.passes_by()
    for delivery in comparing.bench.told():
        with comparing.bench.store.write(comparing.bench.now) as writer:
            writer.park(delivery.client, "given up")
    comparing.bench.now += 31 * DAY
    assert comparing.bench.store.retire(30 * DAY, comparing.bench.now)
    assert comparing.bench.told() == []
    comparing.compare()
    assert comparing.bench.told() == []


def test_a_source_that_cannot_be_read_is_compared_later(comparing: Comparing, tmp_path: Path) -> None:
    comparing.passes_by()
    before = len(comparing.bench.told())
    comparing.call("100.7", AcctId=7)
    hidden = tmp_path / "master.db"
    hidden.rename(tmp_path / "away.db")
    assert asyncio.run(comparing.reconciling.step()) < 120
    (tmp_path / "away.db").rename(hidden)
    comparing.compare()
    assert len(comparing.bench.told()) == before + 1


def test_a_comparison_that_breaks_off_is_made_again(
    comparing: Comparing, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparing.passes_by()
    before = len(comparing.bench.told())
    comparing.call("100.7", AcctId=7)
    with monkeypatch.context() as broken:
        broken.setattr(SqliteSource, "passed", lambda *_: 1 // 0)
        assert asyncio.run(comparing.reconciling.step()) < 120
    comparing.compare()
    assert len(comparing.bench.told()) == before + 1


def test_by_hand_it_says_what_is_missing_and_tells_it(
    comparing: Comparing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comparing.passes_by()
    before = len(comparing.bench.told())
    comparing.call("100.7", AcctId=7, src="36301112233", dst="3619996000")
    (tmp_path / "config.yaml").write_text(
        CONFIGURATION.format(folder=tmp_path) + f"store: 'sqlite:///{tmp_path}/state.db'\n", encoding="utf-8"
    )
    command = ["reconcile", "--config", str(tmp_path / "config.yaml"), "--since", "2026-11-23"]
    assert main([*command, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "36301112233 -> 3619996000: not told" in said and "1 calls missing" in said
    assert len(comparing.bench.told()) == before
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "36301112233 -> 3619996000: billing" in said and "1 calls missing, 1 of them queued" in said
    assert len(comparing.bench.told()) == before + 1
    assert main(command) == 0
    assert "0 calls missing" in capsys.readouterr().out


@settings(max_examples=40, deadline=None)
@given(
    ends=st.lists(st.integers(0, 3000), min_size=1, max_size=60),
    gaps=st.lists(st.integers(1, 900), min_size=60, max_size=60),
    since=st.integers(-100, 3200),
)
def test_rows_of_a_long_table_are_found_from_any_moment_on(
    ends: list[int], gaps: list[int], since: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Ids with gaps and ends in hours, so that the search by halves has something to search.
    folder = tmp_path_factory.mktemp("passed")
    text = CONFIGURATION.format(folder=folder)
    loaded = load_text(text, Path("config.yaml"), {}).settings
    assert loaded.cdr is not None
    written: list[tuple[int, float]] = []
    row_id = 0
    with closing(sqlite3.connect(folder / "master.db")) as database:
        database.execute("CREATE TABLE cdr (AcctId INTEGER PRIMARY KEY, start, end, uniqueid, channel)")
        for hour, gap in zip(sorted(ends), gaps, strict=False):
            row_id += gap * 100
            at = START + hour * 3600
            written.append((row_id, at))
            when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
            database.execute(
                "INSERT INTO cdr VALUES (?, ?, ?, ?, 'PJSIP/trunk-1')", (row_id, when, when, f"{row_id}.1")
            )
        database.commit()
    source = SqliteSource(loaded.cdr, ZoneInfo("UTC"))
    start = START + since * 3600
    found: list[CdrRow] = list(source.passed(source.newest(), start, lambda names: names))
    assert [row.uniqueid for row in found] == [f"{row_id}.1" for row_id, at in written if at >= start]
