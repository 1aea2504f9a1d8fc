"""Webhooks: make, change, rotate, look into the log, replay, test."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Reading, Wired, Writing
from api.language import locale_of
from api.rendering import instant
from api.schemas import problems
from api.webhook_schemas import (
    DeliveriesOut,
    DeliveryOut,
    NewWebhookOut,
    SecretIn,
    SecretOut,
    SkippedOut,
    WebhookChangeIn,
    WebhookIn,
    WebhookOut,
    WebhooksOut,
)
from api.webhooks import store
from api.webhooks.addresses import parse_networks
from api.webhooks.messages import TEST_TYPE
from api.webhooks.targets import parse_target
from dispatch.feed import Cursor, feed_end, parse_cursor
from geo.errors import BadInputError, ConflictError, ForbiddenError

router = APIRouter(tags=["webhooks"])

MOST_DELIVERIES = 200
Manager = Annotated[Caller, Depends(require(Scope.WEBHOOKS_MANAGE, in_area=True))]
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
_COMMON = problems(401, 403, 404, 422, 503)


def holder_of(caller: Caller) -> store.Holder:
    """Which webhooks are a caller's; who has an area makes webhooks of that area."""
    areas = () if caller.office.is_everything else caller.office.areas
    return store.Holder(
        channel=caller.sees_channel,
        office=caller.office.office_words(),
        cells=tuple(sorted({area.cell for area in areas if area.cell is not None})),
        departments=tuple(sorted({area.department for area in areas if area.department is not None})),
    )


def webhook_json(row: dict[str, Any]) -> dict[str, Any]:
    """A webhook as its owner sees it."""
    kept = {name: row[name] for name in ("id", "url", "channel", "types", "description", "failures", "secrets")}
    instants = ("next_attempt_at", "last_success_at", "stopped_at", "created_at")
    return {
        **kept,
        "status": row["state"],
        "cursor": str(Cursor(row["cursor_txid"], row["cursor_event"])),
        **{name: instant(row[name]) for name in instants},
    }


def delivery_json(row: dict[str, Any]) -> dict[str, Any]:
    """One entry of the log."""
    return {
        **{name: row[name] for name in ("id", "kind", "type", "attempt", "error", "duration_ms")},
        "message_id": row["message_id"] or None,
        "status": row["state"],
        "http_status": row["status"],
        "created_at": instant(row["created_at"]),
        "finished_at": instant(row["finished_at"]),
    }


@router.post(
    "/v1/webhooks",
    status_code=201,
    response_model=None,
    responses={201: {"model": NewWebhookOut}, **problems(400, 401, 403, 413, 422, 503)},
)
async def create_webhook(
    request: Request, body: WebhookIn, unit: Writing, container: Wired, caller: Manager
) -> Response:
    """Make a webhook. The answer shows its secret, once. The webhook outlives the key that made it."""
    channel = body.channel
    if any(area.cell and area.department for area in caller.office.areas):
        raise ForbiddenError("access.area_of_both")
    if caller.sees_channel is not None:
        if channel is not None and channel != caller.sees_channel:
            raise BadInputError("dispatch.other_channel", pointer="/channel", channel=channel)
        channel = caller.sees_channel
    elif channel is not None and not await store.has_channel(unit, channel):
        raise BadInputError("webhook.unknown_channel", pointer="/channel", channel=channel)
    parse_target(body.url, parse_networks(container.settings.webhook_networks))
    end = await feed_end(unit)
    after = parse_cursor(body.after) if body.after is not None else end
    if after > end:
        raise BadInputError("dispatch.cursor_ahead", pointer="/after", cursor=str(after))
    webhook_id, secret = await store.create_webhook(
        unit,
        url=body.url,
        channel=channel,
        types=body.types,
        description=body.description,
        after=after,
        secret=body.secret,
        cells=holder_of(caller).cells,
        departments=holder_of(caller).departments,
    )
    row = await store.get_webhook(unit, webhook_id)
    answer = {**webhook_json(row), "secret": secret}
    headers = {"Location": f"/v1/webhooks/{webhook_id}", "Cache_Control": "no-store"}
    return json_answer(answer, status=201, locale=locale_of(request), **headers)


@router.get("/v1/webhooks", response_model=None, responses={200: {"model": WebhooksOut}, **problems(401, 403, 503)})
async def read_webhooks(request: Request, unit: Reading, caller: Manager) -> Response:
    """List webhooks: a channel's key sees its channel's, a key with `cases:read_all` sees all."""
    rows = await store.list_webhooks(unit, holder_of(caller))
    return json_answer({"webhooks": [webhook_json(row) for row in rows]}, locale=locale_of(request))


@router.get("/v1/webhooks/{webhook_id}", response_model=None, responses={200: {"model": WebhookOut}, **_COMMON})
async def read_webhook(request: Request, webhook_id: Id, unit: Reading, caller: Manager) -> Response:
    """Read one webhook: its state, its place in the feed, and when it is tried again."""
    row = await store.get_webhook(unit, webhook_id, holder_of(caller))
    return json_answer(webhook_json(row), locale=locale_of(request))


