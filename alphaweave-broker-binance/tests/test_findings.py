"""What `alphaweave doctor` is told of an account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from alphaweave.core.errors import BrokerUnavailable
from alphaweave.live.findings import Verdict
from alphaweave_broker_binance.findings import budget_findings, commission_findings, permission_findings

At = Callable[[Callable[[Any], Awaitable[None]]], None]
RIGHTS = {"ipRestrict": True, "enableWithdrawals": False, "enableSpotAndMarginTrading": True}
ACCOUNT: dict[str, Any] = {
    "canTrade": True,
    "commissionRates": {"maker": "0.00100000", "taker": "0.00150000"},
    "balances": [{"asset": "BNB", "free": "1.00000000", "locked": "0.00000000"}],
}


@pytest.mark.parametrize(
    ("account", "rights", "verdicts"),
    [
        ({}, {}, ["ok", "ok"]),
        ({}, RIGHTS, ["ok", "ok"]),
        ({"canTrade": False}, RIGHTS, ["failure", "ok"]),
        ({}, {**RIGHTS, "enableSpotAndMarginTrading": False}, ["failure", "ok"]),
        ({}, {**RIGHTS, "enableWithdrawals": True}, ["ok", "warning", "ok"]),
        ({}, {**RIGHTS, "ipRestrict": False}, ["ok", "warning"]),
    ],
)
def test_rights_of_account_and_key_are_judged(
    account: dict[str, Any], rights: dict[str, Any], verdicts: list[str]
) -> None:
    """Too few are a failure, and too many a warning."""
    found = list(permission_findings({**ACCOUNT, **account}, rights))
    assert [one.verdict.value for one in found] == verdicts


def test_commissions_are_told_with_what_they_are_taken_from() -> None:
    """In percent; BNB pay for trades in anything."""
    (found,) = commission_findings(ACCOUNT)
    assert "0.15 % where an order takes, 0.1 % where it rested" in found.text
    assert "BNB that are held" in found.text
    (without,) = commission_findings({**ACCOUNT, "balances": []})
    assert "out of what the trade brings" in without.text
    with pytest.raises(KeyError):
        list(commission_findings({}))


def test_weight_that_others_spend_is_a_warning() -> None:
    """From a half of the limit on."""
    assert list(budget_findings(None)) == []
    assert [one.verdict for one in budget_findings((3000, 6000))] == [Verdict.OK]
    assert [one.verdict for one in budget_findings((3001, 6000))] == [Verdict.WARNING]


def test_account_is_asked(at_venue: At) -> None:
    """All of it in one answer, or none."""

    async def scenario(venue: Any) -> None:
        spent = {"X-MBX-USED-WEIGHT-1M": "40"}
        status, account = venue.answers["GET", "/api/v3/account"]
        venue.answers["GET", "/api/v3/account"] = (status, {**account, **ACCOUNT}, spent)
        venue.answers["GET", "/sapi/v1/account/apiRestrictions"] = (200, RIGHTS)
        adapter = venue.adapter()
        await adapter.connect()
        subjects = [one.subject for one in await adapter.diagnose()]
        assert subjects == ["permissions", "key", "commissions", "rate budget"]
        venue.answers["GET", "/api/v3/account"] = (200, {})
        with pytest.raises(BrokerUnavailable):
            await adapter.diagnose()

    at_venue(scenario)
