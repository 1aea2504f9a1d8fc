"""Where esda has the same statistic, ours is equal to 1e-9; where its documentation prints a table, so is that."""

from __future__ import annotations

import csv
import warnings
from typing import Any

import libpysal.io  # type: ignore[import-untyped]
import numpy as np
import pytest
from libpysal import examples
from libpysal.weights import KNN, W  # type: ignore[import-untyped]
from scipy.sparse import csr_array

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from esda.getisord import G_Local  # type: ignore[import-untyped]
    from esda.moran import Moran as EsdaMoran  # type: ignore[import-untyped]
    from esda.moran import Moran_Local
    from esda.smoothing import Empirical_Bayes, Spatial_Empirical_Bayes  # type: ignore[import-untyped]

from maps.hotspots.gi_star import gi_star
from maps.hotspots.moran import local_moran, moran
from maps.hotspots.neighbours import Kind, Neighbours, nearest, within
from maps.hotspots.smoothing import bayes_global, bayes_local


def as_weights(neighbours: Neighbours) -> W:
    return W({i: neighbours.of(i).tolist() for i in range(len(neighbours))}, silence_warnings=True)


def as_neighbours(weights: W) -> Neighbours:
    matrix: Any = csr_array(weights.sparse)
    matrix.sort_indices()
    return Neighbours(
        kind=Kind.CONTIGUITY,
        parameter=None,
        starts=matrix.indptr.astype(np.int64),
        others=matrix.indices.astype(np.int64),
    )


@pytest.fixture(scope="module")
def points() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(7)
    return rng.uniform(0, 5000, 160), rng.uniform(0, 5000, 160)


@pytest.fixture(scope="module")
def homicides() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any], Neighbours]:
    """St. Louis: homicides, residents, the rate of 1988–93, and who borders on whom (libpysal's own copy)."""
    example = examples.load_example("stl")
    with open(example.get_path("stl_hom.csv"), encoding="utf-8") as file:
        rows = list(csv.reader(line for line in file))
    start = next(k for k, row in enumerate(rows) if "HR7984" in row)
    columns = rows[start]
    body = [row for row in rows[start + 1 :] if len(row) == len(columns)]
    table = {name: np.array([float(row[k]) for row in body]) for k, name in enumerate(columns) if name[:2] in _WANTED}
    with open(example.get_path("stl.gal"), encoding="utf-8") as file:
        lines = file.read().split("\n")
    around = {int(lines[k].split()[0]) - 1: [int(x) - 1 for x in lines[k + 1].split()] for k in range(1, 157, 2)}
    return table["HC7984"], table["PO7984"], table["HR8893"], as_neighbours(W(around, silence_warnings=True))


_WANTED = ("HC", "PO", "HR")


