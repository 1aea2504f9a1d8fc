"""Kernel density in metres: cases per square kilometre around every place.

The surface is computed once on the server, in a projected coordinate system, with a bandwidth in metres. So the picture
is the same at every zoom, and its numbers mean something. (The point heat layer of the browser works in pixels: another
zoom, another picture.)

The sum over all cases is not approximated by moving cases to the middle of their grid square. Each square keeps the
moments of where its cases lie in it, and each moment is convolved with the matching term of the kernel's series (as in
the fast Gauss transform; a Chebyshev series, of which 17 terms do what 21 of Taylor's did). At four squares per
bandwidth the error of a case, wherever it lies, stays below 4e-7 of its own peak: never more of the whole surface's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pyproj import Transformer
from scipy.fft import fft, ifft, irfft, next_fast_len, rfft
from scipy.ndimage import map_coordinates

from maps.png import encode_indexed_pngs

__all__ = ["BandPicture", "Density", "draw_bands", "estimate_density", "project_points", "threshold_of"]

Floats = npt.NDArray[np.float64]

#: SRID of stored positions, and of the plane in which browsers place a picture.
STORED_SRID: Final = 4326
PICTURE_SRID: Final = 3857

_SQUARES_PER_BANDWIDTH: Final = 4
_REACH: Final = 6 * _SQUARES_PER_BANDWIDTH  # squares; exp(-18) is 1.5e-8
#: Orders of the series along rows that go with each order along columns: the largest terms left out are 1e-7.
_ORDERS: Final = ((0, 1, 2, 3, 4), (0, 1, 2, 3), (0, 1, 2, 3), (0, 1, 2), (0,))
_DEGREE: Final = len(_ORDERS)
_MAX_SQUARES: Final = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """A surface over a regular grid of a projected system.

    Attributes
    ----------
    per_km2
        Shape: (rows, columns), first row southernmost. Units: cases per square kilometre at the grid points.
    west_m, south_m, step_m
        Place of ``per_km2[0, 0]`` and distance between grid points. Units: metres.
    bandwidth_m
        Standard deviation of the kernel. Units: metres.
    """

    per_km2: Floats
    west_m: float
    south_m: float
    step_m: float
    bandwidth_m: float

    @property
    def peak_per_km2(self) -> float:
        """The highest value of the surface."""
        return float(self.per_km2.max(initial=0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class BandPicture:
    """A surface as a picture that a web map can stretch over ``bounds``.

    Attributes
    ----------
    indices
        Shape: (rows, columns), first row northernmost; 0 is nothing, n is the n-th band.
    west, south, east, north
        Outer edges of the picture. SRID: 4326. The rows are even in EPSG:3857, as browsers expect.
    """

    indices: npt.NDArray[np.uint8]
    west: float
    south: float
    east: float
    north: float

    def to_pngs(self, ramps: Sequence[Sequence[str]], *, alpha: int) -> list[bytes]:
        """Return the picture once for each ramp, with its n-th colour (``#rrggbb``) for the n-th band."""
        palettes = []
        for ramp in ramps:
            rgb = [tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5)) for colour in ramp]
            palettes.append([(0, 0, 0, 0), *((red, green, blue, alpha) for red, green, blue in rgb)])
        return encode_indexed_pngs(self.indices, palettes)


def threshold_of(cases: int, *, bandwidth_m: float) -> float:
    """Return the density that so many cases at one single place make there.

    Drawing nothing below it keeps fewer cases than that from being seen, wherever they lie.

    Units: cases per square kilometre.
    """
    return cases * 1e6 / (2 * math.pi * bandwidth_m**2)


def project_points(lon: Floats, lat: Floats, *, srid: int) -> tuple[Floats, Floats]:
    """Return metres east and north of positions. SRID: from 4326 to ``srid``, a projected system in metres."""
    if lon.size == 0:
        return np.empty(0), np.empty(0)
    x, y = Transformer.from_crs(STORED_SRID, srid, always_xy=True).transform(lon, lat)
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)


