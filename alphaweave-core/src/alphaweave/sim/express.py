"""The straight way through the venue for market orders that nothing else can touch.

A market order in units that fills at the next open meets no other order on its way, if no other order is
working. All there is to do for it is to see that the account can carry it, twice, and to book it once.
`Express` does that and no more; whatever is not plain it leaves alone, and the venue deals with it the
long way. Both ways end in the same books, numbers and executions.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import frozen

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.core.order import OrderRef, OrderRequest, Side
from alphaweave.data.series import Series
from alphaweave.sim.account import Account, is_spot
from alphaweave.sim.book import OrderBook
from alphaweave.sim.execution import Executor
from alphaweave.sim.market import BarView, Market
from alphaweave.sim.orders import SimOrder
from alphaweave.sim.settings import VenueSettings

__all__ = ["Dealing", "Express", "Lot", "goes_straight"]

_ONE = Decimal(1)
# Room for an order that is less than this share of what is allowed is worked out exactly.
_DOUBT = 1e-6
_add, _subtract, _multiply = CONTEXT.add, CONTEXT.subtract, CONTEXT.multiply

Dealing = tuple[Decimal, Decimal, Decimal, int, int]
"""An execution: price, notional, fee, when (ns), and its number at the venue."""


@frozen
class Lot:
    """What dealing in one symbol needs.

    Attributes:
        held: where the account keeps units of it, under ``key``.
        factor: what one unit gains when the price rises by one.
        plain: a notional is size times price.
        short: it may be sold short here.
    """

    instrument: Instrument
    series: Series
    held: dict[str, Decimal]
    key: str
    factor: float
    plain: bool
    short: bool

    def mark(self) -> float:
        """The last close that is visible."""
        series = self.series
        return series.close[series.cursor.count - 1]


def goes_straight(settings: VenueSettings, instruments: Mapping[str, Instrument], currency: str) -> bool:
    """Whether a market order in units has no more to meet on its way than the next open."""
    bases = [each.base for each in instruments.values() if is_spot(each)]
    return (
        settings.fill_at == "next_open"
        and not settings.latency_ns
        and not settings.faults
        and not settings.random_partials
        and settings.volume_share is None
        # Of an order that goes this way nothing is left to be looked up.
        and settings.history == 0
        and all(_suits(each, currency) for each in instruments.values())
        # What is held of an asset that several symbols trade would be valued by the first of them.
        and len(bases) == len(set(bases))
    )


def _suits(instrument: Instrument, currency: str) -> bool:
    """Whether all its money is the account's, and either way writes its figures in the same digits."""
    multiplier = instrument.multiplier
    return (
        instrument.settle == currency
        and (instrument.base is None or instrument.quote == currency)
        and (multiplier != _ONE or str(multiplier) == "1")
        and "E+" not in str(instrument.size_step)
    )


