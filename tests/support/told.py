"""What a receiver was told of a played exchange's calls, and whether that is all, once, and in order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from delivering import wait_until
from faulty_server import FaultyServer, Received
from played_pbx import DID, PlayedCall

ORDER = ("arrival", "ringing", "answer", "hangup")
NOTICE = '{"event": {{ event | tojson }}, "id": {{ id }}, "src": {{ src | tojson }}}'
"""The body of a notify client whose notices can be told apart."""

CONFIGURATION = """
node: pbx1
timezone: UTC
asterisk:
  ami: {{port: {ami}, username: vipex, secret: labsecret}}
  agi: null
  cdr: {{source: 'sqlite:///{folder}/master.db', poll: 200ms, settle: 500ms}}
numbers: {{trunks: ['PJSIP/trunk*']}}
store: 'sqlite:///{folder}/state.db'
clients:
  crm:
    kind: notify
    url: 'http://127.0.0.1:{http}/notify'
    on: [arrival, ringing, answer, hangup]
    expires: 1h
    body: '{notice}'
  billing: {{kind: call_end, url: 'http://127.0.0.1:{http}/cdr', retry: [500ms, 1s, 2s, 5s, 1m, 1h]}}
"""
"""A bridge between an exchange (`ami`, `folder`) and a receiver (`http`); `notice` is NOTICE."""


@dataclass
class Told:
    """What came: the documents of each caller, and the notices of each, repeats included."""

    documents: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notices: dict[str, list[str]] = field(default_factory=dict)
    notice_ids: dict[str, set[int]] = field(default_factory=dict)
    """The ids under which each caller's notices came."""
    duplicates: int = 0
    """Requests that repeated one which had come before."""


def told(received: Sequence[Received]) -> Told:
    """Reads what came at /cdr and /notify. A key that comes again must bring the same body."""
    found = Told()
    bodies: dict[str, bytes] = {}
    for request in received:
        if not request.target.startswith(("/cdr", "/notify")):
            continue
        key = request.header("Idempotency-Key")
        assert key is not None
        if key in bodies:
            assert bodies[key] == request.body, (
                f"{key} brought two versions: {bodies[key]!r}, {request.body!r}"
            )
            found.duplicates += 1
            continue
        bodies[key] = request.body
        data = json.loads(request.body)
        if request.target.startswith("/cdr"):
            found.documents.setdefault(data["src"], []).append(data)
        else:
            found.notices.setdefault(data["src"], []).append(data["event"])
            found.notice_ids.setdefault(data["src"], set()).add(data["id"])
    return found


def wait_for_all(
    server: FaultyServer, calls: Sequence[PlayedCall], within_s: float = 150.0, *, notices: bool = False
) -> list[str]:
    """Waits until every call's document has come; the callers of whom none has.

    `notices`: and until every call's last notice has come.
    """
    missing = {call.caller for call in calls}
    without_notice = set(missing) if notices else set()
    read = 0

    def all_came() -> bool:
        nonlocal read
        new = server.received[read:]
        read += len(new)
        for request in new:
            if request.target.startswith("/cdr"):
                missing.discard(json.loads(request.body)["src"])
            elif request.target.startswith("/notify") and b'"hangup"' in request.body:
                without_notice.discard(json.loads(request.body)["src"])
        return not missing and not without_notice

    with suppress(AssertionError):
        wait_until(all_came, within_s)
    return sorted(missing | without_notice)


def check(found: Told, calls: Sequence[PlayedCall], *, was_there: bool = False) -> None:
    """Every call once, under one id of its own, with its own outcome; its notices in order, each once.

    `was_there`: the bridge saw all of every call, and has told all its notices.
    """
    ids: dict[int, str] = {}
    for call in calls:
        documents = found.documents[call.caller]
        assert len(documents) == 1, f"{call} was told as {documents}"
        document = documents[0]
        assert ids.setdefault(document["id"], call.caller) == call.caller, (
            f"two calls with the id of {document}"
        )
        assert found.notice_ids.get(call.caller, {document["id"]}) == {document["id"]}, f"{call}: {document}"
        assert document["direction"] == (1 if call.is_answered else 2), f"{call}: {document}"
        # What was dialled before the bridge came, only the row knows.
        assert document["dst"] == DID or (document["dst"] is None and not call.has_row), f"{call}: {document}"
        for name, moment in (
            ("start_time", call.started_at),
            ("answer_time", call.answered_at),
            ("hangup_time", call.ended_at),
        ):
            assert _is_at(document[name], moment), f"{call}: {name} is {document[name]}"
        seen = found.notices.get(call.caller, [])
        due = [event for event in ORDER if call.is_answered or event != "answer"]
        assert seen == [event for event in due if was_there or event in seen], f"{call}: {seen}"


def _is_at(said: str | None, moment: float | None) -> bool:
    """Whether a time on the wire, in whole seconds like the CDR's, is the moment."""
    if said is None or moment is None:
        return said is None and moment is None
    return abs(datetime.fromisoformat(f"{said}+00:00").timestamp() - moment) < 2.0
