"""The door of GeoReport v2: who asks, in which format, and every error as the array that clients expect."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from api.accounts.callers import Caller
from api.accounts.roles import Scope
from api.container import Container
from api.errors import RETRY_AFTER_S, message_of, shape_faults, status_of
from api.language import locale_of
from api.open311.documents import Format, error_answer
from api.settings import Settings
from geo.errors import BadInputError, ForbiddenError, GridwardError, InvalidRequestError, NotFoundError
from geo.storage.engine import unavailable
from maps.i18n import Locale

__all__ = [
    "Detail",
    "Open311Route",
    "Reader",
    "check_jurisdiction",
    "format_of",
    "reader_of",
    "refuse",
    "reporter_of",
    "words_of",
]

log = structlog.get_logger("gridward.open311")


class Detail(StrEnum):
    """How much of a request is told to somebody who shows no key."""

    NO = "no"
    STATUS = "status"
    PLACE = "place"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads: the public, and perhaps somebody who sees some cases in full."""

    caller: Caller | None
    public: Detail


class Open311Route(APIRoute):
    """A route whose errors are the specification's array, in the format that the path asks for."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the framework's handler."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except GridwardError as error:
                return refuse(request, error)
            except RequestValidationError as error:
                if any(item["loc"][:1] == ("path",) for item in error.errors()):
                    return refuse(request, NotFoundError("open311.unknown_path", path=request.url.path[:200]))
                return refuse(request, InvalidRequestError(shape_faults(error.errors())))
            except Exception as error:
                away = unavailable(error)
                if away is None:
                    raise
                log.warning("unavailable", code=away.code, path=request.url.path)
                return refuse(request, away)

        return handler


def refuse(request: Request, error: GridwardError) -> Response:
    """One of our errors as the array."""
    locale = locale_of(request)
    status = _status(error)
    retry = str(error.params.get("seconds", RETRY_AFTER_S)) if status in {429, 503} else ""
    allow = str(error.params.get("allowed", "")) if status == 405 else ""
    sentences = _sentences(error, locale)
    return error_answer(format_of(request), status, sentences, locale=locale, Retry_After=retry, Allow=allow)


def _status(error: GridwardError) -> int:
    """The specification knows 400, 403 and 404; what HTTP says of limits and outages stays as it is."""
    if error.code == "open311.method_not_allowed":
        return 405
    if isinstance(error, InvalidRequestError):
        return 400
    status = status_of(error)
    if status == 401:
        return 403
    return 400 if status == 422 else status


def _sentences(error: GridwardError, locale: Locale) -> Sequence[str]:
    if isinstance(error, InvalidRequestError) and error.faults:
        return [message_of(locale, fault.code, fault.params) for fault in error.faults]
    return [message_of(locale, error.code, error.params)]


def format_of(request: Request) -> Format:
    """The format that a path ends in; XML where it names none, for that is the one every client must read."""
    ending = request.url.path.rpartition(".")[2].lower()
    return Format.JSON if ending == Format.JSON else Format.XML


def words_of(values: Sequence[str]) -> list[str]:
    """The words of a parameter that may be declared several times and separated by commas; none of them empty."""
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def check_jurisdiction(request: Request, settings: Settings, named: str = "") -> None:
    """This endpoint serves one jurisdiction, so its id may be left out; another one is not found here.

    Raises
    ------
    NotFoundError
        ``open311.unknown_jurisdiction``.
    """
    for given in [*request.query_params.getlist("jurisdiction_id"), named]:
        if given.strip() and given.strip() != settings.jurisdiction:
            raise NotFoundError(
                "open311.unknown_jurisdiction", jurisdiction=given.strip()[:80], known=settings.jurisdiction
            )


async def _caller_of(request: Request, container: Container, key: str) -> Caller | GridwardError:
    if key.strip():
        return await container.doorkeeper.identify_key(request.scope, key)
    return await container.doorkeeper.identify(request)


async def reporter_of(request: Request, container: Container, key: str) -> tuple[Caller, str]:
    """Who reports, and for which channel: a key, as ``api_key`` or in the header ``Authorization``.

    Raises
    ------
    ForbiddenError
        ``open311.key_needed``, ``access.scope_missing``.
    BadInputError
        ``access.key_unknown``, ``access.too_many``.
    """
    found = await _caller_of(request, container, key or request.query_params.get("api_key", ""))
    if isinstance(found, GridwardError) and found.code != "access.key_required":
        raise found
    if isinstance(found, GridwardError) or found.channel is None:
        raise ForbiddenError("open311.key_needed")
    if Scope.REPORTS_CREATE not in found.scopes:
        raise ForbiddenError("access.scope_missing", scope=Scope.REPORTS_CREATE.value)
    return found, found.channel


async def reader_of(request: Request, container: Container) -> Reader:
    """Who reads, and how much the public is told.

    Raises
    ------
    ForbiddenError
        ``open311.reading_needs_key``.
    BadInputError
        ``access.key_unknown``, ``access.too_many``.
    """
    found = await _caller_of(request, container, request.query_params.get("api_key", ""))
    public = Detail(container.settings.open311_public)
    if isinstance(found, Caller):
        sees = Scope.CASES_READ in found.scopes and not found.must_change
        if not sees and public is Detail.NO:
            raise ForbiddenError("access.scope_missing", scope=Scope.CASES_READ.value)
        return Reader(caller=found if sees else None, public=public)
    if not isinstance(found, BadInputError) or found.code != "access.key_required":
        raise found
    if public is Detail.NO:
        raise ForbiddenError("open311.reading_needs_key")
    return Reader(caller=None, public=public)
