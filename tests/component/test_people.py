"""Users and tariff that change while the bridge runs: files, a database; a bad version changes nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bridge_process import BridgeProcess
from cdr_file import make_table, write_row
from delivering import wait_until
from faulty_server import FaultyServer
from structlog.testing import capture_logs

from vipex_bridge.config.load import load
from vipex_bridge.config.schema import read_users
from vipex_bridge.config.settings import Numbers, Secret, User, UsersQuery
from vipex_bridge.errors import ConfigurationError, SourceError
from vipex_bridge.people import Watching, asked

CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db', preset: sqlite3_custom, poll: 100ms, settle: 100ms}}
numbers:
  trunks: ['PJSIP/trunk*']
  country: HU
  users: {users}
  tariff: tariff.csv
store: 'sqlite:///{folder}/state.db'
clients:
  billing: {{kind: call_end, url: '{url}', numbers: e164}}
"""
QUERY = "select number as extension, id as user_id, did as user_number, centre as cost_location from people"
ENTRY = "'251': {user_id: 7, user_number: '3619996001', cost_location: '12'}\n'252': 8\n"


def called(folder: Path, number: int) -> None:
    """Extension 251 has called outside, for a minute."""
    begun = int(time.time()) - 100 + number
    moments = (begun, begun + 5, begun + 65)
    start, answer, end = (time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment)) for moment in moments)
    row = {
        "start": start, "answer": answer, "end": end, "src": "251", "dst": "06301234567", "clid": '"" <251>',
        "channel": f"PJSIP/251-0000000{number}", "dstchannel": f"PJSIP/trunk-0000000{number}",
        "lastapp": "Dial", "lastdata": "PJSIP/06301234567@trunk", "duration": 65, "billsec": 60,
        "disposition": "ANSWERED", "uniqueid": f"{begun}.{number}", "linkedid": f"{begun}.{number}",
        "sequence": number,
    }  # fmt: skip
    write_row(folder / "master.db", row)


def told(server: FaultyServer) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in server.received]


def test_files_that_are_edited_are_taken_and_a_bad_one_changes_nothing(
    tmp_path: Path, faulty_server: FaultyServer
) -> None:
    make_table(tmp_path / "master.db")
    users, tariff = tmp_path / "users.yaml", tmp_path / "tariff.csv"
    users.write_text(ENTRY)
    tariff.write_text("prefix,per_minute\n06,10\n")
    text = CONFIGURATION.format(folder=tmp_path, users="users.yaml", url=faulty_server.url)
    with BridgeProcess(tmp_path, text) as bridge:
        bridge.wait_for("reconcile.done")
        called(tmp_path, 1)
        wait_until(lambda: len(told(faulty_server)) == 1, 30)
        [first] = told(faulty_server)
        assert (first["src_user_id"], first["user_number"], first["cost_location"]) == (7, "3619996001", "12")
        assert (first["price"], first["dst"], first["exten"]) == (10, "+36301234567", "251")
        users.write_text("'251': {user_id: 9}\n'252': {user: 8}\n")
        tariff.write_text("prefix,per_minute\n06,20\n")
        refused = bridge.wait_for("configuration.refused")
        assert refused["fault"].startswith(f"{users}:2: 252.user: ")
        users.write_text("'251': {user_id: 9}\n")
        bridge.wait_for("numbers.reloaded", users=1, tariff_lines=1)
        called(tmp_path, 2)
        wait_until(lambda: len(told(faulty_server)) == 2, 30)
        second = told(faulty_server)[1]
        assert (second["src_user_id"], second["user_number"], second["price"]) == (9, None, 20)


def people(file: Path, *rows: tuple[object, ...]) -> UsersQuery:
    with closing(sqlite3.connect(file)) as database:
        database.execute("create table if not exists people (number, id, did, centre)")
        database.execute("delete from people")
        database.executemany("insert into people values (?, ?, ?, ?)", rows)
        database.commit()
    return UsersQuery(Secret(f"sqlite:///{file}"), QUERY, every_s=60)


