"""What an account at Interactive Brokers tells of itself before a run: permissions, client ids, margin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from alphaweave.core.money import ZERO
from alphaweave.live.findings import Finding, Verdict
from alphaweave_broker_ibkr.account import account_values
from alphaweave_broker_ibkr.figures import exact
from alphaweave_broker_ibkr.gateway import Gateway
from alphaweave_broker_ibkr.names import is_ours
from alphaweave_broker_ibkr.settings import IbkrOptions
from alphaweave_broker_ibkr.tracked import Tracked

__all__ = [
    "CLIENT_ADVICE",
    "account_findings",
    "client_findings",
    "findings",
    "margin_findings",
    "permission_findings",
    "placed_elsewhere",
    "zone_findings",
]

CLIENT_ADVICE: Final = (
    "only the client that placed an order can change or cancel it: give its run its client_id again"
)
# Zones differ by a quarter of an hour or more.
_CLOCKS: Final = timedelta(minutes=7)


async def findings(
    gateway: Gateway,
    account: str,
    options: IbkrOptions,
    listed: Iterable[Tracked],
    *,
    read_only: bool,
) -> Sequence[Finding]:
    """Ask for the account's values, and judge them with the rest.

    Args:
        listed: the open orders of everybody.
        read_only: the gateway shows and takes no orders.

    Raises:
        NoAnswer, Refused, Unsent: the gateway does not tell them.
        ValueError: a number cannot be read.
    """
    values = await account_values(gateway, account)
    return [
        *permission_findings(read_only=read_only, options=options),
        *account_findings(gateway.accounts, account),
        *client_findings(listed, options.client_id),
        *zone_findings(gateway.greeting, options.timezone),
        *margin_findings(values),
    ]


def permission_findings(*, read_only: bool, options: IbkrOptions) -> Iterator[Finding]:
    """Whether orders are taken. A gateway that is read-only lets nobody in but who wants to watch."""
    if read_only:
        text = "the API of the gateway is read-only: it takes no orders, and shows none"
        advice = "switch Read-Only API off in its API settings to trade"
        yield Finding("permissions", Verdict.WARNING, text, advice)
    elif options.read_only:
        text = "the gateway takes orders, and broker.options.ibkr.read_only refuses them unsent"
        yield Finding("permissions", Verdict.WARNING, text, "take read_only out to trade")
    else:
        yield Finding("permissions", Verdict.OK, "the gateway takes orders")


def account_findings(accounts: Sequence[str], account: str) -> Iterator[Finding]:
    """The account that was chosen, of those of the login."""
    money = "play money" if account.startswith("D") else "real money"
    others = [one for one in accounts if one != account]
    text = f"{account} is of {money}"
    if others:
        text += f"; the login has {', '.join(others)}, too, which are left alone"
    yield Finding("login", Verdict.OK, text)


def client_findings(listed: Iterable[Tracked], client: int) -> Iterator[Finding]:
    """Orders of AlphaWeave's that work under another client id than this run's."""
    text = placed_elsewhere(listed, client)
    if text is None:
        yield Finding("client id", Verdict.OK, f"{client}, and no order of AlphaWeave's is another's")
    else:
        yield Finding("client id", Verdict.WARNING, text, CLIENT_ADVICE)


def placed_elsewhere(listed: Iterable[Tracked], client: int) -> str | None:
    """That such orders work and whose they are; None where there are none."""
    others = {one.client for one in listed if is_ours(one.name) and one.client != client}
    if not others:
        return None
    ids = ", ".join(map(str, sorted(others)))
    return f"this run has client id {client}, and orders of AlphaWeave's work that were placed by {ids}"


def zone_findings(greeting: tuple[datetime, datetime] | None, timezone: str) -> Iterator[Finding]:
    """Whether the gateway is set to the zone that the config says.

    Args:
        greeting: as `Gateway` has it.
    """
    if greeting is None:
        return
    shown, at = greeting
    meant = at.astimezone(ZoneInfo(timezone)).replace(tzinfo=UTC)
    if abs(shown - meant) <= _CLOCKS:
        yield Finding("time zone", Verdict.OK, f"the gateway's clock is that of {timezone}")
        return
    text = f"the gateway's clock showed {shown:%H:%M}, and in {timezone} it was {meant:%H:%M}"
    advice = "make timezone the gateway's own: executions are forgotten at its midnight, not at another"
    yield Finding("time zone", Verdict.FAILURE, text, advice)


def margin_findings(values: Iterable[tuple[str, str, str]]) -> Iterator[Finding]:
    """How far the account is from a liquidation, and how many day trades it has left.

    Args:
        values: as `account_values` has them.

    Raises:
        ValueError: a number cannot be read.
    """
    told = {key: (value, currency) for key, value, currency in values if currency != "BASE"}
    left = _number(told.get("ExcessLiquidity"))
    if left is None:
        text = "Interactive Brokers does not tell the excess liquidity"
        yield Finding("margin", Verdict.WARNING, text, "look it up in the account window")
    else:
        text = f"excess liquidity is {left:,.2f} {told['ExcessLiquidity'][1]}"
        if left > ZERO:
            yield Finding("margin", Verdict.OK, text)
        else:
            advice = "positions are liquidated without a question: pay in, or close some"
            yield Finding("margin", Verdict.FAILURE, text, advice)
    trades = _number(told.get("DayTradesRemaining"))
    # -1 is "as many as you like".
    if trades is not None and ZERO <= trades <= 3:
        text = f"{trades:f} are left before the account is a pattern day trader's"
        yield Finding("day trades", Verdict.WARNING, text, "below 25,000 USD orders are refused then")


def _number(told: tuple[str, str] | None) -> Decimal | None:
    return None if told is None else exact(told[0])
