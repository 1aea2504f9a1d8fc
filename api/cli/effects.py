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
                old_cell=_cell(one.old_path, one.new_path),
                new_cell=_cell(one.new_path, one.old_path),
                old_head=_title(one.old_head),
                new_head=_title(one.new_head),
            )
        )
    if len(found) > _MOST_CASES:
        say("…")
    say(t("grid.effect.summary", count=len(found), handed=sum(one.is_handed_over for one in found)))


def _cell(path: Sequence[str], other: Sequence[str]) -> str:
    """The cell; with its parent where that alone differs."""
    if not path:
        return "–"
    return " / ".join(path[-2:]) if other and path[-1] == other[-1] and path != other else path[-1]


def _title(rung: Rung | None) -> str:
    return rung.title(language()) if rung is not None else "–"
