"""The contracts that the config names: found once, by number, with the rules that hold for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from attrs import frozen
from ib_async import Contract, ContractDetails

from alphaweave.core.errors import BrokerUnavailable, Unsupported
from alphaweave.core.instrument import DEFAULT_PRICE_STEP, Instrument, PriceStep
from alphaweave.core.money import ZERO
from alphaweave.core.order import OrderType, TimeInForce
from alphaweave_broker_ibkr.contract_forms import ContractForm, parse_contract
from alphaweave_broker_ibkr.figures import exact
from alphaweave_broker_ibkr.gateway import Gateway, Refused
from alphaweave_broker_ibkr.order_wire import Listing
from alphaweave_broker_ibkr.settings import IBKR_CAPABILITIES

__all__ = ["Found", "contract_of_form", "find_contract", "find_contracts", "instrument_of"]

_NO_CONTRACT: Final = 200
_KINDS: Final = {"STK": "equity", "CASH": "fx", "FUT": "future", "CRYPTO": "spot"}
_COIN_ORDERS: Final = frozenset({(OrderType.MARKET, TimeInForce.IOC), (OrderType.LIMIT, TimeInForce.IOC)})


@frozen
class Found:
    """A contract, and what the gateway says of it.

    Attributes:
        listing: where its orders go.
        bands: from which price on which step holds there, as far as it says.
    """

    listing: Listing
    details: ContractDetails
    bands: tuple[PriceStep, ...]


class _Bands:
    """The market rules of one look-up; most contracts share a few."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._known: dict[int, tuple[PriceStep, ...]] = {}
        self._turn = asyncio.Lock()

    async def of(self, rule: int) -> tuple[PriceStep, ...]:
        """From which price on which step holds."""
        async with self._turn:
            if rule not in self._known:
                self._known[rule] = await self._ask(rule)
        return self._known[rule]

    async def _ask(self, rule: int) -> tuple[PriceStep, ...]:
        client = self._gateway.client
        told = await self._gateway.ask_alone(
            lambda: client.reqMarketRule(rule), rows="marketRule", ends="marketRule"
        )
        number, increments = told[-1]
        if number != rule:
            raise BrokerUnavailable(f"market rule {rule} was asked for, and {number} answered")
        steps = [PriceStep(exact(one.lowEdge) or ZERO, exact(one.increment) or ZERO) for one in increments]
        return tuple(sorted((one for one in steps if one.step > ZERO), key=lambda one: one.start))


def contract_of_form(form: ContractForm) -> Contract:
    """What to ask the gateway for."""
    return Contract(
        secType=form.kind,
        conId=form.con_id,
        symbol=form.symbol,
        lastTradeDateOrContractMonth=form.expiry,
        exchange=form.exchange,
        primaryExchange=form.listing,
        currency=form.currency,
    )


async def find_contracts(gateway: Gateway, texts: Mapping[str, str]) -> dict[str, Found]:
    """Those that there are, of short forms by the config's symbols; asked for together.

    Raises:
        Unsupported, NoAnswer, Refused, Unsent: as `find_contract`, of the first that does.
    """
    bands = _Bands(gateway)
    told = await asyncio.gather(
        *(_found(gateway, symbol, text, bands) for symbol, text in texts.items()), return_exceptions=True
    )
    found: dict[str, Found] = {}
    for symbol, one in zip(texts, told, strict=True):
        if isinstance(one, BaseException):
            raise one
        if one is not None:
            found[symbol] = one
    return found


async def find_contract(gateway: Gateway, symbol: str, text: str) -> Found | None:
    """The contract that a short form means; None where there is none.

    Args:
        symbol: what the config calls it.
        text: the short form.

    Raises:
        Unsupported: it is no short form, several contracts fit, or it is of a kind that is not traded here.
        NoAnswer, Refused, Unsent: the gateway does not say.
    """
    return await _found(gateway, symbol, text, _Bands(gateway))


