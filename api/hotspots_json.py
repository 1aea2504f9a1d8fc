"""Statistics as JSON: each with its method, source, unit and what small counts allow to be said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from api.hotspots_reading import HotspotsRead
from api.rendering import instant
from maps.hotspots.emerging import Emerging
from maps.hotspots.explaining import Reason
from maps.hotspots.gi_star import HotSpots
from maps.hotspots.moran import LocalMoran, Moran
from maps.hotspots.near_repeats import Knox, coarse_knox
from maps.hotspots.neighbours import Neighbours
from maps.hotspots.significance import FEWEST_CELLS, Tone
from maps.hotspots.sites import FinderSplit
from maps.hotspots.sources import SOURCES, Statistic
from maps.i18n import Locale, translate
from maps.suppression import SMALL_COUNT, Disclosure

__all__ = [
    "emerging_json",
    "finder_json",
    "frame_json",
    "gi_json",
    "knox_json",
    "local_json",
    "moran_json",
    "number",
    "reason_json",
]

_OPEN = (Disclosure.SHOWN, Disclosure.NONE)


def number(value: float, digits: int = 9) -> float | None:
    """A number, or null where there is none."""
    return None if value != value else round(float(value), digits)


def frame_json(locale: Locale, read: HotspotsRead, *statistics: Statistic) -> dict[str, Any]:
    """What every answer begins with: when, of what, on which boundaries, by which method from which paper."""
    return {
        "as_of": instant(read.as_of),
        "first_day": read.period.from_on.isoformat(),
        "last_day": read.period.to_on.isoformat(),
        "level": read.level,
        "drawing": read.drawing.as_json(locale),
        "cells_tested": len(read.cells),
        "too_few_cells": len(read.cells) < FEWEST_CELLS,
        "fewest_cells": FEWEST_CELLS,
        "small_count": SMALL_COUNT,
        "is_coarse": not read.sees_cases,
        "methods": [
            {
                "statistic": each,
                "name": translate(locale, f"hotspots.statistic.{each.value}"),
                "source": SOURCES[each].citation,
                "unit": translate(locale, f"hotspots.unit.{each.value}"),
                "means_not": translate(locale, f"hotspots.not.{each.value}"),
            }
            for each in statistics
        ],
    }


def _weights(read: HotspotsRead, neighbours: Neighbours) -> dict[str, Any]:
    return {"kind": read.weights, "parameter": neighbours.parameter, "mean_neighbours": _mean(neighbours)}


def _mean(neighbours: Neighbours) -> float:
    return round(float(neighbours.cardinalities.mean()), 3) if len(neighbours) else 0.0


def _cell(read: HotspotsRead, locale: Locale, k: int) -> dict[str, Any]:
    return {"code": read.cells[k].code, "name": read.cells[k].name(locale)}


def _count(cases: npt.NDArray[np.int64], disclosures: Sequence[Disclosure], k: int) -> dict[str, Any]:
    """A count, or null and why not."""
    is_open = disclosures[k] in _OPEN
    return {"cases": int(cases[k]) if is_open else None, "disclosure": disclosures[k]}


def _open_around(disclosures: Sequence[Disclosure], neighbours: Neighbours) -> list[bool]:
    """Whether cell and neighbours may all be shown: then z may be exact, else it would give a small one away."""
    closed = np.array([each not in _OPEN for each in disclosures], dtype=np.float64)
    around = neighbours.lag(closed) + closed
    return [each == 0 for each in around.tolist()]


def gi_json(
    locale: Locale, read: HotspotsRead, found: HotSpots, cases: npt.NDArray[np.int64], neighbours: Neighbours
) -> dict[str, Any]:
    """Gi* of every cell. z has nine digits, or one where cell or neighbours have a small count."""
    disclosures = read.disclosures(cases)
    exact = _open_around(disclosures, neighbours)
    tones = [Tone(int(tone)) for tone in found.tones.tolist()]
    cells = [
        _cell(read, locale, k)
        | _count(cases, disclosures, k)
        | {
            "z": number(found.z[k], 9 if exact[k] else 1),
            "p": number(found.p[k], 9 if exact[k] else 4),
            "q": number(found.q[k], 9 if exact[k] else 4),
            "tone": tones[k].name.lower(),
            "neighbours": int(neighbours.cardinalities[k]),
            "why_url": f"/v1/hotspots/cells/{read.cells[k].code}",
        }
        for k in range(len(read.cells))
    ]
    cells.sort(key=lambda cell: (cell["q"] is None, cell["q"], -abs(cell["z"] or 0), cell["code"]))
    return frame_json(locale, read, Statistic.GI_STAR, Statistic.FDR) | {
        "weights": _weights(read, neighbours),
        "null": found.null,
        "permutations": found.permutations,
        "seed": found.seed,
        "is_tested": not found.too_few,
        "hot": sum(tone > 0 for tone in tones),
        "cold": sum(tone < 0 for tone in tones),
        "cells": cells,
    }


def reason_json(
    locale: Locale, read: HotspotsRead, reason: Reason, cases: npt.NDArray[np.int64], neighbours: Neighbours
) -> dict[str, Any]:
    """Why one cell has its colour: numbers, neighbours, p, sample size, and what it does not mean."""
    disclosures = read.disclosures(cases)
    place = {cell.code: k for k, cell in enumerate(read.cells)}
    k = place[reason.code]
    is_open = _open_around(disclosures, neighbours)[k]
    digits = 9 if is_open else 1
    return frame_json(locale, read, Statistic.GI_STAR, Statistic.FDR) | {
        **_cell(read, locale, k),
        **_count(cases, disclosures, k),
        "tone": reason.tone.name.lower(),
        "verdict": translate(locale, f"measures.sign.{reason.tone.name.lower()}"),
        "z": None if reason.z is None else round(reason.z, digits),
        "p": None if reason.p is None else round(reason.p, digits if is_open else 4),
        "q": None if reason.q is None else round(reason.q, digits if is_open else 4),
        "sum": int(reason.sum) if is_open else None,
        "expected": round(reason.expected, 2),
        "mean": round(reason.mean, 2),
        "deviation": round(reason.deviation, 2),
        "terms": reason.terms,
        "weights": _weights(read, neighbours),
        "null": reason.null,
        "permutations": reason.permutations,
        "seed": reason.seed,
        "neighbours": [
            _cell(read, locale, place[each.code]) | _count(cases, disclosures, place[each.code])
            for each in reason.neighbours
        ],
        "does_not_mean": [
            {"code": each, "text": translate(locale, f"measures.caution.{each.value}")} for each in reason.cautions
        ],
    }


def moran_json(found: Moran) -> dict[str, Any]:
    """Moran's I of the whole map."""
    return {
        "i": number(found.i),
        "expected": number(found.expected),
        "z": number(found.z),
        "p": number(found.p),
        "z_normal": number(found.z_normal),
        "p_normal": number(found.p_normal),
        "permutations": found.permutations,
        "p_permuted": number(found.p_permuted),
        "is_tested": not found.too_few,
    }


