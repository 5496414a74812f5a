"""The configuration as plain frozen values: what the rest of the bridge is given.

Names follow the configuration's own keys; durations are seconds (`_s`), sizes are bytes (`_bytes`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from zoneinfo import ZoneInfo

from vipex_bridge.calls.price import Times
from vipex_bridge.errors import Fault
from vipex_bridge.privacy import without_keys


class Secret(str):
    """Text that must never be shown: `repr()` and `str()` of it hide it, `reveal()` gives it."""

    __slots__ = ()

    def reveal(self) -> str:
        """The secret itself, as a plain `str`."""
        return str.__str__(self)

    def __str__(self) -> str:
        return "********"

    def __repr__(self) -> str:
        return "Secret('********')"

    def __format__(self, spec: str) -> str:
        return "********"


def revealed(text: str) -> str:
    """The text itself, also of a Secret: for the one place that sends it."""
    return text.reveal() if isinstance(text, Secret) else text


@dataclass(frozen=True, slots=True)
class Ami:
    host: str
    port: int
    username: str
    secret: Secret
    tls: bool = False


LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


@dataclass(frozen=True, slots=True)
class Agi:
    listen_host: str | None
    """None: no TCP port."""
    listen_port: int
    socket: Path | None
    allow: tuple[IPv4Network | IPv6Network, ...] = LOOPBACK
    """Who may connect to the TCP port."""


@dataclass(frozen=True, slots=True)
class Cdr:
    source: Secret
    """A URL that may hold a password."""
    preset: str
    table: str
    columns: Mapping[str, str]
    """Our column name -> theirs."""
    time_format: str
    poll_s: float = 1.0
    settle_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Recordings:
    root: Path
    wait_s: float = 30.0
    max_size_bytes: int = 100_000_000
    is_separate: bool = False
    """Whether a call is told at once, and its recordings after it in a delivery of their own."""
    converted: str | None = None
    """The ending (`mp3`) that a converter's result has, beside the file that Asterisk wrote."""


@dataclass(frozen=True, slots=True)
class User:
    """One line of `numbers.users`."""

    extension: str
    user_id: int | str | None = None
    user_number: str | None = None
    cost_location: str | None = None


@dataclass(frozen=True, slots=True)
class UsersQuery:
    """Users kept in a database: `sql` gives them by the column names of a users file.

    `source` is the database's URL; empty: none is named anywhere.
    """

    source: Secret
    sql: str
    every_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Written:
    """How telephone numbers are written."""

    form: str = "dialled"
    """dialled, e164 or national."""
    country: str = ""
    """Where numbers without a country code belong, by its two letters; not needed for `dialled`."""
    extensions: re.Pattern[str] = re.compile(r"^\d{2,4}$")
    """What an extension looks like: these stay."""


@dataclass(frozen=True, slots=True)
class TariffLine:
    prefix: str
    connection_fee: Decimal
    per_minute: Decimal
    first_increment_s: int = 60
    next_increment_s: int = 60
    currency: str = ""
    times: Times | None = None
    """When the line holds; None: always."""


@dataclass(frozen=True, slots=True)
class Numbers:
    trunks: tuple[str, ...] = ()
    extensions: re.Pattern[str] = re.compile(r"^\d{2,4}$")
    users: Mapping[str, User] = field(default_factory=dict)
    country: str | None = None
    """ISO 3166: whose numbers are those without a country code."""
    forward_is_answer: bool = True
    tariff: tuple[TariffLine, ...] = ()
    users_file: Path | None = None
    users_query: UsersQuery | None = None
    tariff_file: Path | None = None
    devices: tuple[str, ...] = ()
    """Telephones whose name is not that of the extension at them."""


@dataclass(frozen=True, slots=True)
class Http:
    listen_host: str
    listen_port: int
    tokens: tuple[Secret, ...] = ()
    recordings_url: str | None = None


@dataclass(frozen=True, slots=True)
class Privacy:
    """What is hidden of callers, and when what was told of them is dropped."""

    mask_digits: bool = False
    mask_numbers_in_logs: bool = False
    drop_payload_after_s: float | None = None

    def shown(self, text: str) -> str:
        """A text as a person may see it: without the keys that callers pressed, where these are hidden."""
        return without_keys(text) if self.mask_digits else text

    @property
    def dropped(self) -> str:
        """What is said of a call or a delivery whose data are gone."""
        after_s = self.drop_payload_after_s
        after = f" after {_in_words(after_s)}" if after_s is not None else ""
        return f"its data were dropped{after} (privacy.drop_payload_after)"


def _in_words(duration_s: float) -> str:
    """A duration as the configuration would have it: `7d`."""
    for unit, length_s in (("d", 86400), ("h", 3600), ("m", 60)):
        if duration_s >= length_s and duration_s % length_s == 0:
            return f"{duration_s / length_s:g}{unit}"
    return f"{duration_s:g}s"


@dataclass(frozen=True, slots=True)
class BasicAuth:
    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class ApiKey:
    place: str
    """header, query or body (`in` in the configuration)."""
    name: str
    value: Secret


