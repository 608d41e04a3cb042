"""The Registry: from a name in the config to exactly one adapter, or to the reason why not.

Entry points are the index: a name is looked up in the metadata of installed distributions, and only the
module behind the one name asked for is imported. The record that its hook hands back is the contract: it
is checked before anyone uses it. Whatever is doubtful is refused (`AdapterError`), never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, Final, TypeVar

from alphaweave._metadata import Offer, canonical, offers
from alphaweave.core.errors import AdapterMismatch, AmbiguousAdapter, UnknownAdapter
from alphaweave.live.plugin_loader import (
    GROUPS,
    Kind,
    Record,
    Shelf,
    Source,
    check_record,
    listing,
    load_plugin,
    records_of,
    silence,
)
from alphaweave.live.plugins import (
    BrokerPlugin,
    DatafeedPlugin,
    MonitorPlugin,
    RiskRulePlugin,
    SandboxPlugin,
)

__all__ = ["GROUPS", "Kind", "Offer", "Registry"]

R = TypeVar("R", bound=Record)

_BROKERS: Final = Shelf("broker", BrokerPlugin)
_DATAFEEDS: Final = Shelf("datafeed", DatafeedPlugin)
_MONITORS: Final = Shelf("monitor", MonitorPlugin)
_SANDBOXES: Final = Shelf("sandbox", SandboxPlugin)
_RISK_RULES: Final = Shelf("risk_rule", RiskRulePlugin)
_SHELVES: Final[tuple[Shelf[Any], ...]] = (_BROKERS, _DATAFEEDS, _MONITORS, _SANDBOXES, _RISK_RULES)

# Which distribution to install for a name: only names known to be published, for a guessed one could be
# anybody's.
_VENUES: Final = {name: f"alphaweave-broker-{name}" for name in ("alpaca", "binance", "ibkr")}
_SIMULATED: Final = dict.fromkeys(("mock", "paper"), "alphaweave-broker-mock")
_PUBLISHED: Final[Mapping[Kind, Mapping[str, str]]] = {
    "broker": {**_VENUES, **_SIMULATED},
    "datafeed": _VENUES,
    "monitor": {},
    "sandbox": {**_VENUES, **_SIMULATED},
    "risk_rule": {},
}


class Registry:
    """Finds adapters by name. What is installed is read once, when it is first asked for."""

    __slots__ = ("_installed", "_loaded", "_registered")

    def __init__(self) -> None:
        self._installed: Mapping[str, tuple[Offer, ...]] | None = None
        self._loaded: dict[tuple[Kind, Source], tuple[Any, ...]] = {}
        self._registered: list[tuple[object, Mapping[Kind, tuple[Any, ...]]]] = []

    @staticmethod
    def published(kind: Kind) -> Mapping[str, str]:
        """Names known to be published, with their distributions, installed or not."""
        return _PUBLISHED[kind]

    def installed(self, kind: Kind) -> Mapping[str, tuple[Offer, ...]]:
        """What installed distributions offer, by name, from their metadata alone: nothing is imported."""
        if self._installed is None:
            self._installed = offers("alphaweave.")
        found: dict[str, tuple[Offer, ...]] = {}
        for offer in self._installed.get(GROUPS[kind], ()):
            found[offer.name] = (*found.get(offer.name, ()), offer)
        return found

    def broker(self, name: str, *, distribution: str | None = None) -> BrokerPlugin:
        """The broker of that name; from that distribution only, if one is given.

        Raises:
            UnknownAdapter: nobody offers it.
            AmbiguousAdapter: more than one does.
            AdapterImportError: its module, or its hook, raised.
            AdapterContractError: its hooks or its record do not fit this core.
            AdapterMismatch: it has no record of that name, or one for a newer core.
        """
        return self._find(_BROKERS, name, distribution)

    def datafeed(self, name: str, *, distribution: str | None = None) -> DatafeedPlugin:
        """The datafeed of that name; as `broker`."""
        return self._find(_DATAFEEDS, name, distribution)

    def monitor(self, name: str, *, distribution: str | None = None) -> MonitorPlugin:
        """The monitor of that name; as `broker`."""
        return self._find(_MONITORS, name, distribution)

    def sandbox(self, name: str, *, distribution: str | None = None) -> SandboxPlugin:
        """The sandbox of that name; as `broker`."""
        return self._find(_SANDBOXES, name, distribution)

    def risk_rule(self, name: str, *, distribution: str | None = None) -> RiskRulePlugin:
        """The risk rule of that name; as `broker`."""
        return self._find(_RISK_RULES, name, distribution)

    def register(self, plugin: object) -> None:
        """Let names resolve to what this object's hooks offer, in this registry: for tests and notebooks.

        Raises:
            AdapterError: as `broker`.
        """
        if any(plugin is known for known, _ in self._registered):
            return
        source = Source.registered(plugin)
        offered = {
            shelf.kind: tuple(
                check_record(shelf, record, source)
                for record in records_of(shelf, plugin, source, source.value)
            )
            for shelf in _SHELVES
        }
        if not any(offered.values()):
            hooks = ", ".join(shelf.hook for shelf in _SHELVES)
            text = f"{source.label} offers nothing: it implements none of {hooks}, or not with @hookimpl"
            raise AdapterMismatch(text, kind="plugin", name=source.value)
        self._registered.append((plugin, offered))

    def origin(self, record: object) -> str | None:
        """Where a record that was found here comes from: a distribution with its version, for people."""
        for (_, source), records in self._loaded.items():
            if any(record is one for one in records):
                return source.label
        for plugin, offered in self._registered:
            if any(record is one for records in offered.values() for one in records):
                return Source.registered(plugin).label
        return None

    def _find(self, shelf: Shelf[R], name: str, distribution: str | None) -> R:
        own = [record for record in self._own(shelf) if record.name == name]
        found = self.installed(shelf.kind).get(name, ())
        if distribution is not None:
            own = []
            found = tuple(
                offer for offer in found if canonical(offer.distribution) == canonical(distribution)
            )
        if len(own) + len(found) > 1:
            raise _ambiguous(shelf, name, found, len(own))
        if own:
            return own[0]
        if not found:
            raise self._unknown(shelf, name, distribution)
        return self._load(shelf, found[0])

    def _own(self, shelf: Shelf[R]) -> list[R]:
        return [record for _, offered in self._registered for record in offered[shelf.kind]]

    def _load(self, shelf: Shelf[R], offer: Offer) -> R:
        source = Source.installed(offer)
        records: tuple[R, ...] | None = self._loaded.get((shelf.kind, source))
        if records is None:
            plugin = load_plugin(shelf, offer)
            records = records_of(shelf, plugin, source, offer.name)
            if not records:
                raise _not_offered(shelf, offer, silence(plugin, shelf))
            self._loaded[shelf.kind, source] = records
        for record in records:
            if record.name == offer.name:
                return check_record(shelf, record, source)
        names = listing([repr(record.name) for record in records])
        raise _not_offered(shelf, offer, f"what it yields is named {names}")

    def _unknown(self, shelf: Shelf[Any], name: str, distribution: str | None) -> UnknownAdapter:
        installed = self.installed(shelf.kind)
        here = sorted({*installed, *(record.name for record in self._own(shelf))})
        listed = ", ".join(here) or "none"
        published = _PUBLISHED[shelf.kind]
        error = partial(UnknownAdapter, kind=shelf.kind, name=name, installed=here)
        if name in installed:
            others = listing([Source.installed(offer).label for offer in installed[name]])
            return error(
                f"{distribution} offers no {shelf.noun} named {name!r}, but {others} does. "
                f"Correct `distribution:`, or leave it out."
            )
        head = f"no {shelf.noun} named {name!r}; installed: {listed}."
        missing = f" Try: pip install {published[name]}" if name in published else ""
        for other in _SHELVES:
            if elsewhere := self.installed(other.kind).get(name):
                text = f"{name!r} is installed as a {other.noun}, not a {shelf.noun}"
                here_too = published.get(name) in {offer.distribution for offer in elsewhere}
                text += f"; installed {shelf.plural}: {listed}.{'' if here_too else missing}"
                return error(text, other_kind=other.kind)
        if missing:
            return error(f"{head}{missing}")
        near = get_close_matches(name.lower(), [*here, *published], n=1)
        if not near:
            return error(f"{head} `alphaweave plugins` shows who offers what.")
        advice = f" Try: pip install {published[near[0]]}" if near[0] not in here else ""
        return error(f"{head} Did you mean {near[0]!r}?{advice}", suggestion=near[0])


def _not_offered(shelf: Shelf[Any], offer: Offer, why: str) -> AdapterMismatch:
    declared = f"{Source.installed(offer).label} declares a {shelf.noun} named {offer.name!r}"
    return AdapterMismatch(
        f"{declared}, but {offer.value} does not offer it: {why}. Its authors have to mend it.",
        kind=shelf.kind,
        name=offer.name,
    )


def _ambiguous(shelf: Shelf[Any], name: str, found: Sequence[Offer], own: int) -> AmbiguousAdapter:
    sources = [f"{Source.installed(offer).label} ({offer.value})" for offer in found]
    if own:
        sources += ["one registered in this process"] * own
        head = f"{len(sources)} {shelf.plural} are named {name!r}"
        advice = "Register yours under another name."
    elif len({canonical(offer.distribution) for offer in found}) == 1:
        head = f"{Source.installed(found[0]).label} offers the {shelf.noun} {name!r} more than once"
        advice = "Its authors have to mend it."
    else:
        head = f"{len(sources)} installed distributions offer a {shelf.noun} named {name!r}"
        # Only the broker's section of a config has a pin.
        advice = f"Uninstall one{', or set `distribution:`' if shelf is _BROKERS else ''}."
    return AmbiguousAdapter(
        f"{head}: {listing(sources)}. {advice}", kind=shelf.kind, name=name, distributions=sources
    )
