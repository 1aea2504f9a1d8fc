"""`gridward test` and `gridward bench`: for the source tree, where the tests are."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from api.cli.data_dir import project_root
from api.cli.speech import fail, t


def test(context: typer.Context) -> None:
    """Run the whole suite, or what the pytest arguments select."""
    root = project_root()
    if root is None or not (root / "tests").is_dir():
        fail(t("cli.test.no_tree"))
    os.chdir(root)
    # The whole suite runs file by file on up to four processors; a selection in one process, so that `--pdb` works.
    processors = min(4, os.cpu_count() or 1)
    spread = [] if context.args else ["-n", str(processors), "--dist", "loadfile", "--durations", "40"]
    # Replaces this process: signals, exit code and output are pytest's own.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "pytest", *spread, *context.args])  # noqa: S606 - no shell is wanted


def bench(
    name: Annotated[str, typer.Argument(help=t("cli.bench.name"))],
    full: Annotated[bool, typer.Option("--full", help=t("cli.bench.full"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=t("cli.bench.json"))] = False,
) -> None:
    """Measure one promise; exit 0 when all figures hold, 3 when one falls short."""
    root = project_root()
    if root is None or not (root / "bench").is_dir():
        fail(t("cli.test.no_tree"))
    import bench as benches

    raise typer.Exit(benches.run(name, full=full, as_json=as_json))
