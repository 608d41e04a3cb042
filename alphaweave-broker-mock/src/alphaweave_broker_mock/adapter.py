"""The brokers `mock` and `paper` as adapters: the whole contract over one simulated venue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final, Self

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import (
    AuthenticationFailed,
    BrokerUnavailable,
    NotSent,
    OrderRejected,
    StateFailed,
    Unsupported,
)
from alphaweave.core.instrument import Instrument
from alphaweave.core.market import Bar
from alphaweave.core.order import (
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderStatus,
    RejectReason,
)
from alphaweave.data.series import Series
from alphaweave.live.adapters.base import BrokerConfig, RunMode, Services
from alphaweave.live.adapters.capabilities import Capabilities, refuse_undeclared
from alphaweave.live.broker import (
    BrokerAccountState,
    BrokerEvent,
    BrokerOrder,
    FillQuery,
    FillReport,
    OrderAck,
    OrderUpdate,
)
from alphaweave.live.config_options import parse_options
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave.sim.venue import SimVenue
from alphaweave_broker_mock.account_file import AccountFile
from alphaweave_broker_mock.options import MockOptions, PaperOptions, VenueOptions
from alphaweave_broker_mock.venue import make_venue

__all__ = ["MockBrokerAdapter", "PaperBrokerAdapter", "SimulatedBroker"]

_EPOCH_NS: Final = 0
_REASONS: Final[Mapping[str | None, RejectReason]] = {
    "insufficient_funds": RejectReason.INSUFFICIENT_FUNDS,
    "short_not_allowed": RejectReason.NOT_SHORTABLE,
    "unknown_symbol": RejectReason.UNKNOWN_SYMBOL,
    "no_market_price": RejectReason.MARKET_CLOSED,
    "post_only_would_cross": RejectReason.WOULD_CROSS,
    "unsupported_currency": RejectReason.UNSUPPORTED,
    "unsupported_interval": RejectReason.UNSUPPORTED,
    "unsupported_order": RejectReason.UNSUPPORTED,
    "unsupported_tif": RejectReason.UNSUPPORTED,
}


class SimulatedBroker:
    """A broker whose venue runs in this process, on the event loop's thread.

    Its market is what `on_market` shows it, and its time is that market's: an order is submitted at the
    end of the latest slice, so that a run fills as a replay over the same slices does. The clock is
    read only for what concerns this machine (``received_at`` of an acknowledgement, ``as_of`` of the
    account) and before the first slice.
    """

    name: ClassVar[str]
    options_class: ClassVar[type[VenueOptions]]
    capabilities: Capabilities = SIM_CAPABILITIES

    def __init__(
        self,
        options: VenueOptions | None = None,
        services: Services | None = None,
        *,
        instruments: Mapping[str, Instrument] | None = None,
    ) -> None:
        """``instruments`` are the rules to trade by; None: those of ``services``, else assumed ones."""
        self._options = self.options_class() if options is None else options
        self._services = Services() if services is None else services
        self._instruments = self._assumed() if instruments is None else dict(instruments)
        self._venue: SimVenue = make_venue(self._options, self._services, self._instruments)
        self._board: dict[str, Series] = {}
        self._venue.board = self._board
        self._market_time: int | None = None
        path = self._services.account_path
        self._file = None if path is None else AccountFile(path)
        self._broken: str | None = None
        self._kept_to: int | None = None
        self._account: str | None = None
        self._connected = False
        self._taken = False
        self._events: asyncio.Queue[BrokerEvent | None] = asyncio.Queue()

    @classmethod
    def from_config(cls, config: BrokerConfig, services: Services | None = None) -> Self:
        """Build one from a config section.

        Raises:
            OptionsError: with everything that is wrong in its options.
        """
        options = parse_options(cls.options_class, config.options, path=f"broker.options.{cls.name}")
        return cls(options, services)

    async def connect(self) -> None:
        """Nothing to connect to; refuses a run for real money, and takes up the account that was kept.

        Raises:
            AuthenticationFailed: the run's mode is ``live``, or it names another account.
            StateError: the account that was kept cannot be read.
        """
        if self._services.mode is RunMode.LIVE:
            raise AuthenticationFailed(
                f"broker {self.name!r} is simulated and cannot trade real money: "
                "name another broker, or write run.mode: paper",
                code="simulated_broker",
                details={"broker": self.name, "mode": self._services.mode.value},
            )
        wanted = self._services.account_id
        if self._account is not None and wanted not in {None, self._account}:
            raise AuthenticationFailed(
                f"broker {self.name!r} trades the account {self._account}, but broker.account_id is {wanted}",
                code="other_account",
                details={"broker": self.name, "account": self._account, "account_id": str(wanted)},
            )
        if self._file is not None and not self._board:
            self._market_time = self._kept_to = self._file.load(self._venue, self._board)
        self._connected = True

    def trade_on(
        self,
        venue: SimVenue,
        board: dict[str, Series],
        market_time: int | None,
        *,
        account: str,
        instruments: Mapping[str, Instrument],
    ) -> None:
        """Trade on a venue that outlives this adapter, before it connects: a sandbox's.

        Args:
            venue: with its orders and its books.
            board: the market that it sees; `on_market` goes on with it.
            market_time: the instant of its latest bar (ns); None before the first.
            account: whose books they are. `connect` refuses a run that names another.
            instruments: the rules it trades by.
        """
        self._venue, self._board, self._market_time, self._account = venue, board, market_time, account
        self._instruments = dict(instruments)

    async def disconnect(self) -> None:
        """Ends the event stream after what is already in it."""
        self._connected = False
        self._events.put_nowait(None)

    def events(self) -> AsyncIterator[BrokerEvent]:
        """The event stream; it ends after `disconnect`.

        Raises:
            Unsupported: it was taken before, and two readers would each miss what the other got.
        """
        if self._taken:
            raise Unsupported(f"the events of broker {self.name!r} are taken once", code="events_taken")
        self._taken = True
        return self._stream()

    async def _stream(self) -> AsyncIterator[BrokerEvent]:
        while True:
            event = await self._events.get()
            try:
                if event is None:
                    return
                yield event
            finally:
                # Whoever reads has come back for the next, and so has dealt with this one.
                self._events.task_done()

    async def delivered(self) -> None:
        """Return when whoever reads the events has dealt with all there are."""
        await self._events.join()

    def on_market(self, bars: Sequence[Bar]) -> None:
        """Show the venue one slice, before the kernel sees it: what rests is matched against it.

        Raises:
            ValueError: the bars do not end at one instant.
            DataError: a bar does not follow the last one of its symbol.
        """
        ends = {to_ns(bar.end) for bar in bars}
        if len(ends) != 1:
            raise ValueError(f"a slice holds the bars of one instant, not of {len(ends)}")
        (end,) = ends
        if self._kept_to is not None and end <= self._kept_to:
            return  # it was matched before the program that showed it ended, which did not get to know
        for bar in bars:
            series = self._board.get(bar.symbol)
            if series is None:
                series = self._board[bar.symbol] = Series(bar.symbol, bar.interval)
            series.append(to_ns(bar.start), end, bar.open, bar.high, bar.low, bar.close, bar.volume)
            series.cursor.count = len(series)
        self._market_time = end if self._market_time is None else max(self._market_time, end)
        self._venue.on_slice(end)
        self.publish()

    def prepare(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> Sequence[Mapping[str, str]]:
        refuse_undeclared(self.capabilities, request, refs[0].symbol)
        return tuple({} for _ in refs)

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        self._check_sendable()
        self._venue.submit(ref, request, self._now())
        return (await self._answer((ref,)))[0]

    async def submit_group(self, refs: Sequence[OrderRef], group: OrderGroup) -> tuple[OrderAck, ...]:
        self._check_sendable()
        self._venue.submit_group(refs, group, self._now())
        return await self._answer(refs)

    async def cancel_order(self, ref: OrderRef) -> None:
        self._check_sendable()
        self._venue.cancel(ref.client_order_id, self._now())
        self.publish()
        await _heard()

    async def cancel_all(self, symbols: Sequence[str] | None) -> None:
        self._check_sendable()
        try:
            self._venue.cancel_all(symbols, self._now())
        finally:
            self.publish()

    async def replace_order(self, ref: OrderRef, new_ref: OrderRef, change: OrderChange) -> OrderAck:
        self._check_sendable()
        self._venue.replace(ref.client_order_id, new_ref, change, self._now())
        self.publish()
        return (await self._acknowledged((new_ref,)))[0]

    async def get_order(self, ref: OrderRef) -> BrokerOrder | None:
        self._check_answering()
        return self._venue.order(ref.client_order_id)

    async def get_open_orders(self, symbols: Sequence[str] | None = None) -> Sequence[BrokerOrder]:
        self._check_answering()
        orders = self._venue.open_orders()
        return [order for order in orders if symbols is None or order.ref.symbol in symbols]

    async def get_fills(self, query: FillQuery) -> FillReport:
        """Every execution since ``query.cursor``; without one, since the venue began.

        ``query.since`` may be this machine's time, which the market's lags behind, so it bounds nothing.
        """
        self._check_answering()
        known = self._venue.fills(_EPOCH_NS)
        wanted = None if query.symbols is None else set(query.symbols)
        fills = known[int(query.cursor or 0) :]
        complete = from_ns(self._venue.fills_complete_from)
        return FillReport(
            fills=tuple(fill for fill in fills if wanted is None or fill.symbol in wanted),
            complete_from=dict.fromkeys(
                self._instruments if query.symbols is None else query.symbols, complete
            ),
            cursor=str(len(known)),
        )

    async def get_account_state(self) -> BrokerAccountState:
        self._check_answering()
        return self._venue.account_state(to_ns(self._services.clock.now()))

    async def get_instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        self._check_answering()
        return {symbol: self._instruments[symbol] for symbol in symbols if symbol in self._instruments}

    async def get_time(self) -> datetime:
        """This machine's time: the venue is in this process."""
        self._check_answering()
        return self._services.clock.now()

    def _assumed(self) -> dict[str, Instrument]:
        services = self._services
        return {
            symbol: services.instruments.get(symbol)
            or Instrument(
                symbol=symbol,
                venue_symbol=services.names.get(symbol, symbol),
                quote=services.currency,
                settle=services.currency,
                assumed=True,
            )
            for symbol in services.symbols
        }

    def _now(self) -> int:
        return to_ns(self._services.clock.now()) if self._market_time is None else self._market_time

    def _check_sendable(self) -> None:
        if self._broken is not None:
            raise NotSent(self._broken, code="account_not_kept")
        if not self._connected:
            raise NotSent(f"broker {self.name!r} is not connected: connect() first", code="not_connected")

    def _check_answering(self) -> None:
        if self._broken is not None:
            raise BrokerUnavailable(self._broken, code="account_not_kept")
        if not self._connected:
            raise BrokerUnavailable(
                f"broker {self.name!r} is not connected: connect() first", code="not_connected"
            )

    def publish(self) -> None:
        """Tell what has happened at the venue since the last time."""
        # Before anybody hears of it: what a broker has said it knows, whatever happens to it.
        if self._file is not None:
            try:
                self._file.save(self._venue, self._board, self._market_time)
            except StateFailed as error:
                # What was not kept is not to be told of, nor found when it is asked for.
                self._broken = str(error)
                raise
        for event in self._venue.take():
            self._events.put_nowait(event)

    async def _answer(self, refs: Sequence[OrderRef]) -> tuple[OrderAck, ...]:
        """What is said of a submission."""
        first = self._venue.events[0]
        self.publish()
        if isinstance(first, OrderUpdate) and first.status is OrderStatus.REJECTED:
            await _heard()
            raise OrderRejected(
                f"{first.ref.symbol}: {self.name} refused the order: {first.text}",
                reason=_REASONS.get(first.reason, RejectReason.OTHER),
                code=first.reason,
                text=first.text,
            )
        return await self._acknowledged(refs)

    async def _acknowledged(self, refs: Sequence[OrderRef]) -> tuple[OrderAck, ...]:
        orders = [self._venue.order(ref.client_order_id) for ref in refs]
        now, market = self._services.clock.now(), from_ns(self._now())
        await _heard()
        return tuple(
            OrderAck(ref if order is None else order.ref, now, market)
            for ref, order in zip(refs, orders, strict=True)
        )


async def _heard() -> None:
    """Let whoever reads the events go first, so that all is heard in the order in which it happened, as in a
    replay, whichever of several calls is answered first."""
    await asyncio.sleep(0)


class MockBrokerAdapter(SimulatedBroker):
    """Takes every order and fills market orders at once at the last price: for tests and first steps."""

    name = "mock"
    options_class = MockOptions


class PaperBrokerAdapter(SimulatedBroker):
    """Matches orders against the bars that follow, with fees, slippage and limited cash."""

    name = "paper"
    options_class = PaperOptions
