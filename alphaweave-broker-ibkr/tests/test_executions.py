"""Executions: the truth of what was traded, with what it cost, whenever that is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from ib_async import CommissionReport, Contract, Execution

from alphaweave.core.money import Money
from alphaweave.core.order import Side
from alphaweave.live.broker import BrokerFill, FillCorrection
from alphaweave_broker_ibkr.executions import Executions, key_of
from alphaweave_broker_ibkr.names import Symbols

NAME = "awkit00-0000000000000000000001"
AT = datetime(2031, 3, 4, 15, 0, tzinfo=UTC)
UNSET = 1.7976931348623157e308
STOCK = Contract(conId=8894, symbol="KO", localSymbol="KO", secType="STK", exchange="ISLAND")
DONE = Execution(
    execId="0000e0d5.6596b0d2.01.01",
    time=AT,
    acctNumber="DU1",
    exchange="ISLAND",
    side="BOT",
    shares=10.0,
    price=60.1,
    permId=900,
    clientId=7,
    orderId=42,
    cumQty=10.0,
    orderRef=NAME,
)
KEY = "0000e0d5.6596b0d2.01"


@pytest.fixture
def executions() -> Executions:
    symbols = Symbols()
    symbols.learn(8894, "COLA")
    found = Executions(symbols)
    found.account = "DU1"
    return found


def fill_of(executions: Executions, execution: Execution = DONE, contract: Contract = STOCK) -> BrokerFill:
    told = executions.told(contract, execution, AT)
    assert told is not None
    assert isinstance(told[0], BrokerFill)
    return told[0]


def cost(exec_id: str, commission: float = 1.05, currency: str = "USD") -> CommissionReport:
    return CommissionReport(exec_id, commission, currency, UNSET, UNSET, 0)


@pytest.mark.parametrize(
    ("exec_id", "key", "revision"),
    [
        ("0000e0d5.6596b0d2.01.01", KEY, 1),
        ("0000e0d5.6596b0d2.01.12", KEY, 12),
        ("F-1234", "F-1234", 0),
        ("a.b", "a.b", 0),
    ],
)
def test_key_is_what_a_correction_leaves_alone(exec_id: str, key: str, revision: int) -> None:
    """Only the digits after the last point change."""
    assert key_of(exec_id) == (key, revision)


def test_execution_is_told_exactly(executions: Executions) -> None:
    """Its figures are those of the wire, its symbol the config's, its order the account's number for it."""
    assert fill_of(executions) == BrokerFill(
        account="DU1",
        execution_key=KEY,
        broker_order_id="900",
        client_order_id=NAME,
        symbol="COLA",
        side=Side.BUY,
        size=Decimal(10),
        price=Decimal("60.1"),
        executed_at=AT,
        received_at=AT,
        revision=1,
        cumulative=Decimal(10),
    )


def test_contract_is_known_by_its_number(executions: Executions) -> None:
    """An execution bears where it took place, and not where its order was sent to."""
    elsewhere = replace(STOCK, exchange="DARK", localSymbol="KO.D")
    assert fill_of(executions, contract=elsewhere).symbol == "COLA"


def test_repeated_execution_is_told_once(executions: Executions) -> None:
    """Everything may be said twice, and is again in the answer to a question."""
    fill_of(executions)
    assert executions.told(STOCK, DONE, AT) is None
    assert [fill.size for fill in executions.fills([KEY])] == [10]


def test_correction_restates_and_adds_nothing(executions: Executions) -> None:
    """The second revision is the same execution with other figures."""
    fill_of(executions)
    restated = replace(DONE, execId=f"{KEY}.02", price=60.2, shares=8.0, cumQty=8.0)
    told = executions.told(STOCK, restated, AT)
    assert told is not None
    correction, added = told
    assert isinstance(correction, FillCorrection)
    assert correction.fill is not None
    figures = (correction.execution_key, correction.revision, correction.fill.size, correction.fill.price)
    assert figures == (KEY, 2, Decimal(8), Decimal("60.2"))
    assert added == -2
    assert executions.fills([KEY]) == (correction.fill,)
    assert executions.told(STOCK, DONE, AT) is None


def test_execution_without_size_is_taken_back(executions: Executions) -> None:
    """It is not among the executions any more."""
    fill_of(executions)
    told = executions.told(STOCK, replace(DONE, execId=f"{KEY}.02", shares=0.0), AT)
    assert told == (FillCorrection("DU1", KEY, 2, None, AT), -10)
    assert executions.fills([KEY]) == ()


def test_correction_that_comes_alone_is_an_execution(executions: Executions) -> None:
    """The first that is heard of it is what it is now."""
    assert fill_of(executions, replace(DONE, execId=f"{KEY}.02")).revision == 2


def test_commission_comes_after_its_execution(executions: Executions) -> None:
    """It is reported by itself, under the execution's key, once."""
    assert fill_of(executions).fees is None
    report = executions.charged(cost(f"{KEY}.01"), AT)
    assert report is not None
    assert (report.execution_key, report.fees) == (KEY, (Money("USD", Decimal("1.05")),))
    assert executions.charged(cost(f"{KEY}.01"), AT) is None
    assert executions.fills([KEY])[0].fees == report.fees


def test_commission_may_come_before_its_execution(executions: Executions) -> None:
    """In the answer to a question it may, and the execution then has it: nobody knows before whose it is."""
    assert executions.charged(cost(f"{KEY}.01"), AT) is None
    assert fill_of(executions).fees == (Money("USD", Decimal("1.05")),)
    assert executions.charged(cost(f"{KEY}.01"), AT) is None


