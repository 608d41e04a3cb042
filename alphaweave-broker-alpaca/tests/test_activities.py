"""Executions and cash flows, out of what Alpaca lists."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.clock import ManualClock
from alphaweave.core.errors import BrokerUnavailable
from alphaweave.core.money import Money
from alphaweave.live.broker import FeeReport, FillQuery, FillReport
from alphaweave_broker_alpaca.activities import Activities
from alphaweave_broker_alpaca.crypto_fees import CryptoFees
from alphaweave_broker_alpaca.translator import Translator
from alphaweave_broker_alpaca.transport import Refused

NOON = datetime(2026, 10, 8, 16, tzinfo=UTC)


def our_id(number: int) -> str:
    return f"awabcde-{number:022d}"


def execution(number: int, **changes: Any) -> dict[str, Any]:
    told = {
        "activity_type": "FILL",
        "id": f"20261008120000000::{number}",
        "order_id": f"b{number}",
        "symbol": "SPY",
        "side": "buy",
        "qty": "1",
        "price": "2.5",
        "cum_qty": "1",
        "transaction_time": (NOON + timedelta(seconds=number)).isoformat(),
    }
    return told | changes


def flow(**changes: Any) -> dict[str, Any]:
    told = {"activity_type": "DIV", "id": "20261008090000000::d", "date": "2026-10-08", "net_amount": "1.25"}
    return told | changes


class Listing:
    """Answers as Alpaca does, and counts what it is asked."""

    def __init__(
        self,
        executions: list[dict[str, Any]],
        flows: list[dict[str, Any]] | None = None,
        *,
        crypto: bool = False,
    ) -> None:
        self.executions = executions
        self.flows = flows or []
        self.latest: list[dict[str, Any]] = []
        self.refused: dict[str, Refused | dict[str, Any]] = {}
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        clock = ManualClock(NOON)
        self.told: list[FeeReport] = []
        fees = CryptoFees({"BTC-USD": "BTC/USD"} if crypto else {}, self.told.append, clock)
        said = Translator(["SPY", "BTC-USD"], {"BTC-USD": "BTC/USD"}, fees.order)
        said.account = "PA1"
        self.activities = Activities(said, self.ask, clock, fees)

    async def ask(self, path: str, query: Mapping[str, Any]) -> Any:
        self.asked.append((path, dict(query)))
        if path.startswith("/orders/"):
            number = path.removeprefix("/orders/b")
            odd = self.refused.get(f"b{number}")
            if isinstance(odd, Refused):
                raise odd
            if odd is not None:
                return odd
            return {"id": f"b{number}", "client_order_id": our_id(int(number)), "symbol": "SPY"}
        if path == "/orders":
            return self.latest
        entries = self.executions if path.endswith("/FILL") else self.flows
        token = query.get("page_token")
        begin = 0 if token is None else [one["id"] for one in entries].index(token) + 1
        return entries[begin : begin + query["page_size"]]

    def report(self, since: datetime = NOON, cursor: str | None = None) -> FillReport:
        return asyncio.run(self.activities.report(FillQuery(since, None, cursor), ["SPY"]))

    def paths(self, begin: str) -> list[str]:
        return [path for path, _ in self.asked if path.startswith(begin)]


def test_executions_bear_the_names_of_their_orders() -> None:
    """An activity has no client id: its order has, and is asked for once."""
    listing = Listing([execution(1), execution(2, order_id="b1", cum_qty="2")])
    report = listing.report()
    assert [fill.client_order_id for fill in report.fills] == [our_id(1)] * 2
    assert not any(fill.foreign for fill in report.fills)
    assert report.complete_from == {"SPY": NOON}
    assert listing.paths("/orders/") == ["/orders/b1"]


def test_pages_are_read_to_the_last() -> None:
    """The next page begins after the last id of the one before."""
    listing = Listing([execution(number, order_id="b1", cum_qty=str(number)) for number in range(1, 251)])
    assert len(listing.report().fills) == 250
    tokens = [query.get("page_token") for path, query in listing.asked if path.endswith("/FILL")]
    assert tokens == [None, "20261008120000000::100", "20261008120000000::200"]


def test_look_ups_are_few_and_a_report_that_needs_more_is_not_complete() -> None:
    """The request limit is not spent on names: the rest is learned with the next report."""
    listing = Listing([execution(number) for number in range(30)])
    first = listing.report()
    assert len(listing.paths("/orders/")) == 20
    assert len(first.fills) == 20
    assert first.complete_from == {}
    second = listing.report()
    assert len(listing.paths("/orders/")) == 30
    assert len(second.fills) == 30
    assert second.complete_from == {"SPY": NOON}


def test_many_unknown_orders_are_learned_from_one_list() -> None:
    """With their legs: Alpaca names those, but they are of the order that bears our name."""
    listing = Listing([execution(number) for number in range(30)])
    listing.latest = [
        {"id": f"b{number}", "client_order_id": our_id(number), "symbol": "SPY"} for number in range(29)
    ]
    listing.latest[0]["legs"] = [{"id": "b29", "client_order_id": "theirs", "symbol": "SPY"}]
    report = listing.report()
    assert listing.paths("/orders") == ["/orders"]
    assert not any(fill.foreign for fill in report.fills)
    assert report.fills[29].client_order_id is None


def test_somebody_else_s_execution_is_flagged() -> None:
    """An order whose id is not of ours was placed by somebody else."""
    listing = Listing([execution(number) for number in range(6)])
    listing.latest = [
        {"id": f"b{number}", "client_order_id": "manual", "symbol": "SPY"} for number in range(6)
    ]
    assert all(fill.foreign for fill in listing.report().fills)


def test_an_order_that_alpaca_does_not_have_is_somebody_else_s() -> None:
    """Its execution is told all the same; no report fails for ever. Another refusal is no answer."""
    listing = Listing([execution(1), execution(2)])
    listing.refused["b2"] = Refused(404, "40410000", "order not found for b2")
    assert [fill.foreign for fill in listing.report().fills] == [False, True]
    for no in (Refused(404), Refused(500, "50010000", "internal server error")):
        listing = Listing([execution(2)])
        listing.refused["b2"] = no
        with pytest.raises(BrokerUnavailable):
            listing.report()


def test_an_order_in_several_options_is_somebody_else_s() -> None:
    """It has no symbol of its own."""
    listing = Listing([execution(1)])
    listing.refused["b1"] = {"id": "b1", "order_class": "mleg", "symbol": "", "side": ""}
    assert [fill.foreign for fill in listing.report().fills] == [True]


def test_an_answer_begins_at_the_cursor_and_never_after_what_was_asked() -> None:
    """Nothing between a cursor and `since` is passed over, on whichever side it lies."""
    listing = Listing([])
    earlier, later = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
    assert listing.report(NOON, earlier.isoformat()).complete_from == {"SPY": NOON}
    assert listing.report(NOON, later.isoformat()).cursor == later.isoformat()
    begins = [query["after"] for path, query in listing.asked if path.endswith("/FILL")]
    assert begins == ["2026-10-08T14:59:59Z", "2026-10-08T15:59:59Z"]


def test_the_cursor_stays_behind_the_latest_execution() -> None:
    """One may be listed late, among others that came after it."""
    cursor = Listing([execution(1, transaction_time="2026-10-08T17:00:00Z")]).report().cursor
    assert cursor == "2026-10-08T16:50:00+00:00"


def test_a_cursor_that_nobody_wrote_is_no_answer() -> None:
    """Neither is it a failure of the program."""
    with pytest.raises(BrokerUnavailable, match="cannot be read"):
        Listing([]).report(cursor="yesterday")


def test_money_that_moves_is_a_flow() -> None:
    """Dividends, fees, interest, journals: each once, signed, with Alpaca's word where there is no other."""
    told = [
        flow(symbol="SPY"),
        flow(activity_type="FEE", id="20261008090001500::f", net_amount="-0.02", description="TAF"),
        flow(activity_type="JNLC", id="j", net_amount="100"),
        flow(activity_type="DIVNRA", id="n", net_amount="-0.3", created_at="2026-10-08T20:00:00Z"),
    ]
    flows = Listing([], told).report().flows
    assert [(one.kind, one.amount.amount, one.symbol) for one in flows] == [
        ("dividend", Decimal("1.25"), "SPY"),
        ("fee", Decimal("-0.02"), None),
        ("JNLC", Decimal(100), None),
        ("dividend", Decimal("-0.3"), None),
    ]
    assert [one.key for one in flows] == [one["id"] for one in told]
    assert [one.at.isoformat() for one in flows] == [
        "2026-10-08T13:00:00+00:00",
        "2026-10-08T13:00:01.500000+00:00",
        "2026-10-08T04:00:00+00:00",
        "2026-10-08T20:00:00+00:00",
    ]
    assert flows[1].text == "TAF"


