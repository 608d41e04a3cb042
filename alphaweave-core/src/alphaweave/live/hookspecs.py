"""The hooks that a plugin module implements. Each hands back records, once, at start-up.

An adapter distribution names a light module in an entry point whose name is the adapter's name, and
that module implements the hook of its kind::

    [project.entry-points."alphaweave.brokers"]
    acme = "alphaweave_broker_acme.plugin"

No hook is called on the order or bar path: hooks hand back objects, and the objects are then called
directly.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from alphaweave.live.plugins import (
    BrokerPlugin,
    DatafeedPlugin,
    MonitorPlugin,
    RiskRulePlugin,
    SandboxPlugin,
)

__all__ = [
    "PROJECT",
    "alphaweave_brokers",
    "alphaweave_datafeeds",
    "alphaweave_monitors",
    "alphaweave_risk_rules",
    "alphaweave_sandboxes",
    "hookimpl",
]

PROJECT = "alphaweave"

hookimpl = pluggy.HookimplMarker(PROJECT)
_hookspec = pluggy.HookspecMarker(PROJECT)


@_hookspec
def alphaweave_brokers() -> Iterable[BrokerPlugin]:  # type: ignore[empty-body]
    """Offer brokers.

    Example::

        from alphaweave.live.hookspecs import hookimpl
        from alphaweave.live.plugins import BrokerPlugin

        @hookimpl
        def alphaweave_brokers():
            yield BrokerPlugin(name="acme", create=create, capabilities=CAPABILITIES, options=AcmeOptions)
    """


@_hookspec
def alphaweave_datafeeds() -> Iterable[DatafeedPlugin]:  # type: ignore[empty-body]
    """Offer datafeeds.

    Example::

        @hookimpl
        def alphaweave_datafeeds():
            yield DatafeedPlugin(name="acme", create=create, capabilities=CAPABILITIES)
    """


@_hookspec
def alphaweave_monitors() -> Iterable[MonitorPlugin]:  # type: ignore[empty-body]
    """Offer monitors.

    Example::

        @hookimpl
        def alphaweave_monitors():
            yield MonitorPlugin(name="acme-chat", create=lambda options, services: ChatMonitor(options))
    """


@_hookspec
def alphaweave_sandboxes() -> Iterable[SandboxPlugin]:  # type: ignore[empty-body]
    """Offer loopback servers that speak a broker's own protocol.

    Example::

        @hookimpl
        def alphaweave_sandboxes():
            yield SandboxPlugin(name="acme", create=lambda options, services: AcmeSandbox(options))
    """


@_hookspec
def alphaweave_risk_rules() -> Iterable[RiskRulePlugin]:  # type: ignore[empty-body]
    """Offer risk rules. A rule can only deny.

    Example::

        @hookimpl
        def alphaweave_risk_rules():
            yield RiskRulePlugin(name="no-fridays", create=lambda options, services: NoFridays())
    """
