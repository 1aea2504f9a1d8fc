"""The data directory's memory and its locks, without a database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from api.cli.data_dir import (
    DataDirError,
    Demo,
    check_room,
    make,
    only_one,
    project_root,
    read_state,
    resolve_data_dir,
    shared_use,
    write_state,
)
from api.cli.supervising import base_url, local_address
from api.migrations import head

ROOT = Path(__file__).resolve().parents[2]


def test_a_new_directory_remembers_nothing(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None


def test_the_demos_fate_outlives_later_writes(tmp_path: Path) -> None:
    write_state(tmp_path, demo=Demo.LOADING)
    assert write_state(tmp_path).demo is Demo.LOADING
    state = read_state(tmp_path)
    assert state is not None
    assert state.schema == head()
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"version": "9", "schema": "9999"}', "data_dir.newer"),
        ("{", "data_dir.damaged"),
        ('{"version": 1}', "data_dir.damaged"),
        ("", "data_dir.damaged"),
    ],
)
def test_what_cannot_be_used_is_named_and_left(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "gridward.json").write_text(text)
    with pytest.raises(DataDirError) as caught:
        write_state(tmp_path)
    assert caught.value.code == code
    assert (tmp_path / "gridward.json").read_text() == text


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(DataDirError) as caught:
        make(tmp_path / "data" / "deeper")
    assert caught.value.code == "data_dir.unusable"


def test_room_is_measured_where_the_directory_will_be(tmp_path: Path) -> None:
    check_room(tmp_path / "not" / "yet", needed_mb=1)
    with pytest.raises(DataDirError) as caught:
        check_room(tmp_path / "not" / "yet", needed_mb=10**9)
    assert caught.value.code == "cluster.no_space"


def test_the_second_holder_is_told_who_is_first(tmp_path: Path) -> None:
    with only_one(tmp_path):
        with pytest.raises(DataDirError) as caught, only_one(tmp_path):
            pass
        assert caught.value.code == "data_dir.in_use"
    with only_one(tmp_path):
        pass


def test_only_the_last_user_turns_off_the_light(tmp_path: Path) -> None:
    with shared_use(tmp_path) as first:
        with shared_use(tmp_path) as second:
            assert not second
        assert first


def test_a_killed_user_is_not_counted(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from api.cli.data_dir import shared_use\n"
        "with shared_use(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    with shared_use(tmp_path) as only:
        assert only


def test_the_default_does_not_depend_on_where_the_caller_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRIDWARD_DATA_DIR", raising=False)
    assert project_root() == ROOT
    assert resolve_data_dir() == ROOT / "data"
    monkeypatch.setenv("GRIDWARD_DATA_DIR", "here")
    assert resolve_data_dir() == tmp_path / "here"
    assert resolve_data_dir(Path("there")) == tmp_path / "there"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("desk.example", "http://desk.example:80"),
    ],
)
def test_the_printed_address_can_be_opened(host: str, url: str) -> None:
    assert base_url(host, 80) == url
    assert local_address(host) in url
