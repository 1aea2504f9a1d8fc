"""The only place that reads the environment: ``GRIDWARD_*`` composed of each floor's settings.

Names are flat, ``GRIDWARD_DATABASE_URL`` rather than ``GRIDWARD_GEO__DATABASE_URL``: whoever installs the service
does not know our floors.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.webhooks.addresses import parse_networks
from dispatch.settings import DispatchSettings
from geo.settings import GeoSettings


class Settings(BaseSettings, GeoSettings, DispatchSettings):
    """All settings of a process."""

    model_config = SettingsConfigDict(env_prefix="GRIDWARD_", extra="ignore")

    host: str = Field("127.0.0.1", description="Address the API listens on")
    port: int = Field(8311, ge=1, le=65535, description="Port the API listens on")
    data_dir: Path = Field(Path("data"), description="Where the embedded cluster and its state live")
    lang: str = Field("", description="Language of the command line: zh or en; empty follows LANG, else Chinese")
    log_format: str = Field("auto", pattern="^(auto|console|json)$", description="Structured logs as text or JSON")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Lowest level that is logged")
    root_path: str = Field("", description="Path under which a reverse proxy mounts the service")
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Request bodies larger than this are refused unread")
    open_on_loopback: bool = Field(
        True, description="Requests from this very machine may use the pages and the reading API without a key"
    )
    local_gateways: str = Field(
        "",
        description="Addresses that this machine's own requests come from when a container engine forwards a port "
        "published on loopback, as networks separated by commas, such as 172.16.0.0/12; empty outside containers",
    )
    webhook_networks: str = Field(
        "",
        description="Networks besides the public internet that webhooks may reach, separated by commas, such as "
        "10.8.0.0/16; plain http is possible to these only",
    )
    webhook_timeout_s: float = Field(20.0, ge=1, le=60, description="Longest time of one attempt of a webhook")
    webhook_lanes: int = Field(4, ge=1, le=64, description="Webhooks that one worker serves at the same time")

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        parse_networks(value)
        return value
