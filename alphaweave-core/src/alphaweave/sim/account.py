"""The venue's books: cash, positions, holdings, and what may still be bought with them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

from alphaweave.core.clock import from_ns
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.core.order import OrderType
from alphaweave.live.reports import Balance, BrokerAccountState
from alphaweave.sim.market import Market
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.waiting import Waiting

__all__ = ["Account", "is_spot"]

# An enum member looked up in its class costs several times what a module's own name costs.
_MARKET = OrderType.MARKET

_add = CONTEXT.add
_subtract = CONTEXT.subtract
_multiply = CONTEXT.multiply


def is_spot(instrument: Instrument) -> bool:
    """Whether buying it adds to a balance instead of opening a position."""
    return instrument.kind == "spot" and instrument.base is not None


class Account:
    """Exact books of one account.

    Attributes:
        cash: of the account's currency.
        positions: symbol -> signed units, without zeros.
        holdings: base asset of spot instruments -> units, without zeros.
        matching: everything is valued at prices known before the bars ending then closed; None: at the
            last closes.
        valued_at: the instant it was last valued at; None after a change of prices or of ``matching``.
    """

    def __init__(  # noqa: PLR0917 - wiring
        self,
        name: str,
        currency: str,
        cash: Decimal,
        instruments: Mapping[str, Instrument],
        market: Market,
        settings: VenueSettings,
        waiting: Waiting,
    ) -> None:
        self.name = name
        self.currency = currency
        self._instruments = instruments
        self._market = market
        self._settings = settings
        self._awake = waiting.awake
        self._departures = waiting.departures
        self._checks = settings.check_funds
        self.cash = cash
        self.positions: dict[str, Decimal] = {}
        self.holdings: dict[str, Decimal] = {}
        # pricing symbol -> its last execution price, for what is held while its market is not visible
        self._last: dict[str, Decimal] = {}
        self._keys: dict[str, tuple[dict[str, Decimal], str]] = {}
        # symbol -> the symbol that prices what it holds: of several with one base asset, the first
        self._pricing: dict[str, str] = {}
        first: dict[str, str] = {}
        for symbol, instrument in instruments.items():
            if is_spot(instrument):
                assert instrument.base is not None
                self._keys[symbol] = (self.holdings, instrument.base)
                self._pricing[symbol] = first.setdefault(instrument.base, symbol)
            else:
                self._keys[symbol] = (self.positions, symbol)
                self._pricing[symbol] = symbol
        self._spot = first
        self.matching: int | None = None
        self.valued_at: int | None = None
        self._gross = ZERO
        self._value = ZERO
        # what was held before and after each execution since then, until somebody asks what it is worth
        self._moved: list[tuple[Instrument, Decimal, Decimal]] = []

    def position(self, symbol: str) -> Decimal:
        """Signed units held of ``symbol``, or of its base asset."""
        book, key = self._keys[symbol]
        return book.get(key, ZERO)

    def refusal(  # noqa: PLR0917 - runs twice for every order, and keywords cost
        self,
        instrument: Instrument,
        buy: bool,
        units: Decimal,
        price: Decimal | None,
        now: int,
        worth: Decimal | None = None,
        fill: bool = False,
    ) -> str | None:
        """Why ``units`` may not be traded: a reason code, or None if they may.

        What reduces a position is always allowed.

        Args:
            price: what they would cost each. None: the last close; while there is none, the test of
                funds waits for the fill.
            now: nanoseconds; the account is valued once for each instant.
            worth: what they would cost together, if that is known better.
            fill: they are traded at ``price`` now, so that what is held of them is worth it too.
        """
        if buy and not self._checks:
            return None
        symbol = instrument.symbol
        book, key = self._keys[symbol]
        held = book.get(key, ZERO)
        closing = ZERO
        if held and (held < 0) is buy:
            closing = min(units, held.copy_abs())
            if closing == units:
                return None
        if not buy:
            reason = self._unsellable(instrument, book)
            if reason is not None or not self._checks:
                return reason
        if price is None:
            price = self._market.last_close(symbol)
            if price is None:
                return None
        # Prices stand still while time does, so one valuation serves every order of an instant.
        if self.valued_at != now:
            self._value_all(now)
        elif self._moved:
            self._value_moved()
        gross, value, multiplier = self._gross, self._value, instrument.multiplier
        change = _multiply(_multiply(units, price), multiplier) if worth is None else worth
        if held:
            own = self._mark(self._pricing[symbol])
            if fill:
                moved = _multiply(_multiply(held, _subtract(price, own)), multiplier)
                value = _add(value, moved)
                gross = _add(gross, moved if held > 0 else moved.copy_negate())
                own = price
            if closing:
                # The closing part opens nothing, and what it closes goes.
                unopened = _multiply(_multiply(closing, _add(price, own)), multiplier)
                change = _subtract(change, unopened)
        allowed = _multiply(self._settings.leverage, _add(self.cash, value))
        needed = _add(gross, change)
        carried = needed <= allowed or (not fill and _subtract(needed, self._freed(symbol, now)) <= allowed)
        return None if carried else "insufficient_funds"

    def book(  # noqa: PLR0917 - the figures of one execution
        self,
        instrument: Instrument,
        buy: bool,
        size: Decimal,
        notional: Decimal,
        price: Decimal,
        fee: Decimal,
    ) -> None:
        """Book one execution; ``notional`` is unsigned, in the account's currency."""
        symbol = instrument.symbol
        departures = self._departures
        if departures.counted:
            departures.recount()
        book, key = self._keys[symbol]
        held = book.get(key, ZERO)
        after = _add(held, size) if buy else _subtract(held, size)
        pricing = self._pricing[symbol]
        if pricing != symbol and self._price(pricing) is None:
            # This execution is what values the position from now on.
            self.valued_at = None
        if self.valued_at is not None:
            self._moved.append((instrument, held, after))
        if after:
            book[key] = after
        else:
            del book[key]
        cash = _subtract(self.cash, notional) if buy else _add(self.cash, notional)
        self.cash = _subtract(cash, fee) if fee else cash
        self._last[pricing] = price

    def deal(  # noqa: PLR0917 - the figures of one execution
        self, held: dict[str, Decimal], key: str, pricing: str, after: Decimal, cash: Decimal, price: Decimal
    ) -> None:
        """`book` an execution whose outcome is known: what is held ``after`` it, and ``cash`` it moved."""
        if self._departures.counted:
            self._departures.recount()
        self.valued_at = None
        if after:
            held[key] = after
        else:
            del held[key]
        self.cash = _add(self.cash, cash)
        self._last[pricing] = price

    def state(self, now: int) -> BrokerAccountState:
        """The account at the last prices known."""
        self._value_all(now)
        equity = _add(self.cash, self._value)
        self.valued_at = None
        free = _subtract(_multiply(self._settings.leverage, equity), self._gross)
        balances = {self.currency: self.cash, **self.holdings}
        return BrokerAccountState(
            account_id=self.name,
            as_of=from_ns(now),
            base_currency=self.currency,
            balances={asset: Balance(total, total, ZERO) for asset, total in balances.items()},
            positions=dict(self.positions),
            equity=equity,
            buying_power=max(free, ZERO),
        )

    def snapshot(self) -> dict[str, Any]:
        """Cash, positions, holdings and last execution prices, as text."""
        return {
            "cash": str(self.cash),
            "positions": _texts(self.positions),
            "holdings": _texts(self.holdings),
            "last": _texts(self._last),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Put back what `snapshot` gave."""
        self.cash = Decimal(snapshot["cash"])
        for book, name in ((self.positions, "positions"), (self.holdings, "holdings"), (self._last, "last")):
            book.clear()
            book.update((key, Decimal(text)) for key, text in snapshot[name].items())
        self.matching = self.valued_at = None

    def _unsellable(self, instrument: Instrument, book: dict[str, Decimal]) -> str | None:
        """Why what is not held may not be sold."""
        if book is self.holdings:
            return "insufficient_funds"
        return None if self._settings.allow_short and instrument.shortable else "short_not_allowed"

    def _freed(self, symbol: str, now: int) -> Decimal:
        """Gross exposure of other positions that market orders of this instant will close."""
        departures = self._departures
        left, worth = departures.left, departures.worth
        for order in islice(self._awake.values(), departures.counted, None):
            if order.submitted != now or order.request.type is not _MARKET or order.request.quantity is None:
                continue
            other = order.ref.symbol
            held = self.position(other)
            if not held or (held < 0) is not order.buy:
                continue
            pricing = self._pricing[other]
            left[pricing] = units = _add(left.get(pricing, ZERO), order.remaining)
            unit = _multiply(self._mark(pricing), self._instruments[pricing].multiplier)
            worth[pricing] = _multiply(min(units, held.copy_abs()), unit).copy_abs()
        departures.counted = len(self._awake)
        own = self._pricing[symbol]
        freed = ZERO
        for pricing, closed in worth.items():
            if pricing != own:
                freed = _add(freed, closed)
        return freed

    def _price(self, symbol: str) -> Decimal | None:
        if self.matching is None:
            return self._market.last_close(symbol)
        return self._market.price_before(symbol, self.matching)

    def _mark(self, symbol: str) -> Decimal:
        price = self._price(symbol)
        return self._last[symbol] if price is None else price

    def _value_moved(self) -> None:
        for instrument, held, after in self._moved:
            unit = _multiply(self._mark(self._pricing[instrument.symbol]), instrument.multiplier)
            self._value = _add(self._value, _multiply(_subtract(after, held), unit))
            grown = _subtract(after.copy_abs(), held.copy_abs())
            self._gross = _add(self._gross, _multiply(grown, unit))
        self._moved.clear()

    def _value_all(self, now: int) -> None:
        gross = value = ZERO
        for symbol, units in self.positions.items():
            worth = _multiply(_multiply(units, self._mark(symbol)), self._instruments[symbol].multiplier)
            value = _add(value, worth)
            gross = _add(gross, worth.copy_abs())
        for asset, units in self.holdings.items():
            symbol = self._spot[asset]
            worth = _multiply(_multiply(units, self._mark(symbol)), self._instruments[symbol].multiplier)
            value = _add(value, worth)
            gross = _add(gross, worth.copy_abs())
        self.valued_at, self._gross, self._value = now, gross, value
        self._moved.clear()
        if self._departures.counted:
            self._departures.recount()


def _texts(book: Mapping[str, Decimal]) -> dict[str, str]:
    return {key: str(value) for key, value in book.items()}
