"""The conformance kit: whether an adapter keeps the contract, shown by running it against a venue.

An adapter's author writes one class::

    from alphaweave.testing import BrokerConformance

    class TestAcme(BrokerConformance):
        adapter = "acme"          # found through its entry point
        deviations = {"BRK-750": "the venue forgets ended orders after a day"}

pytest finds its cases. The fixture ``venue`` is the sandbox that the entry point group
``alphaweave.sandboxes`` offers under the same name; a class that defines a fixture of its own may hand over
any `VenueControl`. ``alphaweave certify acme`` runs the same cases without a test file.

**To add a case**: an ``async`` method in the module of its group (``cases_*.py``), decorated
``@case("BRK-123", powers=[...])`` with an id that was never used, between its neighbours. Its docstring's
first line is the requirement, one sentence. It takes a `Bench`, opens it, and raises AssertionError, with
words for the author, where the requirement does not hold. Then write the page anew
(``alphaweave certify --cases-markdown``) and add to ``tests/conformance/`` a broker that fails just
this case.
"""

from __future__ import annotations

from alphaweave.testing.broker_conformance import BrokerConformance
from alphaweave.testing.feed_conformance import DataFeedConformance
from alphaweave.testing.monitor_conformance import MonitorConformance

__all__ = ["BrokerConformance", "DataFeedConformance", "MonitorConformance"]
