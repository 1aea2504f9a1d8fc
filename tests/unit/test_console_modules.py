"""The page names its modules at once: a missing one is found late, one too many is loaded for nothing."""

from __future__ import annotations

import re
from pathlib import Path

import maps
from maps.live import console_context

_STATIC = Path(maps.__file__).parent / "static"
_IMPORT = re.compile(r'^(?:import|export) [^"]*?"(\./[^"]+)";', re.MULTILINE)


def test_the_page_names_exactly_the_modules_that_its_first_one_leads_to() -> None:
    reached: set[str] = set()
    left = ["main.js"]
    while left:
        name = left.pop()
        found = {path.removeprefix("./") for path in _IMPORT.findall((_STATIC / "console" / name).read_text("utf-8"))}
        left += sorted(found - reached)
        reached |= found
    assert {f"console/{name}" for name in reached} == set(console_context("zh-CN")["modules"])
