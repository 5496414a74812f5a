"""What the telephones do in the cases that are played in more than one house: see docs/call-trees.md.

A house of another kind has other numbers, so each case is told with a cast.
"""

from __future__ import annotations

from dataclasses import dataclass

from phones import Phone, caller, extension

CODE_S = 0.2
"""Between two keys."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays a case: the outside number that calls in and what it dials, extensions, and a mobile."""

    dialled: str = ""
    first: str = "251"
    second: str = "252"
    third: str = "221"
    mobile: str = "36301112222"
    caller: str = "3642999425"
    port: int = 5060
    """The caller's, on the trunk's address; a mobile on the same trunk has the usual one."""
    trunk: str = "trunk"
    """Where the mobile is reached."""
    ringings: int = 1
    """How many times whoever calls an extension hears 180: twice where Asterisk says it too."""
    blind_code: str = "#1"
    refused: int = 404
    """What an extension is told of a call that the network refuses with 404."""

    def calls(self) -> Phone:
        """The caller dials."""
        return caller(self.caller, self.port).dials(self.dialled)

    def far_end(self) -> Phone:
        """The mobile."""
        return Phone(self.trunk, self.mobile)

    def consults(self, who: str, whom: str, after_s: float) -> Phone:
        """Somebody's second line, which calls a colleague who answers."""
        return extension(who, 5063).after(after_s).dials(whom).is_answered().waits(1).consulted()

    def consults_while_it_rings(self, who: str, whom: str) -> Phone:
        """Somebody's second line, which is joined before the colleague answers."""
        line = extension(who, 5063).after(3).dials(whom)
        for _ in range(self.ringings):
            line.hears_ringing()
        return line.waits(1).consulted()

    def takes_and_asks(self, whom: str) -> Phone:
        """The first takes the call and calls somebody by the feature code of attended transfers."""
        return presses_to(extension(self.first).rings(1).answers().waits(2), whom)

    def takes_and_parks(self) -> Phone:
        """The first takes the call and parks it by the feature code of blind transfers."""
        phone = extension(self.first).rings(1).answers().waits(1).presses(self.blind_code, CODE_S)
        return phone.waits(0.5).presses("700", CODE_S).waits_for_bye()


def presses_to(phone: Phone, whom: str) -> Phone:
    """Calls somebody by the feature code of attended transfers, out of a talk."""
    return phone.presses("*2", CODE_S).waits(1).presses(whom, CODE_S)


# -- inbound ------------------------------------------------------------------------------------


def menus_extension_and_queue(cast: Cast) -> list[Phone]:
    """Keys 1 and 2, then one rings for 4 s in vain, the second declines, the third answers after 8 s."""
    return [
        extension(cast.first).rings().is_cancelled(),
        extension(cast.second).refuses(),
        extension(cast.third).rings(8).answers().talks(4).hangs_up(),
        cast.calls().is_answered().waits(1).presses("1").waits(1).presses("2").waits_for_bye(),
    ]


def queue_rings_all_in_vain(cast: Cast) -> list[Phone]:
    return [
        extension(cast.second).rings().is_cancelled(),
        extension(cast.first).waits(0.3).rings().is_cancelled(),
        cast.calls().is_answered().waits_for_bye(),
    ]


def queue_tries_twice_in_vain(cast: Cast) -> list[Phone]:
    return [
        extension(cast.first).takes(2).rings().is_cancelled(),
        cast.calls().is_answered().waits(4).hangs_up(),
    ]


def queue_is_answered_at_the_second_try(cast: Cast) -> list[Phone]:
    return [
        extension(cast.first).rings().is_cancelled(),
        extension(cast.first).after(2.5).rings(1).answers().waits_for_bye(),
        cast.calls().is_answered().waits(5).hangs_up(),
    ]


# -- transfers ----------------------------------------------------------------------------------


def blind_transfer_comes_back(cast: Cast) -> list[Phone]:
    return [
        extension(cast.first).rings(1).answers().waits(2).transfers_to(cast.second),
        extension(cast.second).refuses(),
        extension(cast.first).after(5).rings(2).answers().waits_for_bye(),
        cast.calls().is_answered().waits(8).hangs_up(),
    ]


def blonde_by_feature_code(cast: Cast) -> list[Phone]:
    return [
        cast.takes_and_asks(cast.second).waits(5).hangs_up(),
        extension(cast.second).rings(7).answers().waits_for_bye(),
        cast.calls().is_answered().waits(13).hangs_up(),
    ]


def blonde_in_vain(cast: Cast) -> list[Phone]:
    other = cast.consults_while_it_rings(cast.first, cast.second)
    return [
        extension(cast.first).rings(1).answers().hands_over(other),
        other.is_refused(603),
        extension(cast.second).rings().is_cancelled(),
        cast.calls().is_answered().waits(6).hangs_up(),
    ]


