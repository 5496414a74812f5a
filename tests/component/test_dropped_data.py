"""`privacy.drop_payload_after`: callers' data go, also from the disk; that they were told stays known."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from bridge_process import BridgeProcess
from captured_rows import CAPTURES
from stored import NOW, claimed, document, found, new, open_in, queued, record, row, url_of

from vipex_bridge.calls.document import to_json
from vipex_bridge.cli.main import main
from vipex_bridge.receive.server import Receiver, parse_answer
from vipex_bridge.store.privacy import can_be_compacted
from vipex_bridge.store.store import Store

DAY = 86_400.0
AFTER = 7 * DAY
PLANTED = "36709676052"
WAITING = "36301112222"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_in(tmp_path) as opened:
        yield opened


def hits(folder: Path, text: str) -> int:
    """How often the text stands in the store's files."""
    files = [path for path in folder.iterdir() if path.name.startswith("state.db")]
    assert len(files) > 1
    return sum(path.read_bytes().count(text.encode()) for path in files)


def told(store: Store, key: str, number: str, at: float = NOW) -> int:
    """A call of that number as the bridge keeps it, journalled again and again as it went on."""
    with store.write(at) as writer:
        call_id = writer.identify([key], at)
    for length in (1, 40, 400):
        facts = json.dumps({"channels": [f"Local/{number}@outside"] * length})
        with store.write(at) as writer:
            writer.save_call(call_id, state="ended", started_at=at, ended_at=at + 9, facts=facts)
    with store.write(at) as writer:
        same = {"linkedid": key, "src": number, "dstchannel": f"Local/{number}@outside-00000002;1"}
        writer.add_rows([row(key, None, start=at + place, **same) for place in (0, 0.5)], call_id)
        writer.add_recording(f"reference-{key}", call_id, f"in-{number}.wav")
        assert writer.tell(call_id, document(number), to_json(document(number)))
    return call_id


def delivery_of(store: Store, call_id: int, number: str, at: float = NOW) -> int:
    body = json.dumps({"src": number, "more": number * 300})
    [delivery_id] = queued(store, new(call_id=call_id, at=at, body=body), now=at)
    return delivery_id


def delivered(store: Store, call_id: int, number: str, at: float = NOW) -> int:
    delivery_id = delivery_of(store, call_id, number, at)
    claimed(store, now=at)
    with store.write(at) as writer:
        writer._connection.exec_driver_sql(
            "INSERT INTO attempts(delivery_id, started_at, elapsed_s, status_code, outcome, error, answer)"
            " VALUES (?, ?, 0.1, 500, 'retry', ?, ?)",
            (delivery_id, at, f"no way to {number}", f"{number} taken" * 40),
        )
    record(store, delivery_id, "delivered", now=at)
    return delivery_id


def test_no_number_is_left_in_any_file(tmp_path: Path, store: Store) -> None:
    for number in range(120):
        delivered(store, told(store, f"170000{number:04d}.1", PLANTED), PLANTED)
    kept = told(store, "1800000000.1", WAITING)
    waiting = delivery_of(store, kept, WAITING)
    assert hits(tmp_path, PLANTED) > 5_000
    assert store.drop_payloads(AFTER, NOW + 6 * DAY) == 0
    assert hits(tmp_path, PLANTED) > 5_000
    assert store.drop_payloads(AFTER, NOW + 8 * DAY) == 240
    assert hits(tmp_path, PLANTED) == 0
    assert hits(tmp_path, WAITING) > 400, "what waits keeps everything"
    request = found(store, waiting).request
    assert request is not None and WAITING in str(request)
    assert store.drop_payloads(AFTER, NOW + 9 * DAY) == 0


