"""What a decision asked for, in words that two runs of one input can be compared by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from alphaweave.live.journal_records import Decision, Intent, IntentKind

__all__ = ["Difference", "asked_for", "in_words"]

_Asked = Mapping[str, Any]
_FAILED: Final = frozenset({"strategy_failed", "books_contradicted"})
_FIRST: Final = ("side", "quantity", "symbol", "type", "tif")
_LAST: Final = ("reason", "group", "client_order_id")


@frozen(kw_only=True)
class Difference:
    """The first decision that two runs took differently.

    Attributes:
        seq: its number in the journal; input_kind, input_key: what was decided on.
        at_ns: when that came in, epoch nanoseconds UTC.
        number: which of the things asked for is the first that differs, from 0.
        then, now: all that was asked for, as `asked_for` gives it.
    """

    seq: int
    input_kind: str
    input_key: str
    at_ns: int
    number: int
    then: tuple[_Asked, ...]
    now: tuple[_Asked, ...]

    @classmethod
    def between(cls, seq: int, then: Decision, now: Decision | None) -> Difference | None:
        """What ``now`` decided otherwise on the input of ``then``; None: it decided nothing."""
        before, after = asked_for(then), () if now is None else asked_for(now)
        if before == after:
            return None
        same = 0
        while same < min(len(before), len(after)) and before[same] == after[same]:
            same += 1
        return cls(
            seq=seq,
            input_kind=then.input_kind,
            input_key=then.input_key,
            at_ns=then.at_ns,
            number=same,
            then=before,
            now=after,
        )


def asked_for(decision: Decision) -> tuple[_Asked, ...]:
    """Orders, changes and cancels in the order they were decided, then the orders that were denied, then a
    failure. Each has an ``action``, and the rest in JSON values."""
    return (*map(_intent, decision.intents), *_others(decision))


def in_words(asked: _Asked) -> str:
    """One of them in a line."""
    words = [asked["action"]]
    words += [asked[name] for name in _FIRST if asked.get(name)]
    rest = [name for name in asked if name not in {*_LAST, *_FIRST, "action"}]
    words += [f"{name} {asked[name]}" for name in rest]
    words += [f"({asked[name]})" for name in _LAST if asked.get(name)]
    return " ".join(map(str, words))


def _intent(intent: Intent) -> _Asked:
    document = intent.request
    asked: dict[str, Any] = {"action": intent.kind.value, "client_order_id": intent.client_order_id}
    if intent.kind is IntentKind.REPLACE:
        change = {name: value for name, value in document["change"].items() if value is not None}
        return {**asked, "symbol": document["symbol"], "replaces": document["replaces"], **change}
    if intent.kind is IntentKind.CANCEL:
        return {**asked, "symbol": document["symbol"]}
    if "group" in document:
        asked["group"] = document["group"]["kind"]
    return {**asked, **document["request"]}


def _others(decision: Decision) -> Iterator[_Asked]:
    for entry in decision.entries:
        data = entry.data
        if entry.kind == "order" and data["status"] == "denied":
            names = ("symbol", "type", "reason")
            asked = {"action": "denied", "client_order_id": data["order_id"]}
            yield {**asked, **{name: data[name] for name in names}}
        elif entry.kind in _FAILED:
            yield {"action": entry.kind, "callback": data["callback"]}
