# SPDX-License-Identifier: Apache-2.0
"""A real node in a process of its own, whose world is wrapped so that a test can kill it.

    python -m tests.fault.child nursery FD      forks a node for each request on that socket (imports are done once)
    python -m tests.fault.child node FD         is one node, started cold

A node is `corridor.app.run` and nothing else; only the classes of its world are replaced by ones
that count each call and end the process (SIGKILL) at the call that the test names. What a person
would do at the node's own face is asked for on a socket, as JSON lines (`actions.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import sys
import threading
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fault.actions import ACTIONS

from corridor import app as apps
from corridor.config import load
from corridor.errors import CorridorError
from corridor.outside.chance import SystemChance
from corridor.outside.clock import RealClock
from corridor.outside.disk import FolderDisk
from corridor.outside.keys import FileKeys
from corridor.outside.net import GuardedNet
from corridor.world import Request, Response, Streamed


class Points:
    """Numbers the calls of the world since `arm`, and ends the process at one of them."""

    def __init__(self) -> None:
        self.count = 0
        self.at: int | None = None
        self._lock = threading.Lock()

    def arm(self, at: int | None) -> None:
        self.count, self.at = 0, at

    def __call__(self, name: str) -> None:
        with self._lock:
            self.count += 1
            if self.count == self.at:
                told = f"killed at point {self.count}, {name}\n"
                os.write(2, told.encode())
                os.kill(os.getpid(), signal.SIGKILL)


class Heard:
    """What others answered 2xx to, outside of the node: the page cache outlives the process."""

    def __init__(self) -> None:
        self._fd = -1

    def open(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, what: str, told: str) -> None:
        os.write(self._fd, f"{what} {told}\n".encode())


point = Points()
heard = Heard()


class SetClock(RealClock):
    """The wall clock, so many seconds off."""

    off_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=SetClock.off_s)

    def monotonic(self) -> float:
        point("clock.monotonic")
        return super().monotonic()


class LowChance(SystemChance):
    """The shortest waits that the schedule allows: the tests have not all day."""

    def jitter(self) -> float:
        return 0.0


class CountedNet(GuardedNet):
    """Every request is a point, and every block that comes."""

    async def fetch(self, request: Request) -> Response:
        point("net.fetch")
        answer = await super().fetch(request)
        if request.purpose == "dsp" and request.method == "POST" and 200 <= answer.status < 300:
            assert isinstance(request.body, bytes)
            to = urlsplit(request.url).port
            heard.note(f"said:{to}", sha256(request.body).hexdigest())
        point("net.fetch:done")
        return answer

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Streamed]:
        point("net.stream")
        async with super().stream(request) as answer:
            named = answer.headers.get("corridor-receipt")
            if named is not None:
                heard.note(
                    f"receipt:{urlsplit(request.url).port}", named.partition(";")[0].strip('"')
                )
            point("net.stream:open")
            yield CountedAnswer(answer)
        point("net.stream:done")


class CountedAnswer:
    def __init__(self, answer: Streamed) -> None:
        self._answer = answer
        self.status, self.headers = answer.status, answer.headers

    async def blocks(self) -> AsyncIterator[bytes]:
        async for block in self._answer.blocks():
            point("net.block")
            yield block


class CountedKeys(FileKeys):
    def sign(self, kid: str, data: bytes) -> bytes:
        point("keys.sign")
        return super().sign(kid, data)

    def hmac(self, kid: str, data: bytes) -> bytes:
        point("keys.hmac")
        return super().hmac(kid, data)

    def seal(self, context: str, data: bytes) -> bytes:
        point("keys.seal")
        return super().seal(context, data)

    def create(self, alg: str, context: str) -> tuple[bytes, bytes]:
        point("keys.create")
        return super().create(alg, context)


class CountedConnection:
    """A connection whose statements are points, before and behind.

    `pages_max`: the database may not grow past so many pages (a full disk, for want of a mount).
    """

    pages_max: int | None = None

    def __init__(self, connection: sqlite3.Connection) -> None:
        object.__setattr__(self, "_held", connection)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._held, name, value)

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        word = sql.split(None, 1)[0].upper()
        point(f"sql.{word}")
        if word == "BEGIN":
            most = CountedConnection.pages_max
            self._held.execute(f"PRAGMA max_page_count = {1 << 30 if most is None else most}")
        cursor = self._held.execute(sql, parameters)
        point(f"sql.{word}:done")
        return cursor


class CountedDisk(FolderDisk):
    def connect(self, name: str, *, read_only: bool = False) -> Any:
        point("disk.connect")
        return CountedConnection(super().connect(name, read_only=read_only))

    def read(self, name: str) -> bytes | None:
        point("disk.read")
        return super().read(name)

    def write_atomic(self, name: str, data: bytes) -> None:
        point("disk.write")
        super().write_atomic(name, data)
        point("disk.write:done")

    def delete(self, name: str) -> None:
        point("disk.delete")
        super().delete(name)
        point("disk.delete:done")


class Watched(apps.Running):
    """A node that takes orders as soon as it is ready."""

    control: socket.socket

    async def start(self) -> dict[str, Any]:
        told = await super().start()
        self._orders = asyncio.create_task(self._obey())
        self._doing: set[asyncio.Task[None]] = set()
        self._tell({"ready": True})
        return told

    async def _obey(self) -> None:
        self.control.setblocking(False)
        reader, _ = await asyncio.open_connection(sock=self.control.dup())
        while line := await reader.readline():
            task = asyncio.create_task(self._do(json.loads(line)))
            self._doing.add(task)
            task.add_done_callback(self._doing.discard)
        os._exit(3)  # the test is gone

    def _tell(self, told: dict[str, Any]) -> None:
        self.control.setblocking(True)
        self.control.sendall(json.dumps(told).encode() + b"\n")

    async def _do(self, order: dict[str, Any]) -> None:
        number, name = order.pop("number"), order.pop("do")
        try:
            if name in OWN:
                answer = OWN[name](**order)
            else:
                assert self.app is not None
                answer = await ACTIONS[name](self.app, **order)
            told = {"number": number, "answer": answer}
        except CorridorError as error:
            fault = f"{type(error).__name__}: {error.what} ({error.cause})"
            told = {"number": number, "code": error.code or type(error).__name__, "fault": fault}
        except Exception as error:  # noqa: BLE001 - the test decides what it means
            told = {"number": number, "code": "bug", "fault": repr(error)}
        self._tell(told)

    async def stop(self) -> None:
        if hasattr(self, "_orders"):
            self._orders.cancel()
        await super().stop()


def _arm(at: int | None = None) -> int:
    point.arm(at)
    return 0


def _clock(off_s: float) -> None:
    SetClock.off_s = off_s


def _pages(most: int | None) -> None:
    CountedConnection.pages_max = most


OWN = {"arm": _arm, "points": lambda: point.count, "clock": _clock, "pages": _pages}


def be_a_node(settings: dict[str, Any], control: socket.socket) -> int:
    """Run a node until it is told to stop, in a world that counts."""
    log = os.open(settings["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    heard.open(Path(settings["heard"]))
    SetClock.off_s = settings.get("off_s", 0.0)
    point.arm(settings.get("kill_at"))
    apps.GuardedNet, apps.FileKeys, apps.FolderDisk = CountedNet, CountedKeys, CountedDisk  # type: ignore[misc]
    apps.RealClock, apps.SystemChance = SetClock, LowChance  # type: ignore[misc]
    Watched.control = control
    apps.Running = Watched  # type: ignore[misc]
    try:
        return apps.run(load(None, {}, settings["config"]))
    except CorridorError as error:
        told = {"refused": error.code, "what": error.what, "cause": error.cause}
        control.sendall(json.dumps(told).encode() + b"\n")
        return 2


def nursery(asked: socket.socket) -> None:
    """Fork a node for each request; `wait` gives the exit status of one that has ended.

    One thread, nothing open: what is forked is what a fresh process would be after its imports.
    """
    born: set[int] = set()
    while True:
        message, fds, _, _ = socket.recv_fds(asked, 1 << 16, 1)
        if not message:
            break
        order = json.loads(message)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            born.discard(order["wait"])
            asked.sendall(json.dumps(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if pid == 0:
            asked.close()
            status = 70
            try:
                status = be_a_node(order, socket.socket(fileno=fds[0]))
            except BaseException:  # noqa: BLE001 - the end of a process: the log shall say why
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        born.add(pid)
        os.close(fds[0])
        asked.sendall(json.dumps(pid).encode())
    for pid in born:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def main(role: str, fd: str) -> int:
    given = socket.socket(fileno=int(fd))
    if role == "nursery":
        nursery(given)
        return 0
    settings = json.loads(given.recv(1 << 16))
    return be_a_node(settings, given)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
