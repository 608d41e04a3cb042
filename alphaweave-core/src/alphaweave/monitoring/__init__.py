"""Watching a run: the Monitor contract, recorders, metrics and reports."""

__all__: list[str] = []