@pytest.mark.parametrize(
    "told",
    [
        flow(activity_type="JNLS", net_amount="0", qty="5", symbol="SPY"),
        flow(activity_type="SPLIT", net_amount=None, qty="5", symbol="SPY"),
        flow(status="canceled"),
        execution(1),
    ],
    ids=["units", "no amount", "called off", "an execution"],
)
def test_what_moves_no_money_is_no_flow(told: dict[str, Any]) -> None:
    """Units are in the positions, and executions among the fills."""
    assert Listing([], [told]).report().flows == ()


def test_flows_are_asked_for_days_back() -> None:
    """A dividend is listed days after its date; and executions are not asked for twice."""
    listing = Listing([])
    listing.report()
    path, query = listing.asked[-1]
    assert (path, query["category"]) == ("/account/activities", "non_trade_activity")
    assert query["after"] == "2026-10-05T15:59:59Z"


def test_a_flow_without_an_amount_is_no_answer() -> None:
    """What is missing is told, not taken for nothing."""
    with pytest.raises(BrokerUnavailable, match="net_amount"):
        Listing([], [flow(net_amount=None)]).report()


def bought(number: int, at: datetime, size: str = "1000") -> dict[str, Any]:
    return execution(
        number, symbol="BTC/USD", qty=size, cum_qty=size, price="4", transaction_time=at.isoformat()
    )


