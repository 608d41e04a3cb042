"""`alphaweave run` with Alpaca's broker and datafeed, from a config to its last order, at the sandbox."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from shutil import copy
from typing import Any, TypeVar

import pytest
import yaml
from attrs import define, field

from alphaweave.cli.main import main
from alphaweave.core.market import Bar
from alphaweave.live.adapters.base import Services
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_records import IntentKind
from alphaweave.live.runner import LiveRunner
from alphaweave.testing.clock import KIT_NOW, RunningClock
from alphaweave_broker_alpaca.sandbox.control import AlpacaSandbox
from alphaweave_broker_alpaca.sandbox.options import SandboxOptions

T = TypeVar("T")
EXAMPLES = Path(__file__).parents[1] / "examples"
MINUTE = timedelta(minutes=1)
FAR = 10**9
# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 20.0
# Flat, up, and down: the fast average crosses the slow one twice, after the warm-up.
PRICES = [*[100.0] * 41, 104.0, 108.0, 112.0, 100.0, 90.0, 80.0]
WARMUP = 40


# Rests below the market until the price comes down to it, and is sold at the market.
RESTING = """
from alphaweave import Strategy


class Resting(Strategy):
    def next(self, i):
        if i == 42:
            self.order_limit("BTC-USD", 2000, 105)
        if i == 45:
            self.close_position("BTC-USD")
"""


# Changes its mind about size and price before anything is filled, and sells what it came to.
MOVING = """
from alphaweave import Strategy


class Moving(Strategy):
    def next(self, i):
        if i == 41:
            self.resting = self.order_limit("SPY", 10, 90, tif="gtc")
        if i == 42:
            assert self.resting.replace(size=30, limit_price=105), self.resting.text
        if i == 45:
            self.close_position("SPY")
"""


def minute(number: int, symbol: str = "SPY") -> Bar:
    close = PRICES[number]
    start = KIT_NOW + (number - WARMUP) * MINUTE
    return Bar(symbol, "1m", start, start + MINUTE, close, close, close, close, 1000.0)


@define
class Venue:
    """The sandbox on a loop of its own, as Alpaca is on machines of its own."""

    symbol: str = "SPY"
    clock: RunningClock = field(factory=RunningClock)
    sandbox: AlpacaSandbox = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.new_event_loop)

    def __attrs_post_init__(self) -> None:
        self.sandbox = AlpacaSandbox(SandboxOptions(symbols=(self.symbol,)), Services(clock=self.clock))

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(_PATIENCE)

    @contextmanager
    def up(self) -> Iterator[None]:
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            self.do(self.sandbox.start())
            self.do(self.sandbox.load([minute(number, self.symbol) for number in range(WARMUP)]))
            yield
        finally:
            self.do(self.sandbox.stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()


def config(venue: Venue, folder: Path, mode: str) -> Path:
    """The README's config, pointed at the sandbox."""
    given = venue.sandbox.options()
    streams = {name: given.pop(name) for name in ("data_url", "data_stream_url")}
    orders = {"trading_stream_url": given.pop("trading_stream_url")}
    crypto = venue.symbol == "BTC/USD"
    streams |= {"feed": "crypto"} if crypto else {}
    both = {**given, "key": "${env:APCA_KEY}", "secret": "${env:APCA_SECRET}", "paper": mode == "paper"}
    document = {
        "run": {"id": "sma", "mode": mode, "warmup": WARMUP},
        "instruments": [{"symbol": "BTC-USD", "names": {"alpaca": "BTC/USD"}} if crypto else "SPY"],
        "datafeed": {"name": "alpaca", "interval": "1m", "options": {"alpaca": {**both, **streams}}},
        "broker": {
            "name": "alpaca",
            "account_id": venue.sandbox.account_id,
            "options": {"alpaca": {**both, **orders}},
        },
        "strategy": {"class": "my_strategies:SmaCross", "params": {"fast": 2, "slow": 4}},
        "persistence": {"journal": "run.db"},
        "risk": {
            "max_order_notional": 2_000_000,
            "max_position_notional": 2_000_000,
            "daily_loss": {"flatten": 0.9},
            # A minute passes between two bars, and nothing is heard in it.
            "silence_seconds": FAR,
        },
    }
    path = folder / "alpaca.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def wait(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _PATIENCE
    pause = threading.Event()
    while not true():
        assert time.monotonic() < end, f"{what} did not come"
        pause.wait(0.01)