def test_a_reader_meanwhile_delays_only_the_emptying_of_the_log(tmp_path: Path, store: Store) -> None:
    delivered(store, told(store, "1700000000.1", PLANTED), PLANTED)
    with closing(sqlite3.connect(tmp_path / "state.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM calls").fetchall()
        assert store.drop_payloads(AFTER, NOW + 8 * DAY) == 2
    assert store.drop_payloads(AFTER, NOW + 8 * DAY) == 0
    assert hits(tmp_path, PLANTED) == 0


def test_everything_else_stays_until_retention(store: Store) -> None:
    call_id = told(store, "1700000000.1", PLANTED)
    delivery_id = delivered(store, call_id, PLANTED)
    before, tries = found(store, delivery_id), store.attempts(delivery_id)
    store.drop_payloads(AFTER, NOW + 8 * DAY)
    after = found(store, delivery_id)
    assert (after.request, after.dropped_at) == (None, NOW + 8 * DAY)
    for name in (
        "idempotency_key",
        "client",
        "kind",
        "event",
        "status",
        "created_at",
        "finished_at",
        "attempts",
    ):
        assert getattr(after, name) == getattr(before, name), name
    seen = [(attempt.started_at, attempt.status_code, attempt.outcome) for attempt in tries]
    assert [(a.started_at, a.status_code, a.outcome) for a in store.attempts(delivery_id)] == seen
    call = store.call(call_id)
    assert call is not None
    assert (call.state, call.key, call.direction, call.ended_at) == ("told", "1700000000.1", 2, NOW + 9)
    assert (call.src, call.dst, call.facts, call.document) == (None, None, None, None)
    assert store.rows_of(call_id) == []
    assert store.recording("reference-1700000000.1") is None
    assert store.still_to_be_told({"1700000000.1"}) == set()
    assert store.retire(30 * DAY, NOW + 31 * DAY) == 2
    assert store.call(call_id) is None


def test_a_failed_one_keeps_its_data_after_it_was_parked(store: Store) -> None:
    call_id = told(store, "1700000000.1", PLANTED)
    delivery_id = delivery_of(store, call_id, PLANTED)
    claimed(store)
    record(store, delivery_id, "failed", now=NOW + 5 * DAY)
    assert store.drop_payloads(AFTER, NOW + 11 * DAY) == 0
    call = store.call(call_id)
    assert call is not None and call.document is not None, "as long as its delivery can be sent again"
    assert store.drop_payloads(AFTER, NOW + 13 * DAY) == 2
    with store.write(NOW + 13 * DAY) as writer:
        assert writer.resend([delivery_id]) == 0


def test_a_call_that_is_not_told_yet_keeps_its_data(store: Store) -> None:
    with store.write(NOW) as writer:
        call_id = writer.identify(["1700000000.1"], NOW)
        writer.save_call(call_id, state="ended", started_at=NOW, ended_at=NOW, facts=PLANTED)
    assert store.drop_payloads(AFTER, NOW + 90 * DAY) == 0
    call = store.call(call_id)
    assert call is not None and call.facts == PLANTED


def test_a_row_that_comes_after_all_leaves_only_its_key(tmp_path: Path, store: Store) -> None:
    call_id = told(store, "1700000000.1", PLANTED)
    assert store.drop_payloads(AFTER, NOW + 8 * DAY) == 1
    late = row("1700000000.1", None, start=NOW + 5, linkedid="1700000000.1", src=PLANTED)
    with store.write(NOW + 8 * DAY) as writer:
        assert writer.add_rows([late], call_id) == [late]
    with store.write(NOW + 8 * DAY) as writer:
        assert writer.add_rows([late], call_id) == []
    assert store.rows_of(call_id) == []
    assert hits(tmp_path, PLANTED) == 0


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("size_bytes", "hours"),
    [(20 * MIB, list(range(24))), (32 * MIB + 1, [2, 3, 4]), (256 * MIB, [2, 3, 4]), (256 * MIB + 1, [])],
)
def test_a_great_store_is_written_anew_at_night_only(size_bytes: int, hours: list[int]) -> None:
    assert [hour for hour in range(24) if can_be_compacted(size_bytes, hour)] == hours


def test_a_store_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    with open_in(tmp_path) as store:
        delivery_id = delivered(store, told(store, "1700000000.1", PLANTED), PLANTED)
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        for table in ("calls", "deliveries"):
            database.execute(f"DROP INDEX {table}_kept")
            database.execute(f"ALTER TABLE {table} DROP COLUMN dropped_at")
        database.execute("DROP TABLE nodes")
        database.execute("ALTER TABLE deliveries DROP COLUMN own_files")
        database.execute(f"UPDATE cdr_rows SET dstchannel = 'Local/{PLANTED}@outside-00000002;1'")
        database.execute("UPDATE meta SET value = '1' WHERE key = 'schema_version'")
        database.commit()
    for _ in range(2):
        with closing(Store(url_of(tmp_path), "pbx1")) as store:
            assert found(store, delivery_id).dropped_at is None
    with closing(Store(url_of(tmp_path), "pbx1")) as store:
        assert store.drop_payloads(AFTER, NOW + 8 * DAY) == 2
        assert hits(tmp_path, PLANTED) == 0


