"""Every case of the kit is failed by something: what cannot fail proves nothing."""

from __future__ import annotations

import pytest

from alphaweave.testing import BrokerConformance, DataFeedConformance, MonitorConformance
from alphaweave.testing.case import Outcome
from conformance.able_to_fail import BROKERS, FEEDS, LeavesASocket
from conformance.test_monitors import BUGS as MONITORS
from conformance.toy_broker import ToyBroker, plugin_of
from conformance.toy_feed import FEEDS as FEED_ZOO
from conformance.toy_feed import ToyFeed, ToyFeedVenue
from conformance.toy_feed import plugin_of as feed_plugin_of
from conformance.toy_venue import ToyVenue
from conformance.zoo import ZOO


def test_every_case_is_failed_by_something() -> None:
    """By the zoo, or by an adapter made for it."""
    failed = {f"BRK-{id_}" for ids in ZOO.values() for id_ in ids.split()}
    failed |= {f"FEED-{id_}" for ids in FEED_ZOO.values() for id_ in ids.split()}
    failed |= {id_ for ids in MONITORS.values() for id_ in ids}
    failed |= {id_ for id_, _ in (*BROKERS, *FEEDS)}
    assert failed == {*BrokerConformance.cases(), *DataFeedConformance.cases(), *MonitorConformance.cases()}


@pytest.mark.parametrize(("id_", "kind"), BROKERS)
def test_broker_case_can_fail(id_: str, kind: type[ToyBroker]) -> None:
    """It fails, and says why."""
    members = {"plugin": plugin_of(kind)}
    suite: type[BrokerConformance] = type("Suite", (BrokerConformance,), members)
    result = suite.result(suite.cases()[id_], ToyVenue())
    for left in LeavesASocket.left:
        left.close()
    assert result.outcome is Outcome.FAILED
    assert result.detail


@pytest.mark.parametrize(("id_", "kind"), FEEDS)
def test_feed_case_can_fail(id_: str, kind: type[ToyFeed]) -> None:
    """It fails, and says why."""
    members = {"plugin": feed_plugin_of(kind)}
    suite: type[DataFeedConformance] = type("Suite", (DataFeedConformance,), members)
    result = suite.result(suite.cases()[id_], ToyFeedVenue())
    assert result.outcome is Outcome.FAILED
    assert result.detail
