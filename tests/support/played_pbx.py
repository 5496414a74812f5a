"""A telephone exchange that is played: calls come and go, told truthfully by AMI and written to the CDR."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cdr_file import make_table, write_row
from fake_ami import Channel, FakeAmi, channel, event

DID = "3642999408"


@dataclass
class PlayedCall:
    """One call from outside: it rings at an extension, which answers it or does not."""

    number: int
    is_answered: bool
    started_at: float
    uniqueid: str
    """The caller's channel's."""
    answered_at: float | None = None
    ended_at: float | None = None
    has_row: bool = True
    """Whether Asterisk came to writing its CDR row."""

    @property
    def caller(self) -> str:
        return f"3630{self.number:07d}"


class PlayedPbx:
    """The exchange, in a thread of its own, while entered. Calls come at `per_s` from `begin` to `quiet`."""

    def __init__(self, folder: Path, *, per_s: float = 10.0, seed: int = 0, callers_from: int = 0) -> None:
        """`callers_from`: beside others, so that no caller calls two of them."""
        self.ami = FakeAmi()
        self.ami.only_to_logged_in = True
        self.master = folder / "master.db"
        self.calls: list[PlayedCall] = []
        self._per_s = per_s
        self._callers_from = callers_from
        self._chances = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="played-pbx")
        self._coming: asyncio.Task[None] | None = None
        self._speaking = 0
        """How many calls are telling of a step of theirs, and have not told all of it."""
        self._all_said = asyncio.Event()
        make_table(self.master)

    def __enter__(self) -> Self:
        self._thread.start()
        self.do(self.ami.start())
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Has something done in the exchange's thread, and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def begin(self) -> None:
        """Calls come from now on."""

        async def beginning() -> None:
            self._coming = asyncio.create_task(self._come())

        self.do(beginning())

    def quiet(self) -> None:
        """No more calls come; waits until those that are on have ended and have their rows."""

        async def quieting() -> None:
            assert self._coming is not None
            self._coming.cancel()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*(t for t in others if t.get_name() == "call"), return_exceptions=True)

        self.do(quieting())

    def burst(self, calls: int) -> None:
        """So many calls, all at the same moment; returns when all have ended."""

        async def bursting() -> None:
            await asyncio.gather(*(self._call() for _ in range(calls)))

        self.do(bursting())

    def going_on(self) -> list[PlayedCall]:
        """The calls that have not ended yet."""
        return [call for call in list(self.calls) if call.ended_at is None]

    def crash(self) -> list[PlayedCall]:
        """Asterisk is killed and started again: the calls that were on, which have no row."""

        async def crashing() -> list[PlayedCall]:
            assert self._coming is not None
            self._coming.cancel()
            while self._speaking:
                await self._all_said.wait()
            on = self.going_on()
            for task in asyncio.all_tasks():
                if task.get_name() == "call":
                    task.cancel()
            for call in on:
                call.is_answered = call.answered_at is not None
                call.ended_at, call.has_row = time.time(), False
            self.ami.channels.clear()
            self.ami.started = (self.ami.started[0], datetime.now(UTC).strftime("%H:%M:%S"))
            self.ami.cut()
            self._coming = asyncio.create_task(self._come())
            return on

        return list(self.do(crashing()))

    def cut(self) -> None:
        """Cuts the manager connections, as a network that went away."""
        self._loop.call_soon_threadsafe(self.ami.cut)

    async def _stop(self) -> None:
        others = [task for task in asyncio.all_tasks() if task.get_name() in ("call", "coming")]
        for task in [*others, *([self._coming] if self._coming is not None else [])]:
            task.cancel()
        await self.ami.stop()

    async def _come(self) -> None:
        under_way = set()
        while True:
            call = asyncio.create_task(self._call(), name="call")
            under_way.add(call)
            call.add_done_callback(under_way.discard)
            await asyncio.sleep(self._chances.expovariate(self._per_s))

    async def _call(self) -> None:
        started = time.time()
        number = self._callers_from + len(self.calls) + 1
        # As Asterisk makes them: the second of the channel's creation, and a number that grows.
        ids = [f"{int(started)}.{2 * number + half}" for half in (0, 1)]
        call = PlayedCall(number, self._chances.random() < 0.7, started, ids[0])
        self.calls.append(call)
        outside = channel(2 * call.number, Uniqueid=ids[0], Linkedid=ids[0], CallerIDNum=call.caller)
        exten = str(200 + self._chances.randrange(50))
        inside = channel(
            0, Channel=f"PJSIP/{exten}-{call.number:08x}", CallerIDNum=exten, Uniqueid=ids[1], Linkedid=ids[0]
        )
        with self._step():
            await self._changes(outside, "4", "Newchannel")
            await self._changes(inside, "0", "Newchannel")
            await self.ami.play(event("DialBegin", outside | _dest(inside)))
            await self._changes(inside, "5", "Newstate")
            await self.ami.play(event("DialState", outside | _dest(inside), DialStatus="RINGING"))
        await asyncio.sleep(self._chances.uniform(0.1, 0.6))
        if call.is_answered:
            await self._talk(call, outside, inside)
        with self._step():
            if not call.is_answered:
                await self.ami.play(event("DialEnd", outside | _dest(inside), DialStatus="CANCEL"))
            for half in (inside, outside):
                self.ami.channels.remove(half)
                # When it is said, which in a burst may be long before the other side has read it.
                ended = call.ended_at = time.time()
                await self.ami.play(event("Hangup", half, Cause="16"))
        await asyncio.to_thread(self._write, call, outside, inside, started, ended)

    async def _talk(self, call: PlayedCall, outside: Channel, inside: Channel) -> None:
        bridge = {"BridgeUniqueid": f"bridge-{call.number}", "BridgeType": "basic"}
        with self._step():
            await self._changes(inside, "6", "Newstate")
            await self.ami.play(event("DialEnd", outside | _dest(inside), DialStatus="ANSWER"))
            await self._changes(outside, "6", "Newstate")
            for half in (inside, outside):
                half["BridgeId"] = bridge["BridgeUniqueid"]
                call.answered_at = time.time()
                await self.ami.play(event("BridgeEnter", half | bridge, BridgeTechnology="simple_bridge"))
        await asyncio.sleep(self._chances.uniform(0.1, 0.6))
        with self._step():
            for half in (outside, inside):
                half["BridgeId"] = ""
                await self.ami.play(event("BridgeLeave", half | bridge))

    @contextmanager
    def _step(self) -> Iterator[None]:
        self._speaking += 1
        self._all_said.clear()
        yield
        self._speaking -= 1
        if not self._speaking:
            self._all_said.set()

    async def _changes(self, about: Channel, state: str, name: str) -> None:
        about["ChannelState"] = state
        if about not in self.ami.channels:
            self.ami.channels.append(about)
        await self.ami.play(event(name, about))

    def _write(
        self, call: PlayedCall, outside: Channel, inside: Channel, started: float, ended: float
    ) -> None:
        answered = call.answered_at
        row = {
            "start": _text(started), "answer": _text(answered), "end": _text(ended), "src": call.caller,
            "dst": DID, "dcontext": "from-trunk", "channel": outside["Channel"],
            "dstchannel": inside["Channel"], "lastapp": "Dial", "duration": round(ended - started),
            "billsec": round(ended - answered) if answered else 0,
            "disposition": "ANSWERED" if answered else "NO ANSWER", "uniqueid": outside["Uniqueid"],
            "linkedid": outside["Uniqueid"], "sequence": call.number,
        }  # fmt: skip
        write_row(self.master, row)


def _dest(about: Channel) -> Channel:
    return {f"Dest{name}": value for name, value in about.items()}


def _text(at: float | None) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") if at is not None else ""
