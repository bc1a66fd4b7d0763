# SPDX-License-Identifier: Apache-2.0
"""A file of 1 GiB through a session, against `sendfile` on a raw socket: the same reader for both.

In turns. The reader is a process that takes 1 MiB at a time and throws it away. Memory: how much
more the node held at its highest than before the first byte.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from bench import nodes
from bench.deal import deal
from bench.rows import Row

SIZE, ROUNDS = 1 << 30, 5


def big(folder: Path) -> Path:
    """A file of that size with content."""
    path = folder / "provider" / "assets" / "big.bin"
    path.parent.mkdir(parents=True)
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(SIZE >> 20):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())  # else it is written while the ledger waits for the same disk
    return path


async def read(url: str, token: str) -> float:
    """Bytes a second of one reading."""
    place = urlsplit(url)
    args = [place.hostname or "", str(place.port), place.path, token, "0"]
    async with nodes.spawn("bench.reader", *args) as reader:
        told = await reader.line()
    if not told["whole"] or told["bytes"] != SIZE:
        raise RuntimeError(f"the reader got {told}")
    return float(told["bytes"]) / float(told["seconds"])


async def rows(folder: Path) -> AsyncIterator[Row]:
    """Both servers stand; one is read at a time."""
    path = big(folder)
    async with deal(folder, path=path) as both, nodes.spawn("bench.sendfile", str(path)) as raw:
        offers = await both.offers()
        agreed = await both.agree(offers[0])
        url, token = await both.open(agreed.agreement_id)
        before = both.provider.memory("VmHWM")
        ours, theirs = [], []
        for _ in range(ROUNDS):
            theirs.append(await read(f"{raw.base}/", ""))
            ours.append(await read(url, token))
        more = both.provider.memory("VmHWM") - before
    yield Row(
        name="1 GiB through a session ÷ sendfile", unit="", budget=0.4, sense=">=",
        runs=[a / b for a, b in zip(ours, theirs, strict=True)],
        told=f"sendfile {max(theirs) / 1e9:.2f} GB/s at best",
    )  # fmt: skip
    yield Row(name="1 GiB through a session", unit="GB/s", runs=[it / 1e9 for it in ours])
    yield Row(name="memory that a stream of 1 GiB adds at most", unit="MB", runs=[more])
