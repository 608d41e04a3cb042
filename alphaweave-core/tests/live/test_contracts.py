"""The contracts an adapter is written from: what the protocols say they raise, and what records hold."""

from __future__ import annotations

import asyncio
import builtins
import inspect
import re
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from attrs import NOTHING, evolve, fields
from attrs.exceptions import FrozenInstanceError

from alphaweave.core import errors, ids, market, secret
from alphaweave.core.clock import SystemClock
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Money
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus, Side
from alphaweave.live import broker, plugins, reports
from alphaweave.live.adapters import base, capabilities
from alphaweave.live.adapters.base import BrokerAdapter, BrokerConfig, RunMode, Services
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.broker import Broker
from alphaweave.live.datafeed import DataFeed, FeedCapabilities
from alphaweave.live.plugins import (
    API_LEVEL,
    BrokerPlugin,
    DatafeedPlugin,
    MonitorPlugin,
    NoOptions,
    RiskRulePlugin,
    SandboxPlugin,
)
from alphaweave.live.reports import (
    Balance,
    BrokerAccountState,
    BrokerFill,
    BrokerNotice,
    BrokerOrder,
    CashFlow,
    ConnectionLost,
    ConnectionRestored,
    FeeReport,
    FillCorrection,
    FillQuery,
    FillReport,
    OrderAck,
    OrderUpdate,
    PositionChange,
)

D = Decimal
NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
REF = OrderRef("aw00000-a", "SPY")
USD = Money("USD", D(1))
FILL = BrokerFill("DU1", "x.1", "7", "aw00000-a", "SPY", Side.BUY, D(1), D(100), NOON, NOON)


def methods(protocol: type) -> dict[str, Any]:
    """The public methods that a protocol itself defines, as functions."""
    found = {}
    for name, value in vars(protocol).items():
        function = value.__func__ if isinstance(value, classmethod) else value
        if not name.startswith("_") and inspect.isfunction(function):
            found[name] = function
    return found


def raised(function: Any) -> set[str]:
    """The errors that a docstring's ``Raises`` section names."""
    text = inspect.getdoc(function) or ""
    section = re.search(r"^Raises:\n((?:[ ]{4}.*\n?|\n)+)", text, re.MULTILINE)
    return set(re.findall(r"^ {4}(\w+):", section[1], re.MULTILINE)) if section else set()


SENDING = {"NotSent", "OutcomeUnknown"}
PROMISES: dict[type, dict[str, set[str]]] = {
    Broker: {
        "prepare": {"Unsupported"},
        "submit_order": {"OrderRejected", *SENDING},
        "submit_group": {"OrderRejected", *SENDING},
        "cancel_order": {"CancelRejected", *SENDING},
        "cancel_all": {"CancelRejected", *SENDING},
        "replace_order": {"ReplaceRejected", "Unsupported", *SENDING},
        "get_order": {"BrokerUnavailable"},
        "get_open_orders": {"BrokerUnavailable"},
        "get_fills": {"BrokerUnavailable"},
        "get_account_state": {"BrokerUnavailable"},
        "get_instruments": {"BrokerUnavailable", "Unsupported"},
        "get_time": {"BrokerUnavailable"},
        "events": {"Unsupported"},
    },
    BrokerAdapter: {
        "from_config": {"OptionsError"},
        "connect": {"AuthenticationFailed", "BrokerUnavailable"},
        "disconnect": set(),
    },
    DataFeed: {
        "connect": {"AuthenticationFailed", "BrokerUnavailable"},
        "disconnect": set(),
        "subscribe": {"Unsupported", "BrokerUnavailable"},
        "history": {"BrokerUnavailable", "Unsupported", "ValueError"},
        "sessions": {"BrokerUnavailable"},
        "stream": {"Unsupported"},
    },
}


@pytest.mark.parametrize("protocol", PROMISES, ids=lambda protocol: protocol.__name__)
def test_every_method_says_what_it_raises(protocol: type) -> None:
    """The errors are part of the signature: a change of them is a change of the contract."""
    assert {name: raised(function) for name, function in methods(protocol).items()} == PROMISES[protocol]
    for function in methods(protocol).values():
        assert inspect.getdoc(function)
        if not raised(function):
            assert "never raises" in (inspect.getdoc(function) or "")


