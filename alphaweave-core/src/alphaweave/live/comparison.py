"""A recorded run beside the strategy of a config: the first decision that differs, what orders slipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from attrs import evolve, frozen

from alphaweave.core.clock import Clock, SystemClock
from alphaweave.core.errors import JournalError, JournalForeign, RunRefused, UnknownAdapter
from alphaweave.core.instrument import Instrument
from alphaweave.core.scrubber import Scrubber
from alphaweave.live.adapter_services import adapter_services
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.live.config import LiveConfig, parse_options
from alphaweave.live.discretion import discreetly
from alphaweave.live.input_codec import from_document
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_records import Decision, JournalRow
from alphaweave.live.live_core import LiveCore
from alphaweave.live.live_wiring import assembled_core
from alphaweave.live.plugin_parts import PartMaker
from alphaweave.live.proposal import RiskRule
from alphaweave.live.registry import Registry
from alphaweave.live.risk_bounded import bounded
from alphaweave.live.slippage import OrderSlippage, Slippage, SlippageTotals
from alphaweave.live.strategy_loader import load_strategy
from alphaweave.live.tape import Tape, TapeReconciler, opening_of, rerun
from alphaweave.live.tape_decisions import Difference
from alphaweave.live.terms import run_terms, term_changes
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue

__all__ = ["Comparison", "compare_with_journal"]

_PAPER: Final = "paper"


@frozen(kw_only=True)
class Comparison:
    """What `compare_with_journal` found.

    Attributes:
        decisions: how many were made again, up to the first difference; recorded: how many there are.
        starts: how often the run was started.
        changes: terms of the config that are not those of the run's last start, in words.
        difference: None: there is none.
        orders, totals: what the recorded orders slipped against ``venue``.
        venue: what simulated them.
    """

    decisions: int
    recorded: int
    starts: int
    changes: tuple[str, ...]
    difference: Difference | None
    orders: tuple[OrderSlippage, ...]
    totals: SlippageTotals
    venue: str


def compare_with_journal(
    config: LiveConfig, reader: JournalReader, *, registry: Registry | None = None, clock: Clock | None = None
) -> Comparison:
    """Make the decisions of a journal again, and see what its orders slipped; the run may go on meanwhile.

    Nothing is connected, asked or sent, and the journal is only read.

    Raises:
        JournalForeign: it is of another run, strategy or broker than the config's.
        JournalError: it cannot be read, or does not hold what a run was told.
        ConfigError, AdapterError: the strategy, a risk rule or an adapter of the config cannot be had.
        StrategyError: the strategy's ``init`` or ``set_state`` failed.
    """
    scrubber = Scrubber()
    return discreetly(
        scrubber, _Comparing(config, reader, registry or Registry(), clock or SystemClock(), scrubber).run
    )


@frozen
class _Comparing:
    config: LiveConfig
    reader: JournalReader
    registry: Registry
    clock: Clock
    scrubber: Scrubber

    def run(self) -> Comparison:
        self._recognise()
        path = str(self.reader.path)
        last = self.reader.seq
        starts = [row.decision for row in self._rows(last) if row.decision.input_kind == "start"]
        if not starts:
            raise JournalError("it holds no run: nothing was decided yet", path)
        for start in starts:
            opening_of(start, path)
        found = rerun(self._rows(last), self._core, path=path)
        slippage, venue = self._slippage(starts[0])
        for row in self._rows(last):
            slippage.see(row)
        slippage.end()
        return Comparison(
            decisions=found.decisions,
            recorded=last,
            starts=len(starts),
            changes=self._changes(starts[-1]),
            difference=found.difference,
            orders=slippage.orders(),
            totals=slippage.totals(),
            venue=venue,
        )

    def _rows(self, last: int) -> Iterator[JournalRow]:
        return self.reader.decisions(until=last)

    def _recognise(self) -> None:
        run, config = self.reader.identity, self.config
        mine = {
            "run_id": config.run.id,
            "strategy": config.strategy.class_path,
            "broker": config.broker.name,
        }
        differences = {
            name: (getattr(run, name), value) for name, value in mine.items() if getattr(run, name) != value
        }
        if differences:
            told = "; ".join(
                f"its {name} is {theirs!r}, the config's is {ours!r}"
                for name, (theirs, ours) in differences.items()
            )
            raise JournalForeign(
                f"this journal belongs to another run: {told}. Name the config that it was written under",
                self.reader.path,
                differences,
            )

    def _core(self, tape: Tape, start: Decision) -> LiveCore:
        config = self.config
        opening = opening_of(start, str(self.reader.path))
        recorded: Mapping[str, Instrument] = from_document(opening["instruments"])
        missing = [symbol for symbol in config.symbols if symbol not in recorded]
        if missing:
            raise RunRefused(
                f"the recorded run did not trade {', '.join(missing)}; compare it with the instruments that "
                "it had"
            )
        # Real money ran installed code only, so that is what has to be compared.
        folder = None if self.reader.identity.mode == RunMode.LIVE.value else config.base_dir
        return assembled_core(
            config,
            strategy=load_strategy(config.strategy.class_path, config.strategy.params, folder=folder),
            account=opening["account"],
            cash=Decimal(opening["cash"]),
            instruments={symbol: recorded[symbol] for symbol in config.symbols},
            capabilities=self.registry.broker(
                config.broker.name, distribution=config.broker.distribution
            ).capabilities,
            prepare=tape.prepare,
            rules=[bounded(rule, self.clock.monotonic, tape.slow) for rule in self._rules()],
            journal=tape,
            reconciler=lambda view: TapeReconciler(tape),
            opening=opening,
        )

    def _rules(self) -> Sequence[RiskRule]:
        sections = self.config.risk_rules
        plugins = [self.registry.risk_rule(one.name, distribution=one.distribution) for one in sections]
        maker = PartMaker(self._parsed, self._services, self.scrubber, self.registry.origin)
        return maker.rules(plugins, sections)

    def _changes(self, start: Decision) -> tuple[str, ...]:
        saved = dict(opening_of(start, str(self.reader.path))["terms"])
        present = run_terms(self.config, broker_options=None, instruments={})
        for terms in (saved, present):
            # These come from the journal, and from an account that is not asked.
            terms.pop("instruments", None)
            terms.pop("broker", None)
        return tuple(term_changes(saved, self.scrubber.tree(present)))

    def _slippage(self, start: Decision) -> tuple[Slippage, str]:
        opening = opening_of(start, str(self.reader.path))
        instruments: Mapping[str, Instrument] = from_document(opening["instruments"])
        cash = Decimal(opening["cash"])
        try:
            plugin = self.registry.broker(_PAPER)
        except UnknownAdapter:
            plugin = None
        if plugin is None or plugin.venue is None:
            settings = VenueSettings(check_funds=False, session_timezone=self.config.datafeed.timezone)
            venue = SimVenue(
                instruments=instruments, settings=settings, cash=cash, currency=self.config.run.currency
            )
            return Slippage(venue, instruments), "the simulated venue, without costs"
        # Whether an account could have carried an order is another question than what it would have cost.
        free = {"check_funds": False, "allow_short": True}
        block = {**self.config.broker.options.get(_PAPER, {}), **free}
        options = self._parsed(plugin.options, block, f"broker.options.{_PAPER}")
        services = evolve(self._services(_PAPER), capital=str(cash), account_id=None)
        venue = plugin.venue(options, services, instruments)
        return Slippage(venue, instruments), f"broker {_PAPER}"

    def _parsed(self, options: type, block: Mapping[str, Any], path: str) -> Any:
        return parse_options(options, block, path=path, base_dir=self.config.base_dir, scrubber=self.scrubber)

    def _services(self, adapter: str) -> Services:
        return adapter_services(self.config, RunMode.PAPER, self.clock, adapter)
