"""A sandbox's options, whose secrets stand in clear, read as a config's would be."""

from __future__ import annotations

import os

import pytest
from attrs import frozen

from alphaweave.core.errors import OptionsError
from alphaweave.core.secret import Secret
from alphaweave.testing.clear_options import parse_clear_options, referred


@frozen(kw_only=True)
class Login:
    user: str
    password: Secret


@frozen(kw_only=True)
class Options:
    token: Secret
    second: Secret | None = None
    login: Login | None = None
    port: int = 1


BLOCK = {"token": "t0ken-value", "second": "second-value", "login": {"user": "u", "password": "pass-value"}}


def test_secrets_are_read_wherever_the_options_want_one() -> None:
    """Optional ones and nested ones too; what is none stays as it is."""
    options = parse_clear_options(Options, BLOCK, path="broker.options.acme")
    assert options.token.reveal() == "t0ken-value"
    assert options.second is not None
    assert options.second.reveal() == "second-value"
    assert options.login is not None
    assert (options.login.user, options.login.password.reveal()) == ("u", "pass-value")
    assert parse_clear_options(Options, {"token": "t0ken-value"}, path="x").second is None


def test_references_hold_within_the_context_and_nothing_is_left_in_the_environment() -> None:
    """A block with references is what a config may hold; the values are nowhere in it."""
    before = dict(os.environ)
    with referred(Options, BLOCK, variable="KIT_SECRET_") as block:
        assert block["token"] == "${env:KIT_SECRET_0}"
        assert os.environ["KIT_SECRET_0"] == "t0ken-value"
        assert "-value" not in str(block)
    assert dict(os.environ) == before


def test_what_is_wrong_is_told_under_its_path() -> None:
    """As of any options block."""
    with pytest.raises(OptionsError, match=r"broker\.options\.acme.*prot"):
        parse_clear_options(Options, {**BLOCK, "prot": 1}, path="broker.options.acme")
