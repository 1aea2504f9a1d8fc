"""`gridward people`: the first administrator, and everything about accounts that must work without a browser."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from api.accounts.passwords import make_password
from api.accounts.people import (
    NewGrant,
    add_grant,
    add_person,
    end_grant,
    get_person,
    list_people,
    parse_role,
    set_disabled,
    set_password,
)
from api.accounts.second_factor import drop_totp
from api.accounts.sessions import end_sessions
from api.cli.context import engine_for_command
from api.cli.speech import say, t
from api.settings import Settings
from geo.errors import BadInputError
from geo.storage.uow import WriteUnit, write_unit

app = typer.Typer(no_args_is_help=True)

Login = Annotated[str, typer.Argument(help=t("people.help.login"))]
Role = Annotated[list[str] | None, typer.Option("--role", help=t("people.help.role"))]
Cell = Annotated[str | None, typer.Option("--cell", help=t("people.help.cell"))]
Department = Annotated[str | None, typer.Option("--department", help=t("people.help.department"))]
Since = Annotated[str | None, typer.Option("--from", help=t("people.help.from"))]
Until = Annotated[str | None, typer.Option("--until", help=t("people.help.until"))]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help=t("people.help.password_stdin"))]


def _in_unit(work: Callable[[WriteUnit], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with engine_for_command() as engine, write_unit(engine) as unit:
            return await work(unit)

    return asyncio.run(run())


def _instant(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError("request.not_a_time", pointer=f"/{name}", field=f"--{name}") from None
    # A day or a wall-clock time without a zone is meant as on this office's wall.
    return at.astimezone() if at.tzinfo is None else at


def _grants(
    roles: list[str] | None, cell: str | None, department: str | None, since: str | None, until: str | None
) -> list[NewGrant]:
    return [
        NewGrant(
            role=parse_role(role),
            cell=cell,
            department=department,
            valid_from=_instant(since, "from"),
            valid_until=_instant(until, "until"),
        )
        for role in roles or []
    ]


def _password(from_stdin: bool) -> tuple[str, bool]:
    """The password, and whether it is one that we made and must be changed."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n"), False
    return make_password(), True


@app.command("add", help=t("people.help.add"))
def add(
    login: Login,
    name: Annotated[str, typer.Option("--name", help=t("people.help.name"))] = "",
    role: Role = None,
    cell: Cell = None,
    department: Department = None,
    since: Since = None,
    until: Until = None,
    password_stdin: FromStdin = False,
    no_password: Annotated[bool, typer.Option("--no-password", help=t("people.help.no_password"))] = False,
) -> None:
    """Make an account; without a password of yours print a made one, once."""
    grants = _grants(role, cell, department, since, until)
    password, made = (None, False) if no_password else _password(password_stdin)
    jurisdiction = Settings().jurisdiction

    async def work(unit: WriteUnit) -> None:
        account = await add_person(
            unit, jurisdiction=jurisdiction, login=login, name=name, password=password, must_change=made
        )
        for grant in grants:
            await add_grant(unit, account, grant, jurisdiction=jurisdiction, by="cli")

    _in_unit(work)
    say(t("people.added", login=login), to_error=True)
    if made:
        say(t("people.password_once"), to_error=True)
        typer.echo(password)


@app.command("grant", help=t("people.help.grant"))
def grant_role(
    login: Login,
    role: Role = None,
    cell: Cell = None,
    department: Department = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Give roles to somebody who has an account."""
    grants = _grants(role, cell, department, since, until)
    jurisdiction = Settings().jurisdiction

    async def work(unit: WriteUnit) -> None:
        person = await get_person(unit, login)
        for grant in grants:
            await add_grant(unit, person["id"], grant, jurisdiction=jurisdiction, by="cli")

    _in_unit(work)


@app.command("revoke", help=t("people.help.revoke"))
def revoke(login: Login, grant: Annotated[int, typer.Argument(help=t("people.help.grant_number"))]) -> None:
    """Take a role back, at once."""

    async def work(unit: WriteUnit) -> None:
        await end_grant(unit, (await get_person(unit, login))["id"], grant)

    _in_unit(work)


@app.command("list", help=t("people.help.list"))
def show() -> None:
    """List accounts with their roles."""
    table = Table(box=None, pad_edge=False)
    for column in ("login", "name", "roles", "state"):
        table.add_column(t(f"people.column.{column}"), overflow="fold")
    for person in _in_unit(list_people):
        roles = [
            f"{grant['id']}: {t('role.' + grant['role'])}"
            + "".join(f" · {grant[area]}" for area in ("cell", "department") if grant[area])
            + (f" → {grant['valid_until'][:10]}" if grant["valid_until"] else "")
            for grant in person["grants"]
        ]
        state = t("people.state.disabled") if person["disabled_at"] else t("people.state.demo") * person["is_demo"]
        table.add_row(person["login"], person["name"], "\n".join(roles), state)
    Console(soft_wrap=False).print(table)


@app.command("password", help=t("people.help.password"))
def password(login: Login, password_stdin: FromStdin = False) -> None:
    """Set a new password; without one of yours print a made one, once. All sessions end."""
    chosen, made = _password(password_stdin)

    async def work(unit: WriteUnit) -> None:
        person = await get_person(unit, login)
        await set_password(unit, person["id"], person["login"], chosen, must_change=made)

    _in_unit(work)
    if made:
        say(t("people.password_once"), to_error=True)
        typer.echo(chosen)


@app.command("sign-out", help=t("people.help.sign_out"))
def sign_out(login: Login) -> None:
    """End all sessions of somebody."""

    async def work(unit: WriteUnit) -> int:
        return await end_sessions(unit, account=(await get_person(unit, login))["id"])

    say(t("people.sessions_ended", count=_in_unit(work)))


@app.command("disable", help=t("people.help.disable"))
def disable(login: Login) -> None:
    """Close an account; what was done with it stays."""
    _set_disabled(login, disabled=True)


@app.command("enable", help=t("people.help.enable"))
def enable(login: Login) -> None:
    """Open a closed account again."""
    _set_disabled(login, disabled=False)


def _set_disabled(login: str, *, disabled: bool) -> None:
    async def work(unit: WriteUnit) -> None:
        await set_disabled(unit, (await get_person(unit, login))["id"], disabled=disabled)

    _in_unit(work)


@app.command("drop-second-factor", help=t("people.help.drop_second_factor"))
def drop_second_factor(login: Login) -> None:
    """Switch the second factor off for somebody who has lost phone and codes."""

    async def work(unit: WriteUnit) -> None:
        await drop_totp(unit, (await get_person(unit, login))["id"])

    _in_unit(work)
