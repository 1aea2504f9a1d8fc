"""What the pages say exists, exists: paths, links, decision numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
PAGES = [ROOT / name for name in ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES += [*sorted((ROOT / "docs").glob("*.md")), ROOT / "docs" / "decisions" / "README.md", *DECISIONS]
FLOORS = ("api", "maps", "dispatch", "geo")

_PATH = re.compile(r"`((?:api|geo|dispatch|maps|bench|tests|docs|alembic)/[\w./-]*)`")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
_MENTION = re.compile(r"\bdecision (\d{4})\b")
_SECTIONS = ["Context", "Decision", "Alternatives and their price", "Consequences", "State"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_named_paths_and_links_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [path for path in _PATH.findall(text) if not (ROOT / path).exists()]
    missing += [link for link in _LINK.findall(text) if not (page.parent / link).exists()]
    assert missing == []


def test_decisions_are_numbered_without_gap_and_all_in_the_index() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in DECISIONS if f"({path.name})" not in index] == []


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.name[:4])
def test_a_decision_has_its_sections(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {path.name[:4]}. ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == _SECTIONS
    assert len(text.splitlines()) <= 60, "a record is one page"


def test_decisions_named_in_code_exist() -> None:
    known = {path.name[:4] for path in DECISIONS}
    unknown = [
        f"{source.relative_to(ROOT)}: {number}"
        for floor in FLOORS
        for source in (ROOT / floor).rglob("*.py")
        for number in _MENTION.findall(source.read_text(encoding="utf-8"))
        if number not in known
    ]
    assert unknown == []
