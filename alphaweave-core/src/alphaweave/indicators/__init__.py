"""Incremental indicators: one new bar in, one new value out, whatever the length of the history.

They share the definitions of TA-Lib: an indicator is ``nan`` until it has seen enough bars, the
average that starts a recursion is the plain mean of its first ``period`` inputs, RSI and ATR smooth
as Wilder did.
"""

from __future__ import annotations

from alphaweave.indicators.atr import ATR
from alphaweave.indicators.base import BarIndicator, CloseIndicator, Indicator
from alphaweave.indicators.ema import EMA
from alphaweave.indicators.rsi import RSI
from alphaweave.indicators.sma import SMA

__all__ = ["ATR", "EMA", "RSI", "SMA", "BarIndicator", "CloseIndicator", "Indicator"]
