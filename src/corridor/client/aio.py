# SPDX-License-Identifier: Apache-2.0
"""Drives the same flows with aiohttp, for programs that have an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from corridor.client.blocking import BLOCK_BYTES, CONNECT_S
from corridor.client.exchange import (
    ANSWER_BYTES_MAX,
    Ask,
    Emit,
    Emitting,
    Flow,
    Got,
    More,
    Pause,
    Shut,
    Step,
)
from corridor.client.places import Place
from corridor.errors import NotReachable, Unreadable

T = TypeVar("T")
_FAILED = (aiohttp.ClientError, TimeoutError, OSError)


class Waiting:
    """One node; each flow may run beside others."""

    def __init__(self, place: Place, *, timeout_s: float, language: str) -> None:
        """`timeout_s`: the longest silence; connecting takes at most 5 s."""
        self._place = place
        self._timeout_s = timeout_s
        self._headers = {"accept-language": language}
        if place.token:
            self._headers["authorization"] = f"Bearer {place.token.reveal()}"
        self._session: aiohttp.ClientSession | None = None

    async def run(self, flow: Flow[T]) -> T:
        """What the flow returns; raises what it raises."""
        result: list[T] = []
        async for _ in self._pump(flow, result):
            pass
        return result[0]

    async def each(self, flow: Emitting) -> AsyncIterator[Any]:
        """What the flow emits, as it comes."""
        pump = self._pump(flow, [])
        try:
            async for it in pump:
                yield it
        finally:
            await pump.aclose()

    async def close(self) -> None:
        """Drop all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _pump(self, flow: Any, result: list[Any]) -> Any:
        talk = _Talk(self)
        answer: Any = None
        failure: NotReachable | None = None
        try:
            while True:
                try:
                    step = flow.throw(failure) if failure is not None else flow.send(answer)
                except StopIteration as done:
                    result.append(done.value)
                    return
                answer = failure = None
                if isinstance(step, Emit):
                    yield step.value
                    continue
                try:
                    answer = await talk.do(step)
                except NotReachable as lost:
                    failure = lost
        finally:
            flow.close()
            talk.shut()

    async def ask(self, it: Ask) -> aiohttp.ClientResponse:
        """Send; the answer's body is not read yet."""
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=False)
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_S, sock_read=self._timeout_s + it.wait_s
        )
        return await self._session.request(
            it.method,
            # The path is quoted already: "encoded" keeps urn%3A… as one segment.
            URL(self._place.url + it.path, encoded=True).update_query(dict(it.query)),
            data=it.body or None,
            headers={**self._headers, **it.headers},
            allow_redirects=False,
            timeout=timeout,
        )

    def lost(self, error: Exception) -> NotReachable:
        """The connection failed."""
        return NotReachable(
            f"no answer from {self._place.url}",
            side="home",
            code="home-unreachable",
            cause=str(error) or type(error).__name__,
        )


class _Talk:
    """What one flow holds open."""

    def __init__(self, home: Waiting) -> None:
        self._home = home
        self._open: aiohttp.ClientResponse | None = None

    async def do(self, step: Step) -> Any:
        match step:
            case Ask():
                return await self._ask(step)
            case More():
                return await self._more()
            case Shut():
                self.shut()
                return None
            case Pause():
                await asyncio.sleep(step.seconds)
                return None

    async def _ask(self, it: Ask) -> Got:
        self.shut()
        try:
            answer = await self._home.ask(it)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            if it.streamed and answer.status < 400:
                self._open = answer
                return Got(status=answer.status, headers=headers)
            async with answer:
                body = await _read(answer)
        except _FAILED as error:
            raise self._home.lost(error) from error
        return Got(status=answer.status, headers=headers, body=body)

    async def _more(self) -> bytes:
        assert self._open is not None, "a flow opens before it reads"
        try:
            block = await self._open.content.read(BLOCK_BYTES)
        except _FAILED as error:
            self.shut()
            raise self._home.lost(error) from error
        if not block:
            self._open.release()
            self._open = None
        return block

    def shut(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for block in answer.content.iter_chunked(BLOCK_BYTES):
        size += len(block)
        if size > ANSWER_BYTES_MAX:
            answer.close()
            raise Unreadable(f"the node answered more than {ANSWER_BYTES_MAX} bytes")
        parts.append(block)
    return b"".join(parts)
