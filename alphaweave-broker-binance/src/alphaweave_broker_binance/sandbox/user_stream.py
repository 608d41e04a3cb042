"""Who hears the events of the account, and when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define

from alphaweave_broker_binance.sandbox.lines import Line
from alphaweave_broker_binance.sandbox.reports import Event

__all__ = ["Subscription", "UserStream"]


@define(eq=False)
class Subscription:
    """One connection's; ``id`` is its own count."""

    line: Line
    id: int


class UserStream:
    """The events, told to every subscription.

    Attributes:
        held: events that wait to be released; None while none are held back.
        lose: so many of the next events are told to nobody.
    """

    def __init__(self) -> None:
        self.held: list[Event] | None = None
        self.lose = 0
        self._subscriptions: list[Subscription] = []
        self._deferring = False
        self._later: list[Event] = []

    def add(self, subscription: Subscription) -> None:
        self._subscriptions.append(subscription)

    def remove(self, subscription: Subscription, now: int | None = None) -> None:
        """End a subscription; told so, where there is a time."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            if now is not None:
                self._say(subscription, {"e": "eventStreamTerminated", "E": now})

    def tell(self, event: Event) -> None:
        if self._deferring or self._later:
            self._later.append(event)
        else:
            self._tell(event)

    @contextmanager
    def after_the_answer(self, *, first: bool = False) -> Iterator[None]:
        """Keep what happens meanwhile until `flush`: an answer comes before its events.

        Args:
            first: keep nothing; the events come first.
        """
        self._deferring = not first
        try:
            yield
        finally:
            self._deferring = False

    def flush(self) -> None:
        """Tell what was kept."""
        later, self._later = self._later, []
        for event in later:
            self._tell(event)

    def release(self, *, times: int, backwards: bool) -> None:
        """Tell what was held back, each so often, and hold nothing any more."""
        held, self.held = self.held or [], None
        for event in reversed(held) if backwards else held:
            for _ in range(times):
                self._tell(event)

    def _tell(self, event: Event) -> None:
        if self.lose > 0:
            self.lose -= 1
        elif self.held is not None:
            self.held.append(event)
        else:
            for subscription in self._subscriptions:
                self._say(subscription, event)

    @staticmethod
    def _say(subscription: Subscription, event: Event) -> None:
        subscription.line.say(json.dumps({"subscriptionId": subscription.id, "event": event}))
