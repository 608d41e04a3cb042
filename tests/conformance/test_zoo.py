"""The kit finds what is wrong with a broker, and nothing that is not."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from alphaweave.testing import BrokerConformance
from alphaweave.testing.case import Case, CaseResult, Outcome
from conformance.toy_broker import ToyBroker, plugin_of
from conformance.toy_venue import ToyVenue
from conformance.zoo import ZOO


def results_of(kind: type[ToyBroker]) -> list[CaseResult]:
    """What the kit says of a toy broker.

    The cases wait rather than work, so that they run abreast; but for those that look at the whole process.
    """
    suite: type[BrokerConformance] = type("Suite", (BrokerConformance,), {"plugin": plugin_of(kind)})
    cases = suite.cases().values()
    alone = [case for case in cases if case.group == "Hygiene"]

    def result(case: Case) -> CaseResult:
        found: CaseResult = suite.result(case, ToyVenue())
        return found

    with ThreadPoolExecutor(8) as pool:
        abreast = list(pool.map(result, [case for case in cases if case not in alone]))
    return [*abreast, *map(result, alone)]


def failed(results: Sequence[CaseResult]) -> dict[str, str]:
    """The ids that failed, with why."""
    return {one.case.id.removeprefix("BRK-"): one.detail for one in results if one.outcome is Outcome.FAILED}


def test_good_broker_passes() -> None:
    """The adapter that the zoo is made of has none of its bugs, and its venue has every power."""
    results = results_of(ToyBroker)
    assert not failed(results)
    assert not [one.case.id for one in results if one.outcome is Outcome.UNPROVEN]


@pytest.mark.parametrize("kind", ZOO, ids=lambda kind: kind.__name__)
def test_broken_broker_fails_just_what_it_should(kind: type[ToyBroker]) -> None:
    """Each bug is found by the cases that are about it, and by no other."""
    found = failed(results_of(kind))
    assert set(found) == set(ZOO[kind].split()), "\n".join(f"{id_}: {why}" for id_, why in found.items())
    assert all(found.values()), "a failure says nothing"
