"""Which mode a run gets: decided before any broker is asked."""

from __future__ import annotations

from alphaweave.core.errors import RunRefused
from alphaweave.live.adapters.base import RunMode
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.config_sections import LiveConfig
from alphaweave.live.datafeed import FeedCapabilities
from alphaweave.live.risk_settings import SILENCE_SECONDS

__all__ = ["check_mode"]


def check_mode(
    config: LiveConfig, feed_capabilities: FeedCapabilities, broker_capabilities: Capabilities
) -> RunMode:
    """The mode of the run, from ``run.mode`` and what feed and broker can do.

    ``auto`` is a replay over a feed that has history only, and a paper run otherwise: the adapter then
    proves that the account is no real one. Only a written ``live`` gives LIVE.

    Raises:
        RunRefused: mode, feed and broker do not go together; the message says what to change.
    """
    feed, broker = config.datafeed.name, config.broker.name
    mode = config.run.mode
    has, wanted = feed_capabilities.intervals, config.datafeed.interval
    if has and wanted not in has:
        known = ", ".join(sorted(has))
        raise RunRefused(f"datafeed {feed!r} has no {wanted} bars; set datafeed.interval to one of {known}")
    if mode == "auto":
        chosen = RunMode.PAPER if feed_capabilities.realtime else RunMode.REPLAY
    else:
        chosen = RunMode(mode)
    if chosen is RunMode.REPLAY:
        if not feed_capabilities.historical:
            raise RunRefused(
                f"a replay needs history, and datafeed {feed!r} has none; "
                "name one that has (replay, say), or set run.mode: paper"
            )
        if not broker_capabilities.simulated:
            raise RunRefused(
                f"datafeed {feed!r} makes it a replay, and broker {broker!r} cannot simulate fills in one; "
                "set broker.name to one that can (paper or mock), or datafeed.name to a real-time feed"
            )
        return chosen
    if not feed_capabilities.realtime:
        raise RunRefused(
            f"run.mode is {mode}, and datafeed {feed!r} has no real-time data; "
            "name one that has, or set run.mode: replay"
        )
    _check_rhythm(config)
    if chosen is RunMode.LIVE:
        _check_real_money(config, broker_capabilities)
    return chosen


def _check_rhythm(config: LiveConfig) -> None:
    silence = config.risk.silence_seconds or SILENCE_SECONDS
    asked = config.reconciliation.intervals.open_orders
    if asked >= silence:
        raise RunRefused(
            f"open orders are asked for every {asked:g} s, and a broker silent for {silence} s counts as "
            "lost: lower reconciliation.intervals.open_orders, or raise risk.silence_seconds"
        )


def _check_real_money(config: LiveConfig, capabilities: Capabilities) -> None:
    if capabilities.simulated:
        raise RunRefused(
            f"run.mode is live, and broker {config.broker.name!r} only simulates; "
            "name the broker that holds the account, or set run.mode: paper"
        )
    if config.broker.account_id is None:
        raise RunRefused("run.mode is live; set broker.account_id to the account that may be traded")
    if config.persistence.journal is None:
        raise RunRefused("run.mode is live, which needs a journal; set persistence.journal")
    lacking = config.risk.unset_for_live(config.symbols)
    if lacking:
        raise RunRefused(f"run.mode is live; it needs limits before it may trade: {', '.join(lacking)}")
