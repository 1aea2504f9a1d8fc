"""Where a jurisdiction lies, roughly, by the first digits of its code: enough to notice a grid of somewhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from geo.importing.faults import Note, NoteCode
from geo.importing.plan import PlannedCell

__all__ = ["REGIONS", "outside_region"]

#: First two digits of GB/T 2260 → west, south, east, north, on land and rounded outwards. Units: degrees.
REGIONS: Final[dict[str, tuple[float, float, float, float]]] = {
    "11": (115.3, 39.3, 117.6, 41.2),
    "12": (116.6, 38.4, 118.2, 40.4),
    "13": (113.3, 35.9, 120.0, 42.8),
    "14": (110.1, 34.4, 114.7, 40.9),
    "15": (97.0, 37.2, 126.2, 53.5),
    "21": (118.7, 38.6, 125.9, 43.6),
    "22": (121.5, 40.7, 131.5, 46.4),
    "23": (121.0, 43.3, 135.3, 53.7),
    "31": (120.7, 30.5, 122.3, 32.0),
    "32": (116.2, 30.6, 122.2, 35.3),
    "33": (117.9, 26.9, 123.3, 31.3),
    "34": (114.7, 29.2, 119.8, 34.8),
    "35": (115.7, 23.3, 120.9, 28.5),
    "36": (113.4, 24.3, 118.6, 30.2),
    "37": (114.6, 34.2, 122.9, 38.6),
    "41": (110.2, 31.2, 116.8, 36.5),
    "42": (108.2, 28.9, 116.3, 33.4),
    "43": (108.6, 24.5, 114.4, 30.3),
    "44": (109.5, 20.0, 117.5, 25.7),
    "45": (104.3, 20.7, 112.2, 26.5),
    "46": (108.4, 3.3, 117.9, 20.4),
    "50": (105.1, 28.0, 110.3, 32.4),
    "51": (97.2, 25.9, 108.7, 34.5),
    "52": (103.4, 24.5, 109.7, 29.4),
    "53": (97.4, 21.0, 106.3, 29.4),
    "54": (78.2, 26.7, 99.3, 36.7),
    "61": (105.3, 31.5, 111.4, 39.7),
    "62": (92.1, 32.4, 109.0, 43.0),
    "63": (89.2, 31.4, 103.3, 39.4),
    "64": (104.1, 35.1, 107.8, 39.5),
    "65": (73.3, 34.2, 96.6, 49.4),
    "71": (118.0, 21.7, 122.3, 26.5),
    "81": (113.7, 22.0, 114.6, 22.7),
    "82": (113.4, 22.0, 113.7, 22.3),
}


def outside_region(cells: Sequence[PlannedCell], jurisdiction: str) -> list[Note]:
    """Say how many cells lie outside the province that a jurisdiction's code names; nothing when it names none.

    A warning and no fault: the code may be a made-up one, and people can know.
    """
    box = REGIONS.get(jurisdiction[:2])
    if box is None:
        return []
    west, south, east, north = box
    out = sum(not (west <= cell.label_point.x <= east and south <= cell.label_point.y <= north) for cell in cells)
    if not out:
        return []
    params: dict[str, str | int | float] = {
        "jurisdiction": jurisdiction,
        "west": west,
        "south": south,
        "east": east,
        "north": north,
    }
    return [Note(code=NoteCode.OUTSIDE_REGION, count=out, params=params)]
