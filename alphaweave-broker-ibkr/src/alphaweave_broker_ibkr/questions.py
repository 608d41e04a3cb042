"""Questions about orders and executions that a gateway may leave unanswered."""

from __future__ import annotations

from typing import Any, Final

from ib_async import ExecutionFilter

from alphaweave.core.errors import AuthenticationFailed
from alphaweave_broker_ibkr.gateway import Gateway, NoAnswer, Refused

__all__ = ["executed", "executed_by", "follow_orders"]

_READ_ONLY: Final = 321


async def follow_orders(gateway: Gateway, *, watching: bool) -> bool:
    """From here on it tells what becomes of our orders of before, too.

    Args:
        watching: no order is going to be sent.

    Returns:
        Whether it does: a gateway whose API is read-only shows no orders.

    Raises:
        AuthenticationFailed: it is read-only, and orders are to be sent.
        NoAnswer, Refused, Unsent: it does not say.
    """
    try:
        await gateway.ask_alone(gateway.client.reqOpenOrders, rows="openOrder", ends="openOrderEnd")
    except Refused as no:
        if no.code != _READ_ONLY:
            raise
        if not watching:
            raise AuthenticationFailed(
                "the API of the gateway is read-only: switch Read-Only API off in its API settings, or set "
                "broker.options.ibkr.read_only to watch the account",
                details={"code": str(no.code)},
            ) from None
        return False
    return True


async def executed_by(gateway: Gateway, account: str, client: int) -> list[tuple[Any, ...]]:
    """One client's executions since midnight: a question that every gateway answers.

    Raises:
        NoAnswer, Refused, Unsent: they are not known.
    """
    return await _executed(gateway, ExecutionFilter(acctCode=account, clientId=client))


async def executed(gateway: Gateway, account: str, client: int) -> tuple[list[tuple[Any, ...]], bool]:
    """All executions since midnight, and whether they are everybody's.

    Some gateways never answer for everybody, and to some that is whoever has the client id 0: our own are
    asked for in any case.

    Raises:
        NoAnswer, Refused, Unsent: they are not known.
    """
    ours = await executed_by(gateway, account, client)
    try:
        all_ = await _executed(gateway, ExecutionFilter(acctCode=account))
    except NoAnswer:
        return ours, False
    listed = {execution.execId for _, execution in all_}
    return [*all_, *ours], all(execution.execId in listed for _, execution in ours)


async def _executed(gateway: Gateway, wanted: ExecutionFilter) -> list[tuple[Any, ...]]:
    return await gateway.ask(
        lambda number: gateway.client.reqExecutions(number, wanted),
        rows="execDetails",
        ends="execDetailsEnd",
    )
