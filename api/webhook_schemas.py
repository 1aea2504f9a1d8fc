"""Bodies of the webhooks' routes, with examples for the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.event_json import EXAMPLE_DATA
from api.schemas import Code, EventType, Short, SoundText

WebhookUrl = Annotated[SoundText, StringConstraints(min_length=1, max_length=2000)]
SecretText = Annotated[SoundText, StringConstraints(min_length=1, max_length=200)]
Types = Annotated[list[EventType], Field(max_length=50)]

EXAMPLE_PAYLOAD: dict[str, Any] = {
    "type": "case.closed.v1",
    "timestamp": "2026-11-21T04:12:09Z",
    "data": {"event": "812-4711", **EXAMPLE_DATA},
}


class WebhookIn(BaseModel):
    """A new webhook."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "https://hotline.example.org/gridward", "types": ["case.closed.v1"]}]},
    )

    url: WebhookUrl = Field(description="https address on the public internet; no credentials, no fragment")
    types: Types = Field([], description="Types of events to send; none means all")
    description: Short = ""
    channel: Code | None = Field(
        None, description="Only this channel's cases. A channel's key always means its own channel"
    )
    after: Annotated[SoundText, StringConstraints(max_length=60)] | None = Field(
        None, description="Cursor of the feed to begin after; absent: only what happens from now on"
    )
    secret: SecretText | None = Field(None, description="A secret of yours, `whsec_…`; absent: one is made")


class WebhookChangeIn(BaseModel):
    """What to change; what is absent stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "active"}]})

    url: WebhookUrl | None = None
    types: Types | None = None
    description: Short | None = None
    status: Literal["active", "paused"] | None = Field(
        None, description="`active` also takes up a parked or gone webhook again, where it had stopped"
    )


class SecretIn(BaseModel):
    """A further secret."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"old_valid_s": 86400}]})

    secret: SecretText | None = None
    old_valid_s: int = Field(86_400, ge=0, le=2_592_000, strict=True, description="The old ones sign on for so long")


class WebhookOut(BaseModel):
    """A webhook, without its secrets."""

    id: int
    url: str
    channel: str | None = Field(description="Whose cases; null means every channel's")
    types: list[str]
    description: str
    status: Literal["active", "paused", "parked", "gone"] = Field(
        description="`parked`: every attempt of the schedule failed; `gone`: the receiver answered 410"
    )
    cursor: str = Field(description="Everything up to this event was delivered or not wanted")
    failures: int = Field(description="Failed attempts in a row")
    next_attempt_at: datetime | None
    last_success_at: datetime | None
    stopped_at: datetime | None
    created_at: datetime
    secrets: int = Field(description="How many secrets sign at present")


class NewWebhookOut(WebhookOut):
    """A webhook just made: the only time its secret is shown."""

    secret: str


class SecretOut(BaseModel):
    """A secret just made: the only time it is shown."""

    secret: str


class WebhooksOut(BaseModel):
    """All webhooks that the caller may see."""

    webhooks: list[WebhookOut]


class DeliveryOut(BaseModel):
    """One attempt."""

    id: int
    kind: Literal["event", "replay", "test"]
    type: str
    message_id: str | None = Field(
        description="The header `webhook-id`, the same for every attempt of an event; null before the first"
    )
    status: Literal["waiting", "delivered", "failed"]
    attempt: int
    http_status: int | None
    error: str | None
    duration_ms: int | None
    created_at: datetime
    finished_at: datetime | None


class DeliveriesOut(BaseModel):
    """A page of the log, newest first."""

    deliveries: list[DeliveryOut]
    next: int | None = Field(description="Give it as `before` for the next page; null on the last one")


class SkippedOut(BaseModel):
    """The event that was passed over; it can be replayed from the log."""

    skipped: str
