"""OGC API – Features Part 1: the door for QGIS, GDAL and other programs that know maps and not us."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import GEOJSON, json_answer
from api.container import Container, Wired
from api.errors import error_response
from api.kept_tiles import kept_tiles
from api.language import locale_of
from api.ogc_documents import CASES, CONFORMANCE, Place, case_feature, cases_collection, cell_collection, landing_page
from api.ogc_documents import link as make_link
from api.ogc_query import DEFAULT_LIMIT, MOST_LIMIT, ItemsQuery, OgcQueryError, make_cursor, parse_items, parse_only
from api.rendering import instant
from api.schemas import problems
from api.spelling import is_storable
from dispatch.case_views import CaseFilter
from dispatch.queries import MOST_PER_PAGE, count_cases, database_now, get_case, list_cases
from dispatch.states import CaseState
from geo.errors import BadInputError, Fault, GridwardError, NotFoundError
from geo.storage.features import QUERYABLE, CellQuery, count_cell_features, find_cell_feature, list_cell_features
from geo.storage.grid_versions import find_active
from geo.storage.uow import ReadUnit, read_unit
from geo.tiles import LevelExtent, layer_of
from maps.i18n import Locale, translate

__all__ = ["router"]

#: Properties of cases that can be asked for by value.
_CASE_QUERYABLE: Final = ("status", "category", "channel", "cell", "ledger")
_MOST_COUNTED: Final = 100_000
_TICK: Final = timedelta(microseconds=1)


class OgcRoute(APIRoute):
    """Answers errors in the standard's shape: ``code`` and ``description`` (1.0) beside the problem document (1.1)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except GridwardError as error:
                told = error_response(error, locale_of(request))
                body = orjson.loads(bytes(told.body))
                body["description"] = body["detail"]
                headers = {name: value for name, value in told.headers.items() if name != "content-length"}
                return Response(orjson.dumps(body), status_code=told.status_code, headers=headers)

        return answer


router = APIRouter(prefix="/ogc", tags=["ogc"], route_class=OgcRoute)
MayLook = Annotated[Caller, Depends(require(Scope.LOCATE))]
_JSON: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/json": {"schema": {"type": "object"}}}}}
_FEATURES: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {GEOJSON: {"schema": {"type": "object"}}}}}


