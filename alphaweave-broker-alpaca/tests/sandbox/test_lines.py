"""A client that goes while its socket is being opened."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from aiohttp import ClientConnectionResetError, web
from aiohttp.test_utils import make_mocked_request

from alphaweave_broker_alpaca.sandbox.lines import Line, LineState
from alphaweave_broker_alpaca.sandbox.wire import Recorder


def test_line_whose_client_is_gone_holds_no_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said to it, and it does not stay among the open ones."""

    async def gone(response: web.WebSocketResponse, request: web.Request) -> None:
        raise ClientConnectionResetError("Cannot write to closing transport")

    async def talk(line: Line) -> None:
        raise AssertionError("nobody is there")

    async def served() -> set[Line]:
        state = LineState(Recorder(lambda: datetime.now(UTC)))
        await Line(make_mocked_request("GET", "/"), state).serve(talk)
        return state.lines

    monkeypatch.setattr(web.WebSocketResponse, "prepare", gone)
    assert asyncio.run(served()) == set()
