# SPDX-License-Identifier: Apache-2.0
"""Spawn → ready line of `corridor up`, and what the node holds in memory when idle.

The folder is set up before (keys and store are there). Idle: some seconds after a first catalogue
request; the zygote is another process, and not started here.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from bench import nodes
from bench.deal import ASK
from bench.rows import Row

TIMES, IDLE_S = 5, 2.0
UNSAFE = {"identity": "unsafe-open", "unsafe_peer": "did:web:localhost%3A9:consumer"}


def _toml(told: dict[str, object]) -> str:
    lines = [f"{name} = {json.dumps(it)}" for name, it in told.items() if name != "participant"]
    (participant,) = told["participant"]  # type: ignore[misc]  # a list of one
    lines.append("[[participant]]")
    lines += [f"{name} = {json.dumps(it)}" for name, it in participant.items() if name != "title"]
    return "\n".join(lines) + "\n"


async def rows(folder: Path) -> AsyncIterator[Row]:
    """One node, started again and again."""
    told = nodes.settings(folder, "provider", participant=UNSAFE)
    await nodes.offer(nodes.config_of(told), 100)
    path = folder / "corridor.toml"
    path.write_text(_toml(told))
    seconds, memory, cpu = [], [], []
    for number in range(TIMES + 1):
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "corridor.cli", "up", "--config", str(path),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": "src"}, cwd=nodes.ROOT,
        )  # fmt: skip
        assert process.stdout is not None
        line = json.loads(await process.stdout.readline())
        taken = time.monotonic() - began
        if number:  # the first one makes keys, and warms the page cache
            seconds.append(taken)
            cpu.append(nodes.Node(process, line).cpu_s())
        if number >= TIMES - 1:
            async with aiohttp.ClientSession() as session:
                url = f"{line['peer']}/provider/dsp/2025-1/catalog/request"
                async with session.post(url, data=ASK) as answer:
                    await answer.read()
            await asyncio.sleep(IDLE_S)
            memory.append(nodes.Node(process, line).memory())
        process.terminate()
        await process.wait()
    yield Row(name="spawn → ready", unit="s", runs=seconds, budget=1.0, sense="<=")
    yield Row(name="spawn → ready, processor time", unit="s", runs=cpu)
    yield Row(name="idle memory (RSS)", unit="MB", runs=memory, budget=100, sense="<=", worst=True)
