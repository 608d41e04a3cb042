"""A name leads to exactly one adapter, or to an error that says why not and what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any, Literal

import pytest
from attrs import define

from alphaweave import __version__
from alphaweave.core.errors import (
    AdapterContractError,
    AdapterError,
    AdapterImportError,
    AdapterMismatch,
    AmbiguousAdapter,
    UnknownAdapter,
)
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import BrokerPlugin, MonitorPlugin
from alphaweave.live.registry import GROUPS, Kind, Registry

CORE = f"alphaweave-core {__version__}"
FITS = f"acme-broker 0.3 does not fit {CORE}: "
MEND = " Its authors have to mend it."
UPGRADE = " Try: pip install -U alphaweave-core"

HEAD = """
import attrs
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import BrokerPlugin, DatafeedPlugin, MonitorPlugin, RiskRulePlugin, SandboxPlugin
from alphaweave.live.datafeed import FeedCapabilities

FEED = FeedCapabilities(kinds=frozenset())

def broker(name, **more):
    return BrokerPlugin(name=name, create=print, capabilities=Capabilities(order_types=frozenset()), **more)
"""
GOOD = """
@hookimpl
def alphaweave_brokers():
    yield broker("acme")
"""


class Site:
    """A folder on sys.path with distributions in it: metadata and modules, as an installer leaves them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        name: str,
        version: str = "1.0",
        *,
        points: Mapping[Kind, Mapping[str, str]],
        modules: Mapping[str, str] | None = None,
    ) -> None:
        """Add a distribution: its entry points by kind, and the source of each module."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines: list[str] = []
        for kind, named in points.items():
            lines.append(f"[{GROUPS[kind]}]")
            lines += [f"{point} = {value}" for point, value in named.items()]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for module, source in (modules or {}).items():
            (self.folder / f"{module}.py").write_text(HEAD + dedent(source))

    def broker(self, source: str, *, value: str = "acme_plugin") -> None:
        """Install a distribution that offers the broker `acme` from a module with this source."""
        self.install(
            "acme-broker", "0.3", modules={"acme_plugin": source}, points={"broker": {"acme": value}}
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty site; what was imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield Site(folder)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


class Plugin:
    """Brokers offered by an object in this process."""

    def __init__(self, *records: object) -> None:
        self.records = records

    @hookimpl
    def alphaweave_brokers(self) -> Iterator[object]:
        yield from self.records


def create(options: object, services: Services) -> Any:
    """Builds nothing: no adapter is made here."""


def record(name: str, **more: Any) -> BrokerPlugin:
    return BrokerPlugin(name=name, create=create, capabilities=Capabilities(order_types=frozenset()), **more)


def refusal(error: type[AdapterError], name: str = "acme", kind: Kind = "broker", **pin: str) -> str:
    """What a fresh registry says when it is asked for the name."""
    with pytest.raises(error) as caught:
        getattr(Registry(), kind)(name, **pin)
    assert type(caught.value) is error
    assert (caught.value.kind, caught.value.name) == (kind, name)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_installed_reads_metadata_and_imports_nothing(site: Site) -> None:
    """Every kind is listed by name with its distribution and version, though no module could be imported."""
    points: dict[Kind, dict[str, str]] = {kind: {f"acme-{kind}": "acme_plugin"} for kind in GROUPS}
    site.install("acme-all", "2.5", modules={"acme_plugin": "raise SystemExit"}, points=points)
    registry = Registry()
    for kind in GROUPS:
        (offer,) = registry.installed(kind)[f"acme-{kind}"]
        assert (offer.name, offer.value) == (f"acme-{kind}", "acme_plugin")
        assert (offer.distribution, offer.version) == ("acme-all", "2.5")
    assert "acme_plugin" not in sys.modules


def test_installed_counts_a_distribution_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable and a normal install of one distribution are one offer, spelled either way."""
    site.broker(GOOD)
    again = Site(site.folder / "editable")
    again.install("acme_broker", "0.3", points={"broker": {"acme": "acme_plugin"}})
    monkeypatch.syspath_prepend(str(again.folder))
    registry = Registry()
    assert len(registry.installed("broker")["acme"]) == 1
    assert registry.broker("acme").name == "acme"


def test_installed_counts_a_renamed_leftover_once(site: Site) -> None:
    """An interrupted upgrade leaves the old metadata under a mangled folder name."""
    site.broker(GOOD)
    site.install("acme_broker", "0.2", points={"broker": {"acme": "acme_plugin"}})
    (site.folder / "acme_broker-0.2.dist-info").rename(site.folder / "~cme_broker-0.2.dist-info")
    assert len(Registry().installed("broker")["acme"]) == 1


