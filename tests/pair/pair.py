# SPDX-License-Identifier: Apache-2.0
"""Two real nodes in one process: the network is a function call, everything else is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from corridor import app as apps
from corridor.config import load
from corridor.engine.decide import Decide
from corridor.engine.ground import micros
from corridor.errors import FetchFailed
from corridor.outside.chance import SystemChance
from corridor.outside.clock import RealClock
from corridor.outside.disk import FolderDisk
from corridor.outside.keys import FileKeys
from corridor.policy import odrl
from corridor.rooms import RealRooms
from corridor.store.offers import Asset, Offer, TermsText
from corridor.store.unit import Unit
from corridor.world import Request, Response, World

Seam = Callable[[Decide], Decide]
FINAL = ("FINALIZED", "TERMINATED")


class Clock(RealClock):
    """The real clock, which a test may put forward (`Pair.pass_time`); both nodes have the same."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


class PairNet:
    """Requests go straight into the ASGI app that lives at their host; no sockets.

    `down`: hosts that do not answer. `guard`: a real fetcher, which then checks addresses. `sent`: every request, the oldest first.
    """

    def __init__(self, apps_by_host: dict[str, Any]) -> None:
        self.apps = apps_by_host
        self.sent: list[Request] = []
        self.down: set[str] = set()
        self.guard: Any = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def check(self, url: str, purpose: str) -> None:
        if self.guard is not None:
            await self.guard.check(url, purpose)
        elif urlsplit(url).netloc not in self.apps:
            raise FetchFailed("nobody lives there", code="refused-address")

    async def fetch(self, request: Request) -> Response:
        async with self.stream(request) as answer:
            body = b"".join([block async for block in answer.blocks()])
            return Response(status=answer.status, headers=answer.headers, body=body)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Any]:
        self.sent.append(request)
        place = urlsplit(request.url)
        app = self.apps.get(place.netloc)
        if app is None or place.netloc in self.down:
            raise FetchFailed("nobody lives there")
        answer = await self._call(app.asgi_peer, request, place)
        try:
            yield answer
        finally:
            answer.leave()

    async def settle(self) -> None:
        """Wait until every app has finished with what it was asked."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=15)
            assert not left, f"{len(left)} requests never end"

    async def _call(self, asgi: Any, request: Request, place: SplitResult) -> Answer:
        if isinstance(request.body, bytes):
            body = request.body
        else:
            body = b"".join([block async for block in request.body])
        loop = asyncio.get_running_loop()
        started: asyncio.Future[tuple[int, dict[str, str]]] = loop.create_future()
        answer = Answer(0, {}, asyncio.Queue(8), asyncio.Event(), asyncio.Event())
        told = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if told:
                return told.pop()
            await answer.left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = {n.decode(): v.decode("latin-1") for n, v in message["headers"]}
                started.set_result((message["status"], headers))
            else:
                await answer.put(message.get("body", b""), more=message.get("more_body", False))

        headers = request.headers.items()
        scope = {
            "type": "http",
            "method": request.method,
            "path": place.path,
            "query_string": place.query.encode(),
            "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in headers],
            "client": ("127.0.0.1", 1),
            "extensions": {"corridor.abort": answer.reset.set},
        }
        task = asyncio.create_task(asgi(scope, receive, send))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: _failed(done, started))
        answer.status, answer.headers = await started
        return answer


def _failed(done: asyncio.Task[None], started: asyncio.Future[Any]) -> None:
    error = asyncio.CancelledError() if done.cancelled() else done.exception()
    if not started.done():
        started.set_exception(error or AssertionError("no answer"))


@dataclass
class Answer:
    """An answer on its way: a few blocks may wait, then its sender does."""

    status: int
    headers: Mapping[str, str]
    queue: asyncio.Queue[tuple[bytes, bool]]
    reset: asyncio.Event
    left: asyncio.Event

    def leave(self) -> None:
        """Its reader goes away."""
        self.left.set()

    async def put(self, block: bytes, *, more: bool) -> None:
        await _first(self.queue.put((block, more)), self.reset, self.left)

    async def blocks(self) -> AsyncIterator[bytes]:
        while True:
            found = await _first(self.queue.get(), self.reset)
            if found is None:
                raise FetchFailed("the connection was reset")
            block, more = found
            if block:
                yield block
            if not more:
                return


async def _first(work: Any, *ends: asyncio.Event) -> Any:
    """What `work` comes to, or None where one of the events is there first."""
    if any(end.is_set() for end in ends):
        work.close()
        return None
    doing = asyncio.ensure_future(work)
    waiting = [asyncio.ensure_future(end.wait()) for end in ends]
    try:
        await asyncio.wait({doing, *waiting}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        for each in (doing, *waiting):
            each.cancel()


@dataclass
class Pair:
    """`provider` and `consumer`, started."""

    provider: apps.App
    consumer: apps.App
    net: PairNet
    folder: Path
    clock: Clock
    rooms: RealRooms | None = None

    def pass_time(self, seconds: float) -> None:
        """Put both clocks forward; what is now due is done."""
        self.clock.ahead_s += seconds
        for app in (self.provider, self.consumer):
            app.engine.ground.bells.ring("wake")
            app.engine.deliver._tick()

    def home(self, name: str) -> Any:
        return getattr(self, name).engine.ground.homes[name]

    def file(self, name: str, content: bytes) -> Path:
        """A file where the provider's assets lie."""
        path = self.folder / "provider" / "assets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    async def offer(
        self,
        terms: Mapping[str, Any],
        *,
        asset: str = "greeting",
        service: str = "files",
        source: Mapping[str, Any] | None = None,
        audience: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Publish an asset of the provider under a policy; returns the offer as it is shown."""
        app, home = self.provider, self.home("provider")
        world = app.world
        if source is None:
            source = {"path": str(self.file("greeting.txt", b"Good morning.\n" * 1000))}
        look = await app.engine.ground.services[service].look(source)
        store = app.store.of(home.slug)
        now = micros(world.clock.now())
        offer_id = f"urn:uuid:{world.chance.uuid7()}"
        terms_id = world.chance.uuid7()
        writes = [
            store.terms.insert(
                TermsText(
                    participant=home.slug,
                    terms_id=terms_id,
                    yaml="",
                    odrl=msgspec.json.encode(terms),
                    sha256=terms_id,
                    created=now,
                )
            ),
            store.offers.insert(
                Offer(
                    participant=home.slug,
                    offer_id=offer_id,
                    asset=asset,
                    terms=terms_id,
                    terms_sha="",
                    audience=msgspec.json.encode(audience or {}),
                    state="published",
                    created=now,
                    changed=now,
                )
            ),
        ]
        if store.assets.get(asset) is None:
            writes.insert(
                0,
                store.assets.insert(
                    Asset(
                        participant=home.slug,
                        asset_id=asset,
                        service=service,
                        title=asset,
                        source=world.keys.seal(f"source|{home.slug}", msgspec.json.encode(source)),
                        detail=msgspec.json.encode(look.detail),
                        created=now,
                        changed=now,
                    )
                ),
            )
        await app.store.run(Unit(tuple(writes)))
        return {**terms, "@id": offer_id, "@type": "Offer", "target": asset}

    async def ask(
        self,
        offer: Mapping[str, Any],
        *,
        service: str = "files",
        purpose: str | None = None,
        wish: Mapping[str, Any] | None = None,
    ) -> Any:
        """The consumer asks for an offer; the negotiation as it begins.

        `wish`: the terms that it means to sign, where they are not those that it sends.
        """
        policy = {key: value for key, value in offer.items() if key != "target"}
        return await self.consumer.engine.reception.request(
            self.home("consumer"),
            peer=self.home("provider").did,
            base=self.home("provider").dsp_url,
            asset=offer["target"],
            offer=policy,
            wish_sha=odrl.read(wish or policy).terms_hash,
            service=service,
            purpose=purpose,
        )

    async def request(self, offer: Mapping[str, Any], **told: Any) -> Any:
        """The consumer asks for an offer; the negotiation's end on its side."""
        begun = await self.ask(offer, **told)
        return await self.until("consumer", "negotiations", begun.pid, FINAL)

    async def agree(self, odrl_: Mapping[str, Any], **told: Any) -> Any:
        """Publish, ask, and agree: the agreement on the consumer's side."""
        purpose = told.pop("purpose", None)
        offer = await self.offer(odrl_, **told)
        service = told.get("service", "files")
        done = await self.request(offer, service=service, purpose=purpose)
        assert done.state == "FINALIZED", done.reason
        return self.consumer.store.of("consumer").agreements.get(done.agreement_id)

    async def until(
        self, name: str, table: str, pid: str, states: tuple[str, ...], seconds: float = 5.0
    ) -> Any:
        app = getattr(self, name)
        store = getattr(app.store.of(name), table)

        def look() -> Any:
            record = store.get(pid)
            return record if record is not None and record.state in states else None

        found = await app.engine.ground.bells.until(pid, look, seconds)
        assert found is not None, f"{name} {table} {pid} is {store.get(pid)}"
        return found


