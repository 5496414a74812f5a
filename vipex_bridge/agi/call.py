"""What an AGI conversation means to the bridge: the call it is about, the client and its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from vipex_bridge.agi.conversation import Environment
from vipex_bridge.lookup.result import LookupResult

CONTEXT_VARIABLES: tuple[str, ...] = (
    "VIPEX_IVR_DIGITS",
    "VIPEX_CUSTOM_FIELD",
    "VIPEX_PINCODE",
    "VIPEX_COST_LOCATION",
    "VIPEX_CC_CALL",
)
"""What the dialplan sets and the bridge reads (contract, section 3)."""

_SEPARATOR = "\x1f"

CONTEXT_EXPRESSION = _SEPARATOR.join(
    ("${CHANNEL(linkedid)}", *(f"${{{name}}}" for name in CONTEXT_VARIABLES), "")
)
"""One expression for Asterisk to substitute, so that a call's context costs one round trip."""


@dataclass(frozen=True, slots=True)
class AgiCall:
    """The channel that runs `AGI()`. What Asterisk does not know is ''."""

    uniqueid: str
    linkedid: str
    """'' when Asterisk did not say; the uniqueid names the call all the same."""
    channel: str
    caller_number: str
    dialled: str
    exten: str
    context: str
    account: str
    variables: Mapping[str, str]
    """Those of CONTEXT_VARIABLES that are set, under these names."""


class Handler(Protocol):
    """Who does the work. A lookup is cancelled when the caller hangs up meanwhile."""

    async def lookup(self, call: AgiCall, client: str, args: Mapping[str, str]) -> LookupResult:
        """Asks the client's server, within the client's `timeout`."""
        ...

    def unavailable(self, client: str) -> LookupResult:
        """Gives what is set when `lookup` failed or was broken off; raises nothing."""
        ...

    async def notify(self, call: AgiCall, client: str, args: Mapping[str, str]) -> str:
        """Queues a `dialplan` notification; gives the status, OK or NOCLIENT."""
        ...


def agi_call(environment: Environment, context: str) -> AgiCall:
    """The call, from the environment and the substituted CONTEXT_EXPRESSION ('' when there is none)."""
    linkedid, variables = _context(context)
    known = {key: "" if value == "unknown" else value for key, value in environment.fields.items()}
    exten = known.get("agi_extension", "")
    return AgiCall(
        uniqueid=known.get("agi_uniqueid", ""),
        linkedid=linkedid,
        channel=known.get("agi_channel", ""),
        caller_number=known.get("agi_callerid", ""),
        dialled=known.get("agi_dnid", "") or exten,
        exten=exten,
        context=known.get("agi_context", ""),
        account=known.get("agi_accountcode", ""),
        variables=variables,
    )


def _context(substituted: str) -> tuple[str, Mapping[str, str]]:
    parts = substituted.split(_SEPARATOR)
    if len(parts) != len(CONTEXT_VARIABLES) + 2 or parts[-1]:
        return "", {}
    values = zip(CONTEXT_VARIABLES, parts[1:-1], strict=True)
    return parts[0], {name: value for name, value in values if value}


def client_and_args(environment: Environment) -> tuple[str, dict[str, str]]:
    """`AGI(...,CLIENT,key=value,word)`: the client's name and {'key': 'value', 'word': ''}."""
    client, *rest = environment.arguments or ("",)
    pairs = (argument.partition("=") for argument in rest)
    return client.strip(), {key.strip(): value for key, _, value in pairs if key.strip()}
