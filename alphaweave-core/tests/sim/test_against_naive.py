"""The venue and its naive twin, both after docs/simulation.md, tell the same of the same orders and bars."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

from attrs import asdict, define, evolve, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import CancelRejected, OutcomeUnknown, ReplaceRejected
from alphaweave.core.instrument import Instrument, PriceStep
from alphaweave.core.order import (
    GroupKind,
    OrderChange,
    OrderGroup,
    OrderRef,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
    Trail,
)
from alphaweave.data.series import Series
from alphaweave.live.reports import BrokerFill, OrderUpdate
from alphaweave.sim.costs import FeeModel, SlippageModel
from alphaweave.sim.settings import Fault, VenueSettings
from alphaweave.sim.venue import SimVenue

DAY = 86_400_000_000_000
HOUR = DAY // 24
SECOND = 1_000_000_000
T0 = 19_790 * DAY
LENGTHS = {"1d": DAY, "6h": 6 * HOUR, "tick": SECOND}
T = TypeVar("T")


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


naive = _module("naive_venue")


class Dice(Protocol):
    """What a `random.Random` and the one of hypothesis have in common."""

    def random(self) -> float: ...
    def randint(self, a: int, b: int) -> int: ...
    def choice(self, seq: Sequence[T]) -> T: ...


def likely(dice: Dice, percent: int) -> bool:
    return dice.randint(1, 100) <= percent


def maybe(dice: Dice, percent: int, *values: Any) -> Any:
    """One of the values, or None."""
    return dice.choice(values) if likely(dice, percent) else None


# --- a market ---------------------------------------------------------------------------------------------

STEPS = [
    (PriceStep(Decimal(0), Decimal("0.01")),),
    (PriceStep(Decimal(0), Decimal("0.5")),),
    (PriceStep(Decimal(0), Decimal(1)),),
    (PriceStep(Decimal(0), Decimal("0.25")), PriceStep(Decimal(100), Decimal("0.5"))),
]


def an_instrument(dice: Dice, symbol: str) -> Instrument:
    spot = likely(dice, 30)
    return Instrument(
        symbol=symbol,
        venue_symbol=symbol,
        kind="spot" if spot else "equity",
        base=dice.choice(["BTC", "ETH"]) if spot else None,
        settle="EUR" if likely(dice, 1) else "USD",
        multiplier=Decimal(1) if spot or likely(dice, 60) else Decimal(10),
        price_steps=dice.choice(STEPS),
        size_step=Decimal(dice.choice(["1", "1", "0.1", "3"])),
        shortable=likely(dice, 90),
    )


def some_bars(dice: Dice, symbol: str, interval: str, slices: int, every: bool) -> Series:
    series = Series(symbol, interval)
    price = 100.0
    length = LENGTHS[interval]
    for position in range(slices):
        if not every and not likely(dice, 75):
            continue
        end = T0 + (position + 1) * length
        start = end if interval == "tick" else end - length
        if likely(dice, 10) and interval != "tick":
            start += length // 2
        around = [price + dice.choice([-6, -3, -1, -0.5, 0, 0, 0.5, 1, 3, 6]) for _ in range(4)]
        if likely(dice, 15):
            around = [each + dice.choice([-7.005, 7.005]) for each in around]
        if interval == "tick" or likely(dice, 10):
            around = around[:1] * 4
        low, high = min(around), max(around)
        volume = dice.choice([0.0, 10.0, 37.0, 40.0, 100.0, 1000.0])
        series.append(start, end, around[0], high, low, around[1], volume)
        price = around[1] if 80 < around[1] < 120 else 100.0
    return series


def some_settings(dice: Dice) -> VenueSettings:
    faults = [Fault("reject_order", dice.randint(2, 9), "scripted")] if likely(dice, 10) else []
    faults += [Fault("cancel_reject", dice.randint(1, 3), "busy")] if likely(dice, 10) else []
    return VenueSettings(
        fill_at="last" if likely(dice, 25) else "next_open",
        limit_fill="limit" if likely(dice, 20) else "open_or_limit",
        volume_share=maybe(dice, 50, Decimal("0.1"), Decimal("0.25"), Decimal(1)),
        fees=dice.choice(
            [
                FeeModel(),
                FeeModel(taker_rate=Decimal("0.001"), maker_rate=Decimal("-0.0002")),
                FeeModel(per_unit=Decimal("0.1"), minimum=Decimal(1)),
                FeeModel(taker_rate=Decimal("0.001"), per_unit=Decimal("0.01"), fixed=Decimal("0.5")),
                FeeModel(taker_rate=Decimal("0.01"), maker_rate=Decimal("-0.02"), minimum=Decimal(1)),
            ]
        ),
        slippage=dice.choice(
            [
                SlippageModel(),
                SlippageModel(bps=Decimal(40)),
                SlippageModel(ticks=Decimal(1)),
                SlippageModel(bps=Decimal(3), ticks=Decimal("1.5"), impact=Decimal("0.02")),
            ]
        ),
        latency_ns=dice.choice([0, 0, 0, 1, SECOND, 7 * HOUR]),
        leverage=Decimal(dice.choice(["1", "1", "2", "0.5"])),
        check_funds=likely(dice, 80),
        allow_short=likely(dice, 80),
        session_timezone=dice.choice(["UTC", "America/New_York"]),
        random_partials=dice.choice([0.0, 0.0, 0.0, 0.6]),
        history=maybe(dice, 10, 0, 1, 4),
        faults=tuple(faults),
    )


# --- orders -----------------------------------------------------------------------------------------------

RESTING = [TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTD]
SHORT_LIVED = [TimeInForce.IOC, TimeInForce.FOK, TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE]
TRAILS = [Trail(amount=Decimal(1)), Trail(amount=Decimal("2.3")), Trail(percent=Decimal("1.7"))]


@define(eq=False)
class World:
    """What a script may know when it writes its next order."""

    dice: Dice
    board: Mapping[str, Series]
    names: list[str] = field(factory=list)
    now: int = 0

    def ref(self, symbol: str) -> OrderRef:
        if self.names and likely(self.dice, 1):
            return OrderRef(self.dice.choice(self.names), symbol)
        self.names.append(f"o{len(self.names) + 1}")
        return OrderRef(self.names[-1], symbol)

    def symbol(self) -> str:
        return "unknown" if likely(self.dice, 1) else self.dice.choice(sorted(self.board))

    def price(self, symbol: str, low: int, high: int) -> Decimal:
        """So many halves away from the last close."""
        series = self.board.get(symbol)
        shown = 0 if series is None else series.cursor.count
        last = 100.0 if series is None or not shown else series.close[shown - 1]
        return Decimal(repr(round(last * 2) / 2)) + self.dice.randint(low, high) / Decimal(2)

    def size(self) -> Decimal:
        return Decimal(self.dice.choice(["3", "3", "6", "9", "12", "30", "90", "4.5"]))

    def expiry(self) -> Any:
        return from_ns(self.now + self.dice.randint(0, 8) * self.dice.choice([HOUR, DAY, SECOND]))

    def request(self, symbol: str, **fixed: Any) -> OrderRequest:
        dice = self.dice
        kind = fixed.pop("type", None) or dice.choice([*OrderType, OrderType.MARKET, OrderType.LIMIT])
        tif = fixed.pop("tif", None)
        if tif is None:
            plain = kind in {OrderType.MARKET, OrderType.LIMIT} or likely(dice, 2)
            tif = dice.choice(SHORT_LIVED if plain and likely(dice, 40) else RESTING)
            fixed["expire_at"] = self.expiry() if tif is TimeInForce.GTD else None
        limited = kind in {OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT}
        stopped = kind not in {OrderType.MARKET, OrderType.LIMIT, OrderType.TRAILING_STOP}
        terms: dict[str, Any] = {
            "side": dice.choice(list(Side)),
            "quantity": self.size(),
            "type": kind,
            "tif": tif,
            "limit_price": self.price(symbol, -12, 12) if limited else None,
            "stop_price": self.price(symbol, -12, 12) if stopped else None,
            "trail": dice.choice(TRAILS) if kind is OrderType.TRAILING_STOP else None,
            "post_only": likely(dice, 15) and (kind is OrderType.LIMIT or likely(dice, 3)),
            "reduce_only": likely(dice, 8),
            **fixed,
        }
        if limited and stopped and likely(dice, 20):
            terms["limit_price"] = terms["stop_price"]
        if "quantity" not in fixed and likely(dice, 30 if kind is OrderType.MARKET else 1):
            terms["quantity"] = None
            terms["quote_quantity"] = Decimal(dice.choice([40, 250, 1000, 3333]))
        return OrderRequest(symbol, **terms)

    def group(self, symbol: str) -> OrderGroup:
        dice = self.dice
        side = dice.choice(list(Side))
        tif = dice.choice(RESTING)
        terms: dict[str, Any] = {
            "quantity": self.size(),
            "tif": tif,
            "expire_at": self.expiry() if tif is TimeInForce.GTD else None,
        }
        entry = None
        if likely(dice, 70):
            kind = dice.choice([*OrderType, OrderType.MARKET, OrderType.LIMIT])
            entry = self.request(symbol, type=kind, side=side.opposite, **terms)
        below, above = (-8, 0), (0, 8)
        target, stop = (below, above) if side is Side.BUY else (above, below)
        return OrderGroup(
            GroupKind.OCO if entry is None else GroupKind.BRACKET,
            self.request(
                symbol,
                type=OrderType.LIMIT,
                side=side,
                limit_price=self.price(symbol, *target),
                **terms,
            ),
            self.request(
                symbol,
                type=dice.choice([OrderType.STOP, OrderType.STOP, OrderType.STOP_LIMIT]),
                side=side,
                stop_price=self.price(symbol, *stop),
                **terms,
            ),
            entry,
        )

    def change(self, symbol: str) -> OrderChange:
        dice = self.dice
        terms = {
            "quantity": maybe(dice, 40, *(Decimal(size) for size in (1, 3, 6, 12, 30))),
            "limit_price": self.price(symbol, -10, 10) if likely(dice, 40) else None,
            "stop_price": self.price(symbol, -10, 10) if likely(dice, 20) else None,
            "trail": maybe(dice, 10, *TRAILS),
        }
        if not any(terms.values()):
            terms["quantity"] = Decimal(6)
        return OrderChange(**terms)


# --- both venues ------------------------------------------------------------------------------------------


@define(eq=False)
class Duel:
    """The venue and its twin over the same bars; whatever one is asked, the other is asked too.

    ``driven`` says how the cursors move: ``before`` a slice and for good, before it and back until the
    events were heard (``heard``), ``after`` it.
    """

    dice: Dice
    instruments: dict[str, Instrument]
    board: dict[str, Series]
    settings: VenueSettings
    driven: str
    lazy: bool
    cash: Decimal
    story: list[str] = field(factory=list)
    shown: dict[str, int] = field(factory=dict)
    real: Any = None
    twin: Any = None
    world: Any = None

    def __attrs_post_init__(self) -> None:
        self.real = self.fresh()
        intervals = {symbol: series.interval for symbol, series in self.board.items()}
        self.twin = naive.NaiveVenue(self.instruments, intervals, self.settings, self.cash, 7)
        self.world = World(self.dice, self.board)
        self.shown = dict.fromkeys(self.board, 0)
        self.story.append(f"{self.settings} cash {self.cash} driven {self.driven}")
        self.story += [f"{instrument}" for instrument in self.instruments.values()]

    def fresh(self) -> SimVenue:
        return SimVenue(
            instruments=self.instruments,
            board=self.board,
            settings=self.settings,
            cash=self.cash,
            currency="USD",
            seed=7,
        )

    def same(self, what: str, real: Any, twin: Any) -> None:
        assert real == twin, "\n".join(
            [*self.story, f"{what} of the venue", _show(real), "naive", _show(twin)]
        )

    def compare(self) -> None:
        real, twin = self.real.take(), self.twin.take()
        self.same("events", [evolve(e, text="") if hasattr(e, "ref") else e for e in real], twin)
        self.story += [f"    {_show(twin)}"] if twin else []
        orders = [(o.ref, o.status, o.quantity, o.filled) for o in self.real.open_orders()]
        self.same("orders", orders, self.twin.working())
        state = self.real.account_state(self.world.now)
        cash = state.balances["USD"].total
        assets = {key: balance.total for key, balance in state.balances.items() if key != "USD"}
        self.same(
            "account",
            {
                "cash": cash,
                "assets": {key: total for key, total in assets.items() if total},
                "positions": {key: size for key, size in state.positions.items() if size},
                "equity": state.equity,
                "buying_power": state.buying_power,
            },
            self.twin.account_state(),
        )

    def ask(self, call: str, *args: Any) -> None:
        self.story.append(f"{call} {' '.join(map(_show, args))}")
        outcomes = []
        for venue in (self.real, self.twin):
            try:
                outcomes.append(getattr(venue, call)(*args))
            except (CancelRejected, ReplaceRejected) as error:
                outcomes.append((type(error).__name__, error.code, error.order_state))
            except OutcomeUnknown as error:
                outcomes.append(type(error).__name__)
        self.story += [f"    {outcomes[1]}"] if outcomes[1] else []
        self.same("outcome", *outcomes)
        self.compare()

    def command(self) -> None:
        world, dice, now = self.world, self.dice, self.world.now
        symbol = world.symbol()
        what = dice.randint(1, 100)
        working = {ref.client_order_id: ref.symbol for ref, *_ in self.twin.working()}
        names = [*working] if likely(dice, 90) else world.names
        if what <= 55 or not names:
            self.ask("submit", world.ref(symbol), world.request(symbol), now)
        elif what <= 75:
            group = world.group(symbol)
            self.ask("submit_group", [world.ref(symbol) for _ in group.legs], group, now)
        elif what <= 84:
            self.ask("cancel", dice.choice(names), now)
        elif what <= 86:
            self.ask("cancel_all", maybe(dice, 50, [symbol]), now)
        else:
            name = dice.choice(names)
            symbol = working.get(name, symbol)
            self.ask("replace", name, world.ref(symbol), world.change(symbol), now)

    def commands(self, most: int) -> None:
        for _ in range(self.dice.randint(0, most)):
            if likely(self.dice, 10):
                # A venue that was not told of a slice does not know how late it is.
                early = 1 if self.lazy else -1
                self.world.now += self.dice.choice([early, 1, SECOND, 6 * HOUR, DAY])
            self.command()

    def move(self, symbols: Sequence[str], by: int) -> None:
        for cursor in {
            id(self.board[symbol].cursor): self.board[symbol].cursor for symbol in symbols
        }.values():
            cursor.count += by

    def slice(self, end: int, silent: bool, most: int) -> None:
        bars = {}
        for symbol, series in self.board.items():
            row = self.shown[symbol]
            if row < len(series) and series.end[row] == end:
                columns = (series.open, series.high, series.low, series.close, series.volume)
                numbers = [Decimal(repr(column[row])) for column in columns]
                bars[symbol] = naive.Bar(series.start[row], end, *numbers)
                self.shown[symbol] = row + 1
        self.story.append(f"slice {end}: " + "; ".join(f"{s} {_bar(bar)}" for s, bar in bars.items()))
        self.world.now = max(self.world.now, end)
        self.twin.on_slice(end, bars)
        if silent:
            self.move([*bars], 1)
        elif self.driven == "after":
            self.real.on_slice(end)
            self.move([*bars], 1)
        else:
            self.move([*bars], 1)
            self.real.on_slice(end)
            if self.driven == "heard":
                self.move([*bars], -1)
                self.compare()
                self.commands(most)
                self.move([*bars], 1)
        self.compare()
        self.commands(most)

    def cut(self) -> None:
        self.story.append("restored")
        text = json.dumps(self.real.snapshot(), allow_nan=False)
        self.real = self.fresh()
        self.real.restore(json.loads(text))


def _bar(bar: Any) -> str:
    return f"{bar.start} {bar.open} {bar.high} {bar.low} {bar.close} volume {bar.volume}"


def _show(value: Any) -> str:
    if isinstance(value, BrokerFill):
        fee = value.fees and value.fees[0].amount
        return (
            f"{value.client_order_id} {value.side.value} {value.size} @ {value.price} fee {fee} "
            f"at {value.executed_at} {value.received_at}"
        )
    if isinstance(value, OrderUpdate):
        return (
            f"{value.ref.client_order_id} {value.ref.broker_order_id} {value.status.value} {value.reason} "
            f"{value.cumulative} {value.average_price}"
        )
    if isinstance(value, OrderRequest | OrderChange):
        terms = asdict(value, recurse=False).items()
        return " ".join(f"{name}={getattr(term, 'value', term)}" for name, term in terms if term)
    if isinstance(value, OrderGroup):
        return "\n      ".join(["", *map(_show, value.legs)])
    if isinstance(value, OrderRef):
        return value.client_order_id
    if isinstance(value, list):
        return "\n    ".join(map(_show, value))
    return str(value)


def duel(dice: Dice) -> Duel:
    """Any market, any settings, any orders."""
    interval = dice.choice(["1d", "1d", "6h", "tick"])
    symbols = ["A", "B", "C"][: dice.randint(1, 3)]
    slices = dice.randint(3, 16)
    every = likely(dice, 30)
    board = {symbol: some_bars(dice, symbol, interval, slices, every) for symbol in symbols}
    if every:
        for series in board.values():
            series.cursor = board["A"].cursor
    instruments = {symbol: an_instrument(dice, symbol) for symbol in symbols}
    cash = Decimal(dice.choice(["1000", "5000", "30000", "100000", "1000000"]))
    driven = dice.choice(["before", "heard", "after"])
    lazy, most = likely(dice, 40), dice.randint(1, 3)
    both = Duel(dice, instruments, board, some_settings(dice), driven, lazy, cash)
    both.world.now = T0
    quiet = 0
    both.commands(most)
    for position in range(slices):
        rest = position % 3 if lazy else 2
        if lazy and every and not quiet and rest < 2:
            quiet = both.real.idle(min(2 - rest, slices - position))
        silent = quiet > 0 or (lazy and not both.real.working)
        both.slice(T0 + (position + 1) * LENGTHS[interval], silent, most if rest == 2 else 0)
        quiet = max(0, quiet - 1)
        if likely(dice, 3):
            both.cut()
    return both


@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(dice=st.randoms(use_true_random=False))
def test_venue_tells_what_its_naive_twin_tells(dice: random.Random) -> None:
    duel(dice)
