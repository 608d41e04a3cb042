"""Signatures: of a request over REST, whose library makes them, and of one over the WebSocket API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from binance_common.configuration import ConfigurationRestAPI
from binance_common.signature import Signers
from binance_common.utils import get_signature

from alphaweave.core.errors import AuthenticationFailed
from alphaweave_broker_binance.settings import BinanceOptions, Reach

__all__ = ["Keys"]


class Keys:
    """The API key of an account, and what signs for it.

    Attributes:
        configuration: what the client library makes REST requests with: sent once, and waited for as long as
            the options say.
        signer: of a private key; None where a secret signs.
    """

    def __init__(self, reach: Reach) -> None:
        """A datafeed's ``reach`` has no key.

        Raises:
            AuthenticationFailed: a private key cannot be read.
        """
        options = reach if isinstance(reach, BinanceOptions) else None
        password = None if options is None else options.password
        secret = "" if options is None else options.secret.reveal()
        is_private = secret.lstrip().startswith("-----BEGIN")
        self._key = None if options is None else options.key
        self._recv_window = "0" if options is None else str(options.recv_window)
        self.configuration = ConfigurationRestAPI(
            api_key=None if options is None else options.key.reveal(),
            api_secret=None if is_private else secret or None,
            base_path=reach.rest,
            # In milliseconds; its own default is one second, and to try three times more.
            timeout=round(reach.timeout * 1000),
            retries=0,
            # It would offer an encoding that nobody here may know how to read.
            compression=False,
            private_key=secret if is_private else None,
            private_key_passphrase=None if password is None else password.reveal(),
        )
        if options is None:
            # The library says an empty key.
            del self.configuration.base_headers["X-MBX-APIKEY"]
        self.signer: Any = None
        if is_private:
            try:
                self.signer = Signers.get_signer(secret, self.configuration.private_key_passphrase)
            except (ValueError, IndexError, TypeError):
                raise AuthenticationFailed(
                    "the private key cannot be read: it is a PEM text of an Ed25519 key, and "
                    "password opens it where it is encrypted"
                ) from None

    def stamped(self, params: Mapping[str, str], timestamp: int) -> dict[str, str]:
        """Parameters of a signed REST request: when it was made, in milliseconds, and how long it holds."""
        return {**params, "recvWindow": self._recv_window, "timestamp": str(timestamp)}

    def signed(self, params: Mapping[str, str | int], timestamp: int) -> dict[str, str | int]:
        """Parameters of a signed request over the WebSocket API."""
        whole: dict[str, str | int] = {
            **params,
            "apiKey": "" if self._key is None else self._key.reveal(),
            "recvWindow": int(self._recv_window),
            "timestamp": timestamp,
        }
        # Sorted, and not percent-encoded: unlike over REST.
        payload = "&".join(f"{name}={whole[name]}" for name in sorted(whole))
        return {**whole, "signature": self.signature(payload)}

    def signature(self, payload: str) -> str:
        """Of a text as it is: hexadecimal by a secret, base64 by a private key."""
        # Its annotation is mistaken: it signs a text.
        text: Any = payload
        return str(get_signature(self.configuration, text, self.signer))
