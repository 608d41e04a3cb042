"""Whether a run goes on from a saved state, starts anew, or must not start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alphaweave.core.errors import StateMismatch
from alphaweave.data.series import Series
from alphaweave.live.state import LiveState, load_live_state, rows_seen
from alphaweave.live.terms import term_changes

__all__ = ["state_to_resume"]


def state_to_resume(
    path: Path, *, strategy: str, run_id: str, series: Mapping[str, Series], terms: Mapping[str, Any]
) -> tuple[LiveState | None, str | None]:
    """The state to go on from, and what a person should know about that.

    A run that had reached the end of the same bars starts anew, under whatever terms.

    Args:
        path: the state file; there need not be one.
        strategy, run_id: whose state it must be.
        series: the bars of the run.
        terms: as of `alphaweave.live.terms.run_terms`.

    Raises:
        StateError: the file cannot be used.
        StateMismatch: it was saved by another run, over other bars, or under other terms.
    """
    if not path.exists() or not path.stat().st_size:
        return None, None
    state = load_live_state(path, strategy=strategy, run_id=run_id)
    changes = term_changes(state.terms, terms)
    _check_bars(state, series, path)
    if state.feed.keys() == series.keys() and all(
        state.feed[symbol]["rows"] == len(one) for symbol, one in series.items()
    ):
        words = "".join(f"; {change}" for change in changes)
        return None, f"the run saved in {path} had reached the end of these bars: starting anew{words}"
    if changes:
        lines = "".join(f"\n  {change}" for change in changes)
        them = "it" if len(changes) == 1 else "them"
        raise StateMismatch(
            f"the run was saved under other terms:{lines}\n  put {them} back, or start anew with --fresh",
            path,
        )
    return state, f"resuming after slice {state.position} from {path}"


def _check_bars(state: LiveState, series: Mapping[str, Series], path: Path) -> None:
    """The rows that were seen are there, and are what they were."""
    for symbol, one in series.items():
        seen = state.feed.get(symbol)
        if seen is None:
            continue  # the terms say so
        if len(one) < seen["rows"]:
            raise StateMismatch(
                f"the state was saved after {seen['rows']} bars of {symbol}, there are {len(one)}; put the "
                "missing ones back, or start anew with --fresh",
                path,
            )
        if rows_seen(one, seen["rows"]) != seen:
            raise StateMismatch(
                f"the bars of {symbol} are not those that the state was saved with; resume on the same data "
                "(later bars may be added), or start anew with --fresh",
                path,
            )
