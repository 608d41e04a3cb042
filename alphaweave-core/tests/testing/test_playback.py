"""A file of minutes, moved to the present or not, handed out as they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alphaweave.core.errors import RunRefused
from alphaweave.testing.playback import MINUTE, Playback

NOW = datetime(2031, 3, 4, 15, 30, tzinfo=UTC)
OLD = datetime(2012, 5, 18, 9, 30, tzinfo=UTC)
HEAD = "symbol,date,open,high,low,close,volume\n"


def minutes(path: Path, begin: datetime, closes: list[float]) -> Path:
    """A file with one minute after another."""
    rows = [
        f"FB,{(begin + MINUTE * number).isoformat()},{close},{close + 1},{close - 1},{close},100\n"
        for number, close in enumerate(closes)
    ]
    path.write_text(HEAD + "".join(rows))
    return path


def test_minutes_are_handed_out_when_they_end(tmp_path: Path) -> None:
    """Not before, and once."""
    played = Playback(minutes(tmp_path / "a.csv", NOW, [1.0, 2.0, 3.0]), None, NOW)
    assert (played.symbols, played.old) == (("FB",), False)
    assert [bar.close for bar in played.until(NOW + timedelta(seconds=119))] == [1.0]
    assert [bar.close for bar in played.until(NOW + timedelta(seconds=180))] == [2.0, 3.0]
    assert played.until(NOW + timedelta(days=1)) == []


def test_no_file_has_no_minutes() -> None:
    played = Playback(None, None, NOW)
    assert (played.symbols, played.old, played.until(NOW)) == ((), False, [])


def test_file_begins_when_it_is_told_to(tmp_path: Path) -> None:
    """Its dates move so that the instant named is the present, and what was before it is history."""
    played = Playback(minutes(tmp_path / "a.csv", OLD, [1.0, 2.0]), "2012-05-18T09:31:00Z", NOW)
    assert [(bar.start, bar.end) for bar in played.until(NOW + MINUTE)] == [
        (NOW - MINUTE, NOW),
        (NOW, NOW + MINUTE),
    ]


@pytest.mark.parametrize("begin", ["2012-05-18T09:31:20Z", None])
def test_moved_minutes_are_the_clocks(tmp_path: Path, begin: str | None) -> None:
    """However far the present is in its own."""
    late = NOW + timedelta(seconds=45)
    played = Playback(minutes(tmp_path / "a.csv", OLD, [1.0, 2.0]), begin, late)
    starts = [bar.start for bar in played.until(late + timedelta(minutes=5))]
    assert {one.second for one in starts} == {0}
    assert abs(starts[0] - NOW) <= MINUTE


def test_file_that_is_over_is_played_from_its_first_minute(tmp_path: Path) -> None:
    played = Playback(minutes(tmp_path / "a.csv", OLD, [1.0]), None, NOW)
    assert played.old
    assert played.until(NOW) == []
    assert [bar.start for bar in played.until(NOW + MINUTE)] == [NOW]


@pytest.mark.parametrize(
    ("text", "begin", "message"),
    [
        ("symbol,date,open\n", None, "has no column close, high, low, volume"),
        (HEAD + "FB,2031-03-04T09:30,1,1,1,one,1\n", None, "line 2: could not convert"),
        (HEAD + "FB,2031-03-04T09:30,1,inf,1,1,1\n", None, "line 2: a price or volume is no finite number"),
        (HEAD + "FB,2031-03-04T09:30,1,1\n", None, "line 2 has fewer columns than the first"),
        (HEAD + "FB,yesterday,1,1,1,1,1\n", None, "line 2: 'yesterday' is no date"),
        (HEAD + "FB,2031-03-04T09:30,1,1,1,1,1\n", "noon", "begin: 'noon' is no date"),
    ],
)
def test_file_that_is_none_is_refused(tmp_path: Path, text: str, begin: str | None, message: str) -> None:
    """With its line and what is wrong."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(RunRefused, match=message):
        Playback(path, begin, NOW)


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """With its path and what to do."""
    with pytest.raises(RunRefused, match="cannot be read: is a directory; name a CSV file of minutes"):
        Playback(tmp_path, None, NOW)
    path = tmp_path / "prices.parquet"
    path.write_bytes(b"PAR1\xff\xfe")
    with pytest.raises(RunRefused, match=r"prices\.parquet cannot be read: it is no text of lines"):
        Playback(path, None, NOW)
