"""The rules of the risk chain: each judges one proposal against one limit, and says no in words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import CONTEXT, ZERO, plain
from alphaweave.core.order import OrderRequest, OrderType, Side, TimeInForce
from alphaweave.live.adapters.capabilities import Capabilities, check_request
from alphaweave.live.proposal import Denial, Proposal, RiskRule

__all__ = [
    "AllowList",
    "Denial",
    "InstrumentValidity",
    "MaxOrderNotional",
    "MaxOrderQuantity",
    "MaxPositionNotional",
    "MaxPositionQuantity",
    "Proposal",
    "ReduceOnly",
    "RiskRule",
]

_BUY, _MARKET = Side.BUY, OrderType.MARKET
_ONE = Decimal(1)
_add = CONTEXT.add
_multiply = CONTEXT.multiply
_remainder = CONTEXT.remainder
_subtract = CONTEXT.subtract


def _no_reference(proposal: Proposal) -> Denial:
    return Denial(
        "no_reference_price", f"{proposal.symbol} has no price yet, so the order's value cannot be judged"
    )


def _order_notional(proposal: Proposal) -> Decimal | None:
    if proposal.notional is not None:
        return proposal.notional
    if proposal.price is None:
        return None
    return proposal.instrument.notional(proposal.quantity, proposal.price)


def _exposure(proposal: Proposal) -> Decimal:
    """Units on the order's own side once it and everything open there has filled; below zero is none."""
    if proposal.side is _BUY:
        return _add(proposal.worst_long, proposal.quantity)
    return _subtract(proposal.quantity, proposal.worst_short)


# What check_request looks at besides a trail and a fraction: equal shapes get equal answers.
_Shape = tuple[OrderType, TimeInForce, bool, bool, bool]


