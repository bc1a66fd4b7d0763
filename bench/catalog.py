# SPDX-License-Identifier: Apache-2.0
"""A page of the catalogue (100 offers) where there are 10,000 against where there are 100.

The first page, and one in the middle of 10,000; one request after the other, in turns, identity
off: with it on both cost the same more.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

import aiohttp

from bench import nodes
from bench.deal import ASK
from bench.rows import Row

FEW, MANY, TIMES, ROUNDS = 100, 10_000, 60, 3
MIDDLE = 40
UNSAFE = {"identity": "unsafe-open", "unsafe_peer": "did:web:localhost%3A9:consumer"}
_NEXT = re.compile(r'<([^>]+)>; rel="next"')


async def rows(folder: Path) -> AsyncIterator[Row]:
    """Two nodes, asked in turns."""
    limits = {"peer_requests_per_s": 5000, "peer_requests_burst": 5000}
    async with AsyncExitStack() as held:
        pages = {}
        session = await held.enter_async_context(aiohttp.ClientSession())
        for count in (FEW, MANY):
            place = folder / str(count)
            place.mkdir()
            told = nodes.settings(place, "provider", limits=limits, participant=UNSAFE)
            await nodes.offer(nodes.config_of(told), count)
            one = await held.enter_async_context(nodes.node(place, told))
            pages[str(count)] = f"{one.base}/provider/dsp/2025-1/catalog/request"
        pages["middle"] = await _middle(session, pages[str(MANY)])
        found: dict[str, list[list[float]]] = {name: [] for name in pages}
        for _ in range(ROUNDS):
            for name in pages:
                found[name].append([])
            for _ in range(TIMES):
                for name, url in pages.items():
                    found[name][-1].append(await _seconds(session, url))
        middle = {name: [median(it) for it in of] for name, of in found.items()}
        for name, title in ((str(MANY), "first page"), ("middle", "page in the middle")):
            ratio = [a / b for a, b in zip(middle[name], middle[str(FEW)], strict=True)]
            yield Row(
                name=f"catalogue, {title} at {MANY:,} offers ÷ at {FEW}", unit="", runs=ratio,
                budget=1.5, sense="<=", told="limits: peer_requests_* raised",
                facts={"seconds": middle},
            )  # fmt: skip
        yield Row(
            name=f"catalogue page at {FEW} offers", unit="ms",
            runs=[it * 1e3 for it in middle[str(FEW)]],
        )  # fmt: skip


async def _seconds(session: aiohttp.ClientSession, url: str) -> float:
    began = time.monotonic()
    async with session.post(url, data=ASK) as answer:
        body = await answer.read()
        if answer.status != 200 or body.count(b'"Dataset"') != FEW:
            raise RuntimeError(f"status {answer.status}, {body.count(b'Dataset')} datasets")
    return time.monotonic() - began


async def _middle(session: aiohttp.ClientSession, url: str) -> str:
    """The address of a page further on."""
    for _ in range(MIDDLE):
        async with session.post(url, data=ASK) as answer:
            found = _NEXT.search(answer.headers["link"])
            assert found is not None
            url = found[1]
    return url
