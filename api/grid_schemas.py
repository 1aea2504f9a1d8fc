"""Bodies of the grid door: new drafts, operations, activation. Shapes only; rules live in `geo.redraw`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
)

from api.schemas import Short, SoundText
from api.spelling import Spelling, misspelled
from geo.cells import CellKind
from geo.redraw.operations import Add, Edit, Merge, MoveBoundary, NewCell, Operation, Reassign, Retire, Split

CellCode = Annotated[SoundText, Spelling(r"^[^\s/]{1,40}$", "410102001001")]
Name = Annotated[SoundText, StringConstraints(max_length=200)]
Lon = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Lat = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Position = tuple[Lon, Lat]
Line = Annotated[list[Position], Field(min_length=2, max_length=2000)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]
#: What the column of versions' numbers holds.
MOST_NUMBER = 2**31 - 1


def _as_base(value: object) -> object:
    is_number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_NUMBER
    if is_number or value is None or value == "active":
        return value
    raise misspelled("3 / active")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DraftIn(_Strict):
    """A new draft."""

    name: Name = ""
    based_on: Annotated[int | Literal["active"] | None, BeforeValidator(_as_base)] = Field(
        "active", description="Number of the version to copy; `active` is the one valid now; null begins empty"
    )
    code_system: Annotated[str, StringConstraints(max_length=40)] | None = Field(
        None, description="How codes are written; left out, a copy keeps its base's and an empty draft is `free`"
    )


class NewCellIn(_Strict):
    """A cell that an operation makes."""

    code: CellCode
    name_zh: Name = ""
    name_en: Name = ""
    kind: CellKind = CellKind.ORDINARY
    population: Count | None = None
    households: Count | None = None
    children: list[CellCode] = Field([], max_length=5000, description="When a cell with children is split")

    def value(self) -> NewCell:
        """As the rules know it."""
        return NewCell(**{**self.model_dump(), "kind": self.kind.value, "children": tuple(self.children)})


class SplitIn(_Strict):
    """Cut a cell in two: left of the line becomes `into[0]`, right of it `into[1]`. WGS84."""

    operation: Literal["split"]
    cell: CellCode
    line: Line | None = None
    into: Annotated[list[NewCellIn], Field(min_length=2, max_length=2)]

    def value(self) -> Operation:
        """As the rules know it."""
        return Split(cell=self.cell, line=tuple(self.line or ()), into=(self.into[0].value(), self.into[1].value()))


class MergeIn(_Strict):
    """Make one cell of neighbours with one parent."""

    operation: Literal["merge"]
    cells: Annotated[list[CellCode], Field(min_length=2, max_length=200)]
    into: NewCellIn

    def value(self) -> Operation:
        """As the rules know it."""
        return Merge(cells=tuple(self.cells), into=self.into.value())


class MoveBoundaryIn(_Strict):
    """Draw the boundary between two neighbours anew. WGS84."""

    operation: Literal["move_boundary"]
    cells: Annotated[list[CellCode], Field(min_length=2, max_length=2)]
    line: Line

    def value(self) -> Operation:
        """As the rules know it."""
        return MoveBoundary(cells=(self.cells[0], self.cells[1]), line=tuple(self.line))


class ReassignIn(_Strict):
    """Give a cell to another parent that it touches."""

    operation: Literal["reassign"]
    cell: CellCode
    parent: CellCode

    def value(self) -> Operation:
        """As the rules know it."""
        return Reassign(cell=self.cell, parent=self.parent)


class RetireIn(_Strict):
    """End a cell; its area goes to a neighbour."""

    operation: Literal["retire"]
    cell: CellCode
    to: CellCode

    def value(self) -> Operation:
        """As the rules know it."""
        return Retire(cell=self.cell, to=self.to)


class ChangesIn(_Strict):
    """What to change about a cell; what is left out stays."""

    code: CellCode = ""
    name_zh: Name = ""
    name_en: Name = ""
    kind: CellKind = CellKind.ORDINARY
    population: Count | None = None
    households: Count | None = None


class EditIn(_Strict):
    """Change what is written about a cell."""

    operation: Literal["edit"]
    cell: CellCode
    set: ChangesIn

    def value(self) -> Operation:
        """As the rules know it."""
        changes: dict[str, Any] = self.set.model_dump(exclude_unset=True)
        if "kind" in changes:
            changes["kind"] = changes["kind"].value
        return Edit(cell=self.cell, changes=changes)


class AddIn(_Strict):
    """Add a level-1 cell by its boundary (WGS84), or the first child of a cell, on its parent's whole area."""

    operation: Literal["add"]
    into: NewCellIn
    parent: CellCode | None = None
    boundary: list[Annotated[list[Position], Field(min_length=4, max_length=20_000)]] = Field(
        [], max_length=100, description="Rings of one polygon, closed, the outline first"
    )

    def value(self) -> Operation:
        """As the rules know it."""
        return Add(into=self.into.value(), parent=self.parent, rings=tuple(tuple(ring) for ring in self.boundary))


OperationIn = Annotated[
    SplitIn | MergeIn | MoveBoundaryIn | ReassignIn | RetireIn | EditIn | AddIn, Field(discriminator="operation")
]
OPERATION: TypeAdapter[Any] = TypeAdapter(OperationIn)


def _sized(value: dict[str, str]) -> dict[str, str]:
    return {kind: reason.strip() for kind, reason in value.items()}


class ActivateIn(_Strict):
    """From when a draft is valid, and which errors of its coverage are accepted."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    since: AwareDatetime | None = Field(None, alias="from", description="From when; left out: now. Later: scheduled")
    at: AwareDatetime | None = Field(None, description="The same as `from`")
    accept: Annotated[dict[str, Short], AfterValidator(_sized)] = Field(
        {}, max_length=20, description="Class of findings → why it is accepted; recorded"
    )
    reason: Short = Field("", description="Accepts every class of errors for one reason; recorded")

    @property
    def instant(self) -> datetime | None:
        """From when."""
        return self.since or self.at