@pytest.mark.parametrize("protocol", PROMISES, ids=lambda protocol: protocol.__name__)
def test_every_error_named_can_be_caught(protocol: type) -> None:
    """A docstring that names an error that does not exist helps nobody."""
    named = {name for function in methods(protocol).values() for name in raised(function)}
    for name in named:
        kind = getattr(errors, name, None) or getattr(builtins, name)
        assert issubclass(kind, Exception)


@pytest.mark.parametrize(
    ("protocol", "at_once"),
    [(Broker, {"prepare", "events"}), (BrokerAdapter, {"from_config"}), (DataFeed, {"stream"})],
    ids=["Broker", "BrokerAdapter", "DataFeed"],
)
def test_calls_that_wait_are_coroutines(protocol: type, at_once: set[str]) -> None:
    """All but these few may wait for a network."""
    plain = {name for name, call in methods(protocol).items() if not inspect.iscoroutinefunction(call)}
    assert plain == at_once


def test_capabilities_are_read_from_the_object() -> None:
    """A plain attribute satisfies both protocols; an adapter need not write a property."""
    for protocol in (BrokerAdapter, DataFeed):
        assert isinstance(vars(protocol)["capabilities"], property)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (Broker.prepare, ["Services.store", "kernel thread", "no I/O"]),
        (Broker.submit_order, ["at most once", "was used before"]),
        (Broker.cancel_order, ["may be repeated", "while the connection is\nthought lost"]),
        (Broker.replace_order, ["the new total", "Capabilities.replace"]),
        (Broker.get_order, ["decided_at", "not_found_is_final_after"]),
        (errors.OutcomeUnknown, ["was used before"]),
        (errors.OrderRejected, ["Never for a refusal that says"]),
        (Services, ["Broker.prepare"]),
        (OrderRef, ["venue's symbol"]),
        (FillQuery, ["in the transaction that booked that report's fills"]),
        (FillReport, ["missing here was not answered for"]),
        (BrokerAccountState, ["A position that differs", "cash that\ndoes is an alert"]),
        (ConnectionLost, ["either of the two", "Cancels are still tried"]),
        (DataFeed.sessions, ["around the clock", "one session over the whole span"]),
        (Capabilities, ["keeps old and new fills together within the total", "reduce only"]),
        (
            reports,
            ["calls no order and no fill foreign while a\nsubmit in its symbol is in flight or UNKNOWN"],
        ),
        (broker, ["At most one replacement", "in that order"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", getattr(value, "__name__", "")),
)
def test_rules_without_a_signature_are_where_an_author_reads(where: Any, words: list[str]) -> None:
    """A rule that no type can hold is written at the thing it is about."""
    text = inspect.getdoc(where) or ""
    assert [word for word in words if word not in text] == []


# Modules.

CONTRACTS: tuple[ModuleType, ...] = (
    base,
    broker,
    capabilities,
    errors,
    ids,
    market,
    plugins,
    reports,
    secret,
)


@pytest.mark.parametrize("module", CONTRACTS, ids=lambda module: module.__name__)
def test_contract_module_offers_what_it_defines(module: ModuleType) -> None:
    """Each name once, and none that it defines for others is left out."""
    defined = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }
    offered: list[str] = module.__all__
    assert len(offered) == len(set(offered))
    assert defined <= set(offered)
    assert all(hasattr(module, name) for name in offered)


def test_broker_offers_its_protocol_and_every_report() -> None:
    """One import path has all an adapter author needs of the contract."""
    assert set(broker.__all__) == {"Broker", *reports.__all__}
    assert all(getattr(broker, name) is getattr(reports, name) for name in reports.__all__)


def test_events_are_all_that_a_stream_can_hold() -> None:
    """The union and its members; what only answers a query is not among them."""
    assert set(reports.BrokerEvent.__args__) == {
        BrokerFill,
        OrderUpdate,
        FeeReport,
        FillCorrection,
        CashFlow,
        PositionChange,
        ConnectionLost,
        ConnectionRestored,
        BrokerNotice,
    }


# Records.

