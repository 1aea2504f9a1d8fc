"""`gridward reporters`: what somebody who asks for it has reported, and forgetting who it was."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from api.audit.trail import Kind, record
from api.cli.context import engine_for_command
from api.cli.speech import fail, say, t
from api.identity_key import IdentityVault
from api.settings import Settings
from dispatch.reporters import Reporter
from dispatch.storage.reporters import forget_identities, list_with_contact
from geo.errors import BadInputError
from geo.storage.uow import Unit, write_unit

app = typer.Typer(no_args_is_help=True)
Phone = Annotated[str, typer.Option("--phone", help=t("reporter.cli.phone"))]
Email = Annotated[str, typer.Option("--email", help=t("reporter.cli.email"))]
Case = Annotated[list[str] | None, typer.Option("--case", help=t("reporter.cli.case"))]


async def _find(unit: Unit, phone: str, email: str, cases: list[str]) -> list[tuple[UUID, str]]:
    found: list[tuple[UUID, str]] = []
    keys = IdentityVault(Settings()).keys
    for contact in (Reporter(phone=phone), Reporter(email=email)):
        key = keys.contact_key(contact)
        if key is not None:
            found += await list_with_contact(unit, key)
    driver = await unit.driver()
    rows = await driver.execute("SELECT id, ref FROM dispatch.dispatch_case WHERE ref = ANY (%s)", (cases,))
    named = [(row[0], row[1]) for row in await rows.fetchall()]
    missing = sorted(set(cases) - {ref for _, ref in named})
    if missing:
        raise BadInputError("dispatch.case_not_found", case=missing[0][:80])
    return list(dict.fromkeys([*found, *named]))


@app.command("erase", help=t("reporter.cli.erase"))
def erase(
    phone: Phone = "",
    email: Email = "",
    case: Case = None,
    yes: Annotated[bool, typer.Option("--yes", help=t("reporter.cli.yes"))] = False,
) -> None:
    """Forget who reported; the cases stay. Without --yes only list them."""
    if not (phone or email or case):
        fail(t("reporter.cli.whom"))

    async def run() -> tuple[list[str], int]:
        async with engine_for_command() as engine, write_unit(engine) as unit:
            found = await _find(unit, phone, email, case or [])
            if not yes:
                return [ref for _, ref in found], -1
            forgotten = await forget_identities(unit, [one for one, _ in found], "asked")
            for _, ref in found:
                await record(unit, Kind.REPORTER_ERASED, ref)
            return [ref for _, ref in found], forgotten

    refs, forgotten = asyncio.run(run())
    for ref in refs:
        typer.echo(ref)
    say(t("reporter.cli.found", count=len(refs)) if forgotten < 0 else t("reporter.cli.erased", count=forgotten))
