"""What a run hands to an adapter when it makes it."""

from __future__ import annotations

from alphaweave.core.clock import Clock
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.live.config import LiveConfig

__all__ = ["adapter_services"]


def adapter_services(config: LiveConfig, mode: RunMode, clock: Clock, adapter: str) -> Services:
    """The services for the adapter of that name."""
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
    )