def test_commission_that_grows_is_reported_whole(executions: Executions) -> None:
    """The later figure counts, and a revision's counts for more than that of the one before."""
    fill_of(executions)
    executions.charged(cost(f"{KEY}.01"), AT)
    grown = executions.charged(cost(f"{KEY}.01", 2.5), AT)
    assert grown is not None
    assert grown.fees == (Money("USD", Decimal("2.5")),)
    executions.charged(cost(f"{KEY}.02", 3.0), AT)
    assert executions.charged(cost(f"{KEY}.01", 2.5), AT) is None


def test_corrected_execution_keeps_what_it_cost(executions: Executions) -> None:
    """No commission need come for the correction."""
    fill_of(executions)
    executions.charged(cost(f"{KEY}.01"), AT)
    told = executions.told(STOCK, replace(DONE, execId=f"{KEY}.02", price=61.0), AT)
    assert told is not None
    assert isinstance(told[0], FillCorrection)
    assert told[0].fill is not None
    assert told[0].fill.fees == (Money("USD", Decimal("1.05")),)


@pytest.mark.parametrize("report", [cost(f"{KEY}.01", UNSET), cost(f"{KEY}.01", 0.0, "")])
def test_commission_that_is_not_set_is_not_known(executions: Executions, report: CommissionReport) -> None:
    """The largest number of a double, and the 0 that the client library makes of nothing, are no fees."""
    fill_of(executions)
    assert executions.charged(report, AT) is None
    assert executions.fills([KEY])[0].fees is None


def test_execution_that_is_free_has_no_fees(executions: Executions) -> None:
    """That there are none is known."""
    fill_of(executions)
    report = executions.charged(cost(f"{KEY}.01", 0.0), AT)
    assert report is not None
    assert report.fees == ()


def test_rebate_is_a_negative_fee(executions: Executions) -> None:
    """What is paid out is less than nothing to pay."""
    fill_of(executions)
    report = executions.charged(cost(f"{KEY}.01", -0.2), AT)
    assert report is not None
    assert report.fees == (Money("USD", Decimal("-0.2")),)


@pytest.mark.parametrize(
    ("contract", "execution"),
    [(STOCK, replace(DONE, acctNumber="DU2")), (replace(STOCK, secType="BAG"), DONE)],
)
def test_execution_of_somebody_else_is_not_told(
    executions: Executions, contract: Contract, execution: Execution
) -> None:
    """Another account's, and the sum of a combination whose legs are told by themselves. Nor is its cost,
    before it or after."""
    assert executions.charged(cost(execution.execId), AT) is None
    assert executions.told(contract, execution, AT) is None
    assert executions.charged(cost(execution.execId), AT) is None


def test_executions_of_others_are_forgotten_after_many_more(executions: Executions) -> None:
    """They do not pile up for ever: what is told of one then is held until it is known whose it is."""
    for number in range(1001):
        executions.told(STOCK, replace(DONE, execId=f"x.{number}.01", acctNumber="DU2"), AT)
    executions.charged(cost("x.0.01"), AT)
    executions.charged(cost("x.1000.01"), AT)
    assert fill_of(executions, replace(DONE, execId="x.0.01")).fees is not None
    assert fill_of(executions, replace(DONE, execId="x.1000.01")).fees is None


@pytest.mark.parametrize(
    ("contract", "name"), [(replace(STOCK, conId=5), NAME), (STOCK, ""), (STOCK, "mine-1")]
)
def test_execution_of_no_order_of_ours_is_foreign(
    executions: Executions, contract: Contract, name: str
) -> None:
    """It is told, and flagged."""
    fill = fill_of(executions, replace(DONE, orderRef=name), contract)
    assert fill.foreign
    assert fill.client_order_id == (name or None)


def test_trades_from_outside_are_told_apart(executions: Executions) -> None:
    """They have no order: two of one size and price are two."""
    outside = replace(DONE, permId=0, orderId=0, clientId=0, orderRef="")
    first = fill_of(executions, outside)
    second = fill_of(executions, replace(outside, execId="0000e0d5.6596b0d2.02.01"))
    assert first.broker_order_id != second.broker_order_id
    assert first.cumulative is None
    assert fill_of(executions, replace(outside, execId="x.y.01", orderId=3)).broker_order_id == "0/3"


@pytest.mark.parametrize(
    "odd",
    [
        replace(DONE, side="SHORT"),
        replace(DONE, execId=""),
        replace(DONE, price=UNSET),
        replace(DONE, time=AT.replace(tzinfo=None)),
        replace(DONE, price=float("nan")),
    ],
)
def test_execution_that_cannot_be_read_is_an_error(executions: Executions, odd: Execution) -> None:
    """It is never told with a side, a price or a time that was guessed."""
    with pytest.raises(ValueError, match=r"execution|finite"):
        executions.told(STOCK, odd, AT)


def test_time_is_told_in_utc(executions: Executions) -> None:
    """The gateway tells it in its own zone."""
    local = AT.astimezone(ZoneInfo("America/New_York"))
    fill = fill_of(executions, replace(DONE, time=local))
    assert (fill.executed_at, fill.executed_at.tzinfo) == (AT, UTC)


def test_what_is_days_old_is_forgotten(executions: Executions) -> None:
    """The gateway repeats executions until midnight only."""
    fill_of(executions)
    fill_of(executions, replace(DONE, execId="x.y.01", time=AT + timedelta(days=4)))
    assert executions.fills([KEY]) == ()


def test_commissions_of_what_never_comes_are_forgotten(executions: Executions) -> None:
    """They do not pile up for ever."""
    for number in range(1100):
        executions.charged(cost(f"x.{number}.01"), AT)
    assert fill_of(executions, replace(DONE, execId="x.0.01")).fees is None
    assert fill_of(executions, replace(DONE, execId="x.1099.01")).fees is not None
