"""A city's own table of categories over HTTP: what it would change, and changing it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Container, Wired, Writing
from api.language import locale_of
from api.schemas import Code, Short, SoundText, problems
from dispatch.deadlines import Limit
from dispatch.importing.category_changes import Change
from dispatch.importing.category_import import (
    CategoryImport,
    CategoryImportOptions,
    apply_import,
    plan_import,
    read_tables,
)
from dispatch.importing.category_rows import CategoryTable, InDoubt, ReadingRules
from dispatch.importing.limits import parse_units
from dispatch.importing.sheets import MOST_BYTES
from geo.errors import BadInputError
from geo.storage.uow import act_as_service, read_unit
from maps.i18n import Locale, translate

router = APIRouter(tags=["office"])
Editor = Annotated[Caller, Depends(require(Scope.GRID_WRITE))]
_KINDS: Final = (".csv", ".tsv", ".txt", ".xlsx")
_OBJECT: dict[str, Any] = {"content": {"application/json": {"schema": {"type": "object"}}}}
_ANSWERS: Final = {200: _OBJECT, **problems(400, 401, 403, 413, 422, 503)}


class FileIn(BaseModel):
    """A table as a file."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[SoundText, Field(min_length=1, max_length=200)] = Field(description="Its end says what it is")
    content: str = Field(description="The file in base64")


class CategoryTableIn(BaseModel):
    """Classes, and their conditions with limits if they stand in a table of their own."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "table": {
                        "name": "classes.csv",
                        "content": "Y29kZSxuYW1lX3poLGtpbmQK",
                    }
                }
            ]
        },
    )

    table: FileIn
    conditions: FileIn | None = None
    columns: Short = Field("", description="Such as `code=编码,name_zh=名称`; usual names are found by themselves")
    condition_columns: Short = ""
    units: Short = Field("", description="What the city's words mean: `天=working_day,小时=working_hour`")
    code_system: Code | None = None
    in_doubt: InDoubt = InDoubt.ASK
    deactivate_missing: bool = Field(False, strict=True, description="Classes that the table does not have")


@router.post("/v1/categories:check", response_model=None, responses=_ANSWERS)
async def check_categories(request: Request, body: CategoryTableIn, container: Wired, _: Editor) -> Response:
    """Say what a table would change; nothing is written."""
    table, options = await asyncio.to_thread(_read, body)
    with _named(body):
        async with read_unit(container.control) as unit:
            found = await plan_import(unit, _name_of("table", body.table), table, options)
    return _answer(request, body, found, is_written=False)


@router.post("/v1/categories:import", response_model=None, responses=_ANSWERS)
async def import_category_table(
    request: Request, body: CategoryTableIn, unit: Writing, container: Wired, _: Editor
) -> Response:
    """Bring classes, conditions and limits to what a table says: all of it, or nothing."""
    table, options = await asyncio.to_thread(_read, body)
    # Which conditions cases refer to is asked about all cases, also those outside the caller's sight.
    await act_as_service(unit)
    with _named(body):
        found = await apply_import(unit, _name_of("table", body.table), table, options)
    return _forgetting(container, _answer(request, body, found, is_written=True))


def _read(body: CategoryTableIn) -> tuple[CategoryTable, CategoryImportOptions]:
    with tempfile.TemporaryDirectory(prefix="gridward-categories-") as folder:
        place = Path(folder)
        table = _put(place, "table", body.table)
        options = CategoryImportOptions(
            conditions=_put(place, "conditions", body.conditions) if body.conditions else None,
            rules=ReadingRules(
                columns=body.columns,
                condition_columns=body.condition_columns,
                code_system=body.code_system,
                units=parse_units(body.units),
                in_doubt=body.in_doubt,
            ),
            deactivate_missing=body.deactivate_missing,
        )
        with _named(body, folder):
            return read_tables(table, options), options


def _name_of(field: str, file: FileIn) -> str:
    """A name of ours: of theirs only the end counts, which says what the file is."""
    return field + Path(file.name).suffix.lower()[:6]


def _put(folder: Path, field: str, file: FileIn) -> Path:
    """Lay a file where the readers of tables find it."""
    path = folder / _name_of(field, file)
    if path.suffix not in _KINDS:
        raise BadInputError(
            "import.ending_unknown", pointer=f"/{field}/name", file=file.name[:80], endings=", ".join(_KINDS)
        )
    try:
        data = base64.b64decode(file.content, validate=True)
    except (binascii.Error, ValueError):
        raise BadInputError("import.not_base64", pointer=f"/{field}/content", file=file.name[:80]) from None
    path.write_bytes(data)
    if path.suffix == ".xlsx":
        _check_size(path, field, file.name)
    return path


def _check_size(path: Path, field: str, name: str) -> None:
    """A workbook is packed: what comes out of it must stay small as well."""
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(part.file_size for part in packed.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        # Not implemented: zipfile says so of archives of a newer kind than it reads.
        raise BadInputError("import.not_a_workbook", pointer=f"/{field}", file=name[:80], reason="ZIP") from None
    if size > MOST_BYTES:
        raise BadInputError("import.file_too_large", pointer=f"/{field}", limit=MOST_BYTES)


@contextmanager
def _named(body: CategoryTableIn, folder: str = "") -> Iterator[None]:
    """Errors speak of the file by the name that it came under, never by where it lay."""
    try:
        yield
    except BadInputError as error:
        if folder and "reason" in error.params:
            error.params["reason"] = str(error.params["reason"]).replace(f"{folder}/", "")
        if "file" in error.params:
            is_table = str(error.params["file"]).startswith("table")
            error.params["file"] = body.table.name if is_table or body.conditions is None else body.conditions.name
            error.pointer = "/table" if is_table or body.conditions is None else "/conditions"
        raise


def _answer(request: Request, asked: CategoryTableIn, found: CategoryImport, *, is_written: bool) -> Response:
    locale = locale_of(request)
    counts = found.counts()
    body = {
        "file": asked.table.name,
        "is_written": is_written,
        "categories": found.categories,
        "conditions": found.conditions,
        "untouched": found.untouched,
        "in_doubt": list(found.in_doubt),
        "counts": [
            {"kind": kind.value, "name": translate(locale, f"categories.change.{kind}"), "count": counts[kind]}
            for kind in counts
        ],
        "changes": [_change(change, locale) for change in found.changes],
    }
    return json_answer(body, locale=locale)


def _change(change: Change, locale: Locale) -> dict[str, Any]:
    return {
        "kind": change.kind.value,
        "name": translate(locale, f"categories.change.{change.kind}"),
        "category": change.code,
        "condition": change.number,
        "old": _value(change.old, locale),
        "new": _value(change.new, locale),
    }


def _value(value: str | Limit | None, locale: Locale) -> str | None:
    if isinstance(value, Limit):
        return translate(locale, f"categories.unit.{value.unit}", value=f"{Decimal(value.value).normalize():f}")
    return value


def _forgetting(container: Container, answer: Response) -> Response:
    # After the commit: whoever asks meanwhile must not keep a copy from before it.
    answer.background = BackgroundTask(container.reference.forget)
    return answer
