"""The secret that identities are sealed with: a setting, else a file in the data directory, made when first needed."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Final

from api.cli.data_dir import resolve_data_dir
from api.settings import Settings
from dispatch.reporters import ReporterKeys
from geo.errors import UnavailableError

__all__ = ["KEY_FILE", "IdentityVault", "parse_secret"]

KEY_FILE: Final = "identity.key"


class IdentityVault:
    """Gives a process its keys.

    The file is not made before somebody reports with a name: most processes never need it. Whoever runs several
    machines against one database gives all of them the same `GRIDWARD_IDENTITY_KEY`.
    """

    def __init__(self, settings: Settings, place: Path | None = None) -> None:
        self._setting = settings.identity_key.get_secret_value()
        self._place = place

    @cached_property
    def keys(self) -> ReporterKeys:
        """The keys.

        Raises
        ------
        UnavailableError
            ``reporter.no_key``: the file can be neither read nor made.
        """
        if self._setting:
            return ReporterKeys(parse_secret(self._setting))
        path = (self._place or resolve_data_dir()) / KEY_FILE
        try:
            return ReporterKeys(parse_secret(_read_or_make(path)))
        except (OSError, ValueError) as error:
            raise UnavailableError("reporter.no_key", file=str(path), reason=_reason(error)) from error


def parse_secret(text: str) -> bytes:
    """32 bytes from their base64.

    Raises
    ------
    ValueError
        It is something else.
    """
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if len(secret) != 32:
        raise ValueError("not 32 bytes in base64")
    return secret


def _read_or_make(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written whole under another name and linked: of two processes that start at once one wins, and neither reads half.
    partial = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(partial)
    finally:
        partial.unlink(missing_ok=True)
    return path.read_text(encoding="ascii")


def _reason(error: Exception) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else str(error)
