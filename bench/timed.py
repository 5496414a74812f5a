"""What a priority of the dialplan takes, by Asterisk's own clock: one way beside another, in turn."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from loaded_house import BenchError, Calls, House, call, listening

MODULES = ("app_userevent", "res_curl", "func_curl")
EXTEN = "3642999501"
NOW = "${STRFTIME(,,%s.%6q)}"
OFTEN = 0.018
"""Seconds between two of 50 callers who are spread over a second."""


def in_turn(first: tuple[str, str, str], second: tuple[str, str, str], exten: str = EXTEN) -> str:
    """A call does one of two things as its first step, by its number's last digit; then it is over.

    Each is a name, what is done, and what tells afterwards that it was.
    """
    return (
        f"exten => {exten},1,GotoIf($[${{CALLERID(num):-1}} % 2]?second)\n"
        f"{_timed(*first)}{_over()} same => n(second),NoOp()\n{_timed(*second)}{_over()}"
    )


def by_seconds(first: tuple[str, str, str], second: tuple[str, str, str], rounds: int, apart_s: float) -> str:
    """All calls do the first in even seconds, the second in odd ones, each `apart_s` after the one before."""
    return (
        f"exten => {EXTEN},1,Answer()\n"
        " same => n,Set(ROUND=0)\n"
        " same => n(next),Set(ROUND=$[${ROUND} + 1])\n"
        # A little after the full second: waiting goes by whole milliseconds.
        f" same => n,Wait($[1.005 - 0.${{STRFTIME(,,%6q)}} + ${{CALLERID(num):-2}} * {apart_s}])\n"
        " same => n,GotoIf($[${EPOCH} % 2]?second)\n"
        f"{_timed(*first)} same => n,Goto(done)\n"
        f" same => n(second),NoOp()\n{_timed(*second)}"
        f" same => n(done),GotoIf($[${{ROUND}} < {rounds}]?next)\n"
        " same => n,Hangup()\n"
    )


def _timed(way: str, what: str, got: str) -> str:
    return (
        f" same => n,Set(BEGUN={NOW})\n same => n,{what}\n same => n,Set(ENDED={NOW})\n"
        f" same => n,UserEvent(Timed,Way: {way},Begun: ${{BEGUN}},Ended: ${{ENDED}},Got: {got})\n"
    )


def _over() -> str:
    return " same => n,Answer()\n same => n,Hangup()\n"


def times(everything: House, calls: Calls, rounds: int, wanted: Mapping[str, str]) -> dict[str, list[float]]:
    """The calls are made; the seconds that each way took. `wanted`: what each way's `Got` must be.

    Raises BenchError when one was not done, or did not get it.
    """
    with listening(everything.asterisk) as heard:
        call(everything.asterisk, calls)
        told = heard.those("UserEvent", "Timed", calls.count * rounds)
    if len(told) < calls.count * rounds:
        raise BenchError(f"{len(told)} of {calls.count * rounds} were timed")
    bad = [event for event in told if event["Got"] != wanted[event["Way"]]]
    if bad:
        raise BenchError(f"{len(bad)} of {len(told)} went wrong, such as {bad[0]}")
    took: dict[str, list[float]] = defaultdict(list)
    for event in told:
        took[event["Way"]].append(float(event["Ended"]) - float(event["Begun"]))
    return took
