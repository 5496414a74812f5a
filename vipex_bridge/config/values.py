"""Single values: what an integrator writes as text, turned into what the bridge computes with.

Each function takes the value as the file gives it and returns the finished one, or raises
ValueError with a message for the integrator: one line, without secrets.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from phonenumbers import SUPPORTED_REGIONS

from vipex_bridge.config.addresses import refusal_of_host
from vipex_bridge.config.settings import Secret
from vipex_bridge.config.signing import signing_key

_DURATION = re.compile(r"(-?)(\d{1,9}(?:\.\d{1,9})?) ?(ms|s|m|h|d|)", re.ASCII)
_DURATION_UNITS = {"ms": "0.001", "s": "1", "": "1", "m": "60", "h": "3600", "d": "86400"}
_SIZE = re.compile(r"(\d{1,12}) ?([kKMGT]i?)?B?", re.ASCII)
_SIZE_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST = re.compile(r"[\w.-]*")
_SOCKET_PATH_BYTES = 107


class Written(str):
    """Text of a configuration file: relative paths start from `folder`; `hidden` text came by a tag.

    `origin` is the file that `!file` named.
    """

    __slots__ = ("folder", "hidden", "origin")

    folder: Path
    hidden: bool
    origin: Path | None

    def __new__(
        cls, text: str, folder: Path = Path(), hidden: bool = False, origin: Path | None = None
    ) -> Written:
        """The text with where it stands."""
        self = super().__new__(cls, text)
        self.folder = folder
        self.hidden = hidden
        self.origin = origin
        return self


def shown(value: str) -> str:
    """The text in quotes for a message, cut short, and masked when it came from a secret's place."""
    if isinstance(value, Written) and value.hidden:
        return "********"
    text = str(value)
    return ascii_quoted(text if len(text) <= 60 else text[:57] + "...")


def one_line(text: str) -> str:
    """The text with a space for each line break and other character that does not print."""
    return "".join(character if character.isprintable() else " " for character in text)


def ascii_quoted(text: str) -> str:
    """The text in double quotes, on one line whatever it holds."""
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text) + '"'


def suggestion(word: str, known: Iterable[str]) -> str:
    """`, did you mean "timeout"?` when a known word is close, else ''."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f', did you mean "{near[0]}"?' if near else ""


def type_of(value: object) -> str:
    """What kind of YAML value this is, in an integrator's words."""
    if value is None:
        return "nothing"
    for kind, words in ((bool, "true or false"), (int, "a number"), (str, "text"), (list, "a list")):
        if isinstance(value, kind):
            return words
    return "a mapping"


def text_or_empty(value: object) -> str:
    """Text, '' included; a plain number counts as its digits."""
    if value is None:
        raise ValueError('has no value (for an empty text write "")')
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"must be text, not {type_of(value)}")  # noqa: TRY004
    return str(value)


def text(value: object) -> str:
    """Text that is not empty."""
    if value is None:
        raise ValueError("has no value")
    result = text_or_empty(value)
    if not result:
        raise ValueError("is empty")
    return result


def line(value: object) -> str:
    """Text of one line, without control characters."""
    result = text(value)
    if _CONTROL.search(result):
        raise ValueError("holds a line break or another control character")
    return result


def secret(value: object) -> Secret:
    """A one-line secret: it goes into a header, a URL or the AMI log-in."""
    return Secret(line(value))


def signing_secret(value: object) -> Secret:
    """A secret to sign with (`signing_key`)."""
    result = secret(value)
    signing_key(result)
    return result


def password(value: object) -> Secret:
    """A password, which for some servers is the empty text."""
    result = text_or_empty(value)
    return Secret(line(result) if result else "")


def flag(value: object) -> bool:
    """True or false; `yes`, `on` and their like are text."""
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {_given(value)}")  # noqa: TRY004
    return value


def whole(low: int, high: int) -> Callable[[object], int]:
    """A check for a whole number from `low` to `high`."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"must be a whole number, not {_given(value)}")  # noqa: TRY004
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}, not {value}")
        return value

    return check


def ending(value: object) -> str:
    """A file's ending, without its dot: `mp3`."""
    word = text(value).removeprefix(".")
    if not (word.isascii() and word.isalnum() and len(word) <= 8):
        raise ValueError(f"{_quoted(value)} is no file ending, such as mp3")
    return word


