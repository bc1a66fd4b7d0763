# SPDX-License-Identifier: Apache-2.0
"""Withdraw an agreement while its data flows: how long until the last byte arrives.

From the moment that the provider's node is told, to the reader's last byte. Several readers under
the same agreement, some at full speed in small steps, one that rests between blocks, so that
buffers are full. Every one of them must see its connection end before the content does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

from bench import nodes
from bench.deal import deal
from bench.rows import Row
from bench.stream import big

TIMES, FLOWING_S = 5, 0.4
PAUSES = ("0.002", "0.01", "0.05")


async def rows(folder: Path) -> AsyncIterator[Row]:
    """Five agreements, each withdrawn under three readers."""
    path = big(folder)
    seconds: list[float] = []
    commits: list[float] = []
    async with deal(folder, path=path) as both:
        for _ in range(TIMES):
            offers = await both.offers()
            agreed = await both.agree(offers[0])
            async with AsyncExitStack() as held:
                readers = []
                for pause in PAUSES:
                    url, token = await both.open(agreed.agreement_id)
                    place = urlsplit(url)
                    args = (place.hostname or "", str(place.port), place.path, token, pause)
                    one = await held.enter_async_context(nodes.spawn("bench.reader", *args))
                    if one.ready["status"] != 200:
                        raise RuntimeError(f"a reader was answered {one.ready}")
                    readers.append(one)
                await asyncio.sleep(FLOWING_S)
                told = await both.provider.ask(withdraw=agreed.agreement_id)
                ends = [await it.line() for it in readers]
            if any(it["whole"] for it in ends):
                raise RuntimeError("a reader got all of it: nothing was cut")
            seconds += [max(0.0, it["last"] - told["began"]) for it in ends]
            commits.append(told["ended"] - told["began"])
    yield Row(
        name="withdraw → last byte", unit="ms", runs=[it * 1e3 for it in seconds], budget=1000,
        sense="<=", worst=True, told=f"{len(PAUSES)} readers, {TIMES} agreements",
    )  # fmt: skip
    yield Row(name="withdraw → answered", unit="ms", runs=[it * 1e3 for it in commits])
