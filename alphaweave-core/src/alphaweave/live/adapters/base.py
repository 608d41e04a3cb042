"""What every adapter receives and implements: services, credentials check, life cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, Self

from attrs import Factory, field, frozen

from alphaweave.core.clock import Clock, SystemClock
from alphaweave.core.instrument import Instrument
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.broker import Broker

__all__ = ["BrokerAdapter", "BrokerConfig", "Log", "RunMode", "Services"]


class RunMode(Enum):
    """What a run is: history, simulated money on live data, or real money."""

    REPLAY = "replay"
    PAPER = "paper"
    LIVE = "live"


class Log(Protocol):
    """A structured logger: an event name and key-value facts (structlog's bound logger fits)."""

    def debug(self, event: str, **facts: Any) -> Any: ...
    def info(self, event: str, **facts: Any) -> Any: ...
    def warning(self, event: str, **facts: Any) -> Any: ...
    def error(self, event: str, **facts: Any) -> Any: ...


class _SilentLog:
    def debug(self, event: str, **facts: Any) -> None: ...
    def info(self, event: str, **facts: Any) -> None: ...
    def warning(self, event: str, **facts: Any) -> None: ...
    def error(self, event: str, **facts: Any) -> None: ...


def _never() -> float:
    return 0.0


@frozen(kw_only=True)
class Services:
    """What core hands to an adapter when it creates it.

    Attributes:
        clock: the only source of time.
        mode: what the run is; an adapter's credentials must agree with it.
        account_id: the account the config names, or None.
        log: structured log; never hand it a secret.
        store: this adapter's durable key-value map (a counter of order ids, say). It is written in
            ``Broker.prepare`` and nowhere else, and committed with the intent prepared there.
        names: config symbol -> this venue's symbol, where the config gives one.
        symbols: the config's symbols.
        interval: the config's bar interval.
        timezone: the IANA zone that naive time stamps of a feed are read in.
        currency: the run's currency.
        capital: opening cash of a simulated account, in ``currency``; None where the broker knows.
        seed: for adapters that draw random numbers (simulated ones).
        instruments: trading rules by symbol as far as the run knows them without a broker, for one that has
            none of its own (simulated ones).
        resting: for how many seconds from now on the broker is in maintenance, by the config; 0 where it is
            not. While it is, there is no use in trying to connect.
        account_path: the file in which a simulated broker keeps its account from one start to the next; None
            keeps nothing.
    """

    clock: Clock = Factory(SystemClock)
    mode: RunMode = RunMode.PAPER
    account_id: str | None = None
    log: Log = Factory(_SilentLog)
    store: MutableMapping[str, str] = field(factory=dict)
    names: Mapping[str, str] = field(factory=dict)
    symbols: tuple[str, ...] = ()
    interval: str = "1d"
    timezone: str = "UTC"
    currency: str = "USD"
    capital: str | None = None
    seed: int = 0
    instruments: Mapping[str, Instrument] = field(factory=dict)
    resting: Callable[[], float] = _never
    account_path: Path | None = None


@frozen
class BrokerConfig:
    """The broker section of a config, before its options are parsed.

    Attributes:
        name: which adapter.
        account_id: the account the run is meant for.
        options: the adapter's own options block, unparsed; secrets are still references.
    """

    name: str
    account_id: str | None = None
    options: Mapping[str, Any] = field(factory=dict)

    @property
    def extra(self) -> Mapping[str, Any]:
        """The older name of ``options``."""
        return self.options


class BrokerAdapter(Broker, Protocol):
    """A Broker with a life cycle. One object serves one run.

    The adapter owns its connection: it reconnects by itself, at growing intervals, reports
    `ConnectionLost` and `ConnectionRestored`, and is never reconnected by the engine. The engine calls
    `events` once, then `connect`, then everything else, all but `prepare` on one event loop.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; a class attribute will do."""
        ...

    @classmethod
    def from_config(cls, config: BrokerConfig, services: Services | None = None) -> Self:
        """Build one from a parsed config section, as the plugin record's ``create`` does from parsed
        options. Nothing is connected, read or written.

        Raises:
            OptionsError: everything that is wrong in the section's options.
        """
        ...

    async def connect(self) -> None:
        """Connect, and prove that credentials, account and run mode agree.

        It returns when orders can be sent and events flow. `AuthenticationFailed` comes within five
        seconds; ``details`` holds what disagreed, and never a secret.

        Raises:
            AuthenticationFailed: they do not agree, or the broker refuses the keys.
            BrokerUnavailable: the broker cannot be reached.
        """
        ...

    async def disconnect(self) -> None:
        """Close everything, and end the event stream after what is already in it. Orders stay as they
        are. Idempotent; never raises for a connection that is already gone."""
        ...
