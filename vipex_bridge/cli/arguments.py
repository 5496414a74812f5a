"""What stands on a command line, as argparse's types: what cannot be meant is wrong usage (exit code 2)."""

from __future__ import annotations

import argparse
import re
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from vipex_bridge.config.settings import BIGGEST

_LATEST = 32_503_680_000.0
"""The year 3000, as in the API."""
_NUMBER = re.compile(r"[0-9]{1,30}")
_AGO = re.compile(r"([0-9]{1,9})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def is_id(text: str) -> bool:
    """Whether it is a number that a call or a delivery may have."""
    return _NUMBER.fullmatch(text) is not None and 1 <= int(text) <= BIGGEST


def an_id(text: str) -> int:
    """The id of a call or a delivery."""
    if _NUMBER.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no id: ids are whole numbers")
    if not is_id(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no id: there are those from 1 to {BIGGEST}")
    return int(text)


def a_limit(text: str) -> int:
    """How many to list."""
    if not is_id(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of lines: give a whole number, at least 1")
    return int(text)


def an_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; without a host this machine alone."""
    host, _, port = text.rpartition(":")
    if re.fullmatch(r"[0-9]{1,5}", port) is None or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT, such as 127.0.0.1:9000")
    return host.strip("[]") or "127.0.0.1", int(port)


def seconds(text: str) -> float:
    """How long."""
    try:
        given = float(text)
    except ValueError:
        given = 0.0
    if not 0 < given < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds: give one above 0, like 10")
    return given


def a_time(text: str) -> str:
    """A time as `moment` takes it, which needs the configuration's time zone as well."""
    try:
        at = moment(text, time.time(), ZoneInfo("UTC"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 <= at <= _LATEST:
        raise argparse.ArgumentTypeError(f"{text!r} is before 1970 or after the year 2999")
    return text


def moment(text: str, now: float, timezone: ZoneInfo) -> float:
    """Epoch seconds of `2026-11-23 14:05`, or of `2h`, `3d` ago. Raises ValueError for what is none."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return max(0.0, now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}).total_seconds())
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write 2026-11-23 14:05, or 2h for two hours ago") from None
    return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=timezone)).timestamp()
