"""Days of a live run on a virtual clock, with everything that can go wrong between it and its broker."""

from __future__ import annotations

__all__: list[str] = []
