"""A server on loopback that speaks Alpaca's protocol, for tests, the conformance kit and users."""

__all__: list[str] = []
