"""GeoPackage, Shapefile (also zipped) and KML through OGR."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError
from shapely.geometry.base import BaseGeometry

from geo.importing.faults import Fault, FaultCode, Note, NoteCode, refuse
from geo.importing.features import MAX_FILE_BYTES, RawFeature, RawFile

DRIVERS = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".zip": "ESRI Shapefile", ".kml": "KML", ".kmz": "KML"}
_OGR_ERRORS = (DataSourceError, DataLayerError, FeatureError, FieldError, GeometryError)


def read_ogr(path: Path, *, layer: str | None = None, encoding: str | None = None) -> RawFile:
    """Read one layer of a file that OGR understands.

    A Shapefile without ``.cpg`` is read as UTF-8 and, if that fails, as GB18030, which is what Chinese desktop GIS
    wrote for twenty years; the choice is told in a note.

    Raises
    ------
    FileRefusedError
        The file, the layer or the encoding is no good.
    """
    # GDAL's remarks on odd files come as Python warnings; the faults below say what matters.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return _read(path, layer, encoding)


def _read(path: Path, layer: str | None, encoding: str | None) -> RawFile:
    driver = DRIVERS[path.suffix.lower()]
    source = _inside_zip(path) if path.suffix.lower() == ".zip" else str(path)
    chosen = _layer(source, layer)
    tries = [encoding] if encoding else [None]
    if driver == "ESRI Shapefile" and encoding is None and not _has_code_page(path):
        tries = ["utf-8", "gb18030"]
    for candidate in tries:
        try:
            meta, _, blobs, columns = pyogrio.raw.read(source, layer=chosen, encoding=candidate, force_2d=False)
        except (UnicodeDecodeError, LookupError):
            continue
        except _OGR_ERRORS as broken:
            raise refuse(FaultCode.FILE_UNREADABLE, reason=_reason(broken)) from broken
        break
    else:
        raise refuse(FaultCode.ENCODING, encoding=", ".join(str(each) for each in tries))
    notes = []
    if candidate == "gb18030" and encoding is None:
        notes.append(Note(code=NoteCode.ENCODING_GUESSED, params={"encoding": "gb18030"}))
    names = [str(name) for name in meta["fields"]]
    features, faults = _features(names, columns, blobs)
    crs = meta["crs"]
    return RawFile(
        driver=driver,
        layer=chosen,
        columns=names,
        features=features,
        crs=crs,
        # KML is WGS84 by its standard, and Chinese map tools write GCJ-02 into it all the same.
        crs_is_explicit=crs is not None and driver != "KML",
        encoding=candidate,
        faults=faults,
        notes=notes,
    )


def _reason(broken: Exception) -> str:
    # What follows is advice for programmers: drivers by name, settings of the library.
    return str(broken).partition("; It might help")[0].partition(" Set SHAPE_RESTORE_SHX")[0][:200]


def _inside_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.lower().endswith(".shp")]
            unpacked = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile as broken:
        raise refuse(FaultCode.FILE_UNREADABLE, reason=_reason(broken)) from broken
    if len(members) != 1:
        raise refuse(FaultCode.LAYER_CHOICE, layers=", ".join(members) or "–")
    if unpacked > MAX_FILE_BYTES:
        raise refuse(FaultCode.FILE_TOO_LARGE, limit=MAX_FILE_BYTES)
    return f"/vsizip/{path.resolve()}/{members[0]}"


def _has_code_page(path: Path) -> bool:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            return any(name.lower().endswith(".cpg") for name in archive.namelist())
    return any(path.with_suffix(suffix).exists() for suffix in (".cpg", ".CPG"))


def _layer(source: str, wanted: str | None) -> str:
    try:
        layers = [str(row[0]) for row in pyogrio.list_layers(source) if row[1] is not None]
    except _OGR_ERRORS as broken:
        raise refuse(FaultCode.FILE_UNREADABLE, reason=_reason(broken)) from broken
    if wanted is not None:
        if wanted not in layers:
            raise refuse(FaultCode.LAYER_UNKNOWN, layer=wanted, layers=", ".join(layers))
        return wanted
    if not layers:
        raise refuse(FaultCode.NO_FEATURES)
    if len(layers) != 1:
        raise refuse(FaultCode.LAYER_CHOICE, layers=", ".join(layers))
    return layers[0]


def _features(names: list[str], columns: Any, blobs: Any) -> tuple[list[RawFeature], list[Fault]]:
    features: list[RawFeature] = []
    faults: list[Fault] = []
    for number, blob in enumerate(blobs, 1):
        row: Mapping[str, Any] = {name: _plain(column[number - 1]) for name, column in zip(names, columns, strict=True)}
        geometry, fault = _geometry(number, blob)
        if fault is not None:
            faults.append(fault)
        features.append(RawFeature(number=number, properties=row, geometry=geometry))
    return features, faults


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = None if isinstance(value, np.datetime64) and np.isnat(value) else value.item()
    if isinstance(value, float) and value != value:
        return None
    return value


def _geometry(number: int, blob: bytes | None) -> tuple[BaseGeometry | None, Fault | None]:
    if blob is None:
        return None, Fault(code=FaultCode.EMPTY_GEOMETRY, feature=number)
    geometry: BaseGeometry | None = shapely.from_wkb(blob, on_invalid="ignore")
    if geometry is not None:
        return geometry, None
    # GEOS refuses rings that do not close or are too short; closing them by force only serves to tell the two apart.
    closed: BaseGeometry | None = shapely.from_wkb(blob, on_invalid="fix")
    if closed is not None:
        return None, Fault(code=FaultCode.RING_UNCLOSED, feature=number)
    return None, Fault(code=FaultCode.GEOMETRY_MALFORMED, feature=number, params={"where": "geometry"})