def test_users_of_a_database_are_asked_for_again_and_again(tmp_path: Path) -> None:
    query = people(tmp_path / "crm.db", (251, 7, None, "12"), ("252", "x8", "3619996002", ""))
    now = [0.0]
    watching, numbers = Watching(clock=lambda: now[0]), Numbers(users_query=query)
    watching.begin(numbers)
    found = watching.look(numbers)
    assert found is not None
    assert found.users == {"251": User("251", 7, None, "12"), "252": User("252", "x8", "3619996002", None)}
    people(tmp_path / "crm.db", ("251", 9, None, None))
    now[0] = 59.0
    assert watching.look(found) is None
    now[0] = 60.0
    again = watching.look(found)
    assert again is not None and again.users == {"251": User("251", 9)}
    now[0] = 120.0
    assert watching.look(again) is None, "nothing has changed"
    (tmp_path / "crm.db").write_bytes(b"no database at all, and long enough to be looked at" * 40)
    with capture_logs() as logs:
        for now[0] in (180.0, 240.0):
            assert watching.look(again) is None
    assert [line["event"] for line in logs] == ["users.not_asked"], "said once"


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("select 251 as extension, 7 as id", 'unknown column "id": the first line names extension, user_id'),
        ("select 7 as user_id", "lacks the column extension"),
        ("select null as extension", "extension: is empty"),
        ("select 1 as extension union all select 1", 'the extension "1" is given twice'),
        ("select none", "the query fails (no such column: none)"),
    ],
)
def test_what_is_wrong_with_a_query_is_said(tmp_path: Path, sql: str, says: str) -> None:
    sqlite3.connect(tmp_path / "crm.db").close()
    with pytest.raises(SourceError) as error:
        asked(UsersQuery(Secret(f"sqlite:///{tmp_path}/crm.db"), sql))
    assert says in str(error.value)


def test_a_file_that_is_empty_for_a_moment_takes_no_user_away(tmp_path: Path) -> None:
    file = tmp_path / "users.yaml"
    file.write_text(ENTRY)
    numbers, watching = Numbers(users=read_users(file).rows, users_file=file), Watching()
    watching.begin(numbers)
    file.write_text("")
    assert watching.look(numbers) is None
    file.write_text("'251': 9\n")
    found = watching.look(numbers)
    assert found is not None and found.users["251"].user_id == 9
    file.write_text("")
    assert watching.look(found) is None
    left = watching.look(found)
    assert left is not None and left.users == {}
    assert watching.look(left) is None


def test_an_edited_file_is_noticed_whatever_its_size_and_time(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text("extension,user_id\n251,7\n")
    numbers = Numbers(users_file=file)
    watching = Watching()
    watching.begin(numbers)
    assert watching.look(numbers) is None
    about = file.stat()
    other = tmp_path / "new.csv"
    other.write_text("extension,user_id\n251,8\n")
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns))
    other.replace(file)
    found = watching.look(numbers)
    assert found is not None and found.users == {"251": User("251", 8)}
    file.unlink()
    assert watching.look(found) is None, "a file that is gone is being written anew"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("numbers: {users: {sql: select 1}}",
         ["1: numbers.users: needs `source`, a database's URL: asterisk.cdr names none"]),
        ("numbers: {users: {sql: select 1, source: 'sqlite:////x', evry: 1m}}",
         ['1: numbers.users.evry: unknown key, did you mean "every"?']),
        ("numbers: {country: Hungary}",
         ['1: numbers.country: "Hungary" is no country by its two letters, such as HU']),
        ("clients: {a: {kind: lookup, url: 'http://h', numbers: e164}}",
         ["1: clients.a.numbers: needs numbers.country, such as HU"]),
        ("clients: {a: {kind: lookup, url: 'http://h', numbers: e146}}",
         ['1: clients.a.numbers: must be dialled, e164 or national, not "e146", did you mean "e164"?']),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_line(tmp_path: Path, text: str, faults: list[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        load(file, {})
    assert [str(fault) for fault in error.value.faults] == [f"{file}:{fault}" for fault in faults]


def test_mistakes_in_a_file_of_users_are_told_like_those_of_the_configuration(tmp_path: Path) -> None:
    users = tmp_path / "users.yaml"
    users.write_text("251: 6\n252: {user_i: 7}\n253:\n  user_id: 8\n  user_number: [1]\n")
    file = tmp_path / "c.yaml"
    file.write_text("numbers: {users: users.yaml}\n")
    with pytest.raises(ConfigurationError) as error:
        load(file, {})
    assert [str(fault) for fault in error.value.faults] == [
        f'{users}:2: 252.user_i: unknown key, did you mean "user_id"?',
        f"{users}:5: 253.user_number: must be text, not a list",
    ]
