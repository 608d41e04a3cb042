"""Config files: YAML and JSON as they are written, and every way in which they are not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphaweave.core.errors import ConfigError
from alphaweave.live.config import load_live_config
from alphaweave.live.config_file import read_document, read_yaml

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_document(path)
    assert caught.value.source == path
    return [str(problem) for problem in caught.value.problems]


YAML = """
instruments: [SPY, {symbol: 'ON'}]
datafeed: {name: replay}
broker:
  name: paper
  options: {alpaca: {key: "${env:APCA_KEY}"}}
strategy: {class: my_strategies:SmaCross, params: {threshold: 1e-3, since: 2020-01-02}}
run: {capital: 1e5}
"""


def test_yaml_and_json_files_give_the_same_config(write: Write) -> None:
    """The suffix says which it is; a byte-order mark is no obstacle."""
    first = load_live_config(write("a.yaml", YAML))
    text = json.dumps(read_document(write("a.yml", YAML)))
    second = load_live_config(write("a.JSON", b"\xef\xbb\xbf" + text.encode()))
    assert first.run.capital == Decimal(100000)
    assert first.symbols == ("SPY", "ON")
    assert first.strategy.params == {"threshold": 0.001, "since": "2020-01-02"}
    assert first.raw == second.raw


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 2024-01-02", {"a": "2024-01-02"}),
        ("a: 2024-01-02 10:00:00", {"a": "2024-01-02 10:00:00"}),
        ("a: 9:30", {"a": "9:30"}),
        ("a: 1:30.5", {"a": "1:30.5"}),
        ("a: 000001", {"a": "000001"}),
        ("a: 010", {"a": "010"}),
        ("a: 0", {"a": 0}),
        ("a: 0x10", {"a": 16}),
        ("a: 1e5", {"a": 1e5}),
        ("a: 1E-3", {"a": 1e-3}),
        ("a: '1e5'", {"a": "1e5"}),
        ("a: 1.5", {"a": 1.5}),
        ("a: on", {"a": True}),
        ("a: ~", {"a": None}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
    ],
)
def test_yaml_scalars_mean_what_they_look_like(text: str, value: Any) -> None:
    """Dates and clock times stay text, leading zeros are kept, and 1e5 is a number."""
    read = read_yaml(text)
    assert read == value
    assert repr(read) == repr(value)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("c.toml", "a = 1", ["c.toml: a config is a file that ends in .yaml, .yml, .json."]),
        ("c.yaml", "", ["c.yaml: the file is empty."]),
        ("c.yaml", " \n", ["c.yaml: the file is empty."]),
        ("c.yaml", b"a: \xff", ["byte 3: not UTF-8 text."]),
        (
            "c.yaml",
            "a: 1\nb: [1, 2",
            ["line 2, column 9: not YAML: expected ',' or ']', but got '<stream end>'."],
        ),
        (
            "c.yaml",
            "a: 1\n\tb: 2",
            ["line 2, column 1: not YAML: found character '\\t' that cannot start any token."],
        ),
        ("c.yaml", "a: !!python/object:os.system {}", None),
        ("c.yaml", "a: 1\n---\nb: 2", ["line 2, column 1: not YAML: but found another document."]),
        (
            "c.yaml",
            "run:\n  id: a\n  seed: 1\n  id: b\nrun: {}",
            [
                "line 4, column 3: the key 'id' is there already at line 2, column 3; keep one.",
                "line 5, column 1: the key 'run' is there already at line 1, column 1; keep one.",
            ],
        ),
        (
            "c.yaml",
            "a: [{x: 1, x: 2}]",
            ["line 1, column 12: the key 'x' is there already at line 1, column 6; keep one."],
        ),
        ("c.yaml", "a: &x [1, *x]", ["line 1, column 4: an alias refers to what it is a part of."]),
        ("c.yaml", "? [a, b]\n: 1", ["line 1, column 3: not YAML: found unhashable key."]),
        ("c.yaml", "a: \x07", None),
        ("c.yaml", "a: " + "[" * 1200, None),
        ("c.yaml", "a: " + "9" * 5000, None),
        ("c.json", '{"a" 1}', ["line 1, column 6: not JSON: Expecting ':' delimiter."]),
        (
            "c.json",
            '{"a": {"c": 1, "b": 2, "b": 3}}',
            ["b: the key is there twice in one mapping; keep one."],
        ),
        ("c.json", '{"a": NaN}', ["NaN: JSON has no such number."]),
        ("c.json", '{"a": ' + "9" * 5000 + "}", None),
        ("c.json", "[" * 100_000, None),
    ],
)
def test_file_that_is_no_document_is_refused(
    name: str, text: str | bytes, found: list[str] | None, write: Write
) -> None:
    """The problem is in the file: its path is the line and column."""
    said = problems(write(name, text))
    if found is None:
        assert len(said) == 1
    else:
        assert said == found


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A missing file and a folder are config problems too, not tracebacks."""
    assert problems(tmp_path / "none.yaml") == ["none.yaml: no such file or directory."]
    (tmp_path / "folder.yaml").mkdir()
    assert problems(tmp_path / "folder.yaml") == ["folder.yaml: is a directory."]
    with pytest.raises(ConfigError, match=r"none\.yaml: 1 problem in the configuration"):
        load_live_config(str(tmp_path / "none.yaml"))


def test_aliases_of_aliases_are_counted_without_being_read(write: Write) -> None:
    """A few lines that stand for 10^30 values are refused at once; as many aliases to one list are not."""
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 31))]
    assert problems(write("bomb.yaml", "\n".join(lines))) == [
        "(top level): more than 100,000 values, those behind aliases included."
    ]
    merged = [
        "m0: &m0 {x: 1}",
        *(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}]}}" for n in range(1, 31)),
    ]
    assert len(problems(write("merge.yaml", "\n".join(merged)))) == 1
    assert read_document(write("fine.yaml", f"a: &a [x, y]\nb: [{', '.join(['*a'] * 1000)}]"))["b"][999] == [
        "x",
        "y",
    ]


def test_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    """Nobody may ever write to it."""
    os.mkfifo(tmp_path / "c.yaml")
    assert problems(tmp_path / "c.yaml") == ["c.yaml: not a regular file."]


def test_file_with_a_list_on_top_is_refused(write: Write) -> None:
    """A document alone is not yet a config."""
    with pytest.raises(ConfigError, match="expected a mapping of sections, found a list"):
        load_live_config(write("c.yaml", "- a\n- b\n"))


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text("abc", max_size=3), children, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_json_text_read_as_yaml_is_the_same_value(value: Any) -> None:
    """YAML reads the numbers, null and booleans of JSON as JSON does."""
    assert read_yaml(json.dumps(value)) == value