@asynccontextmanager
async def pair(
    folder: Path, *, rooms: bool = False, seams: Mapping[str, Seam] | None = None, **overrides: Any
) -> AsyncIterator[Pair]:
    """Two nodes, started and stopped. `seams` wraps who decides, by node."""
    made: dict[str, Any] = {}
    net, clock = PairNet(made), Clock()
    shared = None
    nodes: list[apps.App] = []
    for name, port in (("provider", 7101), ("consumer", 7102)):
        host = f"localhost:{port}"
        config = load(
            None,
            {},
            {
                "node.public_url": f"http://{host}",
                "node.peer_listen": f"127.0.0.1:{port}",
                "node.home_listen": f"127.0.0.1:{port + 100}",
                "node.data_dir": str(folder / name),
                "node.development": True,
                "keys.overlap": "10m",
                "net.http_hosts": ["localhost:7101", "localhost:7102", "localhost:7103"],
                "participant": [{"id": name, "title": {"en": name}, "country": "RS"}],
                **overrides,
            },
        )
        if rooms and shared is None:
            shared = RealRooms(modules=apps.works(config), limits=config.limits)
        world = World(
            clock=clock,
            chance=SystemChance(),
            net=net,
            keys=FileKeys((name.encode() * 4)[:32]),
            disk=FolderDisk(folder / name),
            rooms=shared or _NoRooms(),
        )
        made[host] = apps.build(config, world, seam=(seams or {}).get(name))
        nodes.append(made[host])
    one = Pair(nodes[0], nodes[1], net, folder, clock, shared)
    try:
        for app in nodes:
            await app.start()
        yield one
        await net.settle()
    finally:
        for app in nodes:
            await app.stop()


def play(folder: Path, story: Callable[[Pair], Awaitable[None]], **told: Any) -> None:
    """Run a story over a pair, in at most 60 seconds."""

    async def whole() -> None:
        async with asyncio.timeout(60), pair(folder, **told) as one:
            await story(one)

    asyncio.run(whole())


class _NoRooms:
    def run(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("this pair has no rooms")

    async def close(self) -> None:
        return
