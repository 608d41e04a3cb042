"""Lives of a run: each is killed at a point or at random, the next has to come by all that the broker knows.

A batch is one run at one venue, with a life for each of its kills and a last one, which is stopped in good
order and compared with the venue to the cent.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from random import Random

from attrs import define, field

from alphaweave.live.control import ControlStore
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_records import IntentKind, IntentState
from crash.points import Point
from crash.venue import VenueServer

__all__ = ["LIMIT_SECONDS", "RANDOM", "Batch", "Kill", "Seen", "look", "run_batches"]

RANDOM = "at a random instant"
LIMIT_SECONDS = 5.0
"""Within so long of its start a process has to trade again."""
_PATIENCE = 20.0
_TESTS = Path(__file__).parents[1]
_OVER = "the last life"


@define
class Kill:
    """One kill, and what came of it.

    Attributes:
        point: where it was.
        counts: whether an intent was open in the journal, so that something was at stake.
        unanswered: intents of which nothing had been heard.
        lost: executions that the next life did not come by.
        doubled: orders that were asked for a second time.
        opened, ordered: seconds from the start of the next process until an order could leave, and until the
            first one did; after a halt, from the operator's resume.
        wrong: whatever else must not be.
    """

    point: str
    counts: bool = False
    unanswered: int = 0
    lost: int = 0
    doubled: int = 0
    opened: float | None = None
    ordered: float | None = None
    wrong: list[str] = field(factory=list)

    @property
    def broken(self) -> bool:
        """Whether something is lost, doubled or wrong, or nothing traded after it at all."""
        idle = self.point != _OVER and self.ordered is None
        return bool(self.lost or self.doubled or self.wrong or idle)

    @property
    def bad(self) -> bool:
        """Whether it is broken, or the next process took too long."""
        return self.broken or (self.ordered or 0.0) > LIMIT_SECONDS


@define
class Seen:
    """What a journal says, read on at each kill."""

    seq: int = 0
    executions: Counter[str] = field(factory=Counter)
    slices: Counter[str] = field(factory=Counter)
    names: frozenset[str] = frozenset()
    open_names: frozenset[str] = frozenset()
    unanswered: int = 0
    unknown: int = 0


def look(path: Path, seen: Seen) -> list[str]:
    """Read on in a journal that nobody writes; what is wrong with it."""
    if not path.is_file():
        return []
    reader, before = JournalReader(path), seen.seq
    if reader.seq < before:
        return [f"the journal ends at {reader.seq}, and had {before} decisions"]
    for row in reader.decisions(before):
        seen.seq = row.seq
        if row.decision.input_kind == "slice":
            seen.slices[row.decision.input_key] += 1
        for entry in row.decision.entries:
            if entry.kind == "execution" and entry.execution_key is not None:
                seen.executions[entry.execution_key] += 1
    orders = reader.orders()
    versions = [row for row in orders if row.intent.kind is not IntentKind.CANCEL]
    states = Counter(row.state for row in versions)
    seen.names = frozenset(row.intent.client_order_id for row in versions)
    seen.open_names = frozenset(row.intent.client_order_id for row in versions if row.is_open)
    seen.unanswered = states[IntentState.INTENT] + states[IntentState.SENT]
    seen.unknown = states[IntentState.UNKNOWN]
    twice = [key for key, times in (*seen.executions.items(), *seen.slices.items()) if times > 1]
    return [f"decided or booked twice: {', '.join(twice)}"] if twice else []


@define
class _Life:
    """One process, and what the venue saw of it. ``known`` are the executions before it began."""

    process: asyncio.subprocess.Process
    began: float
    known: frozenset[str]
    opened: float | None = None
    ordered: float | None = None
    changed: asyncio.Event = field(factory=asyncio.Event)

    def hear(self, what: str) -> None:
        if what == "open" and self.opened is None:
            self.opened = time.monotonic()
        if what == "order" and self.ordered is None:
            self.ordered = time.monotonic()
        self.changed.set()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, unless it ended by itself, which its exit code then tells."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def traded(self) -> bool:
        """Whether it has opened its gate and sent an order, before it ended or was too slow."""
        ended = asyncio.ensure_future(self.process.wait())
        try:
            async with asyncio.timeout(_PATIENCE):
                while not ended.done():
                    if self.opened is not None and self.ordered is not None:
                        return True
                    self.changed.clear()
                    change = asyncio.ensure_future(self.changed.wait())
                    await asyncio.wait({ended, change}, return_when=asyncio.FIRST_COMPLETED)
                    change.cancel()
        except TimeoutError:
            return False
        finally:
            ended.cancel()
        return False


class Batch:
    """A run and its venue, and the kills that it has to outlive.

    Attributes:
        kills: those that count, and last how the run ended.
        redrawn: kills that found no intent open, and were done again.
    """

    def __init__(self, points: Sequence[Point | None], seed: int, folder: Path) -> None:
        """``points``: where to kill, in turn; None is at random."""
        self.kills: list[Kill] = []
        self.redrawn = 0
        self._points = points
        self._random = Random(seed)
        self._folder = folder
        self._journal = folder / "run.db"
        self._venue = VenueServer(seed)
        self._seen = Seen()
        self._doubled = 0
        self._last = Kill("the beginning")
        self._latched: str | None = None

    async def run(self) -> list[Kill]:
        """Live through it all."""
        await self._venue.start()
        try:
            for point in self._points:
                while True:
                    kill = await self._killed_at(point)
                    if kill.counts or kill.wrong:
                        self.kills.append(kill)
                        break
                    self.redrawn += 1
            await self._stopped()
        finally:
            await self._venue.close()
        return self.kills

    # Lives.

    async def _killed_at(self, point: Point | None) -> Kill:
        random = self._random
        early = point.starting if point is not None else random.random() < 0.2
        if early:
            # The kill before has to show what came of it, and this one needs something to take up.
            life = await self._trades(await self._begin())
            await asyncio.sleep(random.uniform(0, 0.3))
            life.kill()
            await self._ended(life, Kill("between"))
            while point is not None and self._has_no_tail():
                # It died with its last decision in a snapshot: the next start has nothing to go through.
                life = await self._trades(await self._begin())
                life.kill()
                await self._ended(life, Kill("between"))
        kill = Kill(RANDOM if point is None else point.name)
        life = await self._begin(*(() if point is None else (point.name, random.randint(1, point.most))))
        if not early:
            life = await self._trades(life, point)
            life.kill(signal.SIGUSR1)
        if point is None:
            await self._wait_at_random(life, early=early)
            life.kill()
        elif point.command is not None:
            await asyncio.sleep(random.uniform(0, 0.5))
            self._say(point.command)
        try:
            async with asyncio.timeout(_PATIENCE):
                await life.process.wait()
        except TimeoutError:
            kill.wrong.append(f"it never came to {kill.point!r}")
            life.kill()
        await self._ended(life, kill)
        if point is not None and point.command is not None:
            self._latched = point.command
        return kill

    async def _stopped(self) -> None:
        """The last life: nothing moves any more, and both sides say the same."""
        end = Kill(_OVER, counts=True)
        life = await self._trades(await self._begin())
        await self._venue.freeze()
        await asyncio.sleep(1.0)
        await self._settled(end)
        self._say("stop")
        try:
            async with asyncio.timeout(_PATIENCE):
                stdout, stderr = await life.process.communicate()
        except TimeoutError:
            life.kill()
            stdout, stderr = await life.process.communicate()
        self._judge(life, end)
        self.kills.append(end)
        if life.process.returncode:
            end.wrong.append(f"it ended with {life.process.returncode}: {stderr.decode()[-2000:]}")
            return
        said, account = json.loads(stdout), self._venue.account
        cash = account.balances["USD"].total
        if Decimal(said["cash"]) != cash:
            end.wrong.append(f"cash is {said['cash']}, at the broker {cash}")
        # What an operator said is told again by the life that came by it.
        end.wrong += [one for one in said["alerts"] if one.startswith("error") and " operator: " not in one]
        executed = self._venue.executed
        if set(self._seen.executions) != executed:
            end.lost += len(executed.difference(self._seen.executions))
        working = self._venue.working
        if working != self._seen.open_names:
            odd = working.symmetric_difference(self._seen.open_names)
            end.wrong.append(f"open on one side only: {', '.join(sorted(odd))}")
        if self._seen.unknown or self._seen.unanswered:
            end.wrong.append(f"{self._seen.unknown + self._seen.unanswered} outcomes are not known")

    async def _settled(self, end: Kill) -> None:
        """Give what is in doubt the time that its settling takes."""
        seen = Seen()
        for _ in range(20):
            seen = Seen()
            await asyncio.to_thread(look, self._journal, seen)
            if not seen.unknown and not seen.unanswered:
                return
            await asyncio.sleep(0.5)
        end.wrong.append(f"{seen.unknown + seen.unanswered} outcomes were not settled in 10 s")

    async def _begin(self, *armed: object) -> _Life:
        command = [sys.executable, "-m", "crash.child", str(self._venue.port), str(self._folder)]
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *command,
            *map(str, armed),
            cwd=_TESTS,
            env={**os.environ, "XDG_STATE_HOME": str(self._folder)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        life = _Life(process, began, frozenset(self._venue.executed))
        self._venue.on = life.hear
        return life

    def _has_no_tail(self) -> bool:
        """Whether the journal ends with what its snapshot holds."""
        reader = JournalReader(self._journal)
        snapshot = reader.snapshot()
        return snapshot is not None and snapshot.seq == reader.seq

    async def _trades(self, life: _Life, point: Point | None = None) -> _Life:
        """Let it trade, which says how the last kill was outlived. It may be another life that does."""
        latched, self._latched = self._latched, None
        last = self._last
        since = life.began
        if latched == "stop":
            life, since = await self._past_a_stop(life, point)
        elif latched is not None:
            since = await self._resumed(life, latched)
        traded = await life.traded()
        if traded or life.ordered is not None:
            last.opened = max(0.0, (life.opened or since) - since)
            last.ordered = None if life.ordered is None else max(0.0, life.ordered - since)
        if not traded and life.process.returncode != -signal.SIGKILL:
            last.wrong.append(f"the life after it did not trade within {_PATIENCE:g} s")
        return life

    async def _past_a_stop(self, life: _Life, point: Point | None) -> tuple[_Life, float]:
        """A stop that was taken and not decided is decided by the next life, which ends by it."""
        if not await life.traded() and life.process.returncode == 0:
            self._judge(life, Kill("a stop"))
            armed = () if point is None else (point.name, self._random.randint(1, point.most))
            life = await self._begin(*armed)
        return life, life.began

    async def _resumed(self, life: _Life, latched: str) -> float:
        """See that what an operator said outlived the kill, and take it back."""
        await asyncio.sleep(1.5)
        if latched == "halt" and life.ordered is not None:
            self._last.wrong.append("an order left after a halt")
        if latched == "flatten" and not await self._venue.until(lambda: not self._venue.positions, _PATIENCE):
            self._last.wrong.append("a flatten was forgotten")
        life.ordered = None
        self._say("resume")
        return time.monotonic()

    async def _wait_at_random(self, life: _Life, *, early: bool) -> None:
        random, venue = self._random, self._venue
        if early:
            await asyncio.sleep(random.uniform(0.2, 1.2))
            return
        last = venue.passed + random.randint(0, 30)
        await venue.until(lambda: venue.passed >= last, 3.0)
        await asyncio.sleep(random.choice((0.0, random.uniform(0, 0.03))))

    async def _ended(self, life: _Life, kill: Kill) -> None:
        _, stderr = await life.process.communicate()
        if life.process.returncode != -signal.SIGKILL:
            kill.wrong.append(f"it ended with {life.process.returncode}: {stderr.decode()[-2000:]}")
        self._judge(life, kill)
        self._last = kill

    def _judge(self, life: _Life, kill: Kill) -> None:
        """What journal and venue say when a life is over, of the kill before it and of its own."""
        seen, venue, last = self._seen, self._venue, self._last
        kill.wrong += look(self._journal, seen)
        kill.counts = kill.counts or bool(seen.open_names)
        kill.unanswered = seen.unanswered
        if life.opened is not None:
            last.lost += len(life.known.difference(seen.executions))
        invented = set(seen.executions).difference(venue.executed)
        if invented:
            kill.wrong.append(f"never executed: {', '.join(sorted(invented))}")
        strays = set(venue.arrived).difference(seen.names)
        if strays:
            kill.wrong.append(f"sent without a word in the journal: {', '.join(sorted(strays))}")
        doubled = sum(times - 1 for times in venue.arrived.values())
        last.doubled += doubled - self._doubled
        self._doubled = doubled

    def _say(self, verb: str) -> None:
        ControlStore.beside(self._journal).post(
            verb, operator="eva", reason="the campaign says so", at_ns=time.time_ns()
        )


async def run_batches(
    batches: Sequence[tuple[Sequence[Point | None], int]], workers: int, folder: Path
) -> AsyncGenerator[Batch, None]:
    """Run batches, each (points, seed), so many at once; they come as they end.

    ``folder`` keeps the journal of each in a folder that its seed names.
    """
    gate = asyncio.Semaphore(workers)

    async def one(points: Sequence[Point | None], seed: int) -> Batch:
        async with gate:
            own = folder / str(seed)
            own.mkdir(parents=True)
            batch = Batch(points, seed, own)
            await batch.run()
            return batch

    tasks = [asyncio.create_task(one(points, seed)) for points, seed in batches]
    try:
        for task in asyncio.as_completed(tasks):
            yield await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
