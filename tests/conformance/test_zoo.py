"""The kit finds what is wrong with a broker, and nothing that is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeAlias

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

Kind: TypeAlias = type[ToyBroker] | type[ToyFeed]
Verdicts: TypeAlias = Mapping[Kind, "Future[dict[str, tuple[Outcome, str]]]"]


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


def verdict_of(kind: Kind) -> dict[str, tuple[Outcome, str]]:
    """By the numbers of the cases, what the kit says of a broker or a feed, and why."""
    if issubclass(kind, ToyBroker):
        results = results_of(type("Suite", (BrokerConformance,), {"plugin": plugin_of(kind)}), ToyVenue)
    else:
        members = {"plugin": feed_plugin_of(kind)}
        results = results_of(type("Suite", (DataFeedConformance,), members), ToyFeedVenue)
    return {one.case.id.partition("-")[2]: (one.outcome, one.detail) for one in results}


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest) -> Iterator[Verdicts]:
    """What is said of every adapter that is asked about.

    Broken ones wait for what never comes, so that a few are tried at once; in processes of their own, where
    the cases that look at the whole process see one adapter.
    """
    kinds: dict[Any, None] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.getparent(pytest.Module) is request.node:
            kinds[item.callspec.params["kind"]] = None
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        yield {kind: pool.submit(verdict_of, kind) for kind in kinds}


@pytest.mark.parametrize("kind", [ToyBroker, ToyFeed], ids=lambda kind: kind.__name__)
def test_good_adapter_passes(kind: Kind, verdicts: Verdicts) -> None:
    """What the zoo is made of has none of its bugs, and nothing is left untried at its venue."""
    found = verdicts[kind].result()
    assert not {id_: why for id_, (outcome, why) in found.items() if outcome is Outcome.FAILED}
    assert {outcome for outcome, _ in found.values()} == {Outcome.PASSED}


WANTED: Mapping[Kind, str] = {kind: ids for zoo in (ZOO, FEEDS) for kind, ids in zoo.items()}


@pytest.mark.parametrize("kind", WANTED, ids=lambda kind: f"{kind.__base__.__name__}-{kind.__name__}")
def test_broken_adapter_fails_just_what_it_should(kind: Kind, verdicts: Verdicts) -> None:
    """Each bug is found by the cases that are about it, and by no other."""
    found = verdicts[kind].result()
    failed = {id_: why for id_, (outcome, why) in found.items() if outcome is Outcome.FAILED}
    assert set(failed) == set(WANTED[kind].split()), "\n".join(f"{id_}: {why}" for id_, why in failed.items())
    assert all(failed.values()), "a failure says nothing"
