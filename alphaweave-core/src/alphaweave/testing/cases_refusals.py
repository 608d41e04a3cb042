"""Broker cases: what the venue refuses, and how that is told."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from attrs import evolve

from alphaweave.core.errors import (
    BrokerUnavailable,
    CancelRejected,
    NotSent,
    OrderRejected,
    OutcomeUnknown,
    Unsupported,
)
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus, RejectReason
from alphaweave.live.broker import FillQuery, OrderUpdate
from alphaweave.testing.bench import Bench, Sent
from alphaweave.testing.case import in_group
from alphaweave.testing.orders import KIT_PRICE
from alphaweave.testing.sandbox import Action, Fault, Power

__all__ = ["RefusalCases"]

_case = in_group("Refusals")
_limits = in_group("Rate limits")


async def _rejection(bench: Bench, request: OrderRequest, what: str) -> OrderRejected | OrderUpdate:
    """How an order was refused for good: by an exception, or by an update after an acknowledgement."""
    sent: Sent | None = None
    try:
        sent = bench.written(request)
        await bench.within(bench.broker.submit_order(sent.ref, sent.request), "submit_order()")
    except OrderRejected as error:
        return error
    except Unsupported as error:
        return OrderRejected(str(error), reason=RejectReason.UNSUPPORTED, text=str(error))
    id_ = sent.id
    found = await bench.event(
        lambda event: (
            isinstance(event, OrderUpdate)
            and event.ref.client_order_id == id_
            and event.status is OrderStatus.REJECTED
        ),
        f"the rejection of {what}",
    )
    assert isinstance(found, OrderUpdate)
    return found


def _nothing_works(bench: Bench, what: str) -> None:
    working = [order for order in bench.venue.truth().orders if not order.status.terminal]
    assert not working, f"{what} was refused, and works at the venue"


class RefusalCases:
    """What the venue refuses, and how that is told."""

    @_case("BRK-510", powers=[Power.REJECT])
    async def test_rejected_order_is_told(self, bench: Bench) -> None:
        """An order that the broker refuses is OrderRejected, or REJECTED by an update, in its own words."""
        await bench.open()
        await bench.venue.arm(Action.SUBMIT, Fault.REJECT)
        told = await _rejection(bench, bench.orders.limit(bench.symbol), "an order that the venue refused")
        assert told.text, "the broker's words are not told"
        _nothing_works(bench, "the order")

    @_case("BRK-515", powers=[Power.REJECT])
    async def test_rejection_is_of_one_order(self, bench: Bench) -> None:
        """After a rejection the next order is taken: it is told of one order only, once."""
        await bench.open()
        await bench.venue.arm(Action.SUBMIT, Fault.REJECT)
        await _rejection(bench, bench.orders.limit(bench.symbol), "an order that the venue refused")
        sent = await bench.bought()
        told = [event for event in bench.all_of(OrderUpdate) if event.status is OrderStatus.REJECTED]
        assert len(told) <= 1, "the rejection was told more than once"
        statuses = [status.name for status in bench.statuses(sent)]
        assert OrderStatus.REJECTED.name not in statuses, f"the next order was told as {statuses}"

    @_case("BRK-520")
    async def test_unknown_symbol_is_refused(self, bench: Bench) -> None:
        """An order in a symbol that the venue does not know is refused, as UNKNOWN_SYMBOL or unsent."""
        names = {**bench.venue.names, "NOSUCH": "NOSUCHXYZ"}
        await bench.open(names=names, symbols=(*bench.symbols, "NOSUCH"))
        request = evolve(bench.orders.limit(bench.symbol), symbol="NOSUCH")
        told = await _rejection(bench, request, "an order in an unknown symbol")
        if isinstance(told, OrderRejected):
            known = {RejectReason.UNKNOWN_SYMBOL, RejectReason.UNSUPPORTED}
            assert told.reason in known, f"the reason is {told.reason.name}"
        found = await bench.within(bench.broker.get_instruments(["NOSUCH"]), "get_instruments()")
        assert "NOSUCH" not in found, "get_instruments has rules for a symbol that does not exist"

    @_case("BRK-525")
    async def test_insufficient_funds_are_told(self, bench: Bench) -> None:
        """An order that the account cannot pay for is refused: INSUFFICIENT_FUNDS, or INVALID_SIZE."""
        await bench.open()
        state = await bench.within(bench.broker.get_account_state(), "get_account_state()")
        owned = state.balances[bench.venue.currency].total
        lots = int(owned * 1000 / KIT_PRICE / bench.orders.lot(bench.symbol))
        request = evolve(
            bench.orders.limit(bench.symbol, lots), limit_price=bench.orders.price(bench.symbol, "0.9")
        )
        told = await _rejection(bench, request, "an order a thousand times too large")
        if isinstance(told, OrderRejected):
            known = {RejectReason.INSUFFICIENT_FUNDS, RejectReason.INVALID_SIZE}
            assert told.reason in known, f"the reason is {told.reason.name}"
        _nothing_works(bench, "the order")

    @_case("BRK-530")
    async def test_price_off_the_grid_is_not_moved(self, bench: Bench) -> None:
        """A price between two ticks is refused or taken as it is, never moved."""
        await bench.open()
        request = bench.orders.limit(bench.symbol)
        assert request.limit_price is not None
        step = bench.instrument().price_step(request.limit_price)
        await self._kept(bench, evolve(request, limit_price=request.limit_price + step / 2), "limit_price")

    @_case("BRK-535")
    async def test_size_off_the_grid_is_not_moved(self, bench: Bench) -> None:
        """A size between two steps is refused or taken as it is, never moved."""
        await bench.open()
        request = bench.orders.limit(bench.symbol)
        assert request.quantity is not None
        step = bench.instrument().size_step
        await self._kept(bench, evolve(request, quantity=request.quantity + step / 2), "quantity")

    @_case("BRK-540", powers=[Power.DUPLICATE_ID])
    async def test_duplicate_id_is_unknown(self, bench: Bench) -> None:
        """A refusal because the client order id was used before is OutcomeUnknown: the order may be there."""
        broker = await bench.open()
        sent = bench.written(bench.orders.limit(bench.symbol))
        await bench.venue.arm(Action.SUBMIT, Fault.DUPLICATE_ID)
        call = broker.submit_order(sent.ref, sent.request)
        await bench.refused(OutcomeUnknown, call, "an order whose id the venue says was used before")

    @_case("BRK-545", powers=[Power.HALT])
    async def test_halted_symbol_is_refused(self, bench: Bench) -> None:
        """An order in a symbol that is halted is refused as MARKET_CLOSED, and its rules say so."""
        await bench.open()
        await bench.venue.halt(bench.symbol, True)
        told = await _rejection(bench, bench.orders.limit(bench.symbol), "an order in a halted symbol")
        if isinstance(told, OrderRejected):
            assert told.reason is RejectReason.MARKET_CLOSED, f"the reason is {told.reason.name}"
        found = await bench.within(bench.broker.get_instruments([bench.symbol]), "get_instruments()")
        assert not found[bench.symbol].tradable, "tradable is True for a halted symbol"

    @_limits("BRK-550", powers=[Power.THROTTLE])
    async def test_throttled_order_is_final(self, bench: Bench) -> None:
        """An order that the rate limit refuses is RATE_LIMITED, or NotSent, and is not sent again."""
        broker = await bench.open()
        sent = bench.written(bench.orders.limit(bench.symbol))
        await bench.venue.arm(Action.SUBMIT, Fault.THROTTLE, retry_after=0.2)
        call = broker.submit_order(sent.ref, sent.request)
        error = await bench.refused((OrderRejected, NotSent), call, "a throttled order")
        if isinstance(error, OrderRejected):
            assert error.reason is RejectReason.RATE_LIMITED, f"the reason is {error.reason.name}"
        # Whoever retries behind the caller's back does so before the next order gets through.
        await bench.until(lambda: self._limit_is_over(bench), "the end of the rate limit")
        await bench.bought()
        assert bench.sends(sent) == 1, f"a throttled order was sent {bench.sends(sent)} times"
        assert bench.truth(sent) is None, "a throttled order is at the venue"

    @_limits("BRK-555", powers=[Power.THROTTLE])
    async def test_throttled_query_is_no_answer(self, bench: Bench) -> None:
        """A query that the rate limit refuses is BrokerUnavailable."""
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        since = bench.venue.clock.now() - timedelta(hours=1)
        await bench.venue.arm(Action.QUERY, Fault.THROTTLE, times=1000, retry_after=0.05)
        # A lookup that took this refusal for "no such order" would have the order sent anew.
        await bench.refused(BrokerUnavailable, broker.get_order(sent.ref), "a throttled get_order()")
        await bench.refused(BrokerUnavailable, broker.get_open_orders(), "a throttled get_open_orders()")
        await bench.refused(BrokerUnavailable, broker.get_fills(FillQuery(since)), "a throttled get_fills()")
        call = broker.get_account_state()
        await bench.refused(BrokerUnavailable, call, "a throttled get_account_state()")

    @_limits("BRK-560", powers=[Power.THROTTLE])
    async def test_throttled_cancel_is_told(self, bench: Bench) -> None:
        """A cancel that the rate limit refuses is told as not done, and can be repeated."""
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.arm(Action.CANCEL, Fault.THROTTLE, retry_after=0.2)
        try:
            await bench.within(broker.cancel_order(bench.known(sent)), "a throttled cancel")
        except (CancelRejected, NotSent, OutcomeUnknown):
            await bench.until(lambda: self._limit_is_over(bench), "the end of the rate limit")
            await bench.cancel(sent)
        await bench.until(lambda: not bench.working(sent), "the end of the order")

    @staticmethod
    def _limit_is_over(bench: Bench) -> bool:
        last = bench.venue.requests[-1]
        return (bench.venue.clock.now() - last.at).total_seconds() > 0.4

    @staticmethod
    async def _kept(bench: Bench, request: OrderRequest, name: str) -> None:
        ref = OrderRef(bench.ref().client_order_id, request.symbol, decided_at=bench.venue.clock.now())
        try:
            sent = await bench.submit(request, ref)
        except (OrderRejected, Unsupported):
            _nothing_works(bench, "the order")
            return
        order = bench.truth(sent)
        if order is None or order.status is OrderStatus.REJECTED:
            return
        held = None if order.request is None else getattr(order.request, name)
        asked = getattr(request, name)
        assert isinstance(asked, Decimal)
        assert held in {None, asked}, f"{name} {asked} arrived as {held}"
