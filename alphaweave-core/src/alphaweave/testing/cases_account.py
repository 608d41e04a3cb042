"""Broker cases: what the account holds, and what others do in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial

from alphaweave.core.money import Money
from alphaweave.core.order import Side
from alphaweave.live.broker import (
    BrokerAccountState,
    BrokerEvent,
    BrokerFill,
    BrokerOrder,
    CashFlow,
    FillQuery,
    OrderUpdate,
    PositionChange,
)
from alphaweave.testing.bench import Bench, Sent, distinct
from alphaweave.testing.case import in_group
from alphaweave.testing.sandbox import Power

__all__ = ["AccountCases"]

_case = in_group("Account")


async def _state(bench: Bench) -> BrokerAccountState:
    return await bench.within(bench.broker.get_account_state(), "get_account_state()")


async def _complete(bench: Bench, holds: Callable[[BrokerAccountState], bool], what: str) -> None:
    """Ask for the account until it is complete and something holds."""
    last: BrokerAccountState | None = None
    deadline = bench.venue.clock.monotonic() + bench.venue.patience
    while bench.venue.clock.monotonic() < deadline:
        last = await _state(bench)
        if last.complete and holds(last):
            return
    raise AssertionError(f"{what}; get_account_state says {last}")


def _held(bench: Bench, state: BrokerAccountState, symbol: str) -> Decimal:
    """Units of a symbol, as a position or as a balance of its base asset."""
    rules = bench.venue.instruments.get(symbol)
    if rules is not None and rules.kind == "spot" and rules.base is not None:
        balance = state.balances.get(rules.base)
        return Decimal(0) if balance is None else balance.total
    return state.positions.get(symbol, Decimal(0))


def _holds(bench: Bench, symbol: str, units: Decimal, state: BrokerAccountState) -> bool:
    return _held(bench, state, symbol) == units


def _has_its_terms(order: BrokerOrder, sent: Sent) -> None:
    """The terms that are told are those that were asked for, where any are."""
    for name in ("type", "tif", "quantity", "limit_price") if order.request is not None else ():
        told, wanted = getattr(order.request, name), getattr(sent.request, name)
        assert told == wanted, f"the request of {sent.id} has {name} {told}, not {wanted}"


class AccountCases:
    """What the account holds, and what others do in it."""

    @_case("BRK-910")
    async def test_account_has_its_name_and_currency(self, bench: Bench) -> None:
        """The account state bears the account's id, the currency of its figures, and its equity, if any."""
        await bench.open()
        state = await _state(bench)
        told, wanted = (state.account_id, state.base_currency), (bench.venue.account_id, bench.venue.currency)
        assert told == wanted, f"account and currency are {told}, not {wanted}"
        cash = bench.venue.truth().balances[bench.venue.currency]
        assert state.equity in {None, cash}, f"equity is {state.equity}, the account is {cash} in cash"

    @_case("BRK-915")
    async def test_cash_is_the_venue_s(self, bench: Bench) -> None:
        """Cash after a round of trades is the venue's, to the last digit, fees included."""
        await bench.open()
        await bench.bought(lots=3)
        sent = await bench.submit(bench.orders.market(bench.symbol, 1, Side.SELL))
        await bench.trade_again()
        await bench.until_filled(sent)
        currency = bench.venue.currency
        true = bench.venue.truth().balances[currency]
        await _complete(
            bench,
            lambda state: state.balances[currency].total == true,
            f"the venue has {true} {currency}",
        )

    @_case("BRK-920")
    async def test_positions_are_the_venue_s(self, bench: Bench) -> None:
        """Positions after trades are the venue's, under the config's symbols."""
        await bench.open()
        await bench.bought(bench.symbol, 2)
        await bench.bought(bench.other, 1)
        for symbol, lots in ((bench.symbol, 2), (bench.other, 1)):
            wanted = bench.orders.size(symbol, lots)
            rules = bench.venue.instruments[symbol]
            if rules.kind == "spot" and rules.base is not None:
                # A fee may have been taken in the asset itself.
                wanted = bench.venue.truth().balances[rules.base]
            holds = partial(_holds, bench, symbol, wanted)
            await _complete(bench, holds, f"the venue holds {wanted} of {symbol}")

    @_case("BRK-925")
    async def test_account_state_is_of_its_instant(self, bench: Bench) -> None:
        """The account state is not stamped later than it was asked for, nor long before."""
        await bench.open()
        await bench.bought()
        before = bench.venue.clock.now()
        state = await _state(bench)
        after = bench.venue.clock.now()
        oldest = before - timedelta(seconds=bench.venue.patience)
        assert oldest <= state.as_of <= after, (
            f"as_of is {state.as_of}; it was asked for from {before} to {after}"
        )
        balances = state.balances_as_of
        assert balances is None or balances <= after, f"balances_as_of is {balances}; it was {after} then"

    @_case("BRK-930")
    async def test_open_orders_are_the_venue_s(self, bench: Bench) -> None:
        """`get_open_orders` has every working order, as it was sent and is filled, and no ended one."""
        broker = await bench.open()
        working = [await bench.submit(bench.orders.limit(symbol)) for symbol in bench.symbols[:2]]
        gone = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.cancel(gone)
        await bench.bought()
        await bench.until(lambda: not bench.working(gone), "the end of a cancelled order")
        found = await bench.within(broker.get_open_orders(), "get_open_orders()")
        told = {order.client_order_id: (order.side, order.quantity, order.filled) for order in found}
        wanted = {one.id: (one.request.side, one.request.quantity, Decimal(0)) for one in working}
        assert told == wanted, f"{told} instead of {wanted}"
        for order in found:
            _has_its_terms(order, next(one for one in working if one.id == order.client_order_id))
        some = await bench.within(broker.get_open_orders([bench.symbol]), "get_open_orders()")
        own = [order for order in some if order.ref.symbol == bench.symbol]
        listed = [order.client_order_id for order in own]
        assert listed == [working[0].id], f"orders of {bench.symbol}: {listed}, working is {working[0].id}"

    @_case("BRK-932", powers=[Power.FILL])
    async def test_open_order_tells_what_is_filled(self, bench: Bench) -> None:
        """`get_open_orders` and `get_order` tell how much of a partly filled order is filled, at what."""
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol, 3))
        lot = bench.orders.size(bench.symbol)
        await bench.venue.fill(sent.id, lot, bench.orders.price(bench.symbol, "0.5"))
        await bench.until_filled(sent, lot)
        every = await bench.within(broker.get_open_orders(), "get_open_orders()")
        listed = next((order for order in every if order.client_order_id == sent.id), None)
        found = await bench.within(broker.get_order(bench.known(sent)), "get_order()")
        wanted = (sent.request.side, sent.request.quantity, lot)
        for name, order in (("get_open_orders", listed), ("get_order", found)):
            told = None if order is None else (order.side, order.quantity, order.filled)
            assert told == wanted, f"{name}: side, quantity and filled are {told}, not {wanted}"
            if order is not None:
                _has_its_terms(order, sent)
                (true,) = bench.executions(sent)
                average = order.average_price
                assert average in {None, true.price}, f"{name}: average price {average}, not {true.price}"

    @_case("BRK-935")
    async def test_order_that_never_was_is_not_found(self, bench: Bench) -> None:
        """`get_order` of an order that never arrived is None."""
        broker = await bench.open()
        never = bench.written(bench.orders.limit(bench.symbol))
        found = await bench.within(broker.get_order(never.ref), "get_order()")
        assert found is None, f"it is {found}"

    @_case("BRK-940", powers=[Power.FOREIGN_ORDER])
    async def test_foreign_order_is_flagged(self, bench: Bench) -> None:
        """Somebody else's order is among the open ones, flagged as foreign."""
        broker = await bench.open()
        size, price = bench.orders.size(bench.symbol), bench.orders.price(bench.symbol, "0.4")
        await bench.venue.foreign_order(bench.symbol, Side.BUY, size, price)
        own = await bench.submit(bench.orders.limit(bench.symbol))
        found = await bench.within(broker.get_open_orders(), "get_open_orders()")
        flags = {order.client_order_id == own.id: order.foreign for order in found}
        assert flags == {True: False, False: True}, f"foreign flags: {flags} (own first)"
        (other,) = (order for order in found if order.foreign)
        told = (other.ref.symbol, other.side, other.quantity, other.filled)
        wanted = (bench.symbol, Side.BUY, size, Decimal(0))
        assert told == wanted, f"symbol, side, quantity and filled are {told}, not {wanted}"

    @_case("BRK-945", powers=[Power.FOREIGN_TRADE])
    async def test_foreign_trade_is_flagged(self, bench: Bench) -> None:
        """Somebody else's execution is told and found by `get_fills`, flagged as foreign; an own one not."""
        broker = await bench.open()
        size, price = bench.orders.size(bench.symbol), bench.orders.price(bench.symbol)
        await bench.venue.foreign_trade(bench.symbol, Side.BUY, size, price)
        own = await bench.bought()
        since = bench.venue.clock.now() - timedelta(hours=1)
        report = await bench.within(broker.get_fills(FillQuery(since)), "get_fills()")
        told = [*bench.all_of(BrokerFill), *report.fills]
        foreign = [fill for fill in told if fill.client_order_id != own.id]
        assert foreign, "somebody else's execution is not told"
        listed = distinct([fill for fill in report.fills if fill.foreign])
        figures = [(fill.symbol, fill.side, fill.size, fill.price) for fill in listed]
        wanted = [(bench.symbol, Side.BUY, size, price)]
        assert figures == wanted, f"get_fills() has {figures} of others, not {wanted}"
        ids = {fill.broker_order_id for fill in bench.fills(own)}
        odd = [fill for fill in foreign if fill.broker_order_id not in ids and not fill.foreign]
        assert not odd, f"not flagged: {odd}"
        wrong = [fill for fill in told if fill.client_order_id == own.id and fill.foreign]
        assert not wrong, f"flagged as foreign though they are of the run's own order {own.id}: {wrong}"

    @_case("BRK-950", powers=[Power.CASH_FLOW])
    async def test_cash_flow_is_told(self, bench: Bench) -> None:
        """Money that moves without an execution is told as a CashFlow, or listed with the executions."""
        broker = await bench.open()
        moved = [Money(bench.venue.currency, Decimal(amount)) for amount in ("123.45", "-23.40")]
        for amount in moved:
            await bench.venue.cash_flow(amount, "deposit" if amount.amount > 0 else "withdrawal")
        since = bench.venue.clock.now() - timedelta(hours=1)
        report = await bench.within(broker.get_fills(FillQuery(since)), "get_fills()")
        if not report.flows:
            await bench.event(lambda _: len(bench.all_of(CashFlow)) > 1, "both cash flows")
        told = {flow.key: flow.amount for flow in (*bench.all_of(CashFlow), *report.flows)}
        amounts = sorted(told.values(), key=lambda amount: -amount.amount)
        assert amounts == moved, f"told by their keys: {told}; what moved: {moved}"

    @_case("BRK-955", powers=[Power.MOVE_POSITION])
    async def test_position_that_moved_is_told(self, bench: Bench) -> None:
        """A position that moved without an execution is in the account state, and told rightly if at all."""
        await bench.open()
        size = bench.orders.size(bench.symbol, 2)
        await bench.venue.move_position(bench.symbol, size)
        await _complete(
            bench, lambda state: _held(bench, state, bench.symbol) == size, f"the venue holds {size}"
        )
        less = bench.orders.size(bench.symbol)
        await bench.venue.move_position(bench.symbol, -less)
        await _complete(
            bench, lambda state: _held(bench, state, bench.symbol) == size - less, f"it holds {size - less}"
        )
        told = bench.all_of(PositionChange)
        assert {change.quantity for change in told} <= {size, -less}, f"told: {told}"
        fills: list[BrokerEvent] = list(bench.all_of(BrokerFill))
        assert not fills, "it was told as an execution"

    @_case("BRK-960", powers=[Power.FOREIGN_ORDER])
    async def test_order_in_an_unnamed_symbol_is_told(self, bench: Bench) -> None:
        """Somebody else's order in a symbol that the config does not name is told under its venue symbol."""
        only = {bench.symbol: bench.venue.names[bench.symbol]}
        broker = await bench.open(names=only, symbols=(bench.symbol,))
        size, price = bench.orders.size(bench.other), bench.orders.price(bench.other, "0.4")
        await bench.venue.foreign_order(bench.other, Side.BUY, size, price)
        found = await bench.within(broker.get_open_orders(), "get_open_orders()")
        symbols = [(order.ref.symbol, order.foreign) for order in found]
        assert symbols == [(bench.venue.names[bench.other], True)], f"told: {symbols}"
        updates = [event for event in bench.all_of(OrderUpdate) if not event.foreign]
        assert not updates, "its updates are not flagged as foreign"

    @_case("BRK-965", powers=[Power.FOREIGN_TRADE])
    async def test_position_in_an_unnamed_symbol_is_told(self, bench: Bench) -> None:
        """A position in a symbol that the config does not name has its venue symbol, flagged as foreign."""
        only = {bench.symbol: bench.venue.names[bench.symbol]}
        await bench.open(names=only, symbols=(bench.symbol,))
        size, price = bench.orders.size(bench.other), bench.orders.price(bench.other)
        await bench.venue.set_price(bench.other, price)
        await bench.venue.foreign_trade(bench.other, Side.BUY, size, price)
        rules, symbol = bench.instrument(bench.other), bench.venue.names[bench.other]
        if rules.kind == "spot" and rules.base is not None:
            # What is held is a balance there, and no config names those.
            await _complete(
                bench, lambda state: rules.base in state.balances, f"the account has {rules.base}"
            )
            return
        wanted = ({symbol: size}, {symbol})
        await _complete(
            bench,
            lambda state: (dict(state.positions), set(state.foreign)) == wanted,
            f"the venue holds {size} of {symbol}, and the config names no such symbol",
        )