# -- as an operator meets it ----------------------------------------------------------------

CONFIGURATION = """
timezone: UTC
asterisk:
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db', poll: 100ms, settle: 0s}}
numbers: {{trunks: ['PJSIP/trunk*'], extensions: '^\\d{{3,4}}$'}}
store: sqlite:///{folder}/state.db
clients:
  billing: {{kind: call_end, url: '{url}/cdr'}}
"""
CALLER, KEYS = "3642999425", "7,1,8"


class House:
    """A bridge that has told one call of the past, whose caller had pressed keys."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.folder, self.receiver = folder, receiver
        self.configuration = CONFIGURATION.format(folder=folder, url=receiver.url)
        text = (CAPTURES / "n1_hold/cdr.jsonl").read_text("utf-8")
        rows = [{**json.loads(line), "ivr_digits": KEYS} for line in text.splitlines()]
        columns = ["AcctId", *(name for name in rows[0] if name != "AcctId")]
        with closing(sqlite3.connect(folder / "master.db")) as database:
            names = ", ".join(f'"{column}"' for column in columns[1:])
            database.execute(f"CREATE TABLE cdr (AcctId INTEGER PRIMARY KEY, {names})")
            marks = ", ".join("?" for _ in columns)
            database.executemany(
                f"INSERT INTO cdr VALUES ({marks})", [[r[name] for name in columns] for r in rows]
            )
            database.commit()
        self.bridge = BridgeProcess(folder, self.configuration)
        self.code = 0

    def hides(self, privacy: str) -> None:
        self.bridge.config.write_text(f"{self.configuration}privacy: {privacy}\n")

    def says(self, *arguments: str) -> str:
        """What a command prints."""
        name, *rest = arguments
        with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()) as errors:
            self.code = main([name, "--config", str(self.bridge.config), *rest])
        self.errors = errors.getvalue()
        return printed.getvalue()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    path, answer = parse_answer(f'/cdr={{"ivr_digits": "{KEYS}"}}')
    with Receiver(answers={path: answer}) as receiver:
        yield House(tmp_path, receiver)


def test_of_a_dropped_call_every_command_says_so_and_none_tells_it_anew(house: House) -> None:
    with house.bridge:
        house.says("replay", "--since", "2026-11-01")
        house.bridge.wait_for("delivery.sent")
    house.hides("{drop_payload_after: 1ms}")
    with house.bridge:
        house.bridge.wait_for("store.data_dropped", calls_and_deliveries=2)
        gone = "its data were dropped after 0.001s (privacy.drop_payload_after)"
        call_id = house.says("calls").split()[0]
        delivery_id = house.says("deliveries").split()[0]
        assert gone in house.says("calls", call_id)
        assert gone in house.says("explain", call_id)
        assert gone in house.says("deliveries")
        assert house.says("resend", delivery_id) == "0 queued again\n"
        assert house.code == 1
        assert house.errors == f"vipex-bridge resend: delivery {delivery_id} cannot be sent again: {gone}\n"
        assert gone in house.says("replay", "--since", "2026-11-01")
        assert house.says("reconcile", "--since", "2026-11-01").startswith("0 calls missing")
        everything = [house.says(*words) for words in (("calls",), ("calls", call_id), ("explain", call_id))]
        assert CALLER not in "".join(everything)
        assert hits(house.folder, CALLER) == 0
    assert len(house.receiver.requests_received()) == 1


def test_pressed_keys_are_for_clients_alone(house: House) -> None:
    house.hides("{mask_digits: true}")
    with house.bridge:
        house.says("replay", "--since", "2026-11-01")
        house.bridge.wait_for("delivery.sent")
        [request] = house.receiver.requests_received()
        assert json.loads(request.body)["ivr_digits"] == KEYS
        call_id = house.says("calls").split()[0]
        shown = house.says("calls", call_id)
        assert '"ivr_digits": "*,*,*"' in shown
        everything = shown + house.says("explain", call_id) + house.says("deliveries") + house.bridge.log()
        assert "ivr digits is *,*,*" in everything
        assert KEYS not in everything
    with open_in(house.folder, alone=False) as store:
        [delivery] = store.deliveries()
        [attempt] = store.attempts(delivery.id)
        assert attempt.answer is not None and "*,*,*" in attempt.answer and KEYS not in attempt.answer
    house.hides("{mask_digits: false}")
    assert KEYS in house.says("calls", call_id)
