"""What is said of a plugin that raises."""

from __future__ import annotations

import pytest

from alphaweave.core.errors import AdapterFailed
from alphaweave.live.party import Party


def missing() -> object:
    raise ModuleNotFoundError("No module named 'venue_sdk'")


@pytest.mark.parametrize(
    ("distribution", "advice"),
    [
        ("alphaweave-broker-acme 1.0", ". Try: pip install -U alphaweave-broker-acme"),
        ("the registered Acme", ""),
        (None, ""),
    ],
)
def test_party_that_lacks_a_module_is_told_with_what_installs_it(
    distribution: str | None, advice: str
) -> None:
    with pytest.raises(AdapterFailed) as caught:
        Party("broker", "acme", distribution).ask("create", object, missing)
    assert str(caught.value).endswith(
        f"raised ModuleNotFoundError in create: No module named 'venue_sdk'{advice}"
    )
