"""`gridward webhooks` on the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from api.cli import webhooks
from geo.errors import BadInputError
from geo.storage.engine import create_engine


@pytest.fixture
def run(database: str, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    @asynccontextmanager
    async def engine() -> AsyncIterator[AsyncEngine]:
        made = create_engine(database, name="test")
        try:
            yield made
        finally:
            await made.dispose()

    monkeypatch.setattr(webhooks, "engine_for_command", engine)
    monkeypatch.setattr(webhooks, "_WAIT_S", 0.5)
    return CliRunner()


def test_a_webhook_is_made_listed_and_waits_for_a_worker(run: CliRunner) -> None:
    empty = run.invoke(webhooks.app, ["list"])
    made = run.invoke(webhooks.app, ["create", "https://hotline.example.org/in", "--type", "case.closed.v1"])
    assert (empty.exit_code, made.exit_code) == (0, 0), made.output
    assert "whsec_" in made.stdout
    listed = run.invoke(webhooks.app, ["list"])
    assert "https://hotline.example.org/in" in listed.stdout
    assert "whsec_" not in listed.stdout
    assert run.invoke(webhooks.app, ["test", "1"]).exit_code == 1


def test_what_is_wrong_is_named(run: CliRunner) -> None:
    inside = run.invoke(webhooks.app, ["create", "https://10.0.0.1/"])
    nobody = run.invoke(webhooks.app, ["create", "https://hotline.example.org/", "--channel", "nobody"])
    assert isinstance(inside.exception, BadInputError)
    assert inside.exception.code == "webhook.address_not_allowed"
    assert isinstance(nobody.exception, BadInputError)
    assert nobody.exception.code == "webhook.unknown_channel"
