# SPDX-License-Identifier: Apache-2.0
# The calls themselves are what is tried:
# ruff: noqa: PTH108, PTH123, PTH208
"""Works for the tests of rooms: what they do stands in the test that runs them."""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from corridor.errors import Invalid, NotFound, QueryRefused, Refused

Send = Callable[[bytes], None]


def echo(args: dict[str, Any], send: Send) -> None:
    send(args["text"].encode())


def many(args: dict[str, Any], send: Send) -> None:
    for _ in range(args["blocks"]):
        send(b"x" * args["size"])


def read(args: dict[str, Any], send: Send) -> None:
    with open(args["path"], "rb") as file:
        send(file.read())


def attempt(args: dict[str, Any], send: Send) -> None:
    """Try one forbidden thing; send what came of it."""
    path = args.get("path", "")

    def fork() -> None:
        if os.fork() == 0:
            os._exit(0)

    def ptrace() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(0, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def unlimited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    def thread() -> None:
        it = threading.Thread(target=lambda: None)
        it.start()
        it.join()

    tries = {
        "socket": socket.socket,
        "pair": socket.socketpair,
        "execve": lambda: os.execv("/bin/true", ["true"]),
        "fork": fork,
        "kill": lambda: os.kill(os.getppid(), 9),
        "ptrace": ptrace,
        "setrlimit": unlimited,
        "open": lambda: open(path, "rb").close(),
        "write": lambda: open(path, "wb").close(),
        "unlink": lambda: os.unlink(path),
        "list": lambda: os.listdir(path),
        "thread": thread,
        "cgroup": lambda: open("/proc/self/cgroup").close(),
    }
    try:
        tries[args["what"]]()
    except ValueError:  # what `resource` makes of EPERM
        send(b"refused 1")
    except OSError as error:
        send(f"refused {error.errno}".encode())
    else:
        send(b"done")


def look(args: dict[str, Any], send: Send) -> None:
    """Send what the process holds: descriptors, environment."""
    held = []
    for number in range(64):
        try:
            os.fstat(number)
        except OSError:
            continue
        held.append(number)
    send(repr({"fds": held, "environment": sorted(os.environ), "pid": os.getpid()}).encode())


def fail(args: dict[str, Any], send: Send) -> None:
    raise {
        "query": QueryRefused("not so", code="query-refused", rule="columns", would_pass="so"),
        "refused": Refused("no", rule="rows"),
        "invalid": Invalid("wrong"),
        "strange": Refused("no", code="no-such-code"),
        "other": NotFound("secret"),
        "engine": RuntimeError("engine text with a row's value 4711"),
        "memory": MemoryError("4711"),
    }[args["how"]]


def hang(args: dict[str, Any], send: Send) -> None:
    send(b"before")
    while True:
        time.sleep(0.01)


def die(args: dict[str, Any], send: Send) -> None:
    os._exit(3)


def eat(args: dict[str, Any], send: Send) -> None:
    held = []
    while True:
        held.append(bytearray(64 << 20))
