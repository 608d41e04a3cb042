"""Whether a key is one to trade with: of this run's mode, of this account, and not for more than trading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alphaweave.core.errors import AuthenticationFailed
from alphaweave.live.adapters.base import RunMode, Services
from alphaweave_broker_binance.settings import BinanceOptions

__all__ = ["check_account", "check_mode", "check_rights"]


def check_mode(options: BinanceOptions, services: Services) -> None:
    """Raises AuthenticationFailed where the run's mode and the environment do not agree."""
    if (services.mode is RunMode.LIVE) is not options.is_real:
        raise AuthenticationFailed(
            f"the run is {services.mode.value}, but environment is {options.environment}: make them agree",
            details={"environment": options.environment, "mode": services.mode.value},
        )


def check_account(account: Mapping[str, Any], options: BinanceOptions, services: Services) -> str:
    """Binance's number of the account.

    Raises:
        AuthenticationFailed: it is another account than the config's, or it may not trade.
    """
    number = str(account.get("uid") or "")
    details = {"account": number, "environment": options.environment, "mode": services.mode.value}
    if not number or services.account_id not in {None, number}:
        raise AuthenticationFailed(
            f"the key is of account {number}, not of {services.account_id}: "
            "write that into broker.account_id, or use another key",
            details=details,
        )
    if account.get("canTrade") is False or "SPOT" not in account.get("permissions", ("SPOT",)):
        raise AuthenticationFailed(f"account {number} may not trade spot", details=details)
    return number


def check_rights(rights: Mapping[str, Any], options: BinanceOptions) -> None:
    """Look at what the key may do.

    Raises:
        AuthenticationFailed: it may do too much, or too little.
    """
    details = {"environment": options.environment}
    if rights.get("enableWithdrawals") and not options.allow_withdrawals:
        raise AuthenticationFailed(
            "this key may withdraw: take that right from it, or write allow_withdrawals: true",
            code="withdrawals_enabled",
            details=details,
        )
    if rights.get("enableSpotAndMarginTrading") is False:
        raise AuthenticationFailed("this key may not trade spot: give it that right", details=details)
