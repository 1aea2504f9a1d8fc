"""All faults of a report at once: those of its shape, and of what is left of it also those of its meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import from_json

from api.errors import shape_faults
from api.report_bodies import parse_model, report_of
from api.reporting import ReportDesk
from api.schemas import ReportIn
from dispatch.intake import Moment, Report
from geo.errors import Fault, InvalidRequestError, json_pointer

__all__ = ["read_report"]

#: Stand in for what cannot be read, and are never told of.
_IN_A_LIST: Final = "X"
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
        raise InvalidRequestError([*shape, *await _of_meaning(data, shape, channel, desk, moment)]) from error


async def _of_meaning(
    data: bytes, shape: Sequence[Fault], channel: str, desk: ReportDesk, moment: Moment | None
) -> list[Fault]:
    """What the rules say of the fields that can be read."""
    spoiled = {fault.pointer for fault in shape if fault.pointer}
    try:
        # Reads as the model does: orjson would refuse 1e400 and hide the other faults.
        said = from_json(data)
    except ValueError:
        return []
    try:
        if not isinstance(said, Mapping):
            return []
        report = report_of(ReportIn.model_validate_json(orjson.dumps(_mended(said, spoiled))), channel)
        await desk.check(report, moment)
    except InvalidRequestError as error:
        return [fault for fault in error.faults if fault.pointer not in spoiled]
    except (ValidationError, orjson.JSONEncodeError):
        return []
    return []


def _mended(said: Mapping[str, Any], spoiled: set[str]) -> dict[str, Any]:
    """What was said without what is wrong about it; the rules can be asked about the rest."""
    body = {name: _without(name, value, spoiled) for name, value in said.items()}
    gone = {name for name in (*said, *_STANDING_IN, *_SOMEWHERE) if json_pointer(name) in spoiled}
    body = {name: value for name, value in body.items() if name not in gone}
    body |= {name: value for name, value in (_STANDING_IN | _SOMEWHERE).items() if name in gone}
    if body.get("lon") is None and body.get("lat") is None and body.get("address"):
        # An address is looked for nowhere while there is something to mend.
        body |= _SOMEWHERE
    return body


def _without(field: str, value: Any, spoiled: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: part for name, part in value.items() if json_pointer(field, name) not in spoiled}
    if isinstance(value, list):
        # In its place, so that the others keep theirs.
        return [_IN_A_LIST if json_pointer(field, place) in spoiled else part for place, part in enumerate(value)]
    return value
