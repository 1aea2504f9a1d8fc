"""All cases in one cell: nothing can be said of the pattern, and no warning or error says it."""

from __future__ import annotations

import numpy as np
import pytest

from maps.hotspots.moran import moran
from maps.hotspots.neighbours import Kind, Neighbours


def ring(cells: int) -> Neighbours:
    """Cells around a square, each beside two: wherever one spike lies, the index is the same."""
    others = [sorted({(i - 1) % cells, (i + 1) % cells}) for i in range(cells)]
    return Neighbours(
        kind=Kind.CONTIGUITY,
        parameter=None,
        starts=np.cumsum([0, *map(len, others)]).astype(np.int64),
        others=np.concatenate(others).astype(np.int64),
    )


@pytest.mark.parametrize("cells", [4, 8, 31, 228])
@pytest.mark.parametrize("place", [0, 1, -1])
def test_no_error_and_no_invented_significance(cells: int, place: int) -> None:
    values = np.zeros(cells)
    values[place] = 40.0
    found = moran(values, ring(cells), permutations=99)
    assert np.isfinite(found.expected)
    assert np.isnan(found.p)