def test_installed_passes_over_debris(site: Site) -> None:
    """A folder that lost its METADATA is nobody's offer, and does not spoil the rest."""
    site.broker(GOOD)
    site.install("acme-ghost", points={"broker": {"ghost": "ghost_plugin", "acme": "ghost_plugin"}})
    (site.folder / "acme_ghost-1.0.dist-info" / "METADATA").unlink()
    registry = Registry()
    assert "ghost" not in registry.installed("broker")
    assert registry.broker("acme").name == "acme"


def test_broker_imports_only_the_named_module(site: Site) -> None:
    """Its neighbours may be broken beyond repair."""
    site.broker(GOOD)
    site.install(
        "acme-bomb", modules={"bomb_plugin": "raise SystemExit"}, points={"broker": {"bomb": "bomb_plugin"}}
    )
    assert Registry().broker("acme").name == "acme"
    assert "acme_plugin" in sys.modules
    assert "bomb_plugin" not in sys.modules


def test_hook_hands_back_its_records_once(site: Site) -> None:
    """Both names of a module lead to records of one call, the same ones every time."""
    source = """
    calls = []

    @hookimpl
    def alphaweave_brokers():
        calls.append(1)
        return [broker("acme"), broker("acme2")]
    """
    names = {"acme": "acme_plugin", "acme2": "acme_plugin"}
    site.install("acme-broker", modules={"acme_plugin": source}, points={"broker": names})
    registry = Registry()
    first = registry.broker("acme")
    assert registry.broker("acme2").name == "acme2"
    assert registry.broker("acme") is first
    assert sys.modules["acme_plugin"].calls == [1]


def test_object_behind_an_entry_point_is_a_plugin(site: Site) -> None:
    """An instance works as a module does; a class is refused before anyone calls it."""
    source = """
    class Offers:
        @hookimpl
        def alphaweave_brokers(self):
            yield broker("acme")

    offers = Offers()
    """
    site.broker(source, value="acme_plugin:offers")
    assert Registry().broker("acme").name == "acme"
    site.install("acme-class", points={"broker": {"klass": "acme_plugin:Offers"}})
    assert "Offers is a class" in refusal(AdapterContractError, "klass")


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("broker", 'yield broker("acme")'),
        (
            "datafeed",
            'yield DatafeedPlugin(name="acme", create=print, capabilities=FEED)',
        ),
        ("monitor", 'yield MonitorPlugin(name="acme", create=print)'),
        ("sandbox", 'yield SandboxPlugin(name="acme", create=print)'),
        ("risk_rule", 'yield RiskRulePlugin(name="acme", create=print)'),
    ],
)
def test_each_kind_has_its_group_and_hook(site: Site, kind: Kind, source: str) -> None:
    """One name may be a broker, a datafeed and more: each is looked up among its own kind."""
    hook = GROUPS[kind].replace(".", "_")
    site.install(
        "acme",
        modules={"acme_plugin": f"@hookimpl\ndef {hook}():\n    {source}"},
        points={kind: {"acme": "acme_plugin"}},
    )
    found = getattr(Registry(), kind)("acme")
    assert found.name == "acme"
    assert type(found).__name__.lower() == f"{kind.replace('_', '')}plugin"


def test_two_distributions_with_one_name_are_refused(site: Site) -> None:
    """Both are named with their versions, and neither is imported."""
    site.broker("raise SystemExit")
    site.install(
        "evil-acme",
        "9.9",
        modules={"evil_plugin": "raise SystemExit"},
        points={"broker": {"acme": "evil_plugin"}},
    )
    assert refusal(AmbiguousAdapter) == (
        "2 installed distributions offer a broker named 'acme': acme-broker 0.3 (acme_plugin) and "
        "evil-acme 9.9 (evil_plugin). Uninstall one, or set `distribution:`."
    )
    assert not {"acme_plugin", "evil_plugin"} & set(sys.modules)


def test_two_datafeeds_with_one_name_are_refused_without_a_pin(site: Site) -> None:
    """The config has a place for a pin in the broker's section only, so no other advice names it."""
    for name in ("acme", "evil"):
        site.install(name, points={"datafeed": {"acme": f"{name}_plugin"}})
    assert refusal(AmbiguousAdapter, kind="datafeed").endswith("evil 1.0 (evil_plugin). Uninstall one.")


def test_distribution_pin_decides_between_two(site: Site) -> None:
    """However its name is spelled."""
    site.broker(GOOD)
    site.install(
        "evil-acme",
        "9.9",
        modules={"evil_plugin": "raise SystemExit"},
        points={"broker": {"acme": "evil_plugin"}},
    )
    assert Registry().broker("acme", distribution="Acme_Broker").name == "acme"
    assert "evil_plugin" not in sys.modules


