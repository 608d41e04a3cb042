"""The gateway: one loopback port, the clients on it, and its own connection to its servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from alphaweave.testing.sandbox import Action, WireRequest
from alphaweave_broker_ibkr.sandbox.contracts import Wanted
from alphaweave_broker_ibkr.sandbox.faults import Faults, Quirks
from alphaweave_broker_ibkr.sandbox.order_form import OrderForm
from alphaweave_broker_ibkr.sandbox.order_messages import error
from alphaweave_broker_ibkr.sandbox.session import Kind, Session
from alphaweave_broker_ibkr.sandbox.venue import Venue
from alphaweave_broker_ibkr.sandbox.wire import Fields, Malformed, encode

__all__ = ["FARMS", "Gateway", "Handler"]

_HOST = "127.0.0.1"
Handler = Callable[[Session, Fields], None]
FARMS = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)


class Gateway:
    """Listens.

    Attributes:
        accounts: the user's; the first is the one that trades.
        handlers: message number -> who answers it.
        requests: everything that came.
        muted: keep every connection, and say nothing on it.
        held: events that wait; None while they go out.
        holds_data: market data and notices wait with them.
        kept: answers that wait.
        busy_ids: client ids that nobody can have, as if another connection had them.
        goodbyes: told when a client goes.
    """

    def __init__(
        self,
        venue: Venue,
        *,
        accounts: Sequence[str],
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        port: int,
        rate: int,
    ) -> None:
        self.venue, self.now, self.monotonic, self.rate = venue, now, monotonic, rate
        self.port = port
        self.handlers: dict[int, Handler] = {71: self._start_api, 8: self._next_id}
        self.handlers |= {17: self._managed_accounts, 49: self._current_time}
        self.faults, self.quirks = Faults(), Quirks()
        self.requests: list[WireRequest] = []
        self.muted = False
        self.held: list[tuple[Session, bytes]] | None = None
        self.holds_data = True
        self.kept: list[tuple[Session, list[bytes]]] = []
        self.busy_ids: set[int] = set()
        self.goodbyes: list[Callable[[Session], None]] = []
        self.farm_broken = False
        self.accounts = tuple(accounts)
        self._sessions: list[Session] = []
        self._numbered = 0
        self._server: asyncio.Server | None = None

    # Listening -----------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Take connections, on the port that it had before."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                lambda: Session(self), _HOST, self.port, reuse_address=True
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def deafen(self) -> None:
        """Take no connection any more, and end those there are."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self.abort()

    async def abort(self) -> None:
        """Tear every connection, without a farewell."""
        for session in list(self._sessions):
            session.abort()
        # The loop tells the sessions.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def entered(self, session: Session) -> None:
        self._numbered += 1
        session.number = self._numbered
        self._sessions.append(session)

    def left(self, session: Session) -> None:
        with suppress(ValueError):
            self._sessions.remove(session)
        for goodbye in self.goodbyes:
            goodbye(session)

    def clients(self) -> list[Session]:
        """Those that have named themselves."""
        return [session for session in self._sessions if session.client_id is not None]

    def client(self, client_id: int) -> Session | None:
        return next((one for one in self._sessions if one.client_id == client_id), None)

    # What came -----------------------------------------------------------------------------------------

    def record(self, session: Session, code: int, kind: Kind, texts: list[str], body: bytes) -> Action:
        """Write a request down; what it asks for."""
        action = kind.action
        ids: tuple[str, ...] = ()
        if code in {3, 4}:
            action, ids = self._of_order(session, code, texts, body)
        what = f"{kind.name} {texts[1]}" if code == 3 and len(texts) > 1 else kind.name
        number = len(self.requests) + 1
        raw = len(body).to_bytes(4, "big") + body
        self.requests.append(WireRequest(number, self.now(), action, what, raw, ids, session.number))
        return action

    def _of_order(
        self, session: Session, code: int, texts: list[str], body: bytes
    ) -> tuple[Action, tuple[str, ...]]:
        at = 1 if code == 3 else 2
        text = texts[at] if at < len(texts) else ""
        known = self.venue.find(session.client_id or 0, int(text)) if text.lstrip("-").isdigit() else None
        refs = (known.form.ref,) if known is not None and known.form.ref else ()
        if code == 4:
            return Action.CANCEL, refs
        try:
            fields = Fields(body)
            fields.texts(2)
            form = OrderForm.read(fields, Wanted.read(fields))
        except Malformed:
            return Action.SUBMIT, ()
        if form.flag("whatIf"):
            return Action.QUERY, ()
        new = (form.ref,) if form.ref and form.ref not in refs else ()
        return (Action.SUBMIT if known is None else Action.REPLACE), (*refs, *new)

    def executions(self) -> int:
        """How many executions there are."""
        return len(self.venue.executions)

    # Saying --------------------------------------------------------------------------------------------

    def release_answers(self) -> None:
        """Send the answers that were held back."""
        kept, self.kept = self.kept, []
        for session, bodies in kept:
            session.deliver(bodies)

    def hold_events(self, *, data: bool) -> None:
        """Hold back what is told from now on, market data and notices with it or not."""
        self.held, self.holds_data = [], data

    def release_events(self, *, times: int, backwards: bool) -> None:
        """Send the events that were held back, and hold none any more."""
        held, self.held = self.held or [], None
        for session, body in reversed(held) if backwards else held:
            session.deliver([body] * times)

    def notice(self, code: int, text: str, number: int = -1) -> None:
        """Say something to everybody.

        Args:
            number: of a request that it is about.
        """
        for session in self.clients():
            session.say(error(number, code, text), event=True)

    # The session's own requests ------------------------------------------------------------------------

    def _start_api(self, session: Session, fields: Fields) -> None:
        fields.text()
        client_id = fields.integer()
        if client_id in self.busy_ids or self.client(client_id) is not None:
            text = "Unable to connect as the client id is already in use. Retry with a unique client id."
            session.refuse(-1, 326, text)
            session.close()
            return
        session.client_id = client_id
        self._say_accounts(session)
        self._say_next_id(session)
        for code, text in FARMS:
            if not (self.farm_broken and code != 2158):
                session.refuse(-1, code, text)
        if self.venue.cut_off:
            session.refuse(-1, 2110, _LOST)

    def _managed_accounts(self, session: Session, fields: Fields) -> None:
        self._say_accounts(session)

    def _say_accounts(self, session: Session) -> None:
        session.say(encode((15, 1, ",".join(self.accounts))))

    def _next_id(self, session: Session, fields: Fields) -> None:
        self._say_next_id(session)

    def _say_next_id(self, session: Session) -> None:
        session.say(encode((9, 1, self.venue.next_id(session.client_id or 0))))

    def _current_time(self, session: Session, fields: Fields) -> None:
        session.say(encode((49, 1, int(self.now().timestamp()))))


_LOST = "Connectivity between Trader Workstation and server is broken. It will be restored automatically."
