"""Whatever text a caller's name or number is, the store takes it and gives it back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stored import NOW, document, new, open_in, row

from vipex_bridge.calls.document import from_json, to_json
from vipex_bridge.calls.events import ChannelSnapshot, HungUp, NewChannel
from vipex_bridge.calls.numbering import Numbering
from vipex_bridge.calls.record import CallRecord
from vipex_bridge.calls.tracker import Tracker
from vipex_bridge.render.escape import sound
from vipex_bridge.store.store import Store

ANY = st.text(st.characters(), max_size=60) | st.sampled_from(
    ["'; DROP TABLE calls; --", 'a"b', "\\", "%s{}", ":name", "\0", "\ud800", "a\r\nb", "\x1b[2J", "\u2028"]
)
_UNIQUE = count(1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_in(tmp_path_factory.mktemp("store")) as opened:
        yield opened


def call_of(name: str, number: str, dialled: str) -> tuple[str, CallRecord]:
    uniqueid = f"1700000000.{next(_UNIQUE)}"
    channel = ChannelSnapshot(uniqueid, uniqueid, "PJSIP/trunk-00000001", number, name, "in", dialled)
    tracker = Tracker(Numbering(("PJSIP/trunk*",)))
    tracker.feed(NewChannel(NOW, channel))
    tracker.feed(HungUp(NOW + 1, channel, 16))
    [record] = tracker.calls()
    return uniqueid, record


@given(name=ANY, number=ANY, dialled=ANY)
@example("Kov\udce1cs\0", "36\n70", "${EXTEN}")
def test_a_call_is_read_back_as_it_was_kept(store: Store, name: str, number: str, dialled: str) -> None:
    uniqueid, record = call_of(name, number, dialled)
    # As it is journalled while the call is up; what UTF-8 cannot hold is U+FFFD.
    facts = json.dumps(record.to_dict(), ensure_ascii=False)
    with store.write(NOW) as writer:
        call_id = writer.identify([uniqueid], NOW)
        writer.save_call(call_id, state="ended", started_at=NOW, ended_at=NOW + 1, facts=facts)
    kept = store.call(call_id)
    assert kept is not None and kept.facts is not None
    assert CallRecord.from_dict(json.loads(kept.facts)).to_dict() == json.loads(sound(facts))


@given(src=ANY, dst=ANY, error=ANY)
def test_a_told_call_and_its_delivery_are_read_back(store: Store, src: str, dst: str, error: str) -> None:
    told = document(sound(src))
    told = replace(told, main=replace(told.main, dst=sound(dst)))
    with store.write(NOW) as writer:
        call_id = writer.identify([f"1700000000.{next(_UNIQUE)}"], NOW)
        assert writer.tell(call_id, told, to_json(told))
        delivery_id = writer.queue(new(call_id=call_id, body=sound(error)))
    kept = store.call(call_id)
    assert kept is not None and kept.document is not None
    assert from_json(kept.document) == told
    assert (kept.src, kept.dst) == (sound(src).replace("\0", "\ufffd"), sound(dst).replace("\0", "\ufffd"))
    assert delivery_id is not None
    delivery = store.delivery(delivery_id)
    assert delivery is not None and delivery.request is not None
    assert delivery.request.body == sound(error)


@given(clid=ANY, src=ANY, dst=ANY, accountcode=ANY, dstchannel=ANY, own=ANY)
def test_a_cdr_row_is_read_back_to_the_letter(
    store: Store, clid: str, src: str, dst: str, accountcode: str, dstchannel: str, own: str
) -> None:
    uniqueid = f"1700000000.{next(_UNIQUE)}"
    given_row = row(
        uniqueid,
        clid=clid,
        src=src,
        dst=dst,
        accountcode=accountcode,
        dstchannel=dstchannel,
        custom_field=own,
    )
    with store.write(NOW) as writer:
        call_id = writer.identify([uniqueid], NOW)
        assert writer.add_rows([given_row], call_id) == [given_row]
    with store.write(NOW) as writer:
        assert writer.add_rows([given_row], call_id) == [], "the same row twice"
    assert store.rows_of(call_id) == [given_row]
