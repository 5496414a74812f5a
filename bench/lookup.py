"""P4: from `AGI(agi://.../lookup)` to the next priority, against `CURL()` with the same request.

    .venv/bin/python bench/lookup.py [--calls 400] [--rounds 40]

By Asterisk's own clock, in microseconds, read in the dialplan before and after. Each of `calls` calls, none
beside another, does one of the two as its first step, in turn. Then 50 calls ask in the same instant, by AGI
in even seconds and by CURL in odd ones, for so many `rounds`; then the same with the 50 spread over a second.
Each against a server that answers at once, and against one that does so after 20 ms.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from figures import Figure, add_arguments, tell
from loaded_house import AGI_URL, Calls, house, lookup, ms, percentile
from receiver import ANSWER
from timed import EXTEN, MODULES, OFTEN, by_seconds, in_turn, times

CLIENTS = "".join(
    lookup(name, f"/{name}") + "    query: 'src={{ src }}&dst={{ dst }}'\n" for name in ("quick", "slow")
)
WANTED = {"agi": "OK", "curl": str(len(ANSWER))}
P50_GOAL, P99_GOAL, MORE_S = 1.15, 1.5, 0.003
WARM_UP_CALLS = 20
AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Shape:
    """How the calls come."""

    what: str
    apart_s: float | None
    """Between two of 50; None: one after the other."""


SHAPES = (
    Shape("one at a time", None),
    Shape("50 in the same instant", 0.0),
    Shape("50 callers spread over a second", OFTEN),
)


def measure(shape: Shape, server: str, calls: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each AGI() and each CURL()."""
    agi = ("agi", f"AGI({AGI_URL}/lookup,{server})", "${VIPEX_STATUS}")
    url = f"${{SERVER}}/{server}?src=${{CALLERID(num)}}&dst=${{EXTEN}}"
    curl = ("curl", f"Set(ANSWER=${{CURL({url})}})", "${LEN(${ANSWER})}")
    steps = in_turn(agi, curl) if shape.apart_s is None else by_seconds(agi, curl, rounds, shape.apart_s)
    with house(CLIENTS, f"[from-trunk](+)\n{steps}", MODULES) as everything:
        everything.asterisk.cli(f"dialplan set global SERVER {everything.receiver.url('')}")
        if shape.apart_s is not None:
            # All of them are there within a second.
            wanted = Calls(AT_ONCE, 50, "363020", EXTEN, answered_by=None, within_s=rounds + 30)
            return times(everything, wanted, rounds, WANTED)
        times(everything, Calls(WARM_UP_CALLS, 10, "36301", EXTEN, answered_by=None), 1, WANTED)
        return times(everything, Calls(calls, 10, "36302", EXTEN, answered_by=None), 1, WANTED)


def figures(shape: Shape, server: str, took: dict[str, list[float]]) -> list[Figure]:
    """The rows of one run."""
    found = []
    for hundredth in (50, 99):
        ours, theirs = (percentile(took[way], hundredth) for way in ("agi", "curl"))
        answer, goal, is_met = "an answer after 20 ms", "", None
        if server == "slow":
            most = P50_GOAL if hundredth == 50 else P99_GOAL
            goal, is_met = f"<= {most:g} x", ours <= most * theirs
        else:
            answer = "an answer at once"
            if hundredth == 50:
                goal, is_met = f"<= {ms(MORE_S)} more", ours - theirs <= MORE_S
        found.append(
            Figure(
                "P4", f"lookup, {answer}, {shape.what}, p{hundredth}", ms(ours), f"CURL() {ms(theirs)}",
                ours / theirs, goal or "none", is_met,
                f"{ms(ours - theirs)} more" if server == "quick" else "",
            )
        )  # fmt: skip
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="a lookup by AGI against CURL()")
    parser.add_argument("--calls", type=int, default=400, help="one at a time, half of them by AGI")
    parser.add_argument("--rounds", type=int, default=40, help="of 50 calls, half of them by AGI")
    add_arguments(parser)
    options = parser.parse_args()
    if options.short:
        # Two shapes are enough to see that it works.
        tell(figures(SHAPES[0], "quick", measure(SHAPES[0], "quick", 20, 0)), options)
        tell(figures(SHAPES[1], "slow", measure(SHAPES[1], "slow", 0, 3)), options)
        return
    for shape in SHAPES:
        for server in ("quick", "slow"):
            took = measure(shape, server, options.calls, options.rounds)
            tell(figures(shape, server, took), options)


if __name__ == "__main__":
    main()
