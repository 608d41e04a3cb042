"""The conformance kit: whether an adapter keeps the contract, shown by running it against a venue."""

from __future__ import annotations

__all__: list[str] = []
