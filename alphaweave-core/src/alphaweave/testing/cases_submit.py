"""Broker cases: single orders on their way to the venue, and what the capabilities say of them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from attrs import evolve

from alphaweave.core.errors import OrderRejected, OutcomeUnknown, Unproven, Unsupported
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus, OrderType, Side, TimeInForce, Trail
from alphaweave.live.adapters.capabilities import Capabilities, ClientIdUniqueness
from alphaweave.live.broker import OrderUpdate
from alphaweave.testing.bench import Bench
from alphaweave.testing.case import in_group
from alphaweave.testing.sandbox import Action, Power

__all__ = ["SubmitCases"]

_case = in_group("Submit")
_AUCTIONS = (TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE)


async def _refuses(bench: Bench, request: OrderRequest, what: str) -> None:
    """Assert that an order which the adapter does not declare is Unsupported before a byte of it left."""
    before = len(bench.requests(Action.SUBMIT))

    async def send() -> None:
        sent = bench.written(request)
        await bench.broker.submit_order(sent.ref, request)

    await bench.refused(Unsupported, send(), f"{what}, which is not declared,")
    assert len(bench.requests(Action.SUBMIT)) == before, f"{what}: refused, but only after it was sent"


def _differences(asked: OrderRequest, held: OrderRequest) -> str:
    """In which terms the venue's order is not the one that was asked for."""
    names = ("symbol", "side", "quantity", "quote_quantity", "type", "tif", "expire_at", "limit_price")
    rest = ("stop_price", "trail", "post_only", "extended_hours")
    told = [
        f"{name} {getattr(held, name)} instead of {getattr(asked, name)}"
        for name in (*names, *rest)
        if getattr(held, name) != getattr(asked, name)
    ]
    return ", ".join(told)


async def _arrives(bench: Bench, request: OrderRequest, what: str) -> None:
    """Assert that an order arrives with the terms it was asked with, or is refused for a passing reason."""
    try:
        sent = await bench.submit(request)
    except OrderRejected as error:
        # An auction has hours; a declared pair may be outside them, but must not arrive as another one.
        if request.tif in _AUCTIONS or request.extended_hours:
            return
        raise AssertionError(f"{what} was refused: {error}") from error
    except Unsupported as error:
        raise AssertionError(f"{what} is declared, and refused as Unsupported: {error}") from error
    order = bench.truth(sent)
    assert order is not None, f"{what} was acknowledged, and is not at the venue"
    if order.request is not None:
        wrong = _differences(request, order.request)
        assert not wrong, f"{what} arrived with {wrong}"
    if bench.working(sent) and Power.CANCEL in bench.venue.powers:
        # A venue lets only so many orders wait at once, and some kinds of them fewer.
        await bench.venue.cancel(sent.id)


def _pairs_where(
    capabilities: Capabilities, declared: Callable[[tuple[OrderType, TimeInForce]], bool]
) -> list[tuple[OrderType, TimeInForce]]:
    """The pairs for which something holds, in a fixed order."""
    return [(kind, tif) for kind in OrderType for tif in TimeInForce if declared((kind, tif))]


async def _flagged(
    bench: Bench,
    declared: Any,
    changed: Callable[[Bench, OrderRequest], OrderRequest | None],
    what: str,
    symbol: str,
) -> None:
    """Both ways of a capability that is a set of pairs: what it names works, all else is refused."""
    await bench.open()
    now = bench.venue.clock.now()
    has, rules = bench.capabilities.order_types, bench.instrument(symbol)
    for kind, tif in _pairs_where(bench.capabilities, lambda pair: pair in has):
        if rules.order_types is not None and (kind, tif) not in rules.order_types:
            continue
        request = changed(bench, bench.orders.of(symbol, kind, tif, now=now))
        if request is None:
            continue
        text = f"{what} ({kind.value} {tif.value})"
        if (kind, tif) in declared:
            await _arrives(bench, request, text)
        else:
            await _refuses(bench, request, text)


def _divisible(bench: Bench) -> str:
    """A symbol that is traded in parts of a unit, if there is one."""

    def divisible(symbol: str) -> bool:
        rules = bench.instrument(symbol)
        return rules.fractional and rules.size_step % 1 != 0

    return next(filter(divisible, bench.symbols), bench.symbol)


