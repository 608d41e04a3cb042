"""One day: the market minute by minute, the faults among it, and both ledgers at its end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from attrs import frozen

from alphaweave.core.market import Bar
from alphaweave.core.order import OrderStatus
from alphaweave.live.adapters.backoff import Backoff
from alphaweave.live.config import parse_live_config
from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import ACTIVE
from alphaweave.live.journal_file import reading_engine
from alphaweave.live.journal_reader import JournalReader, read_intents
from alphaweave.live.journal_records import IntentKind, IntentRow, IntentState
from alphaweave.live.live_core import LiveCore
from alphaweave.live.runner import LiveRunner
from alphaweave.live.trading_state import TradingState
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.venue import Action, Fault, TruthOrder
from venue_day.books import differences
from venue_day.faults import HELD, Bench, End, Kind, Mark
from venue_day.gateway_faults import gateway_kinds, sleep_through
from venue_day.stages import DayVenue, Stage
from venue_day.watch import Watch

__all__ = ["Day", "DayReport"]

Running = Future[Any]
_Then = Callable[[], Awaitable[None]] | None

_MINUTE = timedelta(minutes=1)
_EXAMPLES = Path(__file__).parents[2] / "examples"
_FAR = 10**9
_WARMUP = 12
# Minutes without faults at the end of the day, in which what is in doubt is settled.
_CALM = 4
# Upper bounds only, in real seconds: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 20.0
_QUIET = 3.0
# What the run has not heard of after so many minutes of the day, whatever went wrong in them, is lost.
_LOST = 10
# A connection that held for three tenths of a second has been up for a minute of the day.
_HASTE = 200.0
_IN_TIME = 0.95


@frozen(kw_only=True)
class DayReport:
    """What came of a day.

    Attributes:
        struck: how often each kind of fault did.
        orders: that were decided; terminal: of them, those that are over at the venue.
        wrong: where the run, or one of the two ledgers, is not as it has to be.
    """

    seed: int
    struck: Counter[str]
    orders: int
    terminal: int
    fills: int
    alerts: Counter[str]
    seconds: float
    wrong: tuple[str, ...]


class Day:
    """A run of the SMA example at a sandbox."""

    def __init__(self, stage: Stage, folder: Path, *, seed: int, minutes: int, faults: int) -> None:
        self._stage, self._seed, self._minutes, self._faults = stage, seed, minutes, faults
        self._random = Random(seed)
        self._clock = RunningClock(stage.opens)
        self._venue: DayVenue = stage.venue(self._clock, seed)
        self._bench = Bench(self._venue)
        self._watch = Watch(self._bench)
        self._journal = folder / "day.db"
        self._reading = reading_engine(self._journal)
        self._prices = {symbol: self._random.uniform(40, 160) for symbol in stage.symbols}
        self._plan: list[Kind] = []
        self._struck: Counter[str] = Counter()
        self._active: dict[Kind, Mark] = {}
        self._wrong: list[str] = []
        self._unheard = 0

    async def live(self) -> DayReport:
        """Live it."""
        with patch.object(Backoff, "lived", _lived_long):
            return await self._live()

    async def _live(self) -> DayReport:
        began = time.monotonic()
        kinds = gateway_kinds(self._venue, resting=bool(self._stage.resting))
        drawn = [self._random.choice(kinds) for _ in range(self._faults - len(kinds))]
        self._plan = [*kinds, *drawn][: self._faults]
        self._random.shuffle(self._plan)
        await self._venue.start()
        try:
            await self._venue.load(
                [self._bar(symbol, number) for number in range(-_WARMUP, 0) for symbol in self._stage.symbols]
            )
            runner = self._runner = self._new_runner()
            running = _in_the_background(runner.run)
            try:
                await self._traded(running)
                core = _core_of(runner)
                # The last connection may be so new that its comparison of the books goes on.
                await self._holds(lambda: core.gate is not None and core.gate.open, _PATIENCE)
                self._judge(core)
            finally:
                if runner.live is not None:
                    runner.live.request_stop()
                # A run that hangs is left behind: what went wrong before is not to wait for it.
                if not await self._holds(running.done, _PATIENCE, self._tick):
                    self._wrong.append("the run did not stop when it was asked to")
            if not running.done():
                raise TimeoutError("; ".join(self._wrong))
            running.result()
        finally:
            await self._venue.stop()
        return self._report(kinds, runner, time.monotonic() - began)

    # The market.

    def _bar(self, symbol: str, number: int) -> Bar:
        last = self._prices[symbol]
        price = self._prices[symbol] = round(max(last * (1 + self._random.gauss(0, 0.001)), 1.0), 2)
        start = self._start(number)
        return Bar(symbol, "1m", start, start + _MINUTE, last, max(last, price), min(last, price), price, 1e4)

    def _start(self, number: int) -> datetime:
        """When a minute begins, of the whole day or of one of its parts."""
        opens = (self._stage.opens, *self._stage.reopens)
        each = -(-(self._minutes + _CALM) // len(opens))
        part = max(number, 0) // each
        return opens[part] + (number - part * each) * _MINUTE

    async def _night(self) -> None:
        """Between two days nothing is wrong but what the night brings: what was begun is begun anew later."""
        self._plan += self._active
        for kind in self._active:
            await kind.end(self._bench)
        self._active.clear()
        for action in Action:
            await self._venue.arm(action, Fault.REJECT, times=0)
        await sleep_through(self._bench, self._clock, partial(self._until, self._is_up, "the run, at night"))

    def _is_up(self) -> bool:
        """Whether the run knows all there is to know, and trades."""
        core = _core_of(self._runner)
        return core.gate is not None and core.gate.open and self._is_heard()

    def _is_heard(self) -> bool:
        return not self._on_their_way() and self._watch.trades >= len(self._venue.truth().executions)

    async def _traded(self, running: Running) -> None:
        await self._until(lambda: running.done() or self._watch.end is not None, "the warm-up")
        for number in range(self._minutes + _CALM):
            if running.done():
                return
            if number < self._minutes:
                await self._draw(self._minutes - number)
            await self._fill_by_hand()
            await self._minute(number, running)
            await self._strike()
        await self._until(lambda: not self._open_at_venue(), "the end of what rests", self._fill_by_hand)
        await self._settled()

    async def _minute(self, number: int, running: Running) -> None:
        end = self._start(number) + _MINUTE
        if number and end - self._start(number - 1) > 2 * _MINUTE:
            await self._night()
        self._clock.advance(max(0.0, (end - self._clock.now()).total_seconds()))
        for symbol in self._stage.symbols:
            bar = self._bar(symbol, number)
            if symbol in self._stage.filled:
                await self._venue.set_price(symbol, Decimal(str(bar.close)))
            await self._venue.publish(bar)
        for kind, since in self._active.items():
            if kind.blind:
                await self._until(partial(since.lost, self._bench), f"the loss that {kind.name} means")
                await kind.end(self._bench)
        watch = self._watch
        await self._until(
            lambda: running.done() or (watch.end is not None and watch.end >= end),
            f"the slice of {end:%H:%M}",
        )
        await self._is_quiet()

    async def _is_quiet(self) -> bool:
        """Whether nothing is on its way, and all that was executed is known, before patience ends."""
        if await self._holds(self._is_heard, _QUIET):
            self._unheard = 0
            return True
        self._unheard += 1
        if self._unheard > 2 * _LOST:
            reader = JournalReader(self._journal)
            lost = [f"{one.intent.client_order_id} is {one.state.value}" for one in self._on_their_way()]
            lost += differences(reader, self._venue.truth())
            raise TimeoutError(f"after {_LOST} minutes the run has not heard: {'; '.join(lost)}")
        return False

    def _on_their_way(self) -> list[IntentRow]:
        """The orders of which the run has not heard what became of them."""
        with self._reading.connect() as connection:
            rows = read_intents(connection, self._journal, open_only=True)
        return [row for row in rows if row.state in {IntentState.INTENT, IntentState.SENT}]

    # Faults.

    async def _draw(self, minutes: int) -> None:
        """Let a fault begin, so that all have their turn in the minutes that are left."""
        taken = {kind.lane for kind in self._active}
        free = [number for number, kind in enumerate(self._plan) if kind.lane not in taken]
        if free and self._random.random() < 1.5 * len(self._plan) / minutes:
            # Of a lane one fault is at work at a time: the one with most of them left would end last.
            left = Counter(kind.lane for kind in self._plan)
            kind = self._plan.pop(max(free, key=lambda number: left[self._plan[number].lane]))
            self._active[kind] = self._bench.mark()
            await kind.begin(self._bench)

    async def _strike(self) -> None:
        held = any(kind.lane == HELD for kind in self._active)
        for kind, since in list(self._active.items()):
            if kind.blind or kind.has_struck(self._bench, since):
                if not kind.blind:
                    await kind.end(self._bench)
                self._struck[kind.name] += 1
                del self._active[kind]
        await self._is_quiet()
        self._bench.flows.end_minute(held=held)

    def _open_at_venue(self) -> list[TruthOrder]:
        return [order for order in self._venue.truth().orders if not order.status.terminal]

    async def _fill_by_hand(self) -> None:
        """Let come to an end what rests in the symbol that the market does not fill."""
        venue, bench = self._venue, self._bench
        for order in self._open_at_venue():
            name, price = order.client_order_id, Decimal(str(self._prices[order.symbol]))
            assert name is not None
            end, bench.end = bench.end, None
            part = (order.quantity or Decimal(2)) / 2 // 1
            if end in {None, End.PART} and not order.filled and part and self._random.random() < 0.5:
                await venue.fill(name, part, price)
            match end:
                case None if not part or self._random.random() < 0.7:
                    await venue.fill(name, None, price)
                case End.CANCELLED | End.PART:
                    await venue.cancel(name)
                case End.LATE:
                    await venue.cancel(name)
                    await venue.fill(name, None, price)
                case End.EXPIRED:
                    await venue.expire(name)

    # The end.

    async def _settled(self) -> None:
        """Give what is in doubt the time that its settling takes."""

        def settled() -> bool:
            statuses = [OrderStatus(status) for status in list(self._watch.orders.values())]
            return all(status.terminal for status in statuses)

        await self._until(settled, "the outcome of every order", self._tick)
        executions = len(self._venue.truth().executions)
        await self._until(lambda: self._watch.trades >= executions, "the last execution", self._tick)

    async def _tick(self) -> None:
        self._clock.advance(1.0)

    def _judge(self, core: LiveCore) -> None:
        """The run while it is up: it trades, and its ledger is the venue's."""
        truth, wrong = self._venue.truth(), self._wrong
        states = core.board.states
        for scope in (None, *self._stage.symbols):
            if states.state(scope) is not TradingState.ACTIVE:
                causes = ", ".join(str(cause) for cause in states.causes(scope))
                wrong.append(f"{scope or 'the account'} is {states.state(scope).value}: {causes}")
        if core.gate is None or not core.gate.open:
            wrong.append(f"its gate is shut: {core.gate}")
        ledger = core.kernel.ledger
        untold = self._untold()
        if untold and not self._watch.alerts["cash_differs"]:
            wrong.append(
                f"nobody was told that {untold} {self._stage.currency} moved while it was not connected"
            )
        for asset in {*ledger.balances, *truth.balances}:
            ours, theirs = ledger.balances.get(asset, Decimal()), truth.balances.get(asset, Decimal())
            if asset == self._stage.currency:
                ours += untold
            if ours.quantize(self._stage.grain) != theirs.quantize(self._stage.grain):
                wrong.append(f"{asset} is {ours}, at the venue {theirs}")
        held = {
            symbol: position.quantity for symbol, position in ledger.positions.items() if position.quantity
        }
        if held != dict(truth.positions) and not self._stage.balances_only:
            wrong.append(f"positions are {held}, at the venue {dict(truth.positions)}")

    def _untold(self) -> Decimal:
        """What was taken and the run cannot have heard of."""
        entries = JournalReader(self._journal).entries("cash_flow")
        booked = {Decimal(entry.data["amount"]["amount"]) for _, entry in entries}
        return self._bench.flows.forgiven(booked, self._stage.told)

    def _report(self, kinds: tuple[Kind, ...], runner: LiveRunner, seconds: float) -> DayReport:
        truth, wrong, reader = self._venue.truth(), self._wrong, JournalReader(self._journal)
        summary = runner.summary
        assert summary is not None
        if (summary.outcome, summary.halted) != ("stopped", None):
            wrong.append(f"it ended {summary.outcome}: {summary.halted or summary.error}")
        latches = ControlStore.beside(self._journal).latches()
        wrong += [
            f"{scope or 'the account'} is latched {one.state}: {one.reason}"
            for scope, one in latches.items()
            if one.state != ACTIVE
        ]
        wrong += differences(reader, truth)
        rows = [row for row in reader.orders() if row.intent.kind is not IntentKind.CANCEL]
        over = {order.client_order_id for order in truth.orders if order.status.terminal}
        decided = {row.intent.client_order_id for row in rows}
        if len(decided & over) < _IN_TIME * len(decided):
            wrong.append(
                f"of {len(decided)} orders that were decided {len(decided & over)} are over at the venue"
            )
        wrong += [f"{kind.name} never struck" for kind in kinds if not self._struck[kind.name]]
        left = [kind.name for kind in (*self._plan, *self._active)]
        if left:
            wrong.append(f"no time was left for {', '.join(left)}")
        return DayReport(
            seed=self._seed,
            struck=self._struck,
            orders=len(decided),
            terminal=len(decided & over),
            fills=len(truth.executions),
            alerts=self._watch.alerts,
            seconds=seconds,
            wrong=tuple(wrong),
        )

    def _new_runner(self) -> LiveRunner:
        stage, venue = self._stage, self._venue
        name = stage.name
        raw: dict[str, Any] = {
            "run": {"id": "day", "mode": "paper", "warmup": _WARMUP, "currency": stage.currency},
            "instruments": list(stage.symbols),
            "datafeed": {
                "name": name,
                "interval": "1m",
                "options": {name: self._discreet(stage.feed_options(venue))},
            },
            "broker": {
                "name": name,
                "account_id": venue.account_id,
                "options": {name: self._discreet(stage.broker_options(venue))},
            },
            "strategy": {"class": "my_strategies:SmaCross", "params": {"fast": 2, "slow": 3}},
            "persistence": {"journal": str(self._journal)},
            # A minute passes between two bars, and nothing is heard in it. Twelve symbols may cross at once.
            "risk": {"silence_seconds": _FAR, "order_rate": {"per_second": 50, "per_minute": 200}},
        }
        config = parse_live_config(raw, source=_EXAMPLES / "day.yaml")
        return LiveRunner.from_config(config, watchers=[self._watch], clock=self._clock)

    def _discreet(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options as a config may have them: keys are in files."""
        found = dict(options)
        for name, value in options.items():
            if value in self._venue.secrets:
                path = self._journal.with_name(name)
                path.write_text(value, encoding="utf-8")
                path.chmod(0o600)
                found[name] = f"file:{path}"
        return found

    async def _until(self, holds: Callable[[], bool], what: str, then: _Then = None) -> None:
        if not await self._holds(holds, _PATIENCE, then):
            faults = ", ".join(kind.name for kind in self._active) or "nothing"
            raise TimeoutError(f"{what} did not come, while this was wrong: {faults}; {self._watch.alerts}")

    @staticmethod
    async def _holds(holds: Callable[[], bool], seconds: float, then: _Then = None) -> bool:
        last = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > last:
                return False
            await asyncio.sleep(0.005)
            if then is not None:
                await then()
        return True


_lived = Backoff.lived


def _lived_long(self: Backoff, seconds: float) -> None:
    """Minutes pass in a fraction of a second: what lived through one is stable."""
    _lived(self, seconds * _HASTE)


def _in_the_background(run: Callable[[], Any]) -> Running:
    """On a thread that nobody has to wait for."""
    done: Running = Future()

    def whole() -> None:
        try:
            done.set_result(run())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=whole, daemon=True).start()
    return done


def _core_of(runner: LiveRunner) -> LiveCore:
    assert runner.live is not None
    assert runner.live._driver is not None
    core = runner.live._driver._core
    assert isinstance(core, LiveCore)
    return core
