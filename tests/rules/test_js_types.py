"""Our browser modules are typed: JSDoc, checked by the TypeScript compiler in strict mode."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from maps import i18n, vendor

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "maps" / "static"
OURS = sorted(path for path in STATIC.rglob("*.js") if "vendor" not in path.relative_to(STATIC).parts)


def test_modules_pass_the_type_checker() -> None:
    vendor.prepare(with_tools=True)
    compiler = ROOT / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        [vendor.find_node(), str(compiler), "-p", str(ROOT)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_texts_named_in_modules_and_templates_exist() -> None:
    pages = [ROOT / "maps" / "live.py", ROOT / "maps" / "grid_page.py"]
    files = [*OURS, *(ROOT / "maps" / "templates").glob("*.html"), *pages]
    key = re.compile(r'"((?:console|grid_page)\.[a-z_.]*[a-z0-9])"')
    named = {found for path in files for found in key.findall(path.read_text(encoding="utf-8"))}
    assert len(named) > 50
    assert named <= set(i18n.catalogue("en"))


def test_nothing_typed_can_become_markup() -> None:
    """Only textContent: no sink that parses markup, no code from strings."""
    sinks = re.compile(
        r"\.(innerHTML|outerHTML|srcdoc)\s*[+]?=|insertAdjacentHTML|document\.write|\beval\(|new Function"
    )
    found = [
        f"{path.name}: {line}"
        for path in OURS
        for line in path.read_text(encoding="utf-8").splitlines()
        if sinks.search(line)
    ]
    assert found == []


def test_templates_hold_no_inline_script_or_style() -> None:
    inline = re.compile(
        r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE
    )
    for path in (ROOT / "maps" / "templates").glob("*.html"):
        assert not inline.search(path.read_text(encoding="utf-8")), path.name
    assert "|safe" not in "".join(
        path.read_text(encoding="utf-8").replace(" ", "") for path in (ROOT / "maps" / "templates").rglob("*.html")
    )


def test_no_foreign_address_in_our_files() -> None:
    files = [*OURS, *STATIC.glob("*.css"), *(ROOT / "maps" / "templates").glob("*.html")]
    allowed = "http://www.w3.org/"
    for path in files:
        foreign = [
            url
            for url in re.findall(r"(?:https?:)?//[\w.-]+\.\w+/?", path.read_text(encoding="utf-8"))
            if url.startswith(("http", "//")) and not url.startswith(allowed)
        ]
        assert foreign == [], path.name
