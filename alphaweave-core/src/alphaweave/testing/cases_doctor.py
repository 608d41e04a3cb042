"""Broker cases: what an adapter tells of itself."""

from __future__ import annotations

from alphaweave.live.findings import Diagnosing, Finding
from alphaweave.testing.bench import Bench
from alphaweave.testing.case import in_group
from alphaweave.testing.cases_hygiene import assert_no_secret
from alphaweave.testing.sandbox import Action
from alphaweave.testing.venue import TruthOrder

__all__ = ["DoctorCases"]

_case = in_group("Diagnosis")
_CHANGES = (Action.SUBMIT, Action.CANCEL, Action.REPLACE)


class DoctorCases:
    """What an adapter tells of itself."""

    @_case("BRK-992")
    async def test_diagnose_only_asks(self, bench: Bench) -> None:
        """`diagnose`, where there is one, answers Findings without a secret; no order is sent or touched."""
        broker = await bench.open()
        if not isinstance(broker, Diagnosing):
            return
        resting = await bench.submit(bench.orders.limit(bench.symbol))
        orders, sent, store = len(_orders(bench)), len(bench.requests(*_CHANGES)), dict(bench.store)
        found = await bench.within(broker.diagnose(), "diagnose()")
        odd = [one for one in found if not isinstance(one, Finding)]
        assert not odd, f"diagnose answered {odd[0]!r}, which is no Finding"
        assert_no_secret(map(repr, found), bench.venue.secrets)
        assert len(bench.requests(*_CHANGES)) == sent, "diagnose sent an order, a cancel or a replacement"
        assert len(_orders(bench)) == orders, "diagnose left an order at the venue"
        still = bench.venue.truth().order(resting.ref.client_order_id)
        assert still is not None, "the venue has forgotten an order that was working"
        assert not still.status.terminal, "diagnose ended an order that was working"
        assert bench.store == store, "diagnose wrote into Services.store"


def _orders(bench: Bench) -> tuple[TruthOrder, ...]:
    return bench.venue.truth().orders
