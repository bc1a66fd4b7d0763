# SPDX-License-Identifier: Apache-2.0
"""Two real nodes in one process: the network is a function call, everything else is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from corridor import app as apps
from corridor.config import load
from corridor.engine.ground import micros
from corridor.errors import FetchFailed
from corridor.outside.chance import SystemChance
from corridor.outside.clock import RealClock
from corridor.outside.disk import FolderDisk
from corridor.outside.keys import FileKeys
from corridor.rooms import RealRooms
from corridor.services import NAMES
from corridor.store.offers import Asset, Offer, TermsText
from corridor.store.unit import Unit
from corridor.world import Request, Response, World

FINAL = ("FINALIZED", "TERMINATED")


class PairNet:
    """Requests go straight into the ASGI app that lives at their host; no sockets."""

    def __init__(self, apps_by_host: dict[str, apps.App]) -> None:
        self._apps = apps_by_host
        self.sent: list[Request] = []

    async def check(self, url: str, purpose: str) -> None:
        if urlsplit(url).netloc not in self._apps:
            raise FetchFailed("nobody lives there", code="refused-address")

    async def fetch(self, request: Request) -> Response:
        async with self.stream(request) as answer:
            body = b"".join([block async for block in answer.blocks()])
            return Response(status=answer.status, headers=answer.headers, body=body)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Any]:
        self.sent.append(request)
        place = urlsplit(request.url)
        app = self._apps.get(place.netloc)
        if app is None:
            raise FetchFailed("nobody lives there")
        yield await _call(app.asgi_peer, request, place)


@dataclass
class _Answer:
    status: int
    headers: Mapping[str, str]
    queue: asyncio.Queue[tuple[bytes, bool]]
    cut: asyncio.Event

    async def blocks(self) -> AsyncIterator[bytes]:
        while True:
            getting = asyncio.ensure_future(self.queue.get())
            cutting = asyncio.ensure_future(self.cut.wait())
            await asyncio.wait({getting, cutting}, return_when=asyncio.FIRST_COMPLETED)
            cutting.cancel()
            if not getting.done():
                getting.cancel()
                raise FetchFailed("the connection was reset")
            block, more = getting.result()
            if block:
                yield block
            if not more:
                return


async def _call(asgi: Any, request: Request, place: Any) -> _Answer:
    if isinstance(request.body, bytes):
        body = request.body
    else:
        body = b"".join([block async for block in request.body])
    queue: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue(8)
    started: asyncio.Future[tuple[int, dict[str, str]]] = asyncio.get_running_loop().create_future()
    cut, gone = asyncio.Event(), asyncio.Event()
    told = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if told:
            return told.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = {n.decode(): v.decode("latin-1") for n, v in message["headers"]}
            started.set_result((message["status"], headers))
        elif not cut.is_set():
            await queue.put((message.get("body", b""), message.get("more_body", False)))

    scope = {
        "type": "http",
        "method": request.method,
        "path": place.path,
        "query_string": place.query.encode(),
        "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in request.headers.items()],
        "client": ("127.0.0.1", 1),
        "extensions": {"corridor.abort": cut.set},
    }
    task = asyncio.create_task(asgi(scope, receive, send))
    task.add_done_callback(lambda done: started.done() or started.set_exception(done.exception()))
    status, headers = await started
    return _Answer(status, headers, queue, cut)


@dataclass
class Pair:
    """`provider` and `consumer`, started."""

    provider: apps.App
    consumer: apps.App
    net: PairNet
    folder: Path
    rooms: RealRooms | None = None
    tasks: list[Any] = field(default_factory=list)

    def home(self, name: str) -> Any:
        return getattr(self, name).engine.ground.homes[name]

    async def offer(
        self, odrl: Mapping[str, Any], *, asset: str = "greeting", service: str = "files",
        source: Mapping[str, Any] | None = None, audience: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Publish an asset of the provider under a policy; returns the offer as it is shown."""
        app, home = self.provider, self.home("provider")
        world = app.world
        if source is None:
            path = self.folder / "provider" / "assets" / "greeting.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"Good morning.\n" * 1000)
            source = {"path": str(path)}
        look = await app.engine.ground.services[service].look(source)
        store = app.store.of(home.slug)
        now = micros(world.clock.now())
        offer_id = f"urn:uuid:{world.chance.uuid7()}"
        terms_id = world.chance.uuid7()
        writes = [
            store.terms.insert(TermsText(
                participant=home.slug, terms_id=terms_id, yaml="", odrl=msgspec.json.encode(odrl),
                sha256=terms_id, created=now,
            )),
            store.offers.insert(Offer(
                participant=home.slug, offer_id=offer_id, asset=asset, terms=terms_id, terms_sha="",
                audience=msgspec.json.encode(audience or {}), state="published", created=now,
                changed=now,
            )),
        ]
        if store.assets.get(asset) is None:
            writes.insert(0, store.assets.insert(Asset(
                participant=home.slug, asset_id=asset, service=service, title=asset,
                source=world.keys.seal(f"source|{home.slug}", msgspec.json.encode(source)),
                detail=msgspec.json.encode(look.detail), created=now, changed=now,
            )))
        await app.store.run(Unit(tuple(writes)))
        return {**odrl, "@id": offer_id, "@type": "Offer", "target": asset}

    async def request(self, offer: Mapping[str, Any], *, service: str = "files", purpose: str | None = None) -> Any:
        """The consumer asks for an offer; the negotiation's end on its side."""
        from corridor.policy import odrl  # noqa: PLC0415

        home = self.home("consumer")
        policy = {key: value for key, value in offer.items() if key != "target"}
        begun = await self.consumer.engine.reception.request(
            home, peer=self.home("provider").did, base=self.home("provider").dsp_url,
            asset=offer["target"], offer=policy, wish_sha=odrl.read(policy).terms_hash,
            service=service, purpose=purpose,
        )
        return await self.until("consumer", "negotiations", begun.pid, FINAL)

    async def until(self, name: str, table: str, pid: str, states: tuple[str, ...], seconds: float = 5.0) -> Any:
        app = getattr(self, name)
        store = getattr(app.store.of(name), table)

        def look() -> Any:
            record = store.get(pid)
            return record if record is not None and record.state in states else None

        found = await app.engine.ground.bells.until(pid, look, seconds)
        assert found is not None, f"{name} {table} {pid} is {store.get(pid)}"
        return found


