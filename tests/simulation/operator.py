"""Whoever runs it: what a person tells the run through its control file, whether the run is up or down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

from attrs import frozen

from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import ACTIVE, Latch, Verb
from simulation.clock import MILLISECOND, SECOND
from simulation.script import FaultKind, Script

__all__ = ["Operator", "Order"]

# After so long a run that is awake has looked into its control file.
_NOTICED = 200 * MILLISECOND
# Who has just halted a run does not halt it again.
_AGAIN = 15 * SECOND
_KINDS = {
    Verb.HALT: FaultKind.OPERATOR_HALT,
    Verb.RESUME: FaultKind.OPERATOR_RESUME,
    Verb.FLATTEN: FaultKind.OPERATOR_FLATTEN,
    Verb.STOP: FaultKind.OPERATOR_STOP,
}


@frozen
class Order:
    """Something to be said: when, what, and of which symbol; "" is all of them."""

    at: int
    verb: Verb
    scope: str = ""


class Operator:
    """A person with the command line.

    Attributes:
        plan: what will be said whatever happens.
        blind: (from, until) when a run can neither read the file nor write it.
    """

    def __init__(self, script: Script, journal: Path, struck: Counter[FaultKind]) -> None:
        self._script = script
        self._journal = journal
        self._struck = struck
        self._random = Random(f"operator {script.seed}")
        self._store: ControlStore | None = None
        self._hurried = 0
        self._last: dict[str, tuple[Verb, int]] = {}
        self.plan = () if script.halts else tuple(self._plans())
        self.blind: list[tuple[int, int]] = []

    @property
    def leaves_halted(self) -> bool:
        """What was said last of something is not that it may trade."""
        return any(verb is not Verb.RESUME for verb, _ in self._last.values())

    def readable_from(self, now: int) -> int:
        """From when on a run can use the file: at once, or when what is wrong with the disk is over."""
        return max((until for begins, until in self.blind if begins <= now < until), default=now)

    def tell(self, order: Order, *, down: bool) -> None:
        """Write it down, as the command line does."""
        if self._store is None:
            self._store = ControlStore.beside(self._journal)
        self._store.post(order.verb, operator="eva", reason="odd fills", at_ns=order.at, scope=order.scope)
        self._struck[_KINDS[order.verb]] += 1
        if down:
            self._struck[FaultKind.COMMAND_WHILE_DOWN] += 1
        self._blind(order.at)
        if order.verb is not Verb.STOP:
            self._last[order.scope] = (order.verb, order.at)

    def meddles(self, now: int, away: int) -> Iterator[Order]:
        """What is said when the run died, and is away for so long."""
        back = now + self._random.randrange(5 * SECOND, 40 * SECOND)
        if self._random.random() < 0.2 and not self._script.halts and back < self._script.calm_from:
            yield Order(now + away // 2, Verb.HALT)
            yield Order(back, Verb.RESUME)

    def hurries(self, now: int) -> Iterator[Order]:
        """What is said when orders are seen to wait for one another."""
        back = now + self._random.randrange(2 * SECOND, 8 * SECOND)
        if self._hurried + _AGAIN < now and not self._script.halts and back < self._script.calm_from:
            self._hurried = now
            yield Order(now, Verb.HALT)
            yield Order(back, Verb.RESUME)

    def kills(self) -> bool:
        """Whether the run dies over the command that it decides on."""
        return self._random.random() < 0.1

    def busy(self) -> int:
        """How long the strategy thinks on when a command is found."""
        long = self._random.randrange(SECOND, 6 * SECOND)
        # Where many orders wait, most of all: those are what a halt has to hold back.
        if self._random.random() >= (0.8 if self._script.hasty else 0.3):
            return 0
        self._struck[FaultKind.BUSY_AT_COMMAND] += 1
        return long

    def allowed(self, name: str, symbol: str, now: int, awake_since: int) -> Iterator[tuple[str, str]]:
        """I7, by what was said and not by what the run made of it: a halt is kept."""
        for scope in ("", symbol):
            verb, said = self._last.get(scope, (Verb.RESUME, 0))
            looks = max(said, awake_since)
            looks = max((end for begin, end in self.blind if begin <= looks + _NOTICED < end), default=looks)
            if verb is Verb.HALT and now > looks + _NOTICED:
                yield (
                    "I7",
                    f"{name} leaves {(now - said) / 1e9:g} s after eva halted {scope or 'the account'}",
                )

    def obeyed(self, latched: Mapping[str, Latch]) -> Iterator[str]:
        """At the end: each command is answered, what was said last stands, and the file shows what is so."""
        if self._store is None:
            return
        for command in self._store.pending():
            yield f"command {command.id} ({command.verb.value}) is not answered"
        for scope, (verb, _) in self._last.items():
            if verb is not Verb.RESUME and scope not in latched:
                yield f"eva said {verb.value} of {scope or 'the account'}, and it trades"
        shown = {scope: latch.state for scope, latch in self._store.latches().items()}
        for scope in sorted({*shown, *latched}):
            known = latched[scope].state if scope in latched else ACTIVE
            if shown.get(scope, ACTIVE) != known:
                yield f"{scope or 'the account'} is {known}, and is shown as {shown.get(scope, ACTIVE)}"

    def _blind(self, said: int) -> None:
        """The disk may fail under the file before the run has read what was said, or before it answered."""
        chance, long = self._random.random(), self._random.randrange(100 * MILLISECOND, 9 * SECOND)
        begins = said + (0 if chance < 0.2 else self._random.randrange(90 * MILLISECOND, 700 * MILLISECOND))
        if chance < 0.6 and begins + long < self._script.calm_from and not self._script.halts:
            self.blind.append((begins, begins + long))

    def _plans(self) -> Iterator[Order]:
        chance = self._random.random()
        ends = self._script.ends
        begins = self._random.randrange(ends[4], ends[-10])
        lifted = self._random.randrange(begins + SECOND, self._script.calm_from)
        scope = self._random.choice(("", *self._script.bars))
        if chance < 0.10:
            yield Order(begins, Verb.HALT, scope)
            yield Order(lifted, Verb.RESUME, scope)
        elif chance < 0.20:
            yield Order(begins, Verb.FLATTEN, scope)
            yield Order(lifted, Verb.RESUME, scope)
        elif chance < 0.30:
            yield Order(begins, Verb.STOP)
