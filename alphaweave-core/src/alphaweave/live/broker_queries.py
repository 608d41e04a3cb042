"""What the core wants to know of a broker, asked by the method that answers it; and cancels without it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from alphaweave.core.errors import BrokerError
from alphaweave.live.actions import (
    FORGOTTEN,
    AccountQuery,
    FillsQuery,
    Forgotten,
    OpenOrdersQuery,
    OrderQuery,
    Query,
    TimeQuery,
)
from alphaweave.live.broker import Broker
from alphaweave.live.inputs import Answer

__all__ = ["asked", "cancel_own"]


async def asked(broker: Broker, query: Query, seconds: float) -> tuple[Answer, str | None]:
    """The broker's answer, or why there is none: at the latest after so many seconds."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await _answer(broker, query), None
    except BrokerError as error:
        if isinstance(query, OrderQuery) and error.code == FORGOTTEN:
            return Forgotten(), None
        return None, str(error) or type(error).__name__
    except (Exception, SystemExit, GeneratorExit) as error:
        if limit.expired():
            return None, f"no answer within {seconds:g} s"
        return None, f"{type(error).__name__}: {error}"


async def cancel_own(broker: Broker, seconds: float, symbol: str = "") -> None:
    """Cancel what works under a name of this project's, as well as that goes within so many seconds; in one
    symbol, if it is given. What came of it is heard from the broker.
    """
    with suppress(Exception):
        async with asyncio.timeout(seconds):
            for order in await broker.get_open_orders((symbol,) if symbol else None):
                if not order.foreign and symbol in {"", order.ref.symbol}:
                    with suppress(BrokerError):
                        await broker.cancel_order(order.ref)


async def _answer(broker: Broker, query: Query) -> Answer:
    if isinstance(query, OrderQuery):
        return await broker.get_order(query.ref)
    if isinstance(query, OpenOrdersQuery):
        return tuple(await broker.get_open_orders(query.symbols))
    if isinstance(query, FillsQuery):
        return await broker.get_fills(query.query)
    if isinstance(query, AccountQuery):
        return await broker.get_account_state()
    if isinstance(query, TimeQuery):
        return await broker.get_time()
    return await broker.get_instruments(query.symbols)
