"""SMS and WeCom: a signed webhook (Standard Webhooks) to a gateway that the office names in its settings."""

from __future__ import annotations

import time
from dataclasses import dataclass

import orjson

from api.notifying.texts import render
from api.webhooks.sender import Sender
from api.webhooks.signing import headers
from dispatch.notices import Message, UnreachableError

__all__ = ["GatewayError", "GatewayNotifier"]


class GatewayError(Exception):
    """The gateway did not take the notice; the argument is its status or the code of what failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayNotifier:
    """Hands a notice to a gateway.

    Parameters
    ----------
    medium
        ``sms`` needs the person's phone, ``wecom`` their WeCom id.
    """

    medium: str
    url: str
    secret: str
    sender: Sender

    async def send(self, message: Message) -> None:
        """Send once; only 2xx is success."""
        address = message.contact.phone if self.medium == "sms" else message.contact.wecom
        if not address:
            raise UnreachableError("no_address")
        notice = render(message)
        body = orjson.dumps(
            {
                "type": f"notice.{self.medium}.v1",
                "data": {
                    "id": message.id,
                    "to": {"address": address, "name": message.contact.name, "person": str(message.person_id)},
                    "language": notice.locale,
                    "key": message.key,
                    "case": message.params["case"],
                    "subject": notice.subject,
                    "text": notice.text,
                },
            }
        )
        # The same id at every attempt: the gateway can tell a repeat.
        signed = headers([self.secret] if self.secret else [], f"notice_{message.id}", int(time.time()), body)
        answer = await self.sender.post(self.url, body, signed)
        if not answer.is_success:
            raise GatewayError(answer.error or f"status {answer.status}")
