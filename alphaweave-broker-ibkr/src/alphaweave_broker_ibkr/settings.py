"""The options of the broker `ibkr`, where the gateway is reached, and what can be done there."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from attrs import field, frozen
from attrs.validators import ge, gt, le

from alphaweave.core.order import GroupKind, OrderType, TimeInForce
from alphaweave.live.adapters.capabilities import Capabilities, ClientIdRules, ClientIdUniqueness

__all__ = ["IBKR_CAPABILITIES", "IbkrOptions", "Reach"]

_DAY, _GTC, _GTD = TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD
_IOC, _FOK = TimeInForce.IOC, TimeInForce.FOK
_OPEN, _CLOSE = TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE
_STOPS: Final = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
_COINS: Final = frozenset({(OrderType.MARKET, _IOC), (OrderType.LIMIT, _IOC)})

IBKR_CAPABILITIES: Final = Capabilities(
    order_types=frozenset(
        [(OrderType.MARKET, tif) for tif in (_DAY, _GTC, _IOC, _OPEN, _CLOSE)]
        + [(OrderType.LIMIT, tif) for tif in (_DAY, _GTC, _GTD, _IOC, _FOK, _OPEN, _CLOSE)]
        + [(kind, tif) for kind in _STOPS for tif in (_DAY, _GTC, _GTD)]
    ),
    # Coins alone are bought by an amount of money, and held in parts of one.
    quote_quantity=frozenset({(OrderType.MARKET, _IOC)}),
    fractional=_COINS,
    extended_hours=frozenset((OrderType.LIMIT, tif) for tif in (_DAY, _GTC, _GTD)),
    default_tif=dict.fromkeys(OrderType, (_DAY, _IOC)),
    shorting=True,
    groups=frozenset({GroupKind.BRACKET, GroupKind.OCO}),
    replace=frozenset({"quantity", "limit_price", "stop_price", "trail"}),
    trail_amount=True,
    trail_percent=True,
    fee_reports=True,
    caveats=(
        "Interactive Brokers may hold a stop and trigger it itself.",
        "Interactive Brokers forgets executions at midnight: what a run misses over one is told as a gap.",
        "What is paid in or out of an account at Interactive Brokers is seen as a difference of its cash.",
    ),
    client_ids=ClientIdRules(alphabet="[A-Za-z0-9_-]", max_length=40, unique=ClientIdUniqueness.NOT_ENFORCED),
    not_found_is_final_after=60.0,
)


def _zone(instance: object, attribute: object, value: str) -> None:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"timezone is an IANA name such as America/New_York, not {value!r}") from None


@frozen(kw_only=True)
class Reach:
    """Where the gateway is, and how long to wait for it.

    Attributes:
        host: the machine that TWS or IB Gateway runs on. The protocol has no password and is in plain text:
            keep it to one machine, or to a tunnel.
        port: 7497 for TWS and 4002 for IB Gateway on paper; 7496 and 4001 with real money.
        client_id: of this connection. It stays the same for ever: only the client that placed an order
            can change or cancel it. Nothing else may connect with it.
        timezone: IANA name of the zone that the gateway is set to: its day begins at midnight there.
        timeout: seconds that one request has.
        patience: seconds that a request waits for room in the message rate, and that connecting tries on
            while the gateway still holds the client id of a connection that is gone.
        heartbeat: seconds between two questions that prove that the gateway is there.
        retry: seconds, the most to wait before the first attempt to connect anew; later ones wait longer.
        rate: messages a second, of the 50 that the gateway takes.
    """

    host: str = "127.0.0.1"
    port: int = field(default=7497, validator=[ge(1), le(65535)])
    client_id: int = field(default=1, validator=[ge(1), le(2**31 - 1)])
    timezone: str = field(default="America/New_York", validator=_zone)
    timeout: float = field(default=10.0, validator=gt(0))
    patience: float = field(default=30.0, validator=gt(0))
    heartbeat: float = field(default=10.0, validator=gt(0))
    retry: float = field(default=1.0, validator=gt(0))
    rate: int = field(default=45, validator=[ge(10), le(50)])

    def __attrs_post_init__(self) -> None:
        if not self.host.strip():
            raise ValueError("host is the name or address of a machine")


@frozen(kw_only=True)
class IbkrOptions(Reach):
    """How to reach an account.

    Attributes:
        read_only: send no order whatever happens: for a gateway whose API is read-only, and to watch.
    """

    read_only: bool = False
