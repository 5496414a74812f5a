"""Asterisk's side of an AGI conversation over real streams, for tests."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from vipex_bridge.agi.call import AgiCall
from vipex_bridge.lookup.result import LookupResult


def environment(
    script: str,
    *arguments: str,
    uniqueid: str = "100.1",
    number: str = "3642999425",
    dnid: str = "3642999408",
    extension: str = "3642999408",
) -> bytes:
    """What FastAGI says first; for a script of agi-bin, `script` is ''."""
    lines = [
        *([f"agi_network_script: {script}"] if script else []),
        f"agi_request: {f'agi://127.0.0.1/{script}' if script else 'vipex'}",
        "agi_channel: PJSIP/trunk-00000012",
        f"agi_uniqueid: {uniqueid}",
        "agi_version: 22.10.1",
        f"agi_callerid: {number}",
        "agi_calleridname: unknown",
        *(f"agi_calling{what}: 0" for what in ("pres", "ani2", "ton", "tns")),
        f"agi_dnid: {dnid}",
        "agi_rdnis: unknown",
        "agi_context: from-trunk",
        f"agi_extension: {extension}",
        "agi_priority: 1",
        "agi_enhanced: 0.0",
        "agi_accountcode: ",
        "agi_threadid: 140586735240896",
        *(f"agi_arg_{number}: {argument}" for number, argument in enumerate(arguments, 1)),
    ]
    return "\n".join(lines).encode() + b"\n\n"


@dataclass
class FakeAsterisk:
    """Substitutes and sets `variables`; keeps the names in the order in which they were set."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    variables: dict[str, str] = field(default_factory=lambda: {"CHANNEL(linkedid)": "100.0"})
    order: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    hang_up_before_replies: bool = False
    """Sends HANGUP between the replies, as when the caller leaves while variables are set."""

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def obey(self) -> None:
        """Replies to every command until the other side is done."""
        while line := await self.reader.readline():
            if self.hang_up_before_replies:
                await self.say(b"HANGUP\n")
            await self.say(self._reply(line.decode("utf-8", "surrogateescape")))
        self.writer.close()

    def _reply(self, line: str) -> bytes:
        lexer = shlex.shlex(line.rstrip("\n"), posix=True)
        lexer.whitespace_split, lexer.quotes, lexer.commenters = True, '"', ""
        words = list(lexer)
        self.commands.append(" ".join(words[:-1]))
        match words:
            case ["SET", "VARIABLE", name, value]:
                self.variables[name] = value
                self.order.append(name)
                return b"200 result=1\n"
            case ["GET", "FULL", "VARIABLE", expression]:
                value = re.sub(r"\$\{([^}]+)\}", lambda name: self.variables.get(name[1], ""), expression)
                return b"200 result=1 (" + value.encode("utf-8", "surrogateescape") + b")\n"
            case ["VERBOSE", _]:
                return b"200 result=1\n"
        return b"510 Invalid or unknown command\n"


@dataclass
class FakeHandler:
    """Answers with `result`, after `release` if there is one; raises `fault` if there is one."""

    result: LookupResult = field(default_factory=lambda: LookupResult("OK", 200, (("VIPEX_BRANCH", "vip"),)))
    status: str = "OK"
    release: asyncio.Event | None = None
    fault: Exception | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    was_cancelled: bool = False
    asked: list[tuple[AgiCall, str, Mapping[str, str]]] = field(default_factory=list)

    async def lookup(self, call: AgiCall, client: str, args: Mapping[str, str]) -> LookupResult:
        await self._work(call, client, args)
        return self.result

    def unavailable(self, client: str) -> LookupResult:
        return LookupResult("UNAVAILABLE", None, (("VIPEX_BRANCH", "default"),))

    async def notify(self, call: AgiCall, client: str, args: Mapping[str, str]) -> str:
        await self._work(call, client, args)
        return self.status

    async def _work(self, call: AgiCall, client: str, args: Mapping[str, str]) -> None:
        self.asked.append((call, client, args))
        self.started.set()
        try:
            if self.release is not None:
                await self.release.wait()
            if self.fault is not None:
                raise self.fault
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        finally:
            self.ended.set()
