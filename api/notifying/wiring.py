"""Which notifiers a worker has, from the settings."""

from __future__ import annotations

from api.notifying.gateway import GatewayNotifier
from api.notifying.mail import MailNotifier
from api.settings import Settings
from api.webhooks.addresses import parse_networks
from api.webhooks.sender import Sender
from dispatch.notices import LogNotifier, Notifier

__all__ = ["notifiers_of"]


def notifiers_of(settings: Settings) -> tuple[Notifier, ...]:
    """The log, and every medium that has an address."""
    sender = Sender(networks=parse_networks(settings.webhook_networks), timeout_s=settings.webhook_timeout_s)
    found: list[Notifier] = [LogNotifier()]
    mail = settings.smtp_url.get_secret_value()
    if mail:
        found.append(MailNotifier(url=mail, sender=settings.smtp_from or "gridward@localhost"))
    for medium, url, secret in (
        ("sms", settings.sms_url, settings.sms_secret),
        ("wecom", settings.wecom_url, settings.wecom_secret),
    ):
        if url:
            found.append(GatewayNotifier(medium=medium, url=url, secret=secret.get_secret_value(), sender=sender))
    return tuple(found)