@dataclass(frozen=True, slots=True)
class Tls:
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Match:
    """Globs per key; empty: anything. Any of a key's list, all of the keys."""

    dst: tuple[str, ...] = ()
    did: tuple[str, ...] = ()
    src: tuple[str, ...] = ()
    exten: tuple[str, ...] = ()
    queue: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    trunk: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mapped:
    """Where one channel variable comes from in an answer. `pattern` None: the default pattern."""

    variable: str
    path: str
    pattern: re.Pattern[str] | None = None
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    failures: int = 5
    pause_s: float = 30.0


@dataclass(frozen=True, slots=True)
class LookupOptions:
    format: str = "auto"
    set: tuple[Mapped, ...] = ()
    cache_s: float = 0.0
    stale_if_error_s: float = 0.0
    breaker: Breaker = Breaker()
    fallback_urls: tuple[str, ...] = ()
    """As `Client.url`."""


@dataclass(frozen=True, slots=True)
class Client:
    """One connection. Options of other kinds keep their defaults and mean nothing."""

    name: str
    kind: str
    """lookup, notify or call_end."""
    url: str
    """A Secret when it came by a tag; then only its host is ever shown."""
    method: str
    parameters: tuple[str, ...]
    sub_parameters: tuple[str, ...] = ()
    content_type: str = "application/json"
    query: str | None = None
    body: str | None = None
    basic_auth: BasicAuth | None = None
    api_key: ApiKey | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """A value is a Secret when it came by a tag, or when its header's name says what it is."""
    timeout_s: float = 2.0
    match: Match = Match()
    tls: Tls = Tls()
    signing_secrets: tuple[Secret, ...] = ()
    concurrency: int = 4
    on: frozenset[str] = frozenset()
    expires_s: float | None = None
    retry_s: tuple[float, ...] = ()
    directions: frozenset[int] = frozenset({0, 1, 2})
    cc_call: str = "flag"
    parallel_legs: str = "answerer"
    numbers: Written = Written()
    lookup: LookupOptions = LookupOptions()


@dataclass(frozen=True, slots=True)
class Customer:
    """What one included file holds: a customer's clients, and the tokens that show their calls alone."""

    file: Path
    clients: tuple[str, ...] = ()
    tokens: tuple[Secret, ...] = ()

    @property
    def name(self) -> str:
        """The customer by the file's name."""
        return self.file.stem


@dataclass(frozen=True, slots=True)
class Disabled:
    """An included file that is at fault: none of its clients is there, all others are."""

    file: Path
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Exposed:
    """A file that everybody on the machine may read, and the keys whose secrets it holds."""

    file: Path
    keys: tuple[str, ...]

    @property
    def what(self) -> str:
        """What is wrong and what to do, in one line."""
        return f"everybody may read this file, and it holds {', '.join(self.keys)}: chmod o-r {self.file}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration. `files` are all the files it was read from."""

    node: str
    timezone: ZoneInfo
    ami: Ami | None
    agi: Agi
    cdr: Cdr | None
    cel: Cdr | None
    recordings: Recordings | None
    numbers: Numbers
    store: Secret
    retention_s: float
    http: Http | None
    clients: Mapping[str, Client]
    files: tuple[Path, ...] = ()
    exposed: tuple[Exposed, ...] = ()
    as_shipped: tuple[Fault, ...] = ()
    """Secrets that are still the examples'."""
    customers: tuple[Customer, ...] = ()
    """Those of the included files, without the ones that are disabled."""
    disabled: tuple[Disabled, ...] = ()
    privacy: Privacy = Privacy()


FRAMING_HEADERS = frozenset({"content-length", "transfer-encoding", "connection"})
"""Headers that say how a request is framed: the bridge writes them itself."""

BIGGEST = 2**62
"""Of ids and counts that are asked for: it fits every database's integers, with room for sums."""
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "lookup": ("id", "start_time", "src", "dst", "exten", "ivr_digits", "cc_call", "custom_field"),
    "notify": ("id", "start_time", "src", "dst", "exten", "ivr_digits", "cc_call", "custom_field"),
    "call_end": (
        "id", "direction", "start_time", "answer_time", "hangup_time", "src", "src_user_id", "dst",
        "dst_user_id", "exten", "duration", "billsec", "ringtime", "pincode", "ivr_digits", "cc_call",
        "price", "cost_location", "monitor_file_name", "monitor_file", "main_reference_id",
        "custom_field", "other_party_number", "last_exten", "user_number", "sub_cdrs",
    ),
}  # fmt: skip
"""Every parameter of each kind, in the order of the documentation's tables."""

SUB_PARAMETERS: tuple[str, ...] = (
    "id", "direction", "start_time", "answer_time", "hangup_time", "src", "src_user_id", "dst",
    "dst_user_id", "exten", "duration", "billsec", "ringtime", "pincode", "ivr_digits", "cc_call",
    "monitor_file_name", "monitor_file",
)  # fmt: skip
"""Every field of an element of `sub_cdrs`."""
