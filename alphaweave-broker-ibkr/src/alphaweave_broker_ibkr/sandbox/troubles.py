"""What befalls gateways of Interactive Brokers, beyond what befalls any venue."""

from __future__ import annotations

from alphaweave.testing.sandbox import Action
from alphaweave_broker_ibkr.sandbox.broadcast import Broadcast
from alphaweave_broker_ibkr.sandbox.data_requests import DataRequests
from alphaweave_broker_ibkr.sandbox.gateway import FARMS, Gateway
from alphaweave_broker_ibkr.sandbox.history_requests import HistoryRequests

__all__ = ["Troubles"]


class Troubles:
    """Brings it about."""

    def __init__(
        self, gateway: Gateway, broadcast: Broadcast, data: DataRequests, history: HistoryRequests
    ) -> None:
        self._gateway, self._venue, self._broadcast = gateway, gateway.venue, broadcast
        self._data, self._history = data, history

    async def lose_servers(self) -> None:
        """Cut the gateway off from its servers: 1100. What is placed waits; what happens is told later."""
        self._venue.cut_off = True
        self._gateway.notice(1100, "Connectivity between IBKR and Trader Workstation has been lost.")

    async def find_servers(self, *, data_lost: bool = False) -> None:
        """Join them again: 1102, or 1101 where market data has to be asked for anew."""
        if data_lost:
            self._data.lose()
            self._history.lose(told=False)
            text = "Connectivity between IBKR and Trader Workstation has been restored- data lost."
        else:
            text = "Connectivity between IBKR and Trader Workstation has been restored- data maintained."
        self._venue.cut_off = False
        self._gateway.notice(1101 if data_lost else 1102, text)
        self._broadcast.reconnect()
        self._venue.reconnect()

    async def break_farms(self, broken: bool) -> None:
        """Take the farms of market data and history away, or give them back. Bars that were kept up to date
        are not any more."""
        self._gateway.farm_broken = broken
        if broken:
            self._gateway.notice(2103, "Market data farm connection is broken:usfarm")
            self._gateway.notice(2105, "HMDS data farm connection is broken:ushmds")
            self._history.lose(told=True)
        else:
            for code, text in FARMS[:2]:
                self._gateway.notice(code, text)

    async def compete(self, competing: bool) -> None:
        """Let another session of the same user have the live market data."""
        self._data.compete(competing)

    async def take_client_id(self, client_id: int, taken: bool) -> None:
        """Let a client id be in use, as after a connection that the gateway has not seen end."""
        (self._gateway.busy_ids.add if taken else self._gateway.busy_ids.discard)(client_id)

    async def change_port(self) -> None:
        """Go to another port, and say so to whoever is connected: 1300."""
        here = self._gateway.port
        self._gateway.port = 0
        text = "TWS socket port has been reset and this connection is being dropped."
        self._gateway.notice(1300, f"{text} Please reconnect on the new port")
        for session in self._gateway.clients():
            session.close()
        await self._gateway.deafen()
        await self._gateway.listen()
        assert self._gateway.port != here

    def refuse_next(self, action: Action, code: int, text: str) -> None:
        """Refuse the next request of an action with this error, whatever it asks for."""
        self._gateway.faults.refuse(action, code, text)

    def complain(self, client_order_id: str, code: int, text: str) -> None:
        """Say something about an order, which changes nothing."""
        order = self._venue.by_ref(client_order_id)
        assert order is not None, f"the venue has no order {client_order_id}"
        self._venue.listener.complained(order, code, text)

    def idle(self, client_order_id: str, idle: bool) -> None:
        """Let a living order be held back, as Inactive, or let it work again."""
        order = self._venue.by_ref(client_order_id)
        assert order is not None, f"the venue has no order {client_order_id}"
        assert order.open, f"{client_order_id} has ended"
        order.status = "Inactive" if idle else order.working_status()
        self._venue.listener.told(order)

    def hold_orders(self) -> None:
        """Hold back what is told of orders and of the account alone, until `IbkrSandbox.release_events`."""
        self._gateway.hold_events(data=False)

    def halt(self, symbol: str, halted: bool) -> None:
        """Halt the trading in a contract, named as the venue does: orders are taken, and wait."""
        contract = self._venue.catalog.named(symbol)
        self._venue.halt(contract, halted)
        self._data.halt(contract)

    def notice(self, code: int, text: str) -> None:
        """Say something to every client, which changes nothing."""
        self._gateway.notice(code, text)

    def report_commissions(self) -> None:
        """Report the commissions that are late."""
        self._broadcast.report_late()
