"""What clients ask about the account: its balances, its positions, its gains."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from alphaweave.core.money import ZERO
from alphaweave_broker_ibkr.sandbox.account import BASE, Account, Position
from alphaweave_broker_ibkr.sandbox.contracts import Contract
from alphaweave_broker_ibkr.sandbox.gateway import Gateway
from alphaweave_broker_ibkr.sandbox.hours import NEW_YORK
from alphaweave_broker_ibkr.sandbox.session import Session
from alphaweave_broker_ibkr.sandbox.wire import Field, Fields, encode

__all__ = ["AccountRequests"]

_EVERY = timedelta(minutes=3)
_SUMMARIES = 2
_Row = tuple[str, Field, str]


class AccountRequests:
    """Answers them, and tells whoever subscribed: positions at once, balances soon after them or every three
    minutes."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway, self._account = gateway, gateway.venue.account
        self._empty = frozenset(gateway.accounts[1:])
        self._updates: set[Session] = set()
        self._positions: set[Session] = set()
        self._multi: dict[tuple[Session, int], tuple[str, str]] = {}
        self._summaries: dict[tuple[Session, int], str] = {}
        self._gains: dict[tuple[Session, int], int | None] = {}
        self._said_at: datetime = gateway.now()
        self._due = False
        gateway.handlers |= {
            6: self._account_updates,
            61: self._all_positions,
            62: self._summary,
            63: self._cancel_summary,
            64: self._cancel_positions,
            76: self._updates_multi,
            77: self._cancel_multi,
            92: self._pnl,
            93: self._cancel_pnl,
            94: self._pnl_single,
            95: self._cancel_pnl,
        }
        gateway.goodbyes.append(self._forget)

    # Subscriptions -------------------------------------------------------------------------------------

    def _account_updates(self, session: Session, fields: Fields) -> None:
        fields.text()
        wanted, account = fields.flag(), fields.text()
        if not wanted:
            self._updates.discard(session)
            return
        if not self._is_known(session, account, -1):
            return
        if account in self._empty:
            session.say(encode((54, 1, account)))
            return
        self._updates.add(session)
        self._say_values(session)
        for held in self._account.positions.values():
            self._say_portfolio(session, held)
        self._say_time(session)
        session.say(encode((54, 1, self._account.number)))

    def _all_positions(self, session: Session, fields: Fields) -> None:
        self._positions.add(session)
        for held in self._account.held():
            session.say(_position(self._account, held))
        session.say(encode((62, 1)))

    def _cancel_positions(self, session: Session, fields: Fields) -> None:
        self._positions.discard(session)

    def _updates_multi(self, session: Session, fields: Fields) -> None:
        fields.text()
        number = fields.integer()
        account, model = fields.texts(2)
        if not self._is_known(session, account, number):
            return
        if account in self._empty:
            session.say(encode((74, 1, number)))
            return
        self._multi[session, number] = (account, model)
        self._say_multi(session, number, event=False)
        session.say(encode((74, 1, number)))

    def _cancel_multi(self, session: Session, fields: Fields) -> None:
        fields.text()
        self._multi.pop((session, fields.integer()), None)

    def _summary(self, session: Session, fields: Fields) -> None:
        fields.text()
        number = fields.integer()
        group, tags = fields.texts(2)
        if group != "All":
            session.refuse(number, 321, "Error validating request.-'bX' : cause - Group name is invalid")
            return
        own = [key for key in self._summaries if key[0] is session and key[1] != number]
        if len(own) >= _SUMMARIES:
            text = "Error processing request.-'bX' : cause - Too many account summary requests"
            session.refuse(number, 322, text)
            return
        self._summaries[session, number] = tags
        self._say_summary(session, number, event=False)
        session.say(encode((64, 1, number)))

    def _cancel_summary(self, session: Session, fields: Fields) -> None:
        fields.text()
        self._summaries.pop((session, fields.integer()), None)

    def _pnl(self, session: Session, fields: Fields) -> None:
        number = fields.integer()
        if self._is_known(session, fields.text(), number):
            self._gains[session, number] = None
            self._say_gain(session, number, event=False)

    def _pnl_single(self, session: Session, fields: Fields) -> None:
        number = fields.integer()
        account, _ = fields.texts(2)
        if self._is_known(session, account, number):
            self._gains[session, number] = fields.integer()
            self._say_gain(session, number, event=False)

    def _cancel_pnl(self, session: Session, fields: Fields) -> None:
        self._gains.pop((session, fields.integer()), None)

    def _is_known(self, session: Session, account: str, number: int) -> bool:
        if account in {"", *self._gateway.accounts}:
            return True
        session.refuse(number, 321, "Error validating request.-'bN' : cause - Invalid account code")
        return False

    def _forget(self, session: Session) -> None:
        self._updates.discard(session)
        self._positions.discard(session)
        for subscriptions in (self._multi, self._summaries, self._gains):
            for key in [key for key in subscriptions if key[0] is session]:
                del subscriptions[key]

    # What is told --------------------------------------------------------------------------------------

    def moved(self, contract: Contract | None) -> None:
        """Tell of a position that changed; balances that change alone wait for their time."""
        if contract is None:
            return
        held = self._account.position(contract)
        for session in self._positions:
            session.say(_position(self._account, held), event=True)
        for session in self._updates:
            self._say_portfolio(session, held, event=True)
        self._due = True

    def beat(self) -> None:
        """Tell balances whose time has come."""
        if self._due or self._gateway.now() - self._said_at >= _EVERY:
            self._say_balances()

    def _say_balances(self) -> None:
        self._said_at, self._due = self._gateway.now(), False
        for session in self._updates:
            self._say_values(session, event=True)
            self._say_time(session, event=True)
        for session, number in self._multi:
            self._say_multi(session, number, event=True)
        for session, number in self._summaries:
            self._say_summary(session, number, event=True)
        for session, number in self._gains:
            self._say_gain(session, number, event=True)

    def _say_values(self, session: Session, *, event: bool = False) -> None:
        for row in (*_identity(self._account), *_figures(self._account), *_ledger(self._account)):
            session.say(encode((6, 2, *row, self._account.number)), event=event)

    def _say_time(self, session: Session, *, event: bool = False) -> None:
        local = self._gateway.now().astimezone(NEW_YORK)
        session.say(encode((8, 1, f"{local:%H:%M}")), event=event)

    def _say_multi(self, session: Session, number: int, *, event: bool) -> None:
        account, model = self._multi[session, number]
        for row in (*_figures(self._account), *_ledger(self._account)):
            session.say(encode((73, 1, number, account or self._account.number, model, *row)), event=event)

    def _say_summary(self, session: Session, number: int, *, event: bool) -> None:
        wanted = set(self._summaries[session, number].split(","))
        rows = [row for row in (*_identity(self._account), *_figures(self._account)) if row[0] in wanted]
        ledgers = {one.partition(":")[2] or BASE for one in wanted if one.startswith("$LEDGER")}
        if ledgers:
            ledger = _ledger(self._account)
            rows += [row for row in ledger if "ALL" in ledgers or row[2] in ledgers]
        for row in rows:
            session.say(encode((63, 1, number, self._account.number, *row)), event=event)

    def _say_portfolio(self, session: Session, held: Position, *, event: bool = False) -> None:
        account, one = self._account, held.contract
        multiplier = str(one.multiplier) if one.multiplier != 1 else ""
        session.say(
            encode(
                (
                    7,
                    8,
                    one.con_id,
                    one.symbol,
                    one.sec_type,
                    one.expiry,
                    "0",
                    "0",
                    multiplier,
                    one.primary,
                    one.currency,
                    one.local_symbol,
                    one.trading_class,
                    held.size,
                    account.price(held),
                    account.value(held),
                    held.cost,
                    account.gain(held),
                    held.realized,
                    account.number,
                )
            ),
            event=event,
        )

    def _say_gain(self, session: Session, number: int, *, event: bool) -> None:
        con_id, account = self._gains[session, number], self._account
        if con_id is None:
            gain, realized = _gain(account), _realized(account)
            body = encode((94, number, gain + realized, gain, realized))
        else:
            held = account.positions.get(con_id)
            if held is None:
                body = encode((95, number, 0, 0, 0, 0, 0))
            else:
                gain = account.gain(held)
                body = encode((95, number, held.size, gain, gain, held.realized, account.value(held)))
        session.say(body, event=event)


