"""Why a try failed, in the reader's language: the reasons that are met every day. Pure.

They are kept in English; what is not known here is shown as it was kept.
"""

from __future__ import annotations

import re

from vipex_bridge.console.picture import Say

_ANSWERED = re.compile(r"the server answered (\d{3})")
_WENT_WRONG = re.compile(r"(?P<where>\S+): (?P<what>[^:]+?)(?: within (?P<time>[\d.e+]+ s))?")


def _reasons() -> tuple[str, ...]:
    """What is said of an exchange; `_` marks the texts for the translators."""

    def _(text: str) -> str:
        return text

    return (
        _("connection refused"),
        _("connection reset by peer"),
        _("no route to host"),
        _("no connection"),
        _("no answer"),
        _("the answer was not complete"),
        _("the connection was closed without an answer"),
    )


REASONS = _reasons()


def fault(text: str | None, say: Say) -> str:
    """A failed try's reason, or several with semicolons between."""
    return "; ".join(_one(part, say) for part in (text or "").split("; "))


def _one(text: str, say: Say) -> str:
    if found := _ANSWERED.fullmatch(text):
        return f"{say('the server answered')} {found[1]}"
    found = _WENT_WRONG.fullmatch(text)
    if found is None or found["what"] not in REASONS:
        return text
    said = f"{found['where']}: {say(found['what'])}"
    return f"{said} ({found['time']})" if found["time"] else said