def local_json(
    locale: Locale, read: HotspotsRead, found: LocalMoran, cases: npt.NDArray[np.int64], neighbours: Neighbours
) -> list[dict[str, Any]]:
    """Moran's I of each cell."""
    disclosures = read.disclosures(cases)
    exact = _open_around(disclosures, neighbours)
    return [
        _cell(read, locale, k)
        | _count(cases, disclosures, k)
        | {
            "i": number(found.i[k], 9 if exact[k] else 1),
            "p": number(found.p[k], 9 if exact[k] else 4),
            "q": number(found.q[k], 9 if exact[k] else 4),
            "quadrant": found.quadrants[k],
        }
        for k in range(len(read.cells))
    ]


def emerging_json(locale: Locale, read: HotspotsRead, found: Sequence[Emerging]) -> list[dict[str, Any]]:
    """The history of each cell that has one."""
    cells = []
    for k, each in enumerate(found):
        side = "hot" if each.is_hot else "cold"
        cells.append(
            _cell(read, locale, k)
            | {
                "pattern": each.pattern,
                "side": None if each.pattern.value == "none" else side,
                "name_of_pattern": translate(locale, f"hotspots.pattern.{each.pattern.value}"),
                "hot_steps": each.hot_steps,
                "cold_steps": each.cold_steps,
                "trend_z": number(each.trend.z, 6),
                "trend_p": number(each.trend.p, 6),
            }
        )
    return cells


def knox_json(found: Knox, *, is_coarse: bool = False) -> dict[str, Any]:
    """Knox's table; a pair count below the smallest that may be shown is null.

    Parameters
    ----------
    is_coarse
        In steps of five, also what is expected: it follows from the number of cases.
    """
    found = coarse_knox(found) if is_coarse else found
    rows = []
    for i, distance in enumerate(found.distances_m):
        for j, days in enumerate(found.days):
            pairs = int(found.observed[i, j])
            is_open = pairs == 0 or pairs >= SMALL_COUNT
            rows.append(
                {
                    "up_to_m": distance,
                    "up_to_days": days,
                    "observed": pairs if is_open else None,
                    "expected": number(found.expected[i, j], 3),
                    "ratio": number(found.ratio[i, j], 3) if is_open else None,
                    "p": number(found.p[i, j], 6),
                }
            )
    return {"cases": found.cases, "permutations": found.permutations, "seed": found.seed, "bands": rows}


def finder_json(
    locale: Locale, read: HotspotsRead, splits: Sequence[FinderSplit], cases: npt.NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Who finds the cases of each cell; without numbers where one side is small."""
    cells = []
    disclosures = read.disclosures(cases)
    for k, each in enumerate(splits):
        sides = (each.patrol, each.citizen)
        is_open = disclosures[k] in _OPEN and all(side == 0 or side >= SMALL_COUNT for side in sides)
        cells.append(
            _cell(read, locale, k)
            | {
                "cases": int(cases[k]) if disclosures[k] in _OPEN else None,
                "patrol": each.patrol if is_open else None,
                "citizen": each.citizen if is_open else None,
                "patrol_share": _rounded(each.share) if is_open else None,
                "low": _rounded(each.low) if is_open else None,
                "high": _rounded(each.high) if is_open else None,
                "z": _rounded(each.z) if is_open else None,
                "p": _rounded(each.p) if is_open else None,
            }
        )
    return cells


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
