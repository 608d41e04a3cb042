"""Frozen records made fast, for whoever makes several for every order."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import attrs

__all__ = ["drafted"]

_Record = TypeVar("_Record")


def drafted(record: type[_Record]) -> type[_Record]:
    """What makes instances of ``record`` in less than half the time.

    The ``__init__`` of a frozen class sets each field by a call. Here an instance begins as one of a class
    that differs in nothing but that it may be assigned to, gets its fields, and turns into a ``record``,
    frozen like any other.

    Args:
        record: a frozen class of attrs with slots, whose ``__init__`` sets its fields and does nothing else.

    Raises:
        TypeError: its ``__init__`` validates, converts or computes something.
    """
    fields: tuple[Any, ...] = attrs.fields(cast("type[attrs.AttrsInstance]", record))
    if hasattr(record, "__attrs_post_init__") or any(
        each.validator or each.converter or each.kw_only or not each.init for each in fields
    ):
        raise TypeError(f"{record.__name__} does more than set its fields when it is made: make it itself")

    def finish(draft: object) -> None:
        draft.__class__ = record

    # Nothing is made of this one: it lends its __init__, which assigns.
    lender = attrs.make_class(
        "_Lender",
        {each.name: attrs.field(default=each.default) for each in fields},
        class_body={"__attrs_post_init__": finish},
        slots=True,
    )
    members = {
        "__slots__": (),
        "__init__": vars(lender)["__init__"],
        "__attrs_post_init__": finish,
        # Both: a class that refuses either of them is slow in the other too.
        "__setattr__": object.__setattr__,
        "__delattr__": object.__delattr__,
    }
    return cast("type[_Record]", type(f"Drafted{record.__name__}", (record,), members))
