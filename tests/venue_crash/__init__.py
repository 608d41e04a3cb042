"""kill -9 of `alphaweave run` with a broker's real adapter, at the broker's sandbox."""
