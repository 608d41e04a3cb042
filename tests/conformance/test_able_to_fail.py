"""Every case of the kit is failed by something: what cannot fail proves nothing."""

from __future__ import annotations

import pytest

from alphaweave.testing import BrokerConformance, DataFeedConformance
from alphaweave.testing.case import Outcome
from conformance.able_to_fail import BROKERS, FEEDS, LeavesASocket
from conformance.toy_broker import plugin_of
from conformance.toy_feed import FEEDS as FEED_ZOO
from conformance.toy_feed import ToyFeedVenue
from conformance.toy_feed import plugin_of as feed_plugin_of
from conformance.toy_venue import ToyVenue
from conformance.zoo import ZOO

# The toy venue has no groups; `mock`, `paper` and the adapters that have some show that these hold.
UNTRIED = {"BRK-020", "BRK-165", *(f"BRK-{number}" for number in (310, 315, 320, 325, 330, 335, 340))}
UNTRIED |= {"FEED-020"}


def test_every_case_is_failed_by_something() -> None:
    """By the zoo, or by an adapter made for it."""
    zoo = {f"BRK-{id_}" for ids in ZOO.values() for id_ in ids.split()}
    zoo |= {f"FEED-{id_}" for ids in FEED_ZOO.values() for id_ in ids.split()}
    cases = {*BrokerConformance.cases(), *DataFeedConformance.cases()}
    assert cases - zoo - set(BROKERS) - set(FEEDS) == UNTRIED


@pytest.mark.parametrize("id_", BROKERS)
def test_broker_case_can_fail(id_: str) -> None:
    """It fails, and says why."""
    members = {"plugin": plugin_of(BROKERS[id_])}
    suite: type[BrokerConformance] = type("Suite", (BrokerConformance,), members)
    result = suite.result(suite.cases()[id_], ToyVenue())
    for left in LeavesASocket.left:
        left.close()
    assert result.outcome is Outcome.FAILED
    assert result.detail


@pytest.mark.parametrize("id_", FEEDS)
def test_feed_case_can_fail(id_: str) -> None:
    """It fails, and says why."""
    members = {"plugin": feed_plugin_of(FEEDS[id_])}
    suite: type[DataFeedConformance] = type("Suite", (DataFeedConformance,), members)
    result = suite.result(suite.cases()[id_], ToyFeedVenue())
    assert result.outcome is Outcome.FAILED
    assert result.detail
