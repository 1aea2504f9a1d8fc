"""docs/install.md names every command and every setting, with the default it really has."""

from __future__ import annotations

import re
from pathlib import Path

from api.cli import COMMANDS
from api.settings import Settings
from geo.storage.postgres import SERVER_SETTINGS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "install.md").read_text(encoding="utf-8")


def test_every_command_is_named_and_every_named_one_exists() -> None:
    assert re.findall(r"^\| `gridward ([a-z]+)` \|", PAGE, re.MULTILINE) == list(
        dict.fromkeys(name for name in ("up", "serve", "worker", "migrate", *COMMANDS))
    )


def test_every_setting_is_named_with_its_default() -> None:
    written = dict(re.findall(r"^\| `(GRIDWARD_\w+)` \| (\S+) \|", PAGE, re.MULTILINE))
    real = {
        f"GRIDWARD_{name.upper()}": f"`{field.default}`"
        if str("" if field.default is None else field.default)
        else "(empty)"
        for name, field in Settings.model_fields.items()
    }
    assert written == real


def test_a_server_of_ones_own_is_told_to_be_set_as_ours() -> None:
    written = dict(re.findall(r"^(\w+) = (\S+)", PAGE, re.MULTILINE))
    assert written.pop("shared_buffers")
    assert written == SERVER_SETTINGS