def attended_transfer_cancelled(cast: Cast) -> list[Phone]:
    return [
        cast.takes_and_asks(cast.second).waits(5).presses("*0", CODE_S).waits(2).hangs_up(),
        extension(cast.second).rings(2).answers().waits_for_bye(),
        cast.calls().is_answered().waits_for_bye(),
    ]


def attended_transfer_to_one_who_is_busy(cast: Cast) -> list[Phone]:
    return [
        cast.takes_and_asks(cast.second).waits(5).hangs_up(),
        extension(cast.second).rings(1).refuses(),
        cast.calls().is_answered().waits_for_bye(),
    ]


def two_attended_transfers(cast: Cast) -> list[Phone]:
    first = cast.consults(cast.first, cast.second, 3)
    second = cast.consults(cast.second, cast.third, 7)
    return [
        extension(cast.first).rings(1).answers().hands_over(first),
        first.waits_for_bye(),
        extension(cast.second).rings(1).answers().hands_over(second),
        second.waits_for_bye(),
        extension(cast.third).rings(1).answers().waits_for_bye(),
        cast.calls().is_answered().waits(11).hangs_up(),
    ]


def attended_transfer_to_the_outside(cast: Cast) -> list[Phone]:
    return [
        cast.takes_and_asks(cast.mobile).waits(6).hangs_up(),
        cast.far_end().rings(1).answers().waits_for_bye(),
        cast.calls().is_answered().waits(15).hangs_up(),
    ]


# -- pickup and forwarding ----------------------------------------------------------------------


def pickup_by_feature_code(cast: Cast) -> list[Phone]:
    return [
        extension(cast.first).rings().is_cancelled(),
        cast.calls().is_answered().waits_for_bye(),
        extension(cast.second).after(3).dials("*8").is_answered().talks(3).hangs_up(),
    ]


def pickup_of_a_ring_group(cast: Cast) -> list[Phone]:
    return [
        extension(cast.first).rings().is_cancelled(),
        extension(cast.second).waits(0.3).rings().is_cancelled(),
        cast.calls().is_answered().waits_for_bye(),
        extension(cast.third).after(2).dials("*8").is_answered().talks(1).hangs_up(),
    ]


def pickup_of_a_queue_call(cast: Cast) -> list[Phone]:
    return [
        extension(cast.first).refuses(),
        extension(cast.second).rings().is_cancelled(),
        cast.calls().is_answered().waits_for_bye(),
        extension(cast.third).after(2).dials("*8").is_answered().talks(1).hangs_up(),
    ]


def colleague_takes_what_was_forwarded(cast: Cast) -> list[Phone]:
    return [
        extension(cast.second).rings(2).answers().waits_for_bye(),
        cast.calls().is_answered().talks(2).hangs_up(),
    ]


def mobile_takes_it_straight(cast: Cast) -> list[Phone]:
    return [
        cast.far_end().rings(1).answers().waits_for_bye(),
        cast.calls().is_answered().talks(2).hangs_up(),
    ]


def follow_me_to_a_colleague(cast: Cast) -> list[Phone]:
    return [
        extension(cast.first).rings().is_cancelled(),
        extension(cast.second).rings(1.8).answers().waits_for_bye(),
        cast.calls().is_answered().waits(4).hangs_up(),
    ]


def follow_me_to_a_mobile(cast: Cast) -> list[Phone]:
    return [
        extension(cast.first).rings().is_cancelled(),
        cast.far_end().rings(1.8).answers().waits_for_bye(),
        cast.calls().is_answered().waits(4).hangs_up(),
    ]


# -- parking, conference ------------------------------------------------------------------------


def parked_and_retrieved_by_the_same(cast: Cast) -> list[Phone]:
    return [
        cast.takes_and_parks(),
        cast.calls().is_answered().waits_for_bye(),
        extension(cast.first, 5063).after(6.2).dials("701").is_answered().talks(1).hangs_up(),
    ]


def parked_too_long(cast: Cast) -> list[Phone]:
    return [
        cast.takes_and_parks(),
        extension(cast.first).after(6.7).rings(2).answers().talks(1).hangs_up(),
        cast.calls().is_answered().waits_for_bye(),
    ]


def caller_leaves_while_parked(cast: Cast) -> list[Phone]:
    return [cast.takes_and_parks(), cast.calls().is_answered().waits(4).hangs_up()]


def conference_of_three(cast: Cast) -> list[Phone]:
    return [
        cast.calls().is_answered().waits(6).hangs_up(),
        extension(cast.first).after(1).dials("8100").is_answered().waits(3).hangs_up(),
        extension(cast.second).after(2).dials("8100").is_answered().waits(3).hangs_up(),
    ]


def three_talk_by_feature_code(cast: Cast) -> list[Phone]:
    asking = extension(cast.first).rings(1).answers().waits(1).presses("*2", CODE_S).waits(0.5)
    return [
        asking.presses(cast.second, CODE_S).waits(2.3).presses("*3", CODE_S).waits(2).hangs_up(),
        extension(cast.second).rings(1).answers().waits_for_bye(),
        cast.calls().is_answered().waits(10).hangs_up(),
    ]


