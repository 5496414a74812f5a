"""One connection to Asterisk's manager interface: actions and their answers, and what it sends by itself.

The only module that imports panoramisk. Taken from it: actions, their ids, their serialisation and the
matching of answers to them (`AMIProtocol`, `Action`). Not taken, because it loses data or cannot be
stopped: its framing, its dispatch by pattern, and its `Manager`, which reconnects after `close()`,
sends pending actions again, waits for FullyBooted (an event that needs a permission) and never misses a Pong.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message as Answer

from vipex_bridge.ami.framing import Framer, Message
from vipex_bridge.config.settings import Ami
from vipex_bridge.errors import AmiError

EVENT_MASK = "system,call,agent,dialplan"
"""The classes of events that are asked for: what is not needed is not even sent."""


class LoginRefused(AmiError):
    """Asterisk answered the log-in, and the answer was no."""


class Link(AMIProtocol):  # type: ignore[misc]  # panoramisk has no types
    """One connection. `on_read` gets all messages of one read, in order; nothing once closed.

    `on_bytes` gets what was received before anything is made of it.
    """

    encoding = "utf-8"

    def __init__(
        self,
        on_read: Callable[[list[Message]], None],
        on_bytes: Callable[[bytes], None],
        framer: Framer,
    ) -> None:
        self.framer = framer
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._on_read = on_read
        self._on_bytes = on_bytes

    def request(self, name: str, **headers: str) -> Action:
        """Sends an action. Raises AmiError for a value that would break out of its header."""
        action = Action({"Action": name, **headers})
        self.send(action)
        return action

    def send(self, data: Action, as_list: bool | None = None) -> asyncio.Future[Answer]:
        for header, value in data.items():
            # The value is not shown: it may be the secret.
            if not f"{header}{value}".isprintable():
                raise AmiError(
                    f"{data['action']}: {header.lower()} holds a line break or a control character"
                )
        future: asyncio.Future[Answer] = super().send(data, as_list)
        return future

    async def answer(self, action: Action, timeout_s: float) -> Answer:
        """What Asterisk answers. Raises AmiError when the connection ends or the time is up first."""
        future: asyncio.Future[Answer] = action.future
        await asyncio.wait({future, self.lost}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return future.result()
        if self.lost.done():
            raise AmiError(f"the connection was closed before {action['action']} was answered")
        raise AmiError(f"no answer to {action['action']} within {timeout_s:g} s")

    async def idle(self, seconds: float) -> None:
        """Waits. Raises AmiError when the connection ends meanwhile."""
        await asyncio.wait({self.lost}, timeout=seconds)
        if self.lost.done():
            reason = self.lost.result()
            raise AmiError(f"the connection was closed{f': {reason}' if reason else ' by Asterisk'}")

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        self._on_bytes(data)
        messages = self.framer.feed(data)
        # Mostly nothing is waiting for an answer: then no event is looked through for an ActionID.
        for message in messages if self.responses else ():
            self.handle_message(message)
        if messages:
            self._on_read(messages)

    def handle_message(self, message: Message) -> None:
        action = self.responses.get(message.get("actionid"))
        if action is not None and action.add_message(Answer(dict(message))):
            del self.responses[action.id]

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        # Unanswered actions are forgotten: sent again on the next connection they could act twice.
        self.responses.clear()
        if not self.lost.done():
            self.lost.set_result(exc)

    def close(self) -> None:
        self.closed = True
        self.transport.abort()

    async def shut(self) -> None:
        """Closes, and waits until the transport has let go of its socket."""
        self.close()
        await asyncio.wait({self.lost}, timeout=1.0)


def first(answer: Answer | list[Answer]) -> Answer:
    """Of a list's answer the first message, which says whether it was granted."""
    return answer[0] if isinstance(answer, list) else answer


async def connect(ami: Ami, made: Callable[[], Link], timeout_s: float) -> Link:
    try:
        async with asyncio.timeout(timeout_s):
            _, link = await asyncio.get_running_loop().create_connection(
                made, ami.host, ami.port, ssl=ssl.create_default_context() if ami.tls else None
            )
    except TimeoutError:
        raise AmiError(f"no connection within {timeout_s:g} s") from None
    return link


async def log_in(link: Link, ami: Ami, timeout_s: float) -> None:
    """Raises LoginRefused with Asterisk's own words."""
    login = link.request("Login", Username=ami.username, Secret=ami.secret.reveal(), Events=EVENT_MASK)
    answer = await link.answer(login, timeout_s)
    if not answer.success:
        raise LoginRefused(answer.message or "no reason given")