def estimate_density(
    x_m: Floats,
    y_m: Floats,
    weights: Floats | None = None,
    *,
    bandwidth_m: float,
) -> Density:
    """Estimate the density of cases with a Gaussian kernel of fixed bandwidth.

    Parameters
    ----------
    x_m, y_m
        Places in a projected system. Units: metres. Shape: (n,).
    weights
        How many cases at each place; one each when not given.
    bandwidth_m
        Standard deviation of the kernel. Units: metres.

    Returns
    -------
    Density
        A grid of a quarter bandwidth that reaches three bandwidths beyond the places. Its grid points are multiples of
        the step, so that surfaces of different filters lie exactly over each other.

    Raises
    ------
    ValueError
        If a place is not finite, a weight negative, the bandwidth not positive, or the extent more than about two
        thousand steps square.

    Notes
    -----
    Cost: O(n) for the moments, then a convolution; 1 million places over 28 km in less than 0.1 s on one core. The
    convolution goes through Fourier transforms: as products of matrices it would use, and wait for, every core. No
    places give an empty surface.
    Source: Greengard & Strain (1991), The fast Gauss transform.
    """
    if not bandwidth_m > 0:
        raise ValueError("the bandwidth must be positive")
    x_m, y_m = np.asarray(x_m, dtype=np.float64), np.asarray(y_m, dtype=np.float64)
    weights = None if weights is None else np.asarray(weights, dtype=np.float64)
    if not (np.all(np.isfinite(x_m)) and np.all(np.isfinite(y_m)) and (weights is None or np.all(weights >= 0))):
        raise ValueError("places must be finite and weights not negative")
    step = bandwidth_m / _SQUARES_PER_BANDWIDTH
    if x_m.size == 0:
        return Density(per_km2=np.zeros((1, 1)), west_m=0.0, south_m=0.0, step_m=step, bandwidth_m=bandwidth_m)
    margin = 3 * _SQUARES_PER_BANDWIDTH
    # One piece of memory: a million places take eight megabytes for each order, and fresh pages cost time.
    work = np.empty((2 * _DEGREE - 1, x_m.size))
    columns, first_column, width = _squares(x_m, step, margin, work[0], work[-1])
    rows, first_row, height = _squares(y_m, step, margin, work[_DEGREE - 1], work[-1])
    if width * height > _MAX_SQUARES:
        raise ValueError("the places lie too far apart for this bandwidth")
    rows *= width
    rows += columns
    surface = _convolve(_moments(rows, height * width, work[:-1], weights, work[-1]), height, width)
    # Terms of alternating sign can leave -1e-12 where there is nothing.
    per_km2 = np.maximum(surface, 0.0) * (1e6 / (2 * math.pi * bandwidth_m**2))
    return Density(
        per_km2=per_km2,
        west_m=first_column * step,
        south_m=first_row * step,
        step_m=step,
        bandwidth_m=bandwidth_m,
    )


def _squares(
    at_m: Floats, step: float, margin: int, offset: Floats, spare: Floats
) -> tuple[npt.NDArray[np.int64], int, int]:
    """Return the square of each place, the first square, and how many there are; write offsets in it (-1 … 1)."""
    np.divide(at_m, step, out=offset)
    np.rint(offset, out=spare)
    offset -= spare
    offset *= 2
    number = spare.astype(np.int64)
    first, last = int(number.min()) - margin, int(number.max()) + margin
    number -= first
    return number, first, last - first + 1


def _write_series(series: Floats) -> None:
    """Write the Chebyshev polynomials of orders 2, 3, … behind that of order 1. Shape: (orders - 1, places)."""
    for at in range(1, len(series)):
        np.multiply(series[at - 1], series[0], out=series[at])
        series[at] *= 2
        series[at] -= series[at - 2] if at > 1 else 1.0


def _moments(
    place: npt.NDArray[np.int64], squares: int, series: Floats, weights: Floats | None, spare: Floats
) -> list[Floats]:
    """Return for each pair of orders the sum over the cases of every square of T_y(dy) T_x(dx)."""
    along_x = series[: _DEGREE - 1]
    _write_series(series[: _DEGREE - 1])
    _write_series(series[_DEGREE - 1 :])
    if weights is not None:
        series[_DEGREE - 1 :] *= weights
    found = []
    for order_y, orders_x in enumerate(_ORDERS):
        lifted = series[_DEGREE - 2 + order_y] if order_y else weights
        for order_x in orders_x:
            each = along_x[order_x - 1] if order_x else lifted
            if order_x and lifted is not None:
                each = np.multiply(lifted, along_x[order_x - 1], out=spare)
            sums: npt.NDArray[Any] = np.bincount(place, each, minlength=squares)
            found.append(sums)
    return found


