"""What is told of a photo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.rendering import instant

__all__ = ["photo_json"]


def photo_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """A photo as its case shows it."""
    has_place = row["lon"] is not None
    return {
        "id": str(row["id"]),
        "kind": row["kind"],
        "url": f"/v1/photos/{row['id']}",
        "preview_url": f"/v1/photos/{row['id']}?size=preview",
        "width": row["width"],
        "height": row["height"],
        "sha256": bytes(row["digest"]).hex(),
        "sent_sha256": bytes(row["sent_digest"]).hex(),
        "position": {"lon": row["lon"], "lat": row["lat"]} if has_place else None,
        "taken_at": row["taken_at"],
        "added_at": instant(row["added_at"]),
        "added_by": row["added_by"],
    }