def test_distribution_pin_refuses_another_distribution(site: Site) -> None:
    """What is installed under that name from elsewhere is not taken instead."""
    site.broker("raise SystemExit")
    assert refusal(UnknownAdapter, distribution="acme-official") == (
        "acme-official offers no broker named 'acme', but acme-broker 0.3 does. "
        "Correct `distribution:`, or leave it out."
    )


def test_one_distribution_that_offers_a_name_twice_is_refused(site: Site) -> None:
    """Which of two modules is meant cannot be told."""
    site.broker(GOOD)
    with (site.folder / "acme_broker-0.3.dist-info" / "entry_points.txt").open("a") as points:
        points.write("acme = other_plugin\n")
    assert refusal(AmbiguousAdapter).startswith("acme-broker 0.3 offers the broker 'acme' more than once")


@pytest.mark.parametrize(
    ("source", "value", "message"),
    [
        (
            "import ib_sdk_that_is_not_there",
            "acme_plugin",
            "cannot be imported: No module named 'ib_sdk_that_is_not_there'. Try: pip install -U acme-broker",
        ),
        (
            "raise ValueError('no display')",
            "acme_plugin",
            "cannot be imported: ValueError: no display. Try: pip install -U acme-broker",
        ),
        (
            "raise SystemExit",
            "acme_plugin",
            "cannot be imported: SystemExit. Try: pip install -U acme-broker",
        ),
        (
            GOOD,
            "acme_gone.plugin",
            "its module acme_gone.plugin is not there. Try: pip install --force-reinstall acme-broker",
        ),
        (
            GOOD,
            "acme_plugin:offers",
            (
                "cannot be imported: AttributeError: module 'acme_plugin' has no attribute 'offers'. "
                "Try: pip install -U acme-broker"
            ),
        ),
        (
            "import alphaweave.live.teleport",
            "acme_plugin",
            f"does not fit {CORE}: No module named 'alphaweave.live.teleport'.{UPGRADE}",
        ),
    ],
)
def test_import_errors_are_told_apart(site: Site, source: str, value: str, message: str) -> None:
    """A module that is absent, one whose imports fail, one for a newer core: each has its own advice."""
    site.broker(source, value=value)
    assert refusal(AdapterImportError) == f"broker 'acme' (acme-broker 0.3) is installed but {message}"


def test_import_error_carries_its_cause(site: Site) -> None:
    """The original exception is chained, for who asks for a traceback."""
    site.broker("import ib_sdk_that_is_not_there")
    with pytest.raises(AdapterImportError) as caught:
        Registry().broker("acme")
    assert caught.value.distribution == "acme-broker 0.3"
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "@hookimpl\ndef alphaweave_brokers(clock):\n    yield broker('acme')",
            f"alphaweave_brokers asks for 'clock'.{UPGRADE}",
        ),
        (
            "@hookimpl\ndef alphaweave_brokers(clock, log):\n    yield broker('acme')",
            f"alphaweave_brokers asks for 'clock' and 'log'.{UPGRADE}",
        ),
        (
            "@hookimpl\ndef alphaweave_broker():\n    yield broker('acme')",
            "there is no hook 'alphaweave_broker'. Did you mean 'alphaweave_brokers'?",
        ),
        ("@hookimpl\ndef pricing_oracle():\n    yield 1", f"there is no hook 'pricing_oracle'.{UPGRADE}"),
        (
            "@hookimpl\ndef alphaweave_brokers():\n    yield 1",
            f"alphaweave_brokers yields int objects, not BrokerPlugin records.{MEND}",
        ),
        (
            "@hookimpl\ndef alphaweave_brokers():\n    yield MonitorPlugin(name='acme', create=print)",
            f"alphaweave_brokers yields MonitorPlugin objects, not BrokerPlugin records.{MEND}",
        ),
        (
            "@hookimpl\ndef alphaweave_brokers():\n    return broker('acme')",
            f"alphaweave_brokers returns a BrokerPlugin instead of yielding records.{MEND}",
        ),
        (
            "@hookimpl\ndef alphaweave_brokers():\n    yield broker('acme')\n    yield broker('acme')",
            f"alphaweave_brokers yields 'acme' more than once.{MEND}",
        ),
        (
            "@hookimpl\ndef alphaweave_brokers():\n    yield broker('acme', options=dict)",
            f"in the record 'acme', options is not an attrs class.{MEND}",
        ),
        (
            "@hookimpl\ndef alphaweave_brokers():\n    yield broker('acme', api='1')",
            f"in the record 'acme', api is not a whole number.{MEND}",
        ),
        (
            "@hookimpl\ndef alphaweave_brokers():\n    yield attrs.evolve(broker('acme'), create=None)",
            f"in the record 'acme', create cannot be called.{MEND}",
        ),
    ],
)
def test_contract_errors_say_what_does_not_fit(site: Site, source: str, message: str) -> None:
    """Hooks are checked before they are called, and records before they are used."""
    site.broker(source)
    assert refusal(AdapterContractError) == FITS + message


