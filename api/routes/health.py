"""Liveness, readiness, metrics."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import orjson
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.container import Wired
from dispatch.queries import worker_age_s
from geo.storage.uow import read_unit

router = APIRouter(tags=["health"])
#: A worker not seen for this long counts as absent. Units: seconds.
_WORKER_PATIENCE_S = 60.0


def gridward_version() -> str:
    """Version of the installed distribution, or of the source tree."""
    try:
        return version("gridward")
    except PackageNotFoundError:
        return "0.1.0"


@router.get("/healthz")
async def read_health() -> dict[str, str]:
    """The process is alive; says nothing about the database."""
    return {"status": "ok", "version": gridward_version()}


@router.get("/readyz", responses={503: {"description": "Not ready: what is missing is named"}})
async def read_readiness(container: Wired) -> Response:
    """Ready to serve: the database answers. A silent worker is named but does not take the API out of service."""
    try:
        async with read_unit(container.engine) as unit:
            ages = await worker_age_s(unit)
    except Exception as error:
        body = {"status": "unavailable", "database": type(error).__name__}
        return Response(orjson.dumps(body), 503, media_type="application/json", headers={"Retry-After": "2"})
    seen = {duty: round(age, 1) for duty, age in ages.items()}
    worker = "ok" if ages and max(ages.values()) < _WORKER_PATIENCE_S else "absent"
    ready: dict[str, object] = {"status": "ok", "database": "ok", "worker": worker}
    ready |= {"worker_seen_s": seen, "version": gridward_version()}
    return Response(orjson.dumps(ready), media_type="application/json")


@router.get("/metrics", include_in_schema=False)
async def read_metrics() -> Response:
    """Prometheus metrics of this process."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
