# SPDX-License-Identifier: Apache-2.0
"""Answers that do not fit into one piece: partners' data passing through, uploads, events.

What breaks in the middle breaks the person's connection too, so that a part is never taken for the
whole (node.md d).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, suppress

import msgspec
import structlog

from corridor import telemetry
from corridor.engine import Engine
from corridor.engine.desk import Desk
from corridor.engine.desk.use import Passing
from corridor.errors import CorridorError, Invalid, PeerMustWait
from corridor.http.asked import Asked
from corridor.http.routes import Call
from corridor.http.streams import abort, begin, block, body_blocks
from corridor.wire.home import ARROW, EVENTS, EventView

PASSED = (
    "accept-ranges",
    "cache-control",
    "content-disposition",
    "content-length",
    "content-range",
    "content-type",
    "corridor-receipt",
    "etag",
    "last-modified",
    "repr-digest",
)
"""Headers of a partner's answer that a person gets. None of them can set a cookie or a place."""
BYE = b"event: bye\ndata: {}\n\n"
ALIVE = b": here\n\n"
log = structlog.get_logger()


class Relay:
    """Streams of the home face."""

    def __init__(self, engine: Engine, desk: Desk) -> None:
        self._engine = engine
        self._desk = desk
        self._limits = engine.ground.limits
        self._draining = asyncio.Event()
        self._following = 0

    def drain(self) -> None:
        """Followers of events are told to come again."""
        self._draining.set()

    def upload(self, asked: Asked) -> AsyncIterator[bytes]:
        """The body of an upload, as it comes."""
        return body_blocks(
            asked.call,
            bytes_max=self._limits.upload_bytes_max,
            silence_s=self._limits.stream_stall_s,
        )

    # partners' data

    async def query(self, asked: Asked) -> None:
        """A question to a partner, its answer passed on as it comes."""
        if len(asked.raw) > self._limits.query_bytes_max:
            most = self._limits.query_bytes_max
            raise Invalid(f"a question has at most {most} bytes", code="too-large")
        name = asked.names["id"]
        await self._pass(asked.call, self._desk.use.query(asked.home, asked.actor, name, asked.raw))

    async def file(self, asked: Asked) -> None:
        """A file of a partner, or a part of it."""
        name, path = asked.names["id"], asked.names["path"]
        if len(path.encode()) > self._limits.file_path_bytes_max:
            raise Invalid("the path is too long")
        headers = asked.call.headers
        passing = self._desk.use.file(asked.home, asked.actor, name, path, headers)
        await self._pass(asked.call, passing)

    async def _pass(self, call: Call, request: AbstractAsyncContextManager[Passing]) -> None:
        began = False
        gone = asyncio.create_task(_left(call))
        try:
            async with request as answer:
                headers = _passed(answer.headers)
                headers["x-content-type-options"] = "nosniff"
                began = True
                await begin(call, answer.status, headers)
                async for data in answer.blocks():
                    if gone.done():
                        return
                    await block(call, data, more=True)
                await block(call, b"", more=False)
        except CorridorError as error:
            if not began:
                raise
            log.info(telemetry.RELAY_BROKEN, path=call.path, code=error.code, why=error.what)
            abort(call)
        finally:
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone

    # events

    async def events(self, asked: Asked) -> None:
        """Server-sent events behind `since` or Last-Event-ID; without either, from now on."""
        if self._following >= self._limits.event_subscribers_max:
            raise PeerMustWait("too many follow events", retry_after_s=10.0)
        text = asked.text("since") or asked.call.headers.get("last-event-id", "")
        if text and (not text.isdecimal() or len(text) > 18):
            raise Invalid("this is no event's id")
        last = self._desk.node.last_event(asked.home)
        after = min(int(text), last) if text else last
        kinds = frozenset(it for it in asked.text("kind").split(",") if it)
        self._following += 1
        try:
            await begin(
                asked.call,
                200,
                {"content-type": EVENTS, "cache-control": "no-store", "x-accel-buffering": "no"},
            )
            await self._follow(asked, after, kinds)
        finally:
            self._following -= 1

    async def _follow(self, asked: Asked, after: int, kinds: frozenset[str]) -> None:
        call, clock = asked.call, self._engine.ground.world.clock
        until = clock.monotonic() + self._limits.event_life_s
        stream = self._desk.node.events(asked.home, after, kinds)
        gone = asyncio.create_task(_left(call))
        bye = asyncio.create_task(self._draining.wait())
        coming: asyncio.Task[EventView | None] | None = None
        try:
            await block(call, ALIVE, more=True)
            while not gone.done() and not bye.done() and clock.monotonic() < until:
                coming = coming or asyncio.create_task(_next(stream))
                await asyncio.wait({coming, gone, bye}, return_when=asyncio.FIRST_COMPLETED)
                if coming.done():
                    event = coming.result()
                    coming = None
                    await block(call, ALIVE if event is None else _sse(event), more=True)
            if not gone.done():
                await block(call, BYE, more=False)
        finally:
            tasks = [task for task in (gone, bye, coming) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await stream.aclose()  # type: ignore[attr-defined]  # an async generator


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of a partner's answer, as far as they can be sent on as they came."""
    passed = {it: headers[it] for it in PASSED if it in headers and headers[it].isascii()}
    if headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        passed.pop("content-length", None)  # of what was packed; what passes is not
    passed.setdefault("content-type", ARROW)
    return passed


async def _next(stream: AsyncIterator[EventView | None]) -> EventView | None:
    return await anext(stream)


def _sse(event: EventView) -> bytes:
    """One event; its id resumes behind it."""
    data = msgspec.json.encode(event)
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (event.id.encode(), event.kind.encode(), data)


async def _left(call: Call) -> None:
    """Return when the caller has gone."""
    while (await call.receive())["type"] != "http.disconnect":
        pass
