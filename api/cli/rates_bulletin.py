"""`gridward bulletin`: the monthly bulletin as Word, Excel and PDF."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from api.audit.trail import Kind
from api.bulletin import FORMS, BulletinSource, read_bulletin, write_bulletin
from api.cli.context import engine_for_command
from api.cli.records import note
from api.cli.speech import language, say, t
from api.planning import keep_facts
from api.settings import Settings
from dispatch.freezing import parse_month
from dispatch.queries import load_reference
from geo.errors import BadInputError
from geo.storage.uow import read_unit
from maps.i18n import LOCALES, Locale

_USUAL: Final = "docx"


def bulletin(
    month: Annotated[str, typer.Argument(help=t("bulletin.cli.month"))],
    out: Annotated[Path, typer.Option("--out", help=t("bulletin.cli.out"))] = Path(),
    lang: Annotated[str | None, typer.Option("--lang", help=t("bulletin.cli.lang"))] = None,
) -> None:
    """Write the bulletin of a month; the ending of --out says which form, a folder gets all of them."""
    first, settings = parse_month(month), Settings()
    spoken: Locale = next((each for each in LOCALES if each == lang), language())
    if lang is not None and lang not in LOCALES:
        raise BadInputError("bulletin.unknown_language", lang=lang, known=", ".join(LOCALES))
    ending = out.suffix.lstrip(".").lower()
    if ending and ending not in FORMS and not out.is_dir():
        raise BadInputError("rates.unknown_form", form=ending, known=", ".join(FORMS))
    is_folder = out.is_dir() or not ending
    forms = tuple(FORMS) if is_folder else (ending,)

    async def run() -> dict[str, bytes]:
        async with engine_for_command() as engine:
            keeper = keep_facts(engine, settings)
            try:
                async with read_unit(engine, snapshot=True) as unit:
                    source = BulletinSource(
                        facts=keeper,
                        engine=engine,
                        reference=await load_reference(unit),
                        jurisdiction=settings.jurisdiction,
                    )
                    made, _ = await read_bulletin(unit, source, spoken, first)
                files = {form: await write_bulletin(spoken, made, form) for form in forms}
                await note(engine, Kind.EXPORTED, f"bulletin {month}", forms=list(forms))
                return files
            finally:
                await keeper.close()

    for form, body in asyncio.run(run()).items():
        target = out / f"gridward-bulletin-{first:%Y-%m}.{form}" if is_folder else out
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
        say(t("bulletin.cli.written", path=target, kib=f"{len(body) / 1024:,.0f}"))
