"""The simulated brokers `mock` and `paper`."""

from alphaweave_broker_mock.adapter import MockBrokerAdapter, PaperBrokerAdapter
from alphaweave_broker_mock.options import MockOptions, PaperOptions

__all__ = ["MockBrokerAdapter", "MockOptions", "PaperBrokerAdapter", "PaperOptions", "__version__"]

__version__ = "0.1.0"
