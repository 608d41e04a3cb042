"""The conformance suite of brokers."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from alphaweave.live.plugins import BrokerPlugin
from alphaweave.live.registry import Registry
from alphaweave.testing.bench import Bench, broker_bench
from alphaweave.testing.cases_account import AccountCases
from alphaweave.testing.cases_ambiguity import AmbiguityCases
from alphaweave.testing.cases_cancel import CancelCases
from alphaweave.testing.cases_doctor import DoctorCases
from alphaweave.testing.cases_exactness import ExactnessCases
from alphaweave.testing.cases_fills import FillCases
from alphaweave.testing.cases_groups import GroupCases
from alphaweave.testing.cases_hygiene import HygieneCases
from alphaweave.testing.cases_lifecycle import LifecycleCases
from alphaweave.testing.cases_random import RandomCases
from alphaweave.testing.cases_reconnect import ReconnectCases
from alphaweave.testing.cases_refusals import RefusalCases
from alphaweave.testing.cases_submit import SubmitCases
from alphaweave.testing.suite import Suite
from alphaweave.testing.venue import VenueControl

__all__ = ["BrokerConformance"]


class BrokerConformance(
    LifecycleCases,
    SubmitCases,
    CancelCases,
    GroupCases,
    FillCases,
    RefusalCases,
    AmbiguityCases,
    ReconnectCases,
    ExactnessCases,
    AccountCases,
    HygieneCases,
    DoctorCases,
    RandomCases,
    Suite,
):
    """What a broker adapter has to keep, case by case. See `alphaweave.testing`."""

    @classmethod
    def record(cls) -> BrokerPlugin:
        """The record of ``adapter``, found through its entry point, unless ``plugin`` is one.

        Raises:
            AdapterError: nobody offers it, or it cannot be trusted.
        """
        plugin: BrokerPlugin | None = cls.plugin
        return Registry().broker(cls.adapter) if plugin is None else plugin

    @classmethod
    def bench(cls, venue: VenueControl) -> AbstractAsyncContextManager[Bench]:
        return broker_bench(cls.record(), venue)
