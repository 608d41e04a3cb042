"""A simulated account outlives the program that traded in it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from alphaweave.core.clock import ManualClock
from alphaweave.core.errors import StateCorrupt, StateError, StateSchemaTooNew
from alphaweave.core.market import Bar
from alphaweave.core.order import OrderRef, OrderRequest, OrderType, Side, TimeInForce
from alphaweave.live.adapters.base import Services
from alphaweave.live.reports import FillQuery
from alphaweave.sim.venue import SimVenue
from alphaweave_broker_mock import PaperBrokerAdapter, account_file
from alphaweave_broker_mock.account_file import AccountFile

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def broker(path: Path | None) -> PaperBrokerAdapter:
    services = Services(clock=ManualClock(START), symbols=("A",), capital="1000", account_path=path)
    return PaperBrokerAdapter(None, services)


def bar(day: int, price: float) -> Bar:
    begin = START + day * DAY
    return Bar("A", "1d", begin, begin + DAY, price, price, price, price, 1e6)


def order(limit: str | None = None) -> OrderRequest:
    if limit is None:
        return OrderRequest("A", Side.BUY, Decimal(2), type=OrderType.MARKET, tif=TimeInForce.DAY)
    return OrderRequest(
        "A", Side.BUY, Decimal(1), type=OrderType.LIMIT, tif=TimeInForce.GTC, limit_price=Decimal(limit)
    )


def test_account_goes_on_where_it_was(tmp_path: Path) -> None:
    """Its positions, cash, executions and resting orders; the first bar after it is matched as the next."""
    path = tmp_path / "folder" / "run.account"

    async def before() -> object:
        first = broker(path)
        await first.connect()
        first.on_market([bar(0, 10.0)])
        await first.submit_order(OrderRef("aw-1", "A"), order())
        first.on_market([bar(1, 11.0)])
        await first.submit_order(OrderRef("aw-2", "A"), order("9"))
        return await first.get_account_state()

    async def after() -> None:
        second = broker(path)
        await second.connect()
        state = await second.get_account_state()
        assert (state.positions, state.balances) == (known.positions, known.balances)  # type: ignore[attr-defined]
        assert state.positions == {"A": Decimal(2)}
        assert [each.client_order_id for each in await second.get_open_orders()] == ["aw-2"]
        # A program that was killed shows again what it had not yet taken in itself.
        second.on_market([bar(1, 8.0)])
        assert [each.client_order_id for each in await second.get_open_orders()] == ["aw-2"]
        second.on_market([bar(2, 8.0)])
        assert await second.get_open_orders() == []
        report = await second.get_fills(FillQuery(START))
        assert [fill.client_order_id for fill in report.fills] == ["aw-1", "aw-2"]
        assert len({fill.execution_key for fill in report.fills}) == 2

    known = asyncio.run(before())
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["run.account"]
    asyncio.run(after())


def test_account_that_is_not_kept_begins_anew(tmp_path: Path) -> None:
    async def trade() -> Decimal | None:
        one = broker(None)
        await one.connect()
        one.on_market([bar(0, 10.0)])
        await one.submit_order(OrderRef("aw-1", "A"), order())
        one.on_market([bar(1, 11.0)])
        return (await one.get_account_state()).positions.get("A")

    assert asyncio.run(trade()) == asyncio.run(trade()) == Decimal(2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", StateCorrupt),
        ("[]", StateCorrupt),
        ('{"alphaweave_account": 1, "bars": {}}', StateCorrupt),
        ('{"alphaweave_account": 2, "bars": {}}\n', StateCorrupt),
        ('{"alphaweave_account": 3}', StateSchemaTooNew),
    ],
)
def test_account_that_cannot_be_read_is_not_taken_for_a_new_one(
    tmp_path: Path, text: str, error: type[Exception]
) -> None:
    path = tmp_path / "run.account"
    path.write_text(text)
    with pytest.raises(error, match=r"run\.account"):
        asyncio.run(broker(path).connect())


def test_account_that_cannot_be_written_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before it stays, whole."""
    path = tmp_path / "run.account"
    venue = broker(None)._venue
    AccountFile(path).save(venue, {}, 1)
    before = path.read_text()
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StateError, match="No space left on device"):
        AccountFile(path).save(venue, {}, 2)
    assert [one.name for one in tmp_path.iterdir()] == ["run.account"]
    assert path.read_text() == before


def traded(file: AccountFile, orders: int) -> tuple[SimVenue, list[str]]:
    """A venue that fills an order each day and is saved after it; the lines that each save left."""
    one, lines = broker(None), []
    venue, board = one._venue, one._board
    for day in range(orders):
        at = START + day * DAY
        venue.submit(OrderRef(f"aw-{day}", "A"), order(), int(at.timestamp()) * 10**9)
        one.on_market([bar(day, 10.0)])
        file.save(venue, board, one._market_time)
        lines.append(file.path.read_text())
    return venue, lines


def kept(path: Path) -> str:
    venue = broker(None)._venue
    AccountFile(path).load(venue, {})
    return json.dumps(venue.snapshot())


