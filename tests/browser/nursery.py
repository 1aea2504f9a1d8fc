"""Servers for browser tests, each a process of its own, forked from one that has imported the application already.

Importing takes longer than serving the few requests of a test; a fork has it for nothing, and is otherwise what
``uvicorn --factory api.app:create_app`` would be: its own memory, its own loop, its own connections.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_READY_S, _END_S = 120, 20


def _mother() -> None:
    """Fork a server for each line of the standard input; end with it."""
    import uvicorn

    import api.app  # noqa: F401 - what the children shall have

    # Nobody here waits for a child: the system clears away those that ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for standard in (1, 2):
                os.dup2(log, standard)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.environ.clear()
            os.environ.update(order["environment"])
            uvicorn.run("api.app:create_app", factory=True, port=order["port"])
            os._exit(0)
        print(child, flush=True)


class _Nursery:
    def __init__(self) -> None:
        self._mother = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.nursery"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def fork(self, *, environment: dict[str, str], port: int, log: Path) -> int:
        """Return the process id of a new server."""
        assert self._mother.stdin is not None
        assert self._mother.stdout is not None
        order = {"environment": environment, "port": port, "log": str(log)}
        self._mother.stdin.write(json.dumps(order) + "\n")
        self._mother.stdin.flush()
        return int(self._mother.stdout.readline())


#: One for a test process, begun with its first server; it ends with the pipe it listens to.
_nursery = cache(_Nursery)


class Server:
    """A server process; it can be ended, killed without a word, and started again at the same address."""

    def __init__(self, database: str, folder: Path, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "server.log"
        self._environment = {
            **os.environ,
            "GRIDWARD_DATABASE_URL": database,
            "GRIDWARD_PORT": str(self.port),
            "GRIDWARD_DATA_DIR": str(folder / "data"),
            **settings,
        }
        self._process = 0

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._process = _nursery().fork(environment=self._environment, port=self.port, log=self._log)
        until = time.monotonic() + _READY_S
        while time.monotonic() < until:
            assert self._lives(), self._said()
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        raise AssertionError(f"no answer from {self.url}\n{self._said()}")

    def stop(self) -> None:
        """Ask it to end, and insist after a while."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        until = time.monotonic() + _END_S
        while self._lives():
            os.kill(self._process, how)
            time.sleep(0.02)
            if time.monotonic() > until:
                how = signal.SIGKILL
        self._process = 0

    def _lives(self) -> bool:
        if not self._process:
            return False
        try:
            os.kill(self._process, 0)
        except ProcessLookupError:
            return False
        return True

    def _said(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


if __name__ == "__main__":
    _mother()
