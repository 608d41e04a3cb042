"""The scrubber: secrets taken out of texts, however they are dressed."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from html import escape
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphaweave.core.scrubber import Scrubber

SECRET = "p'a\"s<s w/ö+r&d\\7f3a"


def scrubber(*values: str) -> Scrubber:
    made = Scrubber()
    for value in values:
        made.add(value)
    return made


@pytest.mark.parametrize(
    "dress",
    [
        str,
        repr,
        json.dumps,
        lambda text: json.dumps({"key": text}, ensure_ascii=False),
        escape,
        quote,
        quote_plus,
        lambda text: quote(text, safe=""),
        lambda text: urlencode({"key": text}),
        lambda text: text.encode().hex(),
        lambda text: f"https://user:{quote(text)}@host/",
    ],
)
def test_secret_is_found_in_every_dress(dress: Callable[[str], str]) -> None:
    """Whoever writes it escapes it in a way of their own; nothing but the mark is left of it."""
    dressed = dress(SECRET)
    shown = scrubber(SECRET).text(f"before {dressed} after")
    assert "[redacted]" in shown
    assert "7f3a" not in shown
    assert SECRET.encode()[-4:].hex() not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@given(st.binary(max_size=8), st.binary(max_size=8), st.sampled_from([b64encode, urlsafe_b64encode]))
def test_secret_is_found_in_base64_whatever_stands_around_it(
    before: bytes, after: bytes, encode: Callable[[bytes], bytes]
) -> None:
    """A header of basic authentication holds user:secret in one piece."""
    secret = "a-L0ng\xff\xfe?secret"
    dressed = encode(before + secret.encode() + after).decode()
    shown = scrubber(secret).text(dressed)
    assert "[redacted]" in shown
    # at most the two bytes at either edge, whose groups they share with others
    assert len(shown.replace("[redacted]", "")) <= len(dressed) - 16


def test_longer_secret_is_taken_out_whole_where_one_is_part_of_another() -> None:
    made = scrubber("canary-1", "canary-1-and-2")
    assert made.text("canary-1-and-2, canary-1") == "[redacted], [redacted]"


def test_short_secret_is_taken_out_where_it_stands_alone() -> None:
    """One of four letters is part of many a word, and one of three of every text."""
    made = scrubber("beef", "abc")
    assert made.text("beef: abeefc beef, abc") == "[redacted]: abeefc [redacted], abc"


def test_key_of_many_lines_is_found_line_by_line() -> None:
    key = "first line of a key\nsecond line of a key\n"
    shown = scrubber(key).text(f"got {key}\nor  second line of a key, or {key.strip()}")
    assert "line of" not in shown


def test_tree_is_scrubbed_in_texts_only() -> None:
    """Numbers and other objects stay what they are; so does the shape."""
    made = scrubber("c4n4ry-7f3a", "123456")
    thing = object()
    tree = {"a": ["x c4n4ry-7f3a", 123456, ("c4n4ry-7f3a",)], "c4n4ry-7f3a": thing}
    assert made.tree(tree) == {
        "a": ["x [redacted]", 123456, ("[redacted]",)],
        "[redacted]": thing,
    }
    assert tree["c4n4ry-7f3a"] is thing


def test_scrubber_without_secrets_leaves_everything_alone() -> None:
    made = Scrubber()
    tree = {"a": "b"}
    assert made.tree(tree) is tree
    assert made.text("a [b]") == "a [b]"
    before = made.empty
    made.add("long enough")
    assert (before, made.empty) == (True, False)
    assert "long enough" not in repr(made)
    assert made.holds("is it long enough?")
    assert not made.holds("is it?")
