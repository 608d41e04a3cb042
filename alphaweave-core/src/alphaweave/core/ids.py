"""Client order ids: deterministic names for what a strategy decided.

``aw`` + five characters of the run + ``-`` + 22 base32 characters of a BLAKE2b digest over account, run,
strategy, trigger, number and version: 30 characters of ``[a-z0-9-]``, which every known broker takes.
The same decision has the same id in every driver and after every restart; nothing in it is random and
nothing in it is the wall clock.
"""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["ClientIds"]

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
# Ten bits at a time: several times faster than base64.b32encode, which a replay would feel.
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_SHIFTS = tuple(range(100, -1, -10))


def _base32(digest: bytes) -> str:
    """The first 110 bits of a 14-byte digest as 22 base32 characters (RFC 4648, lower case)."""
    bits = int.from_bytes(digest, "big") >> 2
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


class ClientIds:
    """Makes the client order ids of one run.

    Attributes:
        prefix: what all ids of the run begin with.
    """

    __slots__ = ("_base", "_interval", "prefix")

    def __init__(self, *, account: str, run_id: str, strategy: str, interval: str = "") -> None:
        self._interval = interval
        self.prefix = f"aw{_base32(blake2b(run_id.encode(), digest_size=14).digest())[:5]}-"
        # \x1f cannot occur in a config's names, so the joined text has one reading only
        self._base = blake2b(f"{account}\x1f{run_id}\x1f{strategy}\x1f".encode(), digest_size=14)

    def make(self, trigger: str, number: int, version: int = 0) -> str:
        """The id of the ``number``-th order of the decision that ``trigger`` names."""
        state = self._base.copy()
        state.update(f"{trigger}\x1f{number}\x1f{version}".encode())
        return self.prefix + _base32(state.digest())

    def of(self, trigger: str | None, decided_at: int, number: int) -> str:
        """The same; without a trigger the slice that ended at ``decided_at`` (ns) is what decided."""
        return self.make(trigger or f"bar:{self._interval}:{decided_at}", number)
