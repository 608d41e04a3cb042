"""Options blocks: every type that an adapter's options class may have, and every problem at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import Converter, define, field, frozen
from attrs.validators import ge, in_, matches_re

from alphaweave.core.errors import OptionsError
from alphaweave.live.config_options import parse_options
from alphaweave.live.plugins import NoOptions
from alphaweave.sim.costs import FeeModel
from alphaweave.sim.settings import Fault, VenueSettings


class Feed(Enum):
    IEX = "iex"
    SIP = "sip"


class Level(StrEnum):
    LOW = "low"
    HIGH = "high"


class Count(IntEnum):
    ONE = 1
    TWO = 2


@frozen(kw_only=True)
class Inner:
    """Attributes:
    x: a number.
    """

    x: int
    y: float = 0.5


@define(kw_only=True)
class Everything:
    """Options of all types.

    Attributes:
        text: some words.
    """

    text: str
    whole: int = 1
    number: float = 1.0
    flag: bool = False
    exact: Decimal = Decimal(0)
    place: Path = Path("here")
    feed: Feed = Feed.IEX
    level: Level = Level.LOW
    count: Count = Count.ONE
    mode: Literal["a", "b", 3] = "a"
    maybe: int | None = 5
    inner: Inner | None = None
    items: tuple[int, ...] = ()
    pair: tuple[str, int] = ("a", 1)
    names: list[str] = field(factory=list)
    several: Sequence[Decimal] = ()
    unique: frozenset[str] = frozenset()
    loose: set[int] = field(factory=set)
    table: dict[str, Inner] = field(factory=dict)
    lookup: Mapping[str, Decimal | None] = field(factory=dict)
    anything: Any = None


def problems(cls: type, raw: Mapping[str, Any]) -> list[str]:
    """What parse_options refuses, as printed."""
    with pytest.raises(OptionsError) as caught:
        parse_options(cls, raw, path="o")
    return [str(problem) for problem in caught.value.problems]


def test_options_of_every_type_are_read(tmp_path: Path) -> None:
    """Each declared type gets its value, and relative paths start from the base folder."""
    raw = {
        "text": "words",
        "whole": -3,
        "number": 2,
        "flag": True,
        "exact": "0.10",
        "place": "a/b.csv",
        "feed": "sip",
        "level": "high",
        "count": 2,
        "mode": 3,
        "maybe": None,
        "inner": {"x": 1},
        "items": [1, 2],
        "pair": ["b", 2],
        "names": ["x"],
        "several": [0.1, "1e3", 5],
        "unique": ["a", "a"],
        "loose": [1, 1],
        "table": {"k": {"x": 2, "y": 3}},
        "lookup": {"SPY": 1.5, "BRK.B": None},
        "anything": {"deep": [1, None, {"er": True}]},
    }
    read = parse_options(Everything, raw, path="o", base_dir=tmp_path)
    assert read == Everything(
        text="words",
        whole=-3,
        number=2.0,
        flag=True,
        exact=Decimal("0.10"),
        place=tmp_path / "a" / "b.csv",
        feed=Feed.SIP,
        level=Level.HIGH,
        count=Count.TWO,
        mode=3,
        maybe=None,
        inner=Inner(x=1),
        items=(1, 2),
        pair=("b", 2),
        names=["x"],
        several=(Decimal("0.1"), Decimal(1000), Decimal(5)),
        unique=frozenset({"a"}),
        loose={1},
        table={"k": Inner(x=2, y=3.0)},
        lookup={"SPY": Decimal("1.5"), "BRK.B": None},
        anything={"deep": [1, None, {"er": True}]},
    )
    assert isinstance(read.number, float)
    assert read.level is Level.HIGH
    assert read.count is Count.TWO
    # A set equals a frozenset, so equality does not tell.
    assert (type(read.unique), type(read.loose)) == (frozenset, set)


def test_options_left_out_or_null_have_their_defaults() -> None:
    """A key that is null is a key that is not there, unless null is a value of its type."""
    keys = ("whole", "number", "flag", "exact", "feed", "items", "names", "table", "inner", "anything")
    read = parse_options(Everything, {"text": "t", **dict.fromkeys(keys)}, path="o")
    assert read == Everything(text="t")
    assert parse_options(Everything, {"text": "t", "maybe": None}, path="o").maybe is None
    assert parse_options(NoOptions, None, path="o") == NoOptions()


def test_options_paths_without_a_base_start_here() -> None:
    """Absolute paths stay, a tilde is the home folder, and without a base the working directory counts."""
    read = parse_options(Everything, {"text": "t", "place": "a"}, path="o")
    assert read.place == Path("a")
    assert parse_options(
        Everything, {"text": "t", "place": "/x"}, path="o", base_dir=Path("/b")
    ).place == Path("/x")
    home = parse_options(Everything, {"text": "t", "place": "~/x"}, path="o", base_dir=Path("/b")).place
    assert home == Path.home() / "x"
    with pytest.raises(
        OptionsError, match=r"o\.place: expected a path whose ~ is a home folder, found the te"
    ):
        parse_options(Everything, {"text": "t", "place": "~no-such-user/x"}, path="o")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("text", 5, "o.text: expected text (put it in quotes if it is meant as text), found the number 5."),
        ("text", True, "o.text: expected text (put it in quotes if it is meant as text), found true."),
        ("text", None, "o.text: expected text, found nothing."),
        ("text", ["a"], "o.text: expected text, found a list."),
        ("whole", True, "o.whole: expected a whole number, found true."),
        ("whole", 1.5, "o.whole: expected a whole number, found the number 1.5."),
        ("whole", "5", "o.whole: expected a whole number, found the text '5'."),
        ("number", "x", "o.number: expected a number, found the text 'x'."),
        ("number", False, "o.number: expected a number, found false."),
        ("number", float("nan"), "o.number: expected a number, found the number nan."),
        pytest.param(
            "number", 10**400, f"o.number: expected a number, found the number 1{'0' * 56}...", id="too-large"
        ),
        ("flag", 1, "o.flag: expected true or false, found the number 1."),
        ("flag", "yes", "o.flag: expected true or false, found the text 'yes'."),
        ("exact", "ten", "o.exact: expected a number, found the text 'ten'."),
        ("exact", " 1", "o.exact: expected a number, found the text ' 1'."),
        ("exact", "1_000", "o.exact: expected a number, found the text '1_000'."),
        ("exact", float("inf"), "o.exact: expected a finite number, found the number inf."),
        ("exact", True, "o.exact: expected a finite number, found true."),
        ("place", 5, "o.place: expected a path, found the number 5."),
        ("place", "", "o.place: expected a path, found the text ''."),
        ("feed", "sipp", "o.feed: expected one of iex, sip, found the text 'sipp'. Did you mean 'sip'?"),
        ("feed", "IEX", "o.feed: expected one of iex, sip, found the text 'IEX'."),
        ("level", "hgh", "o.level: expected one of low, high, found the text 'hgh'. Did you mean 'high'?"),
        ("count", 3, "o.count: expected one of 1, 2, found the number 3."),
        ("count", True, "o.count: expected one of 1, 2, found true."),
        ("mode", "c", "o.mode: expected one of a, b, 3, found the text 'c'."),
        ("maybe", "x", "o.maybe: expected a whole number, found the text 'x'."),
        ("items", "12", "o.items: expected a list, found the text '12'."),
        ("items", {"a": 1}, "o.items: expected a list, found a mapping."),
        ("items", [1, "x"], "o.items[1]: expected a whole number, found the text 'x'."),
        ("pair", ["a"], "o.pair: expected a list of 2, found one of 1."),
        (
            "pair",
            [1, 1],
            "o.pair[0]: expected text (put it in quotes if it is meant as text), found the number 1.",
        ),
        ("inner", "x", "o.inner: expected a mapping of x, y, found the text 'x'."),
        ("table", [], "o.table: expected a mapping, found a list."),
        ("table", {"k": {"x": 1, "z": 2}}, "o.table.k.z: unknown key."),
        ("table", {"k": {}}, "o.table.k.x: is required."),
        ("table", {5: {"x": 1}}, "o.table: the key 5 is not text; put it in quotes."),
        ("lookup", {"BRK.B": "x"}, "o.lookup.\"BRK.B\": expected a number, found the text 'x'."),
        ("number", object(), "o.number: expected a number, found an object of type object."),
    ],
)
def test_options_of_a_wrong_type_say_what_was_expected_and_found(
    key: str, value: object, message: str
) -> None:
    """One message a problem: where, what belongs there, what is there."""
    assert problems(Everything, {"text": "t", key: value}) == [message]


def test_options_report_every_problem_at_once() -> None:
    """Missing, unknown, misspelt, wrong and out of bounds, in one go."""
    assert problems(
        Everything,
        {"wole": 5, "whole": "x", "items": ["a", 2, "b"], "inner": {"x": "q", "w": 1}, "table": {"a": {}}},
    ) == [
        "o.text: is required: some words.",
        "o.whole: expected a whole number, found the text 'x'.",
        "o.inner.x: expected a whole number, found the text 'q'.",
        "o.inner.w: unknown key.",
        "o.items[0]: expected a whole number, found the text 'a'.",
        "o.items[2]: expected a whole number, found the text 'b'.",
        "o.table.a.x: is required.",
        "o.wole: unknown key. Did you mean 'whole'?",
    ]


def test_options_that_are_no_mapping_are_refused() -> None:
    """The block itself may have the wrong shape."""
    with pytest.raises(OptionsError, match=r"o: expected a mapping of text, whole, .* found a list"):
        parse_options(Everything, [], path="o")  # type: ignore[arg-type]
    assert problems(NoOptions, {"fee": 1}) == ["o.fee: unknown key."]


def test_options_long_text_is_cut_in_messages() -> None:
    """A page of text does not end up in a message."""
    (message,) = problems(Everything, {"text": "t", "whole": "x" * 61})
    assert message.endswith(f"found the text '{'x' * 57}...'.")
    (whole,) = problems(Everything, {"text": "t", "whole": "x" * 60})
    assert whole.endswith(f"found the text '{'x' * 60}'.")


def test_options_bounds_are_all_checked_at_once() -> None:
    """The validators of several fields and of nested classes report together, in words alone."""
    raw = {
        "latency_ns": -1,
        "leverage": 0,
        "session_timezone": "Mars/Base",
        "volume_share": 2,
        "faults": [{"kind": "reject_order", "nth": 0}, {"kind": "rejct_order", "nth": 1}],
    }
    found = problems(VenueSettings, raw)
    assert [text.partition(":")[0] for text in found] == [
        "o.volume_share",
        "o.latency_ns",
        "o.leverage",
        "o.session_timezone",
        "o.faults[0].nth",
        "o.faults[1].kind",
    ]
    assert "Attribute(" not in "".join(found)
    assert found[-1].endswith("Did you mean 'reject_order'?")


def test_options_of_the_simulated_venue_are_read() -> None:
    """A real settings class with nested models goes through as it is."""
    raw = {
        "fill_at": "last",
        "volume_share": "0.1",
        "fees": {},
        "faults": [{"kind": "cancel_reject", "nth": 2}],
    }
    read = parse_options(VenueSettings, raw, path="o")
    assert read == VenueSettings(
        fill_at="last",
        volume_share=Decimal("0.1"),
        fees=FeeModel(),
        faults=(Fault(kind="cancel_reject", nth=2),),
    )


def _doubled(value: float) -> float:
    return value * 2


def _unchanged(value: str, _: object) -> str:
    return value


@frozen(kw_only=True)
class Ruled:
    low: int = 0
    high: int = field(default=10)
    name: str = field(default="a", validator=matches_re("[a-z]+"))
    side: str = field(default="buy", validator=in_(("buy", "sell")))
    spaced: float = field(default=1.0, converter=_doubled, validator=ge(2))
    joined: str = field(
        default="",
        converter=Converter(_unchanged, takes_self=True),  # type: ignore[misc]
        validator=ge("b"),
    )

    @high.validator
    def _above_low(self, attribute: object, value: int) -> None:
        if value < self.low:
            raise ValueError(f"high {value} is below low {self.low}")

    def __attrs_post_init__(self) -> None:
        if self.name == self.side:
            raise ValueError("name and side are equal")


def test_options_checks_that_compare_fields_are_reported() -> None:
    """What only the whole instance can tell is a problem of the section."""
    assert problems(Ruled, {"low": 5, "high": 3, "joined": "b"}) == ["o: high 3 is below low 5."]
    assert problems(Ruled, {"name": "buy", "joined": "b"}) == ["o: name and side are equal."]
    assert problems(Ruled, {"name": "B", "side": "x", "spaced": 0.5}) == [
        "o.name: 'name' must match regex '[a-z]+' ('B' doesn't).",
        "o.side: 'side' must be in ('buy', 'sell') (got 'x').",
        "o.spaced: 'spaced' must be >= 2: 1.0.",
    ]


def test_options_check_that_breaks_is_no_problem_of_the_config() -> None:
    """A bug in an adapter's check comes out as it is, and not as a missing key."""

    def broken(instance: object, attribute: object, value: int) -> None:
        raise KeyError("table")

    @frozen
    class Buggy:
        size: int = field(validator=broken)

    with pytest.raises(KeyError, match="table"):
        parse_options(Buggy, {"size": 1}, path="o")
    assert problems(Buggy, {}) == ["o.size: is required."]


def test_options_converters_run_once() -> None:
    """A converter that is not idempotent gets the value that was read."""
    assert parse_options(Ruled, {"spaced": 3, "joined": "b"}, path="o").spaced == 6.0


def test_options_class_that_no_config_can_express_is_an_error_of_its_author() -> None:
    """A type without a spelling is refused by its name, whatever the block holds."""

    @frozen
    class Timed:
        wait: timedelta = timedelta(0)

    @frozen
    class Keyed:
        by_number: dict[int, str] = field(factory=dict)

    @frozen
    class Either:
        value: int | str = 0

    class Plain:
        pass

    with pytest.raises(TypeError, match="timedelta"):
        parse_options(Timed, {}, path="o")
    with pytest.raises(TypeError, match="int"):
        parse_options(Keyed, {}, path="o")
    with pytest.raises(TypeError, match=r"int \| str"):
        parse_options(Either, {"value": 1}, path="o")
    with pytest.raises(TypeError, match="Plain"):
        parse_options(Plain, {}, path="o")
