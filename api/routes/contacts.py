"""How a person is told: mail address, WeCom id, language, media that they do not want."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict, Field

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import OfficeReading, OfficeWriting
from api.language import locale_of
from api.schemas import SoundText, problems
from api.spelling import Spelling
from dispatch.office_area import check_keeps_person
from geo.errors import NotFoundError
from geo.storage.uow import Unit
from maps.i18n import LOCALES, Locale

router = APIRouter(tags=["notices"])

#: What can stand in a mail's header and nothing else: one address, no display name, no line break.
_MAIL = r"^[^\s@<>\"(),:;\\\[\]]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$"


class ContactIn(BaseModel):
    """How a person is told."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"email": "wang@example.org"}]})

    email: Annotated[str, Field(max_length=254), Spelling(_MAIL, "wang@example.org")] | None = None
    wecom: Annotated[SoundText, Field(min_length=1, max_length=100)] | None = Field(None, description="WeCom user id")
    locale: Locale = Field(LOCALES[0], description="Language of notices")
    muted: Annotated[list[Literal["mail", "sms", "wecom"]], Field(max_length=3)] = Field(
        [], description="Media that this person does not want"
    )


class ContactOut(ContactIn):
    """How a person is told, with the phone that their record holds."""

    person: UUID
    name: str
    phone: str | None


@router.get(
    "/v1/people/{person}/contact",
    response_model=None,
    responses={200: {"model": ContactOut}, **problems(401, 403, 404, 422, 503)},
)
async def read_contact(
    request: Request, person: UUID, unit: OfficeReading, _: Annotated[Caller, Depends(require(Scope.POSTS_READ))]
) -> Response:
    """Read a person's addresses."""
    return json_answer(await _contact(unit, person), locale=locale_of(request))


@router.put(
    "/v1/people/{person}/contact",
    response_model=None,
    responses={200: {"model": ContactOut}, **problems(400, 401, 403, 404, 413, 422, 503)},
)
async def write_contact(
    request: Request,
    person: UUID,
    body: ContactIn,
    unit: OfficeWriting,
    _: Annotated[Caller, Depends(require(Scope.POSTS_WRITE, in_area=True))],
) -> Response:
    """Set a person's addresses, all of them at once."""
    await _contact(unit, person)
    await check_keeps_person(unit, person)
    driver = await unit.driver()
    await driver.execute(
        "INSERT INTO dispatch.person_contact (person_id, email, wecom, locale, muted)"
        " VALUES (%(person)s, %(email)s, %(wecom)s, %(locale)s, %(muted)s)"
        " ON CONFLICT (person_id) DO UPDATE SET email = excluded.email, wecom = excluded.wecom,"
        " locale = excluded.locale, muted = excluded.muted",
        {"person": person, **body.model_dump()},
    )
    return json_answer(await _contact(unit, person), locale=locale_of(request))


async def _contact(unit: Unit, person: UUID) -> dict[str, Any]:
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT p.id::text AS person, p.name, p.phone, c.email, c.wecom, coalesce(c.locale, 'zh-CN') AS locale,"
            " coalesce(c.muted, '{}') AS muted FROM dispatch.person AS p"
            " LEFT JOIN dispatch.person_contact AS c ON c.person_id = p.id WHERE p.id = %s",
            (person,),
        )
        row = await cursor.fetchone()
    if row is None:
        raise NotFoundError("notice.unknown_person", person=str(person))
    return row
