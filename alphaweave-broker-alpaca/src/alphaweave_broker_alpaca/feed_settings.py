"""The options of the datafeed `alpaca`, and what it can deliver."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from attrs import evolve, field, frozen
from attrs.validators import in_

from alphaweave.live.datafeed import FeedCapabilities, FeedKind
from alphaweave_broker_alpaca.settings import AlpacaOptions

__all__ = ["FEED_CAPABILITIES", "AlpacaFeedOptions"]

_FEEDS: Final = ("iex", "sip", "delayed_sip", "crypto")
_ADJUSTMENTS: Final = ("raw", "split", "dividend", "spin-off", "all")

FEED_CAPABILITIES: Final = FeedCapabilities(
    kinds=frozenset(FeedKind),
    intervals=frozenset(
        {
            *(f"{minutes}m" for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
            *(f"{hours}h" for hours in (1, 2, 3, 4, 6, 8, 12)),
            "1d",
            "1w",
        }
    ),
    historical=True,
    realtime=True,
    adjustment="split",
)


@frozen(kw_only=True)
class AlpacaFeedOptions(AlpacaOptions):
    """Those of the broker, and which data.

    Attributes:
        feed: ``iex`` (one exchange, for every account), ``sip`` (all of them, by subscription),
            ``delayed_sip`` (all of them, 15 minutes late) or ``crypto``.
        adjustment: of past prices, to those of today: ``raw`` (none), ``split``, ``dividend``, ``spin-off``,
            or ``all`` of them.
        settle: seconds after its end within which a minute may still be on its way.
    """

    feed: Literal["iex", "sip", "delayed_sip", "crypto"] = field(default="iex", validator=in_(_FEEDS))
    adjustment: Literal["raw", "split", "dividend", "spin-off", "all"] = field(
        default="split", validator=in_(_ADJUSTMENTS)
    )
    settle: float = field(default=5.0)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if not 0 <= self.settle <= 60:
            raise ValueError(f"settle is from 0 to 60 seconds, not {self.settle}")

    @property
    def capabilities(self) -> FeedCapabilities:
        """Those of the feed that is chosen."""
        adjustment = None if self.feed == "crypto" else self.adjustment
        return evolve(FEED_CAPABILITIES, delayed=self.feed == "delayed_sip", adjustment=adjustment)

    @property
    def delay(self) -> timedelta:
        """How much later than they happen things are told."""
        return timedelta(minutes=15) if self.feed == "delayed_sip" else timedelta()

    @property
    def socket(self) -> str:
        """The address of the stream, with its path."""
        path = "/v1beta3/crypto/us" if self.feed == "crypto" else f"/v2/{self.feed}"
        return self.data_stream + path
