"""One conversation with the dialplan: context, the handler's work, variables. The call always goes on."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable

import structlog

from vipex_bridge.agi.call import CONTEXT_EXPRESSION, AgiCall, Handler, agi_call, client_and_args
from vipex_bridge.agi.conversation import Environment, encode_get_full_variable, encode_set_variable
from vipex_bridge.agi.peer import Peer
from vipex_bridge.errors import AgiError
from vipex_bridge.lookup.result import LookupResult

FORGED = "somebody's number or name has a line break in it, and lines of its own after that"


class Dialogue:
    """What one `AGI()` of the dialplan asks for. Faults are logged with the channel's uniqueid."""

    def __init__(self, peer: Peer, environment: Environment, handler: Handler) -> None:
        self._peer = peer
        self._environment = environment
        self._handler = handler
        self._client, self._args = client_and_args(environment)
        self._working: asyncio.Task[LookupResult] | None = None
        self._log = structlog.get_logger().bind(
            uniqueid=environment.fields.get("agi_uniqueid", ""),
            script=environment.script,
            client=self._client,
        )

    async def run(self) -> None:
        """Does what is asked. A caller who hangs up, or a peer that breaks off, ends it quietly."""
        try:
            match self._environment.script:
                case _ if not self._environment.is_sound:
                    self._log.warning("agi.environment_refused", reason=FORGED)
                    await self._set([("VIPEX_HTTP_CODE", ""), ("VIPEX_STATUS", "UNAVAILABLE")])
                case "lookup":
                    await self._lookup()
                case "notify":
                    await self._notify()
                case _:
                    self._log.warning("agi.unknown_script", known="lookup, notify")
                    await self._set([("VIPEX_STATUS", "NOCLIENT")])
        except AgiError as error:
            self._log.info("agi.broken_off", hung_up=self._peer.hung_up, reason=str(error))

    def abandon(self) -> None:
        """Ends a lookup that is under way as UNAVAILABLE: the bridge stops."""
        if self._working is not None:
            self._working.cancel()

    async def _lookup(self) -> None:
        call = await self._call()
        result = await self._result(call) or self._handler.unavailable(self._client)
        code = "" if result.http_code is None else str(result.http_code)
        await self._set([*result.variables, ("VIPEX_HTTP_CODE", code), ("VIPEX_STATUS", result.status)])

    async def _result(self, call: AgiCall) -> LookupResult | None:
        """The handler's result; None when it failed or was abandoned. Raises AgiError on a hang-up."""
        if self._peer.hung_up:
            raise AgiError("the caller hung up before the lookup")
        self._working = working = asyncio.ensure_future(self._handler.lookup(call, self._client, self._args))
        watch = asyncio.create_task(self._peer.gone())
        try:
            await asyncio.wait({working, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await watch
                raise AgiError("the caller hung up during the lookup")
        finally:
            watch.cancel()
            working.cancel()
            await asyncio.gather(working, watch, return_exceptions=True)
        if working.cancelled():
            self._log.warning("agi.lookup_abandoned", reason="the bridge stops")
            return None
        if (fault := working.exception()) is not None:
            self._log.error("agi.lookup_failed", exc_info=fault)
            return None
        return working.result()

    async def _notify(self) -> None:
        call = await self._call()
        try:
            status = await self._handler.notify(call, self._client, self._args)
        except Exception as fault:  # noqa: BLE001 -- whatever it is, the call goes on
            self._log.error("agi.notify_failed", exc_info=fault)
            status = "UNAVAILABLE"
        await self._set([("VIPEX_STATUS", status)])

    async def _call(self) -> AgiCall:
        # A reply that a caller wrote into his own data cannot know this.
        token = secrets.token_hex(8)
        reply = await self._peer.ask(encode_get_full_variable(token + CONTEXT_EXPRESSION))
        value = reply.value or ""
        return agi_call(self._environment, value.removeprefix(token) if value.startswith(token) else "")

    async def _set(self, variables: Iterable[tuple[str, str]]) -> None:
        """Sets each in turn; one that Asterisk could misread is set empty, or left alone, and logged."""
        for name, value in variables:
            try:
                command = encode_set_variable(name, value)
            except AgiError as error:
                self._log.warning("agi.value_refused", variable=name, reason=str(error))
                command = _emptied(name)
            if command and (reply := await self._peer.ask(command)).code != 200:
                self._log.warning("agi.set_variable_refused", variable=name, code=reply.code)


def _emptied(name: str) -> bytes:
    try:
        return encode_set_variable(name, "")
    except AgiError:
        return b""
