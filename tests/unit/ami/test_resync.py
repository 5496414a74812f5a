"""After a log-in: where ServerStarted and LiveChannels stand among the events, and what they hold."""

from __future__ import annotations

import pytest
from whole_channel import whole_channel

from vipex_bridge.ami.framing import Message
from vipex_bridge.ami.resync import Refusal, Resync
from vipex_bridge.ami.session import retry_delay_s
from vipex_bridge.calls import events as ev

ARRIVAL = 1000.0


def about(event: str, uniqueid: str, **headers: str) -> Message:
    own = {"event": event, **whole_channel(f"PJSIP/{uniqueid}", uniqueid), **headers}
    return Message(own.items())


def answer(action_id: str, response: str = "Success", **headers: str) -> Message:
    return Message([("response", response), ("actionid", action_id), *headers.items()])


def status(date: str = "2026-11-23", clock: str = "04:00:00") -> Message:
    return answer("s", corestartupdate=date, corestartuptime=clock)


def row(uniqueid: str, bridge: str = "") -> Message:
    return about("CoreShowChannel", uniqueid, actionid="c", bridgeid=bridge)


def kind(bridge: str, technology: str = "simple_bridge") -> Message:
    """A row of BridgeList."""
    headers = {"bridgeuniqueid": bridge, "bridgetype": "basic", "bridgetechnology": technology}
    return Message([("event", "BridgeListItem"), ("actionid", "b"), *headers.items()])


def moved(event: str, uniqueid: str, bridge: str) -> Message:
    return about(event, uniqueid, bridgeuniqueid=bridge, bridgetype="basic", bridgetechnology="softmix")


LIST_BEGINS = answer("c", eventlist="start")
LIST_ENDS = Message([("event", "CoreShowChannelsComplete"), ("actionid", "c")])
PONG = answer("p", ping="Pong", timestamp="1500.0")


def told(resync: Resync, *messages: Message) -> list[str]:
    """The events as words: kind and channels."""
    words = []
    for message in messages:
        for event in resync.take(message, ARRIVAL):
            if isinstance(event, ev.LiveChannels):
                words.append("live " + ",".join(channel.uniqueid for channel in event.channels))
            elif isinstance(event, ev.NewChannel | ev.HungUp):
                words.append(f"{type(event).__name__} {event.channel.uniqueid}")
            else:
                words.append(type(event).__name__)
    return words


@pytest.fixture
def resync() -> Resync:
    resync = Resync("")
    resync.expect("s", "c")
    resync.expect_pong("p")
    return resync


def test_events_wait_for_the_status_and_the_list_stands_where_it_ends(resync: Resync) -> None:
    assert told(resync, about("Newchannel", "1")) == []
    assert told(resync, status()) == ["NewChannel 1"]
    assert told(resync, about("Newchannel", "2"), LIST_BEGINS, row("1"), row("0")) == ["NewChannel 2"]
    assert told(resync, LIST_ENDS, about("Hangup", "0")) == ["live 1,2,0", "HungUp 0"]


def bridges(*messages: Message) -> dict[tuple[str, str], tuple[str, ...]]:
    """Who is in which bridge, of which technology, by the list that these messages complete."""
    resync = Resync("")
    resync.expect("s", "c", "b")
    events = [event for message in (status(), *messages) for event in resync.take(message, ARRIVAL)]
    (live,) = [event for event in events if isinstance(event, ev.LiveChannels)]
    return {(found.bridge, found.technology): found.channels for found in live.bridges}


def test_the_list_says_who_is_in_which_bridge() -> None:
    rows = [row("1", "talk"), row("2", "talk"), row("3"), row("4", "lot")]
    assert bridges(kind("talk"), kind("lot", "holding_bridge"), LIST_BEGINS, *rows, LIST_ENDS) == {
        ("talk", "simple_bridge"): ("1", "2"),
        ("lot", "holding_bridge"): ("4",),
    }


def test_who_changes_bridges_during_the_list_is_where_they_went() -> None:
    moves = [moved("BridgeLeave", "1", "talk"), moved("BridgeEnter", "1", "room")]
    assert bridges(kind("talk"), LIST_BEGINS, row("1", "talk"), row("2", "talk"), *moves, LIST_ENDS) == {
        ("room", "softmix"): ("1",),
        ("talk", "simple_bridge"): ("2",),
    }


def test_who_leaves_a_bridge_or_hangs_up_during_the_list_is_in_none() -> None:
    gone = [moved("BridgeLeave", "1", "talk"), about("Hangup", "2")]
    rows = [row("1", "talk"), row("2", "talk"), row("3", "talk")]
    assert bridges(kind("talk"), LIST_BEGINS, *rows, *gone, LIST_ENDS) == {("talk", "simple_bridge"): ("3",)}


def test_who_left_before_their_row_came_is_in_none() -> None:
    assert (
        bridges(moved("BridgeEnter", "1", "room"), moved("BridgeLeave", "1", "room"), row("1"), LIST_ENDS)
        == {}
    )


def test_a_bridge_of_which_nothing_is_known_is_not_told() -> None:
    assert bridges(kind("talk"), LIST_BEGINS, row("1", "unheard-of"), LIST_ENDS) == {}


def test_a_refused_list_of_bridges_is_kept_for_the_log_and_the_channels_are_told() -> None:
    resync = Resync("")
    resync.expect("s", "c", "b")
    no = answer("b", "Error", message="Permission denied")
    assert told(resync, status(), no, LIST_BEGINS, row("1", "talk"), LIST_ENDS) == ["live 1"]
    assert resync.refusals == [Refusal("BridgeList", "Permission denied")]


