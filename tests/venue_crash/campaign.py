"""Lives of a run at a sandbox that survives: each is killed, the next has to come by all that happened."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import yaml
from attrs import define, evolve, field
from venue_day.stages import DayVenue, Stage

from alphaweave.core.market import Bar
from alphaweave.live.control import ControlStore
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_records import IntentKind, IntentRow, IntentState
from alphaweave.testing.venue import Action, Fault
from venue_crash.clock import SharedClock

__all__ = ["POINTS", "Kill", "Siege"]

OUT = "an order: out, not answered"
POINTS = (
    "an order: committed, not handed over",
    OUT,
    "an answer: before its commit",
    "a fill: inside its commit",
)
_TESTS = Path(__file__).parents[1]
_MINUTE = timedelta(minutes=1)
_PACE = 0.5
# Upper bounds only, in real seconds: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 40.0
_FAR = 10**9
_OPEN = frozenset({IntentState.INTENT, IntentState.SENT, IntentState.UNKNOWN})
_Key = tuple[str | None, Decimal]


@define
class Kill:
    """One kill, and what came of it.

    Attributes:
        counts: whether an intent was open in the journal, so that something was at stake.
        unanswered: intents of which nothing had been heard.
        lost: executions that the next life did not come by.
        doubled: orders that were asked for a second time.
        wrong: whatever else must not be.
    """

    point: str
    counts: bool = False
    unanswered: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(factory=list)

    @property
    def bad(self) -> bool:
        return bool(self.lost or self.doubled or self.wrong)


class Siege:
    """A run at a venue, and the kills that it has to outlive.

    Attributes:
        kills: those that count, and last how the run ended.
        redrawn: kills that found no intent open, and were done again.
        venue: the sandbox, which survives.
    """

    def __init__(self, stage: Stage, points: Sequence[str], seed: int, folder: Path) -> None:
        """``points``: where to kill, in turn."""
        self.kills: list[Kill] = []
        self.redrawn = 0
        # An adapter that is started again needs its time; nothing here is mute.
        self._stage = evolve(stage, limits={**stage.limits, "timeout": 2.0, "heartbeat": 5.0})
        self._points, self._folder, self._random = points, folder, Random(seed)
        self._journal = folder / "crash.db"
        self._clock = SharedClock(folder / "clock", stage.opens)
        self.venue: DayVenue = self._stage.venue(self._clock, seed)
        self._prices = dict.fromkeys(self._symbols, 100.0)
        self._last = Kill("the beginning")
        self._overdue = False
        self._doubled = 0
        self._known: frozenset[_Key] = frozenset()

    @property
    def _symbols(self) -> tuple[str, ...]:
        return self._stage.filled[:2]

    async def run(self) -> list[Kill]:
        """Live through it all."""
        await self.venue.start()
        market = asyncio.create_task(self._run_market())
        try:
            self._write_config()
            for point in self._points:
                while not (kill := await self._killed_at(point)).counts and not kill.wrong:
                    self.redrawn += 1
                self.kills.append(kill)
            await self._stopped(market)
        finally:
            market.cancel()
            with suppress(asyncio.CancelledError):
                await market
            await self.venue.stop()
        return self.kills

    # The market.

    async def _run_market(self) -> None:
        start = self._stage.opens
        while True:
            self._clock.advance(max(0.0, (start + _MINUTE - self._clock.now()).total_seconds()))
            for symbol in self._symbols:
                last = self._prices[symbol]
                price = self._prices[symbol] = round(last * (1 + self._random.gauss(0, 0.001)), 2)
                await self.venue.set_price(symbol, Decimal(str(price)))
                high, low = max(last, price), min(last, price)
                bar = Bar(symbol, "1m", start, start + _MINUTE, last, high, low, price, 1e4)
                await self.venue.publish(bar)
            start += _MINUTE
            await asyncio.sleep(_PACE)

    # Lives.

    async def _killed_at(self, point: str) -> Kill:
        kill = Kill(point)
        armed = () if point == OUT else (point, str(self._random.randint(1, 3)))
        async with self._life(*armed) as process:
            if await self._trades(process, kill):
                if point == OUT:
                    await self._killed_from_outside(process)
                else:
                    process.send_signal(signal.SIGUSR1)
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), _PATIENCE)
        stderr = (self._folder / "stderr").read_text(encoding="utf-8")[-2000:]
        if process.returncode != -signal.SIGKILL or self._overdue:
            kill.wrong.append(f"it never came to {point!r}; exit {process.returncode}: {stderr}")
        self._judge(kill)
        self._last = kill
        return kill

    async def _killed_from_outside(self, process: asyncio.subprocess.Process) -> None:
        """Kill it when its order has arrived and no answer has gone out."""
        fault = self._random.choice((Fault.HOLD, Fault.LOSE_REQUEST))
        await self.venue.arm(Action.SUBMIT, fault)
        before = len(self._arrived())
        await self._until(lambda: len(self._arrived()) > before or process.returncode is not None)
        process.kill()
        await self.venue.arm(Action.SUBMIT, fault, times=0)
        await self.venue.release_answers()

    async def _trades(self, process: asyncio.subprocess.Process, kill: Kill) -> bool:
        before = len(self._arrived())
        traded = await self._until(
            lambda: len(self._arrived()) > before + 1 or process.returncode is not None
        )
        if not traded or process.returncode is not None:
            kill.wrong.append(f"it did not trade within {_PATIENCE:g} s")
            return False
        return True

    async def _stopped(self, market: asyncio.Task[None]) -> None:
        """The last life: nothing moves any more, and both sides say the same."""
        end = Kill("the last life", counts=True)
        self.kills.append(end)
        async with self._life() as process:
            if await self._trades(process, end):
                market.cancel()
                await self._until(self._is_settled, hasten=0.5)
                ControlStore.beside(self._journal).post(
                    "stop", operator="eva", reason="the siege is over", at_ns=time.time_ns()
                )
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), _PATIENCE)
        self._judge(end)
        if process.returncode or self._overdue:
            stderr = (self._folder / "stderr").read_text(encoding="utf-8")[-2000:]
            end.wrong.append(f"it ended with {process.returncode}: {stderr}")
            return
        truth = self.venue.truth()
        end.lost += len(self._executed().difference(self._booked()))
        said = json.loads((self._folder / "summary.json").read_text(encoding="utf-8"))["summary"]
        cash, theirs = Decimal(repr(said["cash"])), truth.balances[self.venue.currency]
        if abs(cash - theirs) >= Decimal("0.01"):
            end.wrong.append(f"cash is {cash}, at the venue {theirs}")
        rows = self._rows()
        ours = {row.intent.client_order_id for row in rows if row.is_open}
        working = {one.client_order_id for one in truth.orders if not one.status.terminal}
        if ours != working:
            end.wrong.append(f"open on one side only: {sorted(map(str, ours ^ working))}")
        if [row for row in rows if row.state in _OPEN]:
            end.wrong.append("outcomes are not known")

    def _is_settled(self) -> bool:
        open_ = [row for row in self._rows() if row.state in _OPEN]
        return not open_ and self._executed() == set(self._booked())

    @asynccontextmanager
    async def _life(self, *armed: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A process; one that is still there in the end is killed."""
        self._overdue = False
        with (self._folder / "stderr").open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "venue_crash.child", str(self._folder), *armed),
                cwd=_TESTS,
                env={**os.environ, "XDG_STATE_HOME": str(self._folder)},
                stdout=asyncio.subprocess.DEVNULL,
                stderr=stderr,
            )
            self._known = self._executed()
            try:
                yield process
            finally:
                if process.returncode is None:
                    self._overdue = True
                    process.kill()
                    await process.wait()

    # What journal and venue say.

    def _judge(self, kill: Kill) -> None:
        """Of the kill before this life, and of its own."""
        last, rows, booked = self._last, self._rows(), self._booked()
        kill.counts = any(row.is_open for row in rows)
        kill.unanswered = sum(row.state in {IntentState.INTENT, IntentState.SENT} for row in rows)
        last.lost += len(self._known.difference(booked))
        twice = [key for key, times in booked.items() if times > 1]
        kill.wrong += [f"booked twice: {key}" for key in twice]
        kill.wrong += [f"never executed: {key}" for key in set(booked).difference(self._executed())]
        arrived = Counter(self._arrived())
        last.doubled += sum(times - 1 for times in arrived.values()) - self._doubled
        self._doubled = sum(times - 1 for times in arrived.values())
        strays = set(arrived).difference(row.intent.client_order_id for row in rows)
        kill.wrong += [f"sent without a word in the journal: {name}" for name in strays]

    def _rows(self) -> list[IntentRow]:
        if not self._journal.is_file():
            return []
        rows = JournalReader(self._journal).orders()
        return [row for row in rows if row.intent.kind is not IntentKind.CANCEL]

    def _booked(self) -> Counter[_Key]:
        """Executions in the journal: whose, and how much of it was filled then."""
        if not self._journal.is_file():
            return Counter()
        found: Counter[_Key] = Counter()
        filled: defaultdict[str | None, Decimal] = defaultdict(Decimal)
        for data in sorted(
            (one.data for one in JournalReader(self._journal).executions() if one.kind == "execution"),
            key=lambda data: _in_turn(data["execution_key"]),
        ):
            # What a venue lists of the past may not say how much was filled by then.
            name, told = data["client_order_id"], data["cumulative"]
            filled[name] = filled[name] + Decimal(data["size"]) if told is None else Decimal(told)
            found[name, filled[name]] += 1
        return found

    def _executed(self) -> frozenset[_Key]:
        filled: defaultdict[str | None, Decimal] = defaultdict(Decimal)
        found = set()
        for one in self.venue.truth().executions:
            filled[one.client_order_id] += one.size
            found.add((one.client_order_id, filled[one.client_order_id]))
        return frozenset(found)

    def _arrived(self) -> list[str]:
        """The client order ids of all orders that were asked for, in turn."""
        asked = [one for one in self.venue.requests if one.action is Action.SUBMIT]
        return [name for one in asked for name in one.client_order_ids]

    async def _until(self, holds: Callable[[], bool], *, hasten: float = 0.0) -> bool:
        """Wait, but not for ever; whether it holds. ``hasten``: set the time forward by so much meanwhile."""
        last = time.monotonic() + _PATIENCE
        while not holds():
            if time.monotonic() > last:
                return False
            await asyncio.sleep(0.02)
            self._clock.advance(hasten)
        return True

    def _write_config(self) -> None:
        stage, venue, name = self._stage, self.venue, self._stage.name
        blocks = {"datafeed": stage.feed_options(venue), "broker": stage.broker_options(venue)}
        for block in blocks.values():
            for option, value in block.items():
                if value in venue.secrets:
                    path = self._folder / option
                    path.write_text(value, encoding="utf-8")
                    path.chmod(0o600)
                    block[option] = f"file:{path}"
        document = {
            "run": {"id": "crash", "mode": "paper", "currency": stage.currency},
            "instruments": list(self._symbols),
            "datafeed": {"name": name, "interval": "1m", "options": {name: blocks["datafeed"]}},
            "broker": {"name": name, "account_id": venue.account_id, "options": {name: blocks["broker"]}},
            "strategy": {"class": "venue_crash.strategy:Steady"},
            "persistence": {"journal": str(self._journal)},
            "risk": {"silence_seconds": _FAR},
        }
        (self._folder / "crash.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")


def _in_turn(execution_key: str) -> tuple[int, str]:
    """Where executions are numbered, in that order."""
    number = execution_key.rpartition(":")[2]
    return (int(number) if number.isdigit() else 0, execution_key)
