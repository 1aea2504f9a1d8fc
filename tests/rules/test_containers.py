"""Dockerfile and docker-compose.yml, checked as far as that goes without a container engine."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.cli import COMMANDS
from api.settings import Settings
from geo.storage.cluster import Cluster
from geo.storage.postgres import SERVER_SETTINGS

ROOT = Path(__file__).resolve().parents[2]


def _instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines]


def _final_stage() -> list[tuple[str, str]]:
    steps = _instructions()
    last = max(number for number, (word, _) in enumerate(steps) if word == "FROM")
    return steps[last:]


def _copied(steps: list[tuple[str, str]]) -> list[str]:
    words = [shlex.split(rest) for word, rest in steps if word == "COPY" and not rest.startswith("--from")]
    return [source.rstrip("/") for copied in words for source in copied[:-1]]


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """Read the services of the compose file."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = document["services"]
    return found


def _mentioned(services: dict[str, dict[str, Any]]) -> set[str]:
    in_file = {name for word, rest in _instructions() if word == "ENV" for name in re.findall(r"GRIDWARD_\w+", rest)}
    ours = [service for service in services.values() if service["image"].startswith("gridward")]
    return in_file | {name for service in ours for name in service["environment"]}


def test_every_copied_file_exists_and_reaches_the_builder() -> None:
    patterns = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.strip() and not line.startswith("#")
    ]

    def is_sent(path: str) -> bool:
        sent = True
        for pattern in patterns:  # the last one that matches decides
            bare = pattern.removeprefix("!").removeprefix("**/")
            parents = [path, *(parent.as_posix() for parent in Path(path).parents)]
            if any(fnmatch.fnmatch(each, bare) for each in parents if each != "."):
                sent = pattern.startswith("!")
        return sent

    copied = _copied(_instructions())
    assert copied
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert [path for path in copied if not is_sent(path)] == []
    assert not is_sent("data")
    assert not is_sent(".env")
    assert not is_sent(".git")


def test_every_floor_is_in_the_image() -> None:
    assert {"api", "maps", "dispatch", "geo", "alembic"} <= set(_copied(_final_stage()))
    vendored = [rest for word, rest in _final_stage() if word == "COPY" and "maps/static/vendor" in rest]
    assert len(vendored) == 1


def test_the_image_does_not_run_as_root_and_watches_its_health() -> None:
    words = dict(_final_stage())
    assert words["USER"] not in {"root", "0"}
    order = [word for word, _ in _final_stage()]
    assert order.index("USER") > max(number for number, word in enumerate(order) if word == "COPY")
    assert "/readyz" in words["HEALTHCHECK"]
    json.loads(words["ENTRYPOINT"])


def test_packages_are_installed_by_hash_only() -> None:
    installing = [rest for word, rest in _instructions() if word == "RUN" and "pip install" in rest]
    assert len(installing) == 2
    assert all("--require-hashes" in rest for rest in installing)


def test_images_name_a_version(services: dict[str, dict[str, Any]]) -> None:
    stages = {rest.partition(" AS ")[2] for word, rest in _instructions() if word == "FROM"}
    bases = {rest.partition(" ")[0] for word, rest in _instructions() if word == "FROM"} - stages
    bases |= {service["image"] for service in services.values() if "build" not in service}
    assert all(re.search(r":\d", base) for base in bases), bases


def test_every_command_and_setting_exists(services: dict[str, dict[str, Any]]) -> None:
    ours = [service for service in services.values() if service["image"].startswith("gridward")]
    commands = [service["command"][0] for service in ours]
    assert sorted(commands) == ["migrate", "serve", "worker"]
    assert set(commands) <= set(COMMANDS)
    assert json.loads(dict(_final_stage())["CMD"])[0] in COMMANDS
    known = {f"GRIDWARD_{name.upper()}" for name in Settings.model_fields}
    assert _mentioned(services) <= known


def test_services_start_in_order_and_tell_their_health(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {"database", "migrate", "api", "worker"}
    assert "healthcheck" in services["database"]
    assert services["migrate"]["restart"] == "no"
    for name in ("api", "worker"):
        needed = services[name]["depends_on"]
        assert needed["database"]["condition"] == "service_healthy"
        assert needed["migrate"]["condition"] == "service_completed_successfully"
    check = services["worker"]["healthcheck"]["test"]
    assert check[1:] == ["python", "-P", "-m", "api.cli", "worker", "--check"]


def test_the_database_is_set_as_the_embedded_one(services: dict[str, dict[str, Any]]) -> None:
    server, *options = services["database"]["command"]
    given = dict(option.removeprefix("--").split("=", 1) for option in options)
    assert server == "postgres"
    assert given.pop("shared_buffers") == "${GRIDWARD_DB_SHARED_BUFFERS:-512MB}"
    assert given == SERVER_SETTINGS


def test_nothing_is_open_to_the_network_and_no_password_is_written_down(services: dict[str, dict[str, Any]]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:8311:8311"]
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    passwords = re.findall(r"(?:PASSWORD: |gridward:)(\$\{[^}]*\})", text)
    assert passwords == ["${GRIDWARD_DB_PASSWORD:?set it in .env}"] * 2
    assert all("read_only" in service for name, service in services.items() if name != "database")


@pytest.fixture
def durable_url(scratch_dir: Path) -> Iterator[str]:
    """Give an empty database on a server with real settings; `serve` refuses the tests' own."""
    cluster = Cluster(scratch_dir / "for-image")
    cluster.start()
    cluster.create_database("gridward")
    yield cluster.url("gridward")
    cluster.stop()


def test_only_the_gateway_of_our_own_network_counts_as_this_machine(services: dict[str, dict[str, Any]]) -> None:
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    gateway = document["networks"]["default"]["ipam"]["config"][0]["gateway"]
    assert services["api"]["environment"]["GRIDWARD_LOCAL_GATEWAYS"] == f"{gateway}/32"


def test_the_image_tree_is_enough_to_serve_and_migrate(scratch_dir: Path, durable_url: str) -> None:
    """The files that the last stage copies are enough: nothing of the work tree beside them is needed."""
    image = scratch_dir / "image"
    image.mkdir(mode=0o755)
    for path in _copied(_final_stage()):
        source = ROOT / path
        if source.is_dir():
            shutil.copytree(source, image / path, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
        else:
            shutil.copy(source, image / path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRIDWARD_")}
    environment |= {
        "GRIDWARD_DATABASE_URL": durable_url,
        "GRIDWARD_LANG": "en",
        "PYTHONPATH": str(image),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    entry = [sys.executable, "-P", "-m", "api.cli"]

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*entry, *command], cwd=image, env=environment, capture_output=True, text=True, check=False
        )

    refused = run("serve")
    assert refused.returncode == 1
    assert "gridward migrate" in refused.stderr
    done = run("migrate")
    assert done.returncode == 0, done.stderr
    assert run("worker", "--check").returncode == 1


def test_the_wheel_layout_finds_its_migrations(tmp_path: Path) -> None:
    """In a wheel the revisions lie inside the api package (pyproject: force-include)."""
    for floor in ("api", "maps", "dispatch", "geo"):
        shutil.copytree(ROOT / floor, tmp_path / floor, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
    shutil.copytree(ROOT / "alembic", tmp_path / "api" / "_migrations", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from api.migrations import SCRIPTS, head; print(SCRIPTS); print(head())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == str(tmp_path / "api" / "_migrations")