def _parameter(name: str, about: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": about, "schema": schema}


_FORM: Final = _parameter("f", "Form of the answer; there is only JSON", type="string", enum=["json", "geojson"])
_ITEMS: Final = [
    _FORM,
    _parameter("limit", "Features per page", type="integer", minimum=1, maximum=MOST_LIMIT, default=DEFAULT_LIMIT),
    {
        **_parameter(
            "bbox",
            "West, south, east, north in CRS84; with heights, six numbers; west > east crosses the antimeridian",
            type="array",
            oneOf=[{"minItems": 4, "maxItems": 4}, {"minItems": 6, "maxItems": 6}],
            items={"type": "number"},
        ),
        "style": "form",
        "explode": False,
    },
    _parameter(
        "datetime", "Instant, or interval with `..` for an open end (RFC 3339); a day is a whole day", type="string"
    ),
    _parameter("cursor", "From the `next` link", type="string"),
    *(_parameter(name, "Exact value (cells)", type="string") for name in QUERYABLE),
    *(_parameter(name, "Exact value (cases)", type="string") for name in _CASE_QUERYABLE),
]


@router.get(
    "", response_model=None, responses={**_JSON, **problems(400, 401, 403, 503)}, openapi_extra={"parameters": [_FORM]}
)
async def read_landing_page(request: Request, _: MayLook) -> Response:
    """Landing page: where everything is."""
    parse_only(request.query_params.multi_items())
    locale = locale_of(request)
    return json_answer(landing_page(_place(request), locale), locale=locale)


@router.get(
    "/conformance",
    response_model=None,
    responses={**_JSON, **problems(400, 401, 403, 503)},
    openapi_extra={"parameters": [_FORM]},
)
async def read_conformance(request: Request, _: MayLook) -> Response:
    """Conformance classes that hold."""
    parse_only(request.query_params.multi_items())
    return json_answer({"conformsTo": CONFORMANCE}, locale=locale_of(request))


@router.get(
    "/collections",
    response_model=None,
    responses={**_JSON, **problems(400, 401, 403, 503)},
    openapi_extra={"parameters": [_FORM]},
)
async def read_collections(request: Request, container: Wired, caller: MayLook) -> Response:
    """Collections: the cells of each level, and the cases for callers who may read all of them."""
    parse_only(request.query_params.multi_items())
    locale, place = locale_of(request), _place(request)
    found = await _collections(container, caller, place, locale)
    title = translate(locale, "ogc.link.data")
    body = {
        "links": [make_link(place.at("/collections"), "self", "application/json", title)],
        "collections": list(found.values()),
    }
    return json_answer(body, locale=locale)


@router.get(
    "/collections/{collection}",
    response_model=None,
    responses={**_JSON, **problems(400, 401, 403, 404, 503)},
    openapi_extra={"parameters": [_FORM]},
)
async def read_collection(request: Request, container: Wired, caller: MayLook, collection: str) -> Response:
    """One collection."""
    parse_only(request.query_params.multi_items())
    locale = locale_of(request)
    found = await _collections(container, caller, _place(request), locale)
    if collection not in found:
        raise NotFoundError("ogc.unknown_collection", collection=collection[:40], known=", ".join(found))
    return json_answer(found[collection], locale=locale)


@router.get(
    "/collections/{collection}/items",
    response_model=None,
    responses={**_FEATURES, **problems(400, 401, 403, 404, 503)},
    openapi_extra={"parameters": _ITEMS},
)
async def read_items(request: Request, container: Wired, caller: MayLook, collection: str) -> Response:
    """Features of a collection, page by page.

    Cells: without `datetime` those valid now; with it those of every grid version valid at that time. Cases: `datetime`
    is the time of the report.
    """
    extents = await _extents(container)
    level = _level(collection, extents, caller)
    zone = await _time_zone(container)
    queryables = tuple(QUERYABLE) if level is not None else _CASE_QUERYABLE
    query = parse_items(request.query_params.multi_items(), queryables, zone)
    locale = locale_of(request)
    async with read_unit(container.engine, snapshot=True, viewer=caller.viewer) as unit:
        if level is not None:
            features, matched, cursor = await _cells(unit, container, level, query, locale)
        else:
            features, matched, cursor = await _cases(unit, container, query, locale)
        now = await database_now(unit)
    place = _place(request)
    here = place.at(f"/collections/{collection}/items")
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    links = [
        make_link(str(request.url), "self", GEOJSON),
        make_link(place.at(f"/collections/{collection}"), "collection", "application/json"),
    ]
    if level is not None:
        links.append(make_link(f"{place.base}tiles/{collection}.json", "alternate", "application/json"))
    if cursor is not None:
        links.append(make_link(f"{here}?{urlencode([*asked, ('cursor', cursor)])}", "next", GEOJSON))
    head: dict[str, Any] = {"type": "FeatureCollection", "timeStamp": instant(now), "numberReturned": len(features)}
    if matched is not None:
        head["numberMatched"] = matched
    head["links"] = links
    # The features are JSON already, made by the database; parsing them only to write them again would double the cost.
    text = orjson.dumps(head).decode()[:-1] + ',"features":[' + ",".join(features) + "]}"
    headers = {"Content-Language": locale, "Vary": "Accept, Accept-Language"}
    if cursor is not None:
        headers["Link"] = f'<{links[-1]["href"]}>; rel="next"; type="{GEOJSON}"'
    return Response(text, media_type=GEOJSON, headers=headers)


@router.get(
    "/collections/{collection}/items/{feature}",
    response_model=None,
    responses={**_FEATURES, **problems(400, 401, 403, 404, 503)},
    openapi_extra={"parameters": [_FORM]},
)
async def read_item(request: Request, container: Wired, caller: MayLook, collection: str, feature: str) -> Response:
    """One feature. A cell is named by its code; one of another grid version by `code@version`."""
    parse_only(request.query_params.multi_items())
    level = _level(collection, await _extents(container), caller)
    locale, place = locale_of(request), _place(request)
    async with read_unit(container.engine, viewer=caller.viewer) as unit:
        if level is not None:
            body = orjson.loads(await _cell(unit, container, level, feature, locale))
        else:
            _check_sound(feature, feature)
            body = case_feature((await get_case(unit, feature)).case, locale)
    body["links"] = [
        make_link(place.at(f"/collections/{collection}/items/{quote(feature, safe='@')}"), "self", GEOJSON),
        make_link(place.at(f"/collections/{collection}"), "collection", "application/json"),
    ]
    return json_answer(body, locale=locale, media_type=GEOJSON)


def _place(request: Request) -> Place:
    return Place(base=str(request.base_url))


async def _extents(container: Container) -> Mapping[int, LevelExtent]:
    async with read_unit(container.engine) as unit:
        active = await find_active(unit, container.settings.jurisdiction)
    return await kept_tiles(container.engine).extents(active) if active else {}


async def _time_zone(container: Container) -> str:
    reference = await container.reference.get()
    jurisdiction = reference.jurisdictions.get(container.settings.jurisdiction)
    return jurisdiction.time_zone if jurisdiction else "Asia/Shanghai"


async def _collections(container: Container, caller: Caller, place: Place, locale: Locale) -> dict[str, Any]:
    extents = await _extents(container)
    async with read_unit(container.engine) as unit:
        active = await find_active(unit, container.settings.jurisdiction)
    span = (active.valid_from, active.valid_until) if active else (None, None)
    found = {layer_of(level): cell_collection(place, locale, extents[level], span) for level in extents}
    if Scope.CASES_READ_ALL in caller.scopes:
        found[CASES] = cases_collection(place, locale, next(iter(extents.values()), None))
    return found


def _level(collection: str, extents: Mapping[int, LevelExtent], caller: Caller) -> int | None:
    """Return the level of a collection of cells; None means the cases."""
    may_read = Scope.CASES_READ_ALL in caller.scopes
    if collection == CASES and may_read:
        return None
    for level in extents:
        if collection == layer_of(level):
            return level
    # The same answer for what is not there and for what this caller may not see.
    known = [*map(layer_of, extents), *([CASES] if may_read else [])]
    raise NotFoundError("ogc.unknown_collection", collection=collection[:40], known=", ".join(known))


async def _cells(
    unit: ReadUnit, container: Container, level: int, query: ItemsQuery, locale: Locale
) -> tuple[list[str], int | None, str | None]:
    asked = CellQuery(
        jurisdiction=container.settings.jurisdiction,
        level=level,
        span=query.span,
        boxes=query.boxes,
        equal=query.equal,
    )
    found = await list_cell_features(
        unit, asked, locale=locale, limit=query.limit + 1, after=_cell_place(query.after) if query.after else None
    )
    page = found[: query.limit]
    cursor = make_cursor(page[-1].number, page[-1].code) if len(found) > query.limit else None
    return [feature.text for feature in page], await count_cell_features(unit, asked), cursor


def _cell_place(text: str) -> tuple[int, str]:
    number, _, code = text.partition("|")
    if not (number.isascii() and number.isdigit() and len(number) <= 9) or not code or "\x00" in code:
        raise OgcQueryError([Fault(code="ogc.bad_cursor", pointer="/cursor", params={"value": text[:80]})])
    return int(number), code


async def _cell(unit: ReadUnit, container: Container, level: int, feature: str, locale: Locale) -> str:
    code, at, number = feature.partition("@")
    known = not at or (number.isascii() and number.isdigit() and len(number) <= 9)
    _check_sound(code, feature)
    found = None
    if known:
        version = int(number) if at else None
        jurisdiction = container.settings.jurisdiction
        found = await find_cell_feature(unit, jurisdiction, level, code, version=version, locale=locale)
    if found is None:
        raise NotFoundError("ogc.unknown_feature", feature=feature[:80])
    return found.text


def _check_sound(text: str, feature: str) -> None:
    if not is_storable(text):  # then nothing is called so
        raise NotFoundError("ogc.unknown_feature", feature=ascii(feature[:80]))


async def _cases(
    unit: ReadUnit, container: Container, query: ItemsQuery, locale: Locale
) -> tuple[list[str], int | None, str | None]:
    asked = _case_filter(container.settings.jurisdiction, query)
    limit = min(query.limit, MOST_PER_PAGE)
    try:
        page = await list_cases(unit, asked, limit=limit, cursor=make_cursor(query.after) if query.after else None)
    except BadInputError as error:
        raise OgcQueryError([Fault(code="ogc.bad_cursor", pointer="/cursor", params={"value": "…"})]) from error
    features = [orjson.dumps(case_feature(case, locale)).decode() for case in page.cases]
    return features, await count_cases(unit, asked, most=_MOST_COUNTED), page.next


def _case_filter(jurisdiction: str, query: ItemsQuery) -> CaseFilter:
    equal = query.equal
    states: Sequence[CaseState] = ()
    if "status" in equal:
        if equal["status"] not in set(CaseState):
            facts = {"field": "status"}
            raise OgcQueryError([Fault(code="ogc.bad_value", pointer="/status", params=facts)])
        states = (CaseState(equal["status"]),)
    since, until = query.span or (None, None)
    boxes = query.boxes
    return CaseFilter(
        states=tuple(states),
        cell_code=equal.get("cell"),
        category=equal.get("category"),
        channel=equal.get("channel"),
        ledger=equal.get("ledger"),
        reported_from=since,
        reported_until=_after(until),
        box=(boxes[0][0], boxes[0][1], boxes[-1][2], boxes[0][3]) if boxes else None,
        jurisdiction=jurisdiction,
    )


def _after(until: datetime | None) -> datetime | None:
    """Return the exclusive end that means the same as an inclusive one."""
    try:
        return until + _TICK if until is not None else None
    except OverflowError:
        return None
