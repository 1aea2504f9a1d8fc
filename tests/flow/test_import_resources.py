"""Large bad files: the right answer within a bounded memory, enforced by the system and not by a clock."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geo.importing.plan import plan_cells
from tests.unit.test_import_hostile import BOW_TIE, OPTIONS, feature, square

__all__ = ["OPTIONS", "plan_cells"]  # used by the process below


_IN_ITS_OWN_PROCESS = """
import json, resource, sys
from pathlib import Path
limit = int(sys.argv[2])
from tests.flow.test_import_resources import OPTIONS, plan_cells
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
plan = plan_cells(Path(sys.argv[1]), OPTIONS)
print(json.dumps([[fault.code.value, fault.feature] for fault in plan.faults]))
"""


@pytest.mark.parametrize("kind", ["many cells", "one cell of many vertices", "one long name"])
def test_fifty_megabytes_fit_into_a_bounded_memory(tmp_path: Path, kind: str) -> None:
    """The system itself enforces the bound: the process may not hold more than the promised 2 GB of data."""
    path = tmp_path / "large.geojson"
    with path.open("w") as stream:
        stream.write('{"type":"FeatureCollection","features":[')
        if kind == "many cells":
            count = 230_000
            text = json.dumps(feature("A%d", square(0)))
            for number in range(count):
                x = 113 + number % 1000 * 0.0001
                stream.write((text % number).replace("113.6", f"{x:.4f}") + ",")
            stream.write(json.dumps(feature("bad", BOW_TIE)) + "]}")
            expected = [["import.ring_self_crossing", count + 1]]
        elif kind == "one cell of many vertices":
            turn = np.linspace(0, 2 * np.pi, 1_300_000)[:-1]
            ring = np.column_stack((113.6 + 0.1 * np.cos(turn), 34.7 + 0.1 * np.sin(turn))).round(12)
            vertices = ",".join(f"[{x:.15f},{y:.15f}]" for x, y in ring.tolist())
            stream.write(json.dumps(feature("A1", [])).replace("[[]]", f"[[{vertices}]]") + "]}")
            expected = [["import.ring_unclosed", 1]]
        else:
            stream.write(json.dumps(feature("A1", square(0), name="路" * 9_000_000)) + "]}")
            expected = [["import.text_unusable", 1]]
    assert path.stat().st_size > 45_000_000
    command = [sys.executable, "-c", _IN_ITS_OWN_PROCESS, str(path), str(2_000_000_000)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == expected