def fee(number: int, **changes: Any) -> dict[str, Any]:
    told = {"activity_type": "CFEE", "id": f"20261008000000000::f{number}", "net_amount": "0"}
    return told | {"symbol": "BTCUSD", "created_at": NOON.isoformat()} | changes


def test_fee_in_crypto_is_of_its_execution_and_moves_no_money_besides() -> None:
    """It is booked with the execution. One that is of none here is money that moved."""
    sold = execution(
        2, symbol="BTC/USD", side="sell", price="4", transaction_time=(NOON + timedelta(hours=1)).isoformat()
    )
    others = [fee(1, qty="-1.5"), fee(2, symbol=None, net_amount="-0.01"), fee(3, net_amount="-7")]
    listing = Listing([bought(1, NOON), sold], others, crypto=True)
    report = listing.report()
    assert [one.fees for one in report.fills] == [
        (Money("BTC", Decimal("2.5")),),
        (Money("USD", Decimal("0.01")),),
    ]
    assert [one.fees[0].amount for one in listing.told] == [Decimal("1.5"), Decimal("0.01")]
    assert [(flow.kind, flow.amount) for flow in report.flows] == [("fee", Money("USD", Decimal(-7)))]
    assert listing.report().flows == report.flows


def test_fee_that_is_told_after_a_restart_is_of_an_execution_before_it() -> None:
    """The first report looks back that far, and tells of what is new only; those after it do not."""
    old = bought(1, NOON - timedelta(days=2))
    listing = Listing([old, bought(2, NOON)], [fee(1, qty="-1.5")], crypto=True)
    assert [one.executed_at for one in listing.report().fills] == [NOON]
    assert [one.execution_key for one in listing.told] == [old["id"]]
    listing.report(cursor=NOON.isoformat())
    begins = [query["after"] for path, query in listing.asked if path.endswith("/FILL")]
    assert begins == ["2026-10-04T15:59:59Z", "2026-10-08T15:59:59Z"]


def test_without_crypto_nothing_is_looked_back_for() -> None:
    """It would cost a page for each hundred executions."""
    listing = Listing([execution(1)])
    listing.report()
    begins = [query["after"] for path, query in listing.asked if path.endswith("/FILL")]
    assert begins == ["2026-10-08T15:59:59Z"]
