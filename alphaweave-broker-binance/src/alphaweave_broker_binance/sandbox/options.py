"""What the sandbox can be told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from attrs import field, frozen, validators

__all__ = ["SandboxOptions"]


@frozen(kw_only=True)
class SandboxOptions:
    """The sandbox's options.

    Attributes:
        port: where to listen on loopback; 0 is any free one.
        data: a CSV file with the columns symbol, date, open, high, low, close, volume; one row for a minute.
        begin: the instant of ``data`` that is the present when the sandbox starts, with an offset; what comes
            before is history, what comes after is played. Without it the dates count as they are; but a file
            that ends in the past is played from its first minute.
        symbols: pairs that it trades beside its own and those of ``data``.
        cash: what the account begins with, USDT.
        bnb: BNB that the account begins with beside it. While it lasts, commissions are paid in it, a
            quarter cheaper; without any they are taken from what a trade brings.
        maker, taker: commission, as a share of what is traded.
        keys: ``hmac`` or ``ed25519``: which key `options` has; the account knows both.
        weight: request weight for each address in a minute.
        orders_10s, orders_day: orders that are not filled, in ten seconds and in a day.
        connects: connections to sockets for each address in five minutes.
        lag: seconds of the sandbox's time until a new order is found by a question.
        events_first: the events of an order go out before its answer.
        ping: real seconds from one ping to the next; 20 at Binance, and less here, so that silence is
            noticed in a test.
        pong: real seconds in which a client has to answer a ping.
        lifetime: real seconds after which a socket is closed; 0 is never.
        speed: seconds of the sandbox's time in one of the clock's; more than 1 leaves the clock behind.
        partial_fills: share of executions that are told in two parts, 0 to 1.
        trading: the account may trade.
        withdrawals: the keys may withdraw.
        seed: of the random numbers behind ``partial_fills`` and the ids that the venue makes.
    """

    port: int = 0
    data: Path | None = None
    begin: str | None = None
    symbols: tuple[str, ...] = ()
    cash: Decimal = Decimal(1_000_000)
    bnb: Decimal = Decimal(10)
    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")
    keys: str = field(default="hmac", validator=validators.in_(("hmac", "ed25519")))
    weight: int = 6_000
    orders_10s: int = 100
    orders_day: int = 200_000
    connects: int = 300
    lag: float = 0.0
    events_first: bool = False
    ping: float = 0.2
    pong: float = 60.0
    lifetime: float = 0.0
    speed: float = 1.0
    partial_fills: float = 0.0
    trading: bool = True
    withdrawals: bool = False
    seed: int = 0
