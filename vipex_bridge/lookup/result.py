"""What a lookup gives to the dialplan."""

from __future__ import annotations

from dataclasses import dataclass

from vipex_bridge.config.settings import Client
from vipex_bridge.deliver.http import HttpAnswer


@dataclass(frozen=True, slots=True)
class LookupResult:
    """A status of the contract, section 3, and every variable of `response.set`, always."""

    status: str
    """OK, NOMATCH, TIMEOUT, HTTPERROR, UNREACHABLE, BADRESPONSE, OPEN, NOCLIENT or UNAVAILABLE."""
    http_code: int | None
    variables: tuple[tuple[str, str], ...]
    """Name and value, in the configuration's order."""
    elapsed_s: float = 0.0
    detail: str = ""
    """Why, in one line, for the log and for `try`; holds neither secrets nor the answer's content."""
    answer: HttpAnswer | None = None


def unasked(client: Client | None, status: str, detail: str = "") -> LookupResult:
    """The result of a lookup that nothing answered: every variable at its default, else ''."""
    wanted = client.lookup.set if client is not None else ()
    variables = tuple((mapped.variable, mapped.default or "") for mapped in wanted)
    return LookupResult(status=status, http_code=None, variables=variables, detail=detail)
