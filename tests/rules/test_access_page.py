"""docs/access.md says what the code does: roles, scopes and moves are written by it."""

from __future__ import annotations

import re
from pathlib import Path

from api.accounts.access_page import MARKS, tables

PAGE = Path(__file__).resolve().parents[2] / "docs" / "access.md"


def test_the_tables_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    written = re.search(f"{MARKS[0]}\n(.*){MARKS[1]}", text, re.DOTALL)
    assert written is not None
    assert written[1] == tables(), "python -m api.accounts.access_page docs/access.md writes them anew"
