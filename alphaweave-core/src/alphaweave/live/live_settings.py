"""How the core of a live run is set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Attribute, field, frozen
from attrs.validators import ge, gt

from alphaweave.live.sessions import Calendar

__all__ = ["LiveSettings"]


def _positive(settings: object, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"{attribute.name} is in seconds, above 0, not {value}")


@frozen(kw_only=True)
class LiveSettings:
    """What the core needs to know of a live run, besides what its parts know.

    Attributes:
        max_decision_age: seconds after its input was taken in during which a decision may still be sent;
            None is no limit.
        max_slice_age: seconds after its end during which a slice may be traded on; on an older one, met while
            catching up, every order of the strategy is refused, one that reduces too. None is no limit.
        adopt_foreign: a fill that no order of this run explains is booked, and halts nothing.
        snapshot_every: decisions between two snapshots in the journal.
        archive_after: seconds after which a snapshot moves an execution from memory to the journal's archive.
        history: rows of each series that a snapshot keeps, for a strategy to look back on after a restart.
        opening: what the run begins with, as JSON values: the journal keeps it with each start.
        maintenance: when the broker is in maintenance; None is never.
        flatten_tries: how often closing one position is tried before it is left to a person.
    """

    max_decision_age: float | None = field(default=30.0, validator=_positive)
    max_slice_age: float | None = field(default=None, validator=_positive)
    adopt_foreign: bool = False
    snapshot_every: int = field(default=1000, validator=gt(0))
    archive_after: float = field(default=86_400.0, validator=_positive)
    history: int = field(default=500, validator=ge(1))
    opening: Mapping[str, Any] = field(factory=dict)
    maintenance: Calendar | None = None
    flatten_tries: int = field(default=3, validator=ge(1))
