"""What a channel hears at the door about its coordinate system: the report is taken all the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from api.container import Container
from api.routes.channels import system_words
from dispatch.datum import datum_hints
from dispatch.intake import Receipt, Report
from geo.cells import LocatedHow
from maps.i18n import Locale, translate

__all__ = ["datum_warnings"]


async def datum_warnings(
    container: Container, report: Report, receipt: Receipt, locale: Locale
) -> list[dict[str, Any]]:
    """Say whether the declared system is probably wrong, by the channel's last check or by this point.

    Cost: a dictionary look-up; for a point outside the grid some 50 µs more, in memory.
    """
    channel = (await container.reference.get()).channels.get(report.channel)
    suspects = channel.suspects if channel is not None else {}
    is_outside = receipt.how == LocatedHow.OUT_OF_GRID
    if report.x is None or report.y is None or not (suspects or is_outside):
        return []
    grid = container.live.index.at(datetime.now(UTC))

    def is_inside(lon: float, lat: float) -> bool:
        # Without the index (just started, or the database away) nothing is said rather than something asked.
        return grid is not None and bool(grid.chain(lon, lat))

    hints = datum_hints((report.x, report.y), report.coord_sys, suspects, is_inside)
    return [
        {
            "code": hint.code,
            "detail": translate(
                locale,
                f"datum.warning.{hint.code.partition('.')[2]}",
                declared=system_words(hint.declared, locale),
                suspected=translate(locale, "datum.or").join(system_words(each, locale) for each in hint.suspected),
            ),
        }
        for hint in hints
    ]
