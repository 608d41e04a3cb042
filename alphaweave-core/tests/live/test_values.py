"""What a strategy may save: values that cannot be, refused with their path."""

from __future__ import annotations

from typing import Any

import pytest

from alphaweave.core.errors import StateError
from alphaweave.live.values import decode, encode


def test_value_that_holds_itself_is_refused_with_its_path() -> None:
    """The first place where it comes again; a value that is there twice side by side is fine."""
    seen: dict[str, Any] = {"rows": [1, 2]}
    seen["rows"].append({"back": seen})
    with pytest.raises(StateError, match=r"^get_state\(\)\.rows\[2\]\.back holds itself"):
        encode(seen, "get_state()")
    shared = [1]
    assert encode({"a": shared, "b": [shared, shared]}) == {"a": [1], "b": [[1], [1]]}


def test_value_that_is_nested_too_deep_is_refused() -> None:
    """A hundred levels are kept; a thousand end with a short message, and not in the interpreter's own."""
    deep: Any = 1
    for _ in range(100):
        deep = (deep,)
    assert decode(encode(deep)) == encode(deep)
    with pytest.raises(StateError, match=r"is nested more than 100 levels deep") as caught:
        encode([deep], "get_state()")
    assert len(str(caught.value)) < 200
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(StateError, match="more than 100 levels"):
        encode(deep)