class Express:
    """The venue's half of the straight way. It keeps in floats what the account is worth, and takes an order
    only where these leave no doubt.

    A valuation is good for one ``index``, the number of the last slice that is visible: neither deciding
    after a slice nor dealing at the next open changes a mark.

    Attributes:
        account_id: the account's name.
        lots: symbol -> what dealing in it needs.
    """

    def __init__(  # noqa: PLR0917 - wiring
        self,
        account: Account,
        market: Market,
        book: OrderBook,
        executor: Executor,
        settings: VenueSettings,
        instruments: Mapping[str, Instrument],
    ) -> None:
        self.account_id = account.name
        self._account = account
        self._book = book
        self._market = market
        self._executor = executor
        self._checks = settings.check_funds
        self._leverage = float(settings.leverage)
        self._fees = settings.fees
        self._free = settings.fees.free
        self._rates = settings.fees.rates
        self._slippage = None if settings.slippage.none else settings.slippage
        # The cash that was last looked at, and the same as a float, which costs as much as all else here.
        self._money, self._cash = ZERO, 0.0
        self._valued_at = -1
        self._gross = 0.0
        self._value = 0.0
        self._bases: dict[str, Lot] = {}
        self.lots: dict[str, Lot] = {}
        for symbol, instrument in instruments.items():
            series = market.board.get(symbol)
            if series is None:
                continue
            spot = is_spot(instrument)
            lot = self.lots[symbol] = Lot(
                instrument=instrument,
                series=series,
                held=account.holdings if spot else account.positions,
                key=instrument.base or symbol if spot else symbol,
                factor=float(instrument.multiplier),
                plain=instrument.multiplier == _ONE,
                short=settings.allow_short and instrument.shortable and not spot,
            )
            if spot:
                self._bases[lot.key] = lot

    def admit(self, lot: Lot, buy: bool, units: Decimal, now: int, index: int) -> int:
        """Take an order; its place at the venue, or 0 if it has to go the long way."""
        book = self._book
        series = lot.series
        row = series.cursor.count - 1
        if now < book.now or row < 0 or not self._room(lot, buy, units, series.close[row], index, False):
            return 0
        book.now = now
        book.submissions += 1
        book.issued = place = book.issued + 1
        return place

    def deal(  # noqa: PLR0917 - runs for every order, and keywords cost
        self, lot: Lot, buy: bool, units: Decimal, submitted: int, end: int, index: int
    ) -> Dealing | None:
        """Fill an order at the open of the bar that ends at ``end``; None if it has to go the long way."""
        series = lot.series
        row = series.cursor.count
        ends = series.end
        if row == len(ends) or ends[row] != end:
            return None
        start = series.start[row]
        if (start if start < end else start - 1) < submitted:
            return None
        opened = series.open[row]
        price = Decimal(repr(opened))
        instrument = lot.instrument
        if self._slippage is not None:
            price = self._slippage.price(instrument, buy, price, BarView(series, row), units)
            opened = float(price)
        if not self._room(lot, buy, units, opened, index, True):
            return None
        notional = _multiply(units, price)
        if not lot.plain:
            notional = _multiply(notional, instrument.multiplier)
        if self._rates is not None:
            fee = _multiply(notional.copy_abs(), self._rates[0])
        elif self._free:
            fee = ZERO
        else:
            fee = self._fees.charge(units, notional.copy_abs(), maker=False)
            if self._fees.minimum:
                fee = max(fee, self._fees.minimum)
        held = lot.held
        before = held.get(lot.key, ZERO)
        if buy:
            after, cash = _add(before, units), (_add(notional, fee) if fee else notional).copy_negate()
        else:
            after, cash = _subtract(before, units), _subtract(notional, fee) if fee else notional
        self._account.deal(held, lot.key, lot.instrument.symbol, after, cash, price)
        if self._valued_at == index:
            was = float(before) if before else 0.0
            now = float(after) if after else 0.0
            mark = series.close[row - 1] * lot.factor
            self._value += (now - was) * mark
            self._gross += (abs(now) - abs(was)) * mark
        self._book.complete_from = end + 1
        executor = self._executor
        executor.executions = number = executor.executions + 1
        return price, notional, fee, start, number

    def open(self, end: int) -> None:
        """The bars that end at ``end`` are dealt in from now on."""
        self._book.now = end
        self._market.seen = end

    def ordinary(self, ref: OrderRef, request: OrderRequest, place: int, submitted: int, told: bool) -> None:
        """Let an order that was taken and not dealt go on the long way; ``told``: that it was taken is
        known already."""
        order = SimOrder(
            place, ref, request, request.side is Side.BUY, request.quantity, submitted, submitted
        )
        self._book.accept(order, told=told)

    def _room(  # noqa: PLR0917 - runs twice for every order, and keywords cost
        self, lot: Lot, buy: bool, units: Decimal, price: float, index: int, dealt: bool
    ) -> bool:
        """Whether `Account.refusal` would certainly refuse nothing."""
        held = lot.held.get(lot.key)
        closing = 0.0
        if held is not None and (held < ZERO) is buy:
            if units <= held.copy_abs():
                return True
            closing = abs(float(held))
        if not buy and not lot.short:
            return False
        if not self._checks:
            return True
        if self._valued_at != index:
            self._value_all(index)
        gross, value, factor = self._gross, self._value, lot.factor
        change = float(units) * price * factor
        if held is not None:
            own = lot.mark()
            if dealt:
                moved = float(held) * (price - own) * factor
                value += moved
                gross += moved if held > ZERO else -moved
                own = price
            if closing:
                change -= closing * (price + own) * factor
        money = self._account.cash
        if money is not self._money:
            self._money, self._cash = money, float(money)
        allowed = self._leverage * (self._cash + value)
        # What a float is off by is some 1e-16 of the largest figure in the sum, which is of the size of
        # ``gross``. Where not a number is among them, neither is true.
        return allowed - gross - change > _DOUBT * allowed and gross < allowed / _DOUBT

    def _value_all(self, index: int) -> None:
        gross = value = 0.0
        account = self._account
        for books, lots in ((account.positions, self.lots), (account.holdings, self._bases)):
            for key, units in books.items():
                lot = lots[key]
                worth = float(units) * lot.mark() * lot.factor
                value += worth
                gross += abs(worth)
        self._valued_at, self._gross, self._value = index, gross, value
