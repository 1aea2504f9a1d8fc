"""`gridward migrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api import migrations
from api.cli.context import open_database
from api.cli.speech import say, t


def migrate(
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help=t("cli.option.data_dir"))] = None,
) -> None:
    """Bring the schema up to date; nothing happens when it already is."""
    steps: list[str] = []
    with open_database(data_dir, migrate=True, tell=steps.append):
        key = "cli.migrate.done" if "migrate" in steps else "cli.migrate.current"
        say(t(key, revision=migrations.head()))
