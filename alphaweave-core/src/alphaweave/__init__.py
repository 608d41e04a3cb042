"""AlphaWeave: one strategy, one config, any broker found by name."""

__all__ = ["__version__"]

__version__ = "0.1.0"
