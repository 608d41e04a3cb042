"""A journal in memory: what decisions mean, and random ones that a run could take."""

from __future__ import annotations

from random import Random
from typing import Any

from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_records import (
    FINAL,
    Decision,
    Entry,
    Intent,
    IntentKind,
    IntentState,
    Outcome,
    Recovered,
    RunIdentity,
)

RUN = RunIdentity(
    run_id="sma", broker="paper", account="DU1", strategy="m:Sma", mode="live", config_digest="c1"
)
T0 = 1_700_000_000_000_000_000


class Model:
    """Decisions, and what follows from them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.decisions: list[Decision] = []
        self.intents: dict[tuple[str, int], tuple[Intent, IntentState, str | None]] = {}
        self.latest: dict[str, dict[str, Any]] = {"store": {}, "watermark": {}, "state": {}, "risk": {}}
        self.executions = 0

    def decide(self) -> Decision:
        """The next one, already applied here."""
        number = len(self.decisions) + 1
        at_ns = T0 + number
        kind = self.random.choice(("bar", "bar", "fill", "outcome", "cancel", "timer"))
        decision = getattr(self, f"_{kind}")(number, at_ns)
        self.apply(decision)
        return decision

    def apply(self, decision: Decision) -> None:
        """Take it in."""
        self.decisions.append(decision)
        seq = len(self.decisions)
        for intent in decision.intents:
            attempt = seq if intent.kind is IntentKind.CANCEL else 0
            self.intents[intent.client_order_id, attempt] = (intent, IntentState.INTENT, None)
        for outcome in decision.outcomes:
            attempt = max(
                a for c, a in self.intents if c == outcome.client_order_id and (a > 0) == outcome.cancel
            )
            settled = [attempt]
            if outcome.cancel and outcome.state in {IntentState.DONE, IntentState.REJECTED}:
                settled += [
                    a
                    for (c, a), (_, state, _) in self.intents.items()
                    if c == outcome.client_order_id and 0 < a < attempt and state not in FINAL
                ]
            for each in settled:
                intent, _, known = self.intents[outcome.client_order_id, each]
                self.intents[outcome.client_order_id, each] = (
                    intent,
                    outcome.state,
                    outcome.broker_order_id or known,
                )
        self.latest["store"].update(decision.store)
        self.latest["watermark"].update(decision.watermarks)
        for area in ("store", "watermark"):
            self.latest[area] = {k: v for k, v in self.latest[area].items() if v is not None}
        if decision.state is not None:
            self.latest["state"] = {"": decision.state}
        if decision.risk is not None:
            self.latest["risk"] = {"": decision.risk}

    def expected(self) -> dict[str, Any]:
        """What `facts` must say."""
        return {
            "decisions": [(number, each) for number, each in enumerate(self.decisions, 1)],
            "open": {
                (name, attempt, state.value, broker, intent.order_id)
                for (name, attempt), (intent, state, broker) in self.intents.items()
                if state not in FINAL
            },
            "store": dict(self.latest["store"]),
            "watermarks": dict(self.latest["watermark"]),
            "state": self.latest["state"].get(""),
            "risk": self.latest["risk"].get(""),
        }

    def _bar(self, number: int, at_ns: int) -> Decision:
        names = [f"aw-{number}-{leg}" for leg in range(self.random.choice((0, 0, 1, 3)))]
        kind = IntentKind.GROUP if len(names) > 1 else IntentKind.SUBMIT
        return Decision(
            input_kind="bar",
            input_key=f"1d:{number}",
            at_ns=at_ns,
            payload={"AAPL": [1.5, 2.0, self.random.random(), 1.75, 1e6]},
            entries=(Entry("equity", {"equity": self.random.random()}),),
            state={"seen": number, "名": ["é", None, True]} if self.random.random() < 0.5 else None,
            intents=tuple(
                Intent(
                    name, names[0], kind, {"symbol": "AAPL", "quantity": "10.5"}, at_ns, {"id": str(number)}
                )
                for name in names
            ),
            store={"next": str(number)} if names else {"next": None},
            watermarks={"bars:AAPL": at_ns},
        )

    def _fill(self, number: int, at_ns: int) -> Decision:
        self.executions += 1
        known = sorted({name for name, attempt in self.intents if attempt == 0})
        name = self.random.choice(known) if known else None
        done = [] if name is None else [Outcome(name, IntentState.DONE)]
        revised = self.random.random() < 0.2
        return Decision(
            input_kind="fill",
            input_key=f"k{number}:0",
            at_ns=at_ns,
            payload={"key": f"k{number}"},
            entries=(
                Entry("execution", {"price": "1.25", "size": "3"}, "DU1", f"k{number}"),
                Entry("fee", {"amount": "-0.01"}, "DU1", f"k{number}"),
                *([Entry("correction", {"fill": None}, "DU1", f"k{number}", 1)] if revised else []),
            ),
            outcomes=tuple(done),
            watermarks={"fills": {"cursor": number}},
        )

    def _outcome(self, number: int, at_ns: int) -> Decision:
        waiting = sorted(key for key, (_, state, _) in self.intents.items() if state not in FINAL)
        outcomes = []
        if waiting:
            name, attempt = self.random.choice(waiting)
            attempt = max(a for c, a in self.intents if c == name and (a > 0) == (attempt > 0))
            if self.intents[name, attempt][1] is not IntentState.DONE:
                state = self.random.choice(("acked", "rejected", "unknown", "withdrawn", "done"))
                broker = self.random.choice((None, f"B{number}"))
                outcomes.append(Outcome(name, IntentState(state), broker, {"text": "said"}, attempt > 0))
        return Decision(input_kind="outcome", input_key=str(number), at_ns=at_ns, outcomes=tuple(outcomes))

    def _cancel(self, number: int, at_ns: int) -> Decision:
        known = sorted({name for name, attempt in self.intents if attempt == 0})
        names = known[-1:]
        return Decision(
            input_kind="cmd",
            input_key=str(number),
            at_ns=at_ns,
            intents=tuple(Intent(name, name, IntentKind.CANCEL, {}, at_ns) for name in names),
            risk={"state": "REDUCING", "baseline": str(number)},
        )

    def _timer(self, number: int, at_ns: int) -> Decision:
        return Decision(input_kind="timer", input_key=f"t{number}", at_ns=at_ns)


def facts(recovered: Recovered, reader: JournalReader) -> dict[str, Any]:
    """All that a journal says, in the words of `Model.expected`."""
    rows = [(row.seq, row.decision) for row in reader.decisions()]
    snapshot = recovered.snapshot
    assert [(r.seq, r.decision) for r in recovered.tail] == rows[snapshot.seq if snapshot else 0 :]
    return {
        "decisions": rows,
        "open": {
            (
                row.intent.client_order_id,
                row.attempt,
                row.state.value,
                row.broker_order_id,
                row.intent.order_id,
            )
            for row in recovered.open_intents
        },
        "store": recovered.adapter_store,
        "watermarks": recovered.watermarks,
        "state": recovered.state,
        "risk": recovered.risk_state,
    }
