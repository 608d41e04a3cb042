"""What the journal keeps, as records: a decision and its parts, and what is read back.

Everything in them is JSON; the journal knows nothing of orders, ledgers or strategies. This module needs no
database.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from alphaweave.core.errors import InvariantViolation

if TYPE_CHECKING:
    from alphaweave.live.ledger_archive import Archive

__all__ = [
    "EXECUTIONS",
    "FINAL",
    "Decision",
    "Entry",
    "Intent",
    "IntentKind",
    "IntentRow",
    "IntentState",
    "JournalRow",
    "Outcome",
    "Recovered",
    "RunIdentity",
    "Snapshot",
    "canonical",
    "decision_body",
    "decision_of",
    "row_checksum",
]

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


class IntentKind(StrEnum):
    """What the broker is asked for. A group has one intent for each leg."""

    SUBMIT = "submit"
    GROUP = "group"
    CANCEL = "cancel"
    REPLACE = "replace"


class IntentState(StrEnum):
    """How far an intent came. One that is INTENT or SENT after a restart is as good as UNKNOWN.

    WITHDRAWN: not a byte of it left. DONE: its order is over, or its cancel took effect.
    """

    INTENT = "intent"
    SENT = "sent"
    ACKED = "acked"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    WITHDRAWN = "withdrawn"
    DONE = "done"


FINAL = frozenset({IntentState.REJECTED, IntentState.WITHDRAWN, IntentState.DONE})
"""States that need no looking up."""

EXECUTIONS = frozenset({"execution", "correction"})
"""Kinds of entries whose (account, execution key, revision) may come only once."""


@frozen(kw_only=True)
class RunIdentity:
    """Whose journal it is. Only ``config_digest`` may change from one start to the next."""

    run_id: str
    broker: str
    account: str
    strategy: str
    mode: str
    config_digest: str


@frozen
class Entry:
    """A change of the books: an execution, a correction, a fee, a flow, a point of the equity, and the like.

    Attributes:
        kind: what it is. ``execution`` and ``correction`` have an account and an execution key, and the
            journal takes each revision of an execution once; ``equity`` is what a report draws.
        data: the document.
    """

    kind: str
    data: Mapping[str, Any]
    account: str | None = None
    execution_key: str | None = None
    revision: int = 0

    def __attrs_post_init__(self) -> None:
        if self.kind in EXECUTIONS and (self.account is None or self.execution_key is None):
            raise ValueError(f"an entry of kind {self.kind} needs an account and an execution key")


@frozen
class Intent:
    """What is about to be asked of the broker, committed before a byte of it leaves.

    Attributes:
        client_order_id: of the version that is to exist; of a cancel, of the version to be cancelled.
        order_id: the logical order.
        decided_at: nanoseconds since the epoch, UTC.
        wire: the names that the adapter reserved.
    """

    client_order_id: str
    order_id: str
    kind: IntentKind = field(converter=IntentKind)
    request: Mapping[str, Any]
    decided_at: int
    wire: Mapping[str, str] = field(factory=dict)


@frozen
class Outcome:
    """What became of an intent.

    Attributes:
        cancel: of the newest cancel of that client order id, not of the order itself.
        broker_order_id: None keeps the one known.
        data: the broker's words.
    """

    client_order_id: str
    state: IntentState = field(converter=IntentState)
    broker_order_id: str | None = None
    data: Mapping[str, Any] = field(factory=dict)
    cancel: bool = False


@frozen(kw_only=True)
class Decision:
    """Everything done for one input: committed whole, or not at all.

    Attributes:
        input_kind, input_key: the input's identity; it is decided once, for ever.
        at_ns: nanoseconds since the epoch, UTC.
        payload: the input itself: what a replay of the journal reads.
        entries: changes of the books.
        state: the strategy's own values, when they changed.
        intents, outcomes: see there.
        store: the adapter's durable key-values that changed; None removes one.
        watermarks: how far each source was read, of those that changed; None removes one.
        risk: trading state and loss baselines, whole, when they changed.
    """

    input_kind: str
    input_key: str
    at_ns: int
    payload: Mapping[str, Any] = field(factory=dict)
    entries: tuple[Entry, ...] = ()
    state: Mapping[str, Any] | None = None
    intents: tuple[Intent, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    store: Mapping[str, str | None] = field(factory=dict)
    watermarks: Mapping[str, Any] = field(factory=dict)
    risk: Mapping[str, Any] | None = None


@frozen
class JournalRow:
    """A decision as it was committed. ``epoch`` counts how often the journal was opened to write."""

    seq: int
    epoch: int
    decision: Decision


@frozen
class IntentRow:
    """An intent and how far it came.

    Attributes:
        attempt: 0, but for a cancel: the decision that asked for it, since a cancel may be repeated.
        seq: the decision that made it; changed_seq: the one that last changed its state.
        data: the broker's words with that change.
    """

    intent: Intent
    attempt: int
    seq: int
    state: IntentState
    broker_order_id: str | None
    changed_seq: int
    data: Mapping[str, Any]

    @property
    def is_open(self) -> bool:
        return self.state not in FINAL


@frozen
class Snapshot:
    """The kernel as it stood after decision ``seq``."""

    seq: int
    at_ns: int
    kernel: Mapping[str, Any]


@frozen(kw_only=True)
class Recovered:
    """What a restart begins from: state is the snapshot and then the tail, in order.

    Attributes:
        seq: the last decision; 0 if there is none.
        config_digest: of the start before this one; None at the first.
        tail: the decisions after the snapshot; an iterator, read once.
        open_intents: those that may still matter at the broker, in the order they were decided.
        state: the strategy's own values, as last committed.
        archive: executions of long ago, which the snapshot is without.
    """

    seq: int
    epoch: int
    config_digest: str | None
    snapshot: Snapshot | None
    tail: Iterator[JournalRow]
    open_intents: tuple[IntentRow, ...]
    state: Mapping[str, Any] | None
    adapter_store: Mapping[str, str]
    watermarks: Mapping[str, Any]
    risk_state: Mapping[str, Any] | None
    archive: Archive | None = None


def canonical(document: object) -> str:
    """The one JSON text of a document.

    Raises:
        InvariantViolation: it holds what JSON cannot.
    """
    try:
        return _ENCODER.encode(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvariantViolation(f"what the journal is given cannot be written as JSON: {error}") from error


def decision_body(decision: Decision) -> str:
    """What a decision did, without its input, as JSON text; parts that are empty are not there."""
    parts: dict[str, Any] = {
        "entries": [[e.kind, e.data, e.account, e.execution_key, e.revision] for e in decision.entries],
        "state": decision.state,
        "intents": [
            [i.client_order_id, i.order_id, i.kind, i.request, i.decided_at, i.wire] for i in decision.intents
        ],
        "outcomes": [
            [o.client_order_id, o.state, o.broker_order_id, o.data, o.cancel] for o in decision.outcomes
        ],
        "store": decision.store,
        "watermarks": decision.watermarks,
        "risk": decision.risk,
    }
    return canonical(
        {
            name: part
            for name, part in parts.items()
            if part or (part is not None and name in {"state", "risk"})
        }
    )


def decision_of(at_ns: int, kind: str, key: str, payload: str, body: str) -> Decision:
    """The decision that was written as ``payload`` and ``body``."""
    parts = json.loads(body)
    return Decision(
        input_kind=kind,
        input_key=key,
        at_ns=at_ns,
        payload=json.loads(payload),
        entries=tuple(Entry(*entry) for entry in parts.get("entries", ())),
        state=parts.get("state"),
        intents=tuple(Intent(*intent) for intent in parts.get("intents", ())),
        outcomes=tuple(Outcome(*outcome) for outcome in parts.get("outcomes", ())),
        store=parts.get("store", {}),
        watermarks=parts.get("watermarks", {}),
        risk=parts.get("risk"),
    )


def row_checksum(*values: str | int | None) -> str:
    """Of one row: no two rows that differ have the same text, so they have different checksums."""
    # Damage may turn a value into one of another type, which then has a text too, and a wrong one.
    return blake2b(json.dumps(values, default=repr).encode(), digest_size=16).hexdigest()
