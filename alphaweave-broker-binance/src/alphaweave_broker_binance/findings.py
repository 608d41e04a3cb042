"""What an account at Binance tells of itself before a run: permissions, commissions, the request weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alphaweave.core.money import ZERO, plain
from alphaweave.live.findings import Finding, Verdict
from alphaweave_broker_binance.mapping import amount

__all__ = ["budget_findings", "commission_findings", "permission_findings"]


def permission_findings(account: Mapping[str, Any], rights: Mapping[str, Any]) -> Iterator[Finding]:
    """What account and key may do; ``rights`` is empty where Binance does not say."""
    if account.get("canTrade") is False or rights.get("enableSpotAndMarginTrading") is False:
        text = "the account, or its key, may not trade spot"
        yield Finding("permissions", Verdict.FAILURE, text, "see the key's page at Binance")
    else:
        yield Finding("permissions", Verdict.OK, "the account may trade spot")
    if not rights:
        yield Finding("key", Verdict.OK, "Binance does not tell its rights, as on its test networks")
        return
    if rights.get("enableWithdrawals"):
        yield Finding("key", Verdict.WARNING, "it may withdraw", "take that right from it")
    if rights.get("ipRestrict"):
        yield Finding("key", Verdict.OK, "it is good from the addresses that are listed for it")
    else:
        text = "it is good from any address"
        yield Finding("key", Verdict.WARNING, text, "restrict it to this machine's at Binance")


def commission_findings(account: Mapping[str, Any]) -> Iterator[Finding]:
    """What a trade costs, and out of what it is taken.

    Raises:
        KeyError, TypeError, ValueError: the account does not say.
    """
    rates = account["commissionRates"]
    maker, taker = (plain(amount(rates.get(name), name) * 100) for name in ("maker", "taker"))
    held = {one["asset"]: amount(one["free"], "free") for one in account["balances"]}
    text = f"{taker} % where an order takes, {maker} % where it rested; "
    if held.get("BNB", ZERO) > ZERO:
        text += "out of the BNB that are held, if the account is set to pay so"
    else:
        text += "out of what the trade brings, for no BNB are held"
    yield Finding("commissions", Verdict.OK, text)


def budget_findings(used: tuple[int, int] | None) -> Iterator[Finding]:
    """The request weight of this machine's address, which all its programs share."""
    if used is None:
        return
    spent, limit = used
    text = f"weight {spent} of {limit} used in this minute"
    if spent * 2 > limit:
        yield Finding("rate budget", Verdict.WARNING, text, "another program asks from the same address")
    else:
        yield Finding("rate budget", Verdict.OK, text)
