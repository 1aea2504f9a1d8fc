"""All faults of a report at once: those of its shape, and of what is left of it also those of its meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import from_json

from api.errors import position_faults, shape_faults
from api.report_bodies import parse_model, report_of
from api.reporting import ReportDesk
from api.schemas import ReportIn
from dispatch.intake import Moment, Report
from geo.errors import Fault, InvalidRequestError

__all__ = ["read_report"]

_POINT: Final = frozenset({"lon", "lat", "coord_sys"})
#: Stand in for what cannot be read, and are never told of.
_STANDING_IN: Final[dict[str, Any]] = {"ticket": "X", "text": "X", "category": "X"}
_SOMEWHERE: Final[dict[str, Any]] = {"lon": 114.0, "lat": 34.0, "coord_sys": "wgs84"}


async def read_report(data: bytes, channel: str, desk: ReportDesk, moment: Moment | None = None) -> Report:
    """Read a body.

    Parameters
    ----------
    moment
        The rules at the instant when it arrived; None asks the clock now.

    Raises
    ------
    InvalidRequestError
        All faults at once, also of rules that are looked at only when the shape is right.
    """
    try:
        return report_of(parse_model(ReportIn, data), channel)
    except RequestValidationError as error:
        shape = shape_faults(error.errors())
        told = [*shape, *await _of_meaning(data, shape, channel, desk, moment)]
        # Swapped axes are seen in any system, also in one that does not exist.
        raise InvalidRequestError([*told, *position_faults(error.body, told)]) from error


async def _of_meaning(
    data: bytes, shape: Sequence[Fault], channel: str, desk: ReportDesk, moment: Moment | None
) -> list[Fault]:
    """What the rules say of the fields that can be read."""
    spoiled = {fault.pointer.split("/")[1] for fault in shape if fault.pointer}
    try:
        # Reads as the model does: orjson would refuse 1e400 and hide the other faults.
        said = from_json(data)
    except ValueError:
        return []
    try:
        if not isinstance(said, Mapping):
            return []
        report = report_of(ReportIn.model_validate_json(orjson.dumps(_mended(said, spoiled))), channel)
        await desk.prepare(report, moment=moment)
    except InvalidRequestError as error:
        unheard = spoiled | (_POINT if spoiled & _POINT else set())
        return [fault for fault in error.faults if fault.pointer.split("/")[1:2] and _name(fault) not in unheard]
    except (ValidationError, orjson.JSONEncodeError):
        return []
    return []


def _name(fault: Fault) -> str:
    return fault.pointer.split("/")[1]


def _mended(said: Mapping[str, Any], spoiled: set[str]) -> dict[str, Any]:
    body = {name: value for name, value in said.items() if name not in spoiled}
    body |= {name: value for name, value in _STANDING_IN.items() if name in spoiled}
    has_point = not spoiled & _POINT and body.get("lon") is not None and body.get("lat") is not None
    if not has_point and (spoiled & _POINT or body.get("address")):
        # An address is looked for nowhere while there is something to mend.
        body |= _SOMEWHERE
    # Who reported is sealed only when a case comes of it.
    body.pop("reporter", None)
    return body