async def _found(gateway: Gateway, symbol: str, text: str, bands: _Bands) -> Found | None:
    try:
        form = parse_contract(text)
    except ValueError as error:
        raise Unsupported(f"{symbol}: {error}") from None
    asked = contract_of_form(form)
    try:
        told = await gateway.ask(
            lambda number: gateway.client.reqContractDetails(number, asked),
            rows="contractDetails",
            ends="contractDetailsEnd",
        )
    except Refused as no:
        if no.code == _NO_CONTRACT:
            return None
        raise
    details = {one.contract.conId: one for (one,) in told if one.contract is not None}
    if not details:
        return None
    if len(details) > 1:
        raise Unsupported(f"{symbol}: {text!r} is {_candidates(list(details.values()))}")
    (found,) = details.values()
    return await _ruled(symbol, form, found, bands)


async def _ruled(symbol: str, form: ContractForm, details: ContractDetails, rules: _Bands) -> Found:
    contract = details.contract
    assert contract is not None
    kind = contract.secType
    if kind not in _KINDS:
        raise Unsupported(
            f"{symbol}: contract {contract.conId} is of kind {kind}; traded here are {', '.join(_KINDS)}"
        )
    if details.priceMagnifier not in {0, 1}:
        # What one unit of it is worth would be too much by that.
        raise Unsupported(
            f"{symbol}: contract {contract.conId} is priced in parts of its currency, of which "
            f"{details.priceMagnifier} are one; that is not traded here"
        )
    exchanges = details.validExchanges.split(",")
    exchange = form.exchange or ("SMART" if "SMART" in exchanges else contract.exchange)
    bands: tuple[PriceStep, ...] = ()
    numbers = details.marketRuleIds.split(",")
    if exchange in exchanges and len(numbers) == len(exchanges):
        number = numbers[exchanges.index(exchange)]
        bands = await rules.of(int(number)) if number.isdigit() else ()
    return Found(Listing(contract.conId, kind, exchange, contract.currency), details, bands)


def instrument_of(found: Found, symbol: str, text: str) -> Instrument:
    """The rules of a contract.

    Whether it can be sold short is not in the answer: the gateway refuses what cannot be.

    Raises:
        ValueError: a number cannot be read.
    """
    details, listing = found.details, found.listing
    contract = details.contract
    assert contract is not None
    coin, pair = listing.kind == "CRYPTO", listing.kind == "CASH"
    increment, least = exact(details.sizeIncrement) or Decimal(1), exact(details.minSize)
    # Of a stock parts are said to be possible, and refused to a program (10243).
    step = increment if coin else max(increment.to_integral_value(), Decimal(1))
    smallest = exact(details.minTick) or DEFAULT_PRICE_STEP
    return Instrument(
        symbol=symbol,
        venue_symbol=text,
        kind=_KINDS[listing.kind],
        base=contract.symbol if pair else None,
        quote=listing.currency,
        settle=listing.currency,
        multiplier=exact(contract.multiplier or "1") or Decimal(1),
        price_steps=found.bands or (PriceStep(ZERO, smallest),),
        size_step=step,
        min_size=None if least is None or least <= ZERO else max(least, step),
        fractional=coin,
        shortable=not coin,
        order_types=_COIN_ORDERS if coin else _orders_of(details),
    )


def _orders_of(details: ContractDetails) -> frozenset[tuple[OrderType, TimeInForce]]:
    """What is taken where it is listed: orders at the close are types of their own there."""
    words = set(details.orderTypes.split(","))
    closing = {OrderType.MARKET: "MOC", OrderType.LIMIT: "LOC"}
    return frozenset(
        (kind, tif)
        for kind, tif in IBKR_CAPABILITIES.order_types
        if tif is not TimeInForce.AT_CLOSE or closing[kind] in words or not details.orderTypes
    )


def _candidates(found: Sequence[ContractDetails]) -> str:
    listed = []
    for one in found[:10]:
        contract = one.contract
        assert contract is not None
        name, place = contract.localSymbol or contract.symbol, contract.primaryExchange or contract.exchange
        listed.append(f"{contract.conId} ({name} at {place}, {contract.currency}, {one.longName})")
    return f"ambiguous: write the number of one of these {len(found)} contracts: {'; '.join(listed)}"
