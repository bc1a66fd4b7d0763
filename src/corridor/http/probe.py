# SPDX-License-Identifier: Apache-2.0
"""Asks one of our own routes, without a socket: the node's look at itself before it is ready."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from corridor.http.routes import Receive, Scope, Send


async def get(asgi: Callable[[Scope, Receive, Send], Awaitable[None]], path: str) -> bytes:
    """What a GET of this path answers; empty unless it is 200."""
    body, status = bytearray(), 0

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        body.extend(message.get("body", b""))

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await asgi(scope, receive, send)
    return bytes(body) if status == 200 else b""
