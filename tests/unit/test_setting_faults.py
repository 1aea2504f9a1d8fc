"""A setting that cannot be taken is told by its name and range, in the operator's language, without its value."""

from __future__ import annotations

import sys

import pytest

from api.cli import main
from api.cli.speech import language

WRONG = {
    "GRIDWARD_PORT": "99999",
    "GRIDWARD_COVERAGE_TOLERANCE_M2": "abc",
    "GRIDWARD_LOG_FORMAT": "xml",
    "GRIDWARD_IDENTITY_KEY": "c2VjcmV0",
}


@pytest.mark.parametrize(
    ("lang", "words"),
    [("en", ("Nothing was done", "must be a number", "must be one of")), ("zh", ("没有执行", "应为数字", "之一"))],
)
def test_wrong_settings_are_named_with_what_they_may_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lang: str, words: tuple[str, ...]
) -> None:
    for name, value in (WRONG | {"GRIDWARD_LANG": lang}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["gridward", "export", "cells", "somewhere.gpkg"])
    language.cache_clear()
    try:
        with pytest.raises(SystemExit) as left:
            main()
    finally:
        language.cache_clear()
    said = capsys.readouterr().err
    assert left.value.code == 1
    assert all(name in said for name in WRONG)
    assert "≥ 1, ≤ 65535" in said
    assert "auto, console, json" in said
    assert all(word in said for word in words)
    assert "c2VjcmV0" not in said
    assert "Input should" not in said
