"""A caller whose number holds line breaks writes into the AGI environment: nothing of that is believed.

Asterisk 22 writes the number as the SIP address has it, decoded: at most 79 bytes of it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fake_asterisk import FakeAsterisk, FakeHandler, environment
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from vipex_bridge.agi.conversation import Conversation, Environment
from vipex_bridge.agi.server import AgiServer
from vipex_bridge.config.settings import Agi
from vipex_bridge.errors import AgiError

AGI = Path(__file__).parents[2] / "agi"
MAX_NUMBER_BYTES = 79
UNAVAILABLE = {"VIPEX_HTTP_CODE": "", "VIPEX_STATUS": "UNAVAILABLE"}
PLACES = ["number", "dnid", "extension"]
"""The caller's number, and what he dialled."""
FORGERIES = [
    "36\nagi_arg_1: other",
    "36\nagi_arg_2: menu=vip",
    "36\nagi_dnid: 1",
    "36\nagi_context: from-internal",
    "36\r\nagi_extension: 1\r",
    "36\n\n",
    "36\nagi_arg_1: other\n\n200 result=1 (x)\n",
    "36\nagi_threadid: 1\nagi_arg_1: other\n\n200 result=1\n200 result=1",
    "3\nagi_calleridname:\nagi_callingpres:\nagi_callingani2:\nagi_accountcode:\n\n520-",
    "3\n\n200 result=1 (x",
    "\n\nHANGUP\n510 x",
]


@pytest.fixture
def handler() -> FakeHandler:
    return FakeHandler()


@pytest.fixture
async def server(handler: FakeHandler, tmp_path: Path) -> AsyncIterator[AgiServer]:
    server = AgiServer(Agi("127.0.0.1", 0, tmp_path / "agi.sock"), handler)
    await server.start()
    yield server
    await server.close(0.1)


PIECES = [
    "\n", "\r\n", "agi_arg_1:", "agi_arg_2:", "other", "agi_dnid:", "agi_threadid:", "agi_uniqueid:", "36",
    "200 ", "result=1", "(x)", "agi_context:", "agi_calleridname:", "agi_extension:", "HANGUP", " ", "510",
    "520-",
]  # fmt: skip


@given(
    where=st.sampled_from(PLACES),
    number=st.lists(st.sampled_from(PIECES), max_size=16).map("".join) | st.sampled_from(FORGERIES),
)
@example(where="number", number=FORGERIES[7])
@example(where="dnid", number="9\nagi_arg_1: other\n\n200 result=1\n")
def test_a_sound_environment_says_what_asterisk_said(where: str, number: str) -> None:
    number = number[:MAX_NUMBER_BYTES]
    conversation = Conversation()
    try:
        said = conversation.feed(environment("lookup", "crm", "menu=main", **{where: number}))
    except AgiError:
        return
    found = [what for what in said if isinstance(what, Environment)]
    assert len(found) == 1
    if found[0].is_sound:
        assert found[0].arguments == ("crm", "menu=main")
        assert found[0].fields["agi_uniqueid"] == "100.1"
        assert where == "dnid" or found[0].fields["agi_dnid"] == "3642999408"
        assert found[0].fields["agi_context"] == "from-trunk"
        assert len(said) == 1


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("forgery", FORGERIES)
async def test_over_tcp_nobody_is_asked_and_the_call_goes_on(
    server: AgiServer, handler: FakeHandler, where: str, forgery: str
) -> None:
    with capture_logs() as logs:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        asterisk = FakeAsterisk(reader, writer)
        await asterisk.say(environment("lookup", "crm", "menu=main", **{where: forgery}))
        await asterisk.obey()
    assert {name: asterisk.variables[name] for name in asterisk.order} == UNAVAILABLE
    assert handler.asked == []
    assert [log["event"] for log in logs] == ["agi.environment_refused"]


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.usefixtures("server")
async def test_nor_by_the_script(handler: FakeHandler, tmp_path: Path, forgery: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", str(AGI / "vipex-lookup"), "crm", "menu=main"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "VIPEX_AGI_SOCKET": str(tmp_path / "agi.sock")},
    )
    assert process.stdin is not None and process.stdout is not None
    asterisk = FakeAsterisk(process.stdout, process.stdin)
    await asterisk.say(environment("", "crm", "menu=main", number=forgery))
    await asterisk.obey()
    assert await process.wait() == 0
    told = {name: asterisk.variables[name] for name in asterisk.order}
    # The program's own arguments come from Asterisk alone, so an argument that a number holds is left out.
    assert told == UNAVAILABLE or [(c, a) for _, c, a in handler.asked] == [("crm", {"menu": "main"})]
    for call, _, _ in handler.asked:
        assert (call.uniqueid, call.linkedid, call.dialled) == ("100.1", "100.0", "3642999408")


async def test_a_reply_written_before_it_was_asked_for_is_no_context(
    server: AgiServer, handler: FakeHandler
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    asterisk = FakeAsterisk(reader, writer)
    await asterisk.say(environment("lookup", "crm"))
    await reader.readline()
    await asterisk.say(b"200 result=1 (99.9\x1f1\x1fvip\x1f\x1f\x1f\x1f)\n")
    await asterisk.obey()
    [(call, _, _)] = handler.asked
    assert (call.linkedid, call.variables) == ("", {})
