"""Broker cases: numbers that are exact, and times that are whose they say they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
from attrs import evolve

from alphaweave.core.order import OrderRequest, OrderStatus, OrderType
from alphaweave.live.broker import BrokerFill, FillQuery, OrderUpdate
from alphaweave.testing.bench import Bench
from alphaweave.testing.case import in_group
from alphaweave.testing.sandbox import Action, Power

__all__ = ["ExactnessCases"]

_numbers = in_group("Numbers")
_time = in_group("Time")
_NEAR = timedelta(seconds=5)


def _parts(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Every value inside a record, with where it stands."""
    yield path, value
    kind: Any = type(value)
    if attrs.has(kind):
        for each in attrs.fields(kind):
            yield from _parts(getattr(value, each.name), f"{path}.{each.name}")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _parts(inner, f"{path}[{key!r}]")
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for number, inner in enumerate(value):
            yield from _parts(inner, f"{path}[{number}]")


async def _everything(bench: Bench) -> list[tuple[str, object]]:
    """All that an adapter says in a session with a bit of everything."""
    broker = await bench.open()
    sent = bench.written(bench.orders.limit(bench.symbol))
    ack = await bench.within(broker.submit_order(sent.ref, sent.request), "submit_order()")
    bought = await bench.bought(lots=2)
    since = bench.venue.clock.now() - timedelta(hours=1)
    said: list[Any] = [
        ack,
        await bench.within(broker.get_order(ack.ref), "get_order()"),
        await bench.within(broker.get_order(bench.known(bought)), "get_order()"),
        await bench.within(broker.get_open_orders(), "get_open_orders()"),
        await bench.within(broker.get_fills(FillQuery(since)), "get_fills()"),
        await bench.within(broker.get_account_state(), "get_account_state()"),
        await bench.within(broker.get_time(), "get_time()"),
        await bench.within(broker.get_instruments(bench.symbols), "get_instruments()"),
    ]
    await bench.cancel(sent)
    return [part for one in (*said, *bench.events) for part in _parts(one, type(one).__name__)]


