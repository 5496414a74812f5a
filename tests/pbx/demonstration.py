"""The demonstration: the client documentation's two example calls, placed for real, shown as they arrive."""

from __future__ import annotations

import sys
import threading
import time

from cases import Cast, menus_extension_and_queue
from house import CLIENTS, House
from phones import Phone, extension, line
from playing import play

from vipex_bridge.receive.checked import checked
from vipex_bridge.receive.show import ReceivedRequest, show


def inbound_example() -> list[Phone]:
    """IVR keys 1 and 2, then 200 rings for 4 s in vain, 221 declines, 251 answers after 8 s and talks 4 s."""
    return menus_extension_and_queue(Cast("3642999408", "200", "221", "251"))


def outgoing_example() -> list[Phone]:
    """1102 gives PIN 1111 (private); set-up takes a while, the far end rings 2 s, 3 s of talk."""
    return [
        line("36301234576").waits(3).rings(2).answers().waits_for_bye(),
        extension("1102").dials("*936301234576").is_answered().waits(1).presses("1111").waits(8).hangs_up(),
    ]


def demonstrate(*, stay: bool) -> int:
    """Plays both calls; 0 when each was told. `stay` keeps everything up until Ctrl-C."""
    printing = threading.Lock()

    def say(text: str) -> None:
        with printing:
            print(text, flush=True)

    def tell(request: ReceivedRequest) -> None:
        say(show(request, schema=checked(request)))

    say("Starting Asterisk, the bridge and a receiving server...")
    began = time.monotonic()
    with House(on_request=tell, clients=CLIENTS) as house:
        say(f"All up after {time.monotonic() - began:.1f} s. Requests go to {house.receiver.url}\n")
        say("CALL 1, inbound: 3642999425 calls 3642999408, presses 1 and 2; 200 does not answer,")
        say("        221 of queue 18 declines, 251 answers and talks for 4 s.\n")
        play(house.asterisk, inbound_example())
        house.documents(1)
        say("CALL 2, outgoing: 1102 calls 36301234576 with a private PIN; it rings for 2 s.\n")
        play(house.asterisk, outgoing_example())
        house.documents(2)
        say("Both calls have been told: a lookup routed the caller, notifications came while it rang and")
        say("was answered, and each whole call came afterwards.")
        if stay:
            say(_where(house))
            _until_interrupted()
    return 0


def _where(house: House) -> str:
    config = f"--config {house.bridge.config}"
    return (
        f"\nEverything stays up until Ctrl-C. The bridge: vipex-bridge calls {config}\n"
        f"                                              vipex-bridge deliveries {config}\n"
        f"Asterisk: SIP 127.0.0.1:{house.asterisk.ports.sip}, its files in {house.asterisk.folder}"
    )


def _until_interrupted() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print(file=sys.stderr)
