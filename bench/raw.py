# SPDX-License-Identifier: Apache-2.0
"""What there is without Corridor: uvicorn with an app that reads a body and answers, no write.

`python -m bench.raw BYTES`: answers 201 with so many bytes of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvicorn
import uvloop

from bench.nodes import free_port


def app_of(size: int) -> Any:
    """ASGI: read all, answer."""
    body = json.dumps({"a": "x" * (size - 10)}).encode()
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def main(size: int) -> None:
    """Serve until SIGTERM."""
    port = free_port()
    config = uvicorn.Config(
        app_of(size), host="127.0.0.1", port=port, http="httptools", ws="none", lifespan="off",
        log_config=None, access_log=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    print(json.dumps({"event": "ready", "peer": f"http://localhost:{port}"}), flush=True)
    await serving


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
