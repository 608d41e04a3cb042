"""A server on the loopback interface that speaks Binance's spot protocol, with an account of its own."""

__all__: list[str] = []
