"""What `alphaweave doctor` is told of an account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alphaweave.live.findings import Verdict
from alphaweave_broker_ibkr.findings import (
    account_findings,
    client_findings,
    margin_findings,
    permission_findings,
    zone_findings,
)
from alphaweave_broker_ibkr.settings import IbkrOptions
from alphaweave_broker_ibkr.tracked import Tracked

OURS = "awkit00-0000000000000000000001"


@pytest.mark.parametrize(
    ("gateway", "option", "verdict", "word"),
    [
        (False, False, Verdict.OK, "takes orders"),
        (True, True, Verdict.WARNING, "takes no orders"),
        (False, True, Verdict.WARNING, "refuses them unsent"),
    ],
)
def test_orders_that_are_not_sent_are_a_warning(
    gateway: bool, option: bool, verdict: Verdict, word: str
) -> None:
    """Whoever of the two refuses them."""
    (found,) = permission_findings(read_only=gateway, options=IbkrOptions(read_only=option))
    assert (found.verdict, word in found.text) == (verdict, True)
    assert bool(found.advice) is (verdict is not Verdict.OK)


def test_the_kind_of_account_is_told() -> None:
    """And which others the login has."""
    (paper,) = account_findings(["DU1234567"], "DU1234567")
    assert paper.text == "DU1234567 is of play money"
    (real,) = account_findings(["U7654321", "U1"], "U7654321")
    assert real.text == "U7654321 is of real money; the login has U1, too, which are left alone"


def test_orders_of_another_client_id_are_a_warning() -> None:
    """Those of AlphaWeave's: what a person placed is told elsewhere."""
    by_hand = Tracked(client=0, number=-1, name="", symbol="KO", foreign=True)
    own = Tracked(client=3, number=7, name=OURS, symbol="KO", foreign=False)
    lost = Tracked(client=9, number=2, name=OURS, symbol="KO", foreign=False)
    assert [one.verdict for one in client_findings([by_hand, own], 3)] == [Verdict.OK]
    (found,) = client_findings([by_hand, own, lost], 3)
    assert found.verdict is Verdict.WARNING
    assert "this run has client id 3" in found.text
    assert "placed by 9" in found.text


@pytest.mark.parametrize(
    ("values", "verdicts"),
    [
        ([("ExcessLiquidity", "1000.5", "USD")], ["ok"]),
        ([("ExcessLiquidity", "1000.5", "USD"), ("ExcessLiquidity", "-1", "BASE")], ["ok"]),
        ([("ExcessLiquidity", "0", "USD")], ["failure"]),
        ([("ExcessLiquidity", "-12.5", "USD")], ["failure"]),
        ([], ["warning"]),
        ([("ExcessLiquidity", "1", "USD"), ("DayTradesRemaining", "-1", "")], ["ok"]),
        ([("ExcessLiquidity", "1", "USD"), ("DayTradesRemaining", "3", "")], ["ok", "warning"]),
        ([("ExcessLiquidity", "1", "USD"), ("DayTradesRemaining", "", "")], ["ok"]),
    ],
)
def test_margin_that_is_used_up_is_a_failure(values: list[tuple[str, str, str]], verdicts: list[str]) -> None:
    """Interactive Brokers liquidates without a question; few day trades left are a warning."""
    assert [one.verdict.value for one in margin_findings(values)] == verdicts


NOON = datetime(2031, 7, 3, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ahead", "zone", "verdict"),
    [
        (-4.0, "America/New_York", "ok"),
        (-4.1, "America/New_York", "ok"),
        (-5.0, "America/New_York", "failure"),
        (0.0, "America/New_York", "failure"),
        (2.0, "Europe/Berlin", "ok"),
    ],
)
def test_gateway_in_another_time_zone_is_a_failure(ahead: float, zone: str, verdict: str) -> None:
    """Executions would be looked for from the wrong midnight on, and be missed."""
    (found,) = zone_findings((NOON + timedelta(hours=ahead), NOON), zone)
    assert found.verdict.value == verdict
    assert list(zone_findings(None, zone)) == []
