"""Broker cases: executions, told by events and by `get_fills`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from alphaweave.core.money import Money
from alphaweave.core.order import OrderStatus, Side
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.broker import BrokerFill, FeeReport, FillCorrection, FillQuery, FillReport, OrderUpdate
from alphaweave.testing.bench import Bench, distinct
from alphaweave.testing.case import in_group
from alphaweave.testing.sandbox import Action, Fault, Power
from alphaweave.testing.venue import TruthExecution

__all__ = ["FillCases"]

_case = in_group("Fills")


def _fees(capabilities: Capabilities) -> str:
    return "" if capabilities.fee_reports else "fee_reports is not declared"


def _totals(fees: Sequence[Money]) -> dict[str, Decimal]:
    """What was charged of each asset."""
    totals: dict[str, Decimal] = {}
    for fee in fees:
        totals[fee.asset] = totals.get(fee.asset, Decimal(0)) + fee.amount
    return {asset: amount for asset, amount in totals.items() if amount}


async def _asked(bench: Bench, cursor: str | None = None, *, hours: float = 1) -> FillReport:
    since = bench.venue.clock.now() - timedelta(hours=hours)
    return await bench.within(bench.broker.get_fills(FillQuery(since, None, cursor)), "get_fills()")


def _figures(one: BrokerFill | TruthExecution) -> tuple[str, str, Decimal, Decimal]:
    return one.symbol, one.side.value, one.size, one.price


def _as_executed(bench: Bench, fills: Sequence[BrokerFill]) -> None:
    """What `get_fills` says by itself is what the venue did: who reads it may have seen no event."""
    true = bench.venue.truth().executions
    told = sorted(_figures(one) for one in distinct(fills))
    want = sorted(_figures(one) for one in true)
    assert told == want, f"get_fills has {told}; the venue has {want}"
    accounts = {one.account for one in fills}
    assert accounts == {bench.venue.account_id}, f"accounts {accounts}, not {bench.venue.account_id}"
    _as_known(bench, fills)


def _as_known(bench: Bench, fills: Sequence[BrokerFill]) -> None:
    """Each of these is one that the venue has, with its figures, time and fees."""
    true = bench.venue.truth().executions
    for fill in fills:
        figures = _figures(fill)
        same = [one for one in true if _figures(one) == figures]
        assert same, f"get_fills has {figures}; the venue has {[_figures(one) for one in true]}"
        times = [one.at for one in same]
        # Venues tell times in units of their own.
        near = any(abs(fill.executed_at - at) < timedelta(seconds=1) for at in times)
        assert near, f"executed at {fill.executed_at}; the venue has {times}"
        if fill.fees is not None and bench.capabilities.fee_reports:
            fees = [_totals(one.fees) for one in same]
            assert _totals(fill.fees) in fees, f"fees {_totals(fill.fees)}; the venue has {fees}"


def _has(report: FillReport, fills: Sequence[BrokerFill], what: str) -> None:
    keys = {fill.execution_key for fill in report.fills}
    places = {(fill.broker_order_id, fill.cumulative, fill.size, fill.price) for fill in report.fills}
    gone = [
        fill
        for fill in fills
        if fill.execution_key not in keys
        and (fill.broker_order_id, fill.cumulative, fill.size, fill.price) not in places
    ]
    assert not gone, f"{what} lacks {gone}"


def _of_the_same(told: FillCorrection, fill: BrokerFill) -> None:
    key, wanted = told.execution_key, fill.execution_key
    assert key == wanted, f"the correction is of {key!r}, the execution is {wanted!r}"
    assert told.revision > fill.revision, f"revision {told.revision} after revision {fill.revision}"


class FillCases:
    """Executions, told by events and by `get_fills`."""

    @_case("BRK-410")
    async def test_filled_order_is_told(self, bench: Bench) -> None:
        """Executions add up to the order's size, and its end is told: FILLED."""
        await bench.open()
        sent = await bench.bought(lots=3)
        await bench.until_status(sent, OrderStatus.FILLED)
        assert bench.filled(sent) == sent.request.quantity, f"{bench.filled(sent)} units are told"

    @_case("BRK-415", powers=[Power.FILL])
    async def test_partial_fills_add_up(self, bench: Bench) -> None:
        """Every part of an order that is filled in parts is told, each once."""
        await bench.open()
        size = bench.orders.size(bench.symbol)
        sent = await bench.submit(bench.orders.limit(bench.symbol, 6))
        for lots in (1, 2, 3):
            before = bench.filled(sent)
            await bench.venue.fill(sent.id, size * lots)
            await bench.until_filled(sent, before + size * lots)
        sizes = [fill.size for fill in bench.fills(sent)]
        assert sizes == [size, size * 2, size * 3], f"executions of {sizes} were told"
        await bench.until_status(sent, OrderStatus.FILLED)

    @_case("BRK-420")
    async def test_fill_says_what_the_venue_did(self, bench: Bench) -> None:
        """An execution bears the side, size, price, symbol, account and client id that the venue has."""
        await bench.open()
        for side in (Side.BUY, Side.SELL):
            sent = await bench.submit(bench.orders.market(bench.symbol, 2, side))
            await bench.trade_again()
            await bench.until_filled(sent)
            true = bench.venue.truth().executions_of(sent.id)
            told = bench.fills(sent)
            want = [(one.side, one.size, one.price) for one in true]
            assert [(one.side, one.size, one.price) for one in told] == want, f"{told} instead of {want}"
            places = {(one.symbol, one.account) for one in told}
            place = (bench.symbol, bench.venue.account_id)
            assert places == {place}, f"symbol and account are {places}, not {place}"
            names = {one.client_order_id for one in told}
            assert names <= {sent.id, None}, f"the client ids are {names}, not {sent.id}"

    @_case("BRK-425", powers=[Power.FILL])
    async def test_cumulative_is_the_order_s_total(self, bench: Bench) -> None:
        """Where executions or updates bear a cumulative size, it is the order's, after that execution."""
        await bench.open()
        size = bench.orders.size(bench.symbol)
        sent = await bench.submit(bench.orders.limit(bench.symbol, 3))
        total = Decimal(0)
        for _ in range(3):
            await bench.venue.fill(sent.id, size)
            total += size
            await bench.until_filled(sent, total)
            last = bench.fills(sent)[-1]
            assert last.cumulative in {None, total}, f"cumulative is {last.cumulative}, not {total}"
        await bench.until_status(sent, OrderStatus.FILLED)
        updates = [each for each in bench.all_of(OrderUpdate) if each.ref.client_order_id == sent.id]
        counts = {size * number for number in range(4)} | {None}
        assert {each.cumulative for each in updates} <= counts, f"the updates are {updates}"
        ends = {each.cumulative for each in updates if each.status is OrderStatus.FILLED}
        assert ends <= {None, total}, f"FILLED was told with {ends}, not {total}"

    @_case("BRK-430", powers=[Power.HOLD_EVENTS, Power.DUPLICATE])
    async def test_repeated_events_are_one_execution(self, bench: Bench) -> None:
        """An execution that the venue reports twice bears the same key both times."""
        await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        await bench.venue.hold_events()
        await bench.venue.set_price(bench.symbol, bench.orders.price(bench.symbol, "0.5"))
        await bench.venue.release_events(times=2)
        await bench.until_filled(sent)
        later = await bench.bought()
        assert bench.filled(sent) == sent.request.quantity, "a repeated event was told as another execution"
        told = bench.filled(later)
        assert told == later.request.quantity, f"{told} units of the next order, not {later.request.quantity}"

    @_case("BRK-435", powers=[Power.HOLD])
    async def test_fill_before_the_acknowledgement(self, bench: Bench) -> None:
        """An execution that comes before the answer to its submit is told, not dropped."""
        broker = await bench.open()
        sent = bench.written(bench.orders.market(bench.symbol))
        await bench.venue.arm(Action.SUBMIT, Fault.HOLD)
        call = asyncio.ensure_future(broker.submit_order(sent.ref, sent.request))
        await bench.until(lambda: bench.truth(sent) is not None, "the arrival of the order")
        await bench.trade_again()
        await bench.until_filled(sent)
        await bench.venue.release_answers()
        await asyncio.gather(call, return_exceptions=True)
        told = bench.filled(sent)
        assert told == sent.request.quantity, f"{told} units were told, not {sent.request.quantity}"

    @_case("BRK-440")
    async def test_get_fills_and_events_agree(self, bench: Bench) -> None:
        """`get_fills` and events tell the same executions, and `get_fills` by itself what the venue has."""
        await bench.open()
        sent = [await bench.bought(symbol) for symbol in bench.symbols[:2]]
        report = await _asked(bench)
        told = [fill for one in sent for fill in bench.fills(one)]
        both = distinct([*told, *report.fills])
        true = bench.venue.truth().executions
        assert len(distinct(report.fills)) == len(true), f"get_fills has {report.fills}, {len(true)} happened"
        assert len(both) == len(true), "get_fills names executions otherwise than events do"
        _as_executed(bench, report.fills)

    @_case("BRK-445")
    async def test_get_fills_answers_for_every_symbol(self, bench: Bench) -> None:
        """`get_fills` says for every symbol of the config how far back its answer is complete, and it is."""
        await bench.open()
        await bench.bought()
        report = await _asked(bench, hours=0)
        missing = sorted(set(bench.symbols) - set(report.complete_from))
        assert not missing, f"complete_from has no {', '.join(missing)}"
        late = [symbol for symbol, at in report.complete_from.items() if at > bench.venue.clock.now()]
        assert not late, f"complete_from of {', '.join(late)} lies in the future"
        for done in bench.venue.truth().executions:
            since = report.complete_from[done.symbol]
            # Venues tell times in units of their own.
            if done.at > since + timedelta(seconds=1):
                sizes = {fill.size for fill in report.fills if fill.symbol == done.symbol}
                assert done.size in sizes, f"complete from {since} on, without {done.size} at {done.at}"

    @_case("BRK-450")
    async def test_get_fills_goes_on_from_its_cursor(self, bench: Bench) -> None:
        """`get_fills` with the cursor of the last answer has what happened since, in a new process too."""
        await bench.open()
        await bench.bought()
        first = await _asked(bench)
        later = await bench.bought(bench.other)
        second = await _asked(bench, first.cursor)
        _has(second, bench.fills(later), "the second answer")
        await bench.reopen()
        last = await bench.bought()
        # The cursor was kept with the books, and is all that the new process has.
        third = await _asked(bench, second.cursor)
        _has(third, bench.fills(last), "the answer to a new process")
        for report in (second, third):
            _as_known(bench, report.fills)

    @_case("BRK-455")
    async def test_get_fills_of_some_symbols(self, bench: Bench) -> None:
        """`get_fills` of one symbol has that symbol's executions, and answers for it."""
        broker = await bench.open()
        sent = await bench.bought()
        since = bench.venue.clock.now() - timedelta(hours=1)
        report = await bench.within(broker.get_fills(FillQuery(since, (bench.symbol,))), "get_fills()")
        assert bench.symbol in report.complete_from, f"complete_from has no {bench.symbol}"
        own = [fill for fill in report.fills if fill.symbol == bench.symbol]
        told = sum((fill.size for fill in distinct(own)), Decimal(0))
        assert told == sent.request.quantity, f"{told} units are told, not {sent.request.quantity}"
        _as_executed(bench, own)

    @_case("BRK-460")
    async def test_keys_are_unique_in_the_account(self, bench: Bench) -> None:
        """No two executions of the account bear one key, whatever their symbols."""
        await bench.open()
        for symbol in (*bench.symbols[:2], *bench.symbols[:2]):
            await bench.bought(symbol)
        keys = [fill.execution_key for fill in distinct(bench.all_of(BrokerFill))]
        true = len(bench.venue.truth().executions)
        assert len(keys) == len(set(keys)) == true, f"{true} executions, the keys told are {keys}"

    @_case("BRK-465", claim=_fees)
    async def test_fees_become_known(self, bench: Bench) -> None:
        """The fees of every execution become known, with the fill or later, as the venue charged them."""
        await bench.open()
        sent = await bench.bought()
        (fill,) = bench.fills(sent)
        known = fill.fees
        if known is None:
            late = await bench.event(
                lambda event: isinstance(event, FeeReport) and event.execution_key == fill.execution_key,
                "the fees of an execution",
            )
            assert isinstance(late, FeeReport)
            known = late.fees
        (true,) = bench.venue.truth().executions_of(sent.id)
        assert _totals(known) == _totals(true.fees), f"{known} instead of {true.fees}"

    @_case("BRK-470", powers=[Power.BUST])
    async def test_bust_is_told(self, bench: Bench) -> None:
        """An execution that is taken back is a FillCorrection of its key, and `get_fills` has it no more."""
        await bench.open()
        sent = await bench.bought()
        (fill,) = bench.fills(sent)
        (true,) = bench.venue.truth().executions_of(sent.id)
        await bench.venue.bust(true.id)
        told = await bench.event(lambda event: isinstance(event, FillCorrection), "the bust")
        assert isinstance(told, FillCorrection)
        _of_the_same(told, fill)
        assert told.fill is None, f"it was taken back, and the correction has {told.fill}"
        report = await _asked(bench)
        left = [one for one in report.fills if one.execution_key == fill.execution_key and one.size]
        assert not left, f"it was taken back, and get_fills has {left}"

    @_case("BRK-475", powers=[Power.CORRECT])
    async def test_correction_is_told(self, bench: Bench) -> None:
        """An execution that is restated is a FillCorrection with its key; `get_fills` has the new figures."""
        await bench.open()
        sent = await bench.bought(lots=2)
        (fill,) = bench.fills(sent)
        (true,) = bench.venue.truth().executions_of(sent.id)
        size, price = bench.orders.size(bench.symbol), bench.orders.price(bench.symbol, "1.01")
        await bench.venue.correct(true.id, size, price)
        told = await bench.event(lambda event: isinstance(event, FillCorrection), "the correction")
        assert isinstance(told, FillCorrection)
        _of_the_same(told, fill)
        assert told.fill is not None, "it was restated, and is told as taken back"
        figures, wanted = (told.fill.size, told.fill.price), (size, price)
        assert figures == wanted, f"size and price are {figures}, restated were {wanted}"
        report = await _asked(bench)
        same = [one for one in report.fills if one.execution_key == fill.execution_key]
        # Where the first word of it is listed too, the one of the highest revision counts.
        last = max(same, key=lambda one: one.revision, default=None)
        listed = None if last is None else (last.size, last.price)
        assert listed == wanted, f"get_fills has size and price {listed}, restated were {wanted}"

    @_case("BRK-480", powers=[Power.LATE_FEE])
    async def test_late_fee_is_told(self, bench: Bench) -> None:
        """A fee, or a rebate, that comes later is told by a FeeReport with all fees of the execution."""
        await bench.open()
        sent = await bench.bought()
        (fill,) = bench.fills(sent)
        (true,) = bench.venue.truth().executions_of(sent.id)
        if fill.fees is None and true.fees:
            # Where fees never come with the fill, those of the execution itself are told first.
            await bench.event(lambda event: isinstance(event, FeeReport), "the fees of an execution")
        before = len(bench.events)
        await bench.venue.late_fee(true.id, Money(bench.venue.currency, Decimal("1.25")))
        told = await bench.event(lambda event: isinstance(event, FeeReport), "the late fee", after=before)
        assert isinstance(told, FeeReport)
        key = told.execution_key
        assert key == fill.execution_key, f"the fee is of {key!r}, the execution is {fill.execution_key!r}"
        (now,) = bench.venue.truth().executions_of(sent.id)
        assert _totals(told.fees) == _totals(now.fees), f"{told.fees} instead of {now.fees}"
        # And a rebate, which leaves less than nothing to pay.
        before = len(bench.events)
        await bench.venue.late_fee(true.id, Money(bench.venue.currency, Decimal("-9.75")))
        again = await bench.event(lambda event: isinstance(event, FeeReport), "the rebate", after=before)
        assert isinstance(again, FeeReport)
        (now,) = bench.venue.truth().executions_of(sent.id)
        assert _totals(again.fees) == _totals(now.fees), f"{again.fees} instead of {now.fees}"

    @_case("BRK-485", powers=[Power.HOLD_EVENTS, Power.FILL])
    async def test_fill_after_a_cancel_was_taken(self, bench: Bench) -> None:
        """An execution that was under way when its order was cancelled is told all the same."""
        await bench.open()
        size = bench.orders.size(bench.symbol)
        sent = await bench.submit(bench.orders.limit(bench.symbol, 2))
        await bench.venue.hold_events()
        await bench.venue.fill(sent.id, size)
        await bench.cancel(sent)
        await bench.venue.release_events()
        await bench.until_filled(sent, size)
        await bench.until_status(sent, OrderStatus.CANCELLED)
        told = bench.filled(sent)
        assert told == size, f"{told} units were told, {size} were executed"

    @_case("BRK-490", powers=[Power.HOLD_EVENTS, Power.REORDER])
    async def test_events_of_several_orders_in_any_order(self, bench: Bench) -> None:
        """Events that come in an order of their own are all told, and none stops the stream."""
        await bench.open()
        one = await bench.submit(bench.orders.limit(bench.symbol))
        other = await bench.submit(bench.orders.limit(bench.other))
        await bench.venue.hold_events()
        for symbol in (bench.symbol, bench.other):
            await bench.venue.set_price(symbol, bench.orders.price(symbol, "0.5"))
        await bench.venue.release_events(backwards=True)
        for sent in (one, other):
            await bench.until_filled(sent)
        await bench.bought()
