# SPDX-License-Identifier: Apache-2.0
"""Bodies block by block: taken from whoever sends, handed to whoever reads, in constant memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from corridor.errors import RemoteProtocolError
from corridor.http.routes import Call


async def body_blocks(call: Call, *, bytes_max: int, silence_s: float) -> AsyncIterator[bytes]:
    """The body of a request as it comes.

    Raises RemoteProtocolError: too-large, body-timeout after so long a silence, or malformed where
    the caller went away.
    """
    told = call.headers.get("content-length", "")
    if told.isdecimal() and int(told) > bytes_max:
        raise RemoteProtocolError(f"a body of more than {bytes_max} bytes", code="too-large")
    while True:
        try:
            async with asyncio.timeout(silence_s):
                message = await call.receive()
        except TimeoutError as silent:
            raise RemoteProtocolError("the body stopped coming", code="body-timeout") from silent
        if message["type"] != "http.request":
            raise RemoteProtocolError("the caller went away", code="malformed")
        if block := message.get("body", b""):
            yield block
        if not message.get("more_body", False):
            return


def abort(call: Call) -> None:
    """Break the connection, so that nobody takes what came for the whole."""
    tear = (call.scope.get("extensions") or {}).get("corridor.abort")
    if callable(tear):
        tear()
    elif tear is not None and callable(tear.get("abort")):
        tear["abort"]()


async def begin(call: Call, status: int, headers: Mapping[str, str]) -> None:
    """The head of an answer whose body comes by `block`."""
    told = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await call.send({"type": "http.response.start", "status": status, "headers": told})


async def block(call: Call, data: bytes, *, more: bool) -> None:
    """The next part of the body; `more` False ends it."""
    await call.send({"type": "http.response.body", "body": data, "more_body": more})
