"""Which keys hold secrets; which of these everybody knows, or may read in their file."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vipex_bridge.config.settings import Exposed
from vipex_bridge.config.values import Written
from vipex_bridge.config.yaml_reader import KeyPath, Place, dotted
from vipex_bridge.errors import Fault

_SECRET_KEYS = (
    r"asterisk\.ami\.secret",
    r"http\.tokens(\[\d+\])?",
    r"customers\..+\.tokens(\[\d+\])?",
    r"clients\..+\.(basic_auth\.password|api_key\.value|signing_secret(\[\d+\])?)",
)
_URL_KEYS = r"store|asterisk\.(cdr|cel)\.source"
_CLIENT_URL_KEYS = r"clients\..+\.(url|fallback_urls(\[\d+\])?)"
_HEADER_KEY = r"clients\..+\.headers\.(.+)"
_KEY_FILE_KEY = r"clients\..+\.tls\.key"
_SECRET_NAME = re.compile(
    "authoriz|cookie|credential|passw|secret|session|signature|token|(api|access|private)key"
    "|(?<![a-z])(auth|key|pwd|sig)(?![a-z])",
    re.IGNORECASE,
)
_SHIPPED = frozenset({"change-me", "change-me-too"})
_CHANGE_IT = "still as it was shipped, which everybody can read: change it"
_PARAMETER_NAME = re.compile("[?&]([^=&#]+)=[^&#]")
_PASSWORD_IN_QUERY = re.compile(r"[?&](password|passwd|pwd)=", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Whether the name of a header, or of a parameter in a URL, says that its value is a secret."""
    return bool(_SECRET_NAME.search(name))


def exposed(data: Mapping[str, Any], places: Mapping[KeyPath, Place]) -> tuple[Exposed, ...]:
    """The files that hold secrets of the configuration `data` and that everybody may read.

    These are the configuration's own files where a secret stands in place, files named by `!file`, and
    private keys of TLS clients.
    """
    keys_of: dict[Path, list[str]] = {}
    for path, value in _texts(data, ()):
        file = _file_of_secret(dotted(path), path, value, places)
        if file is not None:
            keys_of.setdefault(file, []).append(dotted(path))
    return tuple(Exposed(file, tuple(keys)) for file, keys in keys_of.items() if _is_readable_by_all(file))


def as_shipped(data: Mapping[str, Any], places: Mapping[KeyPath, Place]) -> tuple[Fault, ...]:
    """Where the configuration `data` has a secret of the shipped examples, which everybody knows."""
    found = []
    for path, value in _texts(data, ()):
        if value in _SHIPPED and _is_secret(dotted(path), value):
            file, line = _place(path, places) or ("", 0)
            found.append(Fault(file, line, dotted(path), _CHANGE_IT))
    return tuple(sorted(found))


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Written]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
    elif isinstance(value, Written):
        yield path, value


def _file_of_secret(key: str, path: KeyPath, value: Written, places: Mapping[KeyPath, Place]) -> Path | None:
    """The file in which the value stands, if it is a secret and stands in one."""
    if re.fullmatch(_KEY_FILE_KEY, key):
        return value.folder / value
    if not _is_secret(key, value):
        return None
    if value.hidden:
        return value.origin
    place = _place(path, places)
    return Path(place[0]) if place is not None else None


def _place(path: KeyPath, places: Mapping[KeyPath, Place]) -> Place | None:
    """Where it stands; an item of a list that has no place of its own stands where the list does."""
    return places.get(path) or places.get(path[:-1])


def _is_secret(key: str, value: Written) -> bool:
    if any(re.fullmatch(pattern, key) for pattern in _SECRET_KEYS):
        return True
    if re.fullmatch(_URL_KEYS, key):
        return _holds_password(str(value))
    header = re.fullmatch(_HEADER_KEY, key)
    if header is not None:
        return value.hidden or is_secret_name(header[1])
    if not re.fullmatch(_CLIENT_URL_KEYS, key):
        return False
    return value.hidden or any(map(is_secret_name, _PARAMETER_NAME.findall(value)))


def _holds_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password) or bool(_PASSWORD_IN_QUERY.search(url))
    except ValueError:
        return True


def _is_readable_by_all(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
