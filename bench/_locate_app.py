"""The real application with two routes more: one that answers a constant, and one that tells how much memory holds."""

from __future__ import annotations

import os

import uvicorn
from fastapi import FastAPI, Response

from api.app import create_app
from api.container import Container
from api.settings import Settings

__all__ = ["make_app"]

_CONSTANT = b'{"answer":"constant"}'


def make_app(settings: Settings) -> FastAPI:
    """Make the application. The constant passes the same server, middleware and routing, and nothing else."""
    app = create_app(settings)

    async def constant() -> Response:
        return Response(_CONSTANT, media_type="application/json")

    async def held() -> dict[str, int]:
        container: Container = app.state.container
        return {"cells": len(container.live.roster)}

    app.add_api_route("/constant", constant, response_model=None)
    app.add_api_route("/held", held)
    # Routes are tried in order: in front, the constant is as cheap as this server can be.
    app.router.routes[:] = app.router.routes[-2:] + app.router.routes[:-2]
    return app


if __name__ == "__main__":
    uvicorn.run(make_app(Settings()), port=int(os.environ["GRIDWARD_PORT"]), log_config=None, access_log=False)