def country(value: object) -> str:
    """A country that has telephone numbers, by its two letters (ISO 3166)."""
    code = text(value)
    if code not in SUPPORTED_REGIONS:
        raise ValueError(f"{_quoted(value)} is no country by its two letters, such as HU")
    return code


def choice(*names: str) -> Callable[[object], str]:
    """A check for one of `names`."""

    def check(value: object) -> str:
        word = text(value)
        if word not in names:
            hint = suggestion(word, names)
            raise ValueError(f"must be {any_of(names)}, not {_quoted(value)}{hint}")
        return word

    return check


def known(what: str, names: tuple[str, ...]) -> Callable[[object], str]:
    """A check for one of many `names`, each of which is a `what`."""

    def check(value: object) -> str:
        word = text(value)
        if word not in names:
            hint = suggestion(word, names) or f": there are {', '.join(names)}"
            raise ValueError(f"unknown {what} {_quoted(value)}{hint}")
        return word

    return check


def any_of(names: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def duration(value: object) -> float:
    """Seconds from `500ms`, `10s`, `5m`, `2h`, `1d` or plain seconds (contract, section 2)."""
    written = text(value)
    match = _DURATION.fullmatch(written)
    if match is None:
        raise ValueError(f"{_quoted(value)} is no duration: write 500ms, 10s, 5m, 2h, 1d or plain seconds")
    if match[1]:
        raise ValueError("must not be negative")
    return float(Decimal(match[2]) * Decimal(_DURATION_UNITS[match[3]]))


def positive_duration(value: object) -> float:
    """A duration that is longer than nothing."""
    seconds = duration(value)
    if seconds == 0:
        raise ValueError("must be longer than 0")
    return seconds


def size(value: object) -> int:
    """Bytes from `10MB` (millions), `64KiB` (1024s) or plain bytes; more than nothing."""
    written = text(value)
    match = _SIZE.fullmatch(written)
    if match is None:
        raise ValueError(f"{_quoted(value)} is no size: write 10MB, 64KiB or plain bytes")
    unit = match[2] or ""
    base = 1024 if unit.endswith("i") else 1000
    result: int = int(match[1]) * base ** _SIZE_POWERS.get(unit[:1].lower(), 0)
    if result == 0:
        raise ValueError("must be larger than 0")
    return result


def listen(value: object) -> tuple[str, int]:
    """Host and port of `127.0.0.1:4573` or `[::1]:4573`; port 0 takes a free one."""
    written = line(value)
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\]]+):(\d{1,5})", written, re.ASCII)
    if match is None or int(match[2]) > 65535:
        raise ValueError(f"{_quoted(value)} is no HOST:PORT, such as 127.0.0.1:4573")
    return match[1].strip("[]"), int(match[2])


def network(value: object) -> IPv4Network | IPv6Network:
    """A network such as 10.1.0.0/16, or the one address 10.1.2.3."""
    written = line(value)
    try:
        return ip_network(written, strict=False)
    except ValueError:
        raise ValueError(f"{_quoted(value)} is no network: write 10.1.0.0/16, or one address") from None


def url(value: object) -> str:
    """An http or https URL with a host, without user, password, fragment or template."""
    written = line(value)
    if "{{" in written or "{%" in written:
        raise ValueError("takes no template: put what changes into `query`")
    if not written.isprintable() or set(written) & set(' "<>\\^`{|}'):
        raise ValueError('is no URL: it holds a space or one of " < > \\ ^ ` { | }')
    if not written.lower().startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    try:
        parts = urlsplit(written)
        host, port = parts.hostname or "", parts.port
        if "@" not in parts.netloc:
            _check_host(host)
    except ValueError:
        raise ValueError("is no URL: its host or port cannot be understood") from None
    if "@" in parts.netloc:
        raise ValueError("holds a user name or password: use `basic_auth` for them")
    if not host or port == 0:
        raise ValueError("has port 0" if host else "names no host")
    if "#" in written:
        raise ValueError("holds a #fragment, which no server is ever sent")
    return written


