"""What a paper or live run makes of its config: its limits, its reconciliation, when its markets are open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from alphaweave.core.errors import ConfigError, Problem
from alphaweave.core.interval import parse_interval
from alphaweave.live.adapters.base import RunMode
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.config_sections import LiveConfig
from alphaweave.live.ledger import Ledger
from alphaweave.live.orders import SymbolBook
from alphaweave.live.proposal import RiskRule
from alphaweave.live.reconcile_books import ReconcileSettings
from alphaweave.live.risk_board import RiskBoard
from alphaweave.live.sessions import Calendar, read_calendar

__all__ = ["calendars", "maintenance", "reconcile_settings", "risk_board"]

_CLOCK: Final = 60.0
_RULES: Final = 4 * 3600.0


def calendars(config: LiveConfig) -> dict[str, Calendar]:
    """The calendar of each instrument that has one written.

    Raises:
        ConfigError: with every one that is unknown.
    """
    found: dict[str, Calendar] = {}
    problems: list[Problem] = []
    for index, entry in enumerate(config.instruments):
        if entry.calendar is not None:
            try:
                found[entry.symbol] = read_calendar(entry.calendar)
            except ValueError as error:
                problems.append(Problem(f"instruments[{index}].calendar", str(error)))
    if problems:
        raise ConfigError(problems, config.source)
    return found


def maintenance(config: LiveConfig) -> Calendar | None:
    """When the broker is in maintenance; None is never."""
    table = config.broker.maintenance
    return None if table is None else read_calendar(table)


def reconcile_settings(
    config: LiveConfig, mode: RunMode, capabilities: Capabilities, account: str
) -> ReconcileSettings:
    """How a run reconciles with the broker's account of that id."""
    section = config.reconciliation
    return ReconcileSettings(
        live=mode is RunMode.LIVE,
        account=account,
        currency=config.run.currency,
        first_start=section.first_start,
        foreign=section.foreign,
        not_found_is_final_after=capabilities.not_found_is_final_after,
        in_flight=section.intervals.in_flight,
        open_orders=section.intervals.open_orders,
        positions=section.intervals.positions,
        clock=_CLOCK,
        rules=_RULES,
        written={entry.symbol: entry.rules() for entry in config.instruments},
    )


def risk_board(
    config: LiveConfig,
    books: Mapping[str, SymbolBook],
    ledger: Ledger,
    capabilities: Capabilities,
    *,
    extra: Sequence[RiskRule] = (),
) -> RiskBoard:
    """The board of a run; ``extra`` are the rules of plugins.

    Raises:
        ConfigError: a calendar is unknown.
    """
    seconds = parse_interval(config.datafeed.interval).seconds
    return RiskBoard(
        config.risk,
        books=books,
        ledger=ledger,
        capabilities=capabilities,
        interval_ns=None if seconds is None else seconds * 1_000_000_000,
        timezone=config.datafeed.timezone,
        capital=config.run.capital,
        calendars=calendars(config),
        compares_clocks=True,
        extra=extra,
    )
