"""The options of the broker `binance`, where it is reached, and what it can do."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from attrs import field, frozen
from attrs.validators import ge, gt, in_, le

from alphaweave.core.order import GroupKind, OrderType, TimeInForce
from alphaweave.core.secret import Secret
from alphaweave.live.adapters.capabilities import Capabilities, ClientIdRules, ClientIdUniqueness

__all__ = ["BINANCE_CAPABILITIES", "LISTING_LAG", "BinanceOptions", "Reach"]

# Questions are answered from copies that lag behind the book: by at most so many seconds.
LISTING_LAG: Final = 60.0

_HOSTS: Final = {
    "mainnet": ("https://api.binance.com", "wss://ws-api.binance.com/ws-api/v3", "wss://stream.binance.com"),
    "testnet": (
        "https://testnet.binance.vision",
        "wss://ws-api.testnet.binance.vision/ws-api/v3",
        "wss://stream.testnet.binance.vision",
    ),
    "demo": (
        "https://demo-api.binance.com",
        "wss://demo-ws-api.binance.com/ws-api/v3",
        "wss://demo-stream.binance.com",
    ),
}
_DOMAINS: Final = ("binance.com", "binance.us", "binance.me", "binance.vision")
_KNOWN: Final = {
    "mainnet": frozenset(
        {f"{name}.binance.com" for name in ("api", "api-gcp", "api1", "api2", "api3", "api4")}
        | {f"{name}.binance.com" for name in ("ws-api", "stream")}
        | {f"{name}.binance.vision" for name in ("data-api", "data-stream")}
    ),
    "testnet": frozenset({f"{name}testnet.binance.vision" for name in ("", "ws-api.", "stream.")}),
    "demo": frozenset({f"demo-{name}.binance.com" for name in ("api", "ws-api", "stream")}),
}
_PLAIN_HOST: Final = re.compile(r"[a-z0-9._:-]+")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LONGEST_WINDOW: Final = 9000
# For so many seconds a request may be at work in Binance's engine without an answer.
_ENGINE: Final = 10.0
_MARGIN: Final = 1.0
_GTC, _IOC, _FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
_PAIRS: Final = frozenset(
    [(OrderType.MARKET, _IOC)]
    + [(kind, _GTC) for kind in (OrderType.STOP, OrderType.TAKE_PROFIT, OrderType.TRAILING_STOP)]
    + [
        (kind, tif)
        for kind in (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
        for tif in (_GTC, _IOC, _FOK)
    ]
)

BINANCE_CAPABILITIES: Final = Capabilities(
    order_types=_PAIRS,
    quote_quantity=frozenset({(OrderType.MARKET, _IOC)}),
    fractional=_PAIRS,
    default_tif={kind: (_IOC,) if kind is OrderType.MARKET else (_GTC,) for kind in OrderType},
    groups=frozenset({GroupKind.BRACKET, GroupKind.OCO}),
    fractional_groups=True,
    post_only=True,
    trail_percent=True,
    fee_reports=True,
    caveats=(
        "Binance refuses a stop or a take profit that would trigger at once.",
        "Binance takes its fee of a purchase out of what was bought, unless it is paid in BNB.",
        "Exits of a bracket for more than is held are refused then, and the entry is left without them.",
        "The take profit of a group only makes liquidity at Binance.",
    ),
    client_ids=ClientIdRules(max_length=36, unique=ClientIdUniqueness.WHILE_OPEN),
    # The window in which it is accepted, the engine's own time limit, the lag of the answer, and a margin.
    not_found_is_final_after=_LONGEST_WINDOW / 1000 + _ENGINE + LISTING_LAG + _MARGIN,
)


@frozen(kw_only=True)
class Reach:
    """Where Binance is, and how long to wait for it.

    Attributes:
        environment: ``testnet`` or ``demo``, which are play money, or ``mainnet``.
        rest_url: where requests go; by default the environment's own address.
        ws_api_url: where account events come from, with its path; by default the environment's own address.
        stream_url: where market data is streamed from, without a path; by default the environment's own
            address. The datafeed uses it.
        timeout: seconds that one request has.
        patience: seconds that an order waits for room in the request limits before it is not sent.
        heartbeat: seconds between two questions on a stream. Two and a half of them without a word count as
            a lost connection.
        lifetime: seconds after which a stream is opened anew, before Binance closes it at a day.
        retry: seconds, the most to wait before the first attempt to connect anew; later ones wait longer.
    """

    environment: str = field(default="testnet", validator=in_(tuple(_HOSTS)))
    rest_url: str | None = None
    ws_api_url: str | None = None
    stream_url: str | None = None
    timeout: float = field(default=10.0, validator=gt(0))
    patience: float = field(default=30.0, validator=gt(0))
    heartbeat: float = field(default=20.0, validator=gt(0))
    lifetime: float = field(default=23 * 3600.0, validator=[gt(0), le(86400.0)])
    retry: float = field(default=1.0, validator=gt(0))

    def __attrs_post_init__(self) -> None:
        for name, address, safe, plain in (
            ("rest_url", self.rest, "https", "http"),
            ("ws_api_url", self.ws_api, "wss", "ws"),
            ("stream_url", self.stream, "wss", "ws"),
        ):
            _check_address(name, address, safe, plain)
            _check_environment(name, address, self.environment)

    @property
    def is_real(self) -> bool:
        """Whether it is real money."""
        return self.environment == "mainnet"

    @property
    def rest(self) -> str:
        """Where requests go, without a slash at the end."""
        return (self.rest_url or _HOSTS[self.environment][0]).rstrip("/")

    @property
    def ws_api(self) -> str:
        """Where account events come from."""
        return (self.ws_api_url or _HOSTS[self.environment][1]).rstrip("/")

    @property
    def stream(self) -> str:
        """Where market data is streamed from, without a slash at the end."""
        return (self.stream_url or _HOSTS[self.environment][2]).rstrip("/")


@frozen(kw_only=True)
class BinanceOptions(Reach):
    """How to reach an account.

    Attributes:
        key: the API key; write ${env:BINANCE_KEY}.
        secret: what signs: the secret of an HMAC key, write ${env:BINANCE_SECRET}; or the private key of an
            Ed25519 key, in PEM, write file:PATH.
        password: opens the private key, where it is encrypted.
        allow_withdrawals: a key that may withdraw is taken, too.
        recv_window: milliseconds that a request may take on its way and is still accepted.
    """

    key: Secret
    secret: Secret
    password: Secret | None = None
    allow_withdrawals: bool = False
    recv_window: int = field(default=5000, validator=[ge(1), le(_LONGEST_WINDOW)])


def _check_environment(name: str, address: str, environment: str) -> None:
    # A dot at the end of a host says nothing.
    host = (urlsplit(address).hostname or "").rstrip(".")
    if host in _KNOWN[environment] or not f".{host}".endswith(tuple(f".{domain}" for domain in _DOMAINS)):
        return
    found = next((one for one, hosts in _KNOWN.items() if host in hosts), None)
    if found is not None:
        raise ValueError(
            f"{name} is {address}, of the {found}, but environment is {environment}: make them agree"
        )
    known = ", ".join(sorted(_KNOWN[environment]))
    raise ValueError(
        f"{name} is {address}, no address of an environment for spot: the {environment} is at {known}"
    )


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
