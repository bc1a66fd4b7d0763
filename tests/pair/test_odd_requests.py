# SPDX-License-Identifier: Apache-2.0
"""Every route of both faces, asked oddly: whatever comes, nobody meets a bug of ours."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from tests.pair.pair import Pair
from tests.pair.people import person
from tests.pair.puppet import Puppet, stage
from tests.pair.using import USE, reading

from corridor.http.home import routes as of_home
from corridor.http.peer import routes as of_peer

NAMES = ("x", "..", "%2e%2e", "\0", "é😀", "a" * 3000, "' OR 1=1 --", " ", "urn:uuid:x")
QUERIES = (
    b"", b"limit=9999999999999999999999", b"limit=-1&after=%00", b"after=////", b"after=" + b"A" * 5000,
    b"continuationToken=%ff%00", b"since=99999999999999999999", b"state=%F0%9F%98%80", b"&" * 200,
    b"\xff\xfe", b"order=x&kind=\xc3\xa9&deal=..&partner=%00", b"verbose",
)  # fmt: skip
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"range", b"bytes=99999999999999999-0"), (b"range", b"bytes=-0"), (b"if-range", b"\xff"),
    (b"if-none-match", b'W/"' * 3000), (b"corridor-purpose", b"\xff" * 3000),
    (b"corridor-actor", b"\x00"), (b"content-type", b"\xff"), (b"content-length", b"-1"),
    (b"idempotency-key", b"\xff\x00"), (b"last-event-id", b"\xb2"), (b"host", b"\xff"),
    (b"authorization", b"Basic " + b"/" * 1000), (b"authorization", b"Bearer"), (b"authorization", b"\xff"),
    (b"authorization", b"Bearer " + b"." * 20_000), (b"authorization", b"Bearer e30.e30.e30"),
)  # fmt: skip
BODIES = (
    b"",
    b"{}",
    b"[]",
    b"\xff",
    b'{"a":1e400}',
    b'"' * 9,
    b"[" * 5000,
    b'{"terms":"' + b"- " * 999 + b'"}',
)


async def status(face: Any, method: str, path: str, query: bytes, headers: Any, body: bytes) -> int:
    told: list[Any] = []
    coming = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return coming.pop() if coming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "query_string": query,
        "headers": headers, "client": ("127.0.0.1", 1), "extensions": {},
    }  # fmt: skip
    await face(scope, receive, send)
    return int(told[0]["status"])


@pytest.mark.parametrize("face", ["peer", "plane", "home"])
def test_no_route_has_a_bug_for_odd_requests(tmp_path: Path, face: str) -> None:
    async def story(p: Pair, puppet: Puppet) -> None:
        app = p.provider
        who = person(p, "provider")
        known = {"participant": "provider"}
        if face == "home":
            asgi, rows = app.asgi_home, of_home(app.management, app.management._health)
            own = [(b"authorization", f"Bearer {who.token}".encode()), (b"host", who.host.encode())]
        else:
            asgi, rows = app.asgi_peer, of_peer(app.engine)
            own = []
        if face == "plane":
            it = await reading(p, await p.agree(USE))
            known["sid"] = it.endpoint.rstrip("/").rpartition("/")[2]
            own = [(b"authorization", f"Bearer {it.token}".encode())]
        odd = itertools.cycle(zip(
            itertools.islice(itertools.cycle(NAMES), 5040), itertools.cycle(QUERIES),
            itertools.cycle(HEADERS), itertools.cycle(BODIES), strict=False,
        ))  # fmt: skip
        for route in rows:
            if (face == "plane" and "/data/" not in route.path) or route.path.endswith("/events"):
                continue
            for _ in range(24):
                name, query, header, body = next(odd)
                path = route.path
                for part in path.split("/"):
                    if part.startswith("{"):
                        path = path.replace(part, known.get(part.strip("{}*"), name))
                method = "GET" if route.method == "*" else route.method
                if method == "POST" and face == "peer":
                    token = puppet.token(body).encode()
                    own = [(b"authorization", token)] if header[0] != b"authorization" else []
                headers = [*(each for each in own if each[0] != header[0]), header]
                got = await status(asgi, method, path, query, headers, body)
                assert got != 500, (route.method, path[:200], query, header, body[:50])

    stage(tmp_path, story, **{"limits.address_requests_burst": 100_000})
