"""`alphaweave run` with Alpaca's broker and datafeed, from a config to its last order, at the sandbox."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from attrs import define, field

from alphaweave.cli.main import main
from alphaweave.core.market import Bar
from alphaweave.live.adapters.base import Services
from alphaweave.live.journal_reader import JournalReader
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


def minute(number: int) -> Bar:
    close = PRICES[number]
    start = KIT_NOW + (number - WARMUP) * MINUTE
    return Bar("SPY", "1m", start, start + MINUTE, close, close, close, close, 1000.0)


@define
class Venue:
    """The sandbox on a loop of its own, as Alpaca is on machines of its own."""

    clock: RunningClock = field(factory=RunningClock)
    sandbox: AlpacaSandbox = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.new_event_loop)

    def __attrs_post_init__(self) -> None:
        self.sandbox = AlpacaSandbox(SandboxOptions(symbols=("SPY",)), Services(clock=self.clock))

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(_PATIENCE)

    @contextmanager
    def up(self) -> Iterator[None]:
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            self.do(self.sandbox.start())
            self.do(self.sandbox.load([minute(number) for number in range(WARMUP)]))
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
    both = {**given, "key": "${env:APCA_KEY}", "secret": "${env:APCA_SECRET}", "paper": mode == "paper"}
    document = {
        "run": {"id": "sma", "mode": mode, "warmup": WARMUP},
        "instruments": ["SPY"],
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
    """Whether the run has decided about so many, those of its warm-up included, and its orders have ended:
    one that is a minute old is too old to be sent."""
    if not journal.exists():
        return False
    reader = JournalReader(journal)
    return sum(1 for _ in reader.tape("slice")) >= slices and not any(one.is_open for one in reader.orders())


def trade(venue: Venue, journal: Path, problems: list[BaseException]) -> None:
    """Let the market go on, minute by minute, and stop the run after its last order."""
    try:
        for number in range(WARMUP, len(PRICES)):
            wait(partial(has_seen, journal, number), f"slice {number}")
            venue.clock.advance(60.0)
            venue.do(venue.sandbox.play(minute(number)))
        wait(lambda: len(venue.sandbox.truth().executions) == 2, "the second fill")
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
    # The lock of the account is this test's own.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.syspath_prepend(EXAMPLES)
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
