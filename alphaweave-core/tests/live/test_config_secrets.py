"""Secrets: the type that never shows one, references to them, and redaction."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import re
import sys
import traceback
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest
from attrs import asdict, field, frozen, make_class

from alphaweave.core.errors import OptionsError, SecretError
from alphaweave.core.redaction import redact
from alphaweave.core.scrubber import Scrubber
from alphaweave.core.secret import Secret
from alphaweave.live.config_options import parse_options
from alphaweave.live.secrets import REFERENCE_PATTERN, Resolution, resolve

CANARY = "c4n4ry-7f3a"


@frozen(kw_only=True)
class Keys:
    key: Secret
    endpoint: str = "https://example.com"
    port: int = 1
    rate: float = 1.0
    paper: bool = False
    folder: Path | None = None


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CANARY", CANARY)
    return CANARY


def test_secret_reveals_its_value_only_when_asked() -> None:
    """Neither print, format nor repr shows a secret, and reveal does."""
    secret = Secret(CANARY)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret:>20}", f"{secret!r}", f"{[secret]}"]
    assert not [text for text in shown if CANARY in text]
    assert all("[redacted]" in text for text in shown)
    assert secret.reveal() == CANARY


def test_secret_is_never_pickled_or_dumped() -> None:
    """What would write a secret to a file raises instead."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(Secret(CANARY), protocol)
    with pytest.raises(TypeError):
        json.dumps({"key": Secret(CANARY)})


def test_secret_survives_copies_and_compares_by_value() -> None:
    """Copies are the secret itself; equality and hash go by the value, and a text is no secret."""
    secret = Secret(CANARY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"key": secret})["key"] is secret
    assert secret == Secret(CANARY)
    assert hash(secret) == hash(Secret(CANARY))
    assert secret != Secret("another")
    assert secret != CANARY
    assert not hasattr(secret, "__dict__")


def test_secret_refuses_an_empty_value() -> None:
    """An empty key is a mistake, not a key."""
    with pytest.raises(ValueError, match="never empty"):
        Secret("")


def test_env_reference_resolves_anywhere_in_a_text(canary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One string may hold several references between plain parts."""
    monkeypatch.setenv("HOST", "example.com")
    tree = resolve(
        {"url": "https://${env:HOST}/${env:CANARY}?x=1", "plain": "a $5 note", "n": [1, "${env:HOST}"]}
    )
    assert tree == {"url": f"https://example.com/{canary}?x=1", "plain": "a $5 note", "n": [1, "example.com"]}


def test_doubled_dollar_is_a_plain_one() -> None:
    """A text may hold braces that are no reference."""
    assert resolve("$${env:HOME} and $${x}") == "${env:HOME} and ${x}"


def test_resolve_leaves_its_argument_alone(canary: str) -> None:
    """The raw config keeps its references."""
    raw = {"a": ["${env:CANARY}"]}
    assert resolve(raw) == {"a": [canary]}
    assert raw == {"a": ["${env:CANARY}"]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "${env:NOT_THERE}",
            "cannot resolve ${env:NOT_THERE}: the environment variable NOT_THERE is not set.",
        ),
        ("${env:BLANK}", "cannot resolve ${env:BLANK}: the environment variable BLANK is empty."),
        ("${CANARY}", "write ${env:CANARY} for an environment variable"),
        ("${vault:CANARY}", "write ${env:CANARY}"),
        ("${env:CANARY", "write ${env:CANARY}"),
        ("file:nothing.txt", "cannot resolve file:nothing.txt: no such file or directory."),
        ("file:.", "it is not a regular file"),
        ("file:~no-such-user/key", "there is no home folder to put for the ~; write the whole path"),
        ("keyring:service", "write keyring:SERVICE/NAME"),
        ("keyring:/name", "write keyring:SERVICE/NAME"),
    ],
)
def test_reference_that_fails_says_why(
    text: str, reason: str, canary: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The problem has the path, the reference and what to do, and no value."""
    monkeypatch.setenv("BLANK", "")
    with pytest.raises(SecretError) as caught:
        resolve({"broker": {"key": text}}, path="top", base_dir=tmp_path)
    (problem,) = caught.value.problems
    assert problem.path == "top.broker.key"
    assert reason in problem.message
    assert canary not in str(caught.value)


def test_all_failing_references_are_reported_at_once() -> None:
    """A person mends a config once, not once for each reference."""
    with pytest.raises(SecretError) as caught:
        resolve({"a": "${env:NO_1}", "b": ["x", "${env:NO_2}"]})
    assert [problem.path for problem in caught.value.problems] == ["a", "b[1]"]


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "key.txt"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"abc\n", "abc"), (b"abc\r\n", "abc"), (b"abc", "abc"), (b"abc\n\n", "abc\n"), (b" a b \n", " a b ")],
)
def test_file_reference_drops_one_newline(content: bytes, value: str, tmp_path: Path) -> None:
    """The newline that editors add is no part of a key; everything else is."""
    secret_file(tmp_path, content)
    assert resolve("file:key.txt", base_dir=tmp_path) == value
    assert resolve(f"file:{tmp_path / 'key.txt'}") == value


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_file_reference_refuses_what_others_may_read(mode: int, tmp_path: Path) -> None:
    """A key that everybody on the machine has access to is no secret."""
    path = secret_file(tmp_path, CANARY.encode(), mode)
    with pytest.raises(SecretError, match=f"chmod 600 {path}") as caught:
        resolve("file:key.txt", base_dir=tmp_path)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(("content", "reason"), [(b"\n", "empty"), (b"\xff" + CANARY.encode(), "not UTF-8")])
