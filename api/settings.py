"""The only place that reads the environment: ``GRIDWARD_*`` composed of each floor's settings.

Names are flat, ``GRIDWARD_DATABASE_URL`` rather than ``GRIDWARD_GEO__DATABASE_URL``: whoever installs the service
does not know our floors.
"""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

from limits import parse
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.notifying.settings import NotifyingSettings
from api.webhooks.addresses import parse_networks
from dispatch.settings import DispatchSettings
from geo.coordinates import CoordSys
from geo.settings import GeoSettings


class LanguageSettings(BaseSettings):
    """The language alone: it can be read, and a fault of another setting told in it, whatever the others hold."""

    model_config = SettingsConfigDict(env_prefix="GRIDWARD_", extra="ignore")

    lang: str = Field("", description="Language of the command line: zh or en; empty follows LANG, else Chinese")


class Settings(LanguageSettings, GeoSettings, DispatchSettings, NotifyingSettings):
    """All settings of a process."""

    host: str = Field("127.0.0.1", description="Address the API listens on")
    port: int = Field(8311, ge=1, le=65535, description="Port the API listens on")
    data_dir: Path = Field(Path("data"), description="Where the embedded cluster and its state live")
    identity_key: SecretStr = Field(
        SecretStr(""),
        description="Key that reporters are sealed with, 32 bytes in base64; empty: the file `identity.key` in the data"
        " directory, made when it is first needed",
    )
    log_format: str = Field("auto", pattern="^(auto|console|json)$", description="Structured logs as text or JSON")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Lowest level that is logged")
    root_path: str = Field("", description="Path under which a reverse proxy mounts the service")
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Request bodies larger than this are refused unread")
    max_upload_bytes: int = Field(
        33_554_432,
        ge=1024,
        description="The same where files and batches are sent: photos, places, `/v1/reports:batch`",
    )
    geocoder_url: str = Field(
        "",
        pattern=r"^$|^https?://[^{}]*\{q\}[^{}]*$",
        description="Outside geocoder with {q} for the address, GeoJSON or Amap's answer; empty asks nobody",
    )
    geocoder_coord_sys: CoordSys = Field(CoordSys.WGS84, description="Coordinate system of its answers")
    geocoder_timeout_s: float = Field(1.5, gt=0, le=10, description="A report waits at most this long for it")
    open_on_loopback: bool | None = Field(
        None,
        description="Requests from this very machine may use the pages and the reading API without signing in: `true`,"
        " `false`, or empty: until the first administrator exists",
    )
    channel_rate: str = Field(
        "600/second",
        description="Requests of a channel's keys that one process takes, such as 600/second or 6000/minute; a key may"
        " have a rate of its own; empty: any number",
    )
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^/?#\s]+)?$",
        description="Address under which browsers reach the service, such as https://grid.example; says whether"
        " session cookies are for https only, and where single sign-on returns to",
    )
    oidc_issuer: str = Field(
        "",
        pattern=r"^(https?://[^?#\s]+)?$",
        description="Issuer of single sign-on by OpenID Connect; its configuration is read from"
        " `/.well-known/openid-configuration` below it; empty: none",
    )
    oidc_client_id: str = Field("", description="What the issuer knows this service by")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="Secret that the issuer has given this service")
    oidc_name: str = Field("SSO", description="Name of single sign-on on the sign-in page")
    oidc_login_claim: str = Field(
        "preferred_username", description="Claim that names the account at the first sign-in; `email` must be verified"
    )
    session_hours: int = Field(72, ge=1, le=720, description="A session ends after so many hours, whatever happens")
    session_idle_h: int = Field(12, ge=1, le=720, description="A session ends when nothing was asked for so many hours")
    local_gateways: str = Field(
        "",
        description="Addresses that this machine's own requests come from when a container engine forwards a port "
        "published on loopback, as networks separated by commas, such as 172.16.0.0/12; empty outside containers",
    )
    embed_origins: str = Field(
        "",
        pattern=r"^(https?://[^/?#\s,;'\"]+(\s*,\s*https?://[^/?#\s,;'\"]+)*)?$",
        description="Origins of a city's app that may show the field page in a frame, separated by commas, such as"
        " https://app.city.example; empty: none",
    )
    sandbox_database_url: str = Field(
        "",
        description="Database of the keys made with `--sandbox`; empty: on the same server, the database's name with"
        " `_sandbox` behind it",
    )
    webhook_networks: str = Field(
        "",
        description="Networks besides the public internet that webhooks may reach, separated by commas, such as "
        "10.8.0.0/16; plain http is possible to these only",
    )
    webhook_timeout_s: float = Field(20.0, ge=1, le=60, description="Longest time of one attempt of a webhook")
    webhook_lanes: int = Field(4, ge=1, le=64, description="Webhooks that one worker serves at the same time")

    open311_public: str = Field(
        "place",
        pattern="^(no|status|place)$",
        description="What Open311 tells readers without a key of a request: `no`: nothing, a key is needed; `status`;"
        " `place`: status and place. Never words, pictures or people",
    )
    open311_left_out: str = Field(
        "E0408",
        description="Classes that Open311 neither offers nor shows, each with everything below it, separated by commas",
    )
    open311_contact: str = Field("", description="Whom developers ask about Open311; empty: the office's name")

    @field_validator("open_on_loopback", mode="before")
    @classmethod
    def _empty_is_undecided(cls, value: object) -> object:
        return None if value == "" else value

    reveals_per_hour: int = Field(
        30, ge=0, le=10_000, description="Reporters that one person or key may unmask within an hour"
    )
    identity_days: int = Field(
        180, ge=0, description="Reporters are forgotten this many days after their case has ended; 0: never"
    )
    photo_days: int = Field(
        0, ge=0, description="Photos are deleted this many days after their case has ended; 0: never"
    )
    answer_days: int = Field(
        0,
        ge=0,
        description="Answers kept for `Idempotency-Key` are deleted after this many days; 0: kept for ever, as promised"
        " to the channels",
    )
    delivery_log_days: int = Field(
        183, ge=0, description="Attempts of webhooks, ended sessions are deleted after this many days; 0: never"
    )

    @field_validator("identity_key")
    @classmethod
    def _is_key(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and len(b64decode(text, validate=True)) != 32:
            raise ValueError("not 32 bytes in base64")
        return value

    @field_validator("channel_rate")
    @classmethod
    def _is_rate(cls, value: str) -> str:
        if value.strip():
            parse(value)
        return value

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @property
    def over_https(self) -> bool:
        """Whether browsers come by https, whatever the connection from the reverse proxy is."""
        return self.public_url.lower().startswith("https://")
