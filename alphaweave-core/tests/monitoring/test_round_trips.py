"""Round trips, worked by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphaweave.monitoring.monitor import TradeRecord
from alphaweave.monitoring.round_trips import RoundTrip, TripBook, trip_metrics

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


def fills(*rows: tuple[str, float, float], symbol: str = "A", start: float = 0.0) -> list[TradeRecord]:
    """Fills of (side, size, price), a minute apart, a fee of 1 each, from a position on."""
    records, position = [], start
    for number, (side, size, price) in enumerate(rows):
        position += size if side == "buy" else -size
        records.append(
            TradeRecord(
                timestamp=NOON + timedelta(minutes=number),
                symbol=symbol,
                side=side,
                price=price,
                size=size,
                fees=1.0,
                order_id=f"o{number}",
                execution_key=f"{symbol}{number}",
                position=position,
                index=number,
            )
        )
    return records


def test_long_trip_averages_its_fills() -> None:
    """Two entries and two exits are one round trip; profit is what came in less what went out."""
    book = TripBook(fills(("buy", 10, 100.0), ("buy", 30, 104.0), ("sell", 15, 110.0), ("sell", 25, 106.0)))
    (trip,) = book.closed
    assert trip == RoundTrip(
        symbol="A",
        side="long",
        opened_at=NOON,
        closed_at=NOON + timedelta(minutes=3),
        opened_index=0,
        closed_index=3,
        size=40.0,
        entry_price=103.0,
        exit_price=107.5,
        pnl=(15 * 110.0 + 25 * 106.0) - (10 * 100.0 + 30 * 104.0) - 4.0,
        fees=4.0,
        return_=176.0 / 4120.0,
        fills=4,
    )
    assert book.open({}) == []


def test_short_trip_gains_when_prices_fall() -> None:
    """Sold at 50, bought back at 40."""
    (trip,) = TripBook(fills(("sell", 3, 50.0), ("buy", 3, 40.0))).closed
    assert (trip.side, trip.size, trip.entry_price, trip.exit_price) == ("short", 3.0, 50.0, 40.0)
    assert trip.pnl == pytest.approx(30.0 - 2.0)


def test_reversal_ends_one_trip_and_begins_the_next() -> None:
    """A fill through zero is shared by size, and so are its fees."""
    book = TripBook(fills(("buy", 10, 100.0), ("sell", 40, 110.0), ("buy", 30, 100.0)))
    long, short = book.closed
    assert (long.side, long.size, long.fees, long.pnl) == ("long", 10.0, 1.25, 100.0 - 1.25)
    assert (short.side, short.size, short.fees, short.pnl) == ("short", 30.0, 1.75, 300.0 - 1.75)
    assert short.opened_at == long.closed_at


def test_symbols_do_not_mix() -> None:
    """Each symbol has its own trips, listed by the time they were closed."""
    a = fills(("buy", 1, 10.0), ("sell", 1, 11.0))
    b = fills(("buy", 1, 20.0), ("sell", 1, 19.0), symbol="B")
    book = TripBook([a[0], b[0], b[1], a[1]])
    assert [trip.symbol for trip in book.closed] == ["B", "A"]


def test_open_position_is_marked() -> None:
    """What is still held counts at the given price; without a price its profit is unknown."""
    book = TripBook(fills(("buy", 10, 100.0), ("sell", 4, 120.0)))
    assert book.closed == []
    (trip,) = book.open({"A": 110.0})
    assert (trip.closed_at, trip.exit_price) == (None, 110.0)
    assert trip.pnl == pytest.approx(4 * 120.0 + 6 * 110.0 - 1000.0 - 2.0)
    (blind,) = book.open({})
    assert (blind.exit_price, blind.pnl, blind.return_) == (None, None, None)


def test_value_in_the_runs_currency_is_what_counts() -> None:
    """A contract multiplier reaches profit and return through the notional, prices stay as quoted."""
    from attrs import evolve

    buy, sell = fills(("buy", 2, 100.0), ("sell", 2, 101.0))
    (trip,) = TripBook([evolve(buy, notional=10_000.0), evolve(sell, notional=10_100.0)]).closed
    assert (trip.entry_price, trip.exit_price, trip.pnl) == (100.0, 101.0, 98.0)
    assert trip.return_ == pytest.approx(98.0 / 10_000.0)
    (marked,) = TripBook([evolve(buy, notional=10_000.0)]).open({"A": 103.0})
    assert marked.pnl == pytest.approx(300.0 - 1.0)


def test_position_from_before_is_left_out() -> None:
    """A position that was there first has no known entry; the next one has."""
    rows = (("sell", 4, 10.0), ("sell", 6, 10.0), ("buy", 1, 10.0), ("sell", 1, 12.0))
    assert TripBook(fills(*rows[:1], start=10.0)).open({"A": 11.0}) == []
    book = TripBook(fills(*rows, start=10.0))
    (trip,) = book.closed
    assert (trip.size, trip.opened_at) == (1.0, NOON + timedelta(minutes=2))


def test_position_from_before_that_turns_around_begins_a_trip() -> None:
    """What the fill opens on the other side is known."""
    (trip,) = TripBook(fills(("sell", 15, 10.0), ("buy", 5, 8.0), start=10.0)).closed
    assert (trip.side, trip.size, trip.pnl) == ("short", 5.0, pytest.approx(10.0 - 1.0 / 3.0 - 1.0))


def test_position_changed_by_something_else_is_left_out() -> None:
    """A foreign fill makes the profit of the position unknown until it is flat."""
    first = fills(("buy", 10, 10.0))
    later = fills(("sell", 12, 11.0), ("buy", 1, 10.0), ("sell", 1, 9.0), start=12.0)
    assert [trip.size for trip in TripBook([*first, *later]).closed] == [1.0]
    flattened = fills(("buy", 2, 10.0), ("sell", 2, 11.0))
    assert [trip.size for trip in TripBook([*first, *flattened]).closed] == [2.0]


def test_decimal_dust_does_not_keep_a_trip_open() -> None:
    """Sizes that add up in decimals but not in floats still end flat."""
    rows = fills(("buy", 0.1, 10.0), ("buy", 0.2, 10.0), ("sell", 0.3, 11.0))
    assert rows[-1].position != 0.0
    (trip,) = TripBook(rows).closed
    assert trip.pnl == pytest.approx(0.3 - 3.0)


ROWS = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 9), st.integers(1, 200).map(lambda p: p / 2)),
    max_size=30,
)


@given(rows=ROWS, mark=st.integers(1, 200))
def test_profits_add_up_to_the_cash_and_what_is_held(
    rows: list[tuple[str, float, float]], mark: float
) -> None:
    """Over all trips, closed and open, profit is cash received less cash paid and fees, plus the mark."""
    trades = fills(*rows)
    book = TripBook(trades)
    cash = sum((1 if t.side == "sell" else -1) * t.size * t.price - t.fees for t in trades)
    held = trades[-1].position if trades else 0.0
    trips = [*book.closed, *book.open({"A": float(mark)})]
    assert sum(trip.pnl or 0.0 for trip in trips) == pytest.approx(cash + held * mark)
    assert sum(trip.fees for trip in trips) == pytest.approx(len(trades))


def test_figures_of_trips() -> None:
    """Two wins, one loss and a draw."""
    rows = (("buy", 1, 10.0), ("sell", 1, 22.0))
    pnls = (10.0, 30.0, -20.0, 0.0)
    (trip,) = TripBook(fills(*rows)).closed
    from attrs import evolve

    figures = trip_metrics(evolve(trip, pnl=pnl) for pnl in pnls)
    assert figures == {
        "round_trips": 4,
        "win_rate": 0.5,
        "profit_factor": 2.0,
        "average_win": 20.0,
        "average_loss": -20.0,
    }
    assert trip_metrics([]) == {
        "round_trips": 0,
        "win_rate": None,
        "profit_factor": None,
        "average_win": None,
        "average_loss": None,
    }
