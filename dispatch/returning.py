"""Returning a case with evidence, and sending it to another cell than the one its point lies in."""

from __future__ import annotations

from typing import Any

from dispatch.making import Act, GivenPosition
from dispatch.storage.returns import add_return, distance_to, find_valid_cell
from geo.coordinates import check_position, snap_to_grid, to_wgs84
from geo.errors import BadInputError

__all__ = ["keep_evidence", "keep_position", "send_to_cell"]


async def keep_evidence(act: Act) -> dict[str, Any]:
    """Lay the point against the polygon that answered and keep what was found.

    The point is the one that the returner gives, or the stored one; the polygon is the cell of the version by which the
    case has its owner. Nothing is decided here: whether the return is right is for the dispatcher to see on the map.
    """
    given = act.request.position
    lonlat = _lonlat(given) if given is not None else None
    found = await add_return(
        act.unit,
        act.case["id"],
        number=act.case["return_count"],
        at=act.at,
        by=act.request.actor.name,
        reason=act.request.reason,
        lonlat=lonlat,
        raw=(given.x, given.y, given.coord_sys.value) if given else None,
    )
    act.payload["evidence"] = {name: value for name, value in found.items() if value is not None}
    return {}


def _lonlat(given: GivenPosition) -> tuple[float, float]:
    try:
        check_position(given.x, given.y)
    except BadInputError as error:
        raise BadInputError(error.code, pointer="/position/lon", **error.params) from None
    lon, lat = to_wgs84(given.x, given.y, given.coord_sys)
    return snap_to_grid(lon), snap_to_grid(lat)


async def keep_position(act: Act) -> None:
    """Keep where somebody stood who reports back, and how far that is from the case; nothing when they do not say."""
    given = act.request.position
    if given is None:
        return
    lon, lat = _lonlat(given)
    distance_m = await distance_to(act.unit, act.case["id"], lon, lat)
    known = {"distance_m": round(distance_m, 1)} if distance_m is not None else {}
    act.payload["reported_from"] = {"lon": lon, "lat": lat, **known}


async def send_to_cell(act: Act) -> dict[str, Any]:
    """Let another cell answer: the dispatcher's decision, also for a point that lies in no cell.

    Raises
    ------
    BadInputError
        ``dispatch.unknown_cell`` when the grid valid now has no such cell.
    """
    code = act.request.cell
    if not code:
        return {}
    found = await find_valid_cell(act.unit, act.case["jurisdiction"], code, act.at)
    if found is None:
        raise BadInputError("dispatch.unknown_cell", pointer="/cell", cell=code)
    version_id, path = found
    act.payload["cell"] = code
    return {"owner_version_id": version_id, "owner_path": None if path == act.case["cell_path"] else path}
