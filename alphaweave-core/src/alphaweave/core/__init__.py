"""The vocabulary: bars, orders, instruments, money, time, errors."""

__all__: list[str] = []
