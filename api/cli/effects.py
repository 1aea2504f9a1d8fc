"""The effect of a version on open cases, as lines of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from api.cli.speech import language, say, t
from dispatch.handover import Effect
from dispatch.posts import Rung

__all__ = ["show_effect"]

_MOST_CASES: Final = 200


def show_effect(found: Sequence[Effect]) -> None:
    """Print the open cases whose cell or head would change."""
    if not found:
        say(t("grid.effect.none"))
        return
    for one in found[:_MOST_CASES]:
        say(
            t(
                "grid.effect.line",
                case=one.case,
                status=t(f"state.{one.state.value}"),
                old_cell=one.old_path[-1] if one.old_path else "–",
                new_cell=one.new_path[-1] if one.new_path else "–",
                old_head=_title(one.old_head),
                new_head=_title(one.new_head),
            )
        )
    if len(found) > _MOST_CASES:
        say("…")
    say(t("grid.effect.summary", count=len(found), handed=sum(one.is_handed_over for one in found)))


def _title(rung: Rung | None) -> str:
    return rung.title(language()) if rung is not None else "–"
