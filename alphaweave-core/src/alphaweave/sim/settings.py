"""How a simulated venue behaves."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from attrs import Attribute, field, frozen
from attrs.validators import ge, in_, lt, optional

from alphaweave.sim.costs import FeeModel, SlippageModel

__all__ = ["Fault", "VenueSettings"]


@frozen
class Fault:
    """One scripted refusal.

    Attributes:
        kind: ``reject_order`` refuses a submission, ``cancel_reject`` a cancel.
        nth: which one, counted from 1 since the venue began; every leg of a group counts, and a
            refused leg refuses its group.
        reason: the reason code of the refusal.
    """

    kind: Literal["reject_order", "cancel_reject"] = field(validator=in_(("reject_order", "cancel_reject")))
    nth: int = field(validator=ge(1))
    reason: str = "scripted"


def _share(instance: object, attribute: Attribute[Decimal | None], value: Decimal | None) -> None:
    if value is not None and not 0 < value <= 1:
        raise ValueError(f"{attribute.name} is a share above 0 and up to 1, not {value}")


def _above_zero(instance: object, attribute: Attribute[Decimal], value: Decimal) -> None:
    if not value > 0:
        raise ValueError(f"{attribute.name} must be greater than zero, not {value}")


def _zone(instance: object, attribute: Attribute[str], value: str) -> None:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"{attribute.name}: {value!r} is not a time zone; write UTC or a name like America/New_York"
        ) from None


@frozen(kw_only=True)
class VenueSettings:
    """Settings of a `SimVenue`; ``docs/simulation.md`` gives the rules they steer.

    Attributes:
        fill_at: ``next_open`` fills a market order at the open of the next bar, ``last`` at once at the
            last close.
        limit_fill: ``open_or_limit`` fills a limit order that the open gapped through at the open,
            ``limit`` at its limit.
        volume_share: most of a bar's volume that may be filled in it; None: volume is ignored.
        latency_ns: an order can match only in bars that start that long after it was submitted.
        leverage: gross exposure allowed per unit of equity.
        check_funds: refuse orders that exceed ``leverage``.
        allow_short: positions may become negative, where the instrument is shortable.
        session_timezone: whose calendar days are the sessions.
        random_partials: probability that a fill is cut to a random part of its size.
        history: how many ended orders, and how many fills, stay known; None: all.
        faults: scripted refusals.
    """

    fill_at: Literal["next_open", "last"] = field(default="next_open", validator=in_(("next_open", "last")))
    limit_fill: Literal["open_or_limit", "limit"] = field(
        default="open_or_limit", validator=in_(("open_or_limit", "limit"))
    )
    volume_share: Decimal | None = field(default=None, validator=_share)
    fees: FeeModel = field(factory=FeeModel)
    slippage: SlippageModel = field(factory=SlippageModel)
    latency_ns: int = field(default=0, validator=ge(0))
    leverage: Decimal = field(default=Decimal(1), validator=_above_zero)
    check_funds: bool = True
    allow_short: bool = True
    session_timezone: str = field(default="UTC", validator=_zone)
    random_partials: float = field(default=0.0, validator=[ge(0.0), lt(1.0)])
    history: int | None = field(default=None, validator=optional(ge(0)))
    faults: tuple[Fault, ...] = ()
