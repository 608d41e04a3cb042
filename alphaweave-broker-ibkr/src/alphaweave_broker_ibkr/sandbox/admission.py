"""What the gateway refuses, before an order or a change has any effect."""

from __future__ import annotations

from decimal import Decimal

from alphaweave.core.instrument import PriceStep
from alphaweave.core.money import CONTEXT, ZERO
from alphaweave_broker_ibkr.sandbox.account import Account
from alphaweave_broker_ibkr.sandbox.contracts import Catalog, Contract, Wanted
from alphaweave_broker_ibkr.sandbox.order_form import OrderForm
from alphaweave_broker_ibkr.sandbox.orders import Order, moment_of

__all__ = ["NO_CONTRACT", "Refused", "check_change", "check_form", "check_funds", "find_contract"]

NO_CONTRACT = "No security definition has been found for the request"
_KINDS = {"MKT", "LMT", "STP", "STP LMT", "TRAIL", "MOC", "LOC"}
_TIFS = {"DAY", "GTC", "GTD", "IOC", "FOK", "OPG"}
_STOPS = {"STP", "STP LMT"}


class Refused(Exception):
    """An answer that says no.

    Attributes:
        code: the gateway's number for the reason.
        rejected: the order was made, and ended as rejected.
    """

    def __init__(self, code: int, text: str, *, rejected: bool = False) -> None:
        super().__init__(text)
        self.code, self.text, self.rejected = code, text, rejected


def find_contract(catalog: Catalog, wanted: Wanted) -> Contract:
    """The contract that an order is for.

    Raises:
        Refused: if there is none, or more than one.
    """
    found = catalog.one(wanted)
    if found is not None:
        return found
    if len({one.con_id for one in catalog.candidates(wanted)}) > 1:
        raise Refused(200, f"The contract description specified for {wanted.symbol} is ambiguous.")
    raise Refused(200, NO_CONTRACT)


def check_form(form: OrderForm, contract: Contract, exchange: str) -> None:
    """What can be told from the order alone.

    Raises:
        Refused: for a type, price, size or time in force that cannot be.
    """
    if form.complex:
        raise _invalid(f"{form.complex[0]} cannot be had here")
    if form.raw["action"] not in {"BUY", "SELL"}:
        raise _invalid("Invalid order action")
    if form.kind not in _KINDS:
        raise Refused(387, "Unsupported order type for this exchange and security type.")
    if form.flag("allOrNone"):
        raise _invalid("All or none orders cannot be had here")
    _check_tif(form, contract)
    _check_prices(form, contract, exchange)
    _check_size(form, contract)


def _check_tif(form: OrderForm, contract: Contract) -> None:
    if contract.sec_type == "CRYPTO":
        allowed = {"IOC"} if form.kind == "MKT" else {"IOC", "Minutes"}
        if form.tif not in allowed or form.kind not in {"MKT", "LMT"}:
            raise _rejection(f"Invalid time in force:{form.tif}")
    elif form.tif not in _TIFS or (form.tif == "OPG" and form.kind not in {"MKT", "LMT"}):
        raise _rejection(f"Invalid time in force:{form.tif}")
    if form.tif == "GTD" and moment_of(form.raw["goodTillDate"]) is None:
        raise Refused(391, "The time-in-force date or time is not valid.")
    if form.raw["goodAfterTime"] and moment_of(form.raw["goodAfterTime"]) is None:
        raise Refused(391, "The time-in-force date or time is not valid.")


def _check_prices(form: OrderForm, contract: Contract, exchange: str) -> None:
    steps = contract.steps(exchange)
    needed = []
    if form.kind in {"LMT", "LOC", "STP LMT"}:
        needed.append(form.limit)
    if form.kind in _STOPS:
        needed.append(form.aux)
    for price in needed:
        if price is None or price <= 0:
            raise _invalid("Missing or invalid price")
        if not _on_grid(price, steps):
            raise Refused(110, "The price does not conform to the minimum price variation for this contract.")
    if form.kind == "TRAIL" and bool(form.aux) == bool(form.number("trailingPercent")):
        raise _invalid("Invalid trailing amount or percent")


def _check_size(form: OrderForm, contract: Contract) -> None:
    if form.cash is not None:
        return
    if contract.sec_type == "CRYPTO" and form.kind == "MKT" and form.buy:
        raise Refused(10289, "You must set Cash Quantity for this order.")
    if form.quantity <= 0:
        raise Refused(434, "The order size cannot be zero.")
    step = contract.size_increment
    if form.quantity < contract.min_size or CONTEXT.remainder(form.quantity, step):
        if contract.sec_type == "STK":
            raise Refused(10243, "Fractional-sized order cannot be placed via API.")
        raise _invalid("Order size does not conform to market rule")


def check_funds(
    form: OrderForm, contract: Contract, account: Account, others: list[Order], *, filled: Decimal = ZERO
) -> None:
    """Whether the account carries it.

    Args:
        others: the orders that work.
        filled: what of it is executed already.

    Raises:
        Refused: if it does not.
    """
    held = account.position(contract).size
    sold = sum(
        (one.remaining for one in others if one.contract.con_id == contract.con_id and not one.form.buy), ZERO
    )
    if not form.buy and not contract.shortable and form.quantity - filled > max(held - sold, ZERO):
        raise _rejection("The contract is not available for short sale.")
    wants = _opens(form, contract, account, form.quantity - filled)
    if not wants:
        return
    taken = sum((_opens(one.form, one.contract, account, one.remaining) for one in others), ZERO)
    available = account.equity() - account.margin() - taken
    if wants > available:
        raise _rejection(
            "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH LOAN VALUE "
            f"[{account.equity():.2f} USD] MUST EXCEED THE INITIAL MARGIN [{account.margin() + wants:.2f}]"
        )


def check_change(order: Order, form: OrderForm, contract: Contract) -> None:
    """Whether a living order can become this.

    Raises:
        Refused: with a code that leaves the order as it is.
    """
    old = order.form
    if contract.con_id != order.contract.con_id or (form.buy, form.kind) != (old.buy, old.kind):
        raise Refused(105, "Order being modified does not match original order")
    if form.cash is None and form.quantity < order.filled:
        raise _rejection("Cannot change to the new order size: less than what is filled")


def _opens(form: OrderForm, contract: Contract, account: Account, size: Decimal) -> Decimal:
    """What an order would lock up, as far as it opens something."""
    held = account.position(contract)
    sign = 1 if form.buy else -1
    price = form.limit if form.kind in {"LMT", "LOC", "STP LMT"} else None
    if form.cash is not None:
        return form.cash * contract.margin * account.rates(contract.currency)
    after = held.size + sign * size
    more = max(abs(after) - abs(held.size), ZERO)
    return account.locks(contract, more, price or form.aux or account.price(held))


def _on_grid(price: Decimal, steps: tuple[PriceStep, ...]) -> bool:
    step = steps[0].step
    for band in steps[1:]:
        if price >= band.start:
            step = band.step
    return not CONTEXT.remainder(price, step)


def _invalid(cause: str) -> Refused:
    return Refused(321, f"Error validating request.-'bN' : cause - {cause}")


def _rejection(reason: str) -> Refused:
    return Refused(201, f"Order rejected - reason:{reason}", rejected=True)
