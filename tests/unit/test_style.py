"""One set of tokens: other style sheets use it, the page of the visual language shows it, and its text can be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.templating import text_of
from maps.own_files import STATIC
from maps.style_page import PARTS, Part, contrast, read_tokens, style_context, style_part_context, swatch_sheet

SHEETS = sorted(
    path
    for path in STATIC.rglob("*.css")
    if "vendor" not in path.relative_to(STATIC).parts and path.name != "tokens.css"
)
RAW = re.compile(
    r"#[0-9a-f]{3,8}\b|\b(?:rgb|rgba|hsl|hsla|oklch|lab)\(|:\s*(?:white|black|red|gr[ae]y|green|blue)\b", re.IGNORECASE
)


def _text(path: Path) -> str:
    return re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_other_style_sheets_have_no_colours_of_their_own(path: Path) -> None:
    # What a mask lets through is not a colour that anybody sees.
    lines = [line for line in _text(path).splitlines() if not line.strip().startswith(("mask:", "mask-image:"))]
    # An id is no colour: only what stands behind a colon counts.
    values = [line.split(":", 1)[1] if not line.lstrip().startswith("--") else line for line in lines if ":" in line]
    assert [value.strip() for value in values if ";" in value and RAW.search(f":{value}")] == []


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_every_token_used_exists(path: Path) -> None:
    known = {token.name for token in read_tokens()}
    text = _text(path)
    own = set(re.findall(r"--([a-z0-9-]+)\s*:", text))
    scripts = " ".join(file.read_text(encoding="utf-8") for file in STATIC.rglob("*.js") if "vendor" not in file.parts)
    set_by_scripts = set(re.findall(r'setProperty\("--([a-z0-9-]+)"', scripts))
    assert set(re.findall(r"var\(--([a-z0-9-]+)", text)) - known - own - set_by_scripts == set()


def test_text_can_be_read_on_both_grounds() -> None:
    tokens = {token.name: token for token in read_tokens()}
    for name in ("ink", "ink-2", "accent", "green", "yellow-text", "red", "supervised", "suspended-text"):
        for ground in ("paper", "paper-2"):
            assert contrast(tokens[name].light, tokens[ground].light) >= 4.5, (name, ground, "light")
            assert contrast(tokens[name].dark, tokens[ground].dark) >= 4.5, (name, ground, "dark")


def test_the_page_shows_every_token() -> None:
    html = text_of("style.html", style_context("en", root=""))
    assert [token.name for token in read_tokens() if f"--{token.name}<" not in html] == []
    sheet = swatch_sheet()
    assert [token.name for token in read_tokens() if token.is_colour and f".swatch-{token.name} " not in sheet] == []


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_parts_are_made_of_classes_that_exist(part: Part) -> None:
    html = text_of("style_part.html", style_part_context("zh-CN", part, root="", theme="light"))
    styles = "".join(_text(STATIC / sheet) for sheet in part.sheets)
    used = {name for names in re.findall(r'class="([^"]+)"', html) for name in names.split()}
    assert used
    assert {name for name in used if not re.search(rf"\.{re.escape(name)}(?![\w-])", styles)} <= {"number"}
