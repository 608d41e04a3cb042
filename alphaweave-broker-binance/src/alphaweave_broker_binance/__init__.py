"""Binance spot: trade on a test or a live account, or on a sandbox."""

__all__ = ["__version__"]

__version__ = "0.1.0"
