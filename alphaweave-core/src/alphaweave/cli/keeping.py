"""``alphaweave state``: what the journal of a run holds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from alphaweave.cli.layout import lay_out
from alphaweave.core.clock import SystemClock, from_ns, to_ns
from alphaweave.core.errors import JournalError
from alphaweave.live.journal_reader import JournalReader

__all__ = ["diff_journals", "export_journal", "roll_back", "show_journal"]


def show_journal(journal: Path, *, as_json: bool) -> None:
    """Print where a run stands, by its journal; it may go on meanwhile.

    Raises:
        JournalError: the journal cannot be read.
    """
    reader = JournalReader(journal)
    whole = reader.export()
    # These are long, and `export` has them.
    decisions, orders = whole.pop("decisions"), whole.pop("orders")
    kernel = whole.pop("kernel")
    open_orders = {
        name: {"kind": one["intent"]["kind"], "state": one["state"], "request": one["intent"]["request"]}
        for name, one in orders.items()
        if one["state"] not in {"rejected", "withdrawn", "done"}
    }
    at = whole.pop("timestamp_ns")
    found: dict[str, Any] = {
        **whole,
        "last_decision_at": None if at is None else from_ns(at).isoformat(),
        "last_input": None if not decisions else _input(decisions[-1]),
        "snapshot": kernel is not None,
        "intents": len(orders),
        "executions": len(reader.executions()),
        "open_intents": open_orders,
    }
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for line in lay_out(found):
        click.echo(line)


def export_journal(journal: Path, out: Path | None) -> None:
    """Write the whole journal as one JSON document, to standard output or to a file that is not there yet.

    Raises:
        JournalError: the journal cannot be read.
        OSError: the file exists, or cannot be written.
    """
    document = json.dumps(JournalReader(journal).export(), indent=2, allow_nan=False)
    if out is None:
        click.echo(document)
        return
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(f"{document}\n")
    click.echo(f"wrote {out}")


def diff_journals(mine: Path, other: Path, *, limit: int, as_json: bool) -> int:
    """Print where two journals, or a journal and an export, differ; 1 if they do.

    Raises:
        JournalError: one of them cannot be read.
    """
    found = JournalReader(mine).diff(_theirs(other), limit=limit)
    if as_json:
        rows = [{"path": one.path, "mine": one.mine, "theirs": one.theirs} for one in found]
        click.echo(json.dumps(rows, indent=2))
    else:
        for one in found:
            click.echo(f"{one.path}: {json.dumps(one.mine)} | {json.dumps(one.theirs)}")
        click.echo("no difference" if not found else f"{len(found)} differences" + _more(found, limit))
    return 1 if found else 0


def roll_back(journal: Path, to: int, *, confirmed: bool) -> None:
    """Take back the decisions after number ``to``; a copy of the journal is kept.

    Raises:
        UsageError: it was not confirmed.
        JournalError: there is no such decision, or a run writes the journal.
    """
    from alphaweave.live.journal import Journal

    reader = JournalReader(journal)
    last = reader.seq
    if not confirmed:
        raise click.UsageError(
            f"this forgets decisions {to + 1} to {last}, and nothing that the broker did; "
            "say --yes if that is what you want"
        )
    clock = SystemClock()
    opened = Journal.open(journal, run=reader.identity, clock_ns=lambda: to_ns(clock.now()))
    try:
        copy = opened.rollback(to)
    finally:
        opened.close()
    click.echo(f"rolled back from decision {last} to {to}; the journal as it was: {copy}")


def _input(row: dict[str, Any]) -> str:
    decision = row["decision"]
    return f"{decision['input_kind']} {decision['input_key']}"


def _more(found: list[Any], limit: int) -> str:
    return " or more" if len(found) == limit else ""


def _theirs(path: Path) -> JournalReader | dict[str, Any]:
    with path.open("rb") as stream:
        begins = stream.read(1)
    if begins != b"{":
        return JournalReader(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise JournalError(f"is neither a journal nor an export of one: {error}", path) from error
    if not isinstance(document, dict) or "decisions" not in document:
        raise JournalError("is neither a journal nor an export of one", path)
    return document
