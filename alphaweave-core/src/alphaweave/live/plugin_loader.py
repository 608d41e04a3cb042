"""From a plugin module, or an object like one, to checked records, or to the error that says why not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

import attrs
import pluggy
from attrs import frozen

from alphaweave import __version__
from alphaweave._metadata import Offer, load
from alphaweave.core.errors import AdapterContractError, AdapterImportError, AdapterMismatch
from alphaweave.live import hookspecs
from alphaweave.live.plugins import API_LEVEL

__all__ = [
    "CORE",
    "GROUPS",
    "Kind",
    "Record",
    "Shelf",
    "Source",
    "check_record",
    "listing",
    "load_plugin",
    "records_of",
    "silence",
]

CORE: Final = "alphaweave-core"

Kind = Literal["broker", "datafeed", "monitor", "sandbox", "risk_rule"]

GROUPS: Final[Mapping[Kind, str]] = {
    "broker": "alphaweave.brokers",
    "datafeed": "alphaweave.datafeeds",
    "monitor": "alphaweave.monitors",
    "sandbox": "alphaweave.sandboxes",
    "risk_rule": "alphaweave.risk_rules",
}
"""The entry-point group of each kind."""

_HOOKS: Final = tuple(group.replace(".", "_") for group in GROUPS.values())
_UPGRADE: Final = f"Try: pip install -U {CORE}"
_MEND: Final = "Its authors have to mend it."


class Record(Protocol):
    """What all plugin records have in common."""

    @property
    def name(self) -> str: ...
    @property
    def create(self) -> Callable[..., Any]: ...
    @property
    def options(self) -> type: ...
    @property
    def api(self) -> int: ...


R = TypeVar("R", bound=Record)


@frozen(eq=False)
class Shelf(Generic[R]):
    """One kind of adapter, and the record that its hook hands back."""

    kind: Kind
    record: type[R]

    @property
    def hook(self) -> str:
        return GROUPS[self.kind].replace(".", "_")

    @property
    def noun(self) -> str:
        """The kind, for people."""
        return self.kind.replace("_", " ")

    @property
    def plural(self) -> str:
        return GROUPS[self.kind].removeprefix("alphaweave.").replace("_", " ")


@frozen
class Source:
    """Where a plugin comes from.

    Attributes:
        label: the distribution with its version, or words for an object that was registered.
        value: the module, as the entry point names it.
        distribution: what to upgrade; None for an object that was registered.
    """

    label: str
    value: str
    distribution: str | None = None

    @classmethod
    def installed(cls, offer: Offer) -> Source:
        return cls(f"{offer.distribution} {offer.version}", offer.value, offer.distribution)

    @classmethod
    def registered(cls, plugin: object) -> Source:
        name = str(getattr(plugin, "__name__", type(plugin).__qualname__))
        return cls(f"the registered {name}", name)

    @property
    def advice(self) -> str:
        return f" Try: pip install -U {self.distribution}" if self.distribution else ""


def load_plugin(shelf: Shelf[Any], offer: Offer) -> object:
    """Import what an offer names.

    Raises:
        AdapterImportError: it raised; tells a module that is not there from one that could not be run.
    """
    try:
        return load(offer)
    # A module that calls sys.exit() must not end the run as if all were well.
    except (Exception, SystemExit) as error:
        source = Source.installed(offer)
        module = offer.value.partition(":")[0].strip()
        missing = f"{error.name or ''}." if isinstance(error, ImportError) else ""
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(missing):
            why = (
                f"its module {module} is not there. Try: pip install --force-reinstall {source.distribution}"
            )
        elif missing.startswith("alphaweave."):
            why = f"does not fit {CORE} {__version__}: {_cause(error)}. {_UPGRADE}"
        else:
            why = f"cannot be imported: {_cause(error)}.{source.advice}"
        raise AdapterImportError(
            f"{shelf.noun} {offer.name!r} ({source.label}) is installed but {why}",
            kind=shelf.kind,
            name=offer.name,
            distribution=source.label,
        ) from error


def records_of(shelf: Shelf[R], plugin: object, source: Source, name: str) -> tuple[R, ...]:
    """What the plugin offers of this kind, from its own hook. ``name`` is for the error's data only.

    Each plugin is judged in a manager of its own: nobody else's hook is called, and one that is refused
    leaves nothing behind.

    Raises:
        AdapterContractError: it is a class, one of its hooks is misspelt or asks for too much, or it
            hands back something else than records.
        AdapterImportError: the hook raised.
    """
    hook = shelf.hook

    def misfit(what: str, advice: str = _MEND) -> AdapterContractError:
        return _misfit(shelf, source, name, what, advice)

    if inspect.isclass(plugin):
        raise misfit(f"{plugin.__qualname__} is a class, and a plugin is a module or an instance")
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, source.value)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        what, advice = _complaint(manager, plugin, error)
        raise misfit(what, advice) from error
    records: list[R] = []
    try:
        for answer in getattr(manager.hook, hook)():
            if not isinstance(answer, Iterable):
                raise misfit(f"{hook} returns a {type(answer).__name__} instead of yielding records")
            records.extend(answer)
    except AdapterContractError:
        raise
    except (Exception, SystemExit) as error:
        why = f"{hook} raised {type(error).__name__}: {error}.{source.advice}"
        raise AdapterImportError(
            f"{shelf.noun} {name!r} ({source.label}) cannot be loaded: {why}",
            kind=shelf.kind,
            name=name,
            distribution=source.label,
        ) from error
    for record in records:
        if not isinstance(record, shelf.record):
            raise misfit(
                f"{hook} yields {type(record).__name__} objects, not {shelf.record.__name__} records"
            )
    names = [record.name for record in records]
    for each in names:
        if names.count(each) > 1:
            raise misfit(f"{hook} yields {each!r} more than once")
    return tuple(records)


def check_record(shelf: Shelf[R], record: R, source: Source) -> R:
    """The record, if this core can use it.

    Raises:
        AdapterMismatch: it is made for a newer core.
        AdapterContractError: a field of it is not what it has to be.
    """
    for fits, what in (
        (isinstance(record.api, int), "api is not a whole number"),
        (inspect.isclass(record.options) and attrs.has(record.options), "options is not an attrs class"),
        (callable(record.create), "create cannot be called"),
    ):
        if not fits:
            raise _misfit(shelf, source, record.name, f"in the record {record.name!r}, {what}", _MEND)
    if record.api > API_LEVEL:
        raise AdapterMismatch(
            f"{shelf.noun} {record.name!r} ({source.label}) is made for API level {record.api}, and {CORE} "
            f"{__version__} has level {API_LEVEL}. {_UPGRADE}",
            kind=shelf.kind,
            name=record.name,
        )
    return record


def silence(plugin: object, shelf: Shelf[Any]) -> str:
    """Why a plugin yields no record of this kind."""
    if not inspect.isroutine(getattr(plugin, shelf.hook, None)):
        return f"it does not implement {shelf.hook}"
    return f"its {shelf.hook} yields nothing, or is not marked with @hookimpl"


def listing(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _misfit(shelf: Shelf[Any], source: Source, name: str, what: str, advice: str) -> AdapterContractError:
    text = f"{source.label} does not fit {CORE} {__version__}: {what}. {advice}"
    return AdapterContractError(text, kind=shelf.kind, name=name)


def _complaint(
    manager: pluggy.PluginManager, plugin: object, error: pluggy.PluginValidationError
) -> tuple[str, str]:
    """What is wrong with a plugin that pluggy refused, and what to do: which hook, which argument."""
    for attribute in dir(plugin):
        marker = manager.parse_hookimpl_opts(plugin, attribute)
        hook = (marker.get("specname") or attribute) if marker else attribute
        if marker is None or (hook not in _HOOKS and marker.get("optionalhook")):
            continue
        if hook not in _HOOKS:
            near = get_close_matches(hook, _HOOKS, n=1)
            return f"there is no hook {hook!r}", f"Did you mean {near[0]!r}?" if near else _UPGRADE
        known = inspect.signature(getattr(hookspecs, hook)).parameters
        asked = [
            repr(name)
            for name in inspect.signature(getattr(plugin, attribute)).parameters
            if name not in known
        ]
        if asked:
            return f"{attribute} asks for {listing(asked)}", _UPGRADE
    return " ".join(str(error).split()), _UPGRADE


def _cause(error: BaseException) -> str:
    text = str(error).rstrip(".")
    return (
        text
        if text and isinstance(error, ImportError)
        else f"{type(error).__name__}: {text}".removesuffix(": ")
    )
