# SPDX-License-Identifier: Apache-2.0
"""People at the desks of a pair: each node's home face, called as a listener would call it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from tests.pair.pair import Pair, play

from corridor.app import App
from corridor.engine.desk import Desk
from corridor.engine.desk.tokens import OPERATOR_FILE
from corridor.http.management import Management


@dataclass
class Got:
    """An answer; `parts` as they came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    torn: bool = False

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Person:
    """Somebody with a token at one node, for one participant."""

    face: Any
    slug: str
    host: str
    token: str
    desk: Desk
    management: Management
    headers: dict[str, str] = field(default_factory=dict)

    def path(self, path: str) -> str:
        return path if path.startswith("/") else f"/api/v1/p/{self.slug}/{path}"

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        blocks: list[bytes] | None = None,
    ) -> Got:
        raw = (
            b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        )
        waiting = blocks if blocks is not None else [raw]
        parts: list[bytes] = []
        got = Got(0, {}, b"")

        async for message in self.talk(method, path, waiting, headers or {}):
            if message["type"] == "http.response.start":
                got.status = message["status"]
                got.headers = {n.decode(): v.decode("latin-1") for n, v in message["headers"]}
            elif message["type"] == "torn":
                got.torn = True
            else:
                parts.append(message.get("body", b""))
        got.body = b"".join(parts)
        return got

    async def talk(
        self, method: str, path: str, blocks: list[bytes], headers: Mapping[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        """The messages of an answer as they come; leaving early hangs up."""
        plain, _, query = self.path(path).partition("?")
        told = {
            "host": self.host,
            "authorization": f"Bearer {self.token}",
            **self.headers,
            **headers,
        }
        coming = [
            {"type": "http.request", "body": each, "more_body": at + 1 < len(blocks)}
            for at, each in enumerate(blocks)
        ]
        gone = asyncio.Event()
        sent: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

        async def receive() -> dict[str, Any]:
            if coming:
                return coming.pop(0)
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            while sent.qsize() >= AHEAD and not gone.is_set():
                await asyncio.sleep(0)
            sent.put_nowait(message)

        scope = {
            "type": "http",
            "method": method,
            "path": unquote(plain),
            "query_string": query.encode(),
            "headers": [(n.encode(), v.encode("latin-1")) for n, v in told.items() if v],
            "client": ("127.0.0.1", 1),
            "extensions": {"corridor.abort": lambda: sent.put_nowait({"type": "torn"})},
        }
        task = asyncio.create_task(self.face(scope, receive, send))
        task.add_done_callback(lambda _: sent.put_nowait(None))
        try:
            while (message := await sent.get()) is not None:
                yield message
        finally:
            gone.set()
            while not task.done():
                while not sent.empty():
                    sent.get_nowait()
                await asyncio.sleep(0)
            task.result()


def person(pair: Pair, name: str) -> Person:
    """The operator of a node while nobody else is known: every role."""
    app: App = getattr(pair, name)
    host = str(app.config.node.home_listen)
    token = (app.world.disk.read(OPERATOR_FILE) or b"").decode().strip()
    return Person(app.asgi_home, name, host, token, app.desk, app.management)


AHEAD = 4  # blocks that may lie between a sender and its reader
CSV = b"year,persons\n" + b"".join(b"%d,%d\n" % (1950 + at, at * 1000) for at in range(80))
OPEN = "title: {en: Population}\nasset: population\nallow: [{action: use}]\n"
PURPOSE = """title: {en: Population by year, sr: Становништво}
asset: population
allow: [{action: use, purpose: [official-statistics], quota: {requests: {day: 5}}}]
forbid: [share]
"""


@dataclass
class Two:
    """The steward of the provider, the analyst of the consumer."""

    pair: Pair
    stat: Person
    lab: Person

    async def offer(self, terms: str = OPEN, name: str = "population.csv") -> dict[str, Any]:
        put = await self.stat.ask("PUT", f"assets/population/content/{name}", CSV)
        assert put.status == 201, put.body
        offered = await self.stat.ask(
            "POST",
            "offers",
            {"terms": terms, "source": {"path": put.json["path"]}, "service": "files"},
        )
        assert offered.status == 201, offered.body
        return offered.json

    async def know(self) -> dict[str, Any]:
        base = self.pair.home("provider").base_url
        added = await self.lab.ask("POST", "peers", {"url": base, "handle": "stat"})
        assert added.status == 201, added.body
        return added.json

    async def deal(self, **told: Any) -> dict[str, Any]:
        asked = {"partner": "stat", "asset": "population", "wait_s": 5.0, **told}
        got = await self.lab.ask("POST", "negotiations", asked)
        assert got.status == 200, got.body
        await self.pair.until("provider", "agreements", got.json["id"], ("live",))
        return got.json


def played(story: Callable[..., Awaitable[None]], **settings: Any) -> Callable[..., None]:
    """A test of a story over two desks."""
    names = [name for name in inspect.signature(story).parameters if name != "two"]

    def run(tmp_path: Path, **told: Any) -> None:
        async def over(made: Pair) -> None:
            two = Two(made, person(made, "provider"), person(made, "consumer"))
            await story(two, **told)

        play(tmp_path, over, **settings)

    kinds = inspect.Parameter.KEYWORD_ONLY
    listed = [inspect.Parameter(name, kinds) for name in ("tmp_path", *names)]
    run.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]  # pytest reads it
    run.__name__ = story.__name__
    return run
