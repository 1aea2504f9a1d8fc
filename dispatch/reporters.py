"""Who reported: sealed before it reaches the database, and told apart by a keyed digest.

What the case knows of its reporter is `SealedReporter.contact_key`: equal for the same telephone number, useless
without the key. Name and number themselves lie in the schema ``reporter``, encrypted with AES-256-GCM and bound to
their case; the key lies outside the database (docs/privacy.md, docs/privacy.md).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterator
from typing import Final
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from dispatch.masking import contact_form, mask_email, mask_name, mask_phone
from geo.errors import Fault, UnavailableError

__all__ = ["Reporter", "ReporterKeys", "SealedReporter", "faults_of"]

_NONCE: Final = 12
_SECRET: Final = 32
_PHONE: Final = re.compile(r"[0-9０-９+＋\-－() （）.#*]+")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


class Reporter(Struct, frozen=True, kw_only=True):
    """Who reported, in clear words. Only at the door, and again when somebody unmasks it."""

    name: str = ""
    phone: str = ""
    email: str = ""
    #: Whoever asks not to be known is not: of a number given along only the keyed digest is kept.
    is_anonymous: bool = False
    wants_follow_up: bool = False

    def __repr__(self) -> str:
        """Nothing of it: this is what ends up in logs and tracebacks."""
        return "Reporter(…)"

    @property
    def says_something(self) -> bool:
        """Whether there is anything to keep."""
        return bool(self.name or self.phone or self.email or self.is_anonymous)


class SealedReporter(Struct, frozen=True, kw_only=True):
    """A row of ``reporter.identity``, and the key that goes to the case."""

    sealed: bytes | None
    key_id: bytes
    name_masked: str
    phone_masked: str
    email_masked: str
    is_anonymous: bool
    wants_follow_up: bool
    contact_key: bytes | None


class ReporterKeys:
    """Seals and opens identities, with keys derived from one secret.

    Parameters
    ----------
    secret
        32 random bytes, kept outside the database.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _SECRET:
            raise ValueError(f"the secret has {len(secret)} bytes, not {_SECRET}")
        self.key_id: Final = hashlib.sha256(b"gridward identity key" + secret).digest()[:8]
        self._seal = AESGCM(_derive(secret, b"seal"))
        self._contact = _derive(secret, b"contact")
        self._said = _derive(secret, b"said")

    def seal(self, case_id: UUID, reporter: Reporter) -> SealedReporter:
        """Seal an identity for a case; opened in another case's row it is not readable."""
        known = not reporter.is_anonymous
        words = msgspec.json.encode([reporter.name, reporter.phone, reporter.email])
        nonce = os.urandom(_NONCE)
        return SealedReporter(
            sealed=nonce + self._seal.encrypt(nonce, words, case_id.bytes) if known else None,
            key_id=self.key_id,
            name_masked=mask_name(reporter.name) if known else "",
            phone_masked=mask_phone(reporter.phone) if known else "",
            email_masked=mask_email(reporter.email) if known else "",
            is_anonymous=reporter.is_anonymous,
            wants_follow_up=reporter.wants_follow_up,
            contact_key=self.contact_key(reporter),
        )

    def open(self, case_id: UUID, sealed: bytes, key_id: bytes) -> Reporter:
        """Open what `seal` has sealed.

        Raises
        ------
        UnavailableError
            ``reporter.other_key``: it was sealed with another key, or touched since.
        """
        if not hmac.compare_digest(key_id, self.key_id):
            raise UnavailableError("reporter.other_key")
        try:
            words = self._seal.decrypt(sealed[:_NONCE], sealed[_NONCE:], case_id.bytes)
        except InvalidTag as error:
            raise UnavailableError("reporter.other_key") from error
        name, phone, email = msgspec.json.decode(words, type=tuple[str, str, str])
        return Reporter(name=name, phone=phone, email=email)

    def contact_key(self, reporter: Reporter) -> bytes | None:
        """Digest by which one voice is told from many; None when there is neither number nor mail address."""
        contact = contact_form(reporter.phone) or reporter.email.strip().lower()
        return hmac.digest(self._contact, contact.encode(), "sha256")[:16] if contact else None

    def bind(self, digest: str, reporter: Reporter) -> str:
        """Digest of a report including its reporter: the same ticket with another reporter is another report.

        Keyed, because eleven digits are soon guessed from a bare digest.
        """
        return hmac.digest(self._said, digest.encode() + msgspec.json.encode(reporter), "sha256").hex()


def faults_of(reporter: Reporter) -> Iterator[Fault]:
    """What is wrong with what was said about a reporter. Never repeats it: errors are logged and shown."""
    digits = len(contact_form(reporter.phone))
    if reporter.phone and not (_PHONE.fullmatch(reporter.phone) and 3 <= digits <= 20):
        yield Fault(code="reporter.bad_phone", pointer="/reporter/phone")
    if reporter.email and not _EMAIL.fullmatch(reporter.email):
        yield Fault(code="reporter.bad_email", pointer="/reporter/email")
    if reporter.wants_follow_up and (reporter.is_anonymous or not (reporter.phone or reporter.email)):
        yield Fault(code="reporter.follow_up_without_contact", pointer="/reporter/follow_up")


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_SECRET, salt=None, info=b"gridward reporter " + purpose).derive(secret)
