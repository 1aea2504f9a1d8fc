"""Mail by SMTP. Each notice is one message; its Message-ID stays the same when it is sent again."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

from api.notifying.texts import render
from dispatch.notices import Message, UnreachableError

__all__ = ["MailNotifier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailNotifier:
    """Sends to a person's mail address.

    Parameters
    ----------
    url
        ``smtp://``, ``smtps://`` (TLS from the start) or ``smtp+starttls://`` with optional user and password.
    timeout_s
        For connecting and for each answer. Units: seconds.
    """

    url: str
    sender: str
    timeout_s: float = 15.0
    trust: ssl.SSLContext | None = None
    medium: str = "mail"

    async def send(self, message: Message) -> None:
        """Deliver to the server; what it does then is its own affair."""
        if not message.contact.email:
            raise UnreachableError("no_address")
        letter = self._letter(message)
        # smtplib waits; on a thread of its own it keeps nobody else waiting.
        await asyncio.to_thread(self._deliver, letter)

    def _letter(self, message: Message) -> EmailMessage:
        notice = render(message)
        name, address = parseaddr(self.sender)
        letter = EmailMessage()
        letter["Subject"] = notice.subject
        letter["From"] = Address(display_name=name, addr_spec=address)
        letter["To"] = Address(display_name=message.contact.name, addr_spec=message.contact.email)
        letter["Message-ID"] = f"<notice-{message.id}@{address.partition('@')[2] or 'gridward'}>"
        letter["Content-Language"] = notice.locale
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(notice.body)
        return letter

    def _deliver(self, letter: EmailMessage) -> None:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        context = self.trust or ssl.create_default_context()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=self.timeout_s, context=context)
        else:
            server = smtplib.SMTP(
                host, parts.port or (587 if parts.scheme == "smtp+starttls" else 25), timeout=self.timeout_s
            )
        with server:
            if parts.scheme == "smtp+starttls":
                server.starttls(context=context)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(letter)
