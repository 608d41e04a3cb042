"""The kit finds what is wrong with a broker, and nothing that is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from alphaweave.testing import BrokerConformance, DataFeedConformance
from alphaweave.testing.case import Case, CaseResult, Outcome
from alphaweave.testing.sandbox import Sandbox
from alphaweave.testing.suite import Suite
from conformance.toy_broker import ToyBroker, plugin_of
from conformance.toy_feed import FEEDS, ToyFeed, ToyFeedVenue
from conformance.toy_feed import plugin_of as feed_plugin_of
from conformance.toy_venue import ToyVenue
from conformance.zoo import ZOO


def results_of(suite: type[Suite], venue: type[Sandbox]) -> list[CaseResult]:
    """What the kit says of a toy adapter.

    The cases wait rather than work, so that they run abreast; but for those that look at the whole process.
    """
    cases = suite.cases().values()
    alone = [case for case in cases if case.group == "Hygiene"]

    def result(case: Case) -> CaseResult:
        return suite.result(case, venue())

    with ThreadPoolExecutor(8) as pool:
        abreast = list(pool.map(result, [case for case in cases if case not in alone]))
    return [*abreast, *map(result, alone)]


def of_broker(kind: type[ToyBroker]) -> list[CaseResult]:
    """What it says of a broker."""
    return results_of(type("Suite", (BrokerConformance,), {"plugin": plugin_of(kind)}), ToyVenue)


def of_feed(kind: type[ToyFeed]) -> list[CaseResult]:
    """What it says of a feed."""
    return results_of(type("Suite", (DataFeedConformance,), {"plugin": feed_plugin_of(kind)}), ToyFeedVenue)


def failed(results: Sequence[CaseResult]) -> dict[str, str]:
    """The numbers of the cases that failed, with why."""
    bad = (one for one in results if one.outcome is Outcome.FAILED)
    return {one.case.id.partition("-")[2]: one.detail for one in bad}


@pytest.mark.parametrize(("kind", "check"), [(ToyBroker, of_broker), (ToyFeed, of_feed)])
def test_good_adapter_passes(kind: Any, check: Callable[[Any], list[CaseResult]]) -> None:
    """What the zoo is made of has none of its bugs, and its venue has every power."""
    results = check(kind)
    assert not failed(results)
    assert not [one.case.id for one in results if one.outcome is Outcome.UNPROVEN]


@pytest.mark.parametrize("kind", ZOO, ids=lambda kind: kind.__name__)
def test_broken_broker_fails_just_what_it_should(kind: type[ToyBroker]) -> None:
    """Each bug is found by the cases that are about it, and by no other."""
    found = failed(of_broker(kind))
    assert set(found) == set(ZOO[kind].split()), "\n".join(f"{id_}: {why}" for id_, why in found.items())
    assert all(found.values()), "a failure says nothing"


@pytest.mark.parametrize("kind", FEEDS, ids=lambda kind: kind.__name__)
def test_broken_feed_fails_just_what_it_should(kind: type[ToyFeed]) -> None:
    """The same for feeds."""
    found = failed(of_feed(kind))
    assert set(found) == set(FEEDS[kind].split()), "\n".join(f"{id_}: {why}" for id_, why in found.items())
    assert all(found.values()), "a failure says nothing"
