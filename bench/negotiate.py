# SPDX-License-Identifier: Apache-2.0
"""Catalogue → agreement FINALIZED between two nodes over HTTP, identity on, all of it durable.

One after the other (median, p99), then 50 in flight. What others need for it is not measured in
this run, so no ratio to them stands here.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

from bench.deal import deal, gather, timed
from bench.rows import Row, quantile

ALONE, TOGETHER, IN_FLIGHT, ROUNDS = 150, 150, 50, 3
LIMITS = {"peer_requests_per_s": 5000, "peer_requests_burst": 5000, "fetch_waiting_max": IN_FLIGHT}


async def rows(folder: Path) -> AsyncIterator[Row]:
    """Two nodes in two processes."""
    told = "limits: peer_requests_*, fetch_waiting_max raised"
    async with deal(folder, limits=LIMITS) as both:

        async def negotiate() -> None:
            offers = await both.offers()
            await both.agree(offers[0])

        for _ in range(20):
            await negotiate()
        found = [await timed(negotiate) for _ in range(ALONE)]
        middle = median(found)
        facts = {"seconds": found}
        yield Row(
            name="catalogue → FINALIZED, median", unit="ms", runs=[middle * 1e3], told=told,
            facts=facts,
        )  # fmt: skip
        yield Row(
            name="catalogue → FINALIZED, p99 ÷ median", unit="", budget=5, sense="<=",
            runs=[quantile(found, 0.99) / middle], told=f"of {ALONE}, p99 "
            f"{quantile(found, 0.99) * 1e3:.1f} ms",
        )  # fmt: skip
        speeds = []
        for _ in range(ROUNDS):
            began = time.monotonic()
            await gather(IN_FLIGHT, TOGETHER, negotiate)
            speeds.append(TOGETHER / (time.monotonic() - began))
        yield Row(name=f"negotiations, {IN_FLIGHT} in flight", unit="/s", runs=speeds, told=told)
