"""What the sandbox can be told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from attrs import frozen

__all__ = ["SandboxOptions"]


@frozen(kw_only=True)
class SandboxOptions:
    """The sandbox's options.

    Attributes:
        port: where to listen on loopback; 0 is any free one.
        data: a CSV file with the columns symbol, date, open, high, low, close, volume; one row for a minute.
        begin: the instant of ``data`` that is the present when the sandbox starts, to the minute and with an
            offset; what comes before is history, what comes after is played. Without it the dates count as
            they are; but a file that ends in the past is played from its first minute, in a market that never
            closes.
        symbols: stocks that it trades beside its own and those of ``data``.
        account: the account's number; those of paper money begin with DU.
        other_accounts: accounts that the same user has; empty ones.
        cash: what the account begins with, USD.
        rate: messages that a client may send in a second.
        read_only: the gateway takes no orders.
        market_data: ``live``, ``delayed`` (live data is not subscribed) or ``none``.
        lines: instruments whose market data a client may have at once.
        master: the client id that is told of everybody's orders.
        speed: seconds of the sandbox's time in one of the clock's; more than 1 leaves the clock behind.
        reset: time of day in New York, written 23:45, at which the gateway restarts; None is never.
        away: seconds of the sandbox's time for which it takes no connection then.
        always_open: the market has no closing hours.
        holidays: dates on which the stock market is closed, written 2031-12-25.
        partial_fills: share of executions that are told in two parts, 0 to 1.
        seed: of the random numbers behind ``partial_fills``.
    """

    port: int = 0
    data: Path | None = None
    begin: str | None = None
    symbols: tuple[str, ...] = ()
    account: str = "DU1234567"
    other_accounts: tuple[str, ...] = ()
    cash: Decimal = Decimal(1_000_000)
    rate: int = 50
    read_only: bool = False
    market_data: str = "live"
    lines: int = 100
    master: int | None = None
    speed: float = 1.0
    reset: str | None = None
    away: float = 0.0
    always_open: bool = False
    holidays: tuple[str, ...] = ()
    partial_fills: float = 0.0
    seed: int = 0
