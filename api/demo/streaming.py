"""New demo reports, one after another, sent to a running server as its channels would send them."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

import numpy as np

from api.demo.cases import CHANNELS, SYSTEMS
from api.demo.geometry import DEFAULT_SEED, District, build_district
from api.demo.places import SUBDISTRICTS
from api.demo.placing import Placer
from api.demo.profiles import HOURS, SEASONS, profile_of
from api.demo.wording import Wording
from dispatch.catalogue import load_default
from geo.errors import BadInputError

_ZONE = timezone(timedelta(hours=8))
_TIMEOUT_S = 20.0
#: One report in so many lies just outside the grid, and one in so many names no certain condition.
_STRAY = 40
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|min|h))?")
_PER_MINUTE = {"s": 60.0, "min": 1.0, "h": 1 / 60}
_SLOWEST_PER_MINUTE, _FASTEST_PER_MINUTE = 0.01, 6000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReport:
    """A report ready to be sent by a channel; `body` is that of ``POST /v1/reports``."""

    channel: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said. `status` 0 means that it could not be reached."""

    report: NewReport
    status: int
    reply: Mapping[str, Any]


def parse_rate(text: str) -> float:
    """Read a rate such as ``30/min``. Units: reports per minute.

    Raises
    ------
    BadInputError
        ``demo.bad_rate`` for what is not a rate, or one beyond 100 a second.

    Examples
    --------
    >>> parse_rate("30/min"), parse_rate("2/s"), parse_rate("90/h"), parse_rate("12")
    (30.0, 120.0, 1.5, 12.0)
    """
    match = _RATE.fullmatch(text.strip())
    per_minute = float(match[1]) * _PER_MINUTE[match[2] or "min"] if match else 0.0
    if not _SLOWEST_PER_MINUTE <= per_minute <= _FASTEST_PER_MINUTE:
        raise BadInputError("demo.bad_rate", rate=text)
    return per_minute


def new_reports(*, seed: int, at: datetime, district: District | None = None) -> Iterator[NewReport]:
    """Yield believable reports without end, in the habits of the hour and month of `at`.

    The same seed and instant give the same reports; tickets carry both, so two runs never collide.
    """
    made = district or build_district(seed=DEFAULT_SEED)
    catalogue = load_default()
    rng = np.random.default_rng(seed)
    placer = Placer(made, rng)
    wording = Wording(made, catalogue)
    minor = [c.code for c in catalogue.categories if c.parent]
    weights = _weights(minor, at)
    shares = np.array([s.total for s in SUBDISTRICTS]) ** 0.5  # quiet subdistricts should be seen on the map as well
    kinds = sorted({profile_of(code).places for code in minor})
    number = 0
    while True:
        number += 1
        category = int(rng.choice(len(minor), p=weights))
        channel = int(rng.choice(len(CHANNELS), p=(0.48, 0.2, 0.18, 0.06, 0.08)))
        system = SYSTEMS.index(CHANNELS[channel][4])
        placed = placer.place(
            int(rng.choice(len(SUBDISTRICTS), p=shares / shares.sum())),
            kinds,
            np.array([kinds.index(profile_of(minor[category]).places)]),
            np.array([system]),
        )
        salt = int(rng.integers(1 << 40))
        street, spot, cell = int(placed.street[0]), int(placed.spot[0]), int(placed.cell[0])
        # Far enough to leave every cell, near enough that somebody should go and look.
        astray = 0.028 if number % _STRAY == 0 else 0.0
        body = {
            "ticket": f"{CHANNELS[channel][5]}{at:%y%m%d%H%M%S}-{seed % 10_000:04d}-{number:05d}",
            "text": wording.text(category, -1, street, spot, cell, salt),
            "category": minor[category],
            "lon": round(float(placed.raw_x[0]), 6),
            "lat": round(float(placed.raw_y[0]) + astray, 6),
            "coord_sys": SYSTEMS[system].value,
            "address": wording.address(street, salt),
        }
        yield NewReport(channel=CHANNELS[channel][0], body=body)


async def send_reports(
    reports: Iterator[NewReport],
    *,
    url: str,
    keys: Mapping[str, str],
    per_minute: float,
    count: int | None = None,
) -> AsyncIterator[Answer]:
    """Send reports at a steady rate and yield the answers; stops after `count`, or when its task is cancelled.

    Parameters
    ----------
    keys
        Key by channel; ``"*"`` serves every channel that has none of its own.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    for sent, report in enumerate(islice(reports, count)):
        # By the clock of the beginning, not by adding pauses: a slow answer does not lower the rate.
        await asyncio.sleep(max(0.0, began + sent * 60.0 / per_minute - loop.time()))
        yield await asyncio.to_thread(post_report, report, url, keys.get(report.channel) or keys["*"])


def post_report(report: NewReport, url: str, key: str) -> Answer:
    """Send one report; a refusal or a silent server is an answer too."""
    request = urllib.request.Request(  # noqa: S310 - the address is the operator's own
        f"{url.rstrip('/')}/v1/reports",
        data=json.dumps(report.body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Accept-Language": "zh-CN"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            return Answer(report=report, status=response.status, reply=json.load(response))
    except urllib.error.HTTPError as refusal:
        with refusal:
            text = refusal.read().decode(errors="replace")
        return Answer(report=report, status=refusal.code, reply=_read(text))
    except OSError as failure:
        return Answer(report=report, status=0, reply={"detail": str(getattr(failure, "reason", failure))})


def _read(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"detail": text[:200]}
    return found if isinstance(found, dict) else {"detail": text[:200]}


def _weights(minor: list[str], at: datetime) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    local = at.astimezone(_ZONE)
    weights = np.array(
        [
            p.weight * (HOURS[p.hours][local.hour] + 0.2) * (SEASONS[p.season][local.month - 1] + 0.2)
            for p in map(profile_of, minor)
        ]
    )
    weights *= np.array([0.15 if code[0] == "S" else 1.0 for code in minor])
    shares: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = weights / weights.sum()
    return shares
