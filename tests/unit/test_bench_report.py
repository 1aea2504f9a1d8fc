"""The benchmarks' frame: verdicts, exit codes, and the JSON that others read."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import bench
from bench import Profile, Result
from geo.errors import GridwardError


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> list[Result]:
    """A benchmark named ``invented`` that gives the results put into the list."""
    results: list[Result] = []

    def run(_profile: Profile) -> Iterator[Result]:
        yield from results

    monkeypatch.setitem(bench._found, "invented", run)
    return results


def test_a_run_in_which_all_holds(invented: list[Result], capsys: pytest.CaptureFixture[str]) -> None:
    invented += [
        Result.times_baseline("a.rate", 250.0, "points/s", baseline=100.0, at_least=2.0),
        Result.at_most("a.time", 10.0, "µs", 10.0),
        Result.none_of("a.wrong", 0, 1000),
        Result.at_least("a.batch", 10.0, "reports/s", 10.0),
    ]
    assert bench.run("invented", as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"name", "commit", "versions", "seed", "machine", "results"} <= set(document)
    first = document["results"][0]
    assert {"id", "value", "unit", "baseline", "ratio", "target", "holds"} <= set(first)
    assert (first["value"], first["baseline"], first["ratio"], first["holds"]) == (250.0, 100.0, 2.5, True)
    assert "0 of 1,000 proves < 3.0e-03 (95 %)" in document["results"][2]["note"]


@pytest.mark.parametrize(
    "short",
    [
        Result.times_baseline("a.rate", 199.0, "points/s", baseline=100.0, at_least=2.0),
        Result.at_most("a.time", 10.1, "µs", 10.0),
        Result.at_least("a.batch", 9.9, "reports/s", 10.0),
        Result.none_of("a.wrong", 1, 1000),
        Result.none_of("a.untried", 0, 0),
    ],
)
def test_one_that_falls_short_is_exit_code_3(
    invented: list[Result], short: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    invented += [Result.at_most("a.time", 1.0, "µs", 10.0), short]
    assert bench.run("invented") == 3
    printed = capsys.readouterr().out
    assert "FALLS SHORT" in printed
    assert short.id in printed


def test_a_run_without_results_proves_nothing(invented: list[Result], capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("invented") == 3
    assert capsys.readouterr().out


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(GridwardError) as caught:
        bench.run("nothing")
    assert caught.value.code == "bench.unknown"
    assert "locate" in caught.value.params["known"]


def test_sides_are_measured_in_turn_and_the_warm_up_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.profile.ROUND_S", 0.0)
    seen: list[str] = []
    medians = Profile().interleave({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")})
    assert seen == ["a", "b"] * 4
    assert set(medians) == {"a", "b"}
