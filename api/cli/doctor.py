"""`gridward doctor`: what is found, what is missing, how to mend it. Changes nothing and starts nothing."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from api.cli.data_dir import NEEDED_TO_RUN, read_state, resolve_data_dir
from api.cli.speech import say, sentence, t
from api.settings import Settings
from geo.errors import GridwardError

_PACKAGES: Final = ("fastapi", "uvicorn", "psycopg", "sqlalchemy", "alembic", "shapely", "pyproj", "folium", "numpy")
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the answer; ``mend`` is empty when all is well."""

    subject: str
    found: str
    mend: str = ""
    needed: bool = True


def doctor(
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help=t("cli.option.data_dir"))] = None,
) -> None:
    """Look at everything Gridward needs on this machine; exit 1 when something needed is missing."""
    place = resolve_data_dir(data_dir)
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _postgres,
        lambda: _directory(place),
        lambda: _database(place),
        _browser_files,
        _port,
        _test_tools,
    )
    broken = False
    for check in checks:
        for finding in check():
            mark = "✓" if not finding.mend else "✗" if finding.needed else "–"
            say(f" {mark} {t(f'cli.doctor.{finding.subject}')}: {finding.found}")
            if finding.mend:
                say(f"     → {finding.mend}")
                broken = broken or finding.needed
    say(t("cli.doctor.broken") if broken else t("cli.doctor.well"))
    if broken:
        raise typer.Exit(1)


def _python() -> Iterator[Finding]:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(
        subject="python",
        found=f"{version} ({sys.prefix})",
        mend=t("cli.doctor.mend_packages", missing=", ".join(missing)) if missing else "",
    )


def _postgres() -> Iterator[Finding]:
    from geo.storage.postgres import find_postgres, server_identity

    if Settings().database_url:
        return
    try:
        found = str(find_postgres())
        server_identity()
    except GridwardError as error:
        yield Finding(subject="postgres", found="–", mend=sentence(error))
        return
    yield Finding(subject="postgres", found=found)


def _directory(place: Path) -> Iterator[Finding]:
    if Settings().database_url:
        return
    existing = place
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(subject="data_dir", found=str(place), mend=t("cli.doctor.mend_writable", directory=existing))
        return
    free_mb = shutil.disk_usage(existing).free // 1024**2
    mend = t("cli.doctor.mend_space", needed_mb=NEEDED_TO_RUN) if free_mb < NEEDED_TO_RUN else ""
    try:
        state = read_state(place)
    except GridwardError as error:
        yield Finding(subject="data_dir", found=str(place), mend=sentence(error))
        return
    made = t("cli.doctor.not_yet") if state is None else f"gridward {state.version}, schema {state.schema}"
    yield Finding(
        subject="data_dir", found=t("cli.doctor.room", directory=place, free_mb=free_mb, made=made), mend=mend
    )


def _database(place: Path) -> Iterator[Finding]:
    import psycopg

    from api import migrations
    from api.cli.context import DATABASE, cluster_of
    from geo.storage.durability import check_durability
    from geo.storage.engine import dsn

    url = Settings().database_url
    if not url:
        cluster = cluster_of(place)
        if not cluster.is_running:
            yield Finding(subject="database", found=t("cli.doctor.stopped"))
            return
        url = cluster.url(DATABASE)
    try:
        with psycopg.connect(dsn(url), connect_timeout=5) as connection:
            check_durability(connection)
            row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'postgis'").fetchone()
            version = connection.info.server_version // 10000
        found = migrations.current(url)
    except psycopg.Error as error:
        yield Finding(subject="database", found="–", mend=str(error).strip().splitlines()[-1])
        return
    except GridwardError as error:
        yield Finding(subject="database", found="–", mend=sentence(error))
        return
    postgis = row[0] if row else "–"
    yield Finding(
        subject="database",
        found=f"PostgreSQL {version}, PostGIS {postgis}, schema {found or '–'}",
        mend="" if found == migrations.head() else t("cli.doctor.mend_schema", needed=migrations.head()),
    )


def _browser_files() -> Iterator[Finding]:
    from maps.vendor import list_faults, load_manifest

    files = load_manifest()
    faults = list_faults(files)
    yield Finding(
        subject="browser_files",
        found=f"{len(files) - len(faults)}/{len(files)}",
        mend=t("cli.doctor.mend_browser_files", faults=", ".join(map(str, faults[:3]))) if faults else "",
    )


def _port() -> Iterator[Finding]:
    from api.cli.supervising import ProcessError, base_url, check_port, local_address

    settings = Settings()
    address = base_url(settings.host, settings.port)
    try:
        check_port(settings.host, settings.port)
    except ProcessError as error:
        answers = False
        with socket.socket(socket.AF_INET6 if ":" in local_address(settings.host) else socket.AF_INET) as probe:
            probe.settimeout(1)
            answers = probe.connect_ex((local_address(settings.host), settings.port)) == 0
        found = t("cli.doctor.port_answers", url=address) if answers else address
        yield Finding(subject="port", found=found, mend=sentence(error), needed=False)
        return
    yield Finding(subject="port", found=t("cli.doctor.port_free", url=address))


def _test_tools() -> Iterator[Finding]:
    browser = next((path for path in map(shutil.which, _BROWSERS) if path), None)
    fonts = any(Path("/usr/share/fonts").glob("*/noto/NotoSansCJK-Regular.*"))
    tools = find_spec("pytest") is not None
    ready = bool(browser and fonts and tools)
    yield Finding(
        subject="tests",
        found=browser or "–",
        mend="" if ready else t("cli.doctor.mend_tests"),
        needed=False,
    )
