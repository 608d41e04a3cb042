"""How a client words an order: all fields of ``placeOrder``, and those that the gateway works with."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import frozen

from alphaweave.core.money import ZERO
from alphaweave_broker_ibkr.sandbox.contracts import Wanted
from alphaweave_broker_ibkr.sandbox.layouts import (
    PLACE_ALGO,
    PLACE_HEAD,
    PLACE_MIDDLE,
    PLACE_SCALE,
    PLACE_TAIL,
)
from alphaweave_broker_ibkr.sandbox.wire import Fields, Malformed, number_of

__all__ = ["OrderForm", "plain_form"]

_CLEARING = ("optOutSmartRouting", "clearingAccount", "clearingIntent", "notHeld")
_HEAD, _MIDDLE, _TRAIL = PLACE_HEAD.split(), PLACE_MIDDLE.split(), PLACE_SCALE.split()
_AFTER_ALGO, _TAIL = PLACE_ALGO.split(), PLACE_TAIL.split()
# Fields of a condition after its kind: price, time, margin, execution, volume, change in percent.
_CONDITION = {1: 6, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5}


@frozen(kw_only=True)
class OrderForm:
    """An order as it came.

    Attributes:
        raw: every field that stands alone, by its name in the client library.
        quantity: total units; zero for one sized in cash.
        complex: parts that this gateway reads and does not trade (legs, conditions, …).
    """

    raw: Mapping[str, str]
    quantity: Decimal
    complex: tuple[str, ...] = ()

    @classmethod
    def read(cls, fields: Fields, wanted: Wanted) -> OrderForm:
        """The rest of a ``placeOrder``, after its contract.

        Raises:
            Malformed: if fields are missing, left over, or no numbers where there should be some.
        """
        raw: dict[str, str] = {}
        form = _Reader(fields, raw)
        form.take(_HEAD)
        if wanted.sec_type == "BAG":
            form.combo()
        form.take(_MIDDLE)
        if raw["deltaNeutralOrderType"] not in {"", "None"}:
            form.skip("a delta neutral order", 8)
        form.take(_TRAIL)
        increment = number_of(raw["scalePriceIncrement"])
        if increment is not None and increment > 0:
            form.skip("a scale", 7)
        form.take(("scaleTable", "activeStartTime", "activeStopTime", "hedgeType"))
        if raw["hedgeType"]:
            form.skip("a hedge", 1)
        form.take(_CLEARING)
        if fields.flag():
            form.skip("a delta neutral contract", 3)
        form.take(("algoStrategy",))
        if raw["algoStrategy"]:
            form.skip("an algorithm", 2 * fields.integer())
        form.take(_AFTER_ALGO)
        if raw["orderType"] == "PEG BENCH":
            form.skip("a peg", 5)
        form.conditions()
        form.take(_TAIL)
        form.offsets(wanted.exchange)
        if fields.left:
            raise Malformed(f"{fields.left} fields too many")
        for name in ("lmtPrice", "auxPrice", "cashQty", "trailStopPrice", "trailingPercent", "minQty"):
            number_of(raw[name])
        return cls(raw=raw, quantity=number_of(raw["totalQuantity"]) or ZERO, complex=tuple(form.complex))

    def number(self, name: str) -> Decimal | None:
        """A number; None if it is unset."""
        return number_of(self.raw[name])

    def flag(self, name: str) -> bool:
        return self.raw[name] not in {"", "0"}

    @property
    def buy(self) -> bool:
        return self.raw["action"] == "BUY"

    @property
    def kind(self) -> str:
        """The order type, as the gateway spells it."""
        return self.raw["orderType"]

    @property
    def tif(self) -> str:
        """The time in force; what is left out is the preset."""
        return self.raw["tif"] or "DAY"

    @property
    def limit(self) -> Decimal | None:
        return self.number("lmtPrice")

    @property
    def aux(self) -> Decimal | None:
        """The stop price, or the distance of a trailing stop."""
        return self.number("auxPrice")

    @property
    def cash(self) -> Decimal | None:
        """What to spend, for an order that is sized in cash."""
        return self.number("cashQty") or None

    @property
    def ref(self) -> str:
        return self.raw["orderRef"]

    @property
    def parent_id(self) -> int:
        return int(number_of(self.raw["parentId"]) or 0)

    @property
    def oca_type(self) -> int:
        return int(number_of(self.raw["ocaType"]) or 0) or 3


class _Reader:
    """Takes fields by name, and notes what stands in lists."""

    def __init__(self, fields: Fields, raw: dict[str, str]) -> None:
        self._fields, self._raw = fields, raw
        self.complex: list[str] = []

    def take(self, names: list[str] | tuple[str, ...]) -> None:
        for name in names:
            self._raw[name] = self._fields.text()

    def skip(self, what: str, count: int) -> None:
        self.complex.append(what)
        self._fields.texts(count)

    def combo(self) -> None:
        self.skip("legs", 8 * self._fields.integer())
        self._fields.texts(self._fields.integer())
        self._fields.texts(2 * self._fields.integer())

    def conditions(self) -> None:
        count = self._fields.integer()
        for _ in range(count):
            kind = self._fields.integer()
            if kind not in _CONDITION:
                raise Malformed(f"a condition of kind {kind}")
            self.skip("a condition", _CONDITION[kind])
        if count:
            self._fields.texts(2)

    def offsets(self, exchange: str) -> None:
        if exchange == "IBKRATS":
            self.take(("minTradeQty",))
        kind = self._raw["orderType"]
        middle = kind == "PEG MID"
        if kind == "PEG BEST":
            self.take(("minCompeteSize", "competeAgainstBestOffset"))
            middle = number_of(self._raw["competeAgainstBestOffset"]) == Decimal("Infinity")
        if middle:
            self.take(("midOffsetAtWhole", "midOffsetAtHalf"))


def plain_form(**named: str) -> OrderForm:
    """A limit order that says nothing but this.

    Args:
        named: fields by their name in the client library.
    """
    names = (*_HEAD, *_MIDDLE, *_TRAIL, "scaleTable", "activeStartTime", "activeStopTime", "hedgeType")
    raw = dict.fromkeys((*names, *_CLEARING, "algoStrategy", *_AFTER_ALGO, *_TAIL), "")
    raw |= {"orderType": "LMT", "transmit": "1", **named}
    return OrderForm(raw=raw, quantity=number_of(raw["totalQuantity"]) or ZERO)
