"""Grid versions, cells of a draft, comparisons and effects → the JSON of the public interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import shapely

from api.rendering import instant
from dispatch.handover import Effect
from dispatch.posts import Rung
from geo.importing.measures import area_m2, label_points
from geo.redraw.operations import Lineage
from geo.redraw.patch import DraftCell, Patch
from geo.storage.grid_versions import GridVersion
from maps.i18n import Locale


def version_json(
    version: GridVersion, cells: Mapping[int, Mapping[int, int]], numbers: Mapping[int, int]
) -> dict[str, Any]:
    """A version with its cells counted per level. ``numbers``: version id → number."""
    return {
        "number": version.number,
        "name": version.name,
        "status": version.status.value,
        "valid_from": instant(version.valid_from),
        "valid_until": instant(version.valid_until),
        "code_system": version.code_system,
        "source": version.source,
        "created_at": instant(version.created_at),
        "revision": version.revision,
        "based_on": numbers.get(version.based_on) if version.based_on is not None else None,
        "cells": {str(level): count for level, count in cells.get(version.id, {}).items()},
    }


def feature_of(patch: Patch, cell: DraftCell, locale: Locale) -> dict[str, Any]:
    """A cell of a draft as GeoJSON."""
    boundary = patch.shape_in_degrees(cell.shape)
    label = label_points([boundary])[0]
    first, second = (cell.name_en, cell.name_zh) if locale == "en" else (cell.name_zh, cell.name_en)
    return {
        "type": "Feature",
        "id": cell.code,
        "geometry": shapely.geometry.mapping(boundary),
        "properties": {
            "code": cell.code,
            "level": cell.level,
            "kind": cell.kind,
            "name_zh": cell.name_zh,
            "name_en": cell.name_en,
            "name": first or second or cell.code,
            "parent": cell.parent,
            "population": cell.population,
            "area_m2": round(area_m2(boundary), 1),
            "label": [label.x, label.y],
        },
    }


def change_json(patch: Patch, named: Sequence[str], lineage: Sequence[Lineage], locale: Locale) -> dict[str, Any]:
    """What an operation made of a draft: its cells first named, the others it touched only counted."""
    changed = {code for code, cell in patch.cells.items() if cell is not patch.before.get(code)}
    shown = [code for code in named if code in patch.cells]
    gone = [cell for code, cell in sorted(patch.before.items()) if code not in patch.cells]
    return {
        "cells": [feature_of(patch, patch.cells[code], locale) for code in shown],
        "removed": [
            {
                "code": cell.code,
                "name": (cell.name_en if locale == "en" else cell.name_zh) or cell.name_zh or cell.code,
            }
            for cell in gone
        ],
        "below": len(changed - set(shown)),
        "lineage": [{"from": row.from_code, "to": row.to_code, "share": round(row.share, 6)} for row in lineage],
    }


def effect_json(effect: Effect, locale: Locale) -> dict[str, Any]:
    """One open case that a version would concern."""
    return {
        "case": effect.case,
        "status": effect.state.value,
        "location": {"lon": round(effect.lon, 7), "lat": round(effect.lat, 7)},
        "cell": {"before": _last(effect.old_path), "after": _last(effect.new_path)},
        # A cell that goes to another parent keeps its code: then only this differs.
        "parent": {"before": _last(effect.old_path[:-1]), "after": _last(effect.new_path[:-1])},
        "head": {"before": _head(effect.old_head, locale), "after": _head(effect.new_head, locale)},
        "handed_over": effect.is_handed_over,
    }


def _last(path: Sequence[str]) -> str | None:
    return path[-1] if path else None


def _head(rung: Rung | None, locale: Locale) -> str | None:
    if rung is None:
        return None
    return f"{rung.title(locale)} {rung.person_name or ''}".strip()