def _fractional_shorts(capabilities: Capabilities) -> str:
    both = capabilities.shorting and capabilities.fractional_short
    return "" if both else "short sales of parts of a unit are not declared"


class SubmitCases:
    """Single orders on their way to the venue, and what the capabilities say of them."""

    @_case("BRK-110")
    async def test_order_arrives_once_as_asked(self, bench: Bench) -> None:
        """An order reaches the venue once, with the terms that were asked for."""
        await bench.open()
        request = bench.orders.limit(bench.symbol)
        sent = await bench.submit(request)
        orders = [order for order in bench.venue.truth().orders if not order.foreign]
        assert len(orders) == 1, f"one order was sent, the venue has {len(orders)}"
        assert orders[0].client_order_id == sent.id, f"it bears the client id {orders[0].client_order_id!r}"
        assert orders[0].symbol == bench.symbol, f"it is one in {orders[0].symbol}, not in {bench.symbol}"
        assert orders[0].request is not None, f"the venue cannot say what it was asked for: {orders[0]}"
        wrong = _differences(request, orders[0].request)
        assert not wrong, f"it arrived with {wrong}"

    @_case("BRK-115")
    async def test_declared_types_and_times_in_force_arrive(self, bench: Bench) -> None:
        """Every declared pair of type and time in force arrives as just that pair."""
        await bench.open()
        now = bench.venue.clock.now()
        for kind, tif in _pairs_where(
            bench.capabilities, lambda pair: pair in bench.capabilities.order_types
        ):
            narrowed = bench.instrument().order_types
            if narrowed is None or (kind, tif) in narrowed:
                request = bench.orders.of(bench.symbol, kind, tif, now=now)
                await _arrives(bench, request, f"a {kind.value} {tif.value} order")

    @_case("BRK-120")
    async def test_undeclared_types_and_times_in_force_are_refused(self, bench: Bench) -> None:
        """Every pair of type and time in force that is not declared is Unsupported before a byte is sent."""
        await bench.open()
        now = bench.venue.clock.now()
        for kind, tif in _pairs_where(
            bench.capabilities, lambda pair: pair not in bench.capabilities.order_types
        ):
            request = bench.orders.of(bench.symbol, kind, tif, now=now)
            await _refuses(bench, request, f"a {kind.value} {tif.value} order")

    @_case("BRK-125")
    async def test_acknowledgement_names_the_order(self, bench: Bench) -> None:
        """An acknowledgement bears the order's own client id and symbol, and the order's broker id.

        Whatever is said of the order later bears the same broker id.
        """
        broker = await bench.open()
        sent = bench.written(bench.orders.limit(bench.symbol))
        ack = await bench.within(broker.submit_order(sent.ref, sent.request), "submit_order()")
        told, wanted = (ack.ref.client_order_id, ack.ref.symbol), (sent.id, bench.symbol)
        assert told == wanted, f"client id and symbol are {told}, not {wanted}"
        found = await bench.within(broker.get_order(sent.ref), "get_order()")
        assert found is not None, "an acknowledged order is not found"
        if ack.ref.broker_order_id is not None:
            own = ack.ref.broker_order_id
            assert found.ref.broker_order_id == own, f"broker ids {found.ref.broker_order_id} and {own}"
            await bench.venue.set_price(bench.symbol, bench.orders.price(bench.symbol, "0.5"))
            await bench.until_status(sent, OrderStatus.FILLED)
            updates = [one for one in bench.all_of(OrderUpdate) if one.ref.client_order_id == sent.id]
            ids = {one.ref.broker_order_id for one in updates}
            ids |= {one.broker_order_id for one in bench.fills(sent)}
            assert ids <= {own, None}, f"broker ids {ids} are told of the order {own}"

    @_case("BRK-130")
    async def test_quote_quantity(self, bench: Bench) -> None:
        """Orders sized in quote currency work where declared, and are Unsupported elsewhere."""
        await _flagged(
            bench,
            bench.capabilities.quote_quantity,
            lambda bench, request: (
                evolve(request, quantity=None, quote_quantity=bench.orders.price(request.symbol) * 20)
                if request.type is OrderType.MARKET
                else None
            ),
            "an order by quote quantity",
            _divisible(bench),
        )

    @_case("BRK-135")
    async def test_fractional_sizes(self, bench: Bench) -> None:
        """Sizes that are no whole number of units work where declared, and are Unsupported elsewhere."""
        await _flagged(
            bench, bench.capabilities.fractional, _fractional, "a fractional order", _divisible(bench)
        )

    @_case("BRK-140")
    async def test_extended_hours(self, bench: Bench) -> None:
        """Orders for extended hours work where declared, and are Unsupported elsewhere."""
        await _flagged(
            bench,
            bench.capabilities.extended_hours,
            lambda bench, request: evolve(request, extended_hours=True),
            "an order for extended hours",
            bench.symbol,
        )

    @_case("BRK-145")
    async def test_post_only(self, bench: Bench) -> None:
        """A post-only order works where the flag is declared, and is Unsupported elsewhere."""
        await bench.open()
        request = evolve(bench.orders.limit(bench.symbol), post_only=True)
        if not bench.capabilities.post_only:
            await _refuses(bench, request, "a post-only order")
            return
        await _arrives(bench, request, "a post-only order")
        crossing = evolve(request, limit_price=bench.orders.price(bench.symbol, "1.2"), tif=request.tif)
        try:
            sent = await bench.submit(crossing)
        except OrderRejected:
            return
        await bench.trade_again()
        taken = bench.venue.truth().executions_of(sent.id)
        assert not taken, "a post-only order that crossed took liquidity"

    @_case("BRK-150")
    async def test_trails(self, bench: Bench) -> None:
        """Trails by amount and by percent each work where declared, and are Unsupported elsewhere."""
        await bench.open()
        has = bench.capabilities
        pairs = _pairs_where(has, lambda p: p[0] is OrderType.TRAILING_STOP and p in has.order_types)
        tif = pairs[0][1] if pairs else TimeInForce.DAY
        trails = (
            (has.trail_amount, Trail(amount=bench.orders.price(bench.symbol, "0.1")), "a trail by amount"),
            (has.trail_percent, Trail(percent=Decimal(5)), "a trail by percent"),
        )
        for declared, trail, what in trails:
            request = bench.orders.of(
                bench.symbol, OrderType.TRAILING_STOP, tif, now=bench.venue.clock.now(), trail=trail
            )
            if declared and pairs:
                await _arrives(bench, request, what)
            else:
                await _refuses(bench, request, what)

    @_case("BRK-155")
    async def test_short_sales(self, bench: Bench) -> None:
        """A sale of what is not held opens a short position where declared, and is refused elsewhere."""
        await bench.open()
        request = bench.orders.market(bench.symbol, side=Side.SELL)
        shortable = bench.capabilities.shorting and bench.instrument().shortable
        if shortable:
            sent = await bench.submit(request)
            await bench.trade_again()
            await bench.until_filled(sent)
            assert request.quantity is not None
            state = await bench.within(bench.broker.get_account_state(), "get_account_state()")
            assert state.positions.get(bench.symbol) == -request.quantity, (
                f"positions {dict(state.positions)}"
            )
            return

        async def send() -> None:
            sent = bench.written(request)
            await bench.broker.submit_order(sent.ref, request)

        await bench.refused((OrderRejected, Unsupported), send(), "a short sale")

    @_case("BRK-157", claim=_fractional_shorts)
    async def test_fractional_short_sales(self, bench: Bench) -> None:
        """A short sale of a size that is no whole number of units opens a position of that size."""
        symbol = _divisible(bench)
        rules = bench.instrument(symbol)
        if not (rules.shortable and rules.fractional and rules.size_step % 1):
            raise Unproven("the venue has nothing that is sold short in parts of a unit")
        await bench.open()
        whole = bench.orders.market(symbol, side=Side.SELL)
        if (whole.type, whole.tif) not in bench.capabilities.fractional:
            whole = bench.orders.limit(symbol, side=Side.SELL, share="0.9")
        assert whole.quantity is not None
        size = whole.quantity + rules.size_step % 1
        sent = await bench.submit(evolve(whole, quantity=size))
        await bench.trade_again(symbol)
        await bench.until_filled(sent)
        state = await bench.within(bench.broker.get_account_state(), "get_account_state()")
        assert state.positions.get(symbol) == -size, f"positions {dict(state.positions)}, not {-size}"

    @_case("BRK-160")
    async def test_longest_client_id_arrives_whole(self, bench: Bench) -> None:
        """A client order id as long as declared arrives whole, in the case it was given in."""
        await bench.open()
        rules = bench.capabilities.client_ids
        letters = [each for each in "Zz9-_a0" if rules.accepts(each)]
        assert letters, "client_ids accepts none of the usual letters"
        id_ = (("aw" if rules.accepts("aw") else "") + "".join(letters) * rules.max_length)[
            : rules.max_length
        ]
        ref = OrderRef(id_, bench.symbol, decided_at=bench.venue.clock.now())
        sent = await bench.submit(bench.orders.limit(bench.symbol), ref)
        assert bench.truth(sent) is not None, f"no order at the venue bears the id {id_!r}"

    @_case("BRK-165")
    async def test_kit_form_of_client_id_is_accepted(self, bench: Bench) -> None:
        """The form of AlphaWeave's own client ids, 30 characters of [a-z0-9-], is among those declared."""
        rules, form = bench.capabilities.client_ids, bench.ref().client_order_id
        assert rules.accepts(form), f"client_ids ({rules.alphabet}, {rules.max_length}) does not take {form}"

    @_case("BRK-170")
    async def test_used_client_id_is_unknown_not_rejected(self, bench: Bench) -> None:
        """A client order id that was used before is OutcomeUnknown, never OrderRejected, where it is checked.

        The order under that id may well be this one.
        """
        broker = await bench.open()
        sent = await bench.submit(bench.orders.limit(bench.symbol))
        if bench.capabilities.client_ids.unique is ClientIdUniqueness.NOT_ENFORCED:
            return
        (again,) = bench.prepared(sent.request, (OrderRef(sent.id, bench.symbol),))
        await bench.refused(
            OutcomeUnknown, broker.submit_order(again, sent.request), "an order under a used client id"
        )
        under = [order for order in bench.venue.truth().orders if order.client_order_id == sent.id]
        assert len(under) == 1, f"{len(under)} orders bear one client id"

    @_case("BRK-175")
    async def test_orders_carry_the_venue_symbol(self, bench: Bench) -> None:
        """An order in each symbol of the config reaches the instrument that ``names`` maps it to."""
        await bench.open()
        for symbol in bench.symbols:
            sent = await bench.submit(bench.orders.limit(symbol))
            order = bench.truth(sent)
            assert order is not None, f"an order in {symbol} is not at the venue"
            assert order.symbol == symbol, f"an order in {symbol} became one in {order.symbol}"

    @_case("BRK-180")
    async def test_prepare_does_no_io(self, bench: Bench) -> None:
        """`prepare` sends nothing, and a decision that is dropped after it leaves nothing behind."""
        await bench.open()
        before = len(bench.requests(Action.QUERY))
        dropped = bench.written(bench.orders.limit(bench.symbol))
        sent = bench.written(bench.orders.limit(bench.symbol))
        await bench.within(bench.broker.submit_order(sent.ref, sent.request), "submit_order()")
        assert len(bench.requests(Action.QUERY)) == before, "prepare() asked the venue"
        assert bench.truth(dropped) is None, "an order that was only prepared was sent"


def _fractional(bench: Bench, request: OrderRequest) -> OrderRequest | None:
    rules = bench.instrument(request.symbol)
    assert request.quantity is not None
    if (request.type, request.tif) in bench.capabilities.fractional:
        # Where it is declared, the instrument still decides.
        if not rules.fractional or rules.size_step % 1 == 0:
            return None
        return evolve(request, quantity=request.quantity + rules.size_step)
    return evolve(request, quantity=request.quantity + Decimal("0.5"))