def test_optional_hook_of_a_newer_core_is_no_error(site: Site) -> None:
    """A plugin may implement what this core does not know yet, if it says so."""
    site.broker(GOOD + "\n@hookimpl(optionalhook=True)\ndef alphaweave_oracles():\n    yield 1\n")
    assert Registry().broker("acme").name == "acme"


def test_optional_hook_is_not_blamed_for_another(site: Site) -> None:
    """The complaint is about the hook that does not fit, not about one that is free to be unknown."""
    optional = "@hookimpl(optionalhook=True)\ndef a_newer_hook():\n    yield 1\n"
    site.broker(optional + "@hookimpl\ndef alphaweave_brokers(clock):\n    yield broker('acme')")
    assert refusal(AdapterContractError) == f"{FITS}alphaweave_brokers asks for 'clock'.{UPGRADE}"


def test_hook_that_raises_is_an_import_error(site: Site) -> None:
    """A plugin that fails when it is asked is as unusable as one that fails to import."""
    site.broker("@hookimpl\ndef alphaweave_brokers():\n    yield broker('acme', colour='red')")
    message = refusal(AdapterImportError)
    assert message.startswith(
        "broker 'acme' (acme-broker 0.3) cannot be loaded: alphaweave_brokers raised TypeError: "
    )
    assert "colour" in message


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("@hookimpl\ndef alphaweave_brokers():\n    yield broker('acne')", "what it yields is named 'acne'"),
        (
            "@hookimpl\ndef alphaweave_brokers():\n    return [broker('a'), broker('b')]",
            "what it yields is named 'a' and 'b'",
        ),
        (
            "def alphaweave_brokers():\n    yield broker('acme')",
            "its alphaweave_brokers yields nothing, or is not marked with @hookimpl",
        ),
        ("", "it does not implement alphaweave_brokers"),
    ],
)
def test_record_must_bear_the_name_of_its_entry_point(site: Site, source: str, why: str) -> None:
    """A module that does not offer what its metadata say is refused."""
    site.broker(source)
    assert refusal(AdapterMismatch) == (
        f"acme-broker 0.3 declares a broker named 'acme', but acme_plugin does not offer it: {why}.{MEND}"
    )


def test_newer_api_level_is_refused(site: Site) -> None:
    """A record made for a newer contract asks for a newer core."""
    site.broker("@hookimpl\ndef alphaweave_brokers():\n    yield broker('acme', api=2)")
    assert refusal(AdapterMismatch) == (
        f"broker 'acme' (acme-broker 0.3) is made for API level 2, and {CORE} has level 1.{UPGRADE}"
    )


