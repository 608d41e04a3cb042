"""What follows from the decisions: how far each intent came, which executions are booked, the latest values.

The same function writes it as decisions are committed and makes it again from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from alphaweave.core.errors import InvariantViolation
from alphaweave.live.journal_reader import chain_at, intent_row, read_page
from alphaweave.live.journal_records import (
    EXECUTIONS,
    FINAL,
    Decision,
    Intent,
    IntentKind,
    IntentRow,
    IntentState,
    Outcome,
    canonical,
)
from alphaweave.live.journal_schema import executions, intents, latest, sealed

__all__ = ["project", "project_again"]

_NEW_INTENT = insert(intents)
_NEW_EXECUTION = insert(executions)
_OLD_VALUE = delete(latest).where(
    latest.c.area == bindparam("old_area"), latest.c.key == bindparam("old_key")
)
_NEW_VALUE = insert(latest)
# Made once: to put a statement together costs about what it costs to carry it out.
_NAMED = intents.c.client_order_id == bindparam("name")
_NEWEST = select(intents).where(_NAMED).order_by(intents.c.attempt.desc()).limit(1)
_NEWEST_SUBMIT = _NEWEST.where(intents.c.attempt == 0)
_NEWEST_CANCEL = _NEWEST.where(intents.c.attempt > 0)
_OLDER_CANCELS = select(intents).where(
    _NAMED,
    intents.c.attempt > 0,
    intents.c.attempt < bindparam("number"),
    intents.c.state.not_in(sorted(FINAL)),
)
# What the broker says of the newest cancel it says of those before it.
_OF_ALL_CANCELS = frozenset({IntentState.DONE, IntentState.REJECTED})
_SETTLED = update(intents).where(_NAMED, intents.c.attempt == bindparam("number"))


def project(connection: Connection, seq: int, decision: Decision, path: Path) -> None:
    """Write what decision ``seq`` changed, in the transaction that is open.

    Raises:
        InvariantViolation: an outcome is of no intent, or turns back what is over.
        JournalCorrupt: the intent that an outcome is of was damaged.
    """
    if decision.intents:
        connection.execute(
            _NEW_INTENT, [_intent(seq, number, intent) for number, intent in enumerate(decision.intents)]
        )
    for outcome in decision.outcomes:
        _settle(connection, seq, outcome, path)
    booked = [
        {"account": e.account, "execution_key": e.execution_key, "revision": e.revision, "seq": seq}
        for e in decision.entries
        if e.kind in EXECUTIONS
    ]
    if booked:
        connection.execute(_NEW_EXECUTION, booked)
    areas: list[tuple[str, Mapping[str, Any]]] = [
        ("store", decision.store),
        ("watermark", decision.watermarks),
    ]
    if decision.state is not None:
        areas.append(("state", {"": decision.state}))
    if decision.risk is not None:
        areas.append(("risk", {"": decision.risk}))
    values = [(area, key, value) for area, part in areas for key, value in part.items()]
    if values:
        connection.execute(_OLD_VALUE, [{"old_area": area, "old_key": key} for area, key, _ in values])
    kept = [
        sealed(latest, area, key, canonical(value), seq) for area, key, value in values if value is not None
    ]
    if kept:
        connection.execute(_NEW_VALUE, kept)


def project_again(connection: Connection, until: int, path: Path) -> str:
    """Make everything from the decisions up to ``until``; returns the last one's checksum."""
    for table in (intents, executions, latest):
        connection.execute(delete(table))
    seq, chain = 0, chain_at(connection, 0, path)
    while seq < until:
        page, _ = read_page(connection, seq, chain, path)
        for row in page[: until - seq]:
            project(connection, row.seq, row.decision, path)
        seq = min(page[-1].seq, until)
        chain = chain_at(connection, seq, path)
    return chain


def _intent(seq: int, number: int, intent: Intent) -> dict[str, Any]:
    attempt = seq if intent.kind is IntentKind.CANCEL else 0
    return _intent_columns(IntentRow(intent, attempt, seq, IntentState.INTENT, None, seq, {}), number)


def _settle(connection: Connection, seq: int, outcome: Outcome, path: Path) -> None:
    name = outcome.client_order_id
    newest = _NEWEST_CANCEL if outcome.cancel else _NEWEST_SUBMIT
    found = connection.execute(newest, {"name": name}).one_or_none()
    what = f"{'a cancel of ' if outcome.cancel else ''}{outcome.client_order_id}"
    if found is None:
        raise InvariantViolation(f"the outcome {outcome.state} is of {what}, which was never intended")
    row = intent_row(tuple(found), path)
    if (
        outcome.state is IntentState.INTENT
        or (outcome.state is IntentState.SENT and row.state is not IntentState.INTENT)
        or (row.state is IntentState.DONE and outcome.state is not IntentState.DONE)
    ):
        raise InvariantViolation(f"the intent {what} is {row.state} and cannot become {outcome.state}")
    of_all = outcome.cancel and outcome.state in _OF_ALL_CANCELS
    older = connection.execute(_OLDER_CANCELS, {"name": name, "number": row.attempt}) if of_all else ()
    for each in (found, *older):
        known = intent_row(tuple(each), path)
        settled = evolve(
            known,
            state=outcome.state,
            broker_order_id=outcome.broker_order_id or known.broker_order_id,
            changed_seq=seq,
            data=outcome.data,
        )
        columns = _intent_columns(settled, each.position)
        connection.execute(_SETTLED, {**columns, "name": name, "number": known.attempt})


def _intent_columns(row: IntentRow, position: int) -> dict[str, Any]:
    intent = row.intent
    return sealed(
        intents,
        intent.client_order_id,
        row.attempt,
        intent.order_id,
        intent.kind.value,
        canonical(intent.request),
        intent.decided_at,
        canonical(intent.wire),
        row.seq,
        position,
        row.state.value,
        row.broker_order_id,
        row.changed_seq,
        canonical(row.data),
    )
