"""What the core wants to know of a broker, asked by the method that answers it."""

from __future__ import annotations

from alphaweave.live.actions import (
    AccountQuery,
    FillsQuery,
    OpenOrdersQuery,
    OrderQuery,
    Query,
    TimeQuery,
)
from alphaweave.live.broker import Broker
from alphaweave.live.inputs import Answer

__all__ = ["answer_to"]


async def answer_to(broker: Broker, query: Query) -> Answer:
    """The broker's answer.

    Raises:
        BrokerError: there is none.
    """
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
