"""Who may come in: tokens, sessions, signed links, and how often somebody may guess. Time is passed in."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vipex_bridge.config.settings import Customer

SESSION_S = 12 * 3600.0
"""How long somebody stays logged in: a working day."""
MOST_SESSIONS = 1_000
WRONG_TRIES = 10
"""So many wrong tokens may come from one address before it has to wait."""
FORGIVEN_AFTER_S = 6.0
"""One of them is forgotten after this time."""
BEYOND_GUESSING = 20
"""Characters of a token that nobody finds by guessing, however fast: 80 bits, were it only hex digits."""
MOST_PEERS = 10_000
"""So many addresses are remembered; the ones longest unheard of are forgotten first."""


def knows(presented: str, tokens: Iterable[str]) -> str | None:
    """The token that `presented` is; None when it is none. Takes the same time whichever it is not."""
    found = None
    mark = _digest(presented)
    for token in tokens:
        if hmac.compare_digest(mark, _digest(token)):
            found = token
    return found


def may_pass(token: str, wait_s: float) -> bool:
    """Whether a right token is let in from an address whose wrong ones have to wait for so long.

    Behind a proxy all are one address, and a stranger's guesses must not lock out the others. That takes
    nothing from the throttle: what it protects are tokens that are short enough to be found by trying, and
    these wait as well.
    """
    return wait_s <= 0 or len(token) >= BEYOND_GUESSING


@dataclass(frozen=True, slots=True)
class CustomerKeys:
    """The tokens of customers, found by what they hash to: thousands cost no more than one."""

    _by_mark: Mapping[bytes, Customer]

    @staticmethod
    def of(customers: Iterable[Customer]) -> CustomerKeys:
        """Those of a configuration."""
        return CustomerKeys(
            {_digest(token.reveal()): customer for customer in customers for token in customer.tokens}
        )

    def owner(self, presented: str) -> Customer | None:
        """The customer whose token this is. How long it takes tells nothing of any token."""
        return self._by_mark.get(_digest(presented))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


@dataclass(slots=True)
class Throttle:
    """Counts each address's wrong tokens."""

    _wrong: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait_s(self, peer: str, now_s: float) -> float:
        """How long the address has to wait before it may try again; 0.0 for not at all."""
        return max(0.0, (self._count(peer, now_s) - WRONG_TRIES + 1) * FORGIVEN_AFTER_S)

    def was_wrong(self, peer: str, now_s: float) -> None:
        """A wrong token came from it."""
        self._wrong[peer] = (self._count(peer, now_s) + 1, now_s)
        self._wrong.move_to_end(peer)
        while len(self._wrong) > MOST_PEERS:
            self._wrong.popitem(last=False)

    def _count(self, peer: str, now_s: float) -> float:
        count, at_s = self._wrong.get(peer, (0.0, now_s))
        return max(0.0, count - (now_s - at_s) / FORGIVEN_AFTER_S)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody logged in on the console."""

    key: str
    csrf: str
    """Comes with each action: a page elsewhere cannot know it."""
    expires_at_s: float
    token_mark: bytes
    """Of the token used: with that taken out of the configuration, its sessions end."""


@dataclass(slots=True)
class Sessions:
    """Those who are logged in, until the bridge restarts."""

    _kept: OrderedDict[str, Session] = field(default_factory=OrderedDict)

    def begin(self, token: str, now_s: float) -> Session:
        """Log somebody in who showed this token."""
        session = Session(
            secrets.token_urlsafe(32), secrets.token_urlsafe(32), now_s + SESSION_S, _mark(token)
        )
        self._kept[session.key] = session
        while len(self._kept) > MOST_SESSIONS:
            self._kept.popitem(last=False)
        return session

    def of(self, key: str, tokens: Iterable[str], now_s: float) -> Session | None:
        """The session that a cookie names, if it still holds."""
        session = self._kept.get(key)
        if session is None:
            return None
        if now_s >= session.expires_at_s or session.token_mark not in {_mark(token) for token in tokens}:
            self.end(key)
            return None
        return session

    def end(self, key: str) -> None:
        """Log out."""
        self._kept.pop(key, None)


def _mark(token: str) -> bytes:
    return hashlib.sha256(b"session\0" + token.encode()).digest()


def sign_link(reference: str, expires_at_s: int, token: str) -> str:
    """The signature of a link to one recording, until that moment, 64 hexadecimal digits."""
    key = hmac.digest(token.encode(), b"vipex-bridge recording link", "sha256")
    return hmac.new(key, f"{reference}\n{expires_at_s}".encode(), "sha256").hexdigest()


def link_holds(reference: str, expires: str, signature: str, tokens: Iterable[str], now_s: float) -> bool:
    """Whether a link was signed by one of the tokens' holders for this recording, and is not over."""
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12) or now_s >= int(expires):
        return False
    given = signature.encode("utf-8", "surrogatepass")
    marks = [sign_link(reference, int(expires), token).encode() for token in tokens]
    return any(hmac.compare_digest(mark, given) for mark in marks)