def test_file_reference_refuses_what_is_no_key(content: bytes, reason: str, tmp_path: Path) -> None:
    """An empty or binary file is a mistake, and its content stays out of the message."""
    secret_file(tmp_path, content)
    with pytest.raises(SecretError, match=reason) as caught:
        resolve("file:key.txt", base_dir=tmp_path)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_keyring_reference_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """keyring is no dependency; whoever refers to it is told."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretError, match="Try: pip install keyring"):
        resolve("keyring:alpaca/live")


def test_keyring_reference_asks_for_service_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last slash parts the service from the name."""
    entries = {("https://alpaca/api", "live"): CANARY}
    fake = ModuleType("keyring")
    fake.get_password = lambda service, name: entries.get((service, name))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", fake)
    assert resolve("keyring:https://alpaca/api/live") == CANARY
    with pytest.raises(SecretError, match="no entry 'other' of service 'x'"):
        resolve("keyring:x/other")


def test_keyring_that_raises_is_reported_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A back end's error may quote what it read."""

    def broken(service: str, name: str) -> str:
        raise RuntimeError(CANARY)

    fake = ModuleType("keyring")
    fake.get_password = broken  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", fake)
    with pytest.raises(SecretError, match="raised RuntimeError") as caught:
        resolve("keyring:a/b")
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_options_get_their_secrets_from_references(canary: str, tmp_path: Path) -> None:
    """A secret is looked up, alone or inside a text, and what is written out stays as it is."""
    raw = {"key": "Bearer ${env:CANARY}", "endpoint": "https://$${x}", "port": 7497, "folder": "in"}
    scrubber = Scrubber()
    keys = parse_options(Keys, raw, path="x", base_dir=tmp_path, scrubber=scrubber)
    assert keys == Keys(
        key=Secret(f"Bearer {canary}"), endpoint="https://${x}", port=7497, folder=tmp_path / "in"
    )
    assert canary not in repr(keys)
    assert canary not in repr(asdict(keys))
    assert scrubber.text(f"no {canary} here") == "no [redacted] here"


@frozen(kw_only=True)
class Anything:
    free: Any = None
    texts: tuple[str, ...] = ()
    side: Literal["a", "b"] = "a"
    amount: Decimal = Decimal(0)


@pytest.mark.parametrize(
    ("options", "raw", "path"),
    [
        (Keys, {"endpoint": "https://${env:CANARY}"}, "x.endpoint"),
        (Keys, {"port": "${env:CANARY}"}, "x.port"),
        (Keys, {"rate": "${env:CANARY}"}, "x.rate"),
        (Keys, {"paper": "${env:CANARY}"}, "x.paper"),
        (Keys, {"folder": "file:key.txt"}, "x.folder"),
        (Anything, {"free": {"deep": ["a", "keyring:a/b"]}}, "x.free.deep[1]"),
        (Anything, {"texts": ["${env:CANARY}"]}, "x.texts[0]"),
        (Anything, {"side": "${env:CANARY}"}, "x.side"),
        (Anything, {"amount": "${env:NOT_THERE}"}, "x.amount"),
        (Anything, {"amount": "${CANARY}"}, "x.amount"),
    ],
)
def test_reference_where_no_secret_belongs_is_refused(
    options: type, raw: dict[str, Any], path: str, canary: str
) -> None:
    """What it stands for would be shown as any plain value is; so it is not even looked up."""
    secret = {"key": "${env:CANARY}"} if options is Keys else {}
    with pytest.raises(OptionsError) as caught:
        parse_options(options, {**secret, **raw}, path="x")
    (problem,) = caught.value.problems
    assert problem.path == path
    assert problem.message.startswith("a reference stands for a secret, and this value is none; write it out")
    assert canary not in str(caught.value)


