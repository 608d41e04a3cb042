"""Inputs and findings as JSON and back, digit for digit: how the journal keeps what a run was told.

Every record is written with its class's name and those fields that differ from their defaults. Only the
classes listed here come back; nothing in a journal names code.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, Final

from attrs import fields

from alphaweave.core.errors import StateCorrupt
from alphaweave.core.instrument import Instrument, PriceBands, PriceStep
from alphaweave.core.market import Bar, BarCorrection, BarSource
from alphaweave.core.money import Money
from alphaweave.core.order import (
    GroupKind,
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    Trail,
)
from alphaweave.live import actions, inputs, reports, risk_facts
from alphaweave.live import reconcile_findings as findings
from alphaweave.live.control_records import Command, Verb
from alphaweave.live.datafeed import FeedGap
from alphaweave.live.slices import LateBar, Slice

__all__ = ["from_document", "to_document"]

_RECORDS: Final[dict[str, type]] = {
    kind.__name__: kind
    for kind in (
        actions.AccountQuery,
        actions.FillsQuery,
        actions.Forgotten,
        actions.InstrumentsQuery,
        actions.OpenOrdersQuery,
        actions.OrderQuery,
        actions.TimeQuery,
        inputs.AnswerInput,
        inputs.BrokerInput,
        inputs.CommandInput,
        inputs.CorrectionInput,
        inputs.FeedLinkInput,
        inputs.GapInput,
        inputs.LateBarInput,
        inputs.OutcomeInput,
        inputs.SendOutcome,
        inputs.SliceInput,
        inputs.TimerInput,
        findings.Adopt,
        findings.CashDiffers,
        findings.FillGap,
        findings.ForeignFill,
        findings.ForeignOrder,
        findings.FoundFill,
        findings.FoundFlow,
        findings.FoundOrder,
        findings.Passed,
        findings.PositionDiffers,
        findings.Revived,
        findings.RulesChanged,
        findings.Settled,
        findings.StartRefused,
        findings.Unanswered,
        reports.Balance,
        reports.BrokerAccountState,
        reports.BrokerFill,
        reports.BrokerNotice,
        reports.BrokerOrder,
        reports.CashFlow,
        reports.ConnectionLost,
        reports.ConnectionRestored,
        reports.FeeReport,
        reports.FillCorrection,
        reports.FillQuery,
        reports.FillReport,
        reports.OrderAck,
        reports.OrderUpdate,
        reports.PositionChange,
        risk_facts.AccountSeen,
        risk_facts.ClocksCompared,
        risk_facts.LinkHeard,
        Bar,
        BarCorrection,
        Command,
        FeedGap,
        Instrument,
        LateBar,
        Money,
        OrderChange,
        OrderGroup,
        OrderRef,
        OrderRequest,
        PriceBands,
        PriceStep,
        Slice,
        Trail,
    )
}
_ENUMS: Final[dict[str, type[Enum]]] = {
    kind.__name__: kind
    for kind in (
        BarSource,
        GroupKind,
        OrderStatus,
        OrderType,
        Side,
        TimeInForce,
        Verb,
        findings.Settlement,
        findings.Why,
        inputs.OutcomeKind,
    )
}


def to_document(value: Any) -> Any:
    """A record, or what is in one, as JSON values.

    Raises:
        TypeError: it is of no kind that an input holds.
    """
    if value is None or type(value) in {bool, int, str}:
        return value
    if type(value) is float:
        return value if isfinite(value) else {"f": repr(value)}
    if isinstance(value, Enum):
        return {"e": [type(value).__name__, value.value]}
    if isinstance(value, Decimal):
        return {"d": str(value)}
    if isinstance(value, datetime):
        return {"t": value.isoformat()}
    if isinstance(value, tuple | list):
        return [to_document(item) for item in value]
    if isinstance(value, Mapping):
        return {"m": [[to_document(key), to_document(item)] for key, item in value.items()]}
    if isinstance(value, frozenset):
        return {"s": sorted((to_document(item) for item in value), key=repr)}
    kind = type(value)
    if _RECORDS.get(kind.__name__) is not kind:
        raise TypeError(f"a {kind.__qualname__} is no part of an input")
    return {
        "r": kind.__name__,
        **{
            name: to_document(item)
            for name, default in _FIELDS[kind.__name__]
            if (item := getattr(value, name)) is not default and not _is_same_nothing(item, default)
        },
    }


def from_document(document: Any) -> Any:
    """The inverse of `to_document`; lists come back as tuples.

    Raises:
        StateCorrupt: it is no document of `to_document`'s.
    """
    try:
        return _decoded(document)
    except (AttributeError, ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise StateCorrupt(f"an input in the journal cannot be read: {error}") from error


def _decoded(document: Any) -> Any:
    if isinstance(document, list):
        return tuple(_decoded(item) for item in document)
    if not isinstance(document, dict):
        return document
    name = document.get("r")
    if name is not None:
        return _RECORDS[name](**{key: _decoded(item) for key, item in document.items() if key != "r"})
    ((tag, content),) = document.items()
    if tag == "f":
        return float(content)
    if tag == "d":
        return Decimal(content)
    if tag == "t":
        return datetime.fromisoformat(content)
    if tag == "e":
        return _ENUMS[content[0]](content[1])
    if tag == "m":
        return {_decoded(key): _decoded(item) for key, item in content}
    if tag == "s":
        return frozenset(_decoded(item) for item in content)
    raise ValueError(f"a tag {tag!r}")


def _is_same_nothing(item: Any, default: Any) -> bool:
    """Whether both are empty in the same way; 0.0 and Decimal("0.00") are numbers, and are written."""
    return isinstance(item, str | tuple | Mapping) and not item and item == default


def _fields_of(kind: Any) -> tuple[tuple[str, Any], ...]:
    """Names of a record's fields, with the default of each; NOTHING where there is none."""
    found = []
    for attribute in fields(kind):
        default: Any = attribute.default
        if hasattr(default, "factory"):
            default = default.factory()
        found.append((attribute.name, default))
    return tuple(found)


_FIELDS: Final = {name: _fields_of(kind) for name, kind in _RECORDS.items()}