@pytest.mark.parametrize("with_self", [True, False])
@pytest.mark.parametrize("kind", ["nearest", "distance"])
def test_gi_star(points: Any, kind: str, with_self: bool) -> None:
    x_m, y_m = points
    found = nearest(x_m, y_m, k=6) if kind == "nearest" else within(x_m, y_m, distance_m=900.0)
    values = np.random.default_rng(3).negative_binomial(2, 0.1, 160).astype(float)
    weights = as_weights(found)
    oracle = G_Local(values, weights, transform="B", star=with_self, permutations=0)
    np.testing.assert_allclose(gi_star(values, found, with_self=with_self), oracle.Zs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("with_self", [True, False])
def test_gi_star_of_who_borders_on_whom(homicides: Any, with_self: bool) -> None:
    cases, _, _, around = homicides
    oracle = G_Local(cases, as_weights(around), transform="B", star=with_self, permutations=0)
    np.testing.assert_allclose(gi_star(cases, around, with_self=with_self), oracle.Zs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["nearest", "distance"])
def test_moran_and_bayes_with_the_other_weights(points: Any, kind: str) -> None:
    x_m, y_m = points
    around = nearest(x_m, y_m, k=6) if kind == "nearest" else within(x_m, y_m, distance_m=900.0)
    rng = np.random.default_rng(5)
    residents = rng.integers(200, 4000, 160).astype(float)
    cases = rng.poisson(residents / 200).astype(float)
    weights = as_weights(around)
    weights.id_order = list(range(160))
    whole, parts = moran(cases, around, permutations=0), local_moran(cases, around, seed=2)
    oracle = EsdaMoran(cases, weights, transformation="r", permutations=0)
    np.testing.assert_allclose([whole.i, whole.z, whole.z_normal], [oracle.I, oracle.z_rand, oracle.z_norm], atol=1e-9)
    local = Moran_Local(cases, weights, transformation="r", permutations=0)
    np.testing.assert_allclose(parts.i, local.Is, rtol=0, atol=1e-9)
    smooth = Spatial_Empirical_Bayes(cases, residents, weights).r.ravel()
    np.testing.assert_allclose(bayes_local(cases, residents, around), smooth, rtol=0, atol=1e-9)


def test_gi_star_prints_the_published_table() -> None:
    """The six points of esda's documentation."""
    x_m, y_m = np.array([10.0, 20, 40, 15, 30, 30]), np.array([10.0, 10, 10, 20, 20, 30])
    values = np.array([2, 3, 3.2, 5, 8, 7])
    around = within(x_m, y_m, distance_m=15.0)
    starred = [-1.39727626, -0.28917762, 0.65064964, -0.28917762, 1.23452088, 2.02424331]
    plain = [-1.0136729, -0.04361589, 1.31558703, -0.31412676, 1.15373986, 1.77833941]
    np.testing.assert_allclose(gi_star(values, around), starred, atol=5e-9)
    np.testing.assert_allclose(gi_star(values, around, with_self=False), plain, atol=5e-9)


def test_nearest_are_libpysals_nearest(points: Any) -> None:
    x_m, y_m = points
    oracle = KNN(np.column_stack((x_m, y_m)), k=5)
    ours = nearest(x_m, y_m, k=5)
    assert [ours.of(i).tolist() for i in range(len(ours))] == [sorted(oracle.neighbors[i]) for i in range(len(x_m))]


def test_moran(homicides: Any) -> None:
    _, _, rate, around = homicides
    oracle = EsdaMoran(rate, as_weights(around), transformation="r", permutations=0)
    ours = moran(rate, around, permutations=999)
    np.testing.assert_allclose(
        [ours.i, ours.expected, ours.z, ours.z_normal, ours.p, ours.p_normal],
        [oracle.I, oracle.EI, oracle.z_rand, oracle.z_norm, oracle.p_rand, oracle.p_norm],
        rtol=0,
        atol=1e-9,
    )
    assert ours.p_permuted == pytest.approx(0.002)


def test_moran_of_st_louis_as_published(homicides: Any) -> None:
    """esda's documentation: homicide rate 1988–93 of 78 counties, I = 0.244, p under normality 0.000271."""
    _, _, rate, around = homicides
    found = moran(rate, around, permutations=0)
    assert round(found.i, 3) == 0.244
    assert found.expected == pytest.approx(-0.012987012987012988)
    assert found.p_normal == pytest.approx(0.00027147862770937614, rel=1e-9)


def test_moran_of_columbus_as_published() -> None:
    """Anselin (1988), crime in 49 neighbourhoods; spdep prints I 0.500188557, variance 0.008689289, z 5.5894."""
    example = examples.load_example("columbus")
    with open(example.get_path("columbus.gal"), encoding="utf-8") as file:
        lines = file.read().split("\n")
    around = {int(lines[k].split()[0]) - 1: [int(x) - 1 for x in lines[k + 1].split()] for k in range(1, 99, 2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = libpysal.io.open(example.get_path("columbus.dbf"))
        crime = np.array(table.by_col("CRIME"))
        table.close()
    found = moran(crime, as_neighbours(W(around, silence_warnings=True)), permutations=0)
    assert round(found.i, 9) == 0.500188557
    assert round(found.z, 4) == 5.5894
    assert round(((found.i - found.expected) / found.z) ** 2, 9) == 0.008689289


def test_local_moran(homicides: Any) -> None:
    _, _, rate, around = homicides
    oracle = Moran_Local(rate, as_weights(around), transformation="r", permutations=0)
    ours = local_moran(rate, around, seed=2)
    np.testing.assert_allclose(ours.i, oracle.Is, rtol=0, atol=1e-9)


def test_empirical_bayes(homicides: Any) -> None:
    cases, residents, _, around = homicides
    weights = as_weights(around)
    weights.id_order = list(range(len(cases)))
    np.testing.assert_allclose(bayes_global(cases, residents), Empirical_Bayes(cases, residents).r.ravel(), atol=1e-9)
    oracle = Spatial_Empirical_Bayes(cases, residents, weights).r.ravel()
    np.testing.assert_allclose(bayes_local(cases, residents, around), oracle, rtol=0, atol=1e-9)


def test_empirical_bayes_as_published() -> None:
    """The first rows of esda's table for St. Louis, homicides 1979–84 and residents."""
    example = examples.load_example("stl")
    with open(example.get_path("stl_hom.csv"), encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if len(row) > 14]
    body = np.array([[float(row[10]), float(row[13])] for row in rows if row[10].replace(".", "").isdigit()])
    assert len(body) == 78
    printed = [2.36718950e-05, 4.54539167e-05, 4.78114019e-05, 2.76907146e-05, 6.58989323e-05]
    np.testing.assert_allclose(bayes_global(body[:, 0], body[:, 1])[:5], printed, rtol=1e-8)
