"""The processes that `gridward up` starts, watches and stops."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from geo.errors import GridwardError

STOP_S: Final = 15.0
READY_S: Final = 60.0
_LOG_MOST: Final = 10 * 1024**2


class ProcessError(GridwardError):
    """A process of ours could not be started or ended by itself."""


@dataclass(slots=True)
class Child:
    """One child process with its log.

    Attributes
    ----------
    name
        The command it runs, ``serve`` or ``worker``; also the log's name.
    """

    name: str
    arguments: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C reaches only us, and we stop the children in the right order."""
        if self.log.exists() and self.log.stat().st_size > _LOG_MOST:
            self.log.replace(self.log.with_suffix(".log.1"))
        command = [sys.executable, "-P", "-m", "api.cli", self.name, *self.arguments]
        setpriv = shutil.which("setpriv")
        if setpriv:
            # If we are killed, they must not keep the port and the database busy without anybody watching.
            command = [setpriv, "--pdeathsig=TERM", "--", *command]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                command,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def has_ended(self) -> bool:
        """True when it ran and is gone."""
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_words(self, lines: int = 5) -> str:
        """Return the end of its log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def check_port(host: str, port: int) -> None:
    """Refuse before anything is started when the address is taken or is not ours.

    Raises
    ------
    ProcessError
        ``process.port_in_use`` or ``process.bad_address``.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server does it: a connection of the last run that is still fading must not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        code = "process.port_in_use" if error.errno in {98, 48} else "process.bad_address"
        raise ProcessError(code, host=host, port=port, reason=error.strerror or str(error)) from error


def local_address(host: str) -> str:
    """Return the address under which this machine itself reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound


def base_url(host: str, port: int) -> str:
    """Return the address for people.

    Examples
    --------
    >>> base_url("0.0.0.0", 8311), base_url("::1", 80)
    ('http://127.0.0.1:8311', 'http://[::1]:80')
    """
    local = local_address(host)
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def await_ready(child: Child, host: str, port: int) -> None:
    """Wait until ``/readyz`` answers 200.

    Raises
    ------
    ProcessError
        The API ended, or did not become ready in time; its last words are part of the message.
    """
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and not child.has_ended:
        connection = http.client.HTTPConnection(local_address(host), port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise ProcessError("process.not_ready", name=child.name, log=str(child.log), words=child.last_words())