@router.patch(
    "/v1/webhooks/{webhook_id}",
    response_model=None,
    responses={200: {"model": WebhookOut}, **problems(400, 413), **_COMMON},
)
async def change_webhook(
    request: Request, webhook_id: Id, body: WebhookChangeIn, unit: Writing, container: Wired, caller: Manager
) -> Response:
    """Change a webhook, pause it, or take it up again. While it is paused nothing is lost: it keeps its place."""
    await store.get_webhook(unit, webhook_id, holder_of(caller))
    if body.url is not None:
        parse_target(body.url, parse_networks(container.settings.webhook_networks))
    changes = body.model_dump(exclude_none=True)
    if "status" in changes:
        changes["state"] = changes.pop("status")
    await store.change_webhook(unit, webhook_id, changes)
    row = await store.get_webhook(unit, webhook_id, holder_of(caller))
    return json_answer(webhook_json(row), locale=locale_of(request))


@router.delete(
    "/v1/webhooks/{webhook_id}",
    status_code=204,
    response_model=None,
    responses={204: {"description": "Gone"}, **_COMMON},
)
async def delete_webhook(webhook_id: Id, unit: Writing, caller: Manager) -> Response:
    """Remove a webhook with its secrets and its log."""
    await store.get_webhook(unit, webhook_id, holder_of(caller))
    await store.delete_webhook(unit, webhook_id)
    return Response(status_code=204)


@router.post(
    "/v1/webhooks/{webhook_id}/secrets",
    status_code=201,
    response_model=None,
    responses={201: {"model": SecretOut}, **problems(400, 409, 413), **_COMMON},
)
async def add_secret(
    request: Request, webhook_id: Id, unit: Writing, caller: Manager, body: SecretIn | None = None
) -> Response:
    """Rotate: from now on a further secret signs; the old ones sign beside it for a while and then end."""
    await store.get_webhook(unit, webhook_id, holder_of(caller))
    asked = body or SecretIn()
    secret = await store.add_secret(unit, webhook_id, secret=asked.secret, overlap_s=asked.old_valid_s)
    return json_answer({"secret": secret}, status=201, locale=locale_of(request), Cache_Control="no-store")


@router.get(
    "/v1/webhooks/{webhook_id}/deliveries", response_model=None, responses={200: {"model": DeliveriesOut}, **_COMMON}
)
async def read_deliveries(
    request: Request,
    webhook_id: Id,
    unit: Reading,
    caller: Manager,
    limit: Annotated[int, Query(ge=1, le=MOST_DELIVERIES)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next` of the page before")] = None,
    status: Annotated[Literal["waiting", "delivered", "failed"] | None, Query(description="Only these")] = None,
) -> Response:
    """Read the log of attempts, newest first."""
    await store.get_webhook(unit, webhook_id, holder_of(caller))
    rows = await store.list_deliveries(unit, webhook_id, limit=limit, before=before, state=status)
    body = {
        "deliveries": [delivery_json(row) for row in rows],
        "next": rows[-1]["id"] if len(rows) == limit else None,
    }
    return json_answer(body, locale=locale_of(request))


@router.post(
    "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}:replay",
    status_code=202,
    response_model=None,
    responses={202: {"model": DeliveryOut}, **problems(409), **_COMMON},
)
async def replay_delivery(
    request: Request, webhook_id: Id, delivery_id: Id, unit: Writing, caller: Manager
) -> Response:
    """Send an event once more, under the same `webhook-id`; the result appears in the log."""
    await store.get_webhook(unit, webhook_id, holder_of(caller))
    found = await store.get_delivery(unit, webhook_id, delivery_id)
    if found["event_id"] is None:
        raise ConflictError("webhook.no_event", delivery=delivery_id)
    return await _asked(request, unit, webhook_id, kind="replay", type_=found["type"], event_id=found["event_id"])


@router.post(
    "/v1/webhooks/{webhook_id}:test",
    status_code=202,
    response_model=None,
    responses={202: {"model": DeliveryOut}, **_COMMON},
)
async def test_webhook(request: Request, webhook_id: Id, unit: Writing, caller: Manager) -> Response:
    """Send a `webhook.test.v1`, whatever the webhook's state; the result appears in the log."""
    await store.get_webhook(unit, webhook_id, holder_of(caller))
    return await _asked(request, unit, webhook_id, kind="test", type_=TEST_TYPE, event_id=None)


@router.post(
    "/v1/webhooks/{webhook_id}:skip",
    response_model=None,
    responses={200: {"model": SkippedOut}, **problems(409), **_COMMON},
)
async def skip_event(request: Request, webhook_id: Id, unit: Writing, caller: Manager) -> Response:
    """Go on behind the event that keeps failing. It stays in the log and can be replayed."""
    await store.get_webhook(unit, webhook_id, holder_of(caller))
    return json_answer({"skipped": await store.skip_blocked(unit, webhook_id)}, locale=locale_of(request))


async def _asked(
    request: Request, unit: Writing, webhook_id: int, *, kind: str, type_: str, event_id: int | None
) -> Response:
    number = await store.queue_by_hand(unit, webhook_id, kind=kind, type_=type_, event_id=event_id)
    row = await store.get_delivery(unit, webhook_id, number)
    return json_answer(delivery_json(row), status=202, locale=locale_of(request))
