"""Broker cases: cancelling orders and replacing them."""

from __future__ import annotations

from decimal import Decimal

from alphaweave.core.errors import CancelRejected, OrderState, ReplaceRejected, Unsupported
from alphaweave.core.order import OrderChange, OrderRequest, OrderStatus, OrderType, Trail
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.broker import OrderUpdate
from alphaweave.testing.bench import Bench, Sent
from alphaweave.testing.case import in_group
from alphaweave.testing.sandbox import Action, Fault, Power

__all__ = ["CancelCases"]

_case = in_group("Cancel and replace")
_ENDED = (OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED)


def _replaces_price(capabilities: Capabilities) -> str:
    return "" if "limit_price" in capabilities.replace else "the limit price cannot be replaced"


def _replaces_quantity(capabilities: Capabilities) -> str:
    return "" if "quantity" in capabilities.replace else "the quantity cannot be replaced"


async def _ended(bench: Bench, sent: Sent, what: str) -> None:
    await bench.until(lambda: not bench.working(sent), what)


class CancelCases:
    """Cancelling orders and replacing them."""

    @_case("BRK-210")
    async def test_cancel_ends_the_order(self, bench: Bench) -> None:
        """A cancel ends the order at the venue, and the end is told by an update: CANCELLED."""
        await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.cancel(sent)
        await bench.until_status(sent, OrderStatus.CANCELLED)
        assert not bench.working(sent), "CANCELLED was told, and the order still works"

    @_case("BRK-215")
    async def test_cancel_without_broker_id(self, bench: Bench) -> None:
        """A cancel needs no broker order id: the names that were committed are enough."""
        broker = await bench.open()
        sent = bench.written(bench.orders.limit(bench.symbol))
        await bench.within(broker.submit_order(sent.ref, sent.request), "submit_order()")
        await bench.within(broker.cancel_order(sent.ref), "cancel_order()")
        await _ended(bench, sent, "the end of an order that was cancelled without its broker id")

    @_case("BRK-220")
    async def test_cancel_of_a_filled_order_is_refused(self, bench: Bench) -> None:
        """A cancel of an order that is filled is CancelRejected, and does not say that it still works."""
        broker = await bench.open()
        sent = await bench.bought()
        call = broker.cancel_order(bench.known(sent))
        error = await bench.refused(CancelRejected, call, "a cancel of a filled order")
        assert error.order_state is not OrderState.ALIVE, "order_state says that a filled order works on"

    @_case("BRK-225")
    async def test_cancel_of_an_unknown_order_is_refused(self, bench: Bench) -> None:
        """A cancel of an order that never arrived is CancelRejected, and does not say that it still works."""
        broker = await bench.open()
        never = bench.written(bench.orders.limit(bench.symbol))
        error = await bench.refused(
            CancelRejected, broker.cancel_order(never.ref), "a cancel of an order that never arrived"
        )
        assert error.order_state is not OrderState.ALIVE, "order_state says that it works"

    @_case("BRK-230")
    async def test_cancel_may_be_repeated(self, bench: Bench) -> None:
        """A second cancel of the same order returns, or is CancelRejected; nothing else."""
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.cancel(sent)
        try:
            await bench.within(broker.cancel_order(bench.known(sent)), "the second cancel_order()")
        except CancelRejected as error:
            alive = error.order_state is OrderState.ALIVE
            if alive and not bench.working(sent):
                raise AssertionError("order_state says that a cancelled order works on") from error
        await _ended(bench, sent, "the end of an order that was cancelled twice")

    @_case("BRK-235")
    async def test_cancel_all_ends_every_order(self, bench: Bench) -> None:
        """`cancel_all(None)` ends every open order of the account."""
        broker = await bench.open()
        sent = [await bench.submit(bench.orders.limit(symbol)) for symbol in bench.symbols[:2]]
        await bench.within(broker.cancel_all(None), "cancel_all()")
        for one in sent:
            await _ended(bench, one, f"the end of an order in {one.request.symbol}")

    @_case("BRK-240")
    async def test_cancel_all_of_some_symbols(self, bench: Bench) -> None:
        """`cancel_all` with symbols leaves the orders in others alone."""
        broker = await bench.open()
        one = await bench.submit(bench.orders.limit(bench.symbol))
        other = await bench.submit(bench.orders.limit(bench.other))
        await bench.within(broker.cancel_all([bench.symbol]), "cancel_all()")
        await _ended(bench, one, f"the end of an order in {bench.symbol}")
        assert bench.working(other), f"cancel_all of {bench.symbol} ended an order in {bench.other}"

    @_case("BRK-245", powers=[Power.FILL])
    async def test_cancel_keeps_what_is_filled(self, bench: Bench) -> None:
        """An order that is cancelled half filled is CANCELLED, its executions told and its total right."""
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol, 4))
        size = bench.orders.size(bench.symbol)
        await bench.venue.fill(sent.id, size)
        await bench.until_filled(sent, size)
        await bench.cancel(sent)
        await bench.until_status(sent, OrderStatus.CANCELLED)
        assert bench.filled(sent) == size, f"{bench.filled(sent)} units are told, {size} were executed"
        found = await bench.within(broker.get_order(bench.known(sent)), "get_order()")
        assert found is not None, f"get_order does not find {sent.id}, which was cancelled half filled"
        assert (found.status, found.filled) == (OrderStatus.CANCELLED, size), f"get_order: {found}"

    @_case("BRK-250", powers=[Power.REJECT])
    async def test_refused_cancel_is_told(self, bench: Bench) -> None:
        """A cancel that the broker refuses is CancelRejected, and does not say that the order is gone."""
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.arm(Action.CANCEL, Fault.REJECT)
        call = broker.cancel_order(bench.known(sent))
        error = await bench.refused(CancelRejected, call, "a cancel that the venue refused")
        assert error.order_state is not OrderState.GONE, "order_state says that a working order is gone"
        assert bench.working(sent), f"the cancel was refused, and {sent.id} is {bench.truth(sent)}"

    @_case("BRK-255", powers=[Power.CANCEL])
    async def test_venue_cancels_by_itself(self, bench: Bench) -> None:
        """An order that the venue ends by itself is told by an update, as one that was asked for."""
        await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.cancel(sent.id)
        await bench.until_status(sent, *_ENDED)

    @_case("BRK-260", powers=[Power.EXPIRE])
    async def test_expiry_is_told(self, bench: Bench) -> None:
        """An order whose time is over is told by an update that ends it: EXPIRED, or CANCELLED."""
        await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.expire(sent.id)
        await bench.until_status(sent, OrderStatus.EXPIRED, OrderStatus.CANCELLED)

    @_case("BRK-265")
    async def test_replace_of_each_field(self, bench: Bench) -> None:
        """Each field of an order can be replaced where declared, and is Unsupported elsewhere, unsent."""
        await bench.open()
        for name, request, change in _changes(bench):
            declared = (request.type, request.tif) in bench.capabilities.order_types
            if name not in bench.capabilities.replace:
                if not declared:
                    continue
                sent = await bench.submit(request)
                before = len(bench.requests(Action.REPLACE, Action.SUBMIT, Action.CANCEL))
                await bench.refused(Unsupported, bench.replace(sent, change), f"a replacement of {name}")
                after = len(bench.requests(Action.REPLACE, Action.SUBMIT, Action.CANCEL))
                assert before == after, f"a replacement of {name} was refused only after it was sent"
                continue
            assert declared, f"replace names {name}, but no order that has one is declared"
            old = await bench.submit(request)
            new = await bench.replace(old, change)
            order = bench.truth(new)
            assert order is not None, f"the new version, with another {name}, is not at the venue"
            assert not order.status.terminal, f"the new version has ended at the venue: {order.status.name}"
            assert order.request is not None, "the venue does not say the terms of the new version"
            held = getattr(order.request, name)
            assert held == getattr(change, name), f"{name} is {held}, not {getattr(change, name)}"

    @_case("BRK-270", claim=_replaces_price)
    async def test_replaced_version_has_ended(self, bench: Bench) -> None:
        """A version that was replaced has ended, and something says by which version it was replaced."""
        broker = await bench.open()
        old = await bench.submit(bench.orders.limit(bench.symbol))
        price = bench.orders.price(bench.symbol, "0.6")
        new = await bench.replace(old, OrderChange(limit_price=price))
        found = await bench.within(broker.get_order(bench.known(new)), "get_order() of the new version")
        assert found is not None, "the new version is not found"
        assert not found.status.terminal, f"the new version works, and get_order says {found.status.name}"
        before = await bench.within(broker.get_order(bench.known(old)), "get_order() of the old version")
        told = [event for event in bench.all_of(OrderUpdate) if event.ref.client_order_id == old.id]
        names = {event.replaced_by for event in told} | {before.replaced_by if before else None}
        assert names & {new.id}, "nothing says that the new version replaced the old"
        assert before is None or before.status.terminal, f"the old version is {before}"

    @_case("BRK-275", powers=[Power.FILL], claim=_replaces_quantity)
    async def test_replaced_quantity_is_the_total(self, bench: Bench) -> None:
        """A replaced quantity is the new total, what is filled already included."""
        await bench.open()
        size = bench.orders.size(bench.symbol)
        old = await bench.submit(bench.orders.limit(bench.symbol, 4))
        await bench.venue.fill(old.id, size)
        await bench.until_filled(old, size)
        new = await bench.replace(old, OrderChange(quantity=size * 3))
        await bench.venue.fill(new.id)
        await bench.event(
            lambda _: bench.filled(old) + bench.filled(new) >= size * 3, "the rest of the new total"
        )
        await bench.until(lambda: not bench.working(new), "the end of the new version")
        done = sum((one.size for one in bench.venue.truth().executions), Decimal(0))
        assert done == size * 3, f"{done} units were executed, the new total was {size * 3}"

    @_case("BRK-280", claim=_replaces_price)
    async def test_replace_of_an_ended_order_is_refused(self, bench: Bench) -> None:
        """A replacement of an order that has ended is ReplaceRejected, and opens no order."""
        await bench.open()
        old = await bench.submit(bench.orders.limit(bench.symbol, share="1.5"))
        await bench.trade_again()
        await bench.until_filled(old)
        limit = OrderChange(limit_price=bench.orders.price(bench.symbol, "0.6"))
        error = await bench.refused(
            ReplaceRejected, bench.replace(old, limit), "a replacement of a filled order"
        )
        assert error.order_state is not OrderState.ALIVE, "order_state says that a filled order works on"
        working = [order for order in bench.venue.truth().orders if not order.status.terminal]
        assert not working, "a replacement that was refused opened an order"

    @_case("BRK-285", powers=[Power.REJECT], claim=_replaces_price)
    async def test_refused_replacement_leaves_the_order(self, bench: Bench) -> None:
        """A replacement that the broker refuses is ReplaceRejected, and the order works on as it was."""
        await bench.open()
        old = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.arm(Action.REPLACE, Fault.REJECT)
        change = OrderChange(limit_price=bench.orders.price(bench.symbol, "0.6"))
        error = await bench.refused(
            ReplaceRejected, bench.replace(old, change), "a replacement that the venue refused"
        )
        assert error.order_state is not OrderState.GONE, "order_state says that a working order is gone"
        assert bench.working(old), f"the replacement was refused, and {old.id} is {bench.truth(old)}"


def _changes(bench: Bench) -> list[tuple[str, OrderRequest, OrderChange]]:
    """For each field of a change an order that has it, and another value for it."""
    orders, symbol, now = bench.orders, bench.symbol, bench.venue.clock.now()
    limit = orders.limit(symbol, 2)
    tif = orders.resting(symbol, OrderType.STOP)
    stop = orders.of(symbol, OrderType.STOP, tif, now=now)
    trail_tif = orders.resting(symbol, OrderType.TRAILING_STOP)
    trailing = orders.of(symbol, OrderType.TRAILING_STOP, trail_tif, now=now)
    assert trailing.trail is not None
    wider = (
        Trail(percent=Decimal(7))
        if trailing.trail.percent is not None
        else Trail(amount=orders.price(symbol, "0.2"))
    )
    return [
        ("quantity", limit, OrderChange(quantity=orders.size(symbol, 3))),
        ("limit_price", limit, OrderChange(limit_price=orders.price(symbol, "0.6"))),
        ("stop_price", stop, OrderChange(stop_price=orders.price(symbol, "1.6"))),
        ("trail", trailing, OrderChange(trail=wider)),
    ]
