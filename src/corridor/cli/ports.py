# SPDX-License-Identifier: Apache-2.0
"""Ports of this computer: which are free, and who holds one that is not."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from corridor.errors import CorridorError, Invalid

LISTEN = "0A"
STEP, ROUNDS = 10, 10


def free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something may listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """`process 4121 (nginx)`, as far as this user may see it; else empty."""
    inodes = set(_inodes(port))
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for link in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    target = str(link.readlink())
                    if target.startswith("socket:[") and target[8:-1] in inodes:
                        name = (process / "comm").read_text().strip()
                        return f"process {process.name} ({name})"
    return ""


def _inodes(port: int) -> Iterator[str]:
    """Sockets that listen on the port."""
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
                parts = line.split()
                if parts[3] == LISTEN and int(parts[1].rpartition(":")[2], 16) == port:
                    yield parts[9]


def pair(given: str) -> tuple[tuple[int, int], str]:
    """Two free ports and, where the usual ones were taken, a word about it.

    `given` is `7001,7002`; CorridorError(port-in-use) where one of those is taken.
    """
    if given:
        wanted = _read(given)
        for port in wanted:
            if not free(port):
                raise CorridorError(
                    f"127.0.0.1:{port} is taken",
                    code="port-in-use",
                    cause=_told(port),
                    mend="stop it, or name others: --ports 7101,7102",
                )
        return wanted, ""
    taken_first = ""
    for it in range(ROUNDS):
        wanted = 7001 + STEP * it, 7002 + STEP * it
        busy = [port for port in wanted if not free(port)]
        if not busy:
            told = f"{taken_first}; using {wanted[0]} and {wanted[1]}" if taken_first else ""
            return wanted, told
        taken_first = taken_first or f"{busy[0]} is taken ({_told(busy[0])})"
    raise CorridorError(
        "no two free ports from 7001 to 7092",
        code="port-in-use",
        cause=taken_first,
        mend="name two that are free: --ports 8101,8102",
    )


def _told(port: int) -> str:
    return holder(port) or "by another program"


def _read(given: str) -> tuple[int, int]:
    parts: Sequence[str] = [it.strip() for it in given.split(",")]
    if len(parts) != 2 or not all(it.isdecimal() and 0 < int(it) < 65_000 for it in parts):
        raise Invalid(f"{given} are no two ports", code="usage", mend="--ports 7001,7002")
    return int(parts[0]), int(parts[1])
