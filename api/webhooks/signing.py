"""Signatures of webhooks. Source: Standard Webhooks specification 1.0.0, symmetric scheme ``v1``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from geo.errors import BadInputError

PREFIX: Final = "whsec_"
#: Length of a key. Units: bytes; the specification asks for 24 to 64.
LEAST_BYTES, MOST_BYTES, OWN_BYTES = 24, 64, 32


def make_secret() -> str:
    """Make a secret in its written form."""
    return PREFIX + base64.b64encode(secrets.token_bytes(OWN_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key inside a written secret.

    Raises
    ------
    BadInputError
        ``webhook.bad_secret``: not ``whsec_`` and base64 of 24 to 64 bytes. The secret is not repeated.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInputError("webhook.bad_secret", pointer="/secret") from error
    if not secret.startswith(PREFIX) or not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise BadInputError("webhook.bad_secret", pointer="/secret")
    return key


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature, ``v1,<base64>``, over ``id.timestamp.body``. Units: timestamp whole Unix seconds."""
    assert "." not in message_id, "a full stop would let one message pass for another"
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()


def headers(all_secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers; one signature per secret, so that the receiver may change its own at leisure."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in all_secrets),
    }
