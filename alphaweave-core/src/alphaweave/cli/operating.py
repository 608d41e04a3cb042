"""``alphaweave status``, ``halt``, ``resume``, ``flatten`` and ``stop``."""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

import click

from alphaweave.cli.exits import FAILED
from alphaweave.cli.layout import lay_out
from alphaweave.core.clock import SystemClock, from_ns, to_ns
from alphaweave.core.errors import ControlError, JournalError, StateCorrupt
from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import ACTIVE, HALTED, REDUCING, Command, Verb
from alphaweave.live.journal_reader import JournalReader

__all__ = ["tell_run"]

_POLL: Final = 0.02
# What these ask of a run that is down means nothing to the next one, days later.
_NOW_ONLY: Final = frozenset({Verb.STATUS, Verb.STOP})
_SLOW: Final = "up, and has not answered yet"
_NOTHING: Final[Mapping[str, Any]] = {"latched": []}
_TIGHTER: Final = {ACTIVE: 0, REDUCING: 1, HALTED: 2}


def tell_run(
    verb: str,
    journal: Path,
    *,
    operator: str | None = None,
    reason: str = "",
    symbol: str | None = None,
    wait: float,
    as_json: bool,
) -> int:
    """Tell a run something, wait for its answer, and print what is; the exit code.

    Args:
        journal: of the run, which may be down.
        operator: None is whoever is logged in.
        wait: seconds to wait for a run to answer.

    Raises:
        ControlError: there is no such run, it does not trade that symbol, which may not be empty, or it
            cannot be told.
        JournalError: the file is no journal.
    """
    verb = Verb(verb)
    operator = _logged_in() if operator is None else operator
    if verb is Verb.RESUME and not (operator.strip() and reason.strip()):
        raise ControlError(
            "resume needs --operator, who says so, and --reason, what was wrong and why it is right now; "
            "neither may be empty",
            journal,
        )
    # A shell's variable that is not set must not turn one symbol into all of them.
    if symbol is not None and not symbol.strip():
        raise ControlError("--symbol is empty; name one, or leave --symbol out to mean everything", journal)
    read = _read(journal)
    known = ControlStore.path_beside(journal).exists()
    # A store is made where there is none, and a halt of what is no run would halt nothing. Where there is
    # one the run is told all the same: its journal may be what is wrong.
    if isinstance(read, JournalError) and not known:
        raise read
    store = ControlStore.beside(journal) if known else None
    if symbol and not isinstance(read, JournalError):
        _recognise(symbol, read, {} if store is None else store.latches())
    if store is None and verb is not Verb.STATUS:
        store = ControlStore.beside(journal)
    command = None
    if store is not None:
        clock = SystemClock()
        said_at = to_ns(clock.now())
        number = store.post(verb, operator=operator, reason=reason, at_ns=said_at, scope=symbol or "")
        command = store.wait(number, poll=_patience(clock, wait))
        if command is None and not (verb in _NOW_ONLY and store.withdraw(number, to_ns(clock.now()))):
            command = store.get(number)
    found = _found(verb, command, journal, read)
    try:
        saved = {} if isinstance(read, JournalError) else read.latest("risk").get("") or {}
        found["latched"] = _latched(store, saved.get("states", _NOTHING))
    except (JournalError, StateCorrupt) as error:
        # What an operator has latched holds all the same, and has to be told.
        found |= {"journal_error": str(error), "latched": _latched(store, _NOTHING)}
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _print(found, wait)
    if found["answer"] is not None and "error" in found["answer"]:
        return FAILED
    return FAILED if verb is Verb.STOP and command is None else 0


def _logged_in() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name anywhere.
        return f"uid {os.getuid()}"


def _read(journal: Path) -> JournalReader | JournalError:
    if not journal.is_file():
        raise JournalError("there is no journal here; name the one of the run", journal)
    try:
        return JournalReader(journal)
    except JournalError as error:
        return error


def _recognise(symbol: str, reader: JournalReader, latched: Collection[str]) -> None:
    """Refuse a symbol that the run does not have: who mistyped it would believe the right one halted."""
    # It knows how to read whatever a run can be told, which takes a while to load.
    from alphaweave.live.input_codec import from_document

    try:
        start = reader.newest("start")
    except JournalError:
        # It is told below that the journal is damaged; a run that is up knows its symbols itself.
        return
    if start is None or "instruments" not in start.decision.payload:
        return
    symbols = sorted(from_document(start.decision.payload["instruments"]))
    if symbol not in symbols and symbol not in latched:
        raise ControlError(
            f"{symbol} is not in this run, which has {', '.join(symbols)}; nothing was latched", reader.path
        )


