"""A worker process whose clock is wrong: every clock that Python offers is off, from before our modules load.

Kept ready in a fork server, so that killing and replacing fifty workers costs milliseconds and not fifty starts.
"""

from __future__ import annotations

import asyncio
import datetime as _module
import logging
import signal
import time
from typing import Any

_real_time, _real_time_ns = time.time, time.time_ns
_real_datetime = _module.datetime
_offset_s = 0.0


def _time() -> float:
    return _real_time() + _offset_s


def _time_ns() -> int:
    return _real_time_ns() + int(_offset_s * 1e9)


class _Kind(type(_real_datetime)):  # type: ignore[misc]
    # What the database driver makes is a real datetime; it must go on being one for everybody who asks.
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, _real_datetime)


class _Datetime(_real_datetime, metaclass=_Kind):
    # As large as the real one, or extension modules would mistrust it.
    __slots__ = ()

    # Only the clock is ours: whatever is made is a real datetime, which encoders know.
    def __new__(cls, *values: Any, **named: Any) -> Any:
        return _real_datetime(*values, **named)

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return _real_datetime.fromtimestamp(_time(), tz)


time.time, time.time_ns = _time, _time_ns
_module.datetime = _Datetime  # type: ignore[misc]

# Only now: these must see the wrong clocks.
import structlog  # noqa: E402

from dispatch.settings import DispatchSettings  # noqa: E402
from dispatch.worker import Worker  # noqa: E402
from geo.storage.engine import create_engine  # noqa: E402


def run_worker(url: str, offset_s: float, batch: int) -> None:
    """Run a whole worker, as `gridward worker` does, until it is killed or asked to stop."""
    global _offset_s
    _offset_s = offset_s
    # Eight workers would drown the report; what goes wrong is still said.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(_run(url, batch))


async def _run(url: str, batch: int) -> None:
    engine = create_engine(url, pool_size=4, statement_timeout_s=60.0, name="bench-worker")
    worker = Worker(engine, DispatchSettings(sweep_batch=batch, sweep_every_s=0.5))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    try:
        await worker.run()
    finally:
        await engine.dispose()
