"""Broker cases: brackets and OCOs."""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve

from alphaweave.core.errors import OutcomeUnknown, Unproven, Unsupported
from alphaweave.core.order import GroupKind, OrderGroup, OrderStatus
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.testing.bench import Bench, Sent
from alphaweave.testing.case import in_group
from alphaweave.testing.sandbox import Action, Fault, Power

__all__ = ["GroupCases"]

_case = in_group("Groups")


def _brackets(capabilities: Capabilities) -> str:
    return "" if GroupKind.BRACKET in capabilities.groups else "brackets are not declared"


def _ocos(capabilities: Capabilities) -> str:
    return "" if GroupKind.OCO in capabilities.groups else "OCOs are not declared"


def _any(capabilities: Capabilities) -> str:
    return "" if capabilities.groups else "no groups are declared"


async def _refuses(bench: Bench, group: OrderGroup, what: str) -> None:
    before = len(bench.requests(Action.SUBMIT))

    async def send() -> None:
        await bench.submit_group(group)

    await bench.refused(Unsupported, send(), f"{what}, which is not declared,")
    assert len(bench.requests(Action.SUBMIT)) == before, f"{what}: refused, but only after it was sent"


async def _entered(bench: Bench) -> tuple[Sent, ...]:
    """The legs of a bracket whose entry is filled."""
    entry, *exits = await bench.submit_group(bench.orders.group(bench.symbol, GroupKind.BRACKET))
    await bench.venue.set_price(bench.symbol, bench.orders.price(bench.symbol, "0.5"))
    await bench.until_filled(entry)
    return (entry, *exits)