# -- outbound -----------------------------------------------------------------------------------


def outbound_in_vain(cast: Cast) -> list[Phone]:
    return [
        cast.far_end().waits(1).rings().is_cancelled(),
        extension(cast.first).dials(cast.mobile).hears_ringing().waits(3).gives_up(),
    ]


def outbound_with_ringback_after_sound(cast: Cast) -> list[Phone]:
    far_end = cast.far_end().sends_early_media(1).rings(2)
    return [far_end.answers().waits_for_bye(), _dials_and_talks(cast, 1)]


def outbound_with_sound_alone(cast: Cast) -> list[Phone]:
    return [cast.far_end().sends_early_media(3).answers().waits_for_bye(), _dials_and_talks(cast, 1)]


def _dials_and_talks(cast: Cast, talk_s: int, port: int = 5060) -> Phone:
    return extension(cast.first, port).dials(cast.mobile).is_answered().talks(talk_s).hangs_up()


def outbound_to_an_announcement(cast: Cast) -> list[Phone]:
    return [
        cast.far_end().waits(1).sends_early_media(2).refuses("404 Not Found"),
        extension(cast.first).dials(cast.mobile).hears_early_media().is_refused(cast.refused),
    ]


def outbound_then_attended_transfer(cast: Cast) -> list[Phone]:
    other = cast.consults(cast.first, cast.second, 3)
    return [
        extension(cast.first).dials(cast.mobile).is_answered().hands_over(other),
        other.waits_for_bye(),
        extension(cast.second).rings(1).answers().waits_for_bye(),
        cast.far_end().rings(1).answers().talks(7).hangs_up(),
    ]


def internal_caller_is_sent_outside(cast: Cast) -> list[Phone]:
    return [
        extension(cast.first).dials(cast.second).is_answered().waits_for_bye(),
        extension(cast.second).rings(1).answers().waits(2).transfers_to(cast.mobile),
        cast.far_end().rings(2).answers().talks(2).hangs_up(),
    ]


def internal_called_one_is_sent_outside(cast: Cast) -> list[Phone]:
    return [
        extension(cast.second).dials(cast.first).is_answered().waits(2).transfers_to(cast.mobile),
        extension(cast.first).rings(1).answers().waits_for_bye(),
        cast.far_end().rings(2).answers().talks(2).hangs_up(),
    ]


def inbound_becomes_internal(cast: Cast) -> list[Phone]:
    asking = extension(cast.first).rings(1).answers().waits(1)
    return [
        presses_to(asking, cast.second).waits(4).hangs_up(),
        extension(cast.second).rings(1).answers().waits_for_bye(),
        cast.calls().is_answered().talks(5).hangs_up(),
    ]


def outbound_becomes_internal(cast: Cast) -> list[Phone]:
    asking = extension(cast.first).dials(cast.mobile).is_answered().waits(1)
    return [
        presses_to(asking, cast.second).waits(4).hangs_up(),
        extension(cast.second).rings(1).answers().waits_for_bye(),
        cast.far_end().rings(1).answers().talks(5).hangs_up(),
    ]


# -- placed by the PBX: `Originate` comes when these are up -------------------------------------


def click_to_one_who_is_busy(cast: Cast) -> list[Phone]:
    return [extension(cast.first).rings(1).answers().waits_for_bye(), cast.far_end().waits(1).refuses()]


def click_that_the_agent_declines(cast: Cast) -> list[Phone]:
    return [extension(cast.first).rings(1).refuses()]


def call_back(cast: Cast) -> list[Phone]:
    return [
        cast.far_end().rings(2).answers().talks(5).hangs_up(),
        extension(cast.first).rings(1).answers().waits_for_bye(),
    ]


def call_back_not_taken(cast: Cast) -> list[Phone]:
    return [cast.far_end().rings(2).refuses()]


# -- the same second ----------------------------------------------------------------------------


def one_number_calls_twice(cast: Cast) -> list[Phone]:
    return [
        extension(cast.first).takes(2).rings(2).answers().waits_for_bye(),
        cast.calls().is_answered().talks(1).hangs_up(),
        caller(cast.caller, cast.port + 2).dials(cast.dialled).is_answered().talks(2).hangs_up(),
    ]


def one_mobile_is_called_twice(cast: Cast) -> list[Phone]:
    return [
        cast.far_end().takes(2).rings(2).answers().waits_for_bye(),
        _dials_and_talks(cast, 1),
        _dials_and_talks(cast, 2, port=5063),
    ]


def two_colleagues_and_a_caller(cast: Cast) -> list[Phone]:
    return [
        extension(cast.first).takes(3).rings(2).answers().waits_for_bye(),
        extension(cast.second).dials(cast.first).is_answered().talks(1).hangs_up(),
        extension(cast.third).dials(cast.first).is_answered().talks(1).hangs_up(),
        cast.calls().is_answered().talks(2).hangs_up(),
    ]
