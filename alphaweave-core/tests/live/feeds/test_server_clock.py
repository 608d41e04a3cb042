"""The venue's clock."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alphaweave.core.clock import EPOCH, ManualClock
from alphaweave.live.adapters.server_clock import ServerClock


def test_the_shortest_round_trip_counts() -> None:
    """Half of it is all the estimate can be wrong by."""
    clock = ManualClock()
    server = ServerClock(clock)
    assert (server.offset, server.error) == (timedelta(), None)
    clock.advance(100)
    second = timedelta(seconds=1)
    start = EPOCH + 90 * second
    server.learn(asked_at=start, answered_at=start + 4 * second, said=start + 12 * second)
    assert server.offset == 10 * second
    server.learn(asked_at=start, answered_at=start + 1 * second, said=start + 9.5 * second)
    server.learn(asked_at=start, answered_at=start + 6 * second, said=start + 50 * second)
    assert (server.offset, server.error) == (9 * second, 0.5 * second)
    assert server.now() == EPOCH + 109 * second


def test_old_samples_are_forgotten() -> None:
    """Clocks drift."""
    server = ServerClock(ManualClock(), samples=2)
    second = timedelta(seconds=1)
    for trip, ahead in ((1, 1), (2, 5), (2, 6)):
        server.learn(
            asked_at=EPOCH, answered_at=EPOCH + trip * second, said=EPOCH + (ahead + trip / 2) * second
        )
    assert server.offset == 5 * second


def test_a_clock_that_was_set_back_gives_no_sample() -> None:
    """The round trip would be negative."""
    with pytest.raises(ValueError, match="before it was asked for"):
        ServerClock(ManualClock()).learn(asked_at=EPOCH, answered_at=EPOCH - timedelta(1), said=EPOCH)
    with pytest.raises(ValueError, match="one sample or more"):
        ServerClock(ManualClock(), samples=0)
