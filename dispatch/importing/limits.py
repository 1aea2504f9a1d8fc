"""Handling limits as cities write them: ``2紧急工作时``, ``4小时``, ``半天``, ``3 working days``.

Pure. What a plain ``天`` or ``小时`` means differs between cities (working time here, natural time there), and a
deadline hangs on it: such a word is refused until the import says what it means.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from dispatch.deadlines import Limit, LimitUnit
from geo.errors import BadInputError

_U, _H, _W, _N = LimitUnit.URGENT_HOUR, LimitUnit.WORKING_HOUR, LimitUnit.WORKING_DAY, LimitUnit.NATURAL_DAY

#: Words that mean one thing everywhere. An urgent day runs day, night and holidays: it is a natural day.
UNIT_WORDS: Final[Mapping[str, LimitUnit]] = {
    **dict.fromkeys(("紧急工作时", "紧急工作小时", "紧急小时", "紧急时", "urgent_hour"), _U),
    **dict.fromkeys(("工作时", "工作小时", "working_hour", "work_hour"), _H),
    **dict.fromkeys(("工作日", "工作天", "working_day", "work_day"), _W),
    **dict.fromkeys(
        ("紧急工作日", "紧急日", "自然日", "日历日", "日历天", "urgent_day", "natural_day", "calendar_day"), _N
    ),
}
#: Words whose meaning the city has to state.
UNCLEAR_WORDS: Final = ("小时", "个小时", "天", "日", "时", "hour", "day")

_DIGITS: Final = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_NUMBER: Final = re.compile(r"(\d{1,6}(?:\.\d{1,2})?|半|[零一二两三四五六七八九十]{1,3})个?")
_MOST: Final = Decimal(1_000_000)


class LimitFault(StrEnum):
    """Why a text is no limit."""

    UNREADABLE = "category.limit_unreadable"
    UNIT_UNCLEAR = "category.unit_unclear"
    UNIT_UNKNOWN = "category.unit_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitText:
    """A limit that was read, and the words behind it: of ``1紧急工作时制止`` the word ``制止`` (stop it)."""

    limit: Limit
    rest: str = ""


def parse_units(text: str) -> dict[str, LimitUnit]:
    """Read ``天=working_day,小时=working_hour``: the city's word on the left, our unit on the right.

    Raises
    ------
    BadInputError
        ``import.option_conflict``.

    Examples
    --------
    >>> parse_units("天=working_day")
    {'天': <LimitUnit.WORKING_DAY: 'working_day'>}
    """
    found: dict[str, LimitUnit] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        word, equals, unit = (part.strip() for part in pair.partition("="))
        if not equals or not word or unit not in set(LimitUnit):
            raise BadInputError("import.option_conflict", first="--units", second=pair[:80])
        found[_plain(word)] = LimitUnit(unit)
    return found


def read_limit(amount: str, unit: str, units: Mapping[str, LimitUnit]) -> LimitText | LimitFault:
    """Read a limit from one text (``2紧急工作时``), or from an amount and its unit in a column of its own.

    Parameters
    ----------
    units
        What the city's own words mean; it goes before the words known everywhere.

    Examples
    --------
    >>> read_limit("2紧急工作时", "", {}).limit.unit.value
    'urgent_hour'
    >>> read_limit("5天", "", {}).value
    'category.unit_unclear'
    >>> str(read_limit("5天", "", {"天": LimitUnit.WORKING_DAY}).limit.value)
    '5'
    """
    text = _plain(amount) + _plain(unit)
    found = _NUMBER.match(text)
    if found is None:
        return LimitFault.UNREADABLE
    value, behind = _number(found.group(1)), text[found.end() :]
    if value is None or not 0 < value < _MOST:
        return LimitFault.UNREADABLE
    words = {**UNIT_WORDS, **units}
    # The longest word wins: 紧急工作日 is neither 紧急 nor 工作日.
    word = max((each for each in words if behind.startswith(each)), key=len, default=None)
    if word is None:
        is_unclear = behind.startswith(UNCLEAR_WORDS)
        return LimitFault.UNIT_UNCLEAR if is_unclear else LimitFault.UNIT_UNKNOWN
    try:
        limit = Limit(value=value, unit=words[word])
    except BadInputError:
        return LimitFault.UNREADABLE
    rest = behind[len(word) :].removeprefix("s").strip("_ ,;，；、。()（）")
    return LimitText(limit=limit, rest=rest.replace("_", " "))


def _plain(text: str) -> str:
    """Full-width digits, capitals and spaces are the same word: `` ２ Working days`` → ``2working_days``."""
    lower = unicodedata.normalize("NFKC", text).strip().lower()
    return re.sub(r"(?<=\d)_", "", re.sub(r"[\s-]+", "_", lower))


def _number(text: str) -> Decimal | None:
    if text == "半":
        return Decimal("0.5")
    if text[0].isdigit():
        return Decimal(text)
    tens, ten, ones = text.rpartition("十")
    if not ten:
        return Decimal(_DIGITS[text]) if len(text) == 1 else None
    if len(tens) > 1 or len(ones) > 1:
        return None
    return Decimal(10 * (_DIGITS[tens] if tens else 1) + (_DIGITS[ones] if ones else 0))
