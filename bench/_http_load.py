"""A small HTTP load generator: keep-alive connections on loopback, one process, bounded in count and time.

Run as a process of its own (``python -m bench._http_load``), so that its work is not the server's. It reads a plan as
JSON from standard input and prints what happened as JSON. Requests are prepared before the clock starts.
"""

from __future__ import annotations

import json
import random
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_PATIENCE_S = 30.0
_PREPARED = 4096
_MARK = "#########"


@dataclass(kw_only=True)
class Plan:
    """What to send. ``rate_per_s`` 0 means each connection sends as soon as it has its answer (closed loop).

    ``get`` is a path to ask instead of reporting; ``{lon}`` and ``{lat}`` in it are filled in.
    """

    port: int
    key: str
    prefix: str
    clients: int
    seconds: float
    seed: int
    box: tuple[float, float, float, float]
    categories: list[str]
    rate_per_s: float = 0.0
    get: str = ""


@dataclass(kw_only=True)
class Outcome:
    """What happened. Units: latencies in milliseconds, from the planned send to the last byte of the answer."""

    acknowledged: int = 0
    refused: int = 0
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)


class _Client:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # It is read only when there is something; a time limit would ask the kernel once more before each call.
        self.socket.settimeout(None)
        self.buffer = b""
        self.sent_at = 0.0
        self.is_waiting = False

    def send(self, request: bytes, planned_at: float) -> None:
        self.buffer = b""
        self.sent_at = planned_at
        self.is_waiting = True
        if self.socket.send(request) < len(request):
            raise ConnectionError("the server does not read")  # a kilobyte always fits a socket that was empty

    def receive(self) -> int | None:
        """Read what is there; return the status when the answer is complete."""
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("the server hung up")
        self.buffer = buffer = self.buffer + piece if self.buffer else piece
        head_end = buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        at = buffer.find(b"content-length: ", 0, head_end)
        if at < 0:  # another way to write the same
            at = buffer[:head_end].lower().index(b"content-length:") - 1
        if len(buffer) < head_end + 4 + int(buffer[at + 16 : buffer.find(b"\r", at)]):
            return None
        self.is_waiting = False
        return int(buffer[9:12])


class _Run:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = random.Random(plan.seed)
        self.outcome = Outcome()
        self.clients = [_Client(plan.port) for _ in range(plan.clients)]
        # Bare: the generator shares the machine with what is measured, and a selector's objects cost as much as a read.
        self.poll = select.epoll()
        self.by_number = {client.socket.fileno(): client for client in self.clients}
        for number in self.by_number:
            self.poll.register(number, select.EPOLLIN)
        self.number = 0
        self.prepared = [] if plan.get else [_report(plan, self.rng) for _ in range(_PREPARED)]
        self.begun = self.planned = time.perf_counter()
        self.end = self.begun + plan.seconds

    def request(self) -> bytes:
        self.number += 1
        if self.plan.get:
            return _question(self.plan, self.rng)
        # Made before the clock started, but for the ticket: the generator must not be what is measured.
        before, after = self.prepared[self.number % _PREPARED]
        return b"%s%09d%s" % (before, self.number, after)

    def send_planned(self, now: float) -> None:
        while self.planned <= now and self.planned < self.end:
            idle = next((client for client in self.clients if not client.is_waiting), None)
            if idle is None:
                return  # all are waiting: the delay counts, because latency runs from the planned instant
            # In turn, so that none idles until the server hangs up on it.
            self.clients.remove(idle)
            self.clients.append(idle)
            idle.send(self.request(), self.planned)
            self.planned += 1 / self.plan.rate_per_s

    def receive(self, client: _Client) -> None:
        status = client.receive()
        if status is None:
            return
        now = time.perf_counter()
        self.outcome.latencies_ms.append((now - client.sent_at) * 1000)
        if status in (200, 201):
            self.outcome.acknowledged += 1
        else:
            self.outcome.refused += 1
        if not self.plan.rate_per_s and now < self.end:
            client.send(self.request(), now)


def send(plan: Plan) -> Outcome:
    """Carry a plan out in a process of its own; a refusal is an error."""
    done = subprocess.run(
        [sys.executable, "-m", "bench._http_load"],
        input=json.dumps(asdict(plan)),
        capture_output=True,
        text=True,
        cwd=_ROOT,
        timeout=plan.seconds + 90,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    outcome = Outcome(**json.loads(done.stdout))
    if outcome.refused:
        raise RuntimeError(f"{outcome.refused} of {outcome.acknowledged + outcome.refused} requests were refused")
    return outcome


def run(plan: Plan) -> Outcome:
    """Send reports until the time is over; every connection then gets its last answer."""
    run = _Run(plan)
    if not plan.rate_per_s:
        for client in run.clients:
            client.send(run.request(), time.perf_counter())
    while True:
        now = time.perf_counter()
        if plan.rate_per_s:
            run.send_planned(now)
        if now >= run.end and not any(client.is_waiting for client in run.clients):
            break
        if now > run.end + _PATIENCE_S:
            raise TimeoutError("answers are missing")
        for number, _ in run.poll.poll(0.001 if plan.rate_per_s else 1.0):
            run.receive(run.by_number[number])
    run.outcome.seconds = time.perf_counter() - run.begun
    for client in run.clients:
        client.socket.close()
    return run.outcome


def _question(plan: Plan, rng: random.Random) -> bytes:
    west, south, east, north = plan.box
    lon, lat = round(rng.uniform(west, east), 7), round(rng.uniform(south, north), 7)
    path = plan.get.replace("{lon}", str(lon)).replace("{lat}", str(lat))
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {plan.key}\r\n\r\n".encode()


def _report(plan: Plan, rng: random.Random) -> tuple[bytes, bytes]:
    """A request in two parts, with nine digits of the ticket to go between them."""
    west, south, east, north = plan.box
    body = json.dumps(
        {
            "ticket": f"{plan.prefix}-{_MARK}",
            "text": "路口有一堆建筑垃圾，影响通行",
            "category": rng.choice(plan.categories),
            "lon": round(rng.uniform(west, east), 7),
            "lat": round(rng.uniform(south, north), 7),
            "coord_sys": "wgs84",
        },
        ensure_ascii=False,
    ).encode()
    head = (
        f"POST /v1/reports HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {plan.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    before, _, after = (head.encode() + body).partition(_MARK.encode())
    return before, after


if __name__ == "__main__":
    print(json.dumps(asdict(run(Plan(**json.load(sys.stdin))))))
