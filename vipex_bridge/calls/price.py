"""What a call costs by the tariff: longest prefix, connection fee, started increments. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

_PLACES = Decimal("0.0001")
"""A price is given to a hundredth of a cent: enough to add up, and no endless fraction of a minute."""

_WRITTEN = str.maketrans("", "", " -./()")


@dataclass(frozen=True, slots=True)
class Rate:
    """What numbers with a prefix cost. `60/60` is two increments of 60 s, `1/1` is by the second."""

    prefix: str
    connection_fee: Decimal
    per_minute: Decimal
    first_increment_s: int = 60
    next_increment_s: int = 60

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
    """Rates by prefix. Of two for one prefix, the later one counts."""

    def __init__(self, rates: Iterable[Rate] = ()) -> None:
        self._rates = {international(rate.prefix): rate for rate in rates}
        self._lengths = sorted({len(prefix) for prefix in self._rates}, reverse=True)

    def price(self, number: str, billsec: int) -> Decimal | None:
        """The price of an answered call to `number`; None when no prefix of the tariff fits it."""
        rate = self.rate(number)
        return rate.price(billsec) if rate is not None else None

    def rate(self, number: str) -> Rate | None:
        """The rate with the longest prefix of `number`."""
        dialled = international(number)
        for length in self._lengths:
            rate = self._rates.get(dialled[:length]) if length <= len(dialled) else None
            if rate is not None:
                return rate
        return None


def international(number: str) -> str:
    """The number without the `+` or `00` of international dialling, and without dashes and the like."""
    bare = number.translate(_WRITTEN)
    return bare[1:] if bare.startswith("+") else bare.removeprefix("00")
