"""Liveness, readiness, metrics."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import orjson
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.container import Wired
from api.worker_health import WorkerHealth, measure, read_worker_health
from geo.storage.uow import read_unit

router = APIRouter(tags=["health"])


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
            worker = await read_worker_health(unit)
    except Exception as error:
        body = {"status": "unavailable", "database": type(error).__name__}
        return Response(orjson.dumps(body), 503, media_type="application/json", headers={"Retry-After": "2"})
    ready: dict[str, object] = {"status": "ok", "database": "ok", "worker": worker.verdict}
    ready |= {"worker_seen_s": worker.seen_s, "parked": worker.parked, "version": gridward_version()}
    return Response(orjson.dumps(ready), media_type="application/json")


@router.get("/healthz/worker", responses={503: {"description": "Silent, or something due was left behind"}})
async def read_worker_signal(container: Wired) -> Response:
    """The dead man's handle: 200 while every duty is alive and the auditor finds nothing left behind, else 503."""
    try:
        async with read_unit(container.engine) as unit:
            worker = await read_worker_health(unit)
    except Exception:
        worker = WorkerHealth()
    body = {"worker": worker.verdict, "worker_seen_s": worker.seen_s, "left_behind": worker.left_behind}
    return Response(orjson.dumps(body), 200 if worker.is_well else 503, media_type="application/json")


@router.get("/metrics", include_in_schema=False)
async def read_metrics(container: Wired) -> Response:
    """Prometheus metrics of this process, and of the worker as the database knows it."""
    try:
        async with read_unit(container.engine) as unit:
            measure(await read_worker_health(unit))
    except Exception:
        measure(WorkerHealth())
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