def _convolve(moments: list[Floats], height: int, width: int) -> Floats:
    """Return the sum over all moments of each convolved with its term of the kernel. Shape: (height, width).

    Only the first moment needs all digits. The others are corrections of less than a tenth: single precision leaves
    1e-8 of error there and takes half the time.
    """
    # Room for the reach on one side is enough: what wraps around falls into it.
    tall, wide = next_fast_len(height + _REACH, real=False), next_fast_len(width + _REACH, real=True)
    rows = iter(moment.reshape(height, width) for moment in moments)
    waves = np.zeros((tall, wide // 2 + 1), dtype=np.complex64)
    whole = rfft(next(rows), wide, axis=1) * rfft(_ring(wide, 0))
    for order_y, orders_x in enumerate(_ORDERS):
        along = np.zeros((height, wide // 2 + 1), dtype=np.complex64)
        for order_x in orders_x:
            if order_x or order_y:
                part = rfft(next(rows).astype(np.float32), wide, axis=1)
                part *= rfft(_ring(wide, order_x).astype(np.float32))
                along += part
        lifted = fft(along, tall, axis=0)
        lifted *= fft(_ring(tall, order_y).astype(np.float32))[:, None]
        waves += lifted
    total = fft(whole, tall, axis=0)
    total *= fft(_ring(tall, 0))[:, None]
    total += waves
    return np.asarray(irfft(ifft(total, axis=0)[:height], wide, axis=1)[:, :width], dtype=np.float64)


def _kernels() -> Floats:
    """Return each term of exp(-(u - d)²/2) as a Chebyshev series in d, by lag. Shape: (orders, lags).

    u is the lag from a square to a grid point in bandwidths, d the offset in the square: at most half a square.
    """
    lag = np.arange(-_REACH, _REACH + 1) / _SQUARES_PER_BANDWIDTH
    knots = 24
    angle = (np.arange(knots) + 0.5) * math.pi / knots
    values = np.exp(-((lag - np.cos(angle)[:, None] / (2 * _SQUARES_PER_BANDWIDTH)) ** 2) / 2)
    waves = np.cos(np.arange(_DEGREE)[:, None] * angle) * (2 / knots)
    waves[0] /= 2
    return np.asarray(waves @ values)


_KERNELS: Final = _kernels()


def _ring(size: int, order: int) -> Floats:
    """Return a term of the kernel around a ring of squares; negative lags stand at the end."""
    ring = np.zeros(size)
    ring[np.arange(-_REACH, _REACH + 1) % size] = _KERNELS[order]
    return ring


def draw_bands(density: Density, bands: tuple[float, ...], *, srid: int, pixels: int = 900) -> BandPicture:
    """Draw a surface as bands between fixed values, on the plane of web maps.

    Parameters
    ----------
    density
        The surface, on a grid of ``srid``.
    bands
        Lower bounds, ascending. Units: cases per square kilometre. Boundary: a bound belongs to its band.
    srid
        The projected system of the surface.
    pixels
        Length of the longer side of the picture.

    Returns
    -------
    BandPicture
        Rows and columns even in EPSG:3857. The surface is looked up at each pixel's own place, so the picture is true
        also where the grid of the projected system is turned or bent against the map.
    """
    rows, columns = density.per_km2.shape
    east_m = density.west_m + (columns - 1) * density.step_m
    north_m = density.south_m + (rows - 1) * density.step_m
    to_picture = Transformer.from_crs(srid, PICTURE_SRID, always_xy=True)
    left, bottom, right, top = to_picture.transform_bounds(density.west_m, density.south_m, east_m, north_m)
    side = max(right - left, top - bottom, 1e-6) / pixels
    width, height = max(1, round((right - left) / side)), max(1, round((top - bottom) / side))
    # The two planes differ smoothly: straight lines between 65 × 65 exact places are good to a millimetre over a city.
    knots = 65
    picture_x, picture_y = np.meshgrid(np.linspace(left, right, knots), np.linspace(top, bottom, knots))
    x_m, y_m = Transformer.from_crs(PICTURE_SRID, srid, always_xy=True).transform(picture_x, picture_y)
    at_row = (np.arange(height) + 0.5) / height * (knots - 1)
    at_column = (np.arange(width) + 0.5) / width * (knots - 1)
    lookup = np.meshgrid(at_row, at_column, indexing="ij")
    grid_row = map_coordinates((y_m - density.south_m) / density.step_m, lookup, order=1, mode="nearest")
    grid_column = map_coordinates((x_m - density.west_m) / density.step_m, lookup, order=1, mode="nearest")
    # Cubic again: a surface this smooth, known at every quarter bandwidth, comes back to about a thousandth.
    values = map_coordinates(density.per_km2, [grid_row, grid_column], order=3, mode="constant", cval=0.0)
    indices = np.searchsorted(np.asarray(bands), values, side="right").astype(np.uint8)
    to_stored = Transformer.from_crs(PICTURE_SRID, STORED_SRID, always_xy=True)
    (west, east), (south, north) = to_stored.transform([left, right], [bottom, top])
    return BandPicture(indices=indices, west=west, south=south, east=east, north=north)