def _position(account: Account, held: Position) -> bytes:
    where = held.contract.short_fields()
    return encode((61, 3, account.number, *where, held.size, held.cost))


def _gain(account: Account) -> Decimal:
    return sum((account.gain(held) for held in account.held()), ZERO)


def _realized(account: Account) -> Decimal:
    return sum((held.realized for held in account.positions.values()), ZERO)


def _identity(account: Account) -> list[_Row]:
    return [
        ("AccountCode", account.number, ""),
        ("AccountReady", "true", ""),
        ("AccountType", "INDIVIDUAL", ""),
        ("Cushion", "1", ""),
        ("LookAheadNextChange", "0", ""),
        ("Currency", BASE, BASE),
    ]


def _figures(account: Account) -> list[_Row]:
    equity, margin, cash = account.equity(), account.margin(), account.total_cash()
    gross = sum((abs(account.value(held)) for held in account.held()), ZERO)
    return [
        ("NetLiquidation", equity, BASE),
        ("EquityWithLoanValue", equity, BASE),
        ("TotalCashValue", cash, BASE),
        ("SettledCash", cash, BASE),
        ("AccruedCash", ZERO, BASE),
        ("InitMarginReq", margin, BASE),
        ("MaintMarginReq", margin, BASE),
        ("FullInitMarginReq", margin, BASE),
        ("FullMaintMarginReq", margin, BASE),
        ("AvailableFunds", equity - margin, BASE),
        ("ExcessLiquidity", equity - margin, BASE),
        ("BuyingPower", 4 * (equity - margin), BASE),
        ("GrossPositionValue", gross, BASE),
    ]


def _ledger(account: Account) -> list[_Row]:
    """By currency, and in the account's own."""
    rows: list[_Row] = []
    for currency, amount in account.cash.items():
        rows += [
            ("TotalCashBalance", amount, currency),
            ("CashBalance", amount, currency),
            ("ExchangeRate", account.rates(currency), currency),
        ]
    return [
        *rows,
        ("TotalCashBalance", account.total_cash(), "BASE"),
        ("CashBalance", account.total_cash(), "BASE"),
        ("NetLiquidationByCurrency", account.equity(), "BASE"),
        ("UnrealizedPnL", _gain(account), "BASE"),
        ("RealizedPnL", _realized(account), "BASE"),
    ]