RECORDS: dict[Any, dict[str, Any]] = {
    FILL: {"revision": 0, "cumulative": None, "fees": None, "foreign": False},
    OrderUpdate(REF, OrderStatus.ACCEPTED, NOON): {
        "cumulative": None,
        "average_price": None,
        "reason": None,
        "text": "",
        "broker_time": None,
        "replaced_by": None,
        "foreign": False,
    },
    FeeReport("DU1", "x.1", (USD,), NOON): {},
    FillCorrection("DU1", "x.1", 1, None, NOON): {"text": ""},
    CashFlow("DU1", "k", "dividend", USD, NOON): {"symbol": None, "text": ""},
    PositionChange("DU1", "k", "SPY", D(1), NOON): {
        "position": None,
        "kind": "other",
        "text": "",
        "foreign": False,
    },
    ConnectionLost(NOON, "silence"): {},
    ConnectionRestored(NOON): {"detail": ""},
    BrokerNotice(NOON, "info", "2104", "farm is back"): {"symbol": None},
    OrderAck(REF, NOON): {"broker_time": None},
    BrokerOrder(REF, None, OrderStatus.ACCEPTED, Side.BUY, None, D(0), NOON): {
        "request": None,
        "average_price": None,
        "submitted_at": None,
        "reason": None,
        "text": "",
        "replaced_by": None,
        "foreign": False,
    },
    FillQuery(NOON): {"symbols": None, "cursor": None},
    Balance(D(1)): {"available": None, "locked": None},
}
UNHASHABLE: tuple[tuple[Any, dict[str, Any]], ...] = (
    (FillReport((), {}), {"cursor": None, "flows": ()}),
    (
        BrokerAccountState("DU1", NOON, "USD", {}),
        {
            "positions": {},
            "equity": None,
            "buying_power": None,
            "complete": True,
            "foreign": (),
            "balances_as_of": None,
        },
    ),
    (Services(), {"account_id": None, "interval": "1d", "timezone": "UTC", "currency": "USD", "seed": 0}),
    (BrokerConfig("mock"), {"account_id": None}),
)


EVERY = [
    pytest.param(record, defaults, id=type(record).__name__)
    for record, defaults in (*RECORDS.items(), *UNHASHABLE)
]


@pytest.mark.parametrize(("record", "defaults"), EVERY)
def test_record_says_no_more_than_it_was_told(record: Any, defaults: dict[str, Any]) -> None:
    """What is not given is not known, or the least that could be meant."""
    assert {name: getattr(record, name) for name in defaults} == defaults
    if type(record) in {type(one) for one in RECORDS}:
        optional = {each.name for each in fields(type(record)) if each.default is not NOTHING}
        assert optional == set(defaults)


