# SPDX-License-Identifier: Apache-2.0
"""One attempt of one request in the simulated network, and the places that answer.

A request that left arrives whatever becomes of its sender; an answer that left is told whatever
becomes of its target. Only a target that dies while it answers breaks the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from corridor.errors import FetchFailed
from corridor.sim.crash import Life
from corridor.sim.fate import Fate
from corridor.sim.loop import SimLoop
from corridor.sim.world import SimClock

Message = MutableMapping[str, Any]
Asgi = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

AHEAD_BYTES = 512 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it arrives."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    source: str

    @property
    def path(self) -> str:
        """Path, and query where there is one."""
        parts = urlsplit(self.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path


class ForeignPeer(Protocol):
    """A peer that is not Corridor."""

    async def serve(self, asked: Asked) -> tuple[int, Mapping[str, str], bytes]:
        """Answer one request: status, headers, body."""
        ...


@dataclass(slots=True, kw_only=True)
class Place:
    """What answers at a host: a node's app while a life runs it, or a foreign peer."""

    name: str
    life: Life | None = None
    app: Asgi | None = None
    clock: SimClock | None = None
    peer: ForeignPeer | None = None
    open: list[Exchange] = field(default_factory=list)

    def down(self) -> None:
        """The node died: whoever waits for an answer is told by the broken connection."""
        self.life = self.app = None
        waiting, self.open = self.open, []
        for exchange in waiting:
            exchange.fail("unreachable")

    def wall(self) -> int:
        """The node's own clock, microseconds."""
        return round(self.clock.peek().timestamp() * 1e6) if self.clock else 0


class Exchange:
    """One attempt of one request, and its answer as far as it has come."""

    def __init__(self, loop: SimLoop, number: int, asked: Asked, fate: Fate) -> None:
        self.number = number
        self.asked = asked
        self.fate = fate
        self.status = 0
        self.headers: dict[str, str] = {}
        self.failed = ""
        self.ended = False
        self.gone = False
        self.taken = 0
        self._loop = loop
        self._blocks: list[bytes] = []
        self._visible = False
        self._bell: asyncio.Future[None] = loop.create_future()

    def ring(self) -> None:
        """Something changed."""
        if not self._bell.done():
            self._bell.set_result(None)

    async def _changed(self) -> None:
        if self._bell.done():
            self._bell = self._loop.create_future()
        await asyncio.shield(self._bell)

    def fail(self, code: str) -> None:
        """The connection broke."""
        self.failed = self.failed or code
        self.ring()

    def show(self) -> None:
        """The answer's head has come back."""
        self._visible = True
        self.ring()

    def put(self, block: bytes) -> None:
        """A block has come back."""
        if block:
            self._blocks.append(block)
        self.ring()

    def end(self) -> None:
        """That was all."""
        self.ended = True
        self.ring()

    async def room(self) -> None:
        """Wait until the reader has taken what lies before it."""
        while sum(map(len, self._blocks)) > AHEAD_BYTES and not (self.gone or self.failed):
            await self._changed()

    async def leave(self) -> None:
        """Wait until the sender of the request is gone or has everything."""
        while not (self.gone or self.failed or self.ended):
            await self._changed()

    async def head(self) -> None:
        """Wait for status and headers; raises FetchFailed."""
        while not (self._visible or self.failed):
            await self._changed()
        if not self._visible:
            raise FetchFailed("no answer", code=self.failed)

    async def blocks(self) -> AsyncIterator[bytes]:
        """The body; raises FetchFailed where the connection breaks."""
        while True:
            while self._blocks:
                block = self._blocks.pop(0)
                if self.fate.kind == "cut":
                    block = block[: max(0, self.fate.cut_after - self.taken)]
                self.taken += len(block)
                if block:
                    self.ring()
                    yield block
                if self.fate.kind == "cut" and self.taken >= self.fate.cut_after:
                    raise FetchFailed("the connection was cut", code="unreachable")
            if self.failed:
                raise FetchFailed("the connection broke", code=self.failed)
            if self.ended:
                return
            await self._changed()
