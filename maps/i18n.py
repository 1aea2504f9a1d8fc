"""Texts that people see, by locale and stable dotted key.

The catalogues are gettext files, one per domain, under ``maps/locale/<locale>/``. A ``msgid`` is a key that code may
hold on to (``state.dispatched``), never an English sentence: a sentence changes, and a key that is a sentence changes
with it. All domains of a locale are merged into one mapping, read once per process.

This module imports nothing of ours, so that every floor that speaks to people may use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, cast

from babel.messages.pofile import read_po

__all__ = ["DEFAULT_LOCALE", "LOCALES", "Locale", "catalogue", "negotiate", "subset", "translate"]

Locale = Literal["zh-CN", "en"]

LOCALES: Final[tuple[Locale, ...]] = ("zh-CN", "en")
DEFAULT_LOCALE: Final[Locale] = "zh-CN"

_ROOT: Final = Path(__file__).resolve().parent / "locale"
_FOLDERS: Final[dict[Locale, str]] = {"zh-CN": "zh_CN", "en": "en"}


@cache
def catalogue(locale: Locale) -> Mapping[str, str]:
    """Return every text of a locale, all domains merged.

    Parameters
    ----------
    locale
        ``zh-CN`` or ``en``.

    Returns
    -------
    Mapping[str, str]
        Key to text; read-only, and the same object on every call.

    Raises
    ------
    ValueError
        If two domains define the same key, or a file is not a valid catalogue.

    Notes
    -----
    Cost: the first call parses the files (tens of milliseconds), every other call is a dictionary lookup.
    """
    merged: dict[str, str] = {}
    for path in sorted((_ROOT / _FOLDERS[locale]).glob("*.po")):
        with path.open("rb") as handle:
            messages = read_po(handle, abort_invalid=True)
        for message in messages:
            if not message.id:
                continue  # the header
            key, text = str(message.id), str(message.string)
            if key in merged:
                raise ValueError(f"{path.name} defines {key} a second time")
            merged[key] = text
    return MappingProxyType(merged)


def translate(locale: Locale, key: str, /, **params: object) -> str:
    """Return one text with its ``{fields}`` filled.

    Raises
    ------
    KeyError
        If the key is unknown, or the text has a field for which no parameter is given.

    Examples
    --------
    >>> translate("en", "state.dispatched")
    'Dispatched'
    """
    text = catalogue(locale)[key]
    return text.format_map(params) if params or "{" in text else text


#: Facts of errors that are codes by themselves, and the texts that name them.
_NAMED = {"classes": "coverage.class."}
#: … and those that a caller sends and reads as codes: the sentence names them and keeps the code.
_NAMED_CODES = {"move": "move.", "state": "state.", "allowed": "move.", "roles": "role."}


def spoken(locale: Locale, params: Mapping[str, Any]) -> dict[str, object]:
    """Return the facts of an error as sentences take them: lists joined, and codes that have a name by it.

    Examples
    --------
    >>> spoken("en", {"classes": ["gap", "overlap"], "count": 2})
    {'classes': 'gap, overlap', 'count': 2}
    >>> spoken("zh-CN", {"move": "close", "state": "handling"})
    {'move': '结案（close）', 'state': '处置中（handling）'}
    """
    texts = catalogue(locale)

    def say(name: str, value: object) -> str:
        if name in _NAMED_CODES:
            word = texts.get(f"{_NAMED_CODES[name]}{value}")
            if word is None:
                return str(value)
            return f"{word} ({value})" if locale == "en" else f"{word}（{value}）"
        return texts.get(f"{_NAMED.get(name, '')}{value}", str(value)) if name in _NAMED else str(value)

    return {
        name: ", ".join(say(name, each) for each in value) or "–"
        if isinstance(value, list)
        else say(name, value)
        if name in _NAMED_CODES
        else value
        for name, value in params.items()
    }


def subset(locale: Locale, prefix: str) -> dict[str, str]:
    """Return the texts whose key starts with ``prefix``, for a page's script.

    Parameters
    ----------
    prefix
        A leading part of the key, usually with its dot: ``console.``. The keys come back whole, so that a text has the
        same name in Python, in the template and in the browser.
    """
    return {key: text for key, text in catalogue(locale).items() if key.startswith(prefix)}


def negotiate(accept_language: str | None, explicit: str | None = None) -> Locale:
    """Choose the locale for one request.

    Parameters
    ----------
    accept_language
        The header as sent, or None.
    explicit
        What the person chose themselves (``?lang=`` or the cookie); it wins whenever we have that language.

    Returns
    -------
    Locale
        The best match; Chinese when nothing matches or nothing is said.

    Examples
    --------
    >>> negotiate("en-GB,en;q=0.8,zh;q=0.5")
    'en'
    >>> negotiate("en", explicit="zh-Hans-CN")
    'zh-CN'
    >>> negotiate("de, *;q=0.1")
    'zh-CN'
    """
    chosen = _match(explicit or "")
    if chosen is not None:
        return chosen
    for tag in _by_preference(accept_language or ""):
        match = _match(tag)
        if match is not None:
            return match
    return DEFAULT_LOCALE


def _match(tag: str) -> Locale | None:
    """Match by primary language: any English is ``en``, any Chinese ``zh-CN``."""
    primary = tag.strip().replace("_", "-").split("-", 1)[0].lower()
    return cast("Locale | None", {"zh": "zh-CN", "en": "en"}.get(primary))


def _by_preference(header: str) -> list[str]:
    """Split an Accept-Language header into tags, the most wanted first; what cannot be read is left out."""
    weighted: list[tuple[float, int, str]] = []
    # A header is at most a few dozen tags; the rest of a longer one is noise or an attack.
    for position, part in enumerate(header.split(",")[:32]):
        tag, _, parameters = part.strip().partition(";")
        name, _, value = parameters.strip().partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if tag and 0 < quality <= 1:
            weighted.append((-quality, position, tag))
    return [tag for _, _, tag in sorted(weighted)]