@pytest.mark.parametrize(("record", "defaults"), EVERY)
def test_record_is_frozen_and_equal_by_value(record: Any, defaults: dict[str, Any]) -> None:
    """A fact that crossed the boundary stays what it was, and two tellings of it are one."""
    name = fields(type(record))[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(record, name, getattr(record, name))
    assert evolve(record) == record
    assert type(record).__hash__ is not None


def test_every_report_is_among_those_tested() -> None:
    """A report that is added gets its defaults and its frozenness looked at."""
    tested = {type(record).__name__ for record in RECORDS} | {type(one).__name__ for one, _ in UNHASHABLE}
    assert set(reports.__all__) - {"BrokerEvent"} <= tested


@pytest.mark.parametrize("severity", ["info", "warning", "error"])
def test_notice_has_one_of_three_severities(severity: str) -> None:
    """A word that no monitor knows would be shown nowhere."""
    assert BrokerNotice(NOON, severity, "c", "t").severity == severity
    with pytest.raises(ValueError, match="severity"):
        BrokerNotice(NOON, severity.upper(), "c", "t")


def test_correction_is_of_the_execution_it_names() -> None:
    """The fill of a correction has its key and its revision; a bust has no fill."""
    second = evolve(FILL, revision=1, price=D(99))
    assert FillCorrection("DU1", "x.1", 1, second, NOON).fill == second
    assert FillCorrection("DU1", "x.1", 2, None, NOON).fill is None
    for key, revision in (("x.2", 1), ("x.1", 2)):
        with pytest.raises(
            ValueError, match=f"the correction is of {key} revision {revision}, but its fill is"
        ):
            FillCorrection("DU1", key, revision, second, NOON)


def test_account_state_shares_nothing_with_another() -> None:
    """What one snapshot lacks is not lent by the next, and cannot be filled in."""
    one, other = (BrokerAccountState("DU1", NOON, "USD", {}) for _ in range(2))
    with pytest.raises(TypeError):
        one.positions["SPY"] = D(1)  # type: ignore[index]
    assert one == other


# What an adapter is handed, and what a plugin hands over.


def test_services_have_a_store_and_a_log_of_their_own() -> None:
    """Two adapters write to two maps; without a log nothing is said and nothing breaks."""
    one, other = Services(), Services()
    one.store["next_order"] = "7"
    assert dict(other.store) == {}
    assert isinstance(one.clock, SystemClock)
    assert (one.mode, one.names, one.symbols, one.capital) == (RunMode.PAPER, {}, (), None)
    for level in ("debug", "info", "warning", "error"):
        assert getattr(one.log, level)("connected", host="localhost") is None


def test_broker_config_keeps_the_older_name_of_its_options() -> None:
    """``extra`` is the same block."""
    config = BrokerConfig("mock", options={"cash": 1})
    assert config.extra is config.options


def build(*arguments: Any) -> Any:
    """Stands for whatever a plugin creates."""
    return arguments


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (BrokerPlugin, {"capabilities": Capabilities(order_types=frozenset())}),
        (DatafeedPlugin, {"capabilities": FeedCapabilities(kinds=frozenset())}),
        (MonitorPlugin, {}),
        (SandboxPlugin, {}),
        (RiskRulePlugin, {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_plugin_record_is_light_and_frozen(kind: type[Any], more: dict[str, Any]) -> None:
    """A name and a way to create it will do; a record is compared by identity and never changed."""
    record = kind(name="acme", create=build, **more)
    assert (record.options, record.api, record.summary) == (NoOptions, API_LEVEL, "")
    assert record.create(1) == (1,)
    assert record != kind(name="acme", create=build, **more)
    with pytest.raises(FrozenInstanceError):
        record.name = "other"
    with pytest.raises(TypeError):
        kind("acme", build)


def test_broker_plugin_has_no_venue_unless_it_simulates() -> None:
    """Only a simulated broker can serve a replay."""
    record = BrokerPlugin(name="acme", create=build, capabilities=Capabilities(order_types=frozenset()))
    assert record.venue is None


class Recorded:
    """The least that satisfies the contract: an adapter written from the protocols alone."""

    capabilities = Capabilities(order_types=frozenset())

    def __init__(self) -> None:
        self.prepared: list[int] = []

    def prepare(self, request: Any, refs: Any, replaces: OrderRef | None = None) -> Any:
        self.prepared.append(len(refs))
        return [{"symbol": ref.symbol} for ref in refs]

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        return OrderAck(ref, NOON)

    async def submit_group(self, refs: Any, group: Any) -> tuple[OrderAck, ...]:
        return tuple(OrderAck(ref, NOON) for ref in refs)

    async def cancel_order(self, ref: OrderRef) -> None: ...

    async def cancel_all(self, symbols: Any) -> None: ...

    async def replace_order(self, ref: OrderRef, new_ref: OrderRef, change: Any) -> OrderAck:
        return OrderAck(new_ref, NOON)

    async def get_order(self, ref: OrderRef) -> BrokerOrder | None:
        return None

    async def get_open_orders(self, symbols: Any = None) -> list[BrokerOrder]:
        return []

    async def get_fills(self, query: FillQuery) -> FillReport:
        return FillReport((), {})

    async def get_account_state(self) -> BrokerAccountState:
        return BrokerAccountState("DU1", NOON, "USD", {})

    async def get_instruments(self, symbols: Any) -> dict[str, Instrument]:
        return {}

    async def get_time(self) -> datetime:
        return NOON

    async def events(self) -> Any:
        yield ConnectionLost(NOON, "never connected")


def test_broker_can_be_written_from_the_protocol_alone() -> None:
    """Nothing need be inherited; a type checker sees that nothing is missing."""
    one: Broker = Recorded()

    async def session() -> None:
        (wire,) = one.prepare(OrderRequest("SPY", Side.BUY, D(1)), [REF])
        ack = await one.submit_order(evolve(REF, wire=wire), OrderRequest("SPY", Side.BUY, D(1)))
        assert ack.ref.wire == {"symbol": "SPY"}
        assert [event.reason async for event in one.events() if isinstance(event, ConnectionLost)] == [
            "never connected"
        ]

    asyncio.run(session())
