"""Choose the reader by the file's name and refuse what no reader should open."""

from __future__ import annotations

from pathlib import Path

from geo.importing.faults import FaultCode, refuse
from geo.importing.features import MAX_FILE_BYTES, MAX_GEOJSON_BYTES, RawFile
from geo.importing.geojson import read_geojson
from geo.importing.ogr import DRIVERS, read_ogr

_GEOJSON = (".geojson", ".json", ".geojson.gz", ".json.gz")


def read_features(path: Path, *, layer: str | None = None, encoding: str | None = None) -> RawFile:
    """Read a file of cells: GeoJSON (also ``.gz``), GeoPackage, Shapefile (also ``.zip``) or KML.

    Raises
    ------
    FileRefusedError
        The file as a whole cannot be read; faults of single features come back in ``RawFile.faults``.
    """
    if not path.is_file():
        raise refuse(FaultCode.FILE_MISSING, file=path.name)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise refuse(FaultCode.FILE_TOO_LARGE, limit=MAX_FILE_BYTES)
    name = path.name.lower()
    if name.endswith(_GEOJSON):
        if path.stat().st_size > MAX_GEOJSON_BYTES:
            raise refuse(FaultCode.FILE_TOO_LARGE, limit=MAX_GEOJSON_BYTES)
        found = read_geojson(path, encoding=encoding)
    elif path.suffix.lower() in DRIVERS:
        found = read_ogr(path, layer=layer, encoding=encoding)
    else:
        raise refuse(FaultCode.FORMAT_UNKNOWN, found=path.suffix or path.name)
    if not found.features and not found.faults:
        raise refuse(FaultCode.NO_FEATURES)
    return found