class GroupCases:
    """Brackets and OCOs."""

    @_case("BRK-310")
    async def test_bracket(self, bench: Bench) -> None:
        """A bracket arrives with all its legs where declared, and is Unsupported elsewhere, unsent."""
        await bench.open()
        if GroupKind.BRACKET not in bench.capabilities.groups:
            await _refuses(bench, bench.orders.group(bench.symbol, GroupKind.BRACKET), "a bracket")
            return
        legs = await bench.submit_group(bench.orders.group(bench.symbol, GroupKind.BRACKET))
        await _are_one_group(bench, legs)

    @_case("BRK-315")
    async def test_oco(self, bench: Bench) -> None:
        """An OCO arrives with both its legs where declared, and is Unsupported elsewhere, unsent."""
        await bench.open()
        if GroupKind.OCO not in bench.capabilities.groups:
            await _refuses(bench, bench.orders.group(bench.symbol, GroupKind.OCO), "an OCO")
            return
        await bench.bought()
        legs = await bench.submit_group(bench.orders.group(bench.symbol, GroupKind.OCO))
        await _are_one_group(bench, legs)

    @_case("BRK-320", claim=_brackets)
    async def test_exits_wait_for_the_entry(self, bench: Bench) -> None:
        """The exits of a bracket do nothing before its entry is filled, and work afterwards."""
        await bench.open()
        entry, target, stop = await bench.submit_group(bench.orders.group(bench.symbol, GroupKind.BRACKET))
        await bench.venue.set_price(bench.symbol, bench.orders.price(bench.symbol, "0.7"))
        assert bench.truth(target) is not None, "the take profit is not at the venue"
        assert not bench.executions(target), "an exit was executed before the entry"
        await bench.venue.set_price(bench.symbol, bench.orders.price(bench.symbol, "0.5"))
        await bench.until_filled(entry)
        await bench.venue.set_price(bench.symbol, bench.orders.price(bench.symbol, "0.65"))
        await bench.until_filled(target)
        assert not bench.executions(stop), "both exits were executed"

    @_case("BRK-325", claim=_brackets)
    async def test_one_exit_ends_the_other(self, bench: Bench) -> None:
        """When one exit of a bracket is filled, the other is ended, and told so."""
        await bench.open()
        _, target, stop = await _entered(bench)
        await bench.venue.set_price(bench.symbol, bench.orders.price(bench.symbol, "0.65"))
        await bench.until_filled(target)
        await bench.until_status(stop, OrderStatus.CANCELLED, OrderStatus.EXPIRED)
        assert bench.truth(stop) is not None, "the stop loss is not at the venue"
        assert not bench.working(stop), "the venue still works the stop loss"

    @_case("BRK-330", claim=_brackets)
    async def test_each_leg_is_found_by_itself(self, bench: Bench) -> None:
        """Each leg of a bracket is found by its own names, before and after its parent has ended."""
        broker = await bench.open()
        legs = await _entered(bench)
        for leg in legs:
            found = await bench.within(broker.get_order(bench.known(leg)), "get_order()")
            assert found is not None, f"the leg {leg.id} is not found"
            assert found.side is leg.request.side, f"the leg {leg.id} is told as a {found.side.value}"
            assert found.ref.client_order_id == leg.id, f"it bears the id {found.ref.client_order_id}"

    @_case("BRK-335", claim=_ocos)
    async def test_cancel_of_one_exit_ends_the_other(self, bench: Bench) -> None:
        """When one leg of an OCO is cancelled, the other is ended too, and told so."""
        await bench.open()
        await bench.bought()
        target, stop = await bench.submit_group(bench.orders.group(bench.symbol, GroupKind.OCO))
        await bench.cancel(target)
        for leg in (target, stop):
            await bench.until_status(leg, OrderStatus.CANCELLED, OrderStatus.EXPIRED)

    @_case("BRK-340", powers=[Power.LOSE_ANSWER], claim=_brackets)
    async def test_group_without_an_answer_is_unknown(self, bench: Bench) -> None:
        """A group whose answer is lost is OutcomeUnknown; each leg is then found by itself, once."""
        broker = await bench.open()
        group = bench.orders.group(bench.symbol, GroupKind.BRACKET)
        refs = bench.prepared(group, [bench.ref() for _ in group.legs])
        await bench.venue.arm(Action.SUBMIT, Fault.LOSE_ANSWER)
        await bench.refused(OutcomeUnknown, broker.submit_group(refs, group), "a group without an answer")
        for ref in refs:
            found = await bench.within(broker.get_order(ref), "get_order() of a leg")
            assert found is not None, f"the leg {ref.client_order_id} is not found"
        under = [order.client_order_id for order in bench.venue.truth().orders]
        assert len(under) == len(set(under)) == len(refs), f"the venue has {len(under)} orders"

    @_case("BRK-345", claim=_any)
    async def test_fractional_group(self, bench: Bench) -> None:
        """A group of fractional legs works where declared, and is Unsupported elsewhere, unsent."""
        symbol = _divisible(bench)
        step = bench.instrument(symbol).size_step % 1 or Decimal("0.5")
        await bench.open()
        for kind in sorted(bench.capabilities.groups, key=lambda each: each.value):
            if kind is GroupKind.OCO:
                # Its legs are for a little more than one lot, and a spot account sells what it holds.
                await bench.bought(symbol, 2)
            group = _more(bench.orders.group(symbol, kind), step)
            pairs = {(leg.type, leg.tif) for leg in group.legs}
            if bench.capabilities.fractional_groups and pairs <= bench.capabilities.fractional:
                await _are_one_group(bench, await bench.submit_group(group))
            else:
                await _refuses(bench, group, f"a fractional {kind.value}")


def _divisible(bench: Bench) -> str:
    """A symbol that is traded in parts of a unit, where fractional groups are declared; else any."""
    if not bench.capabilities.fractional_groups:
        return bench.symbol
    for symbol in bench.symbols:
        rules = bench.instrument(symbol)
        if rules.fractional and rules.size_step % 1:
            return symbol
    raise Unproven("the venue has no instrument that is traded in parts of a unit")


def _more(group: OrderGroup, units: Decimal) -> OrderGroup:
    target, stop, entry = (
        leg and evolve(leg, quantity=(leg.quantity or Decimal(0)) + units)
        for leg in (group.take_profit, group.stop_loss, group.entry)
    )
    assert target is not None
    assert stop is not None
    return OrderGroup(group.kind, target, stop, entry)


async def _are_one_group(bench: Bench, legs: tuple[Sent, ...]) -> None:
    orders = [bench.truth(leg) for leg in legs]
    assert all(order is not None for order in orders), "not every leg is at the venue"
    groups = {order.group for order in orders if order is not None}
    assert len(groups) == 1, "the legs are not joined at the venue"
    assert groups != {None}, "the legs are not joined at the venue"
    for leg, order in zip(legs, orders, strict=True):
        told = None if order is None else (order.side, order.quantity)
        wanted = (leg.request.side, leg.request.quantity)
        assert told == wanted, f"the leg {leg.id} is {told} at the venue, not {wanted}"
