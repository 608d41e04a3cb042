"""The saved state of a run: everything needed to go on as if it had never stopped.

A state file is JSON in an envelope with a schema number and a checksum, written beside its final name,
flushed to the disk and then moved into place, readable by its owner only. A live run keeps its truth in
the journal; there a state file is an export.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from attrs import asdict, field, fields, frozen

from alphaweave.core.errors import StateCorrupt, StateError, StateMismatch, StateSchemaTooNew
from alphaweave.core.outputs import OutputKind, objection, real_path
from alphaweave.data.series import Series

__all__ = ["SCHEMA", "LiveState", "load_live_state", "rows_seen", "save_live_state"]

SCHEMA = 2

_SHOWN: Final = 80


@frozen(kw_only=True)
class LiveState:
    """A run as it stood after a slice. Every field is JSON.

    Attributes:
        run_id, strategy, state_version: whose state it is; ``strategy`` is ``module:Class``.
        timestamp: end of the last slice, ISO 8601 UTC; None before the first.
        position: slices done.
        kernel: books, open orders, indicators, counters.
        strategy_state: what the strategy's ``get_state`` returned, encoded.
        venue: the simulated venue.
        feed: symbol -> rows seen and a digest of them, so that other data is noticed.
        terms: what else the run's decisions depend on (`alphaweave.live.terms`), so that others are noticed.
        monitors: name -> what the monitor recorded.
    """

    run_id: str
    strategy: str
    state_version: int
    timestamp: str | None
    position: int
    kernel: Mapping[str, Any]
    strategy_state: Any = None
    venue: Mapping[str, Any] = field(factory=dict)
    feed: Mapping[str, Any] = field(factory=dict)
    terms: Mapping[str, Any] = field(factory=dict)
    monitors: Mapping[str, Any] = field(factory=dict)

    @property
    def as_of(self) -> datetime | None:
        """`timestamp` as an aware datetime."""
        return None if self.timestamp is None else datetime.fromisoformat(self.timestamp)

    @property
    def portfolio_state(self) -> Mapping[str, Any]:
        """Balances and positions."""
        ledger: Mapping[str, Any] = self.kernel["ledger"]
        return ledger

    @property
    def open_orders(self) -> list[Mapping[str, Any]]:
        """Orders that may still fill."""
        orders: list[Mapping[str, Any]] = self.kernel["orders"]
        return orders


def save_live_state(path: str | Path, state: LiveState) -> None:
    """Write ``state`` to ``path``, whole or not at all; the file before it stays until then.

    A symbolic link is written through.

    Raises:
        StateError: the file cannot be written, what is there is no state file, or the state is no JSON.
    """
    what = objection(path, OutputKind.STATE)
    if what is not None:
        raise StateError(f"the state is not written: the path {what}", path)
    target = real_path(path)
    try:
        body = json.dumps(asdict(state), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StateError(f"a part of the state cannot be written as JSON: {error}", target) from error
    envelope = f'{{"alphaweave_state":{SCHEMA},"checksum":"{_checksum(body)}","state":{body}}}\n'
    temporary = None
    before = "The file before it is unchanged"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp makes the file with mode 0600, before a byte is in it
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(envelope)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(target)
        temporary = None
        before = "The new file is in place, but a power failure may still undo it"
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise StateError(
            f"the state cannot be written: {error.strerror or error}; free the disk or choose another "
            f"`persistence.state_path`. {before}",
            target,
        ) from error


def load_live_state(path: str | Path, *, strategy: str | None = None, run_id: str | None = None) -> LiveState:
    """Read a state file.

    Args:
        path: the file.
        strategy: ``module:Class`` that the state must belong to; None accepts any.
        run_id: the run that it must belong to; None accepts any.

    Raises:
        StateError: there is no such file, or it cannot be read.
        StateCorrupt: it is truncated or damaged.
        StateSchemaTooNew: a newer version of AlphaWeave wrote it.
        StateMismatch: it belongs to another strategy or run.
    """
    source = Path(path)
    try:
        text = source.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StateCorrupt("this is not a state file: it is not text", source) from error
    except OSError as error:
        raise StateError(f"the state cannot be read: {error.strerror or error}", source) from error
    body = _opened(text, source)
    names = {attribute.name for attribute in fields(LiveState)}
    if set(body) != names:
        odd = ", ".join(sorted(set(body) ^ names))
        raise StateCorrupt(f"these parts are missing or unknown: {odd}", source)
    state = LiveState(**body)
    if strategy is not None and state.strategy != strategy:
        raise StateMismatch(
            f"this state is of strategy {state.strategy}, the run's is {strategy}; choose another "
            "`persistence.state_path`, or remove the file to start anew",
            source,
        )
    if run_id is not None and state.run_id != run_id:
        raise StateMismatch(
            f"this state is of run {_short(state.run_id)}, the config's run.id is {_short(run_id)}; choose "
            "another `persistence.state_path`, or remove the file to start anew",
            source,
        )
    return state


def rows_seen(series: Series, rows: int) -> dict[str, Any]:
    """How many rows a run has seen of a series, and a digest of all their figures."""
    digest = blake2b(digest_size=16)
    for column in (series.end, series.open, series.high, series.low, series.close, series.volume):
        digest.update(memoryview(column)[:rows])
    return {"rows": rows, "digest": digest.hexdigest()}


def _opened(text: str, source: Path) -> dict[str, Any]:
    try:
        envelope = json.loads(text)
    except ValueError as error:
        raise StateCorrupt(
            f"this is no state that AlphaWeave saved, or it was damaged or cut short since ({error}); give "
            "the path of persistence.state_path, or restore the file from a copy",
            source,
        ) from error
    if not isinstance(envelope, dict) or type(envelope.get("alphaweave_state")) is not int:
        raise StateCorrupt("this is not a state file of AlphaWeave", source)
    if envelope["alphaweave_state"] < SCHEMA:
        raise StateError(
            f"the file has schema {envelope['alphaweave_state']}, this version reads {SCHEMA}; start anew "
            "with --fresh, or resume with the version that wrote it",
            source,
        )
    if envelope["alphaweave_state"] > SCHEMA:
        raise StateSchemaTooNew(
            f"the file has schema {envelope['alphaweave_state']}, this version reads up to {SCHEMA}. "
            "Try: pip install -U alphaweave-core",
            source,
        )
    body = envelope.get("state")
    if not isinstance(body, dict):
        raise StateCorrupt("the file holds no state", source)
    plain = json.dumps(body, separators=(",", ":"))
    if envelope.get("checksum") != _checksum(plain):
        raise StateCorrupt(
            "the checksum does not match: the file was changed or damaged; restore it from a copy, or "
            "remove it to start anew",
            source,
        )
    return body


def _short(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."


def _checksum(body: str) -> str:
    return blake2b(body.encode(), digest_size=16).hexdigest()
