"""Real money: who may trade which account, at a broker of a plugin that holds one; the rest is refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from test_live_runs import FAR, SYMBOLS, Busy, LiveFeed, bars

from alphaweave.core.clock import ManualClock, from_ns
from alphaweave.core.errors import AlphaweaveError, AuthenticationFailed, RunRefused
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave.live.config import LiveConfig, parse_live_config
from alphaweave.live.hookspecs import hookimpl
from alphaweave.live.plugins import BrokerPlugin, DatafeedPlugin
from alphaweave.live.registry import Registry
from alphaweave.live.run_lock import RunLock, account_lock_name
from alphaweave.live.runner import LiveRunner
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave_broker_mock import PaperBrokerAdapter

LIMITS = {
    "silence_seconds": FAR,
    "order_rate": {"per_second": FAR, "per_minute": FAR},
    "daily_loss": {"flatten": 0.9},
    "max_order_notional": 10**9,
    "max_position_notional": 10**9,
}
REAL, PAPER = "U1", "DU1"


@frozen
class Options:
    account: str = REAL


class AcmeBroker(PaperBrokerAdapter):
    """Proves by the name of the account whether it is one of real money."""

    name = "acme"
    capabilities = evolve(SIM_CAPABILITIES, simulated=False)

    def __init__(self, options: Options, services: Services) -> None:
        super().__init__(None, evolve(services, account_id=options.account))
        self.mode, self.account = services.mode, options.account

    async def connect(self) -> None:
        real = not self.account.startswith("DU")
        if real is not (self.mode is RunMode.LIVE):
            kind = "real money" if real else "paper money"
            raise AuthenticationFailed(
                f"account {self.account} is one of {kind}, and run.mode is {self.mode.value}",
                details={"account": self.account, "mode": self.mode.value},
            )
        self._connected = True


class Plugin:
    """Offers it, as an installed distribution would."""

    @hookimpl
    def alphaweave_brokers(self) -> Iterable[BrokerPlugin]:
        yield BrokerPlugin(
            name="acme", create=AcmeBroker, capabilities=AcmeBroker.capabilities, options=Options
        )


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where locks of accounts are kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def wanted(folder: Path, *, account: str = REAL, reports: str = REAL, **sections: Any) -> LiveConfig:
    raw = {
        "run": {"id": "real", "mode": "live", "warmup": 0},
        "instruments": list(SYMBOLS),
        "datafeed": {"name": "replay"},
        "broker": {"name": "acme", "account_id": account, "options": {"acme": {"account": reports}}},
        "strategy": {"class": f"{Busy.__module__}:Busy"},
        "persistence": {"journal": str(folder / "real.db")},
        "risk": LIMITS,
    }
    return parse_live_config({**raw, **sections}, source=folder / "real.yaml")


def runner(given: LiveConfig) -> LiveRunner:
    registry = Registry()
    registry.register(Plugin())
    series = bars(12)
    begin = min(one.start[0] for one in series.values())
    clock = ManualClock(from_ns(begin))
    feed = LiveFeed(series, clock, begin)
    return LiveRunner(
        given,
        broker=registry.broker("acme"),
        datafeed=DatafeedPlugin(
            name="replay", create=lambda options, services: feed, capabilities=feed.capabilities
        ),
        clock=clock,
    )


def test_run_on_which_everything_agrees_trades(tmp_path: Path) -> None:
    """A written live, the account in the config, the same confirmed, and the same at the broker."""
    agreed = runner(wanted(tmp_path))
    agreed.run(confirm_live=REAL)
    assert agreed.mode is RunMode.LIVE
    assert agreed.summary is not None
    assert agreed.summary.outcome == "finished"
    assert len(agreed.memory.trades) > 3


@pytest.mark.parametrize(
    ("words", "confirmed", "complaint"),
    [
        (
            {"run": {"id": "real", "mode": "auto"}},
            REAL,
            "account U1 is one of real money, and run.mode is paper",
        ),
        (
            {"account": PAPER, "reports": PAPER},
            PAPER,
            "account DU1 is one of paper money, and run.mode is live",
        ),
        ({"reports": "U2"}, REAL, "broker.account_id is U1, and the broker has connected to U2"),
        ({}, None, "this run trades real money in account U1; say --confirm-live U1"),
        ({}, "U2", "this run trades real money in account U1; say --confirm-live U1"),
    ],
    ids=["auto", "paper account", "other account", "not confirmed", "other confirmed"],
)
def test_every_disagreement_refuses_with_its_own_words(
    tmp_path: Path, words: dict[str, Any], confirmed: str | None, complaint: str
) -> None:
    """Before anything is written: no journal begins, and no order leaves."""
    refused = runner(wanted(tmp_path, **words))
    with pytest.raises(AlphaweaveError, match=complaint) as caught:
        refused.run(confirm_live=confirmed)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "real.db").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"broker": {"name": "acme"}}, "set broker.account_id to the account that may be traded"),
        ({"persistence": {}}, "run.mode is live, which needs a journal"),
        (
            {"risk": {"silence_seconds": FAR}},
            "needs limits before it may trade: risk.daily_loss .*max_order_notional.*max_position_notional",
        ),
    ],
    ids=["no account", "no journal", "no limits"],
)
def test_config_that_is_not_fit_for_real_money_is_refused_before_anything_connects(
    tmp_path: Path, words: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(RunRefused, match=complaint):
        runner(wanted(tmp_path, **words))


def test_second_run_on_the_same_account_is_refused(
    tmp_path: Path, state_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its journal is called; it is the operating system that holds the account. Where the config
    names that, the broker hears nothing of a second run."""
    connected: list[str] = []
    connect = AcmeBroker.connect

    async def counted(self: AcmeBroker) -> None:
        connected.append(self.account)
        await connect(self)

    monkeypatch.setattr(AcmeBroker, "connect", counted)
    folder = state_home / "alphaweave"
    folder.mkdir(parents=True)
    held = RunLock.acquire(folder / account_lock_name("acme", REAL), what="account U1 at acme")
    try:
        with pytest.raises(AlphaweaveError, match="account U1 at acme is in use by process"):
            runner(wanted(tmp_path)).run(confirm_live=REAL)
        assert connected == []
        paper = {"name": "acme", "options": {"acme": {"account": PAPER}}}
        also = RunLock.acquire(folder / account_lock_name("acme", PAPER), what="account DU1 at acme")
        with pytest.raises(AlphaweaveError, match="account DU1 at acme is in use by process"):
            runner(wanted(tmp_path, run={"id": "paper", "warmup": 0}, broker=paper)).run()
        assert connected == [PAPER]
        also.release()
    finally:
        held.release()
    again = runner(wanted(tmp_path))
    again.run(confirm_live=REAL)
    assert again.memory.trades