class ExactnessCases:
    """Numbers that are exact, and times that are whose they say they are."""

    @_numbers("BRK-850")
    async def test_no_number_is_a_float(self, bench: Bench) -> None:
        """Sizes, prices and amounts are Decimal wherever they are told, never float."""
        floats = sorted({path for path, value in await _everything(bench) if isinstance(value, float)})
        assert not floats, f"float in {', '.join(floats)}"

    @_numbers("BRK-855")
    async def test_numbers_are_finite(self, bench: Bench) -> None:
        """No number that is told is NaN or infinite."""
        odd = [
            path
            for path, value in await _everything(bench)
            if isinstance(value, Decimal) and not value.is_finite()
        ]
        assert not odd, f"no finite number in {', '.join(odd)}"

    @_numbers("BRK-860")
    async def test_numbers_are_written_plainly(self, bench: Bench) -> None:
        """A Decimal in exponent notation goes to the wire as plain digits."""
        await bench.open()
        request = bench.orders.limit(bench.symbol, 10)
        assert request.quantity is not None
        assert request.limit_price is not None
        odd = evolve(
            request,
            quantity=Decimal(f"{request.quantity.normalize():E}"),
            limit_price=Decimal(f"{request.limit_price.normalize():E}"),
        )
        sent = await bench.submit(odd)
        raw = b"".join(one.raw for one in bench.requests(Action.SUBMIT))
        exponents = {str(number) for number in (odd.quantity, odd.limit_price) if "E" in str(number)}
        found = [text for text in exponents if re.search(re.escape(text).encode(), raw, re.IGNORECASE)]
        # A venue without a wire has nothing to read; what it understood is checked all the same.
        assert not found or b"Decimal(" in raw, f"{', '.join(found)} went to the wire"
        order = bench.truth(sent)
        assert order is not None, f"{odd} is not at the venue"
        assert order.quantity == request.quantity, f"{odd.quantity} arrived as {order.quantity}"

    @_numbers("BRK-865")
    async def test_sizes_and_prices_arrive_exactly(self, bench: Bench) -> None:
        """Sizes and prices down to the last step arrive exactly as they were given."""
        await bench.open()
        for symbol in bench.symbols[:2]:
            for request in _finest(bench, symbol):
                sent = await bench.submit(request)
                order = bench.truth(sent)
                assert order is not None, f"{request} is not at the venue"
                assert order.request is not None, f"the venue cannot say what it was asked for: {order}"
                arrived = (order.request.quantity, order.request.limit_price)
                assert arrived == (request.quantity, request.limit_price), f"{request} arrived as {arrived}"

    @_numbers("BRK-870", powers=[Power.FILL])
    async def test_executions_are_told_exactly(self, bench: Bench) -> None:
        """Sizes and prices of executions are told exactly as they were, down to the last step."""
        await bench.open()
        symbol = bench.symbol
        step = bench.instrument(symbol).price_step(bench.orders.price(symbol))
        request = evolve(
            bench.orders.limit(symbol, 3), limit_price=bench.orders.price(symbol, "0.5") + step * 7
        )
        sent = await bench.submit(request)
        await bench.venue.fill(sent.id, bench.orders.size(symbol))
        await bench.until_filled(sent, bench.orders.size(symbol))
        (true,) = bench.venue.truth().executions_of(sent.id)
        (told,) = bench.fills(sent)
        assert (told.size, told.price) == (true.size, true.price), f"{told} instead of {true}"

    @_numbers("BRK-875")
    async def test_instrument_rules_are_the_venue_s(self, bench: Bench) -> None:
        """`get_instruments` has the venue's own rules: its symbol, steps, least and greatest sizes."""
        broker = await bench.open()
        found = await bench.within(broker.get_instruments(bench.symbols), "get_instruments()")
        names = ("venue_symbol", "price_steps", "size_step", "min_size", "max_size", "min_notional")
        for symbol, true in bench.venue.instruments.items():
            assert symbol in found, f"get_instruments has no {symbol}"
            for name in (*names, "quote", "multiplier", "fractional", "tradable"):
                told, wanted = getattr(found[symbol], name), getattr(true, name)
                assert told == wanted, f"{symbol}: {name} is {told}, at the venue {wanted}"

    @_time("BRK-880")
    async def test_times_are_utc(self, bench: Bench) -> None:
        """Every time that is told is timezone-aware UTC."""
        odd = sorted(
            path
            for path, value in await _everything(bench)
            if isinstance(value, datetime) and value.utcoffset() != timedelta(0)
        )
        assert not odd, f"no UTC in {', '.join(odd)}"

    @_time("BRK-885")
    async def test_time_is_the_clock_s(self, bench: Bench) -> None:
        """What is stamped on this machine bears the injected clock's time, not the machine's."""
        broker = await bench.open()
        sent = bench.written(bench.orders.limit(bench.symbol))
        ack = await bench.within(broker.submit_order(sent.ref, sent.request), "submit_order()")
        await bench.bought()
        stamps = [ack.received_at]
        stamps += [event.received_at for event in bench.events if isinstance(event, BrokerFill | OrderUpdate)]
        now = bench.venue.clock.now()
        odd = [stamp for stamp in stamps if not timedelta(0) <= now - stamp <= timedelta(minutes=1)]
        assert not odd, f"received_at is {odd[0]}, the clock says {now}"

    @_time("BRK-890", powers=[Power.SKEW])
    async def test_venue_times_are_the_venue_s(self, bench: Bench) -> None:
        """Executions and updates bear the venue's time, also where its clock is not this machine's."""
        await bench.venue.skew(20.0)
        await bench.open()
        sent = await bench.bought()
        (fill,) = bench.fills(sent)
        (true,) = bench.venue.truth().executions_of(sent.id)
        apart = abs(fill.executed_at - true.at)
        assert apart < timedelta(seconds=1), f"executed_at is {fill.executed_at}, at the venue {true.at}"
        assert abs(bench.venue.clock.now() - fill.received_at) < _NEAR, f"received_at is {fill.received_at}"
        await bench.until_status(sent, OrderStatus.FILLED)
        for update in bench.all_of(OrderUpdate):
            if update.broker_time is not None:
                late = abs(update.broker_time - true.at)
                assert late < _NEAR, f"broker_time is {update.broker_time}, executed was at {true.at}"

    @_time("BRK-895", powers=[Power.SKEW])
    async def test_get_time_is_the_venue_s(self, bench: Bench) -> None:
        """`get_time` is the venue's clock, not this machine's."""
        await bench.venue.skew(20.0)
        broker = await bench.open()
        told = await bench.within(broker.get_time(), "get_time()")
        apart = (told - bench.venue.clock.now()).total_seconds()
        assert 15 < apart < 25, f"the venue is 20 s ahead, get_time says {apart:.1f} s"

    @_time("BRK-900", powers=[Power.SKEW])
    async def test_skewed_clocks_do_not_stop_trading(self, bench: Bench) -> None:
        """Orders are taken though the clocks of venue and machine are apart by a few seconds, either way."""
        await bench.venue.skew(3.0)
        await bench.open()
        await bench.bought()
        await bench.venue.skew(-3.0)
        await bench.bought()


def _finest(bench: Bench, symbol: str) -> list[OrderRequest]:
    """Orders whose size and price binary fractions cannot express, where the grids have such."""
    orders, rules = bench.orders, bench.venue.instruments[symbol]
    limit = orders.limit(symbol, 3)
    assert limit.limit_price is not None
    assert limit.quantity is not None
    step = rules.price_step(limit.limit_price)
    prices = [limit.limit_price + step * 3, limit.limit_price + step * 7]
    sizes = [limit.quantity]
    if rules.fractional and (OrderType.LIMIT, limit.tif) in bench.capabilities.fractional:
        sizes += [limit.quantity + rules.size_step, limit.quantity + rules.size_step * 3]
    return [evolve(limit, quantity=size, limit_price=price) for size in sizes for price in prices]
