"""Keys of the account, and whether a request is signed with one, in time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import parse_qsl

from attrs import field, frozen
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

from alphaweave_broker_binance.sandbox.parameters import Parameters
from alphaweave_broker_binance.sandbox.refusals import Refused, illegal, missing

__all__ = ["Key", "Keys", "ed25519_key", "hmac_key", "rest_parameters", "rest_payload", "ws_payload"]

_LARGEST_WINDOW = Decimal(60_000)
_USUAL_WINDOW = Decimal(5_000)
_AHEAD = 1_000
# From here on a time counts microseconds.
_MICROSECONDS = 10**15
_WINDOW = r"^[0-9]{1,5}(\.[0-9]{1,3})?$"


@frozen(repr=False)
class Key:
    """One API key.

    Attributes:
        name: the API key itself, which is sent.
        secret: for HMAC the shared secret, for Ed25519 the private key as PEM; what the client has.
        public: the public key, for Ed25519.
    """

    name: str
    secret: str
    public: ECC.EccKey | None = field(default=None)

    @property
    def ed25519(self) -> bool:
        return self.public is not None

    def signed(self, payload: str, signature: str) -> bool:
        """Whether ``signature`` is this key's, of exactly this text."""
        if self.public is None:
            wanted = hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
            return hmac.compare_digest(wanted.encode(), signature.encode())
        try:
            eddsa.new(self.public, "rfc8032").verify(
                payload.encode(), base64.b64decode(signature, validate=True)
            )
        except (ValueError, binascii.Error):
            return False
        return True


def hmac_key(name: str, secret: str) -> Key:
    return Key(name, secret)


def ed25519_key(name: str, seed: bytes) -> Key:
    """A key whose private half is made of 32 bytes."""
    private = ECC.construct(curve="Ed25519", seed=seed)
    return Key(name, str(private.export_key(format="PEM")), private.public_key())


class Keys:
    """The keys that the account knows.

    Attributes:
        revoked: none of them is good any more.
    """

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._keys = {key.name: key for key in keys}
        self.revoked = False

    def known(self, name: str | None) -> Key:
        """The key under its name.

        Raises:
            Refused: there is none.
        """
        if name is None or not re.fullmatch("[A-Za-z0-9]{64}", name):
            raise Refused(-2014, "API-key format invalid.", status=401)
        if self.revoked or name not in self._keys:
            raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
        return self._keys[name]

    def check(self, key: Key, parameters: Parameters, payload: str, now: int) -> None:
        """
        Args:
            payload: the text that had to be signed.
            now: the venue's time, milliseconds.

        Raises:
            Refused: the request is not signed with ``key``, or not of this moment.
        """
        signature = parameters.needed("signature")
        self.check_time(parameters, now)
        if not key.signed(payload, signature):
            raise Refused(-1022, "Signature for this request is not valid.")

    @staticmethod
    def check_time(parameters: Parameters, now: int) -> None:
        """
        Args:
            now: the venue's time, milliseconds; the request's counts milliseconds or microseconds.

        Raises:
            Refused: it is too old, or of the future.
        """
        stamp, window = parameters.long("timestamp"), _window(parameters)
        if stamp is None:
            raise missing("timestamp")
        at = Decimal(stamp) / 1000 if stamp >= _MICROSECONDS else Decimal(stamp)
        if at >= now + _AHEAD:
            raise Refused(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now - at > window:
            raise Refused(-1021, "Timestamp for this request is outside of the recvWindow.")


def _window(parameters: Parameters) -> Decimal:
    text = parameters.text("recvWindow")
    if text is None:
        return _USUAL_WINDOW
    if not re.fullmatch(_WINDOW, text):
        raise illegal("recvWindow", _WINDOW)
    if Decimal(text) > _LARGEST_WINDOW:
        raise Refused(-1131, "recvWindow must be less than 60000.")
    return Decimal(text)


def rest_parameters(query: str, body: str) -> dict[str, str]:
    """What query and form body say; where both do, the query.

    Raises:
        Refused: one of them says a thing twice, or is not percent-encoded.
    """
    found: dict[str, str] = {}
    for part in (query, body):
        pairs = parse_qsl(part, keep_blank_values=True)
        own = dict(pairs)
        if len(own) != len(pairs):
            raise Refused(-1101, "Duplicate values for a parameter detected.")
        for name, value in own.items():
            found.setdefault(name, value)
    return found


def rest_payload(query: str, body: str) -> str:
    """The text that a REST request signs: query and body as they were sent, the signature apart.

    Raises:
        Refused: the signature is not what comes last.
    """
    parts = []
    for part in (query, body):
        pieces = part.split("&") if part else []
        places = [place for place, piece in enumerate(pieces) if piece.partition("=")[0] == "signature"]
        if places and places != [len(pieces) - 1]:
            raise Refused(-1022, "Signature for this request is not valid.")
        parts.append("&".join(pieces[: len(pieces) - len(places)]))
    return "".join(parts)


def ws_payload(parameters: Mapping[str, str]) -> str:
    """The text that a request on the WebSocket API signs: sorted, not percent-encoded."""
    return "&".join(f"{name}={parameters[name]}" for name in sorted(parameters) if name != "signature")