def client_url(value: object) -> str:
    """A client's URL: the same, to no address that nothing is sent to; a Secret when it came by a tag."""
    written = url(value)
    why = refusal_of_host(urlsplit(written).hostname or "")
    if why is not None:
        raise ValueError(f"leads to {why}, to which nothing is ever sent")
    return _kept_hidden(value, written)


def path(value: object) -> Path:
    """A file's path; a relative one starts from the folder of the file it stands in."""
    if value is not None and not isinstance(value, str):
        raise ValueError(f"must be text, not {type_of(value)}")
    written = line(value)
    return value.folder / written if isinstance(value, Written) else Path(written)


def socket_path(value: object) -> Path:
    """A Unix socket's path, whose length the system limits."""
    result = path(value)
    if len(bytes(result)) > _SOCKET_PATH_BYTES:
        raise ValueError(f"is longer than a Unix socket's path may be ({_SOCKET_PATH_BYTES} bytes)")
    return result


def existing_file(value: object) -> Path:
    """The path of a file that can be read now."""
    result = path(value)
    try:
        if result.exists() and not result.is_file():
            raise ValueError(f"{result} is no file")
        with result.open("rb"):
            return result
    except OSError as error:
        raise ValueError(f"{result} cannot be read: {error.strerror}") from None


def zone(value: object) -> ZoneInfo:
    """A time zone by its IANA name."""
    name = line(value)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        hint = (
            suggestion(name, (zone for zone in available_timezones() if "/" in zone))
            or ", write it like Europe/Budapest"
        )
        raise ValueError(f"{_quoted(value)} is no time zone{hint}") from None


def database_url(schemes: tuple[str, ...], refused: str) -> Callable[[object], Secret]:
    """A check for a database URL of one of `schemes`; `refused` says why others are not taken."""

    def check(value: object) -> Secret:
        written = line(value)
        scheme, separator, rest = written.partition("://")
        if not separator:
            raise ValueError("is no database URL, such as sqlite:////var/lib/FILE.db")
        scheme = scheme.partition("+")[0]
        if scheme not in schemes:
            raise ValueError(refused)
        if scheme in ("sqlite", "csv"):
            _check_file_url(scheme, rest)
        return Secret(written)

    return check


def header_name(value: object) -> str:
    """A header's name: a token of RFC 9110."""
    name = line(value)
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("is no header name: letters, digits and - (no space, no colon)")
    return name


def header_value(value: object) -> str:
    """A header's value: one line of Latin-1."""
    result = text_or_empty(value)
    if _CONTROL.search(result):
        raise ValueError("holds a line break or another control character, which no header can carry")
    if any(ord(character) > 255 for character in result):
        raise ValueError("holds a character outside Latin-1, which no header can carry")
    if result != result.strip():
        raise ValueError("begins or ends with a space, which no header can carry")
    return result


def header_of_client(value: object) -> str:
    """A configured header's value; a Secret when it came by a tag."""
    return _kept_hidden(value, header_value(value))


def _kept_hidden(value: object, written: str) -> str:
    return Secret(written) if isinstance(value, Written) and value.hidden else written


def _given(value: object) -> str:
    return f"the text {shown(value)}" if isinstance(value, str) else type_of(value)


def _quoted(value: object) -> str:
    return shown(value) if isinstance(value, str) else str(value)


def _check_host(host: str) -> None:
    if ":" not in host:
        if not _HOST.fullmatch(host):
            raise ValueError(host)
        # Python's own encoder says what a resolver would: empty or overlong labels, forbidden letters.
        host.encode("idna")


def _check_file_url(scheme: str, rest: str) -> None:
    slashes = len(rest) - len(rest.lstrip("/"))
    wanted = 2 if scheme == "sqlite" else 1
    if not rest.strip("/"):
        raise ValueError(f"names no file: write {scheme}:{'/' * (wanted + 2)}path/to/file")
    if slashes < wanted:
        raise ValueError(f"must name the file by its whole path: {scheme}:{'/' * (wanted + 2)}path/to/file")
