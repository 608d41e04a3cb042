"""A gateway on loopback that speaks the TWS protocol, with an account of its own."""

__all__: list[str] = []