def test_secret_too_short_to_be_kept_out_of_texts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three letters are in every text, so that nothing could be shown any more."""
    monkeypatch.setenv("SHORT", "abc")
    with pytest.raises(SecretError, match=r"x\.key: a secret has at least 4 characters"):
        parse_options(Keys, {"key": "${env:SHORT}"}, path="x")


def test_options_refuse_a_written_out_secret() -> None:
    """A literal where a reference belongs is refused with the advice, and is not repeated."""
    with pytest.raises(OptionsError) as caught:
        parse_options(Keys, {"key": CANARY, "port": "x"}, path="broker.options.acme")
    key, port = caught.value.problems
    assert key.path == "broker.options.acme.key"
    assert "${env:NAME}, file:PATH or keyring:SERVICE/NAME" in key.message
    assert port.path == "broker.options.acme.port"
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("raw", [["a", "b"], {"x": "y"}, 5, True])
def test_options_refuse_a_secret_of_another_shape(raw: object) -> None:
    """Not even the wrong shape of a secret is repeated."""
    with pytest.raises(OptionsError, match="expected a reference to a secret, found") as caught:
        parse_options(Keys, {"key": raw}, path="x")
    assert "5" not in str(caught.value)


def test_options_report_failed_references_beside_other_problems() -> None:
    """All at once: what cannot be resolved, what is wrong and what is unknown; each once."""
    with pytest.raises(OptionsError) as caught:
        parse_options(Keys, {"key": "${env:NO_KEY}", "port": "x", "nope": 1}, path="b")
    assert sorted(problem.path for problem in caught.value.problems) == ["b.key", "b.nope", "b.port"]
    with pytest.raises(SecretError) as only:
        parse_options(Keys, {"key": "${env:NO_KEY}"}, path="b")
    assert [str(problem) for problem in only.value.problems] == [
        "b.key: cannot resolve ${env:NO_KEY}: the environment variable NO_KEY is not set."
    ]


def test_canary_never_reaches_a_message_log_or_traceback(
    canary: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong beside a secret, its value is not in what people see."""

    def picky(instance: object, attribute: object, value: Secret) -> None:
        raise ValueError(f"{value.reveal()!r} is bad")

    options = make_class(
        "options", {"name": field(type=Secret, validator=picky), "token": field(type=str, validator=picky)}
    )
    with pytest.raises(OptionsError) as caught:
        parse_options(options, {"name": "x-${env:CANARY}", "token": 5}, path="b")
    logging.getLogger("test").error("cannot read the options", exc_info=caught.value)
    name, token = caught.value.problems
    assert name.message == "'[redacted]' is bad."
    assert token.message.startswith("expected text")
    seen = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(caught.value.problems)
    assert canary not in seen
    context = caught.value.__context__
    assert context is None or canary not in repr(context)


def test_check_of_an_option_with_a_secret_name_is_not_quoted() -> None:
    """An adapter may have forgotten to make it a Secret."""

    def picky(instance: object, attribute: object, value: str) -> None:
        raise ValueError(f"{value!r} is bad")

    options = make_class("options", {"token": field(type=str, validator=picky)})
    with pytest.raises(OptionsError, match="does not pass its check") as caught:
        parse_options(options, {"token": "written-out"}, path="b")
    assert "written-out" not in str(caught.value)


def test_references_are_not_looked_up_before_they_are_asked_for() -> None:
    """A tree may hold references to what is not there."""
    tree = Resolution({"a": "x-${env:NOT_THERE}", "b": ["plain", 5]}).tree
    assert (tree["b"], type(tree["a"]).__name__) == (["plain", 5], "Reference")
    assert "NOT_THERE" not in repr(tree)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("${env:A}", True),
        ("x ${env:A} y", True),
        ("file:a", True),
        ("keyring:a/b", True),
        ("plain", False),
        ("$${env:A}", False),
        ("${A}", False),
        ("a file:b", False),
        ("file:", False),
    ],
)
def test_references_are_told_from_plain_values(text: str, verdict: bool) -> None:
    """The schema's pattern finds what the resolver would resolve."""
    assert (re.search(REFERENCE_PATTERN, text) is not None) is verdict


def test_redact_keeps_references_and_hides_literals() -> None:
    """A report shows where a secret comes from and never what it is."""
    raw = {
        "key": "PK123",
        "api_key": "${env:KEY}",
        "apiSecret": "abc${env:KEY}",
        "auth": "$${env:KEY}",
        "token": 12345,
        "password": "file:pw.txt",
        "passphrase": "keyring:a/b",
        "credentials": {"user": "me", "deep": ["x", "${env:X}"]},
        "use_key": True,
        "secret_name": None,
        "plain": "shown",
        "object": Secret("PK123"),
        "url": "postgresql://me:hunter2@host/db",
        "url_ref": "postgresql://me:${env:PW}@host/db",
        "list": [{"private": "PK123"}],
    }
    shown = redact(raw)
    assert shown == {
        "key": "[redacted]",
        "api_key": "${env:KEY}",
        "apiSecret": "[redacted]",
        "auth": "[redacted]",
        "token": "[redacted]",
        "password": "file:pw.txt",
        "passphrase": "keyring:a/b",
        "credentials": {"user": "[redacted]", "deep": ["[redacted]", "${env:X}"]},
        "use_key": True,
        "secret_name": None,
        "plain": "shown",
        "object": "[redacted]",
        "url": "postgresql://me:[redacted]@host/db",
        "url_ref": "postgresql://me:${env:PW}@host/db",
        "list": [{"private": "[redacted]"}],
    }
