"""What an account at Alpaca tells of itself before a run: permissions, hours, the request limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from alphaweave.live.findings import Finding, Verdict
from alphaweave_broker_alpaca.answers import answered, mapping_in
from alphaweave_broker_alpaca.crypto_fees import rates_of, tier_of
from alphaweave_broker_alpaca.mapping import moment, text_of

__all__ = ["account_findings", "budget_findings", "findings", "hours_findings"]

_BLOCKS: Final = ("trading_blocked", "account_blocked", "trade_suspended_by_user")


async def findings(
    ask: Callable[[str], Awaitable[Any]],
    venue_symbols: Sequence[str],
    room: Callable[[], tuple[int, int] | None],
    requests: int,
) -> Sequence[Finding]:
    """Ask the account and the market's clock.

    Args:
        ask: makes a GET request to the trading API.
        venue_symbols: what the run trades, by Alpaca's names.
        room: what the newest answer said of the request limit: what is left, and of how much.
        requests: the option of that name.

    Raises:
        BrokerUnavailable: no usable answer.
    """
    with answered():
        account, clock = mapping_in(await ask("/account")), mapping_in(await ask("/clock"))
        return [
            *account_findings(account, venue_symbols),
            *hours_findings(clock, venue_symbols),
            *budget_findings(room(), requests),
        ]


def account_findings(account: Mapping[str, Any], venue_symbols: Sequence[str]) -> Iterator[Finding]:
    """What the account may do. What an answer does not have (Alpaca took its words on day trades out) is not
    told of."""
    blocks = [name for name in _BLOCKS if account.get(name)]
    status = str(account.get("status", "ACTIVE"))
    if blocks or status != "ACTIVE":
        text = f"the account may not trade: {', '.join(blocks) or f'status {status}'}"
        yield Finding("permissions", Verdict.FAILURE, text, "see the account's page at Alpaca")
    else:
        yield Finding(
            "permissions", Verdict.OK, f"the account may trade: status {status}, nothing is blocked"
        )
    if account.get("transfers_blocked"):
        yield Finding(
            "permissions", Verdict.WARNING, "transfers are blocked", "see the account's page at Alpaca"
        )
    if "shorting_enabled" in account:
        if account["shorting_enabled"]:
            yield Finding("short sales", Verdict.OK, "allowed")
        else:
            advice = (
                "the account needs 2,000 USD, margin, and no_shorting off; else orders that open them fail"
            )
            yield Finding("short sales", Verdict.WARNING, "not allowed", advice)
    crypto = [symbol for symbol in venue_symbols if "/" in symbol]
    if crypto:
        told = str(account.get("crypto_status", "not told"))
        verdict = Verdict.OK if told == "ACTIVE" else Verdict.FAILURE
        advice = (
            ""
            if verdict is Verdict.OK
            else f"sign Alpaca's crypto agreement, or leave {', '.join(crypto)} out"
        )
        yield Finding("crypto", verdict, f"status {told}", advice)
        yield _fees(account)
    if account.get("pattern_day_trader"):
        text = (
            f"the account is a pattern day trader's, with {account.get('daytrade_count', 'some')} day trades"
        )
        yield Finding("day trades", Verdict.WARNING, text, "below 25,000 USD of equity, orders are refused")


def _fees(account: Mapping[str, Any]) -> Finding:
    tier = tier_of(account)
    maker, taker = rates_of(tier)
    text = f"{taker} % of what an order brings, {maker} % where it rested"
    if tier is None:
        text = f"Alpaca tells no tier: the highest is assumed, {text}"
        return Finding("crypto fees", Verdict.WARNING, text, "see the account's page at Alpaca")
    return Finding("crypto fees", Verdict.OK, f"tier {tier}: {text}")


def hours_findings(clock: Mapping[str, Any], venue_symbols: Sequence[str]) -> Iterator[Finding]:
    """Whether stocks are traded just now; of crypto, which always is, nothing is told."""
    if all("/" in symbol for symbol in venue_symbols):
        return
    if clock.get("is_open"):
        closing = moment(text_of(clock, "next_close"))
        yield Finding("market hours", Verdict.OK, f"Alpaca: open until {closing:%Y-%m-%d %H:%M} UTC")
    else:
        opening = moment(text_of(clock, "next_open"))
        text = f"Alpaca: closed until {opening:%Y-%m-%d %H:%M} UTC"
        yield Finding("market hours", Verdict.WARNING, text, "orders for the day wait for the opening")


def budget_findings(room: tuple[int, int] | None, requests: int) -> Iterator[Finding]:
    """The request limit of the account, which all its programs share."""
    if room is None:
        text = f"Alpaca told of no limit; the option requests says {requests} within a window"
        yield Finding("rate budget", Verdict.WARNING, text, "is a proxy in between?")
        return
    left, limit = room
    text = f"{left} of {limit} requests are left in this window"
    if limit < requests:
        advice = f"set the option requests to {limit}, or orders run into the limit"
        yield Finding("rate budget", Verdict.FAILURE, f"{text}; the option requests says {requests}", advice)
    elif left < limit / 2:
        yield Finding("rate budget", Verdict.WARNING, text, "another program uses this account: stop it")
    else:
        yield Finding("rate budget", Verdict.OK, text)
