"""Notices really arrive: mail on a real SMTP server, SMS and WeCom at a gateway that checks signatures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr, ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.notifying.texts import render
from api.notifying.wiring import notifiers_of
from api.settings import Settings
from api.webhooks.signing import make_secret
from dispatch.notices import NOTICES, Contact, LogNotifier, Message, NoticeLane, relay
from geo.storage.uow import write_unit
from maps.i18n import catalogue
from tests.builders import EAST, WEST, person_id, report
from tests.flow.conftest import Client
from tests.flow.test_workflow_moves import moved, new_case
from tests.flow.webhook_receiver import LOOPBACK, receiving

HEAD = person_id(f"A-{WEST}001")


class Postbox:
    """What the mail server took; ``refusal`` is what it says instead."""

    def __init__(self) -> None:
        self.got: list[tuple[list[str], EmailMessage]] = []
        self.refusal = ""
        self.port = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.refusal:
            return self.refusal
        content = envelope.content
        assert isinstance(content, bytes)
        letter = message_from_bytes(content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.got.append((envelope.rcpt_tos, letter))
        return "250 OK"


@asynccontextmanager
async def mail_server() -> AsyncIterator[Postbox]:
    box = Postbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box, enable_SMTPUTF8=True), "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()


async def contact(engine: AsyncEngine, **columns: Any) -> None:
    names = ", ".join(columns)
    values = ", ".join(f":{name}" for name in columns)
    async with engine.begin() as connection:
        await connection.execute(
            text(f"INSERT INTO dispatch.person_contact (person_id, {names}) VALUES (:person, {values})"),
            {"person": HEAD, **columns},
        )


async def deliver(engine: AsyncEngine, settings: Settings, *, most: int = 8) -> list[tuple[str, str, str | None]]:
    """Relay and send once; return medium, state and error of every notice."""
    notifiers = notifiers_of(settings)
    async with write_unit(engine) as unit:
        await relay(unit, notifiers, batch=50, most_attempts=8)
    await NoticeLane(engine=engine, notifiers=notifiers, most_attempts=most).run_once(asyncio.Event())
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT medium, state, last_error FROM dispatch.notification ORDER BY medium")
        )
        return [(row.medium, row.state, row.last_error) for row in rows]


async def test_a_mail_arrives_in_the_heads_language(client: Client, engine: AsyncEngine) -> None:
    await contact(engine, email="head@example.org", locale="en")
    case = (await client.post("/v1/reports", json=report())).json()["case"]
    async with mail_server() as box:
        settings = Settings(smtp_url=SecretStr(f"smtp://127.0.0.1:{box.port}"), smtp_from="Gridward <desk@example.org>")
        assert await deliver(engine, settings) == [("log", "sent", None), ("mail", "sent", None)]
    [(to, letter)] = box.got
    assert to == ["head@example.org"]
    assert letter["From"] == "Gridward <desk@example.org>"
    assert letter["Subject"] == f"Gridward: case {case}, Exposed rubbish"
    assert letter["Message-ID"].startswith("<notice-")
    body = letter.get_content()
    assert f"Case {case} (Exposed rubbish) is yours" in body
    assert "2026" in body


async def test_a_mail_in_chinese_is_readable(client: Client, engine: AsyncEngine) -> None:
    await contact(engine, email="head@example.org")
    await client.post("/v1/reports", json=report(address="锦绣小区 3 号楼"))
    async with mail_server() as box:
        settings = Settings(smtp_url=SecretStr(f"smtp://127.0.0.1:{box.port}"), smtp_from="desk@example.org")
        await deliver(engine, settings)
    letter = box.got[0][1]
    assert "网格守望" in letter["Subject"]
    assert "锦绣小区 3 号楼" in letter.get_content()


async def test_a_server_that_refuses_is_tried_again_and_then_parked_until_somebody_retries(
    client: Client, engine: AsyncEngine
) -> None:
    await contact(engine, email="head@example.org")
    await client.post("/v1/reports", json=report())
    async with mail_server() as box:
        box.refusal = "451 come back later"
        settings = Settings(smtp_url=SecretStr(f"smtp://127.0.0.1:{box.port}"), smtp_from="desk@example.org")
        _, (medium, state, error) = await deliver(engine, settings, most=1)
        assert (medium, state) == ("mail", "parked")
        assert "451" in (error or "")
        parked = (await client.get("/v1/worker/parked")).json()["parked"]
        assert [(row["kind"], row["medium"]) for row in parked] == [("notice", "mail")]
        box.refusal = ""
        answer = await client.post(parked[0]["retry_url"])
        assert (answer.status_code, answer.json()) == (200, {"retried": 1})
        assert ("mail", "sent", None) in await deliver(engine, settings)
    assert len(box.got) == 1


async def test_sms_and_wecom_are_signed_webhooks(client: Client, engine: AsyncEngine) -> None:
    await contact(engine, wecom="wang", locale="en")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dispatch.person SET phone = '13812341234'"))
    case = (await client.post("/v1/reports", json=report())).json()["case"]
    secret = make_secret()
    async with receiving() as gateway:
        settings = Settings(
            sms_url=gateway.url, sms_secret=SecretStr(secret), wecom_url=gateway.url, wecom_secret=SecretStr(secret),
            webhook_networks=LOOPBACK,
        )  # fmt: skip
        assert [row[:2] for row in await deliver(engine, settings)] == [
            ("log", "sent"), ("sms", "sent"), ("wecom", "sent"),
        ]  # fmt: skip
    by_type = {message["body"]["type"]: message for message in gateway.got}
    assert set(by_type) == {"notice.sms.v1", "notice.wecom.v1"}
    assert all(gateway.verifies(message, secret) for message in gateway.got)
    said = by_type["notice.sms.v1"]["body"]["data"]
    assert said["to"]["address"] == "13812341234"
    assert by_type["notice.wecom.v1"]["body"]["data"]["to"]["address"] == "wang"
    assert said["case"] == case
    assert said["text"].startswith(f"Case {case} (Exposed rubbish) is yours")


async def test_a_gateway_in_a_forbidden_network_is_never_reached(client: Client, engine: AsyncEngine) -> None:
    await contact(engine, wecom="wang")
    await client.post("/v1/reports", json=report())
    async with receiving() as gateway:
        settings = Settings(wecom_url=gateway.url, wecom_secret=SecretStr(make_secret()))
        _, (_, state, error) = await deliver(engine, settings)
    assert state == "waiting"
    assert error is not None
    assert gateway.got == []


async def test_without_an_address_it_is_said_at_once_and_a_muted_medium_is_left_alone(
    client: Client, engine: AsyncEngine
) -> None:
    await client.post("/v1/reports", json=report())
    async with receiving() as gateway:
        settings = Settings(wecom_url=gateway.url, wecom_secret=SecretStr(make_secret()), webhook_networks=LOOPBACK)
        assert ("wecom", "unreachable", "no_address") in await deliver(engine, settings)
        await contact(engine, wecom="wang", muted=["wecom"])
        await client.post("/v1/reports", json=report(ticket="T-2"))
        assert [row[0] for row in await deliver(engine, settings)] == ["log", "log", "wecom"]
        assert gateway.got == []


async def test_a_dead_workers_notice_is_sent_by_the_next_one(client: Client, engine: AsyncEngine) -> None:
    """Leased, and nobody came back: the lease runs out."""
    await client.post("/v1/reports", json=report())
    settings = Settings()
    notifiers = notifiers_of(settings)
    async with write_unit(engine) as unit:
        await relay(unit, notifiers, batch=50, most_attempts=8)

    class Dead:
        medium = "log"

        async def send(self, message: Message) -> None:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await NoticeLane(engine=engine, notifiers=(Dead(),)).run_once(asyncio.Event())
    assert [row[1] for row in await deliver(engine, settings)] == ["waiting"]
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dispatch.notification SET next_attempt_at = now()"))
    assert [row[1] for row in await deliver(engine, settings)] == ["sent"]


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
@pytest.mark.parametrize("kind", NOTICES)
def test_every_notice_has_its_words(kind: str, locale: str) -> None:
    assert f"notice.{kind}" in catalogue(locale)  # type: ignore[arg-type]
    message = Message(
        person_id=HEAD, key=f"notice.{kind}", params={"case": "20260301-1"}, contact=Contact(locale=locale, name="王")
    )
    notice = render(message)
    assert "20260301-1" in notice.text
    assert "{" not in notice.subject + notice.text + notice.body


@pytest.mark.parametrize(
    "said",
    [
        {"smtp_url": "http://mail.example"},
        {"smtp_url": "mail.example"},
        {"sms_secret": "secret"},
        {"sms_url": "https://sms.example/"},
    ],
)
def test_settings_that_cannot_work_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**said)


async def test_a_leader_hears_of_a_suspension_that_waits_for_them(client: Client, engine: AsyncEngine) -> None:
    """Endorsed by the desk it waits for the leader: a post of one, and where none is set up the level-1 head."""
    until = (datetime.now(UTC) + timedelta(days=10)).isoformat()
    asked = ("request_suspend", {"reason": "等配件", "until": until})
    told = {}
    for place in ("head", "leader"):
        if place == "leader":
            async with engine.begin() as connection:
                await connection.execute(
                    text(
                        "INSERT INTO dispatch.post (jurisdiction, kind, cell_code, title_zh, title_en, valid_from)"
                        " VALUES ('410100', 'leader', :cell, '分管领导', 'Leader', '2020-01-01Z')"
                    ),
                    {"cell": WEST[:9]},
                )
                await connection.execute(
                    text(
                        "INSERT INTO dispatch.appointment (post_id, person_id, valid_from)"
                        " SELECT max(id), :person, '2020-01-01Z' FROM dispatch.post"
                    ),
                    {"person": person_id(f"A-{EAST}")},
                )
        case = await moved(client, await new_case(client, ticket=place), "acknowledge", asked, "endorse_suspend")
        async with write_unit(engine) as unit:
            await relay(unit, [LogNotifier()], batch=50, most_attempts=3)
        async with engine.connect() as connection:
            rows = await connection.execute(
                text(
                    "SELECT n.person_id, n.body_key, n.params FROM dispatch.notification AS n"
                    " JOIN dispatch.case_event AS e ON e.id = n.event_id JOIN dispatch.dispatch_case AS c"
                    " ON c.id = e.case_id WHERE c.ref = :ref AND e.type = 'case.suspension_endorsed.v1'"
                ),
                {"ref": case["case"]},
            )
            ((person, key, params),) = rows.all()
        told[place] = person
        message = Message(person_id=person, key=key, params=params)
        assert "等您审批" in render(message).text
    assert told == {"head": person_id(f"A-{WEST[:9]}"), "leader": person_id(f"A-{EAST}")}
