"""The options of the broker `alpaca`, where it is reached, and what it can do."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from attrs import field, frozen
from attrs.validators import gt

from alphaweave.core.order import GroupKind, OrderType, TimeInForce
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.capabilities import Capabilities, ClientIdRules, ClientIdUniqueness

__all__ = ["ALPACA_CAPABILITIES", "AlpacaOptions"]

_PAPER_HOST: Final = "paper-api.alpaca.markets"
_LIVE_HOST: Final = "api.alpaca.markets"
_DOMAIN: Final = "alpaca.markets"
_DATA_HOSTS: Final = frozenset(
    f"{name}.{_DOMAIN}" for name in ("data", "stream.data", "data.sandbox", "stream.data.sandbox")
)
_DATA: Final = "https://data.alpaca.markets"
_DATA_STREAM: Final = "wss://stream.data.alpaca.markets"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PLAIN_HOST: Final = re.compile(r"[a-z0-9._:-]+")
_DAY, _GTC = TimeInForce.DAY, TimeInForce.GTC
_RESTING: Final = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
_BROAD: Final = (_DAY, _GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE)

ALPACA_CAPABILITIES: Final = Capabilities(
    order_types=frozenset(
        [(kind, tif) for kind in (OrderType.MARKET, OrderType.LIMIT) for tif in _BROAD]
        + [(kind, tif) for kind in _RESTING for tif in (_DAY, _GTC)]
    ),
    quote_quantity=frozenset({(OrderType.MARKET, _DAY)}),
    fractional=frozenset(
        [(kind, _DAY) for kind in (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)]
        + [
            # Crypto: the rules of a stock say day.
            (kind, tif)
            for kind in (OrderType.MARKET, OrderType.LIMIT)
            for tif in (_GTC, TimeInForce.IOC)
        ]
        + [(OrderType.STOP_LIMIT, _GTC)]
    ),
    extended_hours=frozenset({(OrderType.LIMIT, _DAY)}),
    shorting=True,
    groups=frozenset({GroupKind.BRACKET, GroupKind.OCO}),
    trail_amount=True,
    trail_percent=True,
    caveats=(
        "Alpaca holds a buy stop as a stop-limit: 4 % above the stop below $50, 2.5 % from there on.",
        "Alpaca refuses an order that would meet one of the same account on the other side.",
        "Alpaca ends a good-till-cancelled order after 90 days.",
        "Alpaca refuses an order that turns a long position short, or a short one long: close it, then open.",
        "Alpaca refuses an order that closes what a resting order is to close: cancel that one first.",
        "Alpaca lets the exits of a bracket work once all of its entry is filled: a part of it has no stop.",
    ),
    client_ids=ClientIdRules(max_length=128, unique=ClientIdUniqueness.FOREVER),
    not_found_is_final_after=60.0,
)


@frozen(kw_only=True)
class AlpacaOptions:
    """How to reach an account.

    Attributes:
        key, secret: the API key; write ${env:APCA_KEY} and ${env:APCA_SECRET}.
        paper: the account is a paper account; False is real money.
        trading_url: where orders go; by default Alpaca's own address for ``paper``.
        trading_stream_url: where order events come from; by default ``trading_url`` with ``/stream``.
        data_url: where market data is asked for; by default Alpaca's own address. The datafeed uses it.
        data_stream_url: where market data is streamed from, without a path; by default Alpaca's own address.
            The datafeed uses it.
        timeout: seconds that one request has, waiting for its turn included.
        patience: seconds that an order waits for room in the request limit before it is not sent.
        heartbeat: seconds between two questions on the event stream. Two and a half of them without a word
            count as a lost connection.
        retry: seconds, the most to wait before the first attempt to connect anew; later ones wait longer.
        requests: requests that the account has within ``requests_window``.
        requests_window: in seconds.
    """

    key: Secret
    secret: Secret
    paper: bool = True
    trading_url: str | None = None
    trading_stream_url: str | None = None
    data_url: str | None = None
    data_stream_url: str | None = None
    timeout: float = field(default=10.0, validator=gt(0))
    patience: float = field(default=30.0, validator=gt(0))
    heartbeat: float = field(default=10.0, validator=gt(0))
    retry: float = field(default=1.0, validator=gt(0))
    requests: int = field(default=200, validator=gt(9))
    requests_window: float = field(default=60.0, validator=gt(0))

    def __attrs_post_init__(self) -> None:
        _check_address("trading_url", self.trading, "https", "http")
        _check_address("trading_stream_url", self.trading_stream, "wss", "ws")
        _check_address("data_url", self.data, "https", "http")
        _check_address("data_stream_url", self.data_stream, "wss", "ws")
        known = frozenset({_PAPER_HOST if self.paper else _LIVE_HOST})
        paper = str(self.paper).lower()
        for name, address, hosts in (
            ("trading_url", self.trading, known),
            ("trading_stream_url", self.trading_stream, known),
            ("data_url", self.data, _DATA_HOSTS),
            ("data_stream_url", self.data_stream, _DATA_HOSTS),
        ):
            host = _host_of(address)
            if host in hosts or not f".{host}".endswith(f".{_DOMAIN}"):
                continue
            if hosts is known:
                raise ValueError(
                    f"{name} is {address}, but with paper {paper} Alpaca is at {min(known)}: make them agree"
                )
            raise ValueError(f"{name} is {address}, no address of Alpaca's market data: leave it out")

    @property
    def trading(self) -> str:
        """Where orders go, without a slash at the end."""
        host = _PAPER_HOST if self.paper else _LIVE_HOST
        return (self.trading_url or f"https://{host}").rstrip("/")

    @property
    def trading_stream(self) -> str:
        """Where order events come from."""
        return self.trading_stream_url or "ws" + self.trading.removeprefix("http") + "/stream"

    @property
    def data(self) -> str:
        """Where market data is asked for, without a slash at the end."""
        return (self.data_url or _DATA).rstrip("/")

    @property
    def data_stream(self) -> str:
        """Where market data is streamed from, without a slash at the end."""
        return (self.data_stream_url or _DATA_STREAM).rstrip("/")


def _host_of(address: str) -> str:
    """Its host as names are compared: a dot at its end says nothing."""
    return (urlsplit(address).hostname or "").rstrip(".")


def _check_address(name: str, address: str, safe: str, plain: str) -> None:
    parts = urlsplit(address)
    if parts.username or parts.password or parts.query:
        raise ValueError(f"{name} is an address alone: keys belong into key and secret")
    if not parts.hostname or parts.scheme not in {safe, plain}:
        raise ValueError(f"{name} is an address with {safe}://, and a host")
    if not _PLAIN_HOST.fullmatch(parts.hostname):
        raise ValueError(f"{name} has a host of other than plain letters, digits, dots and dashes: {address}")
    if parts.scheme == plain and parts.hostname not in _LOOPBACK:
        raise ValueError(f"{name} would send keys in plain text to {parts.hostname}: use {safe}://")
