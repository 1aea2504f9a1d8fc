"""Bodies of reports at the door: JSON or multipart, read once, all faults at once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from api.reporter_schemas import reporter_of
from api.schemas import ReportIn
from dispatch.intake import Report
from dispatch.photos import MOST_BYTES, MOST_PHOTOS, Photo, clean_photo
from geo.errors import BadInputError, Fault, InvalidRequestError

__all__ = ["PhotoForm", "clean_files", "inlined", "is_multipart", "parse_model", "read_photo_form", "report_of"]

Model = TypeVar("Model", bound=BaseModel)
_POSITION = re.compile(r"line (\d+) column (\d+)")
# Two at a time: a decoded photo takes up to 100 MB, and the processor has other things to do.
_DECODERS = asyncio.Semaphore(2)


def is_multipart(request: Request) -> bool:
    """Whether a body is a form with files."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def parse_model(model: type[Model], data: bytes) -> Model:
    """Read JSON into a model, with the faults that the error page knows how to tell.

    Raises
    ------
    RequestValidationError
        All faults at once; also for what is not JSON.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        for fault in faults:
            where: tuple[Any, ...] = ("body", *fault["loc"])
            if fault["type"] == "json_invalid":
                found = _POSITION.search(fault["msg"])
                where = ("body", ":".join(found.groups()) if found else "")
                if why := _unreadable(data, fault["msg"]):
                    fault["type"], where = why, ("body",)
            fault["loc"] = where
        # Beside the faults, so that the position is looked at as well.
        is_json = all(fault["loc"] != ("body",) and fault["type"] != "json_invalid" for fault in faults)
        raise RequestValidationError(faults, body=json.loads(data) if is_json else "") from error


def _unreadable(data: bytes, said: str) -> str | None:
    """What there is to say of a body that is no JSON, beside where."""
    if not data.strip():
        return "missing"
    if "recursion limit" in said:
        return "too_deep"
    if "number out of range" in said:
        return "number_too_long"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "not_utf8"
    return None


def report_of(body: ReportIn, channel: str) -> Report:
    """A report as the rules know it. The channel is the key's, never the body's."""
    return Report(
        channel=channel,
        ticket=body.ticket,
        text=body.text,
        category=body.category,
        condition=body.condition,
        x=body.lon,
        y=body.lat,
        coord_sys=body.coord_sys,
        address=body.address,
        ledgers=tuple(body.ledgers),
        is_self_handled=body.self_handled,
        accuracy_m=body.accuracy_m,
        reporter=reporter_of(body.reporter),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoForm:
    """A form with photos, read and cleaned. ``parts``: what an idempotency key is compared by."""

    report: bytes | None
    kind: str
    photos: tuple[Photo, ...]
    parts: tuple[bytes, ...]


async def read_photo_form(request: Request, *, part: str = "report") -> PhotoForm:
    """Read a multipart form with the fields ``report`` (JSON), ``kind`` and any number of files ``photo``.

    Parameters
    ----------
    part
        Name of the field that is JSON.

    Raises
    ------
    BadInputError
        ``photo.bad_form``, ``photo.too_many``.
    InvalidRequestError
        Every unusable photo with its place.
    """
    try:
        async with request.form(max_files=MOST_PHOTOS + 1, max_fields=10, max_part_size=256 * 1024) as form:
            return await _read(form, part)
    except HTTPException as error:
        if "Too many files" in str(error.detail):
            raise BadInputError("photo.too_many", pointer=f"/photo/{MOST_PHOTOS}", most=MOST_PHOTOS) from error
        raise BadInputError("photo.bad_form", reason=str(error.detail)[:200]) from error
    except MultiPartException as error:
        raise BadInputError("photo.bad_form", reason=error.message[:200]) from error


async def _read(form: FormData, part: str) -> PhotoForm:
    files = [value for name, value in form.multi_items() if isinstance(value, UploadFile) and name != part]
    if len(files) > MOST_PHOTOS:
        raise BadInputError("photo.too_many", pointer=f"/photo/{MOST_PHOTOS}", most=MOST_PHOTOS)
    report, kind = form.get(part), form.get("kind")
    if isinstance(report, UploadFile):
        said: bytes | None = await report.read(256 * 1024)
    else:
        said = report.encode() if report is not None else None
    # One byte more than may be, so that a file that is too long is seen as such without reading all of it.
    sent = [await file.read(MOST_BYTES + 1) for file in files]
    photos = await clean_files(sent, "/photo")
    kind_text = kind if isinstance(kind, str) else ""
    parts = (said or b"", kind_text.encode(), *(hashlib.sha256(data).digest() for data in sent))
    return PhotoForm(report=said, kind=kind_text, photos=photos, parts=parts)


async def clean_files(sent: Sequence[bytes], pointer: str) -> tuple[Photo, ...]:
    """Decode files and write them anew, two at a time.

    Raises
    ------
    InvalidRequestError
        Every unusable file with its place below ``pointer``.
    """
    faults: list[Fault] = []
    photos = []
    for place, data in enumerate(sent):
        try:
            async with _DECODERS:
                photos.append(await asyncio.to_thread(clean_photo, data, pointer=f"{pointer}/{place}"))
        except BadInputError as error:
            faults.append(Fault(code=error.code, pointer=error.pointer or "", params=error.params))
    if faults:
        raise InvalidRequestError(faults)
    return tuple(photos)


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON schema without references, for bodies that the framework does not read itself."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def expand(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return expand(definitions[node["$ref"].rpartition("/")[2]])
            return {name: expand(value) for name, value in node.items()}
        return [expand(value) for value in node] if isinstance(node, list) else node

    expanded: dict[str, Any] = json.loads(json.dumps(expand(schema)))
    return expanded
