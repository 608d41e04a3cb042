"""What an order may turn out to be at a broker is said before the run."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from alphaweave.live.config import parse_live_config
from alphaweave.live.datafeed import FeedCapabilities, FeedKind
from alphaweave.live.plugins import BrokerPlugin, DatafeedPlugin
from alphaweave.live.runner import LiveRunner
from alphaweave.sim.capabilities import SIM_CAPABILITIES


def nothing(options: Any, services: Any) -> Any:
    """Nothing is created before the run."""
    raise AssertionError("created too early")


def test_caveats_of_the_broker_are_among_the_notices() -> None:
    """Each sentence that the broker declares, under its name; without any, none."""
    config = parse_live_config(
        {
            "instruments": ["SPY"],
            "datafeed": {"name": "tape"},
            "broker": {"name": "acme"},
            "strategy": {"class": "my_strategies:Sma"},
        }
    )
    feed = DatafeedPlugin(
        name="tape",
        create=nothing,
        capabilities=FeedCapabilities(kinds=frozenset({FeedKind.BAR}), historical=True),
    )
    caveats = ("a buy stop is held as a stop-limit", "stops may be held here")
    plain = BrokerPlugin(name="acme", create=nothing, capabilities=SIM_CAPABILITIES)
    warned = BrokerPlugin(name="acme", create=nothing, capabilities=evolve(SIM_CAPABILITIES, caveats=caveats))
    before = LiveRunner(config, broker=plain, datafeed=feed).notices
    after = LiveRunner(config, broker=warned, datafeed=feed).notices
    assert [notice for notice in after if notice not in before] == [
        "broker 'acme': a buy stop is held as a stop-limit",
        "broker 'acme': stops may be held here",
    ]
