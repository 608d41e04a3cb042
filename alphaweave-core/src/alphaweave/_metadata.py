"""What installed distributions offer: the only module that reads distribution metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen
from importlib_metadata import EntryPoint, entry_points

__all__ = ["Offer", "canonical", "load", "offers"]


@frozen
class Offer:
    """One entry point of an installed distribution.

    Attributes:
        name: the adapter's name, as a config writes it.
        value: the module behind it (``module`` or ``module:attribute``).
        distribution, version: who offers it.
    """

    name: str
    value: str
    distribution: str
    version: str


def canonical(distribution: str) -> str:
    """A distribution's name in the one spelling in which names are compared."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def offers(prefix: str) -> dict[str, tuple[Offer, ...]]:
    """Every offer in the entry-point groups that begin with ``prefix``, by group. Imports nothing.

    A distribution that is found twice (an editable and a normal install, say) offers a thing once.
    """
    groups: dict[str, dict[tuple[str, str, str], Offer]] = {}
    for group, offer in _found(prefix):
        key = (offer.name, offer.value, canonical(offer.distribution))
        groups.setdefault(group, {}).setdefault(key, offer)
    return {
        group: tuple(sorted(found.values(), key=lambda offer: (offer.name, offer.distribution)))
        for group, found in groups.items()
    }


def _found(prefix: str) -> Iterator[tuple[str, Offer]]:
    for point in entry_points():
        if not point.group.startswith(prefix) or point.dist is None:
            continue
        try:
            yield point.group, Offer(point.name, point.value, point.dist.name, point.dist.version)
        except (OSError, KeyError, TypeError):
            # What a broken uninstall left behind has no METADATA: it is nobody's offer.
            continue


def load(offer: Offer) -> object:
    """Import what an offer names. Whatever that import raises comes out unchanged."""
    loaded: object = EntryPoint(offer.name, offer.value, "").load()
    return loaded
