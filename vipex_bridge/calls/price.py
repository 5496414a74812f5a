"""What a call costs by the tariff: longest prefix, connection fee, started increments, times. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal

_PLACES = Decimal("0.0001")
"""A price is given to a hundredth of a cent: enough to add up, and no endless fraction of a minute."""

_WRITTEN = str.maketrans("", "", " -./()")


@dataclass(frozen=True, slots=True)
class Times:
    """When a rate holds, by the local clock. What is not given holds always."""

    since: date | None = None
    until: date | None = None
    """The last day."""
    days: frozenset[int] = frozenset()
    """Of the week, Monday is 0."""
    minutes: tuple[int, int] | None = None
    """Of the day, from the first up to the second; past midnight when that is not the greater one."""

    def hold(self, moment: datetime) -> bool:
        """Whether the rate holds at this moment. After midnight the new day counts."""
        day = moment.date()
        if (self.since is not None and day < self.since) or (self.until is not None and day > self.until):
            return False
        if self.days and day.weekday() not in self.days:
            return False
        if self.minutes is None:
            return True
        begin, end = self.minutes
        minute = moment.hour * 60 + moment.minute
        return begin <= minute < end if begin < end else minute >= begin or minute < end


@dataclass(frozen=True, slots=True)
class Rate:
    """What numbers with a prefix cost. `60/60` is two increments of 60 s, `1/1` is by the second."""

    prefix: str
    connection_fee: Decimal
    per_minute: Decimal
    first_increment_s: int = 60
    next_increment_s: int = 60
    times: Times | None = None
    """None: always."""

    def __post_init__(self) -> None:
        if self.first_increment_s < 0 or self.next_increment_s < 1:
            raise ValueError(f"the increments of prefix {self.prefix} must be whole seconds, from 1 up")

    def charged_s(self, billsec: int) -> int:
        """The seconds that are charged for `billsec` seconds of talk: whole increments, once started."""
        rest = billsec - self.first_increment_s
        if rest <= 0:
            return self.first_increment_s
        return self.first_increment_s + -(-rest // self.next_increment_s) * self.next_increment_s

    def price(self, billsec: int) -> Decimal:
        """The price of `billsec` seconds of talk, 0 when there was none, to four decimal places."""
        if billsec <= 0:
            return Decimal(0)
        price = self.connection_fee + self.per_minute * self.charged_s(billsec) / 60
        return price.quantize(_PLACES, ROUND_HALF_UP)


class Tariff:
    """Rates by prefix. Of several for one prefix that hold at the time, the last one counts."""

    def __init__(self, rates: Iterable[Rate] = (), timezone: tzinfo = UTC) -> None:
        self._timezone = timezone
        self._rates: dict[str, tuple[Rate, ...]] = {}
        for rate in rates:
            prefix = international(rate.prefix)
            # One that always holds is all that is asked of those before it.
            before = self._rates.get(prefix, ()) if rate.times is not None else ()
            self._rates[prefix] = (rate, *before)
        self._lengths = sorted({len(prefix) for prefix in self._rates}, reverse=True)

    def price(self, number: str, billsec: int, at: float) -> Decimal | None:
        """The price of a call to `number` that was answered at `at` (epoch seconds), and talked `billsec`.

        The rate of its beginning is that of the whole call. None when no prefix of the tariff fits it.
        """
        rate = self.rate(number, at)
        return rate.price(billsec) if rate is not None else None

    def rate(self, number: str, at: float) -> Rate | None:
        """The rate with the longest prefix of `number` that holds at `at`."""
        dialled = international(number)
        moment: datetime | None = None
        for length in self._lengths:
            for rate in self._rates.get(dialled[:length], ()) if length <= len(dialled) else ():
                if rate.times is None:
                    return rate
                if moment is None:
                    moment = datetime.fromtimestamp(at, self._timezone)
                if rate.times.hold(moment):
                    return rate
        return None


def international(number: str) -> str:
    """The number without the `+` or `00` of international dialling, and without dashes and the like."""
    bare = number.translate(_WRITTEN)
    return bare[1:] if bare.startswith("+") else bare.removeprefix("00")
