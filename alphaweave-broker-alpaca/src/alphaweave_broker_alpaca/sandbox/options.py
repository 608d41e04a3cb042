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
        begin: the instant of ``data`` that is the present when the sandbox starts, with an offset; what comes
            before is history, what comes after is played. Without it the dates count as they are; but a file
            that ends in the past is played from its first minute, in a market that never closes.
        symbols: stocks that it trades beside its own and those of ``data``.
        cash: what the account begins with, USD.
        multiplier: buying power for each dollar of equity: 1, 2 or 4.
        quota: requests to the trading API in one window of the rate limit.
        data_quota: the same for the market-data API.
        window: seconds of the sandbox's time that such a window lasts.
        speed: seconds of the sandbox's time in one of the clock's; more than 1 leaves the clock behind.
        always_open: the market has no closing hours.
        holidays: dates on which the market is closed, written 2031-12-25.
        partial_fills: share of executions that are told in two parts, 0 to 1.
        sip: the account's subscription has the feed ``sip``.
        data_connections: how many clients a stock or crypto feed takes at once; 0 is any number.
        fee_delay: seconds after which the fee of a trade in crypto, taken at once, is told.
        seed: of the random numbers behind ``partial_fills``.
    """

    port: int = 0
    data: Path | None = None
    begin: str | None = None
    symbols: tuple[str, ...] = ()
    cash: Decimal = Decimal(1_000_000)
    multiplier: int = 4
    quota: int = 200
    data_quota: int = 200
    window: float = 60.0
    speed: float = 1.0
    always_open: bool = False
    holidays: tuple[str, ...] = ()
    partial_fills: float = 0.0
    sip: bool = False
    data_connections: int = 1
    fee_delay: float = 300.0
    seed: int = 0
