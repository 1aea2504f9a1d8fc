"""Running the API: uvicorn with our limits, and a stop that ends live streams instead of waiting for them."""

from __future__ import annotations

import gc
import socket

import uvicorn
from fastapi import FastAPI

from api.app import Application, create_app
from api.connections import GuardedProtocol, look_over
from api.settings import Settings

#: Requests in flight get this long to finish at a stop. Units: seconds.
GRACE_S = 10
#: At a stop nobody waits for a reader who has fetched nothing for this long. Units: seconds.
_UNFETCHED_S = 2.0


class Server(uvicorn.Server):
    """A server whose streams end when it is told to stop.

    uvicorn waits for open responses before it runs the application's shutdown, and a live stream never ends by
    itself: without this, every stop would wait for the whole grace period.
    """

    def __init__(self, app: FastAPI, *, host: str, port: int) -> None:
        self.app = app
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                lifespan="on",
                # Ours to write, structured; uvicorn's own access log would also show query strings.
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=GRACE_S,
                timeout_keep_alive=15,
                # Who the peer is decides what is allowed (api/access.py): never taken from a header.
                proxy_headers=False,
                server_header=False,
                http=GuardedProtocol,
                # The feed and the stream are plain HTTP; what nobody serves nobody should be able to open.
                ws="none",
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then take what stays for good out of the garbage collector's sight.

        The index, the catalogues and the routes are some hundred thousand objects that never go away. Looking through
        them again and again took a fifth of the processor under load.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)

    async def on_tick(self, counter: int) -> bool:
        """Once a second, look over the connections."""
        if counter % 10 == 0:
            look_over(self.server_state.connections)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then stop as uvicorn does."""
        await self.app.state.container.broadcaster.end_streams()
        if isinstance(self.app, Application) and self.app.sandbox is not None:
            await self.app.sandbox.end_streams()
        look_over(self.server_state.connections, unfetched_s=_UNFETCHED_S)
        await super().shutdown(sockets)


def make_server(settings: Settings) -> Server:
    """Make the server of a process."""
    return Server(create_app(settings), host=settings.host, port=settings.port)
