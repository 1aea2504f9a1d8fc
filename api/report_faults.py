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
from geo.errors import Fault, InvalidRequestError

__all__ = ["read_report"]

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
        raise InvalidRequestError([*shape, *await _of_meaning(data, shape, channel, desk, moment)]) from error


async def _of_meaning(
    data: bytes, shape: Sequence[Fault], channel: str, desk: ReportDesk, moment: Moment | None
) -> list[Fault]:
    """What the rules say of the fields that can be read."""
    spoiled = {_name(fault) for fault in shape if fault.pointer}
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
        return [fault for fault in error.faults if fault.pointer and _name(fault) not in spoiled]
    except (ValidationError, orjson.JSONEncodeError):
        return []
    return []


def _name(fault: Fault) -> str:
    """The field of the report in which the fault lies: the first step of a JSON pointer (RFC 6901)."""
    return fault.pointer.split("/")[1].replace("~1", "/").replace("~0", "~")


def _mended(said: Mapping[str, Any], spoiled: set[str]) -> dict[str, Any]:
    body = {name: value for name, value in said.items() if name not in spoiled}
    body |= {name: value for name, value in (_STANDING_IN | _SOMEWHERE).items() if name in spoiled}
    if body.get("lon") is None and body.get("lat") is None and body.get("address"):
        # An address is looked for nowhere while there is something to mend.
        body |= _SOMEWHERE
    # Who reported is sealed only when a case comes of it.
    body.pop("reporter", None)
    return body
