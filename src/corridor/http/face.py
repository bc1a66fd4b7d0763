# SPDX-License-Identifier: Apache-2.0
"""A listener's face: a route table as an ASGI app, and an error for whatever goes wrong inside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from corridor.errors import MalformedMessage
from corridor.http.routes import (
    Call,
    Receive,
    Route,
    Scope,
    Send,
    Table,
    headers_of,
    respond,
)

log = structlog.get_logger()
Words = Callable[[str, str], bytes]


class Face:
    """ASGI. `words` puts (code, what) into an error body of this face's kind.

    `words_below`: by a part of the path, the words of what lies there.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        words: Words,
        *,
        media: str = "application/json",
        words_below: Mapping[str, Words] | None = None,
    ) -> None:
        self._table = Table(routes)
        self._words = words
        self._words_below = words_below or {}
        self._media = media

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        found = self._table.find(scope["method"], scope["path"])
        if found is None:
            await self._refuse(scope, send, 404, "not-found", "no such address")
            return
        route, names = found
        try:
            headers = headers_of(scope)
        except MalformedMessage as error:
            await self._refuse(scope, send, 400, error.code, error.what)
            return
        answering = _Once(send)
        try:
            await route.action(Call(scope, receive, answering, names, headers))
        except asyncio.CancelledError:
            return  # the listener stops: it has cut the connection, and nobody is left to tell
        except Exception:
            log.exception("bug", path=scope["path"])
            if answering.began:
                raise
            await self._refuse(scope, send, 500, "internal", "a bug here; it is written down")

    async def _refuse(self, scope: Scope, send: Send, status: int, code: str, what: str) -> None:
        below = (it for part, it in self._words_below.items() if part in scope["path"])
        words = next(below, self._words)
        await respond(send, status, words(code, what), media=self._media)


class _Once:
    """Passes messages on, and knows whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.began = False

    async def __call__(self, message: Scope) -> None:
        self.began = True
        await self._send(message)
