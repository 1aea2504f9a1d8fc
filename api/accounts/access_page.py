"""Draw the tables of docs/access.md from the code: ``python -m api.accounts.access_page docs/access.md``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from api.accounts.roles import ROLES, Scope, granted_scopes, makers_of, moves_of, scopes_of
from dispatch.workflow import TRANSITIONS
from maps.i18n import translate

__all__ = ["MARKS", "tables"]

MARKS: Final = ("<!-- drawn -->", "<!-- /drawn -->")


def tables() -> str:
    """Roles × scopes, roles × moves, moves × roles."""
    lines = ["", "| role | 岗位 | may ask for | area | makes these moves |", "| --- | --- | --- | --- | --- |"]
    for role in ROLES:
        scopes = ", ".join(f"`{scope}`" for scope in Scope if scope in scopes_of([role]))
        moves = ", ".join(f"`{move}`" for move in moves_of(role)) or "none"
        whole = [scope for scope in Scope if scope in scopes_of([role]) - granted_scopes(role, is_limited=True)]
        area = "cells, department" + "".join(f"; `{scope}` without a limit only" for scope in whole)
        lines.append(f"| `{role}` | {translate('zh-CN', f'role.{role}')} | {scopes} | {area} | {moves} |")
    lines += ["", "| move | made by |", "| --- | --- |"]
    for row in TRANSITIONS:
        if not row.sources:
            continue
        makers = ", ".join(f"`{role}`" for role in makers_of(row.move)) or "the system alone"
        lines.append(f"| `{row.move}` | {makers} |")
    return "\n".join([*lines, "", ""])


def main(path: Path) -> None:
    """Write the tables into a page, between its marks."""
    text = path.read_text(encoding="utf-8")
    drawn = re.sub(f"{MARKS[0]}\n.*{MARKS[1]}", lambda _: f"{MARKS[0]}\n{tables()}{MARKS[1]}", text, flags=re.DOTALL)
    path.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
