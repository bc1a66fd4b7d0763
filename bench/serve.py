# SPDX-License-Identifier: Apache-2.0
"""A node's process for the bench: the product's own `Running`, told what to do by lines of JSON.

Words behind the settings' path, each of which leaves one thing out or puts one in:
`still` (the seam says nothing, so that a POST is nothing but its own answer), `no-write` (units
are taken and not written), `strangers=PATH` (documents of callers known beforehand), `open-many`
(no identity: the Authorization header is the caller's name), `profile=PATH`.  Others do nothing.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import signal
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
import uvloop

from bench.nodes import config_of
from corridor import app as apps
from corridor.config import Config
from corridor.engine.decide import Decide, Rest
from corridor.engine.ground import Home
from corridor.identity.token import Caller
from corridor.store.unit import Unit


class Still:
    """Says nothing, whatever state was entered."""

    def __init__(self, decide: Decide) -> None:
        del decide

    def negotiation(self, home: Home, it: object) -> Rest:
        del home, it
        return Rest()

    transfer = negotiation


class OpenMany:
    """As `UnsafeOpen`, for many callers: whoever calls is who he says."""

    def __init__(self, app: apps.App) -> None:
        self._clock = app.world.clock

    async def authorize(self, **told: Any) -> str:
        del told
        return "unsafe-open"

    async def caller(self, authorization: str | None, **told: Any) -> Caller:
        del told
        expires = self._clock.now() + timedelta(seconds=300)
        did = authorization or ""
        return Caller(did=did, kid="", jti="", expires=expires, raw="", bound=False)


async def _unwritten(unit: Unit) -> None:
    """As a store that is done at once: the turn of the loop that a commit costs, and no write."""
    del unit
    await asyncio.sleep(0)


def _bend(app: apps.App, words: list[str]) -> None:
    """What is left out or put in, once the node has started."""
    for word in words:
        name, _, value = word.partition("=")
        if name == "no-write":
            app.store.run = _unwritten  # type: ignore[method-assign]  # that is the point
        elif name == "open-many":
            for home in app.engine.ground.homes.values():
                object.__setattr__(home, "identify", OpenMany(app))
        elif name == "strangers":
            told = json.loads(Path(value).read_text())
            for did, document in told.items():
                app.who.register(did, json.dumps(document).encode())


async def _told(app: apps.App, line: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a line says: `withdraw` an agreement, or `bend` the node from now on."""
    if "bend" in line:
        _bend(app, [line["bend"]])
        return {}
    home = next(iter(app.engine.ground.homes.values()))
    began = time.monotonic()
    await app.engine.endings.withdraw(
        home, line["withdraw"], reason="bench", notice=timedelta(), person="bench"
    )
    return {"began": began, "ended": time.monotonic()}


async def _run(config: Config, words: list[str]) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    node = apps.Running(config, seam=Still if "still" in words else None)
    with apps.locked(config.node.data_dir):
        ready = await node.start()
        assert node.app is not None
        really = node.app.store.run
        _bend(node.app, words)
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        print(json.dumps(ready), flush=True)
        listening = asyncio.create_task(_listen(node.app, reader))
        profile = next((it.partition("=")[2] for it in words if it.startswith("profile=")), "")
        profiler = cProfile.Profile() if profile else None
        if profiler is not None:
            profiler.enable()
        await stopping.wait()
        if profiler is not None:
            profiler.disable()
            profiler.dump_stats(profile)
        listening.cancel()
        node.app.store.run = really  # type: ignore[method-assign]  # as it was
        await node.stop()


async def _listen(app: apps.App, reader: asyncio.StreamReader) -> None:
    while line := await reader.readline():
        print(json.dumps(await _told(app, json.loads(line))), flush=True)


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(40),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    told = config_of(json.loads(Path(sys.argv[1]).read_text()))
    uvloop.run(_run(told, sys.argv[2:]))
