"""Passwords: argon2id, checked off the event loop, a few at a time."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from pwdlib import PasswordHash

from geo.errors import BadInputError

__all__ = ["LEAST", "MOST", "check_new_password", "hash_password", "make_password", "verify_password"]

LEAST: Final = 10
MOST: Final = 200
#: Each costs 64 MB and some hundredths of a second; a flood of sign-ins must not take the machine.
_AT_ONCE: Final = 3
_HASHER: Final = PasswordHash.recommended()
#: What an unknown login is compared with, so that its answer takes as long as that of a known one.
_NOBODY: Final = _HASHER.hash(secrets.token_urlsafe(32))
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_gates: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


def check_new_password(password: str, login: str) -> None:
    """Refuse what is guessed first.

    Raises
    ------
    BadInputError
        ``accounts.password_short``, ``accounts.password_long``, ``accounts.password_plain``.
    """
    if len(password) < LEAST:
        raise BadInputError("accounts.password_short", pointer="/password", least=LEAST)
    if len(password) > MOST:
        raise BadInputError("accounts.password_long", pointer="/password", most=MOST)
    low = password.lower()
    runs = ("01234567890123456789", "98765432109876543210", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")
    if len(set(low)) < 4 or login in low or any(low in run for run in runs) or low.startswith("password"):
        raise BadInputError("accounts.password_plain", pointer="/password")


def make_password() -> str:
    """A password to hand over once: four groups without letters that look alike; 78 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


async def hash_password(password: str) -> str:
    """Hash a password. Cost: some hundredths of a second on a thread."""
    async with _gate():
        return await asyncio.to_thread(_HASHER.hash, password)


async def verify_password(password: str, kept: str | None) -> tuple[bool, str | None]:
    """Whether a password is the one kept; and a new hash when the kept one was made with weaker parameters."""
    async with _gate():
        is_right, fresh = await asyncio.to_thread(_HASHER.verify_and_update, password[: MOST + 1], kept or _NOBODY)
    return is_right and kept is not None, fresh if kept is not None else None


def _gate() -> asyncio.Semaphore:
    loop = asyncio.get_running_loop()
    if loop not in _gates:
        _gates.clear()
        _gates[loop] = asyncio.Semaphore(_AT_ONCE)
    return _gates[loop]