@asynccontextmanager
async def pair(folder: Path, *, rooms: bool = False, **overrides: Any) -> AsyncIterator[Pair]:
    """Two nodes, started and stopped."""
    made: dict[str, apps.App] = {}
    net = PairNet(made)
    shared = None
    for name, port in (("provider", 7101), ("consumer", 7102)):
        host = f"localhost:{port}"
        config = load(None, {}, {
            "node.public_url": f"http://{host}",
            "node.peer_listen": f"127.0.0.1:{port}",
            "node.home_listen": f"127.0.0.1:{port + 100}",
            "node.data_dir": str(folder / name),
            "node.development": True,
            "net.http_hosts": ["localhost:7101", "localhost:7102"],
            "participant": [{"id": name, "title": {"en": name}, "country": "RS"}],
            **overrides,
        })
        if rooms and shared is None:
            shared = RealRooms(modules=apps.works(config), limits=config.limits)
        world = World(
            clock=RealClock(), chance=SystemChance(), net=net, keys=FileKeys((name.encode() * 4)[:32]),
            disk=FolderDisk(folder / name), rooms=shared or _NoRooms(),
        )
        made[host] = apps.build(config, world)
    one = Pair(made["localhost:7101"], made["localhost:7102"], net, folder, shared)
    try:
        for app in made.values():
            await app.start()
        yield one
    finally:
        for app in made.values():
            await app.stop()


class _NoRooms:
    def run(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("this pair has no rooms")

    async def close(self) -> None:
        return


assert NAMES
