"""Settings of the notifiers; part of `api.settings.Settings`."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from api.webhooks.signing import key_of
from geo.errors import BadInputError

_SCHEMES = frozenset({"smtp", "smtps", "smtp+starttls"})


class NotifyingSettings(BaseModel):
    """Which media tell people, and how they are reached. An empty address switches a medium off; the log is always on.

    Secrets may be in the addresses, so none of them is ever shown.
    """

    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="Mail server, such as smtp+starttls://user:password@mail.example:587 (also smtp://, smtps://)",
    )
    smtp_from: str = Field("", description="Sender of mails, such as Gridward <gridward@example.org>")
    sms_url: str = Field("", description="Gateway that sends SMS; gets a signed webhook per notice (docs/notices.md)")
    sms_secret: SecretStr = Field(SecretStr(""), description="Signing secret of the SMS gateway, whsec_…")
    wecom_url: str = Field("", description="Gateway that sends WeCom messages; as for SMS")
    wecom_secret: SecretStr = Field(SecretStr(""), description="Signing secret of the WeCom gateway, whsec_…")

    @field_validator("smtp_url")
    @classmethod
    def _is_mail_server(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if value.get_secret_value() and (parts.scheme not in _SCHEMES or not parts.hostname):
            raise ValueError("smtp://, smtps:// or smtp+starttls:// with a host")
        return value

    @field_validator("sms_secret", "wecom_secret")
    @classmethod
    def _is_secret(cls, value: SecretStr) -> SecretStr:
        try:
            if value.get_secret_value():
                key_of(value.get_secret_value())
        except BadInputError as error:
            raise ValueError("whsec_ and base64 of 24 to 64 bytes") from error
        return value

    @model_validator(mode="after")
    def _gateways_are_signed_for(self) -> NotifyingSettings:
        for medium in ("sms", "wecom"):
            if getattr(self, f"{medium}_url") and not getattr(self, f"{medium}_secret").get_secret_value():
                raise ValueError(f"{medium}_url needs {medium}_secret: a gateway must be able to tell who speaks")
        return self