def test_account_grows_by_what_changed(tmp_path: Path) -> None:
    """Not by all that ever was, which a long run would write again and again."""
    venue, written = traded(AccountFile(tmp_path / "run.account"), 60)
    grown = [len(after) - len(before) for before, after in pairwise(written)]
    assert all(after.startswith(before) for before, after in pairwise(written))
    assert grown[-1] < grown[5] * 1.1
    assert kept(tmp_path / "run.account") == json.dumps(venue.snapshot())


def test_account_cut_in_its_last_line_is_the_one_before(tmp_path: Path) -> None:
    """Nobody heard of what was being written when the program ended."""
    path = tmp_path / "run.account"
    _, written = traded(AccountFile(path), 3)
    before = kept_in(path, written[1])
    for cut in range(len(written[1]), len(written[2]) - 1, 97):
        assert kept_in(path, written[2][:cut]) == before
    assert kept_in(path, written[1] + "\0" * 512) == before
    assert kept_in(path, written[2]) != before


def kept_in(path: Path, text: str) -> str:
    path.write_text(text)
    return kept(path)


@pytest.mark.parametrize("line", [0, 1])
def test_account_damaged_before_its_last_line_is_refused(tmp_path: Path, line: int) -> None:
    """Also where a whole line is missing."""
    path = tmp_path / "run.account"
    _, written = traded(AccountFile(path), 4)
    lines = written[3].splitlines(keepends=True)
    for damaged in (lines[line].replace('"A"', '"B"', 1), ""):
        path.write_text("".join([*lines[:line], damaged, *lines[line + 1 :]]))
        with pytest.raises(StateCorrupt, match=r"run\.account"):
            kept(path)


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("rewritten", [False, True])
def test_account_is_whole_after_a_kill_at_each_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rewritten: bool
) -> None:
    """Before it or with it, and the next program goes on with either."""
    found = set()
    for killed_at in range(20):
        file = AccountFile(tmp_path / str(killed_at) / "run.account")
        venue, written = traded(file, 20)
        before, calls = kept(file.path), iter(range(20))
        venue.submit(OrderRef("last", "A"), order("1"), 10**19)
        with monkeypatch.context() as patch:
            patch.setattr(account_file, "_ROOM", 0 if rewritten else 1 << 20)
            for name in ("open", "write", "fsync"):
                patch.setattr(os, name, killing(getattr(os, name), calls, killed_at))
            try:
                file.save(venue, {}, 1)
            except Killed:
                assert kept(file.path) in {before, json.dumps(venue.snapshot())}
            else:
                assert kept(file.path) == json.dumps(venue.snapshot())
                assert file.path.read_text().startswith(written[-1]) is not rewritten
                break
        found.add(kept(file.path) == before)
        AccountFile(file.path).save(venue, {}, 2)
        assert kept(file.path) == json.dumps(venue.snapshot())
    assert killed_at >= 3
    assert found == {False, True}


def killing(real: Callable[..., int], calls: object, killed_at: int) -> Callable[..., int]:
    def call(*arguments: object) -> int:
        if next(calls) == killed_at:  # type: ignore[call-overload]
            # Half of what was to be written is there.
            if real.__name__ == "write":
                real(arguments[0], bytes(arguments[1])[:100])  # type: ignore[call-overload]
            raise Killed
        return real(*arguments)

    return call


def test_account_is_begun_anew_once_it_has_doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_file, "_ROOM", 1000)
    path = tmp_path / "run.account"
    venue, written = traded(AccountFile(path), 60)
    anew = [n for n, (a, b) in enumerate(pairwise(written)) if not b.startswith(a)]
    assert 1 < len(anew) < 10
    assert kept(path) == json.dumps(venue.snapshot())


def test_account_is_written_whole_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk has of the line that failed is not known."""
    file = AccountFile(tmp_path / "run.account")
    venue, _ = traded(file, 2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        venue.submit(OrderRef("lost", "A"), order("1"), 10**19)
        with pytest.raises(StateError, match="No space left on device"):
            file.save(venue, {}, 2)
    file.save(venue, {}, 3)
    assert len(file.path.read_text().splitlines()) == 1
    assert kept(file.path) == json.dumps(venue.snapshot())


def test_account_that_is_gone_or_another_is_written_whole(tmp_path: Path) -> None:
    file = AccountFile(tmp_path / "run.account")
    venue, _ = traded(file, 2)
    for spoil in (file.path.unlink, lambda: file.path.write_text("other")):
        spoil()
        venue.cancel_all(None, 10**19)
        file.save(venue, {}, 3)
        assert kept(file.path) == json.dumps(venue.snapshot())


def test_account_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    """One document, without a checksum."""
    path = tmp_path / "run.account"
    venue, _ = traded(AccountFile(path), 3)
    rows = {"A": ["1d", 0, 1, 10.0, 10.0, 10.0, 10.0, 5.0]}
    document = {"alphaweave_account": 1, "time": 7, "venue": venue.snapshot(), "bars": rows}
    path.write_text(json.dumps(document))
    other = broker(None)
    assert AccountFile(path).load(other._venue, other._board) == 7
    assert other._venue.snapshot() == json.loads(json.dumps(venue.snapshot()))
    assert other._board["A"].close[-1] == 10.0
    AccountFile(path).save(other._venue, other._board, 7)
    assert kept(path) == json.dumps(venue.snapshot())


def failing(descriptor: int) -> None:
    raise OSError(28, "No space left on device")
