"""Administration pages of keys, webhooks and the audit trail, filled in as a browser without scripts does it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.people import NewGrant
from api.accounts.roles import Role
from api.app import create_app
from api.settings import Settings
from tests.admin_forms import open_page, send
from tests.builders import District, report
from tests.flow.conftest import Client
from tests.flow.webhook_receiver import LOOPBACK, OK, receiving, status, work
from tests.signing import browser, make_person, signed_in

HOSTILE = "</script><script>alert(1)</script>\"'<img src=x onerror=alert(1)>"


@pytest.fixture
async def app(district: District, database: str, engine: AsyncEngine) -> AsyncIterator[FastAPI]:
    await make_person(engine, "chen", NewGrant(role=Role.ADMINISTRATOR))
    await make_person(engine, "wang", NewGrant(role=Role.SHIFT_LEADER))
    app = create_app(Settings(database_url=database, webhook_networks=LOOPBACK))
    async with app.router.lifespan_context(app):
        yield app


async def test_a_key_is_made_shown_once_rotated_and_revoked(app: FastAPI) -> None:
    async with signed_in(app, "wang") as client:
        for path in ("/admin/keys", "/admin/webhooks", "/admin/audit"):
            await open_page(client, path, status=403)
    async with signed_in(app, "chen") as client, browser(app) as outside:
        answer, drawn = await send(client, "/admin/keys", "make", {"channel": "bad channel!", "rate": "soon"})
        assert (answer.status_code // 100, drawn.form("make").values["rate"]) == (4, ["soon"]), answer.text
        answer, drawn = await send(
            client, "/admin/keys", "make", {"channel": "hotline-9", "label": HOSTILE, "scopes": ["cases:read"]}
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        key = _once(answer.text)
        assert key.startswith("gw_")

        async def passes(text: str) -> int:
            return (await outside.get("/v1/cases", headers={"Authorization": f"Bearer {text}"})).status_code

        assert await passes(key) == 200
        page, prefix = "/admin/channels/hotline-9", key.split("_")[1]
        drawn = await open_page(client, page)
        assert key.split("_", 2)[2] not in drawn.text
        assert {"Revoke", "cases:read"} <= set(re.split(r"[ ,]+", drawn.text))
        answer, _ = await send(client, page, f"rotate-{prefix}")
        second = _once(answer.text)
        assert [await passes(key), await passes(second)] == [200, 200]
        answer, drawn = await send(client, page, f"rotate-{prefix}")
        assert answer.status_code == 409, "two keys live at most"
        answer, _ = await send(client, page, f"revoke-{prefix}")
        assert (answer.status_code, await passes(key), await passes(second)) == (303, 401, 200)
        drawn = await open_page(client, "/admin/audit?kind=key&actor=chen")
        assert [words in drawn.text for words in ("Key created", "Key rotated", "Key revoked", prefix)] == [True] * 4


def _once(text: str) -> str:
    found = re.search(r'<code id="once">([^<]+)</code>', text)
    assert found is not None, text[:3000]
    return found[1]


async def test_a_webhook_from_its_making_to_its_end(app: FastAPI, client: Client, engine: AsyncEngine) -> None:
    async with signed_in(app, "chen") as chen, receiving() as receiver:
        answer, drawn = await send(chen, "/admin/webhooks", "make", {"url": "https://10.0.0.1/x"})
        assert answer.status_code == 400
        assert drawn.form("make").values["url"] == ["https://10.0.0.1/x"]
        answer, drawn = await send(chen, "/admin/webhooks", "make", {"url": receiver.url, "description": HOSTILE})
        receiver.secrets = [_once(answer.text)]
        page = next(link for link in drawn.links if re.fullmatch(r"/admin/webhooks/\d+", link))
        receiver.answer = lambda message: status(503) if message["body"]["type"] != "webhook.test.v1" else OK
        assert (await client.post("/v1/reports", json=report())).status_code == 201
        answer, _ = await send(chen, page, "test")
        assert answer.headers["location"].endswith("done=webhook_test")
        await work(engine)
        assert all(receiver.verifies(message, receiver.secrets[0]) for message in receiver.got)
        drawn = await open_page(chen, f"{page}?status=failed")
        assert "503" in drawn.text
        assert "1 failures in a row" in drawn.text
        receiver.answer = lambda _: OK
        failed = next(form.act for form in drawn.forms if form.act.startswith("replay-"))
        await send(chen, page, failed)
        await send(chen, page, "skip")
        await work(engine)
        assert [message["body"]["type"] for message in receiver.got[-1:]] == ["case.dispatched.v1"]
        answer, _ = await send(chen, page, "secret")
        new = _once(answer.text)
        assert new != receiver.secrets[0]
        await send(chen, page, "pause")
        assert "Paused by hand" in (await open_page(chen, page)).text
        await send(chen, page, "resume")
        answer, _ = await send(chen, page, "remove")
        assert answer.headers["location"].startswith("/admin/webhooks?")
        await open_page(chen, page, status=404)


async def test_the_trail_is_searched_and_its_chain_checked(app: FastAPI) -> None:
    async with signed_in(app, "chen") as chen:
        for number in range(60):
            await chen.post("/v1/keys", json={"channel": f"c{number}", "scopes": ["cases:read"]})
        drawn = await open_page(chen, "/admin/audit?kind=key.created")
        further = next(link for link in drawn.links if "before=" in link)
        assert "Key created" in (await open_page(chen, f"/admin/audit{further}")).text
        assert "No record fits" in (await open_page(chen, "/admin/audit?subject=nobody")).text
        assert "No record fits" in (await open_page(chen, "/admin/audit?from=2099-01-01T00:00")).text
        await open_page(chen, "/admin/audit?from=nonsense&kind=%00")
        answer, _ = await send(chen, "/admin/audit", "check")
        head = (await chen.get("/v1/audit/head")).json()["head"]
        assert _once(answer.text) == head
        chinese = await chen.get("/admin/audit?lang=zh-CN", headers={"Accept": "text/html"})
        assert "密钥" in chinese.text
