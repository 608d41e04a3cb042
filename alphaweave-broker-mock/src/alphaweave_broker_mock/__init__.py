"""The simulated brokers `mock` and `paper`."""

__all__ = ["__version__"]

__version__ = "0.1.0"
