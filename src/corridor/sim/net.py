# SPDX-License-Identifier: Apache-2.0
"""How one node, peer or person uses the simulated network: `Net` of world.py, and a plain call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from corridor.errors import FetchFailed
from corridor.sim.crash import Life
from corridor.sim.exchange import Asgi, Asked, Exchange, Place
from corridor.sim.fate import Fate
from corridor.sim.network import Network
from corridor.world import Request, Response


class SimNet:
    """A node's (or a foreign peer's) way to the network. Raises FetchFailed and nothing else."""

    def __init__(self, network: Network, name: str, life: Life | None = None) -> None:
        self._network = network
        self._name = name
        self._life = life

    async def _cross(self, point: str) -> None:
        if self._life is not None:
            await self._life.cross(point)

    async def _send(self, request: Request) -> Exchange:
        body = request.body
        if not isinstance(body, bytes):
            body = b"".join([block async for block in body])
        asked = Asked(
            method=request.method,
            url=request.url,
            headers=dict(request.headers),
            body=body,
            source=self._name,
        )
        return self._network.send(self._name, request.purpose, asked)

    def _got(self, exchange: Exchange, request: Request, body: bytes, note: str = "") -> None:
        self._network.trace.add(
            "got",
            node=self._name,
            exchange=exchange.number,
            purpose=request.purpose,
            method=request.method,
            path=exchange.asked.path,
            status=0 if note else exchange.status,
            body=body,
            note=note,
        )

    async def fetch(self, request: Request) -> Response:
        """The whole answer."""
        await self._cross("net.fetch")
        exchange = await self._send(request)
        body = bytearray()
        try:
            async with asyncio.timeout(request.timeout_s):
                await exchange.head()
                async for block in exchange.blocks():
                    body.extend(block)
                    _bound(len(body), request.answer_bytes_max)
        except TimeoutError:
            exchange.gone = True
            exchange.ring()
            self._got(exchange, request, b"", "timeout")
            raise FetchFailed("no answer in time", code="timeout") from None
        except FetchFailed as error:
            exchange.gone = True
            exchange.ring()
            self._got(exchange, request, b"", error.code)
            raise
        self._got(exchange, request, bytes(body))
        await self._cross("net.fetch:done")
        return Response(status=exchange.status, headers=dict(exchange.headers), body=bytes(body))

    @contextlib.asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[SimStreamed]:
        """The answer block by block; `timeout_s` is the longest silence."""
        await self._cross("net.stream")
        exchange = await self._send(request)
        try:
            async with asyncio.timeout(request.timeout_s):
                await exchange.head()
        except TimeoutError:
            exchange.gone = True
            exchange.ring()
            self._got(exchange, request, b"", "timeout")
            raise FetchFailed("no answer in time", code="timeout") from None
        self._got(exchange, request, b"")
        try:
            yield SimStreamed(exchange, request.timeout_s, pace_s=self._network.pace_s(exchange))
        finally:
            exchange.gone = True
            exchange.ring()

    async def check(self, url: str, purpose: str) -> None:
        """Any host of this world may be called; raises FetchFailed(refused-address) else."""
        del purpose
        await self._cross("net.check")
        if self._network.place_of(url) is None:
            raise FetchFailed("no host of this world", code="refused-address")


def _bound(count: int, most: int) -> None:
    if count > most:
        raise FetchFailed("too many bytes", code="too-large")


class SimStreamed:
    """An answer that is being read."""

    def __init__(self, exchange: Exchange, silence_s: float, *, pace_s: float) -> None:
        self._pace_s = pace_s
        self._exchange = exchange
        self._silence_s = silence_s
        self.status = exchange.status
        self.headers: Mapping[str, str] = dict(exchange.headers)

    async def blocks(self) -> AsyncIterator[bytes]:
        """The body; raises FetchFailed where it breaks or falls silent."""
        source = self._exchange.blocks()
        while True:
            try:
                async with asyncio.timeout(self._silence_s):
                    block = await anext(source)
                    await asyncio.sleep(self._pace_s)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise FetchFailed("the stream fell silent", code="timeout") from None
            yield block


async def ask(
    network: Network, place: Place, app: Asgi, asked: Asked
) -> tuple[int, Mapping[str, str], bytes] | None:
    """Call an app of a running node directly, as its own people do; None where it dies."""
    if place.life is None or place.life.frozen:
        return None
    exchange = Exchange(network.loop, 0, replace(asked, source="person"), Fate())
    place.open.append(exchange)
    place.life.spawn(network.run(place, app, exchange))
    try:
        await exchange.head()
        body = b"".join([block async for block in exchange.blocks()])
    except FetchFailed:
        return None
    return exchange.status, exchange.headers, body
