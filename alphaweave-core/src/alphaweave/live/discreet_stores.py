"""Keeps a live run's secrets out of what it writes itself: its journal, and its answers to operators."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from alphaweave.core.errors import JournalFailed
from alphaweave.core.scrubber import Scrubber
from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import Latch
from alphaweave.live.journal_records import Decision
from alphaweave.live.live_ports import JournalWriter

__all__ = ["DiscreetControl", "DiscreetJournal"]


class DiscreetJournal:
    """Writes to another journal, scrubbed: what a broker or a strategy said is in the decisions.

    Names, identities and requests are written as they are.
    """

    def __init__(self, journal: JournalWriter, scrubber: Scrubber, path: Path) -> None:
        self._journal = journal
        self._scrubber = scrubber
        self._path = path

    @property
    def broken(self) -> bool:
        return self._journal.broken

    @property
    def seq(self) -> int:
        return self._journal.seq

    def commit(self, decision: Decision) -> int:
        """As the journal's own.

        Raises:
            JournalFailed: the strategy's or the adapter's values hold a secret. It is not cut out, for who is
                handed back what is left would go on with another thing than it saved.
        """
        if self._scrubber.empty:
            return self._journal.commit(decision)
        washed = self._scrubber.tree
        for whose, values in (("the strategy's values", decision.state), ("the adapter's", decision.store)):
            if washed(values) != values:
                raise JournalFailed(
                    f"{whose} hold a secret of this run, and a secret is never saved; leave it out",
                    self._path,
                )
        return self._journal.commit(
            evolve(
                decision,
                input_key=washed(decision.input_key),
                payload=washed(decision.payload),
                entries=tuple(evolve(each, data=washed(each.data)) for each in decision.entries),
                outcomes=tuple(evolve(each, data=washed(each.data)) for each in decision.outcomes),
                watermarks=washed(decision.watermarks),
                risk=washed(decision.risk),
            )
        )

    def snapshot(self, kernel: Mapping[str, Any]) -> int:
        return self._journal.snapshot(self._scrubber.tree(kernel))


class DiscreetControl(ControlStore):
    """The commands to a run that has secrets, as that run takes and answers them: what an operator said holds
    none any more once it is taken, in the file neither."""

    def __init__(self, path: str | Path, scrubber: Scrubber) -> None:
        super().__init__(path)
        self._scrubber = scrubber

    def answer(self, number: int, answer: Mapping[str, Any], at_ns: int) -> None:
        super().answer(number, self._scrubber.tree(answer), at_ns)

    def _worded(self, text: str) -> str:
        return self._scrubber.text(text)

    def mirror(self, latches: Mapping[str, Latch], at_ns: int) -> bool:
        washed = self._scrubber.text
        return super().mirror(
            {scope: evolve(latch, reason=washed(latch.reason)) for scope, latch in latches.items()}, at_ns
        )