def has_seen(journal: Path, slices: int) -> bool:
    """Whether the run has decided about so many, those of its warm-up included, and its orders are at the
    venue: one that is a minute old is too old to be sent."""
    if not journal.exists():
        return False
    reader = JournalReader(journal)
    return sum(1 for _ in reader.tape("slice")) >= slices and not any(
        one.is_open and one.broker_order_id is None for one in reader.orders()
    )


def has_successor(journal: Path) -> bool:
    """Whether an order was replaced by another, which the venue has."""
    orders = JournalReader(journal).orders()
    return any(one.broker_order_id and one.intent.order_id != one.intent.client_order_id for one in orders)


def trade(venue: Venue, journal: Path, problems: list[BaseException], replaced_at: int = FAR) -> None:
    """Let the market go on, minute by minute, and stop the run after its last order."""

    def at(number: int) -> None:
        if number > replaced_at:
            wait(partial(has_successor, journal), "the next version of the order")

    done = lambda: len(venue.sandbox.truth().executions) == 2  # noqa: E731
    drive(venue, journal, problems, range(WARMUP, len(PRICES)), done, at)


def drive(
    venue: Venue,
    journal: Path,
    problems: list[BaseException],
    numbers: range,
    done: Callable[[], bool],
    at: Callable[[int], None] = lambda _: None,
) -> None:
    """Let these minutes go by, each when the one before was decided about; stop the run when it is done."""
    try:
        for number in numbers:
            wait(partial(has_seen, journal, number), f"slice {number}")
            at(number)
            venue.clock.advance(60.0)
            venue.do(venue.sandbox.play(minute(number, venue.symbol)))
        wait(done, "what the run is to do")
    except BaseException as error:
        problems.append(error)
    finally:
        with pytest.raises(SystemExit):
            main(["stop", str(journal), "--operator", "eva", "--wait", "10"])


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_config_with_alpaca_trades_until_it_is_stopped(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The averages of warm-up and stream cross, a position is bought and sold, and the books agree."""
    venue = Venue()
    problems: list[BaseException] = []
    # The lock of the account is this test's own, and the strategy lies beside the config.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    copy(EXAMPLES / "my_strategies.py", tmp_path)
    monkeypatch.delitem(sys.modules, "my_strategies", raising=False)
    monkeypatch.setattr(LiveRunner, "from_config", partial(LiveRunner.from_config, clock=venue.clock))
    with venue.up():
        given = venue.sandbox.options()
        monkeypatch.setenv("APCA_KEY", given["key"])
        monkeypatch.setenv("APCA_SECRET", given["secret"])
        path, journal = config(venue, tmp_path, mode), tmp_path / "run.db"
        driver = threading.Thread(target=trade, args=(venue, journal, problems))
        driver.start()
        words = ["--confirm-live", venue.sandbox.account_id] if mode == "live" else []
        with pytest.raises(SystemExit) as left:
            main(["run", str(path), "--summary", str(tmp_path / "summary.json"), *words])
        driver.join()
        truth = venue.sandbox.truth()
    assert problems == []
    assert left.value.code == 0
    ended = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["summary"]
    assert (ended["outcome"], ended["orders"], ended["fills"]) == ("stopped", 2, 2)
    assert Decimal(repr(ended["cash"])) == truth.balances["USD"]
    assert not any(truth.positions.values())


@pytest.mark.parametrize("strategy", ["my_strategies:SmaCross", "resting:Resting"])
def test_crypto_is_bought_held_and_sold_with_its_fees_in_the_books(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alpaca takes coins of what is bought, at the rate of a taker or of a maker: what is held is what the
    books have, so that nothing halts, all of it is sold, and cash agrees to the cent."""
    venue = Venue("BTC/USD")
    problems: list[BaseException] = []
    (tmp_path / "resting.py").write_text(RESTING, encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(LiveRunner, "from_config", partial(LiveRunner.from_config, clock=venue.clock))
    with venue.up():
        given = venue.sandbox.options()
        monkeypatch.setenv("APCA_KEY", given["key"])
        monkeypatch.setenv("APCA_SECRET", given["secret"])
        path, journal = config(venue, tmp_path, "paper"), tmp_path / "run.db"
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        if strategy.startswith("resting"):
            document["strategy"] = {"class": strategy}
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        driver = threading.Thread(target=trade, args=(venue, journal, problems))
        driver.start()
        with pytest.raises(SystemExit):
            main(["run", str(path), "--summary", str(tmp_path / "summary.json")])
        driver.join()
        truth = venue.sandbox.truth()
    assert problems == []
    ended = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["summary"]
    assert (ended["outcome"], ended["fills"]) == ("stopped", 2)
    assert "trading is ACTIVE" in capsys.readouterr().out
    codes = {entry.data["code"] for _, entry in JournalReader(journal).entries("alert")}
    assert codes.isdisjoint({"position_differs", "cash_differs"}), codes
    bought, sold = truth.executions
    rate = Decimal("0.0015") if strategy.startswith("resting") else Decimal("0.0025")
    assert bought.size - sold.size == round(bought.size * rate, 9) > 0
    assert Decimal(repr(ended["cash"])) == truth.balances["USD"]
    assert "BTC" not in truth.balances


def test_order_is_replaced_by_another_at_alpaca_and_stays_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled, waited for, and placed anew with what is left: the books have one order of 30."""
    venue = Venue()
    problems: list[BaseException] = []
    (tmp_path / "moving.py").write_text(MOVING, encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(LiveRunner, "from_config", partial(LiveRunner.from_config, clock=venue.clock))
    with venue.up():
        given = venue.sandbox.options()
        monkeypatch.setenv("APCA_KEY", given["key"])
        monkeypatch.setenv("APCA_SECRET", given["secret"])
        path, journal = config(venue, tmp_path, "paper"), tmp_path / "run.db"
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        document["strategy"] = {"class": "moving:Moving"}
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        driver = threading.Thread(target=trade, args=(venue, journal, problems, 42))
        driver.start()
        with pytest.raises(SystemExit) as left:
            main(["run", str(path), "--summary", str(tmp_path / "summary.json")])
        driver.join()
        truth = venue.sandbox.truth()
    assert problems == []
    assert left.value.code == 0
    ended = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["summary"]
    assert (ended["outcome"], ended["orders"], ended["fills"]) == ("stopped", 2, 2)
    assert [(one.size, one.price) for one in truth.executions] == [(30, 100), (30, 90)]
    assert Decimal(repr(ended["cash"])) == truth.balances["USD"]
    asked = [row.intent for row in JournalReader(journal).orders()]
    first, second, exit_ = (one for one in asked if one.kind is IntentKind.SUBMIT)
    assert (first.order_id, second.order_id) == (first.client_order_id, first.client_order_id)
    assert exit_.order_id == exit_.client_order_id


def test_crypto_that_was_bought_while_the_run_was_down_is_held_with_its_fee(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order rested and was filled with nobody there: the restart books the coins that there are, and
    all of them are sold."""
    venue = Venue("BTC/USD")
    problems: list[BaseException] = []
    (tmp_path / "resting.py").write_text(RESTING.replace("i == 45", "i >= 45"), encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(LiveRunner, "from_config", partial(LiveRunner.from_config, clock=venue.clock))
    with venue.up():
        given = venue.sandbox.options()
        monkeypatch.setenv("APCA_KEY", given["key"])
        monkeypatch.setenv("APCA_SECRET", given["secret"])
        path, journal = config(venue, tmp_path, "paper"), tmp_path / "run.db"
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        document["strategy"] = {"class": "resting:Resting"}
        path.write_text(yaml.safe_dump(document), encoding="utf-8")

        def first() -> None:
            drive(venue, journal, problems, range(WARMUP, 43), lambda: has_seen(journal, 43))

        def second() -> None:
            done = lambda: len(venue.sandbox.truth().executions) == 2  # noqa: E731
            drive(venue, journal, problems, range(45, len(PRICES)), done)

        for script in (first, second):
            driver = threading.Thread(target=script)
            driver.start()
            with pytest.raises(SystemExit):
                main(["run", str(path), "--summary", str(tmp_path / "summary.json")])
            driver.join()
            if script is first:
                for number in (43, 44):
                    venue.clock.advance(60.0)
                    venue.do(venue.sandbox.play(minute(number, venue.symbol)))
                assert [one.price for one in venue.sandbox.truth().executions] == [100]
        truth = venue.sandbox.truth()
    assert problems == []
    codes = {entry.data["code"] for _, entry in JournalReader(journal).entries("alert")}
    assert codes.isdisjoint({"position_differs", "cash_differs"}), codes
    bought, sold = truth.executions
    assert bought.size - sold.size == round(bought.size * Decimal("0.0015"), 9) > 0
    ended = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["summary"]
    assert Decimal(repr(ended["cash"])) == truth.balances["USD"]
