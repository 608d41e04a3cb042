"""What a run hands to an adapter when it makes it."""

from __future__ import annotations

from alphaweave.core.clock import Clock, to_ns
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.live.config import LiveConfig
from alphaweave.live.config_live import maintenance
from alphaweave.live.sessions import coming

__all__ = ["adapter_services"]


def adapter_services(config: LiveConfig, mode: RunMode, clock: Clock, adapter: str) -> Services:
    """The services for the adapter of that name."""
    # A feed of the same name is the same venue's.
    hours = maintenance(config) if adapter == config.broker.name else None

    def resting() -> float:
        now = to_ns(clock.now())
        span = None if hours is None else coming(hours, now)
        return 0.0 if span is None or span.start > now else (span.end - now) / 1e9

    return Services(
        clock=clock,
        mode=mode,
        account_id=config.broker.account_id,
        names=config.venue_names(adapter),
        symbols=config.symbols,
        interval=config.datafeed.interval,
        timezone=config.datafeed.timezone,
        currency=config.run.currency,
        capital=None if config.run.capital is None else str(config.run.capital),
        seed=config.run.seed,
        resting=resting,
    )
