"""How the command line speaks: the language it has chosen, sentences of errors, one way to say and one to fail."""

from __future__ import annotations

import sys
from functools import cache
from typing import NoReturn

from babel.core import default_locale

from api.settings import LanguageSettings
from geo.errors import GridwardError
from maps.i18n import DEFAULT_LOCALE, Locale, catalogue, spoken, translate


@cache
def language() -> Locale:
    """Return the language: ``GRIDWARD_LANG``, else the machine's (``LANG`` and its relatives), else Chinese."""
    wanted = LanguageSettings().lang or default_locale("LC_MESSAGES") or ""
    # The "C" locale of containers and services is nobody's choice of a language.
    if wanted.startswith("en") and not wanted.endswith("POSIX"):
        return "en"
    return DEFAULT_LOCALE


def t(key: str, /, **params: object) -> str:
    """Return one text of the command line."""
    return translate(language(), key, **params)


def sentence(error: GridwardError) -> str:
    """Return an error's sentence, and below it one for each of its causes; bare facts when a text is missing."""
    key = f"error.{error.code}"
    if key not in catalogue(language()):
        return str(error)
    lines = [t(key, **spoken(language(), error.params))]
    lines += [
        f"  {t(text, **spoken(language(), fault.params))}"
        for fault in error.causes
        if (text := f"error.{fault.code}") in catalogue(language())
    ]
    return "\n".join(lines)


def say(text: str, *, to_error: bool = False) -> None:
    """Print one line at once, also into a pipe."""
    print(text, file=sys.stderr if to_error else sys.stdout, flush=True)


def fail(text: str, *, code: int = 1) -> NoReturn:
    """Print one line on the error stream and leave."""
    say(text, to_error=True)
    raise SystemExit(code)