def _patience(clock: SystemClock, seconds: float) -> Callable[[], bool]:
    deadline = clock.monotonic() + seconds

    def poll() -> bool:
        # The answer comes from another process, by way of a file that no operating system tells of alike;
        # the patience, which decides, is the clock's.
        time.sleep(_POLL)
        return clock.monotonic() < deadline

    return poll


def _found(
    verb: Verb,
    command: Command | None,
    journal: Path,
    read: JournalReader | JournalError,
) -> dict[str, Any]:
    found: dict[str, Any] = {"command": verb.value, "journal": str(journal)}
    try:
        if isinstance(read, JournalError):
            raise read
        identity = read.identity
        found |= {
            "run": identity.run_id,
            "mode": identity.mode,
            "broker": identity.broker,
            "account": identity.account,
            "decisions": read.seq,
        }
    except JournalError as error:
        # What was latched holds all the same, and has to be told.
        found["journal_error"] = str(error)
    taken = command is not None and command.taken_at is not None
    answered = command is not None and command.answered_at is not None
    found["run_is"] = "up" if answered else _SLOW if taken else "down or silent"
    found["answer"] = command.answer if command is not None and answered else None
    return found


def _latched(store: ControlStore | None, saved: Mapping[str, Any]) -> dict[str, Any]:
    """What is latched, by scope; ``saved`` are the states in the journal, where alone a run that died may
    have written what it latched."""
    shown = {} if store is None else store.latches()
    waiting: dict[str, set[Verb]] = {}
    for command in () if store is None else (*store.unanswered(), *store.pending()):
        waiting.setdefault(command.scope, set()).add(command.verb)
    flattened = {scope for scope, verbs in waiting.items() if Verb.FLATTEN in verbs}
    if saved["latched"]:
        # They take the records of the whole kernel to load.
        from alphaweave.live.live_ladder import latches_of
        from alphaweave.live.trading_state import KillStep, TradingStates

        states = TradingStates.restore(saved)
        for scope, latch in latches_of(states).items():
            # A resumption that is yet to be obeyed has the last word, and who latched first stays named.
            if Verb.RESUME in waiting.get(scope, ()):
                continue
            if scope not in shown or _TIGHTER[shown[scope].state] < _TIGHTER[latch.state]:
                shown[scope] = latch
            if KillStep.FLATTEN in {cause.step for cause in states.causes(scope or None)}:
                flattened.add(scope)
    return {
        scope or "all": {
            "state": latch.state,
            "flatten": scope in flattened and latch.state != ACTIVE,
            "operator": latch.operator,
            "reason": latch.reason,
            "at": from_ns(latch.at_ns).isoformat(),
        }
        for scope, latch in shown.items()
    }


def _print(found: Mapping[str, Any], wait: float) -> None:
    for name in ("run", "mode", "broker", "account", "decisions", "journal_error"):
        if name in found:
            click.echo(f"{name.replace('_', ' '):<18}{found[name]}")
    click.echo(f"{'the run is':<18}{found['run_is']}")
    for scope, latch in found["latched"].items():
        why = f" ({latch['reason']})" if latch["reason"] else ""
        state = f"{latch['state']} (flatten)" if latch["flatten"] else latch["state"]
        click.echo(f"{'latched':<18}{state}, {scope}, by {latch['operator']} at {latch['at']}{why}")
    # A run that is up may be halted by what is not written yet: its answer says so.
    answer = found["answer"] or {}
    if not found["latched"] and "journal_error" not in found and answer.get("state", "active") == "active":
        click.echo(f"{'latched':<18}nothing: trading is ACTIVE")
    for line in lay_out(answer):
        click.echo(line)
    if found["answer"] is None and found["command"] != Verb.STATUS:
        verb, within = found["command"], f"answered within {wait:g} s"
        if found["run_is"] == _SLOW:
            note = f"the run has the {verb}, and has not {within}; ask for its status"
        elif verb == Verb.STOP:
            note = f"no run has {within}; nothing was stopped, and nothing will be"
        else:
            holds = "holds as soon as a run that is up looks, or from the next start"
            note = f"no run has {within}; the {verb} is latched, and {holds}"
        click.echo(f"note: {note}")
