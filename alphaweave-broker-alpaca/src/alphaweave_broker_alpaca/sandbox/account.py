"""The account: cash and positions, to the cent, and its form on the wire."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

from attrs import define

from alphaweave.core.money import ZERO, plain
from alphaweave_broker_alpaca.sandbox.assets import Asset
from alphaweave_broker_alpaca.sandbox.fees import Charge
from alphaweave_broker_alpaca.sandbox.orders import stamp

__all__ = ["Account", "Position"]

_HALF = Decimal("0.5")


@define
class Position:
    """Signed units of an asset, and what they cost each on average."""

    asset: Asset
    qty: Decimal = ZERO
    average: Decimal = ZERO

    def book(self, change: Decimal, price: Decimal) -> None:
        """Trade so many signed units."""
        after = self.qty + change
        if self.qty * change >= ZERO:
            self.average = (self.qty * self.average + change * price) / after if after else ZERO
        elif self.qty * after < ZERO:
            self.average = price
        self.qty = after

    def wire(self, price: Decimal, available: Decimal) -> dict[str, Any]:
        """As ``GET /v2/positions`` has it; a short one bears a negative ``qty``."""
        cost, value = self.qty * self.average, self.qty * price
        gain = value - cost
        share = gain / abs(cost) if cost else ZERO
        return {
            "asset_id": self.asset.id,
            "symbol": self.asset.symbol.replace("/", ""),
            "exchange": self.asset.exchange,
            "asset_class": self.asset.kind,
            "asset_marginable": not self.asset.crypto,
            "avg_entry_price": plain(round(self.average, 9)),
            "qty": plain(self.qty),
            "qty_available": plain(available),
            "side": "long" if self.qty > ZERO else "short",
            "market_value": plain(round(value, 9)),
            "cost_basis": plain(round(cost, 9)),
            "unrealized_pl": plain(round(gain, 9)),
            "unrealized_plpc": plain(round(share, 9)),
            "unrealized_intraday_pl": plain(round(gain, 9)),
            "unrealized_intraday_plpc": plain(round(share, 9)),
            "current_price": plain(price),
            "lastday_price": plain(price),
            "change_today": "0",
        }


class Account:
    """What is owned.

    Attributes:
        cash: USD.
        positions: asset symbol -> position; also those that are closed.
    """

    def __init__(self, cash: Decimal, multiplier: int, at: int) -> None:
        self.id = str(uuid4())
        self.number = "PA3SANDBOX01"
        self.cash = self._opening = cash
        self.multiplier = multiplier
        self.positions: dict[str, Position] = {}
        self.configuration: dict[str, Any] = {
            "dtbp_check": "entry",
            "fractional_trading": True,
            "max_margin_multiplier": str(multiplier),
            "no_shorting": False,
            "pdt_check": "entry",
            "ptp_no_exception_entry": False,
            "suspend_trade": False,
            "trade_confirm_email": "all",
        }
        self._created = at

    def of(self, asset: Asset) -> Position:
        return self.positions.setdefault(asset.symbol, Position(asset))

    def held(self, asset: Asset) -> Decimal:
        found = self.positions.get(asset.symbol)
        return ZERO if found is None else found.qty

    def book(self, asset: Asset, change: Decimal, price: Decimal) -> Decimal:
        """Trade signed units; the units held afterwards."""
        position = self.of(asset)
        position.book(change, price)
        self.cash -= change * price
        return position.qty

    def charge(self, asset: Asset, charge: Charge) -> Decimal:
        """Take a fee, in coins or in cash; the units held afterwards."""
        position = self.of(asset)
        position.qty -= charge.coins
        self.cash -= charge.cash
        return position.qty

    def values(self, price: Callable[[str], Decimal | None]) -> tuple[Decimal, Decimal]:
        """What the long and the short positions are worth; the latter is not positive."""
        long = short = ZERO
        for symbol, position in self.positions.items():
            value = position.qty * (price(symbol) or position.average)
            if value > ZERO:
                long += value
            else:
                short += value
        return long, short

    def buying_power(self, price: Callable[[str], Decimal | None], reserved: Decimal) -> Decimal:
        """What may still be opened, orders that work taken into account."""
        long, short = self.values(price)
        equity = self.cash + long + short
        return max(ZERO, equity * self.multiplier - long + short - reserved)

    def spendable(self, reserved: Decimal) -> Decimal:
        """What may be spent on what is not marginable."""
        return max(ZERO, self.cash - reserved)

    def wire(self, price: Callable[[str], Decimal | None], reserved: Decimal) -> dict[str, Any]:
        """As ``GET /v2/account`` has it."""
        long, short = self.values(price)
        equity = self.cash + long + short
        power = self.buying_power(price, reserved)
        regular = max(ZERO, equity * min(self.multiplier, 2) - long + short - reserved)
        initial = (long - short) * _HALF

        def text(value: Decimal) -> str:
            return plain(round(value, 9))

        return {
            "id": self.id,
            "account_number": self.number,
            "status": "ACTIVE",
            "crypto_status": "ACTIVE",
            "crypto_tier": 1,
            "currency": "USD",
            "cash": text(self.cash),
            "equity": text(equity),
            "last_equity": text(self._opening),
            "portfolio_value": text(equity),
            "buying_power": text(power),
            "regt_buying_power": text(regular),
            "effective_buying_power": text(power),
            "non_marginable_buying_power": text(self.spendable(reserved)),
            "options_buying_power": text(self.spendable(reserved)),
            "initial_margin": text(initial),
            "maintenance_margin": text((long - short) * Decimal("0.3")),
            "last_maintenance_margin": "0",
            "long_market_value": text(long),
            "short_market_value": text(short),
            "position_market_value": text(long - short),
            "multiplier": str(self.multiplier),
            "sma": text(self._opening),
            "accrued_fees": "0",
            "pending_reg_taf_fees": "0",
            "intraday_adjustments": "0",
            "balance_asof": stamp(self._created)[:10],
            "created_at": stamp(self._created),
            "options_approved_level": 0,
            "options_trading_level": 0,
            "shorting_enabled": not self.configuration["no_shorting"],
            "trading_blocked": False,
            "transfers_blocked": False,
            "account_blocked": False,
            "trade_suspended_by_user": self.configuration["suspend_trade"],
            "admin_configurations": {},
            "user_configurations": None,
        }