class _Facts:
    """What is the same for every order in one symbol."""

    __slots__ = (
        "grid",
        "instrument",
        "market_maximum",
        "maximum",
        "minimum",
        "plain",
        "quote_step",
        "shapes",
        "step",
        "unlimited",
        "valued",
        "whole",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.step = instrument.size_step
        self.minimum = instrument.min_size
        self.maximum = instrument.max_size
        self.market_maximum = instrument.market_max_size
        self.quote_step = instrument.quote_step
        self.valued = instrument.min_notional is not None or instrument.max_notional is not None
        bounds = (self.minimum, self.maximum, self.market_maximum)
        self.unlimited = not self.valued and all(bound is None for bound in bounds)
        steps = instrument.price_steps
        self.grid = steps[0].step if len(steps) == 1 else None
        self.whole = not _remainder(self.step, _ONE)
        self.shapes: list[_Shape] = []
        # The time in force of plain orders that fit but for their size and side, once one was looked at.
        self.plain: TimeInForce | None = None


class InstrumentValidity:
    """The order fits the instrument and the broker: sizes, price grid, features, short sales."""

    code = "instrument_validity"
    applies_to_reductions = True

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self._facts: dict[str, _Facts] = {}

    def check(self, proposal: Proposal) -> Denial | str | None:
        instrument = proposal.instrument
        facts = self._facts.get(proposal.symbol)
        if facts is None or facts.instrument is not instrument:
            facts = self._facts[proposal.symbol] = _Facts(instrument)
        if not instrument.tradable:
            return Denial("not_tradable", f"{proposal.symbol} cannot be traded at present")
        plain_tif = proposal.plain
        if (
            plain_tif is not None
            and plain_tif is facts.plain
            and not _remainder(proposal.quantity, facts.step)
        ):
            return None if proposal.side is _BUY else self._short(proposal)
        request = proposal.request
        if request is None:
            return "the proposal carries no order to judge"
        if request.quantity is None and proposal.price is None:
            return _no_reference(proposal)
        if not proposal.quantity > ZERO:
            return f"the quantity must be above zero, not {plain(proposal.quantity)}"
        refusal = self._size(facts, proposal, request) or self._prices(facts, request)
        if refusal is not None:
            return refusal
        if not _seen(facts.shapes, request):
            unsupported = check_request(self._capabilities, instrument, request)
            if unsupported is not None:
                return Denial("unsupported", unsupported.text)
            # Where a size that passed the step check cannot offend by its fraction, the shape decides.
            may = (request.type, request.tif) in self._capabilities.fractional and instrument.fractional
            if request.trail is None and (may or facts.whole):
                facts.shapes.append(_shape(request))
        if plain_tif is not None and facts.unlimited and _seen(facts.shapes, request):
            facts.plain = plain_tif
        if proposal.side is not _BUY:
            return self._short(proposal)
        return None

    def _size(self, facts: _Facts, proposal: Proposal, request: OrderRequest) -> str | None:
        size = request.quantity
        if size is None:
            size = proposal.quantity  # the venue sizes it: the estimate need not lie on the step
            amount = request.quote_quantity
            if facts.quote_step is not None and amount is not None and _remainder(amount, facts.quote_step):
                return f"value {plain(amount)} is no multiple of {plain(facts.quote_step)}"
        elif _remainder(size, facts.step):
            return f"size {plain(size)} is no multiple of {plain(facts.step)}"
        if facts.minimum is not None and size < facts.minimum:
            return f"size {plain(size)} is below the smallest order, {plain(facts.minimum)}"
        if facts.maximum is not None and size > facts.maximum:
            return f"size {plain(size)} is above the largest order, {plain(facts.maximum)}"
        most = facts.market_maximum
        if most is not None and request.type is _MARKET and size > most:
            return f"size {plain(size)} is above the largest market order, {plain(most)}"
        return self._value(facts.instrument, proposal, request, size) if facts.valued else None

    def _value(
        self, instrument: Instrument, proposal: Proposal, request: OrderRequest, size: Decimal
    ) -> str | None:
        # These bounds protect the venue, not the account: without a price the venue may say no.
        value = request.quote_quantity
        if value is None and proposal.price is not None:
            value = _multiply(size, proposal.price)
        if value is None:
            return None
        least, most = instrument.min_notional, instrument.max_notional
        if least is not None and value < least:
            return f"value {plain(value)} is below the smallest order, {plain(least)}"
        if most is not None and value > most:
            return f"value {plain(value)} is above the largest order, {plain(most)}"
        return None

    def _prices(self, facts: _Facts, request: OrderRequest) -> str | None:
        for name, price in (("limit", request.limit_price), ("stop", request.stop_price)):
            if price is not None:
                step = facts.grid or facts.instrument.price_step(price)
                if _remainder(price, step):
                    return f"{name} price {plain(price)} is no multiple of {plain(step)}"
        return None

    def _short(self, proposal: Proposal) -> Denial | None:
        capabilities = self._capabilities
        allowed = capabilities.shorting and proposal.instrument.shortable
        if allowed and capabilities.fractional_short:
            return None
        left = _subtract(proposal.worst_short, proposal.quantity)
        if left >= ZERO:
            return None
        if allowed:
            if not _remainder(left, _ONE) and not _remainder(proposal.quantity, _ONE):
                return None
            what = "this broker sells short in whole units only"
        else:
            who = "this instrument" if capabilities.shorting else "this broker"
            what = f"{who} allows no short position"
        return Denial("short_not_allowed", f"{what}; with open sales filled it could reach {plain(left)}")


def _shape(request: OrderRequest) -> _Shape:
    return (
        request.type,
        request.tif,
        request.quote_quantity is None,
        request.post_only,
        request.extended_hours,
    )


def _seen(shapes: list[_Shape], request: OrderRequest) -> bool:
    # By identity: hashing an enum member costs more than the whole scan.
    kind, tif, by_units = request.type, request.tif, request.quote_quantity is None
    for shape in shapes:
        if (
            shape[0] is kind
            and shape[1] is tif
            and shape[2] is by_units
            and shape[3] is request.post_only
            and shape[4] is request.extended_hours
        ):
            return True
    return False


class ReduceOnly:
    """An order that is marked reduce only strictly reduces the worst-case position. Brokers are not
    relied on for it: most do not know the flag."""

    code = "reduce_only"
    applies_to_reductions = False

    def check(self, proposal: Proposal) -> str | None:
        if proposal.plain is not None:
            return None
        request = proposal.request
        if request is None or not request.reduce_only:
            return None
        side = "long" if proposal.side is _BUY else "short"
        return (
            "it is marked reduce only; with everything open filled it could leave "
            f"{plain(_exposure(proposal))} units {side}"
        )


class AllowList:
    """Only these symbols are traded."""

    code = "allow_list"
    applies_to_reductions = False

    def __init__(self, symbols: frozenset[str]) -> None:
        self._symbols = symbols

    def check(self, proposal: Proposal) -> str | None:
        if proposal.symbol in self._symbols:
            return None
        return f"{proposal.symbol} is not among the symbols this run may trade"


class _Limit:
    """A bound for every symbol, and tighter ones for some."""

    applies_to_reductions = False

    def __init__(self, general: Decimal | None, by_symbol: Mapping[str, Decimal]) -> None:
        self._general = general
        self._by_symbol = dict(by_symbol)
        if general is not None:
            self._by_symbol = {symbol: min(general, limit) for symbol, limit in by_symbol.items()}


class MaxOrderQuantity(_Limit):
    """Units in one order."""

    code = "max_order_quantity"

    def check(self, proposal: Proposal) -> str | None:
        limit = self._by_symbol.get(proposal.symbol, self._general)
        if limit is None or proposal.quantity <= limit:
            return None
        return f"quantity {plain(proposal.quantity)} is above the limit, {plain(limit)}"


class MaxOrderNotional(_Limit):
    """Value of one order, market orders too."""

    code = "max_order_notional"

    def check(self, proposal: Proposal) -> Denial | str | None:
        limit = self._by_symbol.get(proposal.symbol, self._general)
        if limit is None:
            return None
        notional = _order_notional(proposal)
        if notional is None:
            return _no_reference(proposal)
        if notional <= limit:
            return None
        return f"order value {plain(notional)} is above the limit, {plain(limit)}"


class MaxPositionQuantity(_Limit):
    """Units held on one side when everything open there has filled."""

    code = "max_position_quantity"

    def check(self, proposal: Proposal) -> str | None:
        limit = self._by_symbol.get(proposal.symbol, self._general)
        if limit is None:
            return None
        exposure = _exposure(proposal)
        if exposure <= limit:
            return None
        return f"the position could reach {plain(exposure)}, above the limit, {plain(limit)}"


class MaxPositionNotional(_Limit):
    """Value held on one side when everything open there has filled, at the reference price."""

    code = "max_position_notional"

    def check(self, proposal: Proposal) -> Denial | str | None:
        limit = self._by_symbol.get(proposal.symbol, self._general)
        if limit is None:
            return None
        price = proposal.price
        if price is None:
            return _no_reference(proposal)
        exposure = _exposure(proposal)
        if exposure <= ZERO:
            return None
        value = proposal.instrument.notional(exposure, price)
        if value <= limit:
            return None
        return f"the position could be worth {plain(value)}, above the limit, {plain(limit)}"
