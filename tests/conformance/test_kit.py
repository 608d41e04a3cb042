"""The kit's own rules: nothing overridden, nothing silent, and one page that says it all."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, fields
from click.testing import CliRunner

import alphaweave.testing
from alphaweave.cli.main import cli, main
from alphaweave.core.errors import (
    AdapterFailed,
    BrokerUnavailable,
    ConformanceError,
    UnknownAdapter,
    Unproven,
    Unsupported,
)
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.datafeed import FeedCapabilities
from alphaweave.live.plugins import SandboxPlugin
from alphaweave.live.registry import Registry
from alphaweave.live.reports import ConnectionLost
from alphaweave.testing import BrokerConformance, DataFeedConformance, MonitorConformance
from alphaweave.testing.case import Case, CaseResult, Outcome, in_group
from alphaweave.testing.certification import all_cases, certify, new_sandbox
from alphaweave.testing.clock import KIT_NOW, RunningClock
from alphaweave.testing.report import ConformanceReport, certified
from alphaweave.testing.sandbox import Fault, Power, Sandbox
from alphaweave.testing.suite import Suite
from alphaweave.testing.venue import VenueControl
from conformance.toy_broker import CAPABILITIES, ToyBroker, plugin_of
from conformance.toy_venue import ToyVenue
from conformance.zoo import TellsFloats

ROOT = Path(__file__).parents[2]

case = in_group("Kit")


def suite_of(**members: Any) -> type[BrokerConformance]:
    """A suite for the good toy broker, with something changed."""
    return type("Suite", (BrokerConformance,), {"plugin": plugin_of(ToyBroker), **members})


def outcome(suite: type[Suite], id_: str, venue: Sandbox | None = None) -> tuple[Outcome, str]:
    """What a suite says of one case."""
    result = suite.result(suite.cases()[id_], venue or ToyVenue())
    return result.outcome, result.detail


def test_page_of_all_cases_is_current() -> None:
    """docs/conformance.md is what `alphaweave certify --cases-markdown` prints."""
    assert (ROOT / "docs" / "conformance.md").read_text() == all_cases()
    assert CliRunner().invoke(cli, ["certify", "--cases-markdown"]).output == all_cases()


def test_ids_and_requirements_are_well_formed() -> None:
    """Ids are unique and spaced; each requirement is one sentence."""
    kinds = ((BrokerConformance, "BRK"), (DataFeedConformance, "FEED"), (MonitorConformance, "MON"))
    for suite, prefix in kinds:
        cases = suite.cases().values()
        assert len({each.requirement for each in cases}) == len(cases)
        for each in cases:
            assert re.fullmatch(prefix + r"-\d{3}", each.id)
            assert re.fullmatch(r"[A-Z`].*\.", each.requirement), each.id
    assert len(BrokerConformance.cases()) >= 80
    assert len(DataFeedConformance.cases()) >= 30


def test_case_cannot_be_overridden() -> None:
    """A class that redefines a case does not come into being."""

    def nothing(self: object, venue: object) -> None: ...

    with pytest.raises(ConformanceError, match=r"redefines test_order_arrives_once_as_asked \(BRK-110\)"):
        suite_of(test_order_arrives_once_as_asked=nothing)
    with pytest.raises(ConformanceError, match="redefines"):
        suite_of(test_order_arrives_once_as_asked=None)


def test_deviation_names_a_case_and_gives_a_reason() -> None:
    """Otherwise it is refused where the class is written."""
    with pytest.raises(ConformanceError, match="BRK-999, which is no case"):
        suite_of(deviations={"BRK-999": "no such thing"})
    with pytest.raises(ConformanceError, match="no reason for BRK-110"):
        suite_of(deviations={"BRK-110": " "})
    with pytest.raises(ConformanceError, match=r"deviations is a list, not a mapping of case ids to reasons"):
        suite_of(deviations=["BRK-110"])
    with pytest.raises(ConformanceError, match="no reason for BRK-110"):
        suite_of(deviations={"BRK-110": None})


def test_deviation_is_a_strict_expected_failure() -> None:
    """It has to fail, and is told with its reason; where it holds, that is a failure."""
    told = suite_of(plugin=plugin_of(TellsFloats), deviations={"BRK-850": "the venue has floats"})
    assert outcome(told, "BRK-850") == (Outcome.DEVIATES, "the venue has floats")
    kept = suite_of(deviations={"BRK-850": "the venue has floats"})
    found, why = outcome(kept, "BRK-850")
    assert found is Outcome.FAILED
    assert "delete that entry" in why


def test_case_without_a_docstring_or_with_a_taken_id_is_refused() -> None:
    """The docstring is the requirement, and an id names one case."""

    class Undocumented:
        @case("BRK-001")
        async def test_nothing(self, bench: object) -> None: ...

    class Taken:
        @case("BRK-110")
        async def test_something_else(self, bench: object) -> None:
            """It is something else."""

    for extra, words in ((Undocumented, "has no docstring"), (Taken, "two cases have the id BRK-110")):
        with pytest.raises(ConformanceError, match=words):
            type("Suite", (extra, BrokerConformance), {"plugin": plugin_of(ToyBroker)})


class Hasty(ToyVenue):
    """One that waits for little."""

    patience = 0.2


class Poor(ToyVenue):
    """A venue with no powers at all."""

    name = "the poor venue"
    powers: frozenset[Power] = frozenset()


def test_missing_power_is_unproven(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said which power is missing, also where everything else is required."""
    monkeypatch.setenv("ALPHAWEAVE_REQUIRE", "all")
    assert outcome(suite_of(), "BRK-610", Poor()) == (
        Outcome.UNPROVEN,
        "the poor venue has no power to lose_answer",
    )


