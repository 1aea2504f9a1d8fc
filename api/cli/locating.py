"""`gridward locate`: a file of points → the same file with cell and responsible person on each row."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from api.cli.context import open_database
from api.cli.importing_tables import describe
from api.cli.speech import language, say, t
from api.settings import Settings
from dispatch.located_files.points import PointFile, PointOptions, open_points
from dispatch.located_files.run import FileLocated, Question, locate_file
from dispatch.located_files.run import Progress as Tell
from dispatch.located_files.writing import check_target
from geo.coordinates import CoordSys
from geo.errors import BadInputError
from geo.storage.engine import create_engine
from geo.storage.live_cells import cell_loader
from geo.uncertainty import check_accuracy

SOME_REJECTED: Final = 3
#: Between two lines of progress where there is no terminal. Units: seconds.
LINE_EVERY_S: Final = 5.0


def locate(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", help=t("locating.help.out"), show_default=False)] = None,
    lon: Annotated[str | None, typer.Option("--lon", help=t("locating.help.lon"), show_default=False)] = None,
    lat: Annotated[str | None, typer.Option("--lat", help=t("locating.help.lat"), show_default=False)] = None,
    geometry: Annotated[
        str | None, typer.Option("--geometry", "--wkt", help=t("locating.help.geometry"), show_default=False)
    ] = None,
    coord_sys: Annotated[
        CoordSys | None, typer.Option("--coord-sys", help=t("locating.help.coord_sys"), show_default=False)
    ] = None,
    at: Annotated[str | None, typer.Option("--at", help=t("locating.help.at"), show_default=False)] = None,
    accuracy_m: Annotated[
        str | None, typer.Option("--accuracy-m", help=t("locating.help.accuracy_m"), show_default=False)
    ] = None,
    jurisdiction: Annotated[
        str | None, typer.Option("--jurisdiction", help=t("locating.help.jurisdiction"), show_default=False)
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help=t("locating.help.rejects"), show_default=False)
    ] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help=t("imports.help.encoding"))] = None,
    delimiter: Annotated[str | None, typer.Option("--delimiter", help=t("imports.help.delimiter"))] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help=t("locating.help.overwrite"))] = False,
) -> None:
    """Write the file again with cell and responsible person; exit code 3 when some rows could not be located."""
    options = PointOptions(
        lon=lon,
        lat=lat,
        geometry=geometry,
        coord_sys=coord_sys,
        accuracy=_accuracy(accuracy_m),
        encoding=encoding,
        delimiter=delimiter,
    )
    instant = _instant(at)
    points = open_points(file, options)  # what is wrong with the file is told before a database is started
    plain = file.with_suffix("") if file.suffix == ".gz" else file
    target = out or plain.with_name(f"{plain.stem}.located{plain.suffix}")
    check_target(target, overwrite=overwrite)
    question = Question(
        options=options,
        jurisdiction=jurisdiction or Settings().jurisdiction,
        out=target,
        rejects=rejects or target.with_name(f"{target.stem}.rejects.csv"),
        at=instant,
        language=language(),
    )
    with _progress() as tell:
        found = asyncio.run(_locate(points, question, tell))
    say(
        t(
            "locating.done",
            rows=found.rows,
            covered=found.covered,
            outside=found.outside,
            version=found.version,
            file=str(target),
        )
    )
    if options.accuracy is not None:
        say(t("locating.to_confirm", count=found.to_confirm))
    if found.rejected:
        say(t("locating.rejected", count=found.rejected, file=str(question.rejects)), to_error=True)
        raise typer.Exit(SOME_REJECTED)


async def _locate(points: PointFile, question: Question, tell: Tell) -> FileLocated:
    with open_database() as url:
        # One transaction from the first row to the last: a limit on it would be a limit on the file.
        engine = create_engine(url, pool_size=1, statement_timeout_s=0, name="locate")
        try:
            return await locate_file(engine, cell_loader(url), points, question, describe, tell)
        finally:
            await engine.dispose()


def _accuracy(said: str | None) -> float | str | None:
    """A number is a radius for every row; anything else is the name of a column."""
    if said is None:
        return None
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", said.strip(), re.IGNORECASE):
        radius = float(said)
        check_accuracy(radius)
        return radius
    return said


def _instant(said: str | None) -> datetime | None:
    if said is None:
        return None
    try:
        instant = datetime.fromisoformat(said)
    except ValueError:
        raise BadInputError("locating.not_a_time", value=said[:60]) from None
    if instant.tzinfo is None:
        raise BadInputError("locating.time_without_zone", value=said[:60])
    return instant


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on a terminal, a line now and then in a pipe; it counts lines of text or rows of Parquet."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task(t("locating.stage"), total=None)

        def tell(line: int, total: int) -> None:
            bar.update(task, completed=line, total=max(total, line) if total else None)

        yield tell


def _lines() -> Tell:
    """Say how far it is every few seconds: a log or a script has no bar."""
    begun = said = time.monotonic()

    def tell(line: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < LINE_EVERY_S:
            return
        said = now
        facts = {"done": f"{line:,}", "seconds": round(now - begun)}
        if total > line:
            left = round((now - begun) / line * (total - line))
            say(t("locating.progress", **facts, total=f"{total:,}", left=left), to_error=True)
        else:
            say(t("locating.progress_open", **facts), to_error=True)

    return tell
