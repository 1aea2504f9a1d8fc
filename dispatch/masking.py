"""Names, numbers and words as they are shown to whoever need not know. Pure.

Source: docs/privacy.md. What is shown never tells how long a name is, and leaves of a number what two people need to
agree that they speak of the same one.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["contact_form", "mask_email", "mask_name", "mask_phone", "mask_text"]

_STARS: Final = "*"
# Between digits stand at most one space, dot or hyphen, so that a list of amounts is not taken for a number.
_MOBILE: Final = r"(?:(?:\+|00)?86[ .\-]?)?1[3-9]\d(?:[ .\-]?\d{4}){2}"
_LANDLINE: Final = r"0\d{2,3}[ \-]?[2-9]\d{6,7}(?:\-\d{1,5})?"
_IDENTITY: Final = r"[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]"
_OLD_IDENTITY: Final = r"[1-9]\d{5}\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}"
_EMAIL: Final = r"[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63})+"
_PERSONAL: Final = re.compile(
    rf"(?<![0-9A-Za-z])(?P<identity>{_IDENTITY}|{_OLD_IDENTITY})(?![0-9A-Za-z])"
    rf"|(?<![0-9.])(?P<phone>{_MOBILE}|{_LANDLINE})(?![0-9])|(?P<email>{_EMAIL})"
)
#: Digits as people type them on a Chinese keyboard, and as some systems hand them on.
_NARROW: Final = {ord("０") + n: ord("0") + n for n in range(10)} | {ord("＋"): ord("+"), ord("－"): ord("-")}


def mask_name(name: str) -> str:
    """Leave the first character.

    Examples
    --------
    >>> mask_name("张三丰"), mask_name("王五"), mask_name("")
    ('张**', '王**', '')
    """
    name = name.strip()
    return f"{name[0]}**" if name else ""


def mask_phone(phone: str) -> str:
    """Leave the ends of a long number, and the last two digits of a short one.

    Examples
    --------
    >>> mask_phone("13812345678"), mask_phone("+86 138-1234-5678"), mask_phone("0371-66668888"), mask_phone("66668888")
    ('138****5678', '138****5678', '037****8888', '****88')
    """
    digits = contact_form(phone)
    if not digits:
        return ""
    return f"{digits[:3]}****{digits[-4:]}" if len(digits) >= 11 else f"****{digits[-2:]}"


def mask_email(email: str) -> str:
    """Leave the first character and the host.

    Examples
    --------
    >>> mask_email("zhang.san@example.com"), mask_email("")
    ('z***@example.com', '')
    """
    local, _, host = email.strip().partition("@")
    return f"{local[:1]}***@{host}" if local else ""


def contact_form(phone: str) -> str:
    """A number as it is compared: digits only, without the country's own prefix.

    Examples
    --------
    >>> contact_form("+86 138-1234-5678") == contact_form("13812345678") == contact_form("（138）12345678")
    True
    """
    digits = re.sub(r"\D", "", phone.translate(_NARROW))
    for prefix in ("0086", "86"):
        rest = digits.removeprefix(prefix)
        if rest != digits and len(rest) == 11 and rest.startswith("1"):
            return rest
    return digits


def mask_text(text: str) -> str:
    """Free text with its telephone numbers, identity card numbers and mail addresses masked; the rest as it was.

    Notes
    -----
    Names in the middle of a sentence cannot be told from other words; whoever hands reports on is asked not to write
    them there (docs/privacy.md).

    Examples
    --------
    >>> mask_text("打13812345678找他，身份证41010219900307123X，地址花园路12号")
    '打138****5678找他，身份证4101**********123X，地址花园路12号'
    >>> mask_text("工单12345-20260301-0042，金额 20260301.50 元")
    '工单12345-20260301-0042，金额 20260301.50 元'
    """
    # One character for one, so that places stay places; nearly every text has nothing to hide and is returned as it is.
    narrow = text.translate(_NARROW)
    if not _PERSONAL.search(narrow):
        return text
    out, end = [], 0
    for found in _PERSONAL.finditer(narrow):
        out += [text[end : found.start()], _masked(found)]
        end = found.end()
    return "".join([*out, text[end:]])


def _masked(found: re.Match[str]) -> str:
    said = found.group()
    if found.lastgroup == "identity":
        return said[:4] + _STARS * (len(said) - 8) + said[-4:]
    return mask_phone(said) if found.lastgroup == "phone" else mask_email(said)
