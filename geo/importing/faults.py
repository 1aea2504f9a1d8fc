"""What can be wrong with an imported feature, by name; no language, no HTTP.

A *fault* stops the import (all or nothing); a *note* tells of something that was normalised or assumed, so that nothing
is repaired in silence. The catalogue key of both is ``error.`` followed by the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FaultCode(StrEnum):
    """Stable codes of everything that makes an import stop."""

    # the file
    FILE_MISSING = "import.file_missing"
    FILE_TOO_LARGE = "import.file_too_large"
    FORMAT_UNKNOWN = "import.format_unknown"
    FILE_UNREADABLE = "import.file_unreadable"
    JSON_BROKEN = "import.json_broken"
    ENCODING = "import.encoding"
    TOO_DEEP = "import.too_deep"
    NO_FEATURES = "import.no_features"
    LAYER_CHOICE = "import.layer_choice"
    LAYER_UNKNOWN = "import.layer_unknown"
    CRS_MISSING = "import.crs_missing"
    CRS_UNKNOWN = "import.crs_unknown"
    CRS_CONFLICT = "import.crs_conflict"
    COLUMN_MISSING = "import.column_missing"
    OPTION_CONFLICT = "import.option_conflict"
    # the shape
    KEY_REPEATED = "import.key_repeated"
    NOT_A_FEATURE = "import.not_a_feature"
    GEOMETRY_MALFORMED = "import.geometry_malformed"
    NOT_POLYGON = "import.not_polygon"
    EMPTY_GEOMETRY = "import.empty_geometry"
    RING_UNCLOSED = "import.ring_unclosed"
    RING_TOO_SHORT = "import.ring_too_short"
    RING_SELF_CROSSING = "import.ring_self_crossing"
    RING_SELF_TOUCHING = "import.ring_self_touching"
    HOLE_OUTSIDE = "import.hole_outside"
    HOLES_NESTED = "import.holes_nested"
    INTERIOR_SPLIT = "import.interior_split"
    PARTS_NESTED = "import.parts_nested"
    RING_REPEATED = "import.ring_repeated"
    SHAPE_INVALID = "import.shape_invalid"
    COLLAPSED = "import.collapsed_by_snapping"
    # the position
    COORDINATE_NOT_FINITE = "import.coordinate_not_finite"
    LONGITUDE_OUT_OF_RANGE = "import.longitude_out_of_range"
    LATITUDE_OUT_OF_RANGE = "import.latitude_out_of_range"
    AXES_SWAPPED = "import.axes_swapped"
    LOOKS_LIKE_DEGREES = "import.looks_like_degrees"
    TOO_WIDE = "import.too_wide"
    NOT_TRANSFORMABLE = "import.not_transformable"
    # the attributes
    CODE_MISSING = "import.code_missing"
    CODE_UNUSABLE = "import.code_unusable"
    CODE_NUMBER = "import.code_number"
    DUPLICATE_CODE = "import.duplicate_code"
    CODE_SYSTEM = "import.code_system"
    CODE_NOT_UNDER_PARENT = "import.code_not_under_parent"
    TEXT_UNUSABLE = "import.text_unusable"
    KIND_UNKNOWN = "import.kind_unknown"
    NUMBER_UNUSABLE = "import.number_unusable"
    LEVEL_MISSING = "import.level_missing"
    LEVEL_UNUSABLE = "import.level_unusable"
    # the tree
    ORPHAN = "import.orphan"
    PARENT_LEVEL = "import.parent_level"
    DUPLICATE_SHAPE = "import.duplicate_shape"


class NoteCode(StrEnum):
    """Stable codes of what was normalised or assumed, and therefore said."""

    FLATTENED = "import.note.flattened"
    WINDING = "import.note.winding"
    REPEATED_VERTEX = "import.note.repeated_vertex"
    BOM = "import.note.bom"
    ENCODING_GUESSED = "import.note.encoding_guessed"
    CRS_FROM_FILE = "import.note.crs_from_file"
    CRS_OVERRIDDEN = "import.note.crs_overridden"
    SNAPPED = "import.note.snapped"
    NAME_FROM_CODE = "import.note.name_from_code"
    DISSOLVED = "import.note.dissolved"
    DISSOLVED_INEXACT = "import.note.dissolved_inexact"
    REPAIRED = "import.note.repaired"
    DATUM_SUSPECTED = "import.note.datum_suspected"
    OUTSIDE_BOX = "import.note.outside_box"
    OUTSIDE_REGION = "import.note.outside_region"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One reason why a file cannot be imported.

    Parameters
    ----------
    code
        Stable name of the reason.
    feature
        Number of the feature in the file, counted from 1; ``None`` when the whole file is meant.
    position
        Where, as ``(x, y)`` **in the file's own coordinates**, because that is where it must be mended.
    params
        Plain values for the text in the catalogue.
    """

    code: FaultCode
    feature: int | None = None
    position: tuple[float, float] | None = None
    params: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something normalised or assumed, with the features it touched (numbers from 1, all of them counted)."""

    code: NoteCode
    count: int = 1
    features: tuple[int, ...] = ()
    params: Mapping[str, str | int | float] = field(default_factory=dict)


class FileRefusedError(Exception):
    """Internal signal of this package: the file as a whole cannot be read; carries its one fault.

    It never leaves the package: `geo.importing.cells` turns it into the error tree's ``import.rejected``.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code.value)
        self.fault = fault


def refuse(code: FaultCode, **params: str | int | float) -> FileRefusedError:
    """Build the signal for a fault of the whole file."""
    return FileRefusedError(Fault(code=code, params=params))
