"""Plugin records: what a plugin module's hook hands to core, one record an adapter.

A record is light: importing the module that makes it imports no broker SDK. ``create`` imports what it
needs when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import Factory, define, frozen

from alphaweave.core.instrument import Instrument
from alphaweave.live.adapters.base import BrokerAdapter, Services
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.datafeed import DataFeed, FeedCapabilities
from alphaweave.monitoring.monitor import Monitor
from alphaweave.sim.venue import SimVenue

__all__ = [
    "API_LEVEL",
    "BrokerPlugin",
    "DatafeedPlugin",
    "MonitorPlugin",
    "NoOptions",
    "RiskRulePlugin",
    "SandboxPlugin",
]

API_LEVEL = 1
"""Raised when the meaning of a contract changes; a record with a higher level needs a newer core."""


@define
class NoOptions:
    """The options class of an adapter that has no options."""


@frozen(kw_only=True, eq=False)
class BrokerPlugin:
    """A broker that a config can name.

    Attributes:
        name: equals the entry point's name.
        options: an attrs class; the config's block is structured into it, unknown keys are refused.
        create: builds the adapter.
        capabilities: what it can do.
        venue: for simulated brokers, builds the synchronous venue that a replay drives directly; the
            adapter is a thin shell over the same object.
        api: the API level the adapter was written for.
        summary: one line for ``alphaweave plugins``.
    """

    name: str
    create: Callable[[Any, Services], BrokerAdapter]
    capabilities: Capabilities
    options: type = NoOptions
    venue: Callable[[Any, Services, Mapping[str, Instrument]], SimVenue] | None = None
    api: int = API_LEVEL
    summary: str = ""


@frozen(kw_only=True, eq=False)
class DatafeedPlugin:
    """A datafeed that a config can name; fields as in BrokerPlugin. The bar interval and the time zone
    of naive stamps are ``services.interval`` and ``services.timezone``."""

    name: str
    create: Callable[[Any, Services], DataFeed]
    capabilities: FeedCapabilities
    options: type = NoOptions
    api: int = API_LEVEL
    summary: str = ""


@frozen(kw_only=True, eq=False)
class MonitorPlugin:
    """A monitor that a config can name; fields as in BrokerPlugin."""

    name: str
    create: Callable[[Any, Services], Monitor]
    options: type = NoOptions
    api: int = API_LEVEL
    summary: str = ""


@frozen(kw_only=True, eq=False)
class SandboxPlugin:
    """A loopback server that speaks a broker's own protocol; fields as in BrokerPlugin.

    Attributes:
        deviations: id of a requirement of the kit -> why the adapters of that name cannot keep it.
    """

    name: str
    create: Callable[[Any, Services], Any]
    options: type = NoOptions
    api: int = API_LEVEL
    summary: str = ""
    deviations: Mapping[str, str] = Factory(dict)


@frozen(kw_only=True, eq=False)
class RiskRulePlugin:
    """A risk rule that a config can name; it can only deny, never allow what another rule denied."""

    name: str
    create: Callable[[Any, Services], Any]
    options: type = NoOptions
    api: int = API_LEVEL
    summary: str = ""
