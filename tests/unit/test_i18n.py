"""Catalogues: both languages complete, same fields, and a sane choice of language."""

import re
from pathlib import Path
from string import Formatter

import pytest

from maps import i18n

ROOT = Path(i18n.__file__).parent / "locale"


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_keys() -> None:
    assert set(i18n.catalogue("zh-CN")) == set(i18n.catalogue("en"))
    assert {path.name for path in (ROOT / "zh_CN").glob("*.po")} == {path.name for path in (ROOT / "en").glob("*.po")}


@pytest.mark.parametrize("key", sorted(i18n.catalogue("zh-CN")))
def test_texts_are_filled_and_have_the_same_named_fields(key: str) -> None:
    chinese, english = i18n.catalogue("zh-CN")[key], i18n.catalogue("en")[key]
    assert chinese.strip()
    assert english.strip()
    assert fields(chinese) == fields(english)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in fields(chinese)), (
        "fields are named, plain identifiers"
    )
    assert re.fullmatch(r"[a-z][a-z0-9_]*(\.[A-Za-z0-9_-]+)+", key), "a key is dotted, not a sentence"


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/*.po")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_key_stands_twice_in_a_file(path: Path) -> None:
    keys = re.findall(r'^msgid "(.+)"$', path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(keys) == len(set(keys))
    assert "fuzzy" not in path.read_text(encoding="utf-8")


def test_translate_fills_fields_and_refuses_what_it_does_not_know() -> None:
    assert i18n.translate("zh-CN", "state.dispatched") == "待签收"
    with pytest.raises(KeyError):
        i18n.translate("en", "state.nowhere")


def test_subset_keeps_whole_keys() -> None:
    lights = i18n.subset("en", "light.")
    assert lights["light.red"] == "Overdue"
    assert all(key.startswith("light.") for key in lights)


@pytest.mark.parametrize(
    ("header", "explicit", "expected"),
    [
        (None, None, "zh-CN"),
        ("", "", "zh-CN"),
        ("en", None, "en"),
        ("en-US,en;q=0.9", None, "en"),
        ("zh-TW,en;q=0.9", None, "zh-CN"),
        ("en;q=0.3, zh-Hans-CN;q=0.9", None, "zh-CN"),
        ("zh;q=0, en;q=0.1", None, "en"),
        ("de,fr;q=0.5", None, "zh-CN"),
        ("*", None, "zh-CN"),
        ("en;q=nonsense, zh", None, "zh-CN"),
        (",;=,;q=1", None, "zh-CN"),
        ("zh-CN", "en", "en"),
        ("en", "zh_CN", "zh-CN"),
        ("en", "klingon", "en"),
    ],
)
def test_negotiate(header: str | None, explicit: str | None, expected: str) -> None:
    assert i18n.negotiate(header, explicit) == expected