def test_what_this_machine_lacks_is_unproven_unless_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    """ALPHAWEAVE_REQUIRE=all makes a failure of it."""

    class Extra:
        @case("BRK-001")
        async def test_machine(self, bench: object) -> None:
            """The machine has it."""
            raise Unproven("no such program here")

    suite: type[BrokerConformance] = type(
        "Suite", (Extra, BrokerConformance), {"plugin": plugin_of(ToyBroker)}
    )
    monkeypatch.delenv("ALPHAWEAVE_REQUIRE", raising=False)
    assert outcome(suite, "BRK-001") == (Outcome.UNPROVEN, "no such program here")
    monkeypatch.setenv("ALPHAWEAVE_REQUIRE", "all")
    assert outcome(suite, "BRK-001") == (Outcome.FAILED, "no such program here")


def test_random_lives_without_hypothesis_are_unproven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Core alone certifies too; it says what it could not try, and what to install."""
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delenv("ALPHAWEAVE_REQUIRE", raising=False)
    found, why = outcome(suite_of(), "BRK-995")
    assert found is Outcome.UNPROVEN
    assert "pip install 'alphaweave-core[testing]'" in why


def test_kit_without_assertions_is_refused() -> None:
    """Under `python -O` everything would hold."""
    command = [sys.executable, "-O", "-m", "alphaweave", "certify", "mock", "--case", "BRK-010"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "run Python without -O" in done.stderr


def test_undeclared_is_told() -> None:
    """A case about something that the adapter does not claim says so."""
    plain = evolve(plugin_of(ToyBroker), capabilities=evolve(CAPABILITIES, groups=frozenset()))
    assert outcome(suite_of(plugin=plain), "BRK-320") == (Outcome.UNDECLARED, "brackets are not declared")


def test_unexpected_error_is_a_failure_with_its_place() -> None:
    """Whatever the adapter raises that the contract does not have."""

    class Raises(ToyBroker):
        async def get_open_orders(self, symbols: Any = None) -> Any:
            raise KeyError("orders")

    found, why = outcome(suite_of(plugin=plugin_of(Raises)), "BRK-930")
    assert found is Outcome.FAILED
    assert why.startswith("KeyError: 'orders' (get_open_orders, line ")


def test_unexpected_error_is_told_with_what_was_behind_it() -> None:
    """The supervisor, and whatever wraps errors, says no words of a library: here they are of use."""

    class Wraps(ToyBroker):
        async def get_open_orders(self, symbols: Any = None) -> Any:
            try:
                raise RuntimeError("receive() twice at once")
            except RuntimeError as error:
                raise BrokerUnavailable("toy: RuntimeError") from error

    found, why = outcome(suite_of(plugin=plugin_of(Wraps)), "BRK-930")
    assert found is Outcome.FAILED
    first, behind = why.split("; after ")
    assert first.startswith("BrokerUnavailable: toy: RuntimeError (get_open_orders, line ")
    assert behind.startswith("RuntimeError: receive() twice at once (get_open_orders, line ")
    assert behind.endswith(" of test_kit.py)")


def test_every_assertion_of_a_case_says_what_was_wrong() -> None:
    """But for those about orders of the kit's own making, which no adapter can fail."""
    own = {"request", "limit", "whole", "trailing", "target", "stop", "order"}
    for path in sorted(Path(alphaweave.testing.__file__).parent.glob("cases_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Assert) or node.msg is not None:
                continue
            test = ast.unparse(node.test)
            narrows = test.endswith(" is not None") and re.split(r"[. ]", test)[0] in own
            assert test.startswith("isinstance(") or narrows, f"{path.name}:{node.lineno}: {test}"


def test_answer_of_a_wrong_type_is_told_with_the_right_one() -> None:
    """Before a case trips over it somewhere."""

    class Lists(ToyBroker):
        async def get_fills(self, query: Any) -> Any:
            return ["a fill"]

    class Nothing(ToyBroker):
        async def submit_order(self, ref: Any, request: Any) -> Any:
            await super().submit_order(ref, request)

    for broker, id_, words in (
        (Nothing, "BRK-110", "submit_order() answered None, which is no OrderAck"),
        (Lists, "BRK-450", "get_fills() answered ['a fill'], which is no FillReport"),
    ):
        found, why = outcome(suite_of(plugin=plugin_of(broker)), id_)
        assert (found, why) == (Outcome.FAILED, words), id_


def test_what_was_heard_is_told_with_its_reason() -> None:
    """Where something else was waited for, why it did not come may have been said."""

    class Loses(ToyBroker):
        async def connect(self) -> None:
            await super().connect()
            self.queue.put_nowait(ConnectionLost(KIT_NOW, "the venue answers HTTP 502"))

        def hear(self, words: Any) -> None:
            return

    found, why = outcome(suite_of(plugin=plugin_of(Loses)), "BRK-410", Hasty())
    assert found is Outcome.FAILED, why
    assert "heard: " in why
    assert "ConnectionLost (the venue answers HTTP 502)" in why


def test_adapter_whose_every_case_fails_alike_is_not_tried_to_the_end() -> None:
    """The one thing that is wrong is said once."""

    class Refuses(ToyBroker):
        async def connect(self) -> None:
            raise BrokerUnavailable(f"nobody listens at port {id(self)}")

    report = certified(suite_of(plugin=plugin_of(Refuses)), ToyVenue, kind="broker")
    assert len(report.results) < 30
    assert report.failed
    assert "5 in a row failed in the same words. Mend this first: BrokerUnavailable" in report.stopped
    assert report.stopped in report.as_text()
    assert report.as_json()["stopped"] == report.stopped


def test_adapter_that_lacks_one_thing_is_tried_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures that are alike are no reason while more cases hold; nor is the end of what was asked for."""
    whole = list(BrokerConformance.cases().values())

    def told(failing: list[Case], ids: tuple[str, ...] = ()) -> ConformanceReport:
        def result(case: Case, _: Sandbox) -> CaseResult:
            outcome = Outcome.FAILED if case in failing else Outcome.PASSED
            return CaseResult(case=case, outcome=outcome, detail="no such thing", seconds=0.0)

        suite = suite_of()
        monkeypatch.setattr(suite, "result", result)
        return certified(suite, ToyVenue, kind="broker", ids=ids)

    late = told(whole[40:50])
    assert (late.stopped, len(late.results)) == ("", len(whole))
    assert len(told(whole[10:]).results) == 21
    assert told(whole, ids=tuple(case.id for case in whole[:5])).stopped == ""


def test_kit_that_is_interrupted_tells_what_it_had_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the exit code of an interruption."""
    ran: list[str] = []

    def interrupted(case: Case) -> None:
        ran.append(case.id)
        if len(ran) == 3:
            raise KeyboardInterrupt

    report = certified(suite_of(), ToyVenue, kind="broker", starting=interrupted)
    assert [each.case.id for each in report.results] == ran[:2]
    assert (
        f"Not all cases were run: interrupted after 2 of {len(BrokerConformance.cases())}" in report.as_text()
    )
    monkeypatch.setattr("alphaweave.cli.certifying.certify", lambda *_, **__: [report])
    assert CliRunner().invoke(cli, ["certify", "mock"], standalone_mode=False).return_value == 130


def test_strict_lets_nothing_pass_that_was_not_tried() -> None:
    """In a class and on the command line."""
    assert outcome(suite_of(strict=True), "BRK-110")[0] is Outcome.PASSED
    found, why = outcome(suite_of(strict=True), "BRK-610", Poor())
    assert (found, why.partition(":")[0]) == (Outcome.FAILED, "unproven, which strict does not let pass")
    only = ["certify", "mock", "--case", "BRK-610"]
    codes = [
        CliRunner().invoke(cli, words, standalone_mode=False).return_value
        for words in (only, [*only, "--strict"])
    ]
    assert codes == [0, 1]


def test_sandbox_that_fails_is_the_fault_of_who_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of a plugin that fails."""

    def broken(options: Any, services: Any) -> Any:
        raise ZeroDivisionError("division by zero")

    record = SandboxPlugin(name="mock", create=broken)
    monkeypatch.setattr(Registry, "sandbox", lambda self, name: record)
    with pytest.raises(AdapterFailed, match=r"sandbox plugin 'mock' .*raised ZeroDivisionError in create"):
        new_sandbox("mock")
    monkeypatch.setattr(Registry, "sandbox", lambda self, name: evolve(record, create=lambda *_: 7))
    with pytest.raises(AdapterFailed, match=r"an object of type int from create, which is no Sandbox"):
        new_sandbox("mock")


def test_every_power_without_its_method_says_so() -> None:
    """A sandbox that declares a power has to have the method."""

    class Idle(VenueControl):
        name = "idle"

        async def start(self) -> None: ...

        async def stop(self) -> None: ...

        def options(self) -> dict[str, Any]:
            return {}

        @property
        def requests(self) -> Any:
            return ()

        def truth(self) -> Any:
            return None

        async def set_price(self, symbol: str, price: Any) -> None: ...

    idle: Any = Idle()
    calls: tuple[Any, ...] = (
        idle.drop,
        lambda: idle.fill("x"),
        lambda: idle.arm(None, Fault.REJECT),
        lambda: idle.halt("X", True),
        lambda: idle.skew(1.0),
    )
    for call in calls:
        with pytest.raises(Unsupported, match="this sandbox cannot"):
            asyncio.run(call())
    with pytest.raises(Unsupported, match="cannot be made anew"):
        idle.fresh()


def test_each_fault_is_a_power_of_its_name() -> None:
    """So that one set says everything."""
    assert {fault.value for fault in Fault} <= {power.value for power in Power}
    assert {fault.name for fault in Fault} <= {power.name for power in Power}


def test_running_clock_is_set_forward_without_moving_timers() -> None:
    """Its wall time jumps; monotonic readings go on; it starts at the kit's own day."""
    clock = RunningClock()
    before = clock.monotonic()
    clock.advance(3600)
    assert 3600 <= (clock.now() - KIT_NOW).total_seconds() < 3660
    assert clock.monotonic() - before < 60
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_certify_tells_what_was_proved() -> None:
    """As text and as JSON; the exit code is 1 only where a requirement does not hold."""
    only = ["--case", "BRK-010", "--case", "BRK-610"]
    text = CliRunner().invoke(cli, ["certify", "mock", *only])
    assert text.exit_code == 0
    assert "broker mock (alphaweave-broker-mock " in text.output
    assert "proved against the venue of mock" in text.output
    assert "BRK-610  UNPROVEN" in text.output
    assert "  client_ids                alphabet [!-~], max_length 128, unique forever\n" in text.output
    assert "1 passed, 1 unproven. Proved against the venue of mock; nothing is said of any other venue." in (
        text.output
    )
    data = json.loads(CliRunner().invoke(cli, ["certify", "mock", "--json", *only]).output)
    assert [each["outcome"] for each in data[0]["cases"]] == ["passed", "unproven"]
    assert data[0]["counts"] == {"passed": 1, "failed": 0, "unproven": 1, "undeclared": 0, "deviates": 0}
    assert data[0]["proved_against"] == "the venue of mock"


def test_json_report_has_the_names_that_its_page_lists() -> None:
    """docs/cli.md names each of them."""
    (report,) = json.loads(CliRunner().invoke(cli, ["certify", "mock", "--json", "--case", "BRK-010"]).output)
    page = (ROOT / "docs" / "cli.md").read_text().partition("## `certify`")[2].partition("## `sandbox`")[0]
    named = set(re.findall(r"`(\w+)`", page.partition("`--json` prints")[2]))
    assert {*report, *report["counts"], *report["cases"][0]} == named - {"broker", "datafeed", "monitor"}


@pytest.mark.parametrize("stubborn", [False, True])
def test_adapter_that_hangs_fails_and_does_not_hang_the_kit(
    stubborn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it blocks the event loop or takes no cancel; the rest of the cases can go on."""
    released = threading.Event()

    class Hangs(ToyBroker):
        async def connect(self) -> None:
            while not released.is_set():
                if not stubborn:
                    released.wait()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.01)

    monkeypatch.setattr("alphaweave.testing.suite.CASE_LIMIT", 0.2)
    monkeypatch.setattr("alphaweave.testing.suite._GRACE", 0.1)
    try:
        found, why = outcome(suite_of(plugin=plugin_of(Hangs)), "BRK-110")
    finally:
        released.set()
    for thread in threading.enumerate():
        if thread.name == "conformance BRK-110":
            thread.join()
    assert found is Outcome.FAILED
    assert "it hangs, and cannot be cancelled: " in why


def test_failure_tells_no_secret() -> None:
    """Whatever the adapter says when it fails."""

    class Tells(ToyBroker):
        async def connect(self) -> None:
            raise ValueError(f"no access with {self.options.key.reveal()}")

    found, why = outcome(suite_of(plugin=plugin_of(Tells)), "BRK-110")
    assert (found, why.partition(" (")[0]) == (Outcome.FAILED, "ValueError: no access with ***")


def test_certify_needs_an_adapter_and_a_sandbox() -> None:
    """What is missing is told as the registry tells it."""
    with pytest.raises(UnknownAdapter, match="no broker named 'nobody'"):
        certify("nobody")
    with pytest.raises(UnknownAdapter, match="sandbox"):
        certify("replay")
    assert CliRunner().invoke(cli, ["certify"]).exit_code == 2


@pytest.mark.parametrize("id_", ["BRK-9999", "FEED-110", "110"])
def test_certify_of_a_case_that_is_none_of_its_is_refused(id_: str) -> None:
    """Nothing would be run, and nothing is proved by it."""
    result = CliRunner().invoke(cli, ["certify", "mock", "--case", "BRK-010", "--case", id_])
    assert result.exit_code == 2
    assert f"no such case for the broker 'mock': {id_}. Near misses: BRK-" in result.output


def test_certify_knows_the_deviations_that_the_sandbox_lists(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What fails as it says deviates; what holds in spite of it fails, and what it names has to be there."""
    found = Registry.sandbox

    def listing(**deviations: str) -> None:
        named = {id_.replace("_", "-"): why for id_, why in deviations.items()}
        monkeypatch.setattr(
            Registry, "sandbox", lambda self, name: evolve(found(self, name), deviations=named)
        )

    def certified_as(id_: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as left:
            main(["certify", "binance", "--case", id_])
        return left.value.code, capsys.readouterr().out

    code, text = certified_as("FEED-025")
    assert (code, "FEED-025  DEVIATES" in text) == (0, True)
    listing(BRK_010="it is never so")
    code, text = certified_as("BRK-010")
    assert (code, "deviations say it cannot (it is never so): delete that entry" in text) == (1, True)
    listing(BRK_011="it is never so")
    with pytest.raises(ConformanceError, match="of sandbox 'binance' name BRK-011, which is no case"):
        certify("binance")


def test_certify_takes_ids_in_any_case() -> None:
    """They are read aloud and typed."""
    result = CliRunner().invoke(cli, ["certify", "mock", "--case", "brk-010"])
    assert result.exit_code == 0
    assert "BRK-010  PASSED" in result.output


def test_report_fails_where_a_case_does() -> None:
    """And says why."""
    (report,) = certify("mock", ids=("BRK-010",))
    (passed,) = report.results
    bad = evolve(report, results=(evolve(passed, outcome=Outcome.FAILED, detail="for a reason"),))
    assert not report.failed
    assert bad.failed
    assert "for a reason" in bad.as_text()


def test_sandbox_without_a_server_cannot_be_started() -> None:
    """`mock` trades in its own process."""
    result = CliRunner().invoke(cli, ["sandbox", "mock"])
    assert result.exit_code != 0
    assert "nothing to connect to" in str(result.exception or result.output)
    assert CliRunner().invoke(cli, ["sandbox", "mock", "--port", "1"]).exit_code == 2
    assert isinstance(new_sandbox("mock"), VenueControl)


SUITE = """
from alphaweave.testing import BrokerConformance

class TestMock(BrokerConformance):
    adapter = "mock"
    deviations = {}
"""


def test_pytest_runs_a_suite_and_tells_what_it_did_not_prove(pytester: pytest.Pytester) -> None:
    """One class is enough: the venue comes from the sandbox of the same name."""
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("-k", "lost_answer_is_unknown or arrives_once or deviation", "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines_random(
        [
            "*test_order_arrives_once_as_asked PASSED*",
            "*test_lost_answer_is_unknown UNPROVEN*",
            "*= conformance =*",
            "UNPROVEN BRK-610: the venue of mock has no power to lose_answer",
        ]
    )


def test_pytest_prints_deviations(pytester: pytest.Pytester) -> None:
    """One that holds after all fails the run."""
    pytester.makepyfile(SUITE.replace("{}", '{"BRK-110": "it cannot be"}'))
    result = pytester.runpytest_subprocess("-k", "arrives_once")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*it holds, but deviations say it cannot (it cannot be): delete that entry*"]
    )


# Which cases hold an adapter to what it declares; a flag without a case says who else does.
_HELD_BY = {
    "order_types": "BRK-115 BRK-120",
    "quote_quantity": "BRK-130",
    "fractional": "BRK-135",
    "extended_hours": "BRK-140",
    "shorting": "BRK-155",
    # Where it is not declared, a rule of the core denies the order.
    "fractional_short": "BRK-157",
    "groups": "BRK-310 BRK-315",
    "fractional_groups": "BRK-345",
    "replace": "BRK-265",
    "post_only": "BRK-145",
    "trail_amount": "BRK-150",
    "trail_percent": "BRK-150",
    "fee_reports": "BRK-465",
    "client_ids": "BRK-160 BRK-165 BRK-170",
}
_NOT_AN_ADAPTERS = {
    "default_tif": "the core chooses a time in force by it, before the adapter is asked",
    "simulated": "the core refuses a replay at a broker without it",
    "caveats": "sentences for people",
    "not_found_is_final_after": "the engine waits by it; what was found and is not any more halts",
}
_HELD_BY_OF_FEEDS = {
    "kinds": "FEED-130",
    "intervals": "FEED-130",
    "historical": "FEED-310",
    "realtime": "FEED-110",
}
_NOT_A_FEEDS = {
    "delayed": "said before a run, by the core",
    "adjustment": "one store of bars cannot tell what was adjusted",
}


def test_each_capability_is_held_by_a_case_or_by_somebody_else() -> None:
    """A flag that is added has to be tried both ways, or to say who keeps it."""
    for kind, held, other, suite in (
        (Capabilities, _HELD_BY, _NOT_AN_ADAPTERS, BrokerConformance),
        (FeedCapabilities, _HELD_BY_OF_FEEDS, _NOT_A_FEEDS, DataFeedConformance),
    ):
        assert {each.name for each in fields(kind)} == {*held, *other}
        ids = {id_ for text in held.values() for id_ in text.split()}
        assert ids <= set(suite.cases()), ids - set(suite.cases())
