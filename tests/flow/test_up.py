"""`gridward up` as a person runs it: real processes, a real cluster, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from geo.storage.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]


def _environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRIDWARD_")}
    return kept | {"GRIDWARD_LANG": "en"} | more


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _up(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "api.cli", "up", *arguments],
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _read_until(process: subprocess.Popen[str], wanted: str) -> str:
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if wanted in line:
            return line.strip()
    raise AssertionError("".join(said))


def _postmaster(data_dir: Path) -> list[str]:
    """Process and start time of the running cluster: the same pair is the same cluster, not one started again."""
    pid, _, started, *_ = (data_dir / "postgres" / "postmaster.pid").read_text().splitlines()
    return [pid, started]


def _refused(*arguments: str) -> str:
    with _up(*arguments) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "Traceback" not in said
    return said.strip()


@pytest.fixture(scope="module")
def data_dir(scratch_dir: Path) -> Iterator[Path]:
    """Give one data directory for the module: starts after the first are the common case."""
    directory = scratch_dir / "up"
    yield directory
    Cluster(directory / "postgres").stop()


def test_ready_serves_and_stops_cleanly(data_dir: Path) -> None:
    """The address that is printed answers; Ctrl-C ends API, worker and cluster with exit code 0."""
    port = _free_port()
    with _up("--empty", "--data-dir", str(data_dir), "--port", str(port)) as process:
        line = _read_until(process, "ready at")
        assert line == f"Gridward is ready at http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
            assert json.load(answer)["status"] == "ok"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert not Cluster(data_dir / "postgres").is_running
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert json.loads((data_dir / "gridward.json").read_text())["demo"] == "none"


def test_second_start_takes_over_what_a_killed_first_one_left(data_dir: Path) -> None:
    """kill -9 leaves no API behind, and the next start takes the running cluster over and stops it in the end."""
    port = _free_port()
    arguments = ("--empty", "--data-dir", str(data_dir), "--port", str(port))
    with _up(*arguments) as process:
        _read_until(process, "ready at")
        process.kill()
        process.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                break
        time.sleep(0.1)
    assert Cluster(data_dir / "postgres").is_running
    left_behind = _postmaster(data_dir)
    with _up(*arguments) as process:
        _read_until(process, "ready at")
        assert _postmaster(data_dir) == left_behind
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not Cluster(data_dir / "postgres").is_running


def test_second_up_on_the_same_data_is_told_who_has_it(data_dir: Path) -> None:
    """Two desks on one directory would fight over it."""
    arguments = ("--empty", "--no-worker", "--data-dir", str(data_dir))
    with _up(*arguments, "--port", str(_free_port())) as process:
        _read_until(process, "ready at")
        said = _refused(*arguments, "--port", str(_free_port()))
        assert str(process.pid) in said
        assert process.poll() is None


def test_port_in_use_is_one_sentence_and_nothing_is_made(scratch_dir: Path) -> None:
    """The address is looked at before anything else."""
    directory = scratch_dir / "never"
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        said = _refused("--data-dir", str(directory), "--port", str(port))
    assert said == f"Port {port} on 127.0.0.1 is in use. Choose another with --port, or stop the program that has it."
    assert not directory.exists()


def test_data_of_a_newer_version_are_left_alone(scratch_dir: Path) -> None:
    """The state file of a newer Gridward names a revision we do not have."""
    directory = scratch_dir / "newer"
    directory.mkdir()
    state = '{"version": "9.0.0", "schema": "9999", "demo": "none"}'
    (directory / "gridward.json").write_text(state)
    said = _refused("--data-dir", str(directory), "--port", str(_free_port()))
    assert "9.0.0" in said
    assert "\n" not in said
    assert (directory / "gridward.json").read_text() == state
    assert not (directory / "postgres").exists()


def test_interrupted_demo_begins_again_with_the_next_start(scratch_dir: Path) -> None:
    """Ctrl-C during the first load stops the cluster, keeps no half district, and remembers that one was wanted."""
    directory = scratch_dir / "interrupted"
    arguments = ("--data-dir", str(directory), "--port", str(_free_port()))
    for _ in range(2):
        with _up(*arguments) as process:
            _read_until(process, "loading the demo district")
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        assert not Cluster(directory / "postgres").is_running
        assert json.loads((directory / "gridward.json").read_text())["demo"] == "loading"


def _ready_again(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=3) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("not ready again")


def test_what_is_killed_is_started_again(data_dir: Path) -> None:
    """kill -9 of the database and then of the API: both come back without anybody's help."""
    port = _free_port()
    with _up("--empty", "--no-worker", "--data-dir", str(data_dir), "--port", str(port)) as process:
        _read_until(process, "ready at")
        os.kill(int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
        _read_until(process, "The database ended unexpectedly")
        _ready_again(port)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        serving = [pid for pid in children if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(int(serving[0]), signal.SIGKILL)
        _read_until(process, "The process serve ended unexpectedly")
        _ready_again(port)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
