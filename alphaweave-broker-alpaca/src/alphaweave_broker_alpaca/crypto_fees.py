"""What Alpaca keeps of a trade in crypto: a share of what it credits, coins of a purchase, cash of a sale.

It takes the fee at once, and tells it minutes or hours later, without saying of which execution. So a fee is
worked out from the account's tier: which of its two rates was charged, that of a maker or that of a taker, is
certain of an order that cannot rest, and otherwise assumed until the position, or what Alpaca tells, says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from attrs import define, evolve

from alphaweave.core.clock import Clock
from alphaweave.core.money import ZERO, Money
from alphaweave.core.order import Side
from alphaweave.live.broker import BrokerFill, FeeReport
from alphaweave_broker_alpaca.mapping import amount, moment, text_of

__all__ = ["CryptoFees", "rates_of", "tier_of"]

# Basis points of a maker and of a taker, by tier; the first is everybody's.
_TIERS: Final = ((15, 25), (12, 22), (10, 20), (8, 18), (5, 15), (2, 13), (2, 12), (0, 10))
_ALL_POINTS: Final = sorted({points for tier in _TIERS for points in tier} - {0})
_CASH: Final = "USD"
_CENT, _COIN_STEP = Decimal("0.01"), Decimal("1e-9")
# An order that is executed so soon after it came has met one that was there.
_AT_ONCE: Final = timedelta(seconds=1)
# So many fees that may be one or the other are told apart by their sum, and no more.
_APART: Final = 12
# After so many looks that explain nothing, another reason moved the position.
_LOOKS: Final = 10
# A fee is told within a day.
_KEPT: Final = timedelta(days=6)


@define(eq=False)
class _Charge:
    """The fee of one execution.

    Attributes:
        fill: as it was first told.
        credited: what it brought, before the fee.
        rates: the amounts that it may be, the assumed one first.
        posted: Alpaca has told it.
    """

    fill: BrokerFill
    asset: str
    credited: Decimal
    rates: tuple[Decimal, ...]
    posted: bool = False

    @property
    def fees(self) -> tuple[Money, ...]:
        return (Money(self.asset, self.rates[0]),)

    def at(self, points: int) -> Decimal:
        """The fee at so many basis points."""
        step = _CENT if self.asset == _CASH else _COIN_STEP
        return (self.credited * points / 10_000).quantize(step, ROUND_CEILING)

    def turn_to(self, rate: Decimal) -> bool:
        """Take another amount for true; whether it was another."""
        changed = rate != self.rates[0]
        self.rates = (rate, *(one for one in self.rates if one != rate))
        return changed


@define
class _Holding:
    """What is known of the units of one coin: how many there were, and what has been executed since.

    Attributes:
        since: units that came, before a fee, and the fee where it is in this coin.
    """

    units: Decimal
    since: list[tuple[Decimal, _Charge | None]]
    looks: int = 0


class CryptoFees:
    """Works out fees, and tells of one that turns out to be another.

    Args:
        pairs: Alpaca's names of the crypto that is traded, ``BTC/USD``.
        tell: takes a report of a fee that is settled after its execution was told.
    """

    def __init__(self, pairs: Mapping[str, str], tell: Callable[[FeeReport], None], clock: Clock) -> None:
        self._pairs = {symbol: pair.partition("/")[::2] for symbol, pair in pairs.items() if "/" in pair}
        self._tell = tell
        self._clock = clock
        self._tier = _TIERS[0]
        self._orders: dict[str, tuple[bool, datetime | None]] = {}
        self._charges: dict[tuple[str, Decimal | None, Decimal, Decimal], _Charge] = {}
        self._holdings: dict[str, _Holding] = {}
        self._explained: set[str] = set()

    @property
    def trades(self) -> bool:
        """Whether there is any crypto."""
        return bool(self._pairs)

    @property
    def coins(self) -> frozenset[str]:
        """What holdings are kept in, beside dollars."""
        return frozenset(coin for pair in self._pairs.values() for coin in pair) - {_CASH}

    def account(self, told: Mapping[str, Any]) -> None:
        """The account: its tier. One that is not told, or new, is the first."""
        self._tier = _TIERS[(tier_of(told) or 1) - 1]

    def order(self, told: Mapping[str, Any]) -> None:
        """An order, as it was told in whatever way: whether it can rest, and since when it could."""
        if "/" in str(told.get("symbol", "")):
            certain = told.get("type") == "market" or told.get("time_in_force") in {"ioc", "fok"}
            at = told.get("submitted_at")
            self._orders[text_of(told, "id")] = certain, None if at is None else moment(str(at))

    def charged(self, fill: BrokerFill) -> BrokerFill:
        """An execution with its fee; as it is where it is of no crypto that is traded."""
        pair = self._pairs.get(fill.symbol)
        if pair is None:
            return fill
        name = (fill.broker_order_id, fill.cumulative, fill.size, fill.price)
        known = self._charges.get(name)
        if known is None:
            known = self._charges[name] = self._charge(fill, *pair)
            units = fill.size if fill.side is Side.BUY else -fill.size
            for coin, change in zip(pair, (units, -units * fill.price), strict=True):
                if (holding := self._holdings.get(coin)) is not None:
                    holding.since.append((change, known if coin == known.asset else None))
        return evolve(fill, fees=known.fees)

    def _charge(self, fill: BrokerFill, base: str, quote: str) -> _Charge:
        buys = fill.side is Side.BUY
        asset, credited = (base, fill.size) if buys else (quote, fill.size * fill.price)
        charge = _Charge(fill, asset, credited, ())
        maker, taker = (charge.at(points) for points in self._tier)
        certain, since = self._orders.get(fill.broker_order_id, (False, None))
        rested = since is not None and fill.executed_at - since > _AT_ONCE
        charge.rates = (taker,) if certain else (maker, taker) if rested else (taker, maker)
        return charge

    def held(self, units: Mapping[str, Decimal]) -> None:
        """The account's holdings, with all that was executed: they say which fees were taken."""
        for coin in sorted(self.coins):
            now, holding = units.get(coin, ZERO), self._holdings.get(coin)
            if holding is None or self._settled(holding, now):
                self._holdings[coin] = _Holding(now, [])

    def _settled(self, holding: _Holding, now: Decimal) -> bool:
        """Whether the fees explain the holding, or never will."""
        taken = [one for _, one in holding.since if one is not None]
        missing = holding.units - now + sum((change for change, _ in holding.since), ZERO)
        open_ = [one for one in taken if len(one.rates) > 1 and not one.posted]
        missing -= sum((one.rates[0] for one in taken if one not in open_), ZERO)
        choice = _chosen(open_, missing)
        if choice is None:
            # An execution may be in the holding, and not told yet.
            holding.looks += 1
            return holding.looks >= _LOOKS
        for one, rate in zip(open_, choice, strict=True):
            if one.turn_to(rate):
                self._report(one)
        return True

    def posted(self, told: Mapping[str, Any]) -> bool:
        """A fee that Alpaca tells; whether it is that of an execution, whose fee is settled by it."""
        if not self.trades or told.get("activity_type") != "CFEE":
            return False
        key = text_of(told, "id")
        if key in self._explained:
            return True
        net = amount(told.get("net_amount") or "0", "net_amount")
        size = -net if net else -amount(told.get("qty") or "0", "qty")
        asset = _CASH if net else str(told.get("symbol", "")).replace("/", "").removesuffix(_CASH)
        open_ = [one for one in self._charges.values() if not one.posted and one.asset == asset]
        # Assumed, else possible, else that of a tier which the account had then.
        likely = [one for one in open_ if one.rates[0] == size] or [one for one in open_ if size in one.rates]
        if not likely:
            likely = [one for one in open_ if any(size == one.at(points) for points in _ALL_POINTS)]
        if not likely:
            return False
        found = likely[0]
        self._explained.add(key)
        found.posted = True
        found.turn_to(size)
        self._report(found)
        return True

    def forget(self) -> None:
        """Drop what is too old for a fee to be told."""
        old = self._clock.now() - _KEPT
        self._charges = {name: one for name, one in self._charges.items() if one.fill.executed_at > old}
        used = {name[0] for name in self._charges}
        self._orders = {
            name: known for name, known in self._orders.items() if name in used or (known[1] or old) >= old
        }

    def _report(self, charge: _Charge) -> None:
        fill = charge.fill
        self._tell(FeeReport(fill.account, fill.execution_key, charge.fees, self._clock.now()))


def tier_of(account: Mapping[str, Any]) -> int | None:
    """The tier of its fees, of which there are eight; None where it is not told, or new."""
    digits = "".join(one for one in str(account.get("crypto_tier", "")) if one.isdigit())
    number = int(digits) if digits else 0
    return number if 0 < number <= len(_TIERS) else None


def rates_of(tier: int | None) -> tuple[Decimal, Decimal]:
    """Percent of what is credited, for who rests in the book and for who takes."""
    maker, taker = _TIERS[(tier or 1) - 1]
    return Decimal(maker) / 100, Decimal(taker) / 100


def _chosen(charges: list[_Charge], missing: Decimal) -> tuple[Decimal, ...] | None:
    """Of each fee an amount, so that they make up what is missing; those that are assumed, if they do."""
    if len(charges) > _APART:
        assumed = tuple(one.rates[0] for one in charges)
        return assumed if sum(assumed, ZERO) == missing else None
    sums: dict[Decimal, tuple[Decimal, ...]] = {ZERO: ()}
    for one in charges:
        longer: dict[Decimal, tuple[Decimal, ...]] = {}
        for rate in one.rates:
            for total, choice in sums.items():
                longer.setdefault(total + rate, (*choice, rate))
        sums = longer
    return sums.get(missing)
