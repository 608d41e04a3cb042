"""Two connections in a row, and what is told of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alphaweave.core.errors import BrokerUnavailable
from alphaweave.live.broker import BrokerEvent, BrokerNotice, ConnectionLost, ConnectionRestored
from alphaweave_broker_ibkr.pace import Unsent
from alphaweave_broker_ibkr.reachability import Reachability

NOON = datetime(2031, 3, 3, 12, tzinfo=UTC)
LOST, BACK = ConnectionLost(NOON, "the socket"), ConnectionRestored(NOON, "")


def test_each_loss_is_told_once() -> None:
    """However often the gateway says that its servers are lost, and back, in a night."""
    told: list[BrokerEvent] = []
    reach = Reachability(told.append)
    for _ in range(3):
        reach.servers_lost(NOON, "1100")
    assert [type(one) for one in told] == [ConnectionLost]
    for _ in range(3):
        reach.servers_back(NOON, "1102")
    assert [type(one) for one in told] == [ConnectionLost, ConnectionRestored]


def test_gateway_without_its_servers_is_not_restored() -> None:
    """A socket that is made anew says nothing of what is behind it."""
    told: list[BrokerEvent] = []
    reach = Reachability(told.append)
    reach.link(LOST)
    reach.begin()
    reach.servers_lost(NOON, "1100")
    reach.link(BACK)
    assert [type(one) for one in told] == [ConnectionLost]
    with pytest.raises(BrokerUnavailable, match="1100"):
        reach.check()
    reach.servers_back(NOON, "1102")
    assert [type(one) for one in told] == [ConnectionLost, ConnectionRestored]
    reach.check()


def test_no_order_leaves_while_either_is_lost() -> None:
    """The gateway would take it, and a change that waits there becomes a second order."""
    reach = Reachability(lambda _: None)
    reach.check_orders()
    reach.servers_lost(NOON, "1100")
    with pytest.raises(Unsent, match="1100"):
        reach.check_orders()
    reach.servers_back(NOON, "1102")
    reach.check_orders()
    reach.link(LOST)
    with pytest.raises(Unsent, match="not connected"):
        reach.check_orders()
    reach.link(BACK)
    reach.check_orders()


def test_servers_that_come_back_without_the_gateway_restore_nothing_twice() -> None:
    """A new connection says by itself what it lacks; what the old one lacked is forgotten."""
    told: list[BrokerEvent] = []
    reach = Reachability(told.append)
    reach.servers_lost(NOON, "1100")
    reach.link(LOST)
    reach.begin()
    reach.link(BACK)
    reach.servers_back(NOON, "1102")
    assert [type(one) for one in told] == [ConnectionLost, ConnectionRestored]


def test_notices_pass() -> None:
    """They are about the way there, and change nothing."""
    told: list[BrokerEvent] = []
    reach = Reachability(told.append)
    notice = BrokerNotice(NOON, "warning", "slow", "it is slow")
    reach.link(notice)
    assert told == [notice]


def test_servers_that_are_lost_again_meanwhile_are_not_back() -> None:
    """The word that they are back is older than the next loss."""
    told: list[BrokerEvent] = []
    reach = Reachability(told.append)
    reach.servers_lost(NOON, "1100")
    losses = reach.losses
    reach.servers_lost(NOON, "1100 again")
    reach.servers_back(NOON, "1102", losses)
    assert [type(one) for one in told] == [ConnectionLost]
    with pytest.raises(Unsent, match="1100 again"):
        reach.check_orders()


def test_servers_that_are_back_do_not_restore_a_gateway_that_is_away() -> None:
    """Its own connection says when it is there."""
    told: list[BrokerEvent] = []
    reach = Reachability(told.append)
    reach.link(LOST)
    reach.begin()
    reach.servers_lost(NOON, "1100")
    reach.servers_back(NOON, "1102")
    assert [type(one) for one in told] == [ConnectionLost]
    reach.link(BACK)
    assert [type(one) for one in told] == [ConnectionLost, ConnectionRestored]
