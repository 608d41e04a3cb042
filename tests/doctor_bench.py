"""A broker and a feed that the doctor can find something about, each in one way that a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import evolve
from test_live_account import LIMITS
from test_live_runs import REALTIME, SYMBOLS, Busy, bars

from alphaweave.core.clock import ManualClock, from_ns
from alphaweave.core.instrument import Instrument
from alphaweave.live.adapters.base import Services
from alphaweave.live.broker import BrokerAccountState, BrokerNotice, BrokerOrder
from alphaweave.live.config import parse_live_config
from alphaweave.live.datafeed import FeedEvent, History, ReplayDataFeed, Session, Subscription, Watermark
from alphaweave.live.doctor import Doctor
from alphaweave.live.findings import Finding
from alphaweave.live.plugins import BrokerPlugin, DatafeedPlugin
from alphaweave.live.runner import LiveRunner
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave_broker_mock import PaperBrokerAdapter
from alphaweave_broker_mock.options import PaperOptions

SERIES = bars(12)
NOW = from_ns(max(one.end[-1] for one in SERIES.values()))


class Acme(PaperBrokerAdapter):
    """A broker that holds an account of its own. What a test sets on the class, the answers have."""

    name = "acme"
    capabilities = evolve(SIM_CAPABILITIES, simulated=False)
    changes: Mapping[str, Any] = {}
    rules: Mapping[str, Mapping[str, Any] | None] = {}
    working: Sequence[BrokerOrder] = ()
    notices: Sequence[BrokerNotice] = ()
    skew = timedelta()
    hangs: str | None = None
    raises: Mapping[str, BaseException] = {}
    made: list[Acme] = []  # noqa: RUF012 - a test has its own subclass

    def __init__(self, options: PaperOptions, services: Services) -> None:
        super().__init__(options, services)
        self.calls: list[str] = []
        type(self).made.append(self)
        for notice in self.notices:
            self._events.put_nowait(notice)

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.raises:
            raise self.raises[name]
        if name == self.hangs:
            await asyncio.Event().wait()

    async def connect(self) -> None:
        await self._called("connect")
        await super().connect()

    async def disconnect(self) -> None:
        await self._called("disconnect")
        await super().disconnect()

    async def get_time(self) -> datetime:
        await self._called("get_time")
        return await super().get_time() + self.skew

    async def get_account_state(self) -> BrokerAccountState:
        await self._called("get_account_state")
        return evolve(await super().get_account_state(), **self.changes)

    async def get_instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        await self._called("get_instruments")
        found = dict(await super().get_instruments(symbols))
        for symbol, changes in self.rules.items():
            rules = found.pop(symbol)
            if changes is not None:
                found[symbol] = evolve(rules, **changes)
        return {symbol: evolve(rules, assumed=False) for symbol, rules in found.items()}

    async def get_open_orders(self, symbols: Sequence[str] | None = None) -> Sequence[BrokerOrder]:
        await self._called("get_open_orders")
        return [*await super().get_open_orders(symbols), *self.working]

    def ordered(self) -> int:
        """How many orders its venue has ever seen."""
        return len(self._venue.open_orders()) + len(self._venue.events) + len(self._venue.fills(0))


class Feed(ReplayDataFeed):
    """Recorded bars, the last of which has just ended, and a stream that says where it begins."""

    capabilities = REALTIME
    hangs: str | None = None
    raises: Mapping[str, BaseException] = {}
    said: Sequence[FeedEvent] = (Watermark(SYMBOLS, "1d", NOW),)
    hours: tuple[timedelta, timedelta] | None = (timedelta(hours=-7), timedelta(hours=2))

    def __init__(self) -> None:
        super().__init__(SERIES)

    async def _called(self, name: str) -> None:
        if name in self.raises:
            raise self.raises[name]
        if name == self.hangs:
            await asyncio.Event().wait()

    async def connect(self) -> None:
        await self._called("connect")

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        await self._called("subscribe")
        await super().subscribe(subscriptions)

    async def history(self, subscription: Subscription, **asked: Any) -> History:
        await self._called("history")
        return await super().history(subscription, **asked)

    async def sessions(self, symbols: Sequence[str], start: datetime, end: datetime) -> Sequence[Session]:
        await self._called("sessions")
        if self.hours is None:
            return ()
        opening, closing = self.hours
        return [Session(symbol, NOW + opening, NOW + closing) for symbol in symbols]

    async def stream(self) -> AsyncIterator[FeedEvent]:
        for event in self.said:
            yield event
        await asyncio.Event().wait()


def raw(folder: Path, **sections: Any) -> dict[str, Any]:
    """A config of a paper run at that broker."""
    return {
        "run": {"id": "doc", "mode": "paper", "warmup": 3},
        "instruments": list(SYMBOLS),
        "datafeed": {"name": "replay"},
        "broker": {"name": "acme", "options": {"acme": {"cash": 10_000}}},
        "strategy": {"class": f"{Busy.__module__}:Busy"},
        "persistence": {"journal": str(folder / "doc.db")},
        "risk": LIMITS,
        **sections,
    }


def runner(
    folder: Path, acme: type[Acme] = Acme, prices: type[Feed] = Feed, now: datetime = NOW, **sections: Any
) -> LiveRunner:
    """What a run would be made of."""
    acme.made = []
    return LiveRunner(
        parse_live_config(raw(folder, **sections), source=folder / "doc.yaml"),
        broker=BrokerPlugin(name="acme", create=acme, capabilities=acme.capabilities, options=PaperOptions),
        datafeed=DatafeedPlugin(
            name="replay", create=lambda options, services: prices(), capabilities=prices.capabilities
        ),
        clock=ManualClock(now),
    )


def examined(
    folder: Path, acme: type[Acme] = Acme, prices: type[Feed] = Feed, patience: float = 5.0, **sections: Any
) -> list[Finding]:
    """What the doctor finds."""
    parts = runner(folder, acme, prices, **sections)
    return list(Doctor(parts.plan(parts.load_strategy()), patience=patience).examine())


def of(found: Sequence[Finding], subject: str) -> list[tuple[str, str]]:
    """Verdicts and texts under a subject."""
    return [(one.verdict.value, one.text) for one in found if one.subject == subject]


def holding(**positions: int) -> dict[str, Any]:
    """Positions, as a change of the account state."""
    held = {symbol: Decimal(units) for symbol, units in positions.items()}
    return {"positions": held, "foreign": tuple(symbol for symbol in held if symbol not in SYMBOLS)}
