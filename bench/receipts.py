# SPDX-License-Identifier: Apache-2.0
"""Answered requests a second that each leave a durable receipt, with checkpoints once a second.

A small file through sessions, by wrk on 32 connections. Against the same node whose units are not
written (evidence.md 8: at least half of it).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

from bench import load
from bench.deal import deal
from bench.rows import Row

ROUNDS, SECONDS, SESSIONS = 3, 2, 8


async def rows(folder: Path) -> AsyncIterator[Row]:
    """The node with and without writing, in turns."""
    if not load.there():
        yield Row(name="receipted requests", unit="/s", runs=(), skipped=load.WITHOUT)
        return
    found: dict[str, list[load.Load]] = {"": [], "no-write": []}
    for round_ in range(ROUNDS):
        for how, of in found.items():
            place = folder / f"{how or 'durable'}-{round_}"
            place.mkdir()
            of.append(await one(place, how))
    faulty = sum(it.refused + it.broken for of in found.values() for it in of)
    cpu = median(it.cpu_us for it in found[""])
    told = f"{SESSIONS} sessions; {cpu:.0f} µs of processor time a request" + (
        f"; {faulty} refused or broken" if faulty else ""
    )
    speed = {how: [it.per_s for it in of] for how, of in found.items()}
    yield Row(
        name="receipted requests", unit="/s", runs=speed[""], budget=1000, sense=">=", told=told
    )
    yield Row(
        name="receipted requests ÷ the same without a write", unit="", budget=0.5, sense=">=",
        runs=[a / b for a, b in zip(speed[""], speed["no-write"], strict=True)],
    )  # fmt: skip


async def one(folder: Path, how: str, *more: str) -> load.Load:
    """Open sessions, then ask for the file again and again."""
    async with deal(folder, how=("later",)) as both:
        agreed = await both.agree((await both.offers())[0])
        blocks = []
        for _ in range(SESSIONS):
            url, token = await both.open(agreed.agreement_id)
            blocks.append(load.block("GET", url, {"Authorization": token}))
        if how:
            await both.provider.ask(bend=how)
        for word in more:
            await both.provider.ask(bend=word)
        await load.drive(folder, both.provider, b"".join(blocks), 1, again=True)
        return await load.drive(folder, both.provider, b"".join(blocks), SECONDS, again=True)