def test_unknown_name_says_what_to_install(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """For names known to be published; what is installed is listed."""
    published = {"zebra": "alphaweave-broker-zebra"}
    shelves = {"broker": published, "datafeed": published, "risk_rule": {}}
    monkeypatch.setattr("alphaweave.live.registry._PUBLISHED", shelves)
    site.broker(GOOD)
    listed = ", ".join(sorted(Registry().installed("broker")))
    assert refusal(UnknownAdapter, "zebra") == (
        f"no broker named 'zebra'; installed: {listed}. Try: pip install alphaweave-broker-zebra"
    )
    assert refusal(UnknownAdapter, "zebra", "datafeed").endswith(" Try: pip install alphaweave-broker-zebra")
    assert "pip install" not in refusal(UnknownAdapter, "paper", "risk_rule")


@pytest.mark.parametrize(
    ("name", "suggestion", "advice"),
    [
        ("acm", "acme", "Did you mean 'acme'?"),
        ("ACME", "acme", "Did you mean 'acme'?"),
        ("girafe", "giraffe", "Did you mean 'giraffe'? Try: pip install alphaweave-broker-giraffe"),
        ("zzz", None, "`alphaweave plugins` shows who offers what."),
    ],
)
def test_unknown_name_suggests_a_near_one(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str, suggestion: str | None, advice: str
) -> None:
    """A near miss among what is installed or published is named; a guessed distribution never is."""
    monkeypatch.setattr(
        "alphaweave.live.registry._PUBLISHED", {"broker": {"giraffe": "alphaweave-broker-giraffe"}}
    )
    site.broker(GOOD)
    with pytest.raises(UnknownAdapter) as caught:
        Registry().broker(name)
    assert str(caught.value).endswith(f". {advice}")
    assert caught.value.suggestion == suggestion
    assert "acme" in caught.value.installed


def test_unknown_name_may_be_of_another_kind(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind it is installed as is named, and where to get the one that was wanted."""
    shelves = {"broker": {"zebra": "alphaweave-broker-zebra"}}
    monkeypatch.setattr("alphaweave.live.registry._PUBLISHED", shelves)
    site.install("alphaweave-broker-ibkr", points={"datafeed": {"ibkr": "ibkr_plugin"}})
    site.install("acme-prices", points={"datafeed": {"zebra": "acme_plugin"}})
    registry = Registry()
    listed = ", ".join(sorted(registry.installed("broker"))) or "none"
    with pytest.raises(UnknownAdapter) as caught:
        registry.broker("ibkr")
    assert str(caught.value) == (
        f"'ibkr' is installed as a datafeed, not a broker; installed brokers: {listed}."
    )
    assert caught.value.other_kind == "datafeed"
    assert refusal(UnknownAdapter, "zebra").endswith(
        f"installed brokers: {listed}. Try: pip install alphaweave-broker-zebra"
    )


def test_registered_object_resolves_in_its_registry_only() -> None:
    """Registering is for one registry; another knows nothing of it."""
    registry = Registry()
    wanted = record("toy")
    registry.register(Plugin(wanted))
    assert registry.broker("toy") is wanted
    assert "toy" not in registry.installed("broker")
    refusal(UnknownAdapter, "toy")
    with pytest.raises(UnknownAdapter, match=r"installed: .*toy.*Did you mean 'toy'"):
        registry.broker("toyy")


def test_registered_module_resolves() -> None:
    """A module is registered as an object is, for every kind it offers."""
    module = ModuleType("toys")
    module.alphaweave_brokers = hookimpl(lambda: [record("toy")])  # type: ignore[attr-defined]
    module.alphaweave_monitors = hookimpl(lambda: [MonitorPlugin(name="toy", create=create)])  # type: ignore[attr-defined]
    registry = Registry()
    registry.register(module)
    registry.register(module)
    assert registry.broker("toy").name == "toy"
    assert registry.monitor("toy").name == "toy"


def test_registered_name_clashes_with_an_installed_one(site: Site) -> None:
    """Neither silently wins."""
    site.broker(GOOD)
    registry = Registry()
    registry.register(Plugin(record("acme")))
    with pytest.raises(AmbiguousAdapter) as caught:
        registry.broker("acme")
    assert str(caught.value) == (
        "2 brokers are named 'acme': acme-broker 0.3 (acme_plugin) and one registered in this process. "
        "Register yours under another name."
    )
    assert registry.broker("acme", distribution="acme-broker").name == "acme"


def test_registered_names_clash_with_each_other() -> None:
    """Two objects with one name are as ambiguous as two distributions."""
    registry = Registry()
    registry.register(Plugin(record("toy")))
    registry.register(Plugin(record("toy")))
    with pytest.raises(AmbiguousAdapter, match="2 brokers are named 'toy'"):
        registry.broker("toy")


@define
class Unhashable:
    """An object that compares by value, and so cannot be a dictionary's key."""

    name: Literal["toy"] = "toy"

    @hookimpl
    def alphaweave_brokers(self) -> list[BrokerPlugin]:
        return [record(self.name)]


def test_registered_object_need_not_be_hashable() -> None:
    """Plugins are told apart by identity."""
    registry = Registry()
    registry.register(Unhashable())
    assert registry.broker("toy").name == "toy"


def test_registered_object_is_checked_at_once() -> None:
    """What would be refused later is refused here, and leaves nothing behind."""
    registry = Registry()
    with pytest.raises(
        AdapterContractError, match=r"the registered Plugin does not fit .*yields str objects"
    ):
        registry.register(Plugin("toy"))
    with pytest.raises(AdapterMismatch, match="made for API level 7"):
        registry.register(Plugin(record("toy", api=7)))
    with pytest.raises(AdapterContractError, match="Plugin is a class"):
        registry.register(Plugin)
    with pytest.raises(AdapterMismatch, match="the registered object offers nothing"):
        registry.register(object())
    with pytest.raises(UnknownAdapter):
        registry.broker("toy")
