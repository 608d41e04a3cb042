"""What Alpaca answers instead of doing what it was asked, word for word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Refused", "forbidden", "invalid", "malformed", "not_found"]


class Refused(Exception):
    """The answer to a request that is not carried out.

    Attributes:
        status: of HTTP.
        body: what goes out as JSON.
    """

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(f"HTTP {status}: {body.get('message')}")
        self.status = status
        self.body = dict(body)


def forbidden(message: str, **context: Any) -> Refused:
    return Refused(403, {"code": 40310000, "message": message, **context})


def not_found(message: str) -> Refused:
    return Refused(404, {"code": 40410000, "message": message})


def invalid(message: str) -> Refused:
    """The order is understood, and against a rule."""
    return Refused(422, {"code": 42210000, "message": message})


def malformed(message: str) -> Refused:
    """The request is not understood."""
    return Refused(422, {"code": 40010001, "message": message})