def test_a_server_that_has_booted_meanwhile_is_known_and_not_told_again() -> None:
    resync = Resync("2026-11-23 04:00:00")
    resync.expect("s", "c")
    assert told(resync, status("1970-01-01", "01:00:00")) == ["ServerStarted"]
    assert resync.is_booting
    resync.ask_again("s2")
    ready = answer("s2", corestartupdate="2026-11-23", corestartuptime="05:00:00")
    assert told(resync, ready) == []
    assert (resync.is_booting, resync.started) == (False, "2026-11-23 05:00:00")


def test_a_channel_hung_up_during_the_list_is_not_listed(resync: Resync) -> None:
    told(resync, status(), LIST_BEGINS, row("1"), row("2"))
    assert told(resync, about("Hangup", "1"), LIST_ENDS) == ["HungUp 1", "live 2"]


def test_a_channel_created_during_the_list_is_listed_unless_it_hung_up_again(resync: Resync) -> None:
    told(
        resync,
        status(),
        LIST_BEGINS,
        about("Newchannel", "7"),
        about("Newchannel", "8"),
        about("Hangup", "8"),
    )
    assert told(resync, LIST_ENDS) == ["live 7"]


def test_a_server_that_started_anew_is_told_before_anything_else() -> None:
    resync = Resync("2026-11-23 04:00:00")
    resync.expect("s", "c")
    assert told(resync, about("Newchannel", "1")) == []
    assert told(resync, status(clock="05:00:00")) == ["ServerStarted", "NewChannel 1"]
    assert resync.started == "2026-11-23 05:00:00"


def test_the_same_server_is_not_told() -> None:
    resync = Resync("2026-11-23 04:00:00")
    resync.expect("s", "c")
    assert told(resync, status()) == []


def test_a_server_still_booting_has_started_anew_once() -> None:
    resync = Resync("2026-11-23 04:00:00")
    resync.expect("s", "c")
    assert told(resync, status("1970-01-01", "01:00:00")) == ["ServerStarted"]
    later = Resync(resync.started)
    later.expect("s", "c")
    assert told(later, status(clock="05:00:00")) == []


def test_refusals_are_kept_for_the_log_and_events_flow(resync: Resync) -> None:
    no = {"response": "Error", "message": "Permission denied"}
    assert told(resync, about("Newchannel", "1"), answer("s", **no), answer("c", **no)) == ["NewChannel 1"]
    assert told(resync, about("Hangup", "1")) == ["HungUp 1"]
    assert resync.refusals == [
        Refusal("CoreStatus", "Permission denied"),
        Refusal("CoreShowChannels", "Permission denied"),
    ]


def test_a_pong_ends_the_waiting_for_answers_that_will_not_come(resync: Resync) -> None:
    assert told(resync, about("Newchannel", "1"), PONG) == ["NewChannel 1"]
    assert [refusal.reason for refusal in resync.refusals] == ["no answer", "no answer"]


def test_the_pong_before_the_questions_releases_nothing() -> None:
    resync = Resync("")
    resync.expect_pong("p")
    assert told(resync, about("Newchannel", "1"), PONG) == []


@pytest.mark.parametrize("action_id", ["", "q", None])
def test_a_pong_that_a_caller_wrote_is_not_believed(resync: Resync, action_id: str | None) -> None:
    """A number with a blank line in it ends its event; what follows is the caller's, but not the ActionID."""
    own = [] if action_id is None else [("actionid", action_id)]
    forged = Message([("response", "Success"), *own, ("ping", "Pong"), ("timestamp", "9.0")])
    assert told(resync, about("Newchannel", "1"), forged) == []
    assert resync.clock_offset_s == 0.0
    assert told(resync, status()) == ["NewChannel 1"]


def test_what_has_no_timestamp_is_timed_by_asterisks_clock(resync: Resync) -> None:
    told(resync, PONG)
    (event,) = resync.take(about("Hangup", "1"), 2000.0)
    assert event.at == 2500.0
    assert resync.lacks_timestamps


def test_rows_and_events_that_cannot_be_read_are_kept_for_the_log(resync: Resync) -> None:
    bad_row = Message([("event", "CoreShowChannel"), ("actionid", "c")])
    # Whose row it was nobody knows, so nobody is said to be gone: the list is asked for again.
    assert told(resync, status(), LIST_BEGINS, bad_row, row("1"), LIST_ENDS) == []
    wanted = [resync.wants_list]
    resync.list_again("c")
    wanted.append(resync.wants_list)
    assert told(resync, LIST_BEGINS, row("1"), LIST_ENDS) == ["live 1"]
    assert [*wanted, resync.wants_list] == [True, False, False]
    assert told(resync, Message([("event", "Hangup")]), about("Hangup", "1")) == ["HungUp 1"]
    assert len(resync.malformed) == 2


def test_an_event_with_a_foreign_action_id_is_an_event(resync: Resync) -> None:
    told(resync, status())
    assert told(resync, about("Newchannel", "1", actionid="other")) == ["NewChannel 1"]


def test_pauses_double_up_to_the_longest() -> None:
    delays = [retry_delay_s(failures, 1.0, 60.0) for failures in range(8)]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    assert retry_delay_s(10**6, 1.0, 60.0) == 60
